from __future__ import annotations

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.runtime.camera_colour import LINEAR_SRGB_TO_XYZ, ColourModel, as_shot_metadata, model_of_ccm
from ispdsl.runtime.spaces import D65_XY
from ispdsl.runtime.whitepoint import temperature_tint_of, xy_of
from tests.runtime.dng_files import COLOUR_1, COLOUR_2

MODEL = ColourModel(COLOUR_1, COLOUR_2, 2850.0, 6500.0)


def test_matrices_are_interpolated_in_inverse_temperature() -> None:
    middle = 2.0 / (1 / 2850.0 + 1 / 6500.0)
    np.testing.assert_allclose(MODEL.matrix(middle), (COLOUR_1 + COLOUR_2) / 2)
    np.testing.assert_array_equal(MODEL.matrix(1900.0), COLOUR_1)
    np.testing.assert_array_equal(MODEL.matrix(9000.0), COLOUR_2)


@given(st.floats(2200.0, 9000.0), st.floats(-40.0, 40.0))
def test_a_neutral_leads_back_to_its_white(temperature: float, tint: float) -> None:
    xy = xy_of(temperature, tint)
    np.testing.assert_allclose(MODEL.white_of(MODEL.neutral_of(xy)), xy, atol=1e-9)


def test_a_neutral_of_no_light_is_refused_and_noted() -> None:
    neutral = np.array([1e-3, 1.0, 1e-3])
    with pytest.raises(ValueError, match="no colour of light"):
        MODEL.white_of(neutral)
    metadata, notes = as_shot_metadata(MODEL, neutral)
    assert metadata["as_shot_temperature"] == 6504.0
    assert any("no colour of light" in note for note in notes)


def test_a_white_beyond_the_temperatures_is_noted() -> None:
    fire = np.array([0.61, 0.36])
    notes = as_shot_metadata(MODEL, MODEL.neutral_of(fire))[1]
    assert any("beyond the range" in note for note in notes)


@pytest.mark.parametrize("xy", [np.array(D65_XY), xy_of(3200.0, 5.0)])
def test_a_ccm_is_met_exactly_under_its_white(xy: np.ndarray) -> None:
    ccm = np.array([[1.8, -0.6, -0.2], [-0.3, 1.5, -0.2], [0.1, -0.9, 1.8]])
    neutral = np.array([0.5, 1.0, 0.7])
    model = model_of_ccm(ccm, neutral, xy)
    np.testing.assert_allclose(model.white_of(neutral), xy, atol=1e-10)
    # An independent way from balanced camera to linear sRGB: colour-science's adaptation.
    to_d65 = colour.adaptation.matrix_chromatic_adaptation_VonKries(
        colour.xy_to_XYZ(xy), colour.xy_to_XYZ(np.array(D65_XY)), transform="Bradford"
    )
    to_xyz = to_d65 @ np.linalg.inv(model.matrix(temperature_tint_of(xy)[0])) @ np.diag(neutral)
    np.testing.assert_allclose(np.linalg.inv(LINEAR_SRGB_TO_XYZ) @ to_xyz, ccm, atol=2e-4)
