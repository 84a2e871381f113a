"""Where in a parameter's range the doubles are bad, and which parameter says most about how bad they are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.evaluation.features import place
from ispdsl.proxies.task import Knob

Floats = NDArray[np.float64]

BINS = 6
"""Pieces of a range, at most; with few queries there are fewer, so that each holds several."""

FULL = 4
"""Queries that a piece holds on average."""


@dataclass(frozen=True)
class Bin:
    """One piece of a range: from `low` to `high` (canonical; the mean of its elements, of a table), or one name.

    `mean` and `worst` are PSNRs in dB of its `count` queries; not a number where there are none.
    """

    label: str
    low: float
    high: float
    count: int
    mean: float
    worst: float


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The error against one parameter.

    Attributes:
        address: of the parameter.
        bins: over its sampled range, or its names.
        explained: share of the error's variance over queries (in dB) that the bins explain, corrected for chance:
            epsilon squared (Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935). 0 of one that says
            nothing, 1 of one that says all.
        places: of the queries, 0..1 over the range, with `psnr` of each.
        psnr: of the queries, in dB.
    """

    address: str
    bins: tuple[Bin, ...]
    explained: float
    places: Floats
    psnr: Floats


def sensitivity(
    knobs: Sequence[Knob], settings: Sequence[Mapping[str, Any]], psnr: Sequence[float]
) -> tuple[Sensitivity, ...]:
    """The error against every parameter, the one that explains most of it first.

    Args:
        knobs: what was varied.
        settings: canonical values by address, of each query.
        psnr: of each query, in dB.
    """
    values = np.asarray(psnr, np.float64)
    found = [_one(knob, [each[knob.address] for each in settings], values) for knob in knobs]
    return tuple(sorted(found, key=lambda each: -each.explained))


def _one(knob: Knob, given: Sequence[Any], psnr: Floats) -> Sensitivity:
    if knob.kind in ("choice", "toggle"):
        options = list(knob.options) if knob.kind == "choice" else [False, True]
        of = np.array([options.index(value) if value in options else -1 for value in given], np.intp)
        names = list(map(str, options)) if knob.kind == "choice" else ["off", "on"]
        edges = [(name, float(index), float(index)) for index, name in enumerate(names)]
        places = (of + 0.5) / len(options)
    else:
        places = np.array([float(place(knob, value).mean()) for value in given])
        count = max(2, min(BINS, len(psnr) // FULL))
        of = np.clip((places * count).astype(np.intp), 0, count - 1)
        bounds = [_value(knob, index / count) for index in range(count + 1)]
        edges = [(f"{low:.4g}..{high:.4g}", low, high) for low, high in itertools.pairwise(bounds)]
    bins = tuple(_bin(*edge, psnr[of == index]) for index, edge in enumerate(edges))
    return Sensitivity(knob.address, bins, explained(of, psnr), places, psnr)


def _bin(label: str, low: float, high: float, psnr: Floats) -> Bin:
    if not len(psnr):
        return Bin(label, low, high, 0, float("nan"), float("nan"))
    return Bin(label, low, high, len(psnr), float(psnr.mean()), float(psnr.min()))


def _value(knob: Knob, at: float) -> float:
    """The canonical value at a place 0..1 of the sampled range."""
    if knob.reciprocal and knob.low > 0:
        return 1 / ((1 - at) / knob.low + at / knob.high)
    return knob.low + at * (knob.high - knob.low)


def explained(of: NDArray[np.intp], values: Floats) -> float:
    """Share of the variance of `values` that lies between the groups `of`, corrected for chance; within 0..1."""
    groups = [values[of == group] for group in np.unique(of)]
    total = float(np.square(values - values.mean()).sum()) if len(values) else 0.0
    if total <= 0 or len(groups) < 2 or len(values) <= len(groups):
        return 0.0
    within = sum(float(np.square(group - group.mean()).sum()) for group in groups)
    return max(0.0, 1 - (within / total) * (len(values) - 1) / (len(values) - len(groups)))
