"""Filters that iterate over differences of neighbours: anisotropic diffusion, total variation. No flux at borders."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from ispdsl.programs.ops import Scalar, at_least_single, constant

ITERATIONS = {"i5": 5, "i10": 10, "i20": 20, "i40": 40}

TINY = 1e-12
"""Keeps the length of a gradient differentiable where it is zero, and a quotient of zeros at zero."""

DUAL_STEP = 0.25
"""Step of Chambolle's projection: up to 1/8 it converges by theorem 3.1, up to 1/4 in practice (remark there)."""


def anisotropic_diffusion(image: Tensor, *, rate: Scalar, contrast: Scalar, edge: str, iterations: str) -> Tensor:
    """Diffusion that stops at edges (Perona and Malik 1990, their scheme on four neighbours).

    Each iteration adds ``rate`` times the flux from the four neighbours, ``g(|v|) v`` with the difference ``v`` of the
    planes: they share the conduction g. No flux crosses the borders, so the mean stays.

    Args:
        image: ``(..., C, H, W)``, any range.
        rate: lambda, 0 to 0.25; 0 is the identity.
        contrast: K, of white: differences well above it stay.
        edge: "exponential" for ``g = exp(-(|v|/K)^2)``, which favours high contrast, "rational" for ``1 / (1 +
            (|v|/K)^2)``, which favours wide regions.
        iterations: a key of ITERATIONS.
    """
    wide = at_least_single(image)
    rate, precision = constant(rate, wide), 1 / constant(contrast, wide) ** 2
    for _ in range(ITERATIONS[iterations]):
        down, right = _gradient(wide)
        fluxes = []
        for change in (down, right):
            ratio = precision * change.square().sum(-3, keepdim=True)
            conduction = torch.exp(-ratio) if edge == "exponential" else 1 / (1 + ratio)
            fluxes.append(conduction * change)
        wide = wide + rate * _divergence(fluxes[0], fluxes[1])
    return wide.to(image.dtype)


def total_variation(image: Tensor, *, weight: Scalar, iterations: str) -> Tensor:
    """Minimise total variation near the image (Rudin, Osher and Fatemi 1992) by Chambolle's projection (2004).

    The dual variable is kept multiplied by `weight`, which changes nothing but lets `weight` be 0, the identity. The
    planes share the length of their gradients (Bresson and Chan 2008).

    Args:
        image: ``(..., C, H, W)``, any range.
        weight: lambda of the paper, from 0 up, of white: a step next to a region of n pixels and a border of length l
            falls by about ``weight * l / n``.
        iterations: a key of ITERATIONS.
    """
    wide = at_least_single(image)
    weight = constant(weight, wide)
    down, right = torch.zeros_like(wide), torch.zeros_like(wide)
    for _ in range(ITERATIONS[iterations]):
        down_step, right_step = _gradient(_divergence(down, right) - wide)
        length = (down_step.square() + right_step.square()).sum(-3, keepdim=True)
        share = weight / (weight + DUAL_STEP * torch.sqrt(length + TINY**2) + TINY)
        down, right = share * (down + DUAL_STEP * down_step), share * (right + DUAL_STEP * right_step)
    return (wide - _divergence(down, right)).to(image.dtype)


def _gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the pixel below and to the right, zero at the border (Chambolle 2004, section 2)."""
    down = pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    right = pad(image[..., 1:] - image[..., :-1], (0, 1))
    return down, right


def _divergence(down: Tensor, right: Tensor) -> Tensor:
    """Minus the adjoint of `_gradient`: what flows in less what flows out."""
    return (down - pad(down[..., :-1, :], (0, 0, 1, 0))) + (right - pad(right[..., :-1], (1, 0)))
