"""Suppression of false colour by medians of colour differences.

Freeman, "Median filter for reconstructing missing color samples", US patent 4724395, 1988: demosaicing fails as single
sites of wrong colour, which a median of the differences to green takes out while it leaves edges of colour where they
are. Green stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.median import median3x3
from ispdsl.programs.ops import Scalar, at_least_single, constant

PASSES = {"one": 1, "two": 2, "three": 3}
"""Passes of the filter by the name of the choice."""


def false_colour(image: Tensor, *, strength: Scalar, passes: str) -> Tensor:
    """Move red and blue towards green plus the 3x3 median of their difference to it.

    Args:
        image: ``(..., 3, H, W)``, any range; borders are mirrored.
        strength: 0..1; 0 is the identity, 1 the filter itself.
        passes: ``one``, ``two`` or ``three``; each goes over the differences that the one before has left.
    """
    working = at_least_single(image)
    red, green, blue = working.split(1, -3)
    differences = torch.cat([red - green, blue - green], -3)
    filtered = differences
    for _ in range(PASSES[passes]):
        filtered = median3x3(filtered)
    change = constant(strength, working) * (filtered - differences)
    red_change, blue_change = change.split(1, -3)
    return (working + torch.cat([red_change, torch.zeros_like(green), blue_change], -3)).to(image.dtype)
