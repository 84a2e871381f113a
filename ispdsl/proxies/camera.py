"""A double of a camera's whole pipeline: what a camera does is built in, made from the settings; a U-Net has the rest.

White balance that saturates, demosaicing, a colour matrix and a tone curve a channel, in this order, are what every ISP
has. Their numbers come from the condition by small perceptrons; a small U-Net at half size adds to the bilinear
demosaic what lies between (noise, detail, shading). It learns from a small part of what the U-Net of `unet` needs.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.proxies.codec import Seen, Shape
from ispdsl.proxies.heads import settled
from ispdsl.proxies.mosaic import bilinear, pad
from ispdsl.proxies.unet import Block

HIDDEN, EMBEDDING = 128, 64
KNOTS = 32
"""Pieces of a tone curve, even in the square root of the value."""

DISPLAY_GAMMA = 2.2
"""The curve that training begins with is that of a display."""

BEYOND = 0.05
"""Slope of the tone curve outside of 0..1."""


def perceptron(seen: int, given: int) -> nn.Sequential:
    """Two hidden layers with SiLU; zero-initialised at the end."""
    last = nn.Linear(HIDDEN, given)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(seen, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), last)


class Camera(nn.Module):
    """From the four planes of a mosaic (or three of colour) to colour; `levels` sizes of `width`, 2 `width`, ..."""

    def __init__(self, shape: Shape, width: int, levels: int) -> None:
        super().__init__()
        self.mosaic, self.values, self.step = shape.mosaic, shape.values, 2 ** (levels - 1)
        self.radius: int | None = None if levels > 1 else shape.radius(2)
        known = shape.told + EMBEDDING
        widths = [width * (level + 1) for level in range(levels)]
        self.embedding = nn.Sequential(
            nn.Linear(shape.told, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU()
        )
        self.gains = perceptron(shape.told, 2 * shape.values)
        self.matrix = perceptron(shape.told, 12)
        self.curves = perceptron(shape.told, 3 * KNOTS)
        self.down = nn.ModuleList(Block(a, b, known, film=True) for a, b in pairwise([2 * shape.values, *widths]))
        self.up = nn.ModuleList(Block(a + b, a, known, film=True) for a, b in pairwise(widths))
        self.last = nn.Conv2d(width, shape.start, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))
        self.register_buffer("begins", display_increments(), persistent=False)

    def forward(self, seen: Seen, condition: Tensor) -> Tensor:
        """``(B, n, h, w)`` with a condition ``(B or 1, k)``."""
        gain, offset = self.gains(condition)[..., None, None].chunk(2, 1)
        raw = settled(seen.values * torch.exp(gain) + 0.1 * offset)
        known = torch.cat([self.embedding(condition), condition], 1)
        change = self._hourglass(torch.cat([raw, raw / (raw.abs() + 1e-3).sqrt()], 1), known)
        if self.mosaic:
            raw, change = bilinear(F.pixel_shuffle(raw, 2)), F.pixel_shuffle(change, 2)
        colour = self._coloured(raw + change, condition)
        return F.pixel_unshuffle(colour, 2) if self.mosaic else colour

    def _coloured(self, image: Tensor, condition: Tensor) -> Tensor:
        """Matrix and tone curve."""
        numbers = self.matrix(condition)
        matrix = numbers[:, :9].unflatten(1, (3, 3)) + torch.eye(3).to(numbers)
        mixed = (matrix @ image.flatten(2)).unflatten(2, image.shape[-2:])
        increments = self.curves(condition).unflatten(1, (3, KNOTS)) + self.get_buffer("begins").to(numbers)
        return curve(settled(mixed + 0.1 * numbers[:, 9:, None, None]), F.softplus(increments) / KNOTS)

    def _hourglass(self, image: Tensor, condition: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        now = pad(image, 0, -height % self.step, 0, -width % self.step)
        beside: list[Tensor] = []
        for level, block in enumerate(self.down):
            now = block(F.avg_pool2d(now, 2) if level else now, condition)
            beside.append(now)
        for level in reversed(range(len(self.up))):
            wide = F.interpolate(now, scale_factor=2.0, mode="bilinear", align_corners=False)
            now = self.up[level](torch.cat([beside[level], wide], 1), condition)
        return self.last(now)[..., :height, :width]


def display_increments() -> Tensor:
    """What softplus makes the increments of the display's curve of."""
    knots = torch.linspace(0, 1, KNOTS + 1, dtype=torch.float64) ** (2 / DISPLAY_GAMMA)
    return torch.log(torch.expm1(knots.diff() * KNOTS)).float()


def curve(image: Tensor, increments: Tensor) -> Tensor:
    """A monotone curve a channel: `image` ``(B, 3, H, W)``, `increments` ``(B or 1, 3, K)`` above 0, even in the root.

    By gather, so that derivatives of both directions exist; outside of 0..1 it goes on with a small slope.
    """
    count = increments.shape[-1]
    steps = increments.expand(image.shape[0], -1, -1)
    knots = torch.cat([torch.zeros_like(steps[..., :1]), steps.cumsum(-1)], -1)
    within = image.clamp(1e-6, 1)
    position = within.sqrt() * count
    piece = position.detach().floor().clamp(0, count - 1).long()
    low, slope = (torch.gather(each, 2, piece.flatten(2)).reshape(image.shape) for each in (knots, steps))
    return low + slope * (position - piece) + BEYOND * (image - image.clamp(0, 1))
