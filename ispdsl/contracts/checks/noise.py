"""What filters are for: denoisers take variance from flat noise and keep edges, sharpeners make soft edges steeper."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.strategies import Shape
from ispdsl.contracts.trial import Trial, ViolationError

SIZE = 20
SIGMA = 0.02
STEEPER = 1.01
"""How much steeper a soft edge becomes at least."""
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


def sharpens(trial: Trial) -> None:
    """The steepest place of a soft edge becomes steeper by a hundredth or more; a flat image stays flat."""
    case = trial.call(Shape(least=SIZE, most=SIZE, longest=SIZE, kinds=("flat",)))
    soft = case.showing({name: _soft_edge(image) for name, image in case.images.items()})
    name = next(iter(case.images))
    before, after = _steepest(soft.images[name]), _steepest(trial.run(soft)[0])
    if not after >= STEEPER * before:
        raise ViolationError(f"the steepest place of a soft edge goes from {before:.4g} to {after:.4g} a pixel", soft)
    even = case.showing({name: _flat(image) for name, image in case.images.items()})
    result = trial.run(even)[0]
    trial.same(result, result[..., :1, :1].expand_as(result), "a flat image is flat no more", even)


def _soft_edge(image: Tensor) -> Tensor:
    """A step of 0.5 blurred by a Gaussian of 1.2 px."""
    place = torch.arange(image.shape[-1], dtype=image.dtype) - (image.shape[-1] - 1) / 2
    return (_flat(image) + 0.25 * torch.erf(place / (1.2 * 2**0.5))).contiguous()


def _steepest(image: Tensor) -> float:
    """The largest difference of neighbours along the middle row, of the plane where it is least."""
    return float(image[..., image.shape[-2] // 2, :].diff(dim=-1).amax(-1).min())


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
