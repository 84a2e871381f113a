"""The development of benchmarks/speed/small.isp as one would write it by hand, with numpy or with torch.

The same stages with the same numbers: exposure, camera to linear sRGB, colour matrix, saturation, the filmic curve of
Hable, levels, gamma, sRGB encoding; before them an unsharp mask of five taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ispdsl.runtime.frame import Frame

    Matrix = Sequence[Sequence[float]]

EV = 0.3
SHARPENING = 0.7
TAPS = tuple((1 - (offset / 3) ** 2) ** 3 for offset in (-2, -1, 0, 1, 2))
"""Of the blur, a triweight kernel of a standard deviation of 1 px, not yet of sum 1."""
MIXED = ((1.1, -0.05, -0.05), (-0.05, 1.1, -0.05), (-0.05, -0.05, 1.1))
SATURATION = 1.15
LUMA = (0.2126, 0.7152, 0.0722)
HABLE = (0.15, 0.5, 0.1, 0.2, 0.02, 0.3)
HABLE_EV, HABLE_WHITE = 1.0, 11.2
LEVELS = (0.01, 0.95)
GAMMA = 0.95


@dataclass(frozen=True)
class Recipe:
    """What of the development hangs on the frame."""

    black: tuple[float, ...]
    """In codes, of the sites of red, the green of red rows, the green of blue rows, and blue."""
    white: float
    gains: tuple[float, float, float]
    """Of the white balance."""
    matrix: Matrix
    """From balanced camera colour to linear sRGB, of the matrix for daylight, as dcraw makes it: greys stay grey."""


def recipe_of(frame: Frame) -> Recipe:
    """The numbers of a frame.

    Args:
        frame: a Bayer mosaic.
    """
    import numpy as np

    from ispdsl.runtime.spaces import RGB_SPACES, rgb_to_xyz

    seen = np.asarray(frame.metadata["colour_matrix_2"], dtype=float) @ rgb_to_xyz(RGB_SPACES["srgb"])
    matrix = np.linalg.inv(seen / seen.sum(1, keepdims=True))
    black = np.asarray(frame.metadata["black_level"], dtype=float)
    red = frame.cfa.index("r")
    sites = (red, red ^ 1, red ^ 2, red ^ 3)
    neutral = np.asarray(frame.metadata["as_shot_neutral"], dtype=float)
    red_gain, green_gain, blue_gain = (float(each) for each in 1 / neutral)
    return Recipe(
        tuple(float(black[site]) for site in sites),
        float(np.asarray(frame.metadata["white_level"])),
        (red_gain, green_gain, blue_gain),
        matrix.tolist(),
    )


def finish(xp: Any, planes: Sequence[Any], matrix: Matrix) -> list[Any]:
    """The eight pointwise stages.

    Args:
        xp: `numpy` or `torch`.
        planes: red, green and blue of one shape, sharpened camera colour.
        matrix: of the recipe.

    Returns:
        Red, green and blue, sRGB in 0..1.
    """
    planes = [plane * 2**EV for plane in planes]
    for rows in (matrix, MIXED):
        planes = [_mix(row, planes) for row in rows]
    luma = _mix(LUMA, planes)
    planes = [luma + SATURATION * (plane - luma) for plane in planes]
    return [_tone(xp, plane) for plane in planes]


def _mix(weights: Sequence[float], planes: Sequence[Any]) -> Any:
    return weights[0] * planes[0] + weights[1] * planes[1] + weights[2] * planes[2]


def _tone(xp: Any, plane: Any) -> Any:
    """Filmic curve, levels, gamma and encoding of one plane."""
    exposed = plane * 2**HABLE_EV
    plane = exposed * rise(xp.clip(exposed, 0.0, None)) / (HABLE_WHITE * rise(HABLE_WHITE))
    low, high = LEVELS
    plane = (plane - low) / (high - low)
    plane = plane * (plane * plane + 1e-8) ** ((GAMMA - 1) / 2)
    plane = xp.clip(plane, 0.0, 1.0)
    return xp.where(plane <= 0.0031308, 12.92 * plane, 1.055 * xp.clip(plane, 0.0031308, None) ** (1 / 2.4) - 0.055)


def rise(x: Any) -> Any:
    """Hable's curve over x, as one fraction."""
    a, b, c, d, e, f = HABLE
    return (a * x * (1 - e / f) + b * (c - e / f)) / (x * (a * x + b) + d * f)
