"""Charts: synthetic images whose colours cover what a pointwise stage may be given, also where photographs are rare.

A third of the pixels is spread evenly over the cube of colours, a third is dark (photographs mostly are), and the rest
lies near the neutral axis, where people see errors first. Scene-referred values go beyond white, as they do after
exposure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.types import INTEGER_STORAGE, Type

SIDE = 128
"""Height and width in px."""

HEADROOM = 4.0
"""The brightest colours of scene-referred charts, over white."""


def chart(type_: Type, seed: int, side: int = SIDE) -> NDArray[np.float32]:
    """A chart of colours in random places, `(planes, side, side)` in the numbers of the type.

    Args:
        type_: an image: ``unit`` stays in 0..1, codes in theirs, ``f32`` reaches from a little below 0 to `HEADROOM`.
        seed: of the colours; equal seeds give equal charts.
        side: height and width in px.
    """
    rng = np.random.default_rng([seed, type_.planes])
    count, planes = side * side, type_.planes
    even, dark = count // 3, count // 3
    cube = rng.random((even, planes))
    shadows = rng.random((dark, planes)) * rng.random((dark, 1)) ** 3
    greys = rng.random((count - even - dark, 1)) ** 2 + rng.normal(0.0, 0.03, (count - even - dark, planes))
    colours = np.concatenate([cube, shadows, greys])
    codes = INTEGER_STORAGE.fullmatch(str(type_.args[-1]))
    if type_.args[-1] == "unit" or codes:
        colours = colours.clip(0.0, 1.0)
        colours = np.round(colours * (2 ** int(codes[1]) - 1)) if codes else colours
    else:
        bright = rng.random(count) < 0.25
        colours[bright] *= 1.0 + (HEADROOM - 1.0) * rng.random((int(bright.sum()), 1))
    shuffled = colours[rng.permutation(count)]
    return np.ascontiguousarray(shuffled.T.reshape(planes, side, side), dtype=np.float32)
