"""What the text says of a real thing, and a raw frame or a node sent through it."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

import ispdsl
from ispdsl.backends.blackbox import check_backend, declared, declared_in, request
from ispdsl.backends.outline import outline, outline_rows
from ispdsl.executors import kinds
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.ir.params import Array
from ispdsl.runtime.frame import Frame
from tests import stand_in_executor
from tests.scenes import synthetic_frame

PIPELINE = """from raw import black_white
from demosaic import bilinear
stage lift(image: rgb<camera, f32>) -> rgb<camera, f32> {
  slider gain in 0..8 = 2
  slider part in 0%..100% = 50%
  choice mode in { soft, hard } = soft
  matrix mix [2, 2] = identity
  executor stand_in()
  property pointwise
}
pipeline real(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  executor stand_in(NAMED)
  meta black_level: vector<4>
  meta white_level: real
  out = mosaic -> black_white(black_level = black_level, white_level = white_level) -> bilinear -> tap before -> lift
}
"""


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.FAMILIES, "stand_in", "tests.stand_in_executor")
    monkeypatch.setattr(stand_in_executor, "OPEN", [])
    monkeypatch.setattr(stand_in_executor, "ASKED", [])


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return synthetic_frame(tmp_path_factory.mktemp("raw")).crop(8, 8, 12, 12)


def graph(folder: Path, named: str = "") -> ispdsl.Graph:
    file = folder / "real.isp"
    file.write_text(PIPELINE.replace("NAMED", named))
    return ispdsl.build(ispdsl.load(file))


def test_a_pipeline_is_told_with_its_nodes_taps_and_folder(tmp_path: Path):
    found = declared(graph(tmp_path), {"C": "bggr"})
    assert (found.kind, found.name, found.implementation.target) == ("pipeline", "real", "stand_in")
    assert [node.address for node in found.nodes] == ["black_white", "bilinear", "lift"]
    assert [node.executor is not None for node in found.nodes] == [False, False, True]
    assert str(found.inputs[0].type) == "raw<bggr, u16>"
    assert (found.taps["before"].node, found.results["out"].node) == ("bilinear", "lift")
    assert found.folder == tmp_path
    assert {slot.address for slot in found.slots} >= {"lift.gain", "lift.part"}


def test_everything_real_of_a_module_is_listed(tmp_path: Path):
    assert [(each.kind, each.name) for each in declared_in(graph(tmp_path).module)] == [
        ("pipeline", "real"),
        ("stage", "lift"),
    ]


def test_a_pipeline_is_developed_by_the_real_thing(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    settings = ispdsl.Settings.of(built).set("lift.gain", 3)
    found = ispdsl.develop(built, frame, settings, taps=None, backend="stand_in")
    assert np.array_equal(found.outputs["out"].image, np.repeat(frame.image, 3, 0).astype(np.float32) * 3)
    assert (found.made_by, found.notes, list(found.taps)) == ("stand-in 1.0", ("it stood in",), ["before"])
    assert str(found.taps["before"].type) == "rgb<camera, f32>"
    assert stand_in_executor.OPEN == []
    (asked,) = stand_in_executor.ASKED
    assert asked.frame is frame
    assert (asked.settings["lift.part"], asked.settings["lift.mode"]) == (50.0, "soft")


def test_the_real_thing_is_closed_when_it_fails(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    with pytest.raises(ExecutorError, match="fell over") as caught:
        ispdsl.develop(built, frame, ispdsl.Settings.of(built).set("lift.gain", 7), backend="stand_in")
    assert (caught.value.fault, caught.value.status, stand_in_executor.OPEN) == (Fault.CRASH, -11, [])


def test_what_the_text_names_runs_only_when_allowed(tmp_path: Path, frame: Frame, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    built = graph(tmp_path, '"rm"')
    with pytest.raises(ExecutorError, match="rm") as caught:
        ispdsl.develop(built, frame, backend="stand_in")
    assert caught.value.fault is Fault.DENIED
    assert stand_in_executor.ASKED == []
    assert ispdsl.develop(built, frame, backend="stand_in", allow_exec=True).made_by == "stand-in 1.0"


def test_a_backend_that_the_pipeline_lacks_is_refused(tmp_path: Path):
    built = graph(tmp_path)
    check_backend(built, "composite")
    with pytest.raises(ispdsl.PlanError, match="not run by libraw: its executor is stand_in"):
        check_backend(built, "libraw")


def test_an_unknown_kind_of_executor_is_refused(tmp_path: Path, frame: Frame):
    file = tmp_path / "p.isp"
    file.write_text(PIPELINE.replace("stand_in(NAMED)", "libra()"))
    with pytest.raises(ispdsl.CompileError, match="no executor of this kind; did you mean libraw"):
        ispdsl.develop(ispdsl.build(ispdsl.load(file)), frame, backend="libra")


def test_an_unknown_tap_is_refused(tmp_path: Path, frame: Frame):
    built = graph(tmp_path)
    with pytest.raises(ispdsl.PlanError, match="no tap after"):
        request(declared(built), frame, ispdsl.Settings.of(built), ["after"])


# ---- one node of the composite ------------------------------------------------------------------------------


def composite(folder: Path) -> ispdsl.Composite:
    return ispdsl.compile(graph(folder), cfa="rggb", impl={"lift": "executor"})


METADATA = {"black_level": torch.zeros(4), "white_level": torch.tensor(1.0)}


def test_a_node_is_run_by_its_executor(tmp_path: Path):
    made = composite(tmp_path)
    mosaic = torch.rand(1, 8, 8)
    values = {"lift.gain": torch.tensor(0.7), "lift.part": "25%", "lift.mode": "hard"}
    found = made(mosaic, values, METADATA)
    assert torch.allclose(found.image, found.taps["before"] * 0.7)
    (asked,) = stand_in_executor.ASKED
    assert asked.settings["part"] == pytest.approx(25.0)
    assert asked.settings["mode"] == "hard"
    assert asked.settings["mix"] == Array(shape=(2, 2), values=(1.0, 0.0, 0.0, 1.0))


def test_each_image_of_a_batch_has_its_own_settings(tmp_path: Path):
    made = composite(tmp_path)
    mosaic = torch.rand(2, 1, 6, 6)
    found = made(mosaic, {"lift.gain": torch.tensor([1.0, 4.0])}, METADATA)
    assert torch.allclose(found.image[1], found.taps["before"][1] * 4)
    assert [asked.settings["gain"] for asked in stand_in_executor.ASKED] == [1.0, 4.0]


def test_a_gradient_through_an_executor_is_refused_rather_than_zero(tmp_path: Path):
    made = composite(tmp_path)
    gain = torch.tensor(2.0, requires_grad=True)
    rendering = made(torch.rand(1, 6, 6), {"lift.gain": gain}, METADATA)
    with pytest.raises(ispdsl.RunError, match="lift is run by executor stand_in, which has no gradient"):
        rendering.image.sum().backward()


def test_a_failing_executor_keeps_its_own_error(tmp_path: Path):
    with pytest.raises(ExecutorError, match="fell over"):
        composite(tmp_path)(torch.rand(1, 6, 6), {"lift.gain": 7.0}, METADATA)


def test_executors_of_a_composite_are_closed_with_it(tmp_path: Path):
    made = composite(tmp_path)
    made(torch.rand(1, 6, 6), {}, METADATA)
    assert len(stand_in_executor.OPEN) == 1
    del made
    gc.collect()
    assert stand_in_executor.OPEN == []


def test_a_stage_with_an_executor_alone_says_how_to_run_it(tmp_path: Path):
    with pytest.raises(ispdsl.PlanError, match="as a whole is run by its executor stand_in: choose that by --backend"):
        ispdsl.compile(graph(tmp_path), cfa="rggb")


def test_the_plan_of_a_real_thing_names_nodes_parameters_and_taps(tmp_path: Path):
    text = outline(declared(graph(tmp_path)))
    assert "run as a whole by stand_in" in text.splitlines()[0]
    rows = {line.split()[1]: line for line in text.splitlines()[2:5]}
    assert rows["bilinear"].endswith("before")
    assert "gain part mode mix" in rows["lift"]
    assert outline_rows(declared(graph(tmp_path)))["taps"] == {"before": "bilinear.out"}


def test_every_node_that_can_is_run_by_its_executor(tmp_path: Path):
    made = ispdsl.compile(graph(tmp_path), cfa="rggb", impl={"*": "executor"})
    made(torch.rand(1, 6, 6), {}, METADATA)
    assert [step.implementation.split()[0] for step in made.plan.steps] == ["program", "program", "executor"]
    assert len(stand_in_executor.ASKED) == 1
