"""Samples of the composite are what `ispdsl run` makes of the same part, and of a stage what the whole makes there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.errors import StageError
from ispdsl.graph import Graph
from ispdsl.passes.segments import cut
from ispdsl.plan import prepared
from ispdsl.runtime.frame import Frame
from ispdsl.sampling.asks import Wish
from ispdsl.sampling.rendering import renderer
from ispdsl.store.blobs import encode
from tests.sampling.made import frame, graph, listed, recipe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Frame]:
    folder = tmp_path_factory.mktemp("raw")
    return {name: frame(name, folder) for name in ("coffee", "cat")}


def test_a_sample_is_what_developing_the_part_gives(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=6))
    render = renderer(recipe(tiny, asks))
    for ask in asks.asks:
        sample, seconds = render(ask)
        settings = ispdsl.Settings.of(tiny).update(ask.changed)
        wanted = ispdsl.develop(tiny, ask.part.frame, settings, taps=None)
        assert np.array_equal(sample.images["mosaic"], ask.part.frame.image)
        for name, picture in {**wanted.taps, **wanted.outputs}.items():
            assert np.array_equal(sample.images[name], picture.image)
        assert set(sample.images) == {"mosaic", "linear", "exposed", "toned", "out"}
        assert (sample.raw, sample.part, sample.type) == (ask.part.raw, ask.part.place, str(ask.part.frame.type))
        assert seconds > 0


def test_the_settings_of_a_sample_are_all_and_give_it_again(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=2))
    sample, _ = renderer(recipe(tiny, asks))(asks.asks[1])
    settings = ispdsl.Settings.of(tiny).update(sample.settings)
    again = ispdsl.develop(tiny, asks.asks[1].part.frame, settings)
    assert np.array_equal(again.outputs["out"].image, sample.images["out"])
    assert {"demosaic.method", "hist.channel", "exposure.ev", "texture.amount"} <= set(sample.settings)


def test_equal_asks_give_equal_bytes(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=2))
    one, two = (encode(renderer(recipe(tiny, asks))(asks.asks[0])[0]) for _ in range(2))
    assert one == two


def test_a_stage_is_rendered_to_its_tap_and_no_further(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=2, per_stage=True))
    render = renderer(recipe(tiny, asks))
    names = {ask.stage: set(render(ask)[0].images) for ask in asks.asks}
    assert names == {
        "linear": {"mosaic", "linear"},
        "exposure": {"linear", "exposed"},
        "tone_map": {"exposed", "toned"},
        "texture": {"toned", "out"},
    }
    ask = next(ask for ask in asks.asks if ask.stage == "tone_map")
    wanted = ispdsl.develop(tiny, ask.part.frame, ispdsl.Settings.of(tiny).update(ask.changed), taps=None)
    assert np.array_equal(render(ask)[0].images["toned"], wanted.taps["toned"].image)


def test_a_chart_shows_what_the_stage_alone_does_to_it(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=1, charts=2))
    ask = next(ask for ask in asks.asks if ask.chart is not None and ask.stage == "tone_map")
    sample, _ = renderer(recipe(tiny, asks))(ask)
    assert (sample.raw, sample.extra["stage"], sample.extra["chart"]) == ("chart", "tone_map", True)
    alone = compile(cut(prepared(tiny, cfa=ask.part.frame.cfa), "tone_map"))
    given = {name: str(value) for name, value in sample.settings.items() if name.startswith("tone_map")}
    found = alone(torch.from_numpy(sample.images["exposed"]), given)
    assert np.allclose(found.image.numpy(), sample.images["toned"], atol=1e-6)
    assert np.ptp(sample.images["toned"] - sample.images["exposed"]) > 0.01


def test_what_is_not_finite_is_no_sample(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=1))
    ask = asks.asks[0]
    broken = replace(ask.part.frame, metadata={**ask.part.frame.metadata, "white_level": float("inf")})
    with pytest.raises(StageError):
        renderer(recipe(tiny, asks))(replace(ask, part=replace(ask.part, frame=broken)))


def test_a_border_stands_in_the_sample(tiny: Graph, frames: dict[str, Frame], tmp_path: Path) -> None:
    asks = listed(tiny, frames, Wish(count=1))
    sample, _ = renderer(recipe(tiny, asks))(asks.asks[0])
    assert sample.extra == {"border": 34, "stage": None, "chart": False}
