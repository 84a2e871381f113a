"""`ispdsl compile`: one file that PyTorch runs, doubles inside; and `--doubles` where pipelines run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.backends.composite import compile
from ispdsl.proxies.double import save
from ispdsl.synthetic.samples import write_demo_raw
from tests import doubled
from tests.cli.conftest import Invoke


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "chain.isp"
    path.write_text(doubled.CHAIN)
    return path


@pytest.fixture
def run(chain: Path) -> Path:
    graph = doubled.written(chain.parent, doubled.CHAIN.replace("pipeline chain", "pipeline main"))
    save(doubled.double_of(graph, "coloured"), chain.parent / "run/doubles/default/coloured.safetensors")
    return chain.parent / "run"


@pytest.mark.parametrize("with_doubles", [False, True])
def test_what_is_compiled_runs_as_the_composite_does(invoke: Invoke, chain: Path, run: Path, with_doubles: bool):
    out = chain.parent / "out.pt2"
    words = ("compile", chain, "--size", "8x6", "-o", out, "--taps", "coloured", "--json")
    result = invoke(*words, *(("--doubles", run) if with_doubles else ()))
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["doubles"] == ({"coloured": "proxy pointwise"} if with_doubles else {})
    assert shown["images"] == {"image": "rgb<camera, f32> 3 x 8 x 6"}
    assert shown["outputs"] == {"out": "rgb<camera, f32>"}
    graph = doubled.written(chain.parent, doubled.CHAIN)
    composite = compile(graph, doubles=run if with_doubles else None)
    settings = {name: torch.tensor(0.25) for name in shown["settings"]}
    image, metadata = torch.rand(3, 8, 6), {name: torch.tensor(0.5) for name in shown["metadata"]}
    assert metadata
    found = torch.export.load(out).module()(image, settings, metadata)
    wanted = composite(image, settings, metadata)
    torch.testing.assert_close(found.image, wanted.image)
    torch.testing.assert_close(found.taps["coloured"], wanted.taps["coloured"])


def test_compile_refuses_what_it_cannot_do(invoke: Invoke, chain: Path):
    def refused(message: str, *words: object) -> None:
        result = invoke("compile", chain, *map(str, words))
        assert result.exit_code == 2
        assert message in result.stderr

    out = chain.parent / "out.pt2"
    refused("is no size", "--size", "8", "-o", out)
    refused("is no .pt2 file", "--size", "8x8", "-o", chain.parent / "out.onnx")
    refused("is no CFA", "--size", "8x8", "-o", out, "--cfa", "rgbg")
    assert not out.exists()


def test_plan_shows_doubles_and_what_does_not_fit(invoke: Invoke, chain: Path, run: Path):
    result = invoke("plan", chain, "--doubles", run)
    assert result.exit_code == 0, result.stderr
    assert "proxy pointwise" in result.stdout
    assert {line.split()[1] for line in result.stdout.splitlines()[2:5]} == {"exposure", "coloured", "contrast_2"}
    result = invoke("plan", chain, "--doubles", run, "--impl", "coloured=program")
    assert "proxy" not in result.stdout
    result = invoke("plan", chain, "--doubles", chain.parent)
    assert result.exit_code == 1
    assert "has no doubles" in result.stderr
    chain.write_text(doubled.CHAIN.replace("pivot = fixed 0.18", "pivot = fixed 0.2"))
    result = invoke("plan", chain, "--doubles", run)
    assert result.exit_code == 2
    assert "made with contrast_pivot = 0.18, and the pipeline fixes 0.2" in result.stderr


@pytest.fixture
def finish(tmp_path: Path) -> tuple[Path, Path]:
    """A raw with a run of a double of saturation."""
    double = doubled.double_of(doubled.photo_finish(), "saturation", ranges={"saturation.amount": (0.5, 1.5)})
    save(double, tmp_path / "run/doubles/default/saturation.safetensors")
    raw = tmp_path / "small.dng"
    write_demo_raw(raw, size=64)
    return raw, tmp_path / "run"


def test_run_develops_with_doubles_and_notes_what_they_never_saw(invoke: Invoke, finish: tuple[Path, Path]):
    raw, run = finish
    words = ("run", "photo_finish", raw, "--no-sidecar", "-o")
    with_double, plain = raw.parent / "a.npy", raw.parent / "b.npy"
    result = invoke(*words, with_double, "--doubles", run, "--set", "saturation.amount=180%")
    assert result.exit_code == 0, result.stderr
    assert "not trained for saturation.amount 180%: it saw 50%..150%" in result.stderr
    inside = invoke(*words, plain, "--set", "saturation.amount=100%")
    assert "not trained" not in inside.stderr
    np.testing.assert_array_equal(np.load(with_double), np.load(plain))


def test_compare_sets_the_doubles_against_the_programs(invoke: Invoke, finish: tuple[Path, Path]):
    raw, run = finish
    words = ("compare", "composite", "composite", "photo_finish", raw, "--no-sidecar", "--json", "--doubles", run)
    rows = {row["name"]: row for row in json.loads(invoke(*words).stdout)["results"]}
    assert rows["balanced"]["psnr"] is None
    assert rows["saturated"]["psnr"] < 80


def test_a_sweep_develops_again_where_a_double_has_changed(invoke: Invoke, finish: tuple[Path, Path]):
    raw, run = finish
    words = ("sweep", "photo_finish", raw, "--vary", "saturation.amount=90%,110%", "--doubles", run, "--resume")
    words = (*words, "-o", raw.parent / "sweep", "--format", "npy")
    assert "2 developed" in invoke(*words).stderr
    assert "0 developed" in invoke(*words).stderr
    double = doubled.double_of(doubled.photo_finish(), "saturation", ranges={"saturation.amount": (0.5, 1.4)})
    save(double, run / "doubles/default/saturation.safetensors")
    assert "2 developed" in invoke(*words).stderr


def test_doubles_of_what_a_real_thing_runs_are_refused(invoke: Invoke, finish: tuple[Path, Path]):
    raw, run = finish
    result = invoke("run", "libraw", raw, "-o", raw.parent / "a.npy", "--backend", "libraw", "--doubles", run)
    assert result.exit_code == 2
    assert "--doubles takes the places of programs" in result.stderr
