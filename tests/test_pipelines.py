"""The shipped pipelines on a synthetic raw and on real ones: gradients, taps, repeatability, footprints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.darkroom import develop, tensors
from ispdsl.errors import PlanError
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from tests.scenes import FREE, composite, exact, graph, moved, start, synthetic_frame, without_gradient

RAWS = {
    "hero6": ("gopro/dng/hero6_GOPR0024.dng", (0, 2000, 512, 512)),
    "fusion": ("gopro/crops/fusion_front_GPFR7066_y900_x1900.dng", (0, 0, 384, 384)),
    "eos_d30": ("containers/canon_eos_d30.crw", (300, 500, 384, 384)),
    "lg_linear": ("containers/lg_h815_linear_sample_1mp.dng", (0, 100, 338, 384)),
    "quicktake": ("containers/quicktake100_1.qtk", (100, 100, 320, 384)),
}
"""Real raws of five kinds, and the part of each that is looked at: a real scene, odd codes and few distinct values."""

pipelines = pytest.mark.parametrize("name", list(FREE))


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return synthetic_frame(tmp_path_factory.mktemp("raw"))


# ---- gradients -------------------------------------------------------------------------------------------------


@pipelines
def test_so_many_numbers_are_free(name: str, frame: Frame):
    leaves = start(composite(name), tensors(frame)[1])
    assert sum(leaf.numel() for leaf in leaves.values()) == FREE[name]


@pipelines
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_free_number_has_a_gradient(name: str, dtype: torch.dtype, frame: Frame):
    image, metadata = tensors(frame)
    assert without_gradient(composite(name), image.to(dtype), metadata) == {}


@pytest.mark.realdata
@pytest.mark.parametrize("raw", list(RAWS))
def test_every_free_number_has_a_gradient_on_real_raws(data: Path, raw: str):
    file, part = RAWS[raw]
    shot = read(data / "raw" / file).crop(*part)
    image, metadata = tensors(shot)
    wrong = {name: without_gradient(composite(name, shot.cfa), image, metadata) for name in FREE}
    assert not any(wrong.values()), wrong


# ---- taps ------------------------------------------------------------------------------------------------------


@pipelines
def test_every_tap_is_there_on_request_and_no_other(name: str, frame: Frame):
    taps = composite(name).plan.graph.taps
    assert set(graph(name).taps) <= set(taps) != set(), "those of sub-pipelines too"
    everything = develop(graph(name), frame, taps=None)
    assert list(everything.taps) == list(taps)
    for tap in taps:
        alone = develop(graph(name), frame, taps=[tap])
        assert list(alone.taps) == [tap]
        assert (alone.taps[tap].image == everything.taps[tap].image).all()
        assert all((alone.outputs[key].image == everything.outputs[key].image).all() for key in alone.outputs)
    assert develop(graph(name), frame).taps == {}


@pytest.mark.parametrize(
    ("name", "asked", "near"),
    [
        ("photo_finish", "tooned", "toned"),
        ("camera", "demosaiced_", "demosaiced"),
        ("low_light", "expose", "exposed"),
        ("learned_isp", "ballanced", "balanced"),
    ],
)
def test_an_unknown_tap_is_an_error_that_names_the_nearest(name: str, asked: str, near: str, frame: Frame):
    with pytest.raises(PlanError, match=f"{name} has no tap {asked}; did you mean {near}"):
        develop(graph(name), frame, taps=[asked])


# ---- repeatability -----------------------------------------------------------------------------------------------


@pipelines
def test_the_same_again_gives_the_same_bits(name: str, frame: Frame):
    settings = Settings.of(graph(name))
    first, second = (develop(graph(name), frame, settings, taps=None) for _ in range(2))
    for kind in ("outputs", "taps"):
        pictures, again = getattr(first, kind), getattr(second, kind)
        assert pictures.keys() == again.keys()
        assert all(pictures[key].image.tobytes() == again[key].image.tobytes() for key in pictures)
    assert all(first.statistics[key].tobytes() == second.statistics[key].tobytes() for key in first.statistics)


@pipelines
def test_a_batch_gives_what_each_image_with_its_settings_gives_alone(name: str, frame: Frame):
    made = composite(name)
    image, metadata = exact(frame)
    images = [image, image.flip(-1, -2), image * 0.5 + 100]
    each = [moved(name, frame, seed) for seed in range(3)]
    together = made(torch.stack(images), {key: torch.stack([one[key] for one in each]) for key in each[0]}, metadata)
    for index, (one, settings) in enumerate(zip(images, each, strict=True)):
        alone = made(one, settings, metadata)
        for kind in ("outputs", "taps", "statistics"):
            for key, value in getattr(alone, kind).items():
                found = getattr(together, kind)[key][index].reshape(value.shape)
                torch.testing.assert_close(found, value, rtol=0, atol=1e-6)


# ---- footprints --------------------------------------------------------------------------------------------------


def seen_within(run: Callable[[Tensor], Tensor], image: Tensor, place: tuple[int, int]) -> int:
    """How far, in px, a change of all planes of one pixel is seen in the result; -1 where it is not seen."""
    y, x = place
    other = image.clone()
    other[..., y, x] = 0.5 * other[..., y, x] + 0.1 * image.max()
    rows, columns = (run(image) != run(other)).any(0).nonzero().T
    return int(torch.maximum((rows - y).abs(), (columns - x).abs()).max()) if len(rows) else -1


@pipelines
def test_every_stage_says_its_footprint(name: str):
    for call in composite(name).plan.graph.calls:
        assert sum(item.name in ("pointwise", "local", "global") for item in call.signature.properties) == 1


LOCAL = {
    "camera": ((), {}),
    "learned_isp": ((), {}),
    "low_light": (("exposed",), {}),
    "photo_finish": ((), {"tone_map.highlights": torch.tensor(0.0), "tone_map.shadows": torch.tensor(0.0)}),
}
"""What is without statistics of this frame: whole pipelines, a tap, or the rest where the statistic has no say."""


@pipelines
def test_every_node_keeps_to_its_footprint(name: str, frame: Frame, monkeypatch: pytest.MonkeyPatch):
    """Each node is run again where it stands, with one pixel of one of its images changed."""
    made, run = composite(name, frame.cfa), Composite._run
    image, metadata = exact(frame)
    settings = {**moved(name, frame, share=0.1), **({} if name == "low_light" else {"demosaic.method": "menon"})}
    places = [(0, 0), (17, 30), (33, 21), (34, 35)]
    farthest: dict[str, int] = {}

    def again(made: Composite, step: Any, images: list[Tensor], *rest: Any) -> Any:
        def port(index: int, changed: Tensor) -> Tensor:
            given = [changed if place == index else each for place, each in enumerate(images)]
            return torch.cat(run(made, step, given, *rest), -3)

        if isinstance(radius[step.node], int):
            farthest[step.node] = max(
                seen_within(partial(port, index), image, place)
                for index, image in enumerate(images)
                for place in places
            )
        return run(made, step, images, *rest)

    stages = graph(name).module.stages
    footprints = {call.address: stages[call.signature.key].footprint for call in made.plan.graph.calls}
    radius = {key: None if f.kind == "global" else f.radius or 0 for key, f in footprints.items()}
    monkeypatch.setattr(Composite, "_run", again)
    made(image, settings, metadata)
    assert farthest.keys() == {key for key, reach in radius.items() if reach is not None}
    for key, seen in farthest.items():
        reach = radius[key]
        assert reach is not None
        assert min(1, reach) <= seen <= reach, key


@pipelines
def test_one_raw_sample_is_seen_no_farther_than_the_footprints_reach(name: str, frame: Frame):
    taps, settings = LOCAL[name]
    made = composite(name, frame.cfa, taps)
    image, metadata = exact(frame)
    first = made.plan.steps[0].reach
    reach = first if isinstance(first, int) else {"low_light": 2, "photo_finish": 8 + 23}[name]

    def run(raw: Tensor) -> Tensor:
        found = made(raw, settings, metadata)
        return torch.cat([found.taps[tap] for tap in taps]) if taps else found.image

    assert 0 < max(seen_within(run, image, place) for place in [(0, 0), (17, 30), (40, 21), (70, 71)]) <= reach
