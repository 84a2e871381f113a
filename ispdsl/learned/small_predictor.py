"""Settings of each image from a look at it: its statistics and a thumbnail, and two small networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.learned.free_settings import Bounds

THUMBNAIL = 16
"""Px a side."""

PLANES = 16
WIDTH = 64
FLOOR = 1e-3
"""Of white: means and spreads below count as that much."""

PACE = 0.3
"""The part of the ranges that an output of 1 moves."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class SmallPredictor(nn.Module):
    """Images ``(B, C, H, W)`` to numbers ``(B, N)`` in the unit cube; untrained, the start for every image.

    What it sees of each plane are logarithms of mean and spread, one over the mean, as a gain is, and quantiles over
    the mean; of the whole a thumbnail over its mean, so that what brightness says is said once. A mosaic comes as
    planes of its tile, which `planes_of` makes.
    """

    def __init__(self, bounds: Bounds, channels: int, levels: tuple[float, float] = (0.0, 1.0), tile: int = 1) -> None:
        """A network with random weights; its last layer is zero.

        Args:
            bounds: of the numbers.
            channels: of the images.
            levels: black and white of the images.
            tile: px a side of a mosaic's tile; 1 for pictures.
        """
        super().__init__()
        self.bounds, self.levels, self.tile = bounds, levels, tile
        planes = channels * tile**2
        self.look = nn.Sequential(
            nn.Conv2d(planes, PLANES, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(PLANES, 2 * PLANES, 3, padding=1),
            nn.ReLU(),
        )
        seen = (3 + len(QUANTILES)) * planes + 2 * PLANES
        last = nn.Linear(WIDTH, len(bounds.start))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.decide = nn.Sequential(
            nn.BatchNorm1d(seen),
            nn.Linear(seen, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            last,
        )

    def forward(self, images: Tensor) -> Tensor:
        """The numbers of each image, ``(B, N)`` in the unit cube."""
        black, white = self.levels
        x = (planes_of(images, self.tile) - black) / (white - black)
        flat = x.flatten(2)
        mean = flat.mean(-1).clamp_min(FLOOR)
        spread = flat.std(-1).clamp_min(FLOOR)
        shares = torch.tensor(QUANTILES, device=x.device, dtype=x.dtype)
        quantiles = flat.quantile(shares, dim=-1).permute(1, 2, 0) / mean[..., None]
        thumbnail = F.adaptive_avg_pool2d(x, THUMBNAIL) / mean.mean(1)[:, None, None, None]
        looked = self.look(thumbnail).mean((-2, -1))
        seen = torch.cat([mean.log(), spread.log(), 1 / mean, quantiles.flatten(1), looked], 1)
        return self.bounds(PACE * self.decide(seen))


def planes_of(images: Tensor, tile: int) -> Tensor:
    """A mosaic ``(B, 1, H, W)`` as ``(B, tile², H/tile, W/tile)``, a plane for each place of the tile."""
    height, width = (size // tile * tile for size in images.shape[-2:])
    return F.pixel_unshuffle(images[..., :height, :width], tile) if tile > 1 else images
