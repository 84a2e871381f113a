"""What a run asks for: the same list for everybody, raws evenly, stages by themselves, charts for pointwise ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ispdsl.errors import PlanError
from ispdsl.graph import Graph
from ispdsl.runtime.frame import Frame
from ispdsl.sampling.asks import Wish, parts_each
from tests.sampling.made import frame, graph, listed


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Frame]:
    folder = tmp_path_factory.mktemp("raw")
    return {name: frame(name, folder) for name in ("coffee", "cat")}


def test_the_list_is_a_pure_function_of_the_wish(tiny: Graph, frames: dict[str, Frame]) -> None:
    one, two = (listed(tiny, frames, Wish(count=12, seed=3)) for _ in range(2))
    assert [ask.key for ask in one.asks] == [ask.key for ask in two.asks]
    assert one.design == two.design
    other = listed(tiny, frames, Wish(count=12, seed=4))
    assert not {ask.key for ask in one.asks} & {ask.key for ask in other.asks}
    assert one.design["samples_sha256"] != other.design["samples_sha256"]


def test_a_key_knows_everything_that_decides_the_sample(tiny: Graph, frames: dict[str, Frame]) -> None:
    wish = Wish(count=4)
    keys = {ask.key for ask in listed(tiny, frames, wish).asks}
    for other in (replace(wish, taps=("linear",)), replace(wish, vary={"exposure.ev": "0..1"})):
        assert not keys & {ask.key for ask in listed(tiny, frames, other).asks}
    brighter = {name: replace(each, metadata={**each.metadata, "white_level": 9.0}) for name, each in frames.items()}
    assert not keys & {ask.key for ask in listed(tiny, brighter, wish).asks}


@pytest.mark.parametrize("kind", ["latin", "sobol"])
def test_drawn_points_are_shared_out_evenly_and_unordered(tiny: Graph, frames: dict[str, Frame], kind: str) -> None:
    asks = listed(tiny, frames, Wish(kind=kind, count=32)).asks  # type: ignore
    assert Counter(ask.part.raw for ask in asks) == {"coffee": 16, "cat": 16}
    names = [ask.part.raw for ask in asks]
    assert names != names[:2] * 16  # in turns, raws would meet a digit of the Sobol' sequence always alike
    assert len({ask.part.place for ask in asks if ask.part.raw == "cat"}) == 3


def test_regular_designs_ask_every_point_on_every_part(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(kind="corners", count=4, only=("exposure.ev", "texture.amount"))).asks
    assert len(asks) == 4 * 2 * 3
    assert parts_each(Wish(kind="corners"), 2) == 1
    assert parts_each(Wish(count=10), 4) == 3
    assert parts_each(Wish(count=10_000), 4) == 32


def test_what_is_asked_twice_is_there_once(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=20, only=("demosaic.method",), vary={"demosaic.method": "malvar"})).asks
    assert len(asks) == 6
    assert [ask.number for ask in asks] == list(range(6))


def test_each_stage_has_a_design_of_its_own_parameters_and_those_before(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=5, per_stage=True)).asks
    moved = {ask.stage: set(ask.changed) for ask in asks}
    assert moved == {
        "linear": set(),
        "exposure": {"exposure.ev"},
        "tone_map": {"exposure.ev", "tone_map.highlights", "tone_map.shadows"},
        "texture": {"exposure.ev", "tone_map.highlights", "tone_map.shadows", "texture.amount"},
    }
    assert Counter(ask.stage for ask in asks)["texture"] == 5
    evs = {(ask.stage, ask.changed["exposure.ev"]) for ask in asks if ask.stage in ("exposure", "texture")}
    assert len({ev for _, ev in evs}) == 10


def test_charts_are_for_pointwise_stages_and_borrow_from_training_raws(tiny: Graph, frames: dict[str, Frame]) -> None:
    asks = listed(tiny, frames, Wish(count=4, charts=3), held_out=["cat"]).asks
    charts = [ask for ask in asks if ask.chart is not None]
    assert Counter(ask.stage for ask in charts) == {"exposure": 3, "tone_map": 3}
    assert {ask.part.raw for ask in charts} == {"coffee"}
    assert len({ask.chart for ask in charts}) == 6
    assert all(set(ask.changed) == {"exposure.ev"} for ask in charts if ask.stage == "exposure")


def test_without_a_stage_for_charts_they_are_refused(tiny: Graph, frames: dict[str, Frame]) -> None:
    with pytest.raises(PlanError, match="can be shown charts"):
        listed(tiny, frames, Wish(count=4, charts=1, taps=()))


def test_the_design_says_what_was_varied_over_what(tiny: Graph, frames: dict[str, Frame]) -> None:
    told = listed(tiny, frames, Wish(count=4, vary={"demosaic.method": "malvar, menon"})).design
    assert told["varied"]["exposure.ev"] == {"low": -4.0, "high": 4.0, "unit": "ev"}
    assert told["varied"]["demosaic.method"] == {"values": ["malvar", "menon"]}
    assert (told["kind"], told["size"], told["border"]) == ("latin", 16, 34)
    assert np.isclose(len(told["samples_sha256"]), 64)
