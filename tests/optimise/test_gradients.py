"""Gradients: choices and codes that are relaxed on the way and legal at the end, judged by the real thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import ispdsl
from ispdsl.backends.composite import Composite, Rendering, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.errors import CompileError
from ispdsl.graph import Graph
from ispdsl.optimise.engine import search
from ispdsl.optimise.free import Free
from ispdsl.optimise.gradients import Relaxed, Shot, gradients, upright
from ispdsl.optimise.mixtures import Weighed, mixed
from ispdsl.optimise.relaxation import Relaxation, straight_through
from ispdsl.optimise.space import Numbers
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw
from tests.scenes import graph as shipped

METHODS = ("bilinear", "malvar", "menon", "ahd", "ratio_corrected")


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    path = Path(tmp_path_factory.mktemp("raw")) / "coffee.dng"
    write_demo_raw(path, "coffee", size=48)
    whole = ispdsl.read(path)
    return replace(whole, image=whole.image[:, :20, :20])


TEXT = """
from raw      import black_white
from demosaic import demosaic
from tone     import exposure, contrast

pipeline small(mosaic: raw<C, u16>) -> (display: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real

  display = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> demosaic(method = malvar)
    -> tap demosaiced
    -> exposure
    -> contrast(pivot = fixed 0.18)
}
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = Path(tmp_path_factory.mktemp("text")) / "small.isp"
    path.write_text(TEXT)
    return ispdsl.build(ispdsl.load(path))


@pytest.fixture(scope="module")
def start(graph: Graph, frame: Frame) -> Settings:
    return Settings.of(graph).resolved(frame.metadata)


@pytest.fixture(scope="module")
def composite(graph: Graph, frame: Frame) -> Composite:
    return compile(graph, types=match(graph, {mosaic_input(graph): frame.type}), taps=("demosaiced",))


def rendered(composite: Composite, settings: Settings, frame: Frame) -> Rendering:
    image, metadata = tensors(frame)
    with torch.no_grad():
        return composite(image, settings_tensors(settings), metadata)


def test_a_mixture_is_the_mean_of_its_alternatives(composite: Composite, start: Settings, frame: Frame) -> None:
    image, metadata = tensors(frame)
    weights = torch.tensor([0.5, 0.25, 0.0, 0.25, 0.0], dtype=torch.float64, requires_grad=True)
    both = mixed(composite, {"demosaic.method": Weighed(METHODS, weights)})
    found = both(image, settings_tensors(start), metadata).taps["demosaiced"]
    parts = [
        composite(image, settings_tensors(start.set("demosaic.method", each)), metadata).taps["demosaiced"]
        for each in METHODS
    ]
    expected = 0.5 * parts[0] + 0.25 * parts[1] + 0.25 * parts[3]
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found.sum(), weights)
    torch.testing.assert_close(slope[1].float(), parts[1].sum(), rtol=1e-4, atol=0.01)
    assert slope[2] == 0, "what has no weight is not run"


def test_too_many_alternatives_are_refused(composite: Composite) -> None:
    many = Weighed(tuple(f"o{n}" for n in range(30)), torch.full((30,), 1 / 30))
    with pytest.raises(CompileError, match=r"node demosaic: demosaic\.method have 30 alternatives"):
        mixed(composite, {"demosaic.method": many})


def test_codes_are_rounded_forward_and_not_backward() -> None:
    x = torch.tensor([0.0, 0.2, 0.49, 0.51, 1.0], dtype=torch.float64, requires_grad=True)
    found = straight_through(x, 5)
    np.testing.assert_array_equal(found.detach().numpy(), [0, 0.25, 0.5, 0.5, 1])
    (slope,) = torch.autograd.grad((found**2).sum(), x)
    torch.testing.assert_close(slope, 2 * found.detach())


def test_relaxed_registers_are_those_codes_that_the_free_space_has() -> None:
    settings = Settings.of(shipped("hardware_isp"))
    free = Free.of(settings)
    relaxation = Relaxation(free)
    for seed in range(5):
        point = np.random.default_rng(seed).random(free.space.size)
        values, choices = relaxation.settings(torch.from_numpy(point), 0.1)
        legal = settings_tensors(free.at(free.space.snap(point)))
        assert not choices
        for address in free.addresses:
            expected = legal[address]
            assert isinstance(expected, Tensor)
            torch.testing.assert_close(values[address], expected)
        np.testing.assert_array_equal(relaxation.legal(point)[0], free.space.snap(point))


def test_numbers_and_names_go_there_and_back(start: Settings) -> None:
    images = [("a", start), ("b", start.set("exposure.ev", 0.5))]
    only = ["contrast.amount", "demosaic.method"]
    free = Free.of(start, only, own=["exposure.ev"], images=images)
    relaxation = Relaxation(free)
    point = free.space.snap(np.array([0.3, 0.7, 0.6, 0.9])[: free.space.size])
    assert relaxation.size == free.space.size - 1 + len(METHODS)
    x = relaxation.start(point)
    np.testing.assert_allclose(relaxation.legal(x)[0], point, atol=1e-12)
    for image, settings in enumerate(free.all_at(point)):
        values, choices = relaxation.settings(torch.from_numpy(x), 0.0, image)
        expected = settings_tensors(settings)
        for address, value in values.items():
            torch.testing.assert_close(value, expected[address])
        chosen = choices["demosaic.method"]
        assert chosen.options[int(chosen.weights.argmax())] == settings["demosaic.method"]
        assert chosen.weights.max() == 1
    soft = relaxation.settings(torch.from_numpy(x), 0.1)[1]["demosaic.method"].weights
    assert 0.2 < soft.max() < 0.999
    assert float(soft.sum()) == pytest.approx(1)
    several = relaxation.legal(x, 3)
    assert len({each.tobytes() for each in several}) == 3
    np.testing.assert_array_equal(several[0], relaxation.legal(x)[0])


def test_the_name_and_the_number_behind_a_picture_are_found(
    composite: Composite, start: Settings, frame: Frame
) -> None:
    """By a tap and an output; the real thing here is the programs themselves."""
    free = Free.of(start, ["contrast.amount", "demosaic.method"])
    hidden = start.update({"contrast.amount": -20.0, "demosaic.method": "ratio_corrected"})
    wanted = rendered(composite, hidden, frame)

    def look(renderings: Sequence[Rendering]) -> Tensor:
        (one,) = renderings
        return (one.image - wanted.image).abs().mean() + (
            one.taps["demosaiced"] - wanted.taps["demosaiced"]
        ).abs().mean()

    shot = Shot(composite, settings_tensors(start), *tensors(frame))
    asked: list[Settings] = []

    def score(point: Numbers) -> float:
        asked.append(free.at(point))
        return float(look([rendered(composite, asked[-1], frame)]))

    searcher = gradients(Relaxed(Relaxation(free), [shot], look), steps=16, again=16, tried=2)
    found = search(searcher, score, free.space, calls=10, start=free.space.snap(free.start))
    best = free.at(found.point)
    assert best["demosaic.method"] == "ratio_corrected"
    assert best["contrast.amount"] == pytest.approx(-20, abs=2)
    assert len(asked) == 3, "at the start, and each name that was likely"
    assert len({each["demosaic.method"] for each in asked[1:]}) == 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tensors_are_turned_as_pictures_are(orientation: int) -> None:
    picture = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    np.testing.assert_array_equal(upright(torch.from_numpy(picture), orientation), orient(picture, orientation))
