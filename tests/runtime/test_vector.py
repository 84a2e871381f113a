from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.runtime.values import SettingsError
from ispdsl.runtime.vector import Vector
from tests.runtime.test_values import kinds

FREE = ("k.amount", "k.temperature", "k.strength", "k.gain", "k.points[0]", "k.points[1]", "k.points[2]")


def test_the_vector_holds_what_is_free():
    vector = Vector.of(kinds())
    assert vector.names == FREE
    assert vector.kinds == ("slider", "slider", "slider", "register", "curve", "curve", "curve")
    assert vector.units == ("%", "K", "", "", "", "", "")
    assert set(vector.bounds) == {(0.0, 1.0)}
    low, high = vector.soft_bounds[1]
    assert (low, high) == pytest.approx(((1 / 2 - 1 / 3) / (1 / 2 - 1 / 25), (1 / 2 - 1 / 9) / (1 / 2 - 1 / 25)))


def test_the_physical_face_has_the_declared_bounds_and_tables_without_a_range():
    vector = Vector.of(kinds(), "physical")
    assert len(vector.names) == len(FREE) + 24
    assert vector.bounds[:2] == ((-100.0, 100.0), (2000.0, 25000.0))
    assert vector.soft_bounds[1] == (3000.0, 9000.0)
    assert vector.bounds[-1] == (-math.inf, math.inf)
    assert vector.names[-1] == "k.look[1,1,1,2]"


@pytest.mark.parametrize("face", ["unit", "physical"])
def test_settings_come_back_from_the_vector(face):
    settings = kinds().update({"k.amount": 12.5, "k.points": [0, 0.75, 1]})
    vector = Vector.of(kinds(), face)
    numbers = vector.to_vector(settings)
    assert vector.to_vector(vector.from_vector(numbers)) == numbers
    assert vector.from_vector(numbers)["k.amount"] == 12.5


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_every_point_of_the_unit_cube_is_legal(numbers):
    vector = Vector.of(kinds())
    assert vector.to_vector(vector.from_vector(numbers)) == pytest.approx(tuple(numbers), abs=1e-12)


def test_only_some():
    vector = Vector.of(kinds(), only=["k.gain", "k.amount"])
    assert vector.names == ("k.gain", "k.amount")
    settings = vector.from_vector([0.0, 1.0])
    assert (settings["k.gain"], settings["k.amount"], settings["k.strength"]) == (0.5, 100.0, 1.0)
    for address, message in (
        ("k.held", "not free: it is fixed in the pipeline; remove `fixed` there"),
        ("k.look", "not free: it has no range, so its numbers have no place in 0..1; declare its range"),
        ("k.shape", "not free: a choice of .*; `ispdsl tune` searches choices; --set k.shape="),
        ("x", "no param"),
    ):
        with pytest.raises(SettingsError, match=message):
            Vector.of(kinds(), only=[address])


def test_a_pattern_stands_for_the_free_numbers_that_fit_it():
    assert Vector.of(kinds(), only=["k.*", "k.gain"]).names == FREE
    assert Vector.of(kinds(), only=["k.gain", "k.?mount", "k.*"]).names[:2] == ("k.gain", "k.amount")
    with pytest.raises(SettingsError, match="no parameter of this name"):
        Vector.of(kinds(), only=["q.*"])
    with pytest.raises(SettingsError, match="fixed in the pipeline"):
        Vector.of(kinds(), only=["k.hel?"])


def test_wrong_vectors_are_refused():
    vector = Vector.of(kinds())
    with pytest.raises(SettingsError, match="3 numbers are no vector of 7"):
        vector.from_vector([0.0] * 3)
    for bad in (1.1, -0.1, math.nan):
        with pytest.raises(SettingsError, match=r"outside 0\.\.1|not finite"):
            vector.from_vector([bad] * 7)


def test_a_value_that_waits_for_metadata_has_no_place():
    settings = kinds(temperature="$shot")
    vector = Vector.of(settings)
    with pytest.raises(SettingsError, match="has no value yet"):
        vector.to_vector(settings)
    assert vector.to_vector(settings.resolved({"shot": 2000.0}))[1] == 0.0
