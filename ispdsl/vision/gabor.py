"""A fixed bank of filters for who has no weights of a network: Gabor functions at three scales; nothing is learned.

Gabor functions describe the simple cells of the visual cortex (Daugman, "Uncertainty relation for resolution in space,
spatial frequency, and orientation optimized by two-dimensional visual cortical filters", JOSA A 2(7), 1985), and what
the first layers of trained networks come to look like. Second-order statistics of such a bank describe textures
(Portilla and Simoncelli, "A Parametric Texture Model Based on Joint Statistics of Complex Wavelet Coefficients", IJCV
40, 2000). It knows edges, contrast and colour, and no objects: it is no VGG.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 9
"""Px of a filter's side."""

WAVELENGTH, SPREAD = 4.0, 2.0
"""Of a filter, and the standard deviation of its window, px."""

ORIENTATIONS = 4
SCALES = 3
"""Each half as large as the one before."""

OPPONENT = ((0.2126, 0.7152, 0.0722), (-0.1146, -0.3854, 0.5), (0.5, -0.4542, -0.0458))
"""Luma and the two colour differences of BT.709, of sRGB codes."""

COLOURFUL = 3.0
"""Colour differences are multiplied by it: those of photographs are about so much smaller than their luma."""


class GaborBank(nn.Module):
    """Filters at three scales, of luma and both colour differences: what `features` of a network would show."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.tensor(OPPONENT) * torch.tensor([1.0, COLOURFUL, COLOURFUL])[:, None]
        self.register_buffer("opponent", weights[:, :, None, None], persistent=False)
        self.register_buffer("filters", _filters()[:, None].repeat(3, 1, 1, 1), persistent=False)

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Of pictures ``(B, 3, H, W)``, sRGB in 0..1, at each scale: the planes themselves (3) and filtered (24).

        ``(B, 27, H, W)``, ``(B, 27, H/2, W/2)`` and ``(B, 27, H/4, W/4)``.
        """
        found: list[Tensor] = []
        planes = F.conv2d(pictures, self.get_buffer("opponent").to(pictures))
        filters = self.get_buffer("filters").to(pictures)
        for scale in range(SCALES):
            if scale and min(planes.shape[-2:]) > 1:
                planes = F.avg_pool2d(planes, 2)
            padded = F.pad(planes, (SIDE // 2,) * 4, mode="replicate")
            found.append(torch.cat([planes, F.conv2d(padded, filters, groups=3)], 1))
        return tuple(found)


def _filters() -> Tensor:
    """Even and odd filters ``(2 * ORIENTATIONS, SIDE, SIDE)``, of mean 0 and length 1."""
    place = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    window = torch.exp(-(x.square() + y.square()) / (2 * SPREAD**2))
    made: list[Tensor] = []
    for turn in range(ORIENTATIONS):
        angle = math.pi * turn / ORIENTATIONS
        phase = 2 * math.pi / WAVELENGTH * (x * math.cos(angle) + y * math.sin(angle))
        for wave in (torch.cos(phase), torch.sin(phase)):
            flat = window * wave
            flat = flat - window * flat.sum() / window.sum()
            made.append(flat / flat.square().sum().sqrt())
    return torch.stack(made).float()
