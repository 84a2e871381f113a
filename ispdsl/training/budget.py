"""Minutes to steps: which stage gets how long, in which process, and how fast its learning rate falls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHARES = {
    "pointwise": 1.0,
    "bank": 1.0,
    "coring": 1.0,
    "areawise": 4.0,
    "srcnn": 4.0,
    "unet": 8.0,
    "camera": 8.0,
    "residual": 2.0,
}
"""How long a stage is trained, in relation to a pointwise one: what looks around has more to learn, and is slower."""
OTHER = 2.0
"""The share of any other kind of network."""

WARM_UP = 30
"""Steps in which the rate rises to its full height; the first ones are timed."""
ROUNDING = 1e-9
REPLANS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Parts of the training after which the pace is set anew from the time that is left."""


@dataclass(frozen=True)
class Lane:
    """What one process trains, one after the other."""

    names: tuple[str, ...]
    shares: tuple[float, ...]

    @property
    def load(self) -> float:
        """All shares together."""
        return sum(self.shares)


def lanes(kinds: Mapping[str, str], jobs: int) -> list[Lane]:
    """Stages on processes: the largest first, each to the process with the least to do; there the largest come last.

    A process gives each of its stages its share of all the time, so that all end at the same time. What a stage that
    stopped early leaves goes to those after it.

    Args:
        kinds: kind of network by name of the stage.
        jobs: number of processes.
    """
    found: list[list[str]] = [[] for _ in range(max(min(jobs, len(kinds)), 1))]
    for name in sorted(kinds, key=lambda each: -share(kinds[each])):
        min(found, key=lambda names: sum(share(kinds[each]) for each in names)).append(name)
    return [Lane(tuple(reversed(names)), tuple(share(kinds[each]) for each in reversed(names))) for names in found]


def share(kind: str) -> float:
    """How long this kind of network is trained, in relation to a pointwise one."""
    return SHARES.get(kind, OTHER)


def seconds_of(lane: Lane, index: int, left: float) -> float:
    """The time for a stage of a lane, of what is left for it and those after it."""
    return max(left, 0.0) * lane.shares[index] / sum(lane.shares[index:])


@dataclass(frozen=True)
class Pace:
    """How far the training is at each step, from 0 to 1: straight pieces, each from a step and a part on.

    The pieces are recorded before the training follows them; a training that goes on follows them again.
    """

    pieces: tuple[tuple[int, float, float], ...]

    @classmethod
    def of_steps(cls, steps: int) -> Pace:
        """One pace for all of a known number of steps."""
        return cls(((0, 0.0, 1 / max(steps, 1)),))

    @classmethod
    def unknown(cls) -> Pace:
        """Hardly any progress, until the first steps were timed."""
        return cls(((0, 0.0, 1e-9),))

    def at(self, step: int) -> float:
        """The part of the training that is done before this step."""
        begin, done, slope = next(piece for piece in reversed(self.pieces) if piece[0] <= step)
        part = done + (step - begin) * slope
        return part if part < 1.0 - ROUNDING else 1.0

    def ends(self) -> int:
        """The number of steps in all, as it looks now."""
        begin, done, slope = self.pieces[-1]
        return begin + max(math.ceil((1.0 - done) / slope - 1e-9), 0)

    def replanned(self, step: int, seconds_left: float, seconds_a_step: float) -> Pace:
        """The pace from this step on, so that the training ends when the time does."""
        steps = max(seconds_left / max(seconds_a_step, 1e-9), 1.0)
        done = self.at(step)
        return Pace((*(piece for piece in self.pieces if piece[0] < step), (step, done, (1.0 - done) / steps)))


def due(pace: Pace, step: int, parts: Sequence[float]) -> bool:
    """Whether one of these parts of the training is reached with this step."""
    if step == 0:
        return False
    before, now = pace.at(step - 1), pace.at(step)
    return any(before + ROUNDING < part <= now + ROUNDING for part in parts)


def rate_at(pace: Pace, step: int, rate: float) -> float:
    """The learning rate: rising over `WARM_UP` steps, then along a cosine down to a hundredth."""
    rising = min((step + 1) / WARM_UP, 1.0)
    falling = 0.5 * (1.0 + math.cos(math.pi * pace.at(step)))
    return rate * rising * (0.01 + 0.99 * falling)
