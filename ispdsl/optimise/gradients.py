"""A search along gradients of a double, whose answers the real thing judges; choices are relaxed on the way.

Adam goes down a loss of what the programs or doubles render, with every choice and switch as a mixture of its options
and register codes rounded straight through. Then the few most likely combinations of names are made for good and
fitted anew, and the real thing is asked about each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, Rendering
from ispdsl.backends.still import with_still_steps
from ispdsl.optimise.descent import descend
from ispdsl.optimise.engine import Score, Searcher
from ispdsl.optimise.mixtures import mixed
from ispdsl.optimise.relaxation import Relaxation
from ispdsl.optimise.space import Numbers, Space
from ispdsl.runtime.pictures import orient

HOT, COLD = 0.3, 0.02
"""The temperature of the weights at the first step and at the last; it falls evenly in its logarithm."""

FIRST, AGAIN = 100, 40
"""Steps of Adam with choices relaxed, and for each combination of names that is fitted anew."""

RATE = 0.03
"""Of Adam, as a part of the ranges."""

TRIED = 4
"""Combinations of names that are fitted anew and asked about."""

Look = Callable[[Sequence[Rendering]], Tensor]
"""A loss ``()`` of what is rendered of all images: of outputs, taps and statistics as one likes; differentiable."""


@dataclass(frozen=True, eq=False)
class Shot:
    """An image, and what renders it with gradients.

    Attributes:
        composite: compiled for it, with the taps that a loss looks at.
        settings: canonical values of everything, as the composite takes them.
        image: ``(C, H, W)``.
        metadata: of the frame.
    """

    composite: Composite
    settings: Mapping[str, Any]
    image: Tensor
    metadata: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A loss at relaxed points."""

    relaxation: Relaxation
    shots: Sequence[Shot]
    look: Look

    def __call__(self, x: Tensor, temperature: float) -> Tensor:
        """The loss at a point ``(R,)`` with weights of a temperature; gradients pass.

        Raises:
            RunError: as the composite, or alternatives cannot be mixed.
        """
        found: list[Rendering] = []
        for number, (shot, still) in enumerate(zip(self.shots, self._still, strict=True)):
            values, choices = self.relaxation.settings(x, temperature, number)
            composite = mixed(still, choices)
            given = {**shot.settings, **values}
            rendering = composite(shot.image, given, shot.metadata)
            if composite.feeds_back:  # a still is what a camera settles on
                rendering = composite(shot.image, given, shot.metadata, rendering.statistics)
            found.append(rendering)
        return self.look(found)

    @cached_property
    def _still(self) -> list[Composite]:
        """What lies before everything free is computed once."""
        free = self.relaxation.free.addresses
        return [with_still_steps(each.composite, each.image, each.settings, each.metadata, free) for each in self.shots]


def gradients(loss: Relaxed, steps: int = FIRST, again: int = AGAIN, tried: int = TRIED) -> Searcher:
    """A search along gradients; what it asks of the double counts nowhere.

    Args:
        loss: of the double.
        steps: with choices relaxed.
        again: for each combination of names, with these made.
        tried: combinations of names that the score is asked about.
    """
    relaxation = loss.relaxation
    bounds = np.zeros(relaxation.size), np.ones(relaxation.size)

    def search(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        begin = relaxation.start(space.snap(np.full(space.size, 0.5) if start is None else start))
        if start is not None:
            score(start)
        warm = _descended(loss, begin, bounds, np.geomspace(HOT, COLD, steps))
        legal = relaxation.legal(warm, tried)
        for each in legal:
            fitted = _descended(loss, _named(relaxation, warm, each), bounds, np.zeros(again))
            score(relaxation.legal(fitted)[0])
        return "the gradient's way was gone to its end"

    return search


def _named(relaxation: Relaxation, x: Numbers, legal: Numbers) -> Numbers:
    """A relaxed point with the names of a legal one, and its own numbers."""
    names = relaxation.start(legal)
    return np.where(relaxation.of_names, names, x)


def _descended(loss: Relaxed, start: Numbers, bounds: tuple[Numbers, Numbers], temperatures: Numbers) -> Numbers:
    """Where Adam is after a step at each temperature: at 0 the best that it saw, else the last."""
    waiting = iter(temperatures.tolist())
    last = [start]

    def at(x: Tensor) -> Tensor:
        last[0] = x.detach().numpy().copy()
        return loss(x, next(waiting))

    found = descend(at, start, bounds, rate=RATE, steps=len(temperatures))
    return last[0] if temperatures[-1] > 0 else found.point


def upright(picture: Tensor, orientation: int) -> Tensor:
    """`orient` of a tensor ``(C, H, W)``; gradients pass."""
    height, width = picture.shape[-2:]
    places = np.ascontiguousarray(orient(np.arange(height * width).reshape(height, width), orientation))
    return picture.flatten(-2)[:, torch.from_numpy(places).to(picture.device)]
