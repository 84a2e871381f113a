from __future__ import annotations

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.runtime.whitepoint import (
    COLDEST,
    HOTTEST,
    in_range,
    locus,
    temperature_tint_of,
    uv_of_xy,
    xy_of,
    xy_of_uv,
)


@given(st.floats(20.5, 595.0), st.floats(-150.0, 150.0))
def test_temperature_and_tint_name_one_white_in_both_directions(mired: float, tint: float) -> None:
    found = temperature_tint_of(xy_of(1e6 / mired, tint))
    assert found[0] == pytest.approx(1e6 / mired, rel=1e-9)
    assert found[1] == pytest.approx(tint, abs=1e-8)


@pytest.mark.parametrize("temperature", [1700.0, 2856.0, 5000.0, 6504.0, 10000.0, 40000.0])
def test_the_locus_is_that_of_colour_science(temperature: float) -> None:
    # Its locus is summed over 360 to 830 nm, ours over the 5 nm table from 380 to 780 nm.
    np.testing.assert_allclose(locus(temperature)[0], colour.temperature.CCT_to_uv_Planck1900(temperature), atol=6e-5)


@pytest.mark.parametrize("temperature", [2000.0, 5000.0, 15000.0])
def test_the_tint_is_3000_times_duv(temperature: float) -> None:
    expected = colour.temperature.CCT_to_uv([temperature, 0.01], method="Ohno 2013")
    np.testing.assert_allclose(uv_of_xy(xy_of(temperature, 30.0)), expected, atol=6e-5)


@pytest.mark.parametrize("temperature", [1700.0, 4000.0, 20000.0])
def test_the_derivative_of_the_locus(temperature: float) -> None:
    step = 1e-3 * temperature
    slope = (locus(temperature + step)[0] - locus(temperature - step)[0]) / (2 * step)
    np.testing.assert_allclose(locus(temperature)[1], slope, rtol=1e-4)


def test_a_positive_tint_lies_above_the_locus() -> None:
    assert uv_of_xy(xy_of(5000.0, 20.0))[1] > uv_of_xy(xy_of(5000.0))[1]


def test_daylight_lies_above_the_locus() -> None:
    temperature, tint = temperature_tint_of([0.3127, 0.3290])
    assert temperature == pytest.approx(6504, abs=5)
    assert tint == pytest.approx(9.6, abs=0.2)


@pytest.mark.parametrize(("xy", "end"), [((0.6, 0.38), COLDEST), ((0.235, 0.23), HOTTEST)])
def test_beyond_the_range_the_nearer_end_is_taken(xy: tuple[float, float], end: float) -> None:
    temperature = temperature_tint_of(xy)[0]
    assert temperature == pytest.approx(end)
    assert not in_range(temperature)


def test_uv_and_xy_are_inverse() -> None:
    np.testing.assert_allclose(xy_of_uv(uv_of_xy([0.3457, 0.3585])), [0.3457, 0.3585], rtol=1e-14)
    np.testing.assert_allclose(uv_of_xy([0.3457, 0.3585]), colour.xy_to_UCS_uv([0.3457, 0.3585]), rtol=1e-12)
