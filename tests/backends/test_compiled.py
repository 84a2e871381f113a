"""What inductor makes of a composite is the composite, to 1e-5: values, gradients, choices, sizes, and packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.backends import ahead, built, inductor
from ispdsl.backends.ahead import TOLERANCE
from ispdsl.backends.arguments import Arguments, arguments
from ispdsl.backends.composite import Composite, Rendering
from ispdsl.backends.examples import difference, example
from ispdsl.errors import CompileError, RunError
from ispdsl.runtime.values import Settings
from tests import compiling, scenes
from tests.scenes import FREE

compiled = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor starts a C++ compiler")

# dynamo looks at `grad` of whatever goes in, and hides the warning by means that `error` does not know.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def called(run: Callable[..., Rendering], given: Arguments, **settings: Any) -> Rendering:
    return run(given.images, {**given.settings, **given.choices, **settings}, given.metadata, given.previous)


def agree(one: Rendering, other: Rendering):
    for kind in ("outputs", "taps", "statistics"):
        found, wanted = getattr(one, kind), getattr(other, kind)
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            assert found[name].shape == value.shape
            assert difference(found[name], value) <= TOLERANCE, name


def gradients(run: Callable[..., Rendering], composite: Composite, given: Arguments) -> dict[str, Tensor]:
    leaves = {address: value.clone().requires_grad_() for address, value in given.settings.items()}
    image = called(run, given, **leaves).image
    weights = torch.linspace(0, 1, image.numel()).reshape(image.shape)
    found = torch.autograd.grad((weights * image).mean(), list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


# ---- without compiling -------------------------------------------------------------------------------------


def test_arguments_are_those_of_the_call(folder: Path):
    made = compiling.composite(folder)
    image = torch.rand(1, 6, 8) * 9000
    metadata = {"black_level": [512.0] * 4, "white_level": 16383.0, "unread": 1.0}
    given = arguments(made, image, {"chequer.exponent": 2, "demosaic.method": "malvar"}, metadata)
    assert given.settings.keys() == {slot.address for slot in made.slots if slot.free}
    assert float(given.settings["chequer.exponent"]) == 2
    assert given.choices["demosaic.method"] == "malvar"
    assert given.metadata.keys() == {"black_level", "white_level"}
    wanted = made(image, {"chequer.exponent": 2, "demosaic.method": "malvar"}, metadata)
    agree(called(made, given), wanted)


def test_metadata_that_a_setting_starts_at_may_be_missing_where_it_is_set():
    made = scenes.composite("photo_finish")
    given = example(made, (20, 30))
    assert "as_shot_temperature" not in given.metadata
    again = arguments(made, given.images, {**given.settings, **given.choices}, given.metadata)
    assert again.settings == given.settings
    with pytest.raises(RunError, match="starts at the metadata"):
        arguments(made, given.images, given.choices, given.metadata)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chequer.exponent": 9}, "9 is outside the range"),
        ({"demosaic.method": "best"}, "demosaic.method"),
        ({"sharpen.amoun": 1.0}, "did you mean sharpen.amount"),
        ({"sharpen.radius": 1.0}, "sharpen.radius is fixed"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_compiled(folder: Path, settings: Any, message: str):
    made = compiling.composite(folder)
    with pytest.raises(RunError, match=message):
        inductor.Compiled(made)(torch.rand(1, 6, 8), settings, {"black_level": [0.0] * 4, "white_level": 1.0})


def test_statistics_before_the_first_frame_are_those_that_the_call_takes(folder: Path):
    made = compiling.composite(folder)
    given = example(made, (20, 30))
    assert given.previous.keys() == {"level"}
    first = made(given.images, given.settings, given.metadata)
    again = made(given.images, given.settings, given.metadata, given.previous)
    assert torch.equal(first.image, again.image)
    other = made(given.images, given.settings, given.metadata, {"level": torch.tensor(0.9)})
    assert not torch.equal(first.image, other.image)


def test_without_a_compiler_it_says_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    made = compiling.composite(folder)
    for make in (lambda: inductor.inductor(made), lambda: ahead.build(made, tmp_path / "out.pt2")):
        with pytest.raises(CompileError, match=r"no C\+\+ compiler.*no-such-compiler.*apt-get install g\+\+"):
            make()
    assert inductor.patient(made).cost == float("inf")


def test_it_is_compiled_once_that_would_have_paid(folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = compiling.composite(folder)
    given = example(made, (20, 30))
    ran: list[str] = []

    def compile_later(composite: Composite) -> Any:
        return lambda *words: ran.append("compiled") or composite(*words)

    times = iter([0.0, 4.0, 10.0, 13.0, 20.0, 24.0])
    monkeypatch.setattr(inductor, "inductor", compile_later)
    monkeypatch.setattr(inductor.time, "perf_counter", lambda: next(times))
    run = inductor.Patient(made, cost=10.0)
    for spent in (4.0, 7.0, 11.0):
        called(run, given)
        assert (run.spent, ran) == (spent, [])
    agree(called(run, given), called(made, given))
    assert ran == ["compiled"]


def test_a_way_back_counts_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = compiling.composite(folder)
    given = example(made, (20, 30))
    times = iter([0.0, 1.0])
    monkeypatch.setattr(inductor.time, "perf_counter", lambda: next(times))
    run = inductor.Patient(made, cost=10.0)
    called(run, given, **{"sharpen.amount": torch.tensor(0.5, requires_grad=True)})
    assert run.spent == 3.0


def test_what_is_settled_starts_there_and_what_is_fixed_stays(folder: Path):
    graph = compiling.graph(folder)
    settings = Settings.of(graph).update({"sharpen.amount": "90%", "demosaic.method": "malvar"})
    settled = ahead.settled(graph, settings, ["sharpen.*", "chequer.exponent"])
    made = compiling.composite(folder, graph=settled)
    given = example(made, (20, 30))
    assert given.settings.keys() == {"black_white.offset", "adapt.amount", "adapt.shape"}
    assert given.choices["demosaic.method"] == "malvar"
    plain = compiling.composite(folder)
    wanted = plain(given.images, {"sharpen.amount": 0.9, "demosaic.method": "malvar"}, given.metadata, given.previous)
    assert torch.equal(called(made, given).image, wanted.image)
    with pytest.raises(RunError, match="small has no parameter shapren"):
        ahead.settled(graph, settings, ["shapren.*"])


# ---- compiled ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@compiled
def test_a_small_pipeline_is_the_same_compiled(folder: Path):
    made = compiling.composite(folder)
    fast = inductor.inductor(made)
    for sides in ((20, 30), (31, 17), (64, 64)):
        given = example(made, sides)
        agree(called(fast, given), called(made, given))
        other = {"chequer.fields": "other", "chequer.exponent": torch.tensor(1.7)}
        agree(called(fast, given, **other), called(made, given, **other))
    assert len(fast.programs) == 2
    found, wanted = gradients(fast, made, given), gradients(made, made, given)
    for address, value in wanted.items():
        assert difference(found[address], value) <= TOLERANCE, address


@pytest.mark.slow
@compiled
def test_a_small_package_is_the_same(folder: Path, tmp_path: Path):
    made = compiling.composite(folder, taps=("demosaiced",))
    package = ahead.build(made, tmp_path / "small.pt2")
    assert set(package.record.errors) == {"display", "demosaiced", "level"}
    assert max(package.record.errors.values()) <= TOLERANCE
    loaded = built.load_built(package.path)
    for sides in ((20, 30), (33, 17)):
        given = example(made, sides, seed=3)
        first = made(given.images, None, given.metadata)
        agree(loaded(given.images["mosaic"], None, given.metadata), first)
        settings = {"chequer.exponent": 2.5, "sharpen.amount": "90%", "adapt.shape": [0.5, 1, 1.5, 1, 1]}
        agree(
            loaded(given.images, settings, given.metadata, first.statistics),
            made(given.images, settings | {"sharpen.amount": 0.9}, given.metadata, first.statistics),
        )
        without = {name: value for name, value in given.metadata.items() if name != "gain_map"}
        agree(loaded(given.images, None, without), made(given.images, None, without))
    with pytest.raises(RunError, match="part of this package's code"):
        loaded(given.images, {"demosaic.method": "malvar"}, given.metadata)
    assert built.load_built(package.path).record == package.record


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("name", list(FREE))
def test_a_shipped_pipeline_is_the_same_compiled(name: str):
    made = scenes.composite(name)
    given = example(made, (96, 130))
    agree(called(inductor.inductor(made), given), called(made, given))


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("name", list(FREE))
def test_gradients_of_a_shipped_pipeline_are_the_same_compiled(name: str):
    made = scenes.composite(name, taps=())
    given = example(made, (48, 66))
    found, wanted = gradients(inductor.inductor(made), made, given), gradients(made, made, given)
    for address, value in wanted.items():
        assert difference(found[address], value) <= TOLERANCE, address


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("name", list(FREE))
def test_a_package_of_a_shipped_pipeline_is_the_same(name: str, tmp_path: Path):
    package = ahead.build(scenes.composite(name, taps=()), tmp_path / f"{name}.pt2")
    assert max(package.record.errors.values()) <= TOLERANCE
