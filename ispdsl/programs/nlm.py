"""Non-local means: the mean of the pixels whose surroundings look alike. Borders mirrored."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror, plus, shift, squared_length
from ispdsl.programs.pairs import compared, offsets, shared

PATCH_RADII = {"p3": 1, "p5": 2, "p7": 3}
"""Half the side of the patches that are compared, px."""

SEARCH_RADII = {"s7": 3, "s11": 5, "s15": 7}
"""Half the side of the window that is searched, px."""


def nl_means(image: Tensor, *, strength: Scalar, noise: Scalar, filtering: Scalar, patch: str, search: str) -> Tensor:
    """Non-local means (Buades, Coll and Morel 2005) with the noise's share taken off the distances.

    A neighbour whose patch differs by a mean square ``d2`` (over the patch and all planes) counts ``strength *
    exp(-max(d2 - 2 noise^2, 0) / (filtering * noise)^2)``, the pixel itself 1 (Buades, Coll and Morel 2011, "Non-Local
    Means Denoising", IPOL: flat patches in place of Gaussian ones). The planes share their weights.

    Args:
        image: ``(..., C, H, W)``, any range.
        strength: 0 leaves the image as it is, 1 gives the filter in full.
        noise: the standard deviation of the noise in a plane, above 0, of white.
        filtering: the decay h of the weights in units of `noise`, above 0.
        patch: side of the patches, a key of PATCH_RADII.
        search: side of the window, a key of SEARCH_RADII.
    """
    wide = at_least_single(image)
    border, reach = PATCH_RADII[patch], SEARCH_RADII[search]
    strength, noise = constant(strength, wide), constant(noise, wide)
    expected, decay = 2 * noise**2, -1 / (constant(filtering, wide) * noise) ** 2
    padded = pad_mirror(wide, reach + border)
    result, total = wide, torch.ones_like(wide[..., :1, :, :])
    for offset in offsets(reach):
        pixels, partners = compared(padded, reach, offset)
        apart = squared_length(partners - pixels) / wide.shape[-3]
        distance = box_sum(apart, 2 * border + 1) / (2 * border + 1) ** 2
        weight = strength * torch.exp(decay * (distance - expected).clamp(min=0))
        for (down, right), share in shared(weight, offset):
            result = plus(result, share, shift(padded, reach + border, down, right))
            total = total + share
    return (result / total).to(image.dtype)


def box_sum(image: Tensor, side: int) -> Tensor:
    """Sums of all squares of `side` px that fit in ``(..., H, W)``: ``(..., H - side + 1, W - side + 1)``.

    By shifts in one fixed order, so that equal squares have equal sums bit for bit wherever they lie.
    """
    height, width = image.shape[-2] - side + 1, image.shape[-1] - side + 1
    rows = image[..., :height, :]
    for offset in range(1, side):
        rows = rows + image[..., offset : offset + height, :]
    total = rows[..., :width]
    for offset in range(1, side):
        total = total + rows[..., offset : offset + width]
    return total
