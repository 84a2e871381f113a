"""Write the looks of stdlib/looks: ``python tools/make_looks.py``. The same bytes each time, on every machine.

A look maps sRGB-encoded colour to sRGB-encoded colour on a grid of 17 points an axis.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ispdsl.runtime.cube import format_cube

LOOKS = Path(__file__).parents[1] / "stdlib" / "looks"
POINTS = 17
LUMA = np.array([0.2126, 0.7152, 0.0722])
SHADOW_TINT = np.array([-0.010, 0.001, 0.014])
"""Cool: what is added to encoded red, green, blue around a quarter of the scale."""
HIGHLIGHT_TINT = np.array([0.012, 0.003, -0.018])
"""Warm: the same around three quarters."""

Colours = NDArray[np.float64]


def neutral(colour: Colours) -> Colours:
    """Every colour as it is."""
    return colour


def soft_film(colour: Colours) -> Colours:
    """A mild print: a gentle S-curve, shadows a little cool, highlights a little warm, strong colours held back.

    Black and white stay where they are, and no neutral moves by more than 0.03 from its place on the curve.
    """
    curved = colour + 0.12 * colour * (1 - colour) * (2 * colour - 1)
    grey = (curved * LUMA).sum(-1, keepdims=True)
    distance = curved - grey
    strength = np.sqrt((distance**2).sum(-1, keepdims=True))
    held = grey + distance * 1.06 / (1 + (strength / 0.75) ** 2 * 0.35)
    shadow = 6.75 * grey * (1 - grey) ** 2
    highlight = 6.75 * grey**2 * (1 - grey)
    return np.clip(held + shadow * SHADOW_TINT + highlight * HIGHLIGHT_TINT, 0.0, 1.0)


def tables() -> dict[str, str]:
    """The text of every look, by file name."""
    axis = np.linspace(0.0, 1.0, POINTS)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    made = "made by tools/make_looks.py; sRGB-encoded in and out"
    return {
        f"{look.__name__}.cube": format_cube(look(grid), look.__name__.replace("_", " "), [made])
        for look in (neutral, soft_film)
    }


def main() -> None:
    """Write all files."""
    LOOKS.mkdir(parents=True, exist_ok=True)
    for name, text in tables().items():
        (LOOKS / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
