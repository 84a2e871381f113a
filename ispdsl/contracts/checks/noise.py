"""What a denoiser is for: flat noise loses variance, edges stay."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.strategies import Shape
from ispdsl.contracts.trial import Trial, ViolationError

SIZE = 20
SIGMA = 0.02
FALLS, KEEPS = 0.9, 0.7
"""The variance that is left at most; the part of an edge's height that is left at least, 2 px away from it."""


def denoises(trial: Trial) -> None:
    """The variance of noise on a flat grey falls by a tenth or more; a step of 0.5 keeps 70 % of its height."""
    case = trial.call(Shape(least=SIZE, most=SIZE, longest=SIZE, kinds=("flat",)))
    generator = torch.Generator().manual_seed(trial.draw(st.integers(0, 999)))
    noisy = case.showing({name: _noisy(_flat(image), case, generator) for name, image in case.images.items()})
    name = next(iter(case.images))
    before, after = noisy.images[name].var().item(), trial.run(noisy)[0].var().item()
    if not after <= FALLS * before:
        raise ViolationError(f"the variance of flat noise goes from {before:.3g} to {after:.3g}", noisy)
    step = case.showing({name: _edge(image) for name, image in case.images.items()})
    result = trial.run(step)[0]
    middle = SIZE // 2
    height = (result[..., middle + 2] - result[..., middle - 3]).mean().item()
    if not height >= KEEPS * 0.5:
        raise ViolationError(f"of a step of 0.5 only {height:.3g} is left 2 px beside the edge", step)


def _flat(image: Tensor) -> Tensor:
    """Middle grey; chroma about 0."""
    return torch.zeros_like(image) if image.shape[-3] == 2 else torch.full_like(image, 0.5)


def _edge(image: Tensor) -> Tensor:
    step = 0.5 * (torch.arange(image.shape[-1]) >= image.shape[-1] // 2).to(image) - 0.25
    return (_flat(image) + step).contiguous()


def _noisy(image: Tensor, case: Case, generator: torch.Generator) -> Tensor:
    """With the noise that the metadata tells of, or of standard deviation 0.02."""
    profile = case.arguments.get("noise_profile")
    variance = SIGMA**2 if profile is None else float(profile[0]) * 0.5 + float(profile[1])
    return image + variance**0.5 * torch.randn(image.shape, generator=generator, dtype=torch.float64)
