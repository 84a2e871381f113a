"""Sharpening of ``(..., C, H, W)`` by a blur of free radius or by the Laplacian; borders are mirrored."""

from __future__ import annotations

from torch import Tensor

from ispdsl.programs.detail import blur, soft_threshold
from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, pad_mirror, shift, sum_terms

WIDEST = 5.0
"""Hard upper limit of the radii in px: the window that a free radius gets."""

CROSS = ((-1, 0), (0, -1), (0, 1), (1, 0))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
"""Offsets (down, right) of the four next neighbours, and of those over the corners."""


def unsharp_mask(image: Tensor, *, radius: Scalar, amount: Scalar, threshold: Scalar, space: str) -> Tensor:
    """Unsharp mask of luma (Gonzalez and Woods, Digital Image Processing, sec. 3.6), added to the planes alike.

    ``out = image + amount * soft(luma - blur(luma, radius), threshold)``, where ``soft`` pulls differences towards zero
    by `threshold` (Donoho 1995). Differences between planes, and with them hue, stay.

    Args:
        image: ``(..., 3, H, W)``, any range.
        radius: standard deviation of the blur in px, 0.3 to 5.
        amount: 0 to 5; 0 is the identity.
        threshold: difference of luma below which nothing is sharpened, 0 to 0.2 of white.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    light = luma(work, space)
    soft = soft_threshold(light - _blur(light, radius), threshold)
    return (work + constant(amount, work) * soft).to(image.dtype)


def high_pass(image: Tensor, *, strength: Scalar, radius: Scalar) -> Tensor:
    """Take the blurred image away: ``image - strength * blur(image, radius)``, each plane alike.

    At `strength` 1 what is left has no flat part: a flat image becomes 0.

    Args:
        image: ``(..., C, H, W)``, any range.
        strength: 0 (the identity) to 1.
        radius: standard deviation of the blur in px, 0.3 to 5.
    """
    work = at_least_single(image)
    return (work - constant(strength, work) * _blur(work, radius)).to(image.dtype)


def laplacian_sharpen(image: Tensor, *, amount: Scalar, neighbours: str) -> Tensor:
    """Add the difference from the mean of the neighbours: sharpening by the Laplacian, each plane alike.

    Gonzalez and Woods, Digital Image Processing, sec. 3.6, the masks of the Laplacian without and with its diagonal
    terms, here divided by the number of neighbours.

    Args:
        image: ``(..., C, H, W)``, any range.
        amount: 0 (the identity) to 4.
        neighbours: ``four`` or ``eight``.
    """
    work = at_least_single(image)
    offsets = CROSS if neighbours == "four" else (*CROSS, *CORNERS)
    padded = pad_mirror(work, 1)
    around = sum_terms([shift(padded, 1, down, right) for down, right in offsets]) / len(offsets)
    return (work + constant(amount, work) * (work - around)).to(image.dtype)


def _blur(image: Tensor, radius: Scalar) -> Tensor:
    return blur(image, radius, WIDEST if isinstance(radius, Tensor) else radius)
