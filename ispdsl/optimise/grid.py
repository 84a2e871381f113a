"""Pictures of unlike sizes on one grid: each seen through a Gaussian as wide as the cells, and so equally sharp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]

BEYOND = 2.5
"""Standard deviations after which a Gaussian is left off."""


def gaussian_samples(count: int, size: int, start: float, step: float, sigma: float) -> Floats:
    """What takes a line of pixels to Gaussian averages about the middles of cells, ``(count, size)``.

    Args:
        count: of the cells.
        size: of the line.
        start: where the first cell begins, in pixels; pixel ``i`` reaches from ``i`` to ``i + 1``.
        step: length of a cell in pixels.
        sigma: standard deviation in pixels; what lies beyond the line is taken off and the rest is scaled to 1.
    """
    middles = start + (np.arange(count) + 0.5) * step
    apart = (np.arange(size) + 0.5 - middles[:, None]) / max(sigma, 1e-6)
    nearest = np.abs(apart).min(axis=1, keepdims=True)
    weights = np.exp(-0.5 * (np.square(apart) - np.square(nearest)))
    weights[np.abs(apart) > np.maximum(BEYOND, nearest)] = 0.0
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Grid:
    """Takes pictures ``(..., H, W)`` to a grid.

    Attributes:
        rows, columns: weights of the pixels in each row and column of the grid, ``(h, H)`` and ``(w, W)``.
    """

    rows: Floats
    columns: Floats

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return len(self.rows), len(self.columns)

    def of(self, picture: Floats) -> Floats:
        """A picture on the grid."""
        return np.asarray(self.rows @ picture @ self.columns.T, np.float32)

    def of_tensor(self, picture: Tensor) -> Tensor:
        """The same with derivatives."""
        rows, columns = (each.to(picture.device, picture.dtype) for each in self._tensors)
        return rows @ picture @ columns.T

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.rows), torch.from_numpy(self.columns)
