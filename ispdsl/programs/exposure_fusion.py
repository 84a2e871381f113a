"""Exposure fusion of a bracket made from one image. Images are ``(..., 3, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.colour import srgb, srgb_decode
from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, pad_mirror, shift
from ispdsl.programs.pyramid import collapse, depth, gaussian_pyramid, laplacian_pyramid

FRAMES = {"three": (-1, 0, 1), "five": (-2, -1, 0, 1, 2)}
"""Exposures of a bracket, in units of the distance between neighbours."""

MIDDLE, WIDTH = 0.5, 0.2
"""Centre and standard deviation of the weight of well-exposedness (Mertens et al. 2007, sec. 3.1)."""

LEAST = 1 / 255
"""Contrast and saturation below which frames count alike: one code of eight bits. It keeps logarithms finite."""


def exposure_fusion(
    image: Tensor,
    *,
    amount: Scalar,
    spread: Scalar,
    contrast: Scalar,
    saturation: Scalar,
    exposedness: Scalar,
    frames: str,
    space: str,
) -> Tensor:
    """Fuse exposures of one scene-linear image (Mertens, Kautz and Van Reeth 2007, "Exposure fusion").

    Each frame is the image scaled by a power of two, cut off at black and white as a camera's is, and encoded by the
    sRGB curve. Weights are blended by Gaussian pyramids, frames by Laplacian ones, and the result is decoded again.
    Weights are normalised in the logarithm, so that where no frame is well exposed the best one wins. Light that is
    cut off in every frame has no gradient through the frames.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        amount: 0 is the identity, 1 the fused image.
        spread: stops between neighbouring frames, 0 or more; 0 makes all frames the image.
        contrast: exponent of the weight by the Laplacian of luma.
        saturation: exponent of the weight by the standard deviation of the planes.
        exposedness: exponent of the weight by nearness to middle grey.
        frames: ``three`` or ``five``.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    gap = constant(spread, work)
    bracket = torch.stack([srgb(work * torch.exp2(offset * gap)) for offset in FRAMES[frames]])
    contrast, saturation, exposedness = (constant(power, work) for power in (contrast, saturation, exposedness))
    weights = torch.softmax(log_quality(bracket, contrast, saturation, exposedness, space), 0)
    count = depth(*work.shape[-2:])
    pair = zip(laplacian_pyramid(bracket, count), gaussian_pyramid(weights, count), strict=True)
    fused = [(bands * shares).sum(0) for bands, shares in pair]
    result = srgb_decode(collapse(fused))
    return (work + constant(amount, work) * (result - work)).to(image.dtype)


def log_quality(frame: Tensor, contrast: Tensor, saturation: Tensor, exposedness: Tensor, space: str) -> Tensor:
    """The logarithm of a frame's weight before it is normalised (Mertens et al. 2007), ``(..., 1, H, W)``."""
    grey = luma(frame, space)
    padded = pad_mirror(grey, 1)
    around = (shift(padded, 1, -1, 0) + shift(padded, 1, 1, 0)) + (shift(padded, 1, 0, -1) + shift(padded, 1, 0, 1))
    laplacian = (around - 4 * grey).square()
    variance = (frame - frame.mean(-3, keepdim=True)).square().mean(-3, keepdim=True)
    distance = ((frame - MIDDLE) / WIDTH).square().sum(-3, keepdim=True)
    edges = 0.5 * torch.log(laplacian + LEAST**2)
    colours = 0.5 * torch.log(variance + LEAST**2)
    return contrast * edges + saturation * colours - 0.5 * exposedness * distance
