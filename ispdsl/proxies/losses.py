"""What a double is trained to make small, by name; all take images ``(B, C, H, W)``, the first two rows ``(N, C)`` too.

Values may be scene-linear, where a bright pixel's error counts as much as a thousand dark ones'. So every loss has a
companded form, such as ``l2_companded``: both sides go through `compand` first, and errors are about relative ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import cos, pi, sin

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.errors import CompileError
from ispdsl.proxies.codec import compand
from ispdsl.proxies.mosaic import pad

Loss = Callable[[Tensor, Tensor], Tensor]

GRADIENT_WEIGHT = 1.0
SCALES = 4
"""Levels of the pyramid that `perceptual` compares."""

GABOR_RADIUS, GABOR_SIGMA, GABOR_WAVE = 4, 2.0, 4.0
"""Of the oriented filters, in pixels of their level."""


def l1(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error."""
    return (given - wanted).abs().mean()


def l2(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error."""
    return (given - wanted).square().mean()


def l1_gradient(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of values and of differences to the next pixel (Tseng et al. 2022, section 3.2)."""
    error = given - wanted
    if error.dim() < 3:
        raise CompileError("the loss l1_gradient compares neighbours", "choose l1 or l2 for pixels alone")
    total = error.abs().mean()
    for axis in (-1, -2):
        if error.shape[axis] > 1:
            total = total + GRADIENT_WEIGHT * error.diff(dim=axis).abs().mean()
    return total


def perceptual(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error, and that of own features: a Laplacian pyramid and the energy of four orientations in it.

    The features are fixed formulas (Burt and Adelson, "The Laplacian pyramid as a compact image code", 1983; Gabor
    energy after Adelson and Bergen 1985) and no trained network's: this is neither LPIPS nor a VGG loss.
    """
    if given.dim() < 4:
        raise CompileError("the loss perceptual compares structure", "choose l1 or l2 for pixels alone")
    total = l1(given, wanted)
    for a, b in zip(_features(given), _features(wanted), strict=True):
        total = total + (a - b).abs().mean()
    return total


def _features(image: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    now = image
    for _ in range(SCALES):
        if min(now.shape[-2:]) < 2:
            break
        small = F.avg_pool2d(now, 2, ceil_mode=True, count_include_pad=False)
        wide = F.interpolate(small, size=(now.shape[-2], now.shape[-1]), mode="bilinear", align_corners=False)
        band = now - wide
        found.extend([band, _energy(band)])
        now = small
    return found


def _energy(band: Tensor) -> Tensor:
    """``(B, 4 C, h, w)``: the length of each orientation's cosine and sine response, smooth at 0."""
    kernels = _gabors().to(band)
    flat = pad(band.flatten(0, 1)[:, None], *(GABOR_RADIUS,) * 4)
    cosine, sine = F.conv2d(flat, kernels).chunk(2, 1)
    return torch.sqrt(cosine * cosine + sine * sine + 1e-6).unflatten(0, band.shape[:2]).flatten(1, 2)


def _gabors() -> Tensor:
    """Four orientations as cosine, then as sine ``(8, 1, n, n)``; cosines without mean."""
    offsets = torch.arange(-GABOR_RADIUS, GABOR_RADIUS + 1).float()
    down, right = offsets[:, None], offsets[None]
    window = torch.exp(-(down**2 + right**2) / (2 * GABOR_SIGMA**2))
    window = window / window.sum()
    angles = [index * pi / 4 for index in range(4)]
    phases = [2 * pi / GABOR_WAVE * (right * cos(angle) + down * sin(angle)) for angle in angles]
    cosines = [window * (torch.cos(phase) - (window * torch.cos(phase)).sum()) for phase in phases]
    return torch.stack([*cosines, *(window * torch.sin(phase) for phase in phases)])[:, None]


def _companded(loss: Loss) -> Loss:
    def found(given: Tensor, wanted: Tensor) -> Tensor:
        return loss(compand(given), compand(wanted))

    return found


PLAIN: Mapping[str, Loss] = {"l1": l1, "l2": l2, "l1_gradient": l1_gradient, "perceptual": perceptual}

LOSSES: Mapping[str, Loss] = {**PLAIN, **{f"{name}_companded": _companded(each) for name, each in PLAIN.items()}}


def loss(name: str) -> Loss:
    """The loss of that name: from what is given and what is wanted to a number.

    Raises:
        CompileError: there is none.
    """
    if name not in LOSSES:
        raise CompileError(f"there is no loss {name}", f"choose one of {', '.join(LOSSES)}")
    return LOSSES[name]
