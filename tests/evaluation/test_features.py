"""Settings as places in the sampled ranges, what lies outside of them, and facts of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ispdsl.evaluation.features import apart, facts, outside, place, row
from ispdsl.ir.types import Type
from ispdsl.proxies.task import Knob

EV = Knob(name="ev", address="exposure.ev", kind="number", low=-4.0, high=4.0)
KELVIN = Knob(name="t", address="balance.t", kind="number", low=2500.0, high=10000.0, reciprocal=True)
METHOD = Knob(name="method", address="demosaic.method", kind="choice", options=("malvar", "menon"))
LID = Knob(name="lid", address="lift.lid", kind="toggle")
CURVE = Knob(name="points", address="curve.points", kind="table", low=0.0, high=2.0, shape=(16,))


def test_places_run_from_0_to_1_over_the_range() -> None:
    assert [float(place(EV, value)[0]) for value in (-4, 0, 4, 6)] == [0, 0.5, 1, 1.25]
    assert float(place(KELVIN, 4000.0)[0]) == pytest.approx(0.5), "equal steps of 1/K"
    assert place(METHOD, "menon").tolist() == [0, 1]
    assert place(LID, True).tolist() == [1]


def test_a_row_has_a_number_for_each_name() -> None:
    knobs = (EV, METHOD, LID, CURVE)
    settings = {
        "exposure.ev": 2.0,
        "demosaic.method": "malvar",
        "lift.lid": False,
        "curve.points": np.repeat([0.0, 2.0], 8),
    }
    found = row(knobs, settings)
    assert len(found) == 1 + 2 + 1 + 8
    assert found.tolist() == [0.75, 1, 0, 0, *[0] * 4, *[1] * 4]


def test_what_lies_outside_is_named_with_how_far() -> None:
    knobs = (EV, KELVIN, METHOD, LID, CURVE)
    inside: dict[str, Any] = {"exposure.ev": 4.0, "balance.t": 2500.0, "demosaic.method": "menon", "lift.lid": True}
    inside["curve.points"] = np.full(16, 2.0)
    assert outside(knobs, {"gain.by": 2.0}, {**inside, "gain.by": 2.0}) == ()
    table = np.full(16, 1.0)
    table[3] = 2.5
    beyond = {**inside, "exposure.ev": 8.0, "demosaic.method": "ahd", "curve.points": table, "gain.by": 2.5}
    found = {each.address: each.by for each in outside(knobs, {"gain.by": 2.0}, beyond)}
    assert found == {"gain.by": math.inf, "demosaic.method": 1.0, "exposure.ev": 0.5, "curve.points": 0.25}
    assert next(iter(found)) == "gain.by", "the furthest first"
    assert "8, but sampled were -4..4" in {each.message for each in outside((EV,), {}, {"exposure.ev": 8.0})}


def test_facts_do_not_depend_on_the_size_of_an_image() -> None:
    type_ = Type.parse("rgb<srgb, unit>")
    image = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32) * 1.2
    small, large = facts(image, type_, {}), facts(np.tile(image, (1, 3, 3)), type_, {})
    np.testing.assert_allclose(small, large, atol=0.05)
    assert small[0] == pytest.approx(np.log2(0.6), abs=0.05)
    assert small[2] == pytest.approx(0.22 / 1.2, abs=0.04), "the share at white or above"
    dark = facts(image * 0, type_, {})
    assert dark[3] == 1.0


def test_facts_of_a_mosaic_take_black_and_white_from_the_frame() -> None:
    type_ = Type.parse("raw<rggb, u16>")
    metadata = {"black_level": np.full(4, 500.0), "white_level": 4500.0}
    mosaic = np.full((1, 8, 8), 2500, np.uint16)
    mosaic[:, ::2, 1::2] = 1500  # a pattern of the filters is no detail
    found = facts(mosaic, type_, metadata)
    assert found[0] == pytest.approx(np.log2(0.4375), abs=0.01)
    assert found[4] == pytest.approx(-10, abs=0.1)


def test_members_are_apart_by_their_spread() -> None:
    image = np.full((3, 4, 4), 0.5, np.float32)
    type_ = Type.parse("rgb<srgb, unit>")
    assert apart([image, image + np.float32(0.25)], type_, {}) == pytest.approx(-3, abs=1e-3)
    assert apart([image, image], type_, {}) == -16
    codes = Type.parse("rgb<srgb, u8>")
    assert apart([image * 255, image * 255 + np.float32(63.75)], codes, {}) == pytest.approx(-3, abs=1e-3)
    assert apart([image, image * np.float32("nan")], type_, {}) == 0, "no picture at all"
