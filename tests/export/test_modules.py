"""Exports that hold the whole computation: .pt2 and .onnx files do what the composite does."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.darkroom import develop
from ispdsl.export import onnx, packages, pt2
from ispdsl.export.closeness import Closeness, closeness, held_to, together
from ispdsl.export.faults import ExportError
from ispdsl.export.pt2 import export_pt2
from ispdsl.export.source import Source, call_of, composite_of, rendered, with_predicted
from ispdsl.runtime.values import Settings
from tests import scenes
from tests.export import small

LOOKS = """
stage looks(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32> {
  program "tests.export.programs:looks"
}

pipeline small(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  out = image -> looks as last
}
"""


@pytest.mark.slow
def test_a_raw_of_another_size_is_developed_as_the_composite_develops_it(tmp_path: Path):
    frame = small.frame(tmp_path)
    source, _ = with_predicted(small.source(tmp_path, small.RAW, {"contrast.amount": 40}, frame=frame))
    trial = export_pt2(source, tmp_path / "a.pt2")
    assert trial.traced.flexible
    assert trial.sizes == ((32, 48), (16, 24))
    assert set(trial.traced.sides.values()) <= {"2.., even", "4.., even"}
    assert trial.closeness.largest <= 2**-23  # the demosaic's convolution adds up in the processor's own order
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    part = frame.crop(4, 2, 26, 30)
    found = torch.export.load(tmp_path / "a.pt2").module()(torch.from_numpy(part.image.astype(np.float32)))
    wanted = develop(source.graph, part, source.settings).outputs["out"].image
    np.testing.assert_allclose(found["out"].numpy(), wanted, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", scenes.FREE)
def test_every_shipped_pipeline_is_exported(name: str, tmp_path: Path):
    frame = scenes.synthetic_frame(tmp_path).crop(0, 0, 56, 72)  # a trace of a square fits squares alone
    graph = scenes.graph(name)
    source, _ = with_predicted(Source(graph, Settings.of(graph), frame))
    trial = export_pt2(source, tmp_path / "a.pt2", free=True, free_metadata=True)
    assert trial.traced.flexible
    assert trial.closeness.largest < 1e-6


def test_free_settings_and_metadata_are_inputs_that_count(tmp_path: Path):
    source = small.source(tmp_path, small.LIT)
    trial = export_pt2(source, tmp_path / "a.pt2", free=True, free_metadata=True)
    inputs = trial.traced.inputs
    composite = composite_of(source)
    call = call_of(source, composite)
    assert set(inputs.settings) == {slot.address for slot in composite.slots if slot.free}
    settings = {**inputs.settings, "contrast.amount": torch.tensor(0.6)}
    found = torch.export.load(tmp_path / "a.pt2").module()(call.image, settings=settings)
    other = rendered(composite, replace(call, settings={**call.settings, "contrast.amount": torch.tensor(0.6)}))
    np.testing.assert_allclose(found["out"].numpy(), other["out"], atol=1e-6)
    assert closeness(found["out"].numpy(), rendered(composite, call)["out"]).largest > 0.01


def test_settings_that_nobody_set_follow_metadata_that_is_free(tmp_path: Path):
    source = small.source(tmp_path, small.LIT)
    trial = export_pt2(source, tmp_path / "a.pt2", free_metadata=True)
    assert list(trial.traced.inputs.metadata) == ["baseline_exposure"]
    module = torch.export.load(tmp_path / "a.pt2").module()
    image = torch.full((3, 20, 24), 0.1)
    dark, light = (module(image, metadata={"baseline_exposure": torch.tensor(ev)})["out"] for ev in (0.0, 1.0))
    assert light.mean() > 1.5 * dark.mean()
    chosen = small.source(tmp_path, small.LIT, {"exposure.ev": 0.5})
    assert export_pt2(chosen, tmp_path / "b.pt2", free_metadata=True).traced.inputs.metadata == {}


def test_a_pipeline_that_reads_the_frame_before_settles_inside(tmp_path: Path):
    source = small.source(tmp_path, small.FEEDBACK)
    assert export_pt2(source, tmp_path / "a.pt2").closeness.largest == 0
    composite = composite_of(source)
    call = call_of(source, composite)
    once = composite(call.image, call.settings, call.metadata).image.numpy()
    found = torch.export.load(tmp_path / "a.pt2").module()(call.image)["out"].numpy()
    assert closeness(found, once).largest > 1e-3


def test_a_file_needs_torch_alone_and_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = small.source(tmp_path, small.CODED, trust=("tests",))
    export_pt2(source, tmp_path / "a.pt2", record=json.dumps({"pipeline": "board"}))
    with zipfile.ZipFile(tmp_path / "a.pt2") as file:
        name = next(name for name in file.namelist() if name.endswith(pt2.RECORD))
        assert json.loads(file.read(name)) == {"pipeline": "board"}
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ispdsl", "tests")]:
        monkeypatch.setitem(sys.modules, name, None)
    found = torch.export.load(tmp_path / "a.pt2").module()(torch.full((3, 4, 6), 0.5))
    lit = 0.5 * 2**0.5
    torch.testing.assert_close(found["out"], torch.full((3, 4, 6), lit + 0.25 * lit**2))


def test_what_cannot_be_traced_is_named(tmp_path: Path):
    source = small.source(tmp_path, LOOKS, trust=("tests",))
    with pytest.raises(
        ExportError, match=r"small cannot be exported: last \(stage looks\), operation TensorBase.__float__"
    ) as caught:
        export_pt2(source, tmp_path / "a.pt2")
    assert "--doubles" in (caught.value.hint or "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.isp"]


def test_a_stage_that_goes_by_the_size_fixes_it_and_says_why(tmp_path: Path):
    text = LOOKS.replace("programs:looks", "programs:sized")
    trial = export_pt2(small.source(tmp_path, text, trust=("tests",), size=(24, 24)), tmp_path / "a.pt2")
    assert trial.traced.sides["width"] == "24"
    assert trial.traced.why
    assert not trial.traced.flexible
    assert trial.sizes == ((24, 24),)


def test_what_is_not_near_enough_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.pt2").write_bytes(b"before")
    source = small.source(tmp_path, small.CODED, trust=("tests",))
    real = pt2.rendered
    monkeypatch.setattr(pt2, "rendered", lambda *given: {"out": real(*given)["out"] * 1.01})
    with pytest.raises(ExportError, match="differs from the composite: at most"):
        export_pt2(source, tmp_path / "a.pt2")
    assert (tmp_path / "a.pt2").read_bytes() == b"before"
    assert export_pt2(source, tmp_path / "a.pt2", least=20).closeness.psnr < 60


def test_missing_packages_are_told_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "onnx" else real(name))
    with pytest.raises(ExportError, match=r"not installed: .*onnx") as caught:
        packages.check_packages()
    assert "pip install 'ispdsl[export]'" in (caught.value.hint or "")


def test_onnx_does_what_the_composite_does(tmp_path: Path):
    for name in packages.PACKAGES:
        pytest.importorskip(name)
    source = small.source(tmp_path, small.CODED, trust=("tests",))
    trial = onnx.export_onnx(source, tmp_path / "a.onnx", free=True)
    assert trial.traced.flexible
    assert trial.closeness.largest < 1e-6
    assert set(trial.traced.inputs.settings) == {"coded.ev", "coded.amount", "coded.bias"}


def test_what_onnx_has_no_words_for_is_named_with_its_stage(tmp_path: Path):
    for name in packages.PACKAGES:
        pytest.importorskip(name)
    source = small.source(tmp_path, LOOKS.replace("programs:looks", "programs:untold"), trust=("tests",))
    with pytest.raises(ExportError, match=r"told in ONNX: last \(stage looks\), operation prims\.bessel_j0"):
        onnx.export_onnx(source, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_measurements_of_parts_are_one_of_the_whole():
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 3, 8, 8))
    parts = [closeness(first[:, :3], second[:, :3]), closeness(first[:, 3:], second[:, 3:])]
    whole, found = closeness(first, second), together(parts)
    assert found.samples == whole.samples
    assert found.psnr == pytest.approx(whole.psnr)
    assert (found.largest, found.mean) == pytest.approx((whole.largest, whole.mean))
    assert closeness(first, first) == Closeness(0.0, 0.0, float("inf"), 192)
    with pytest.raises(ExportError, match="differs from the composite") as caught:
        held_to(whole, 60, "table")
    assert "--at-least 7" in (caught.value.hint or "")
    with pytest.raises(ExportError, match="not finite"):
        closeness(np.array([np.nan]), np.array([0.0]))


SIDES = """
stage {name}(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32> {{
  program "tests.export.programs:{name}"
}}

pipeline small(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {{
  out = image -> {name} as last
}}
"""


@pytest.mark.parametrize(("name", "sides"), [("halves", "4.., even"), ("brighter", "1..")])
def test_the_sides_that_a_file_takes_are_those_that_were_tried(tmp_path: Path, name: str, sides: str):
    trial = export_pt2(
        small.source(tmp_path, SIDES.format(name=name), trust=("tests",), size=(24, 32)), tmp_path / "a.pt2"
    )
    assert dict(trial.traced.sides) == {"height": sides, "width": sides}
