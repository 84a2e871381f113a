"""Which processes there are."""

from __future__ import annotations

import time
from pathlib import Path


def alive(mark: str) -> list[int]:
    """The processes whose command line has a mark as one of its words; one that is dead and not waited for has none."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(entry.name))
    return found


def dies(mark: str, seconds: float = 5.0) -> bool:
    """Whether all with a mark are dead within some time."""
    until = time.monotonic() + seconds
    while alive(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def lives(mark: str, seconds: float = 5.0) -> bool:
    """Whether one with a mark is there within some time."""
    until = time.monotonic() + seconds
    while not alive(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
