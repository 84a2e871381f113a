"""How busy the machine is with what is not ours."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

NOISY = 0.15
"""Cores busy with other programs from which times are not to be believed."""


@dataclass(frozen=True)
class Moment:
    """Processor time that was used up to now, in seconds of one core."""

    when: float
    everybody: float
    own: float
    """Of this process and of its children that have ended."""


def now(stat: Path = Path("/proc/stat")) -> Moment | None:
    """This moment; None where the system does not say."""
    try:
        numbers = [int(word) for word in stat.read_text().partition("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    used = os.times()
    own = used.user + used.system + used.children_user + used.children_system
    busy = sum(numbers) - numbers[3] - numbers[4]  # less idle and waiting for disks
    return Moment(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own)


def others(since: Moment | None, until: Moment | None) -> float | None:
    """Cores that other programs kept busy between two moments; None where that is not known."""
    if since is None or until is None or until.when <= since.when:
        return None
    theirs = (until.everybody - since.everybody) - (until.own - since.own)
    return max(0.0, theirs / (until.when - since.when))


def look(seconds: float = 0.3) -> float | None:
    """Cores that other programs keep busy now."""
    begun = now()
    time.sleep(seconds)
    return others(begun, now())


def warning(busy: float | None) -> str | None:
    """What to say of so many busy cores, where that is too many."""
    if busy is None or busy < NOISY:
        return None
    return f"other programs keep {busy:.1f} cores busy: times are too long and ratios spread"
