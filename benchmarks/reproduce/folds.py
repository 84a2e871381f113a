"""Scores of ways that were tried on folds of photographs with several seeds, with their intervals.

An answer is what came of one fold of one seed: `test`, the numbers of its photographs, and by way a digit for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.vision.intervals import Interval, of_mean

Answers = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]


def asked(answers: Answers) -> dict[str, Any]:
    """What answers are of: how many photographs were learned from and scored, the seeds, and the folds in all."""
    return {
        "train": max(one["train"] for one in answers),
        "photographs": len({place for one in answers for place in one["test"]}),
        "seeds": sorted({one["seed"] for one in answers}),
        "folds": len(answers),
    }


def of_photographs(answers: Answers, way: str, of: str = "told") -> Floats:
    """The mean over seeds of what came of each photograph, in the order of their numbers."""
    seen: dict[int, list[int]] = {}
    for one in answers:
        for place, digit in zip(one["test"], one[of][way], strict=True):
            seen.setdefault(place, []).append(int(digit))
    return np.array([float(np.mean(seen[place])) for place in sorted(seen)])


def of_folds(answers: Answers, way: str, of: str = "told") -> Floats:
    """The score of each answer."""
    return np.array([float(np.mean([int(digit) for digit in one[of][way]])) for one in answers])


def score(answers: Answers, way: str, of: str = "told") -> dict[str, Any]:
    """A way's score: with its interval over photographs and over folds, and of each fold."""
    return {
        "photographs": listed(of_mean(of_photographs(answers, way, of))),
        "folds": listed(of_mean(of_folds(answers, way, of))),
        "scores": [round(float(each), 4) for each in of_folds(answers, way, of)],
    }


def gain(answers: Answers, way: str, other: str, of: str = "told") -> dict[str, Any]:
    """How far a way is ahead of another on the same photographs and folds."""
    return {
        "way": way,
        "over": other,
        "photographs": listed(of_mean(of_photographs(answers, way, of) - of_photographs(answers, other, of))),
        "folds": listed(of_mean(of_folds(answers, way, of) - of_folds(answers, other, of))),
    }


def listed(found: Interval) -> list[float]:
    """As JSON has it."""
    return [round(each, 5) for each in found]


def told(values: Sequence[bool]) -> str:
    """A digit for each."""
    return "".join(str(int(each)) for each in values)
