"""What a process does with memory: keep what torch frees, and look for no garbage where none is made."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
"""Parameters of glibc's mallopt(3)."""

LARGEST, PAD = 2**31 - 1, 64 << 20


def keep_pages() -> bool:
    """Let glibc serve large blocks from a heap that it does not give back; False where there is no glibc.

    Torch's large temporaries otherwise cost more in page faults than in arithmetic.

    ISPDSL_KEEP_PAGES=0 leaves the allocator alone, for machines that are short of memory.
    """
    return _told((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, PAD))


def share_heap() -> bool:
    """Let all threads that begin from now on take memory from one heap; False where there is no glibc.

    Each would keep freed pages of its own, the more the longer it runs: its heaps are small, and fill with gaps.
    """
    return _told((M_ARENA_MAX, 1))


def _told(*settings: tuple[int, int]) -> bool:
    """Whether the allocator took some settings."""
    if not _wanted():
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)


def environment() -> dict[str, str]:
    """Variables by which glibc does the same in a process that is yet to begin."""
    names = {"MALLOC_ARENA_MAX": 1, "MALLOC_MMAP_MAX_": 0, "MALLOC_TRIM_THRESHOLD_": LARGEST, "MALLOC_TOP_PAD_": PAD}
    return {name: str(value) for name, value in names.items()} if _wanted() else {}


def _wanted() -> bool:
    return os.environ.get("ISPDSL_KEEP_PAGES") != "0"


@contextmanager
def no_collection() -> Generator[None]:
    """Within, nothing looks for garbage, and what is there at the end is never looked at again.

    For imports: a library makes a great many values, all of which stay; looking through them takes a tenth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
