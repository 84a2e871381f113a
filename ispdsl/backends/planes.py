"""Whole images that parts are cut from and written to, with memory that goes back to the system row by row."""

from __future__ import annotations

import mmap
import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

GIVES_BACK = sys.platform == "linux"
"""Whether the system takes pages back at once. Those of a shared mapping it would keep."""


@dataclass(frozen=True, eq=False)
class Plane:
    """An image ``(..., C, H, W)`` in memory of its own, which the system gives page by page as it is written."""

    image: Tensor
    memory: mmap.mmap

    def forget(self, above: int) -> None:
        """Give the memory of the rows before row `above` back; they read as zeros from then on."""
        if not GIVES_BACK:
            return  # the system has no such call: the memory goes back with the image
        height, width = self.image.shape[-2:]
        row, plane = width * self.image.element_size(), height * width * self.image.element_size()
        for start in range(0, len(self.memory), plane):
            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            last = min(start + above * row, len(self.memory)) // mmap.PAGESIZE * mmap.PAGESIZE
            if last > first:
                self.memory.madvise(mmap.MADV_DONTNEED, first, last - first)


def new_plane(shape: tuple[int, ...], dtype: torch.dtype) -> Plane:
    """An image of zeros of a shape and floating dtype."""
    kind = torch.empty(0, dtype=dtype)
    size = int(np.prod(shape)) * kind.element_size()
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) if GIVES_BACK else mmap.mmap(-1, size)
    return Plane(torch.frombuffer(memory, dtype=dtype).reshape(shape), memory)
