"""What a shorter exposure of the same scene would have given: less light, and more noise in what there is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shorter:
    """A shorter exposure, drawn from a longer one.

    At signal x of white noise has the variance ``s x + o`` (Foi et al. 2008). Dividing the longer one by k divides its
    noise by k as well, while a shorter one has ``s x / k + o``; what is missing is added as Gaussian noise:
    ``s x (1/k - 1/k^2) + o (1 - 1/k^2)``.

    Attributes:
        stops: of light that it lacks, above 0; k is 2 to that.
        noise: ``(s, o)``.
        black, white: codes of no light and of a full sensor.
        brightened: whether codes are multiplied by k again, as the analogue gain of a camera would do.
    """

    stops: float
    noise: tuple[float, float]
    black: float
    white: float
    brightened: bool = False

    def __post_init__(self) -> None:
        if self.stops <= 0 or min(self.noise) < 0 or self.white <= self.black:
            raise ValueError(f"{self.stops:g} stops, noise {self.noise}, black {self.black:g}, white {self.white:g}")

    def __call__(self, mosaics: Tensor, generator: torch.Generator) -> Tensor:
        """Of mosaics ``(B, 1, H, W)`` in codes the codes of the shorter exposure, rounded and between 0 and white."""
        less = 2.0**-self.stops
        shot, read = self.noise
        signal = (mosaics - self.black) / (self.white - self.black)
        added = shot * signal.clamp_min(0) * (less - less**2) + read * (1 - less**2)
        drawn = torch.randn(mosaics.shape, generator=generator).to(mosaics.device)
        short = signal * less + added.sqrt() * drawn
        codes = self.black + (self.white - self.black) * short * (1 / less if self.brightened else 1.0)
        return codes.round().clamp(0, self.white)
