"""Which settings matter: elementary effects, a few renders for each of them.

Sources: Morris, "Factorial Sampling Plans for Preliminary Computational Experiments", Technometrics 33(2), 1991; the
mean of absolute effects is that of Campolongo, Cariboni and Saltelli, "An Effective Screening Design for Sensitivity
Analysis of Large Models", Environmental Modelling and Software 22(10), 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.space import Axis, Numbers, Space

LEVELS = 4
"""Values that a number without levels takes in a trajectory; a step goes over half of them, as Morris has it."""


@dataclass(frozen=True)
class Effect:
    """What moving one number does, for its whole range.

    Attributes:
        name: of the number.
        size: mean of the absolute effects: how much it matters.
        mean: mean of the effects: which way it goes on the whole.
        spread: standard deviation of the effects: how far that depends on everything else.
    """

    name: str
    size: float
    mean: float
    spread: float


def morris(
    measure: Callable[[Numbers], float | NDArray[np.floating]], space: Space, *, trajectories: int = 10, seed: int = 0
) -> tuple[Effect, ...]:
    """Elementary effects of every free number, those that matter most first.

    Args:
        measure: a score at a legal point, or a picture: then an effect is the root mean square change of it, and has no
            sign. Asked ``trajectories * (axes + 1)`` times.
        space: what is free.
        trajectories: paths through the space along which each number moves once.
        seed: of the trajectories.

    Raises:
        ValueError: there is no free number, or no trajectory.
    """
    if not space.size or trajectories < 1:
        raise ValueError("there is nothing to measure: no free number, or no trajectory")
    rng = np.random.default_rng(seed)
    effects: list[list[float]] = [[] for _ in space.axes]
    for _ in range(trajectories):
        here = np.array([_begin(axis, rng) for axis in space.axes])
        seen = measure(space.snap(here))
        for place in rng.permutation(space.size):
            there = here.copy()
            there[place] = _moved(space.axes[place], float(here[place]), rng)
            answer = measure(space.snap(there))
            moved = there[place] - here[place]
            effects[place].append(_apart(answer, seen) / moved if moved else 0.0)
            here, seen = there, answer
    found = [_effect(axis.name, np.array(each)) for axis, each in zip(space.axes, effects, strict=True)]
    return tuple(sorted(found, key=lambda each: -each.size))


def _effect(name: str, effects: Numbers) -> Effect:
    spread = float(effects.std(ddof=1)) if len(effects) > 1 else 0.0
    return Effect(name, float(np.abs(effects).mean()), float(effects.mean()), spread)


def _apart(answer: float | NDArray[np.floating], before: float | NDArray[np.floating]) -> float:
    change = np.asarray(answer, np.float64) - np.asarray(before, np.float64)
    return float(change) if change.ndim == 0 else float(np.sqrt(np.mean(np.square(change))))


def _count(axis: Axis) -> int:
    return LEVELS if axis.levels is None else axis.levels


def _begin(axis: Axis, rng: np.random.Generator) -> float:
    return float(rng.integers(_count(axis))) / max(_count(axis) - 1, 1)


def _moved(axis: Axis, at: float, rng: np.random.Generator) -> float:
    """The value after a step: over half of the levels, up or down as there is room; of names, any other."""
    count = _count(axis)
    if count < 2:
        return at
    level = round(at * (count - 1))
    step = count // 2 if axis.ordered else int(rng.integers(1, count))
    up = level + step < count
    down = level - step >= 0
    if not (up or down):  # from the middle of an odd number of levels half of them are too many
        up = True
        step = count - 1 - level
    towards = level + step if up and (not down or rng.random() < 0.5) else level - step
    return (towards if axis.ordered else (level + step) % count) / (count - 1)
