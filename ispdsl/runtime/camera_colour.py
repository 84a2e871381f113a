"""The DNG colour model: matrices for two illuminants, the neutral of a white and the white of a neutral.

A colour matrix takes CIE XYZ to camera native colour. Between its two illuminants it is interpolated in inverse
temperature (Adobe DNG specification 1.7, chapter 6, "Mapping Camera Color Space to CIE XYZ Space"). Forward matrices
are not used: the white is adapted by whoever maps XYZ to a display.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.runtime.spaces import RGB_SPACES, adaptation, rgb_to_xyz, white_xyz
from ispdsl.runtime.whitepoint import in_range, temperature_tint_of

Array = NDArray[np.float64]

LINEAR_SRGB_TO_XYZ: Array = rgb_to_xyz(RGB_SPACES["linear_srgb"]).astype(np.float64)
"""From linear sRGB to XYZ under its own white, x = 0.3127, y = 0.3290."""

D65 = 6504.0
"""Correlated colour temperature of CIE illuminant D65 in kelvin."""

_ITERATIONS = 200
_LEAST_SHARE = 0.005
"""Share of each of X, Y and Z in the sum of the three for any light that a picture is taken in."""


@dataclass(frozen=True)
class ColourModel:
    """Colour matrices `(3, 3)` from XYZ to camera and their illuminants in kelvin, the colder first."""

    matrix_1: Array
    matrix_2: Array
    illuminant_1: float
    illuminant_2: float

    def matrix(self, temperature: float) -> Array:
        """The matrix for a white of this temperature; beyond the illuminants that of the nearer one."""
        if self.illuminant_1 == self.illuminant_2:
            return self.matrix_1
        inverse_1, inverse_2 = 1.0 / self.illuminant_1, 1.0 / self.illuminant_2
        weight = np.clip((1.0 / temperature - inverse_2) / (inverse_1 - inverse_2), 0.0, 1.0)
        return weight * self.matrix_1 + (1.0 - weight) * self.matrix_2

    def neutral_of(self, xy: Array) -> Array:
        """Camera colour `(3,)` of a neutral under the white `xy`, green = 1.

        Raises:
            ValueError: a channel would not see the white at all, or see it as negative.
        """
        neutral = self.matrix(temperature_tint_of(xy)[0]) @ _xyz(xy)
        if not neutral.min() > 0.0:
            raise ValueError("the matrices give a white that no camera could see")
        return neutral / neutral[1]

    def white_of(self, neutral: Array) -> Array:
        """The white (x, y) under which a neutral has this camera colour, by the DNG specification's iteration.

        Raises:
            ValueError: no white among real chromaticities gives this neutral.
        """
        xy = np.array([0.3457, 0.3585])
        for step in range(_ITERATIONS):
            xyz = np.linalg.solve(self.matrix(temperature_tint_of(xy)[0]), neutral)
            # On the way the wrong matrix may give a colour that no light has; only where it ends must be real.
            light = np.maximum(xyz, _LEAST_SHARE * np.abs(xyz).sum())
            following = light[:2] / light.sum()
            if np.abs(following - xy).max() < 1e-12:
                if (light != xyz).any():
                    break
                return following
            # Two whites that map to each other would alternate for ever; the iteration should land between them.
            xy = following if step < _ITERATIONS // 4 else 0.5 * (xy + following)
        raise ValueError("the neutral is no colour of light under these matrices")


def model_of_ccm(balanced_to_srgb: Array, neutral: Array, xy: Array) -> ColourModel:
    """The colour model of a camera of which only a matrix to linear sRGB under one white is known.

    Args:
        balanced_to_srgb: `(3, 3)` from white-balanced camera colour to linear sRGB, which the model meets exactly.
            Its rows must sum to 1, so that grey stays grey.
        neutral: `(3,)` camera colour of a neutral.
        xy: `(2,)` the white under which the frame was taken.
    """
    to_srgb = np.linalg.solve(LINEAR_SRGB_TO_XYZ, adaptation(_xyz(xy), LINEAR_SRGB_TO_XYZ @ np.ones(3)))
    matrix = neutral[:, None] * np.linalg.solve(balanced_to_srgb, to_srgb)
    temperature = temperature_tint_of(xy)[0]
    return ColourModel(matrix, matrix, temperature, temperature)


def _xyz(xy: Array) -> Array:
    return white_xyz((float(xy[0]), float(xy[1]))).astype(np.float64)


def as_shot_metadata(model: ColourModel, neutral: Array) -> tuple[dict[str, float | Array], list[str]]:
    """What a frame says of colour, from its model and its neutral `(3,)`, green = 1, with notes for the user."""
    notes: list[str] = []
    try:
        temperature, tint = temperature_tint_of(model.white_of(neutral))
    except (ValueError, np.linalg.LinAlgError):
        temperature, tint = D65, 0.0
        notes.append("the as-shot neutral is no colour of light under the colour matrices: temperature of D65 taken")
    if not in_range(temperature):
        notes.append(f"the as-shot white lies beyond the range of temperatures: {temperature:.0f} K taken")
    return {
        "as_shot_neutral": neutral,
        "as_shot_temperature": temperature,
        "as_shot_tint": tint,
        "colour_matrix_1": model.matrix_1,
        "colour_matrix_2": model.matrix_2,
        "illuminant_1": model.illuminant_1,
        "illuminant_2": model.illuminant_2,
    }, notes
