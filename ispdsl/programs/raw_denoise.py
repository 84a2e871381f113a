"""Noise reduction on the mosaic, by the sensor's own noise profile."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR
from ispdsl.programs.noise_model import anscombe, anscombe_inverse
from ispdsl.programs.ops import Scalar, at_least_single, constant, mirror, pad_mirror, plus, shift

SEARCH = 3
"""How many samples of the same colour the search reaches to each side."""

PATCH = 1
"""How many samples of the same colour a patch reaches to each side."""


def raw_denoise(mosaic: Tensor, *, noise_profile: Tensor, noise: Scalar, strength: Scalar, cfa: str) -> Tensor:
    """Non-local means of same-coloured samples where the noise has variance 1, brought back by the unbiased inverse.

    In the domain of `anscombe`, divided by `noise`, a sample becomes the mean of the 7x7 next samples of its colour,
    each weighed by ``exp(-max(d2 - 2, 0) / 2)``: d2 is the mean squared difference of the 3x3 patches about both, 2
    what noise alone makes of it (Buades, Coll and Morel, "Non-local means denoising", IPOL 1, 2011, with h^2 =
    2). The result is blended with the mosaic by `strength`. Planes of a `linear` frame are treated each alone.

    Args:
        mosaic: ``(..., 1, H, W)``, or ``(..., 3, H, W)`` for the CFA `linear`; black 0, white 1.
        noise_profile: ``(..., 2)``, variance = s x + o.
        noise: standard deviation of the noise, as a multiple of the profile's.
        strength: 0 to 1; 0 is the identity.
        cfa: name of the CFA.
    """
    work = at_least_single(mosaic)
    scale = constant(noise, work)
    stable = anscombe(work, noise_profile=noise_profile) / scale
    clean = anscombe_inverse(
        non_local_means(stable, 1 if cfa == LINEAR else 2) * scale, noise_profile=noise_profile, form="unbiased"
    )
    return (work + constant(strength, work) * (clean - work)).to(mosaic.dtype)


def non_local_means(image: Tensor, step: int) -> Tensor:
    """Non-local means of noise of variance 1 among the samples `step` px apart, each plane alone."""
    padded = pad_mirror(image, step * SEARCH)
    rows, columns = (mirror(image.shape[axis], step * PATCH, step * PATCH, image.device) for axis in (-2, -1))
    result, total = image, torch.ones_like(image)
    offsets = range(-SEARCH, SEARCH + 1)
    for down in offsets:
        for right in offsets:
            if down == right == 0:
                continue
            neighbour = shift(padded, step * SEARCH, step * down, step * right)
            distance = patch_mean((neighbour - image).square(), step, rows, columns)
            weight = torch.exp(-(distance - 2).clamp(min=0) / 2)
            result = plus(result, weight, neighbour)
            total = total + weight
    return result / total


def patch_mean(image: Tensor, step: int, rows: Tensor, columns: Tensor) -> Tensor:
    """The mean of the 3x3 samples `step` px apart about every sample; `rows` and `columns` mirror the borders."""
    for axis, index in ((-2, rows), (-1, columns)):
        size, padded = image.shape[axis], image.index_select(axis, index)
        image = (padded.narrow(axis, 0, size) + image + padded.narrow(axis, 2 * step * PATCH, size)) / 3
    return image
