"""Whole rows of a picture worked on by several threads, in strips that stay in the cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

BYTES = 1 << 20
"""Of a strip, about."""

MOST = 8
"""Threads at most: beyond, memory is the limit."""


def in_strips(work: Callable[[slice], Result], height: int, row_bytes: int) -> list[Result]:
    """The results of `work` on the rows of a picture, strip by strip from the top, in their order.

    The strips depend on the picture alone, not on the machine. What takes the time in `work` must let other threads
    run, as NumPy and zlib do.

    Args:
        work: is called with a slice of rows, by several threads at once.
        height: rows in all.
        row_bytes: of one row of what `work` reads.
    """
    rows = max(1, BYTES // max(row_bytes, 1))
    strips = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, MOST, len(strips))
    if workers <= 1:
        return [work(strip) for strip in strips]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, strips))
