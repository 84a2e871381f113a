"""Views that a regression can look at in part: a few thousand pixels to begin with, and tiles of the whole to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ispdsl.optimise.model import Model, Picture
from ispdsl.optimise.normal import Normal, Source
from ispdsl.optimise.parts import Part, held, sample
from ispdsl.optimise.space import Numbers
from ispdsl.optimise.views import Scene, View
from ispdsl.runtime.values import Settings

LEAST = 1_000
"""Pixels of a view that are looked at, at least, however many views there are."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A scene whose views can be taken apart.

    Attributes:
        scene: the whole.
        sources: of the normal equations of each view.
    """

    scene: Scene
    sources: Sequence[Source]

    @cached_property
    def few(self) -> Scene | None:
        """The scene of drawn pixels alone; None where of some view none were drawn."""
        views = [
            _few(view, source.part) for view, source in zip(self.scene.views, self.sources, strict=True) if source.part
        ]
        return Scene.of(views, self.scene.sharing, 0) if len(views) == len(self.sources) else None

    def normal(self, z: Numbers) -> Normal:
        """The normal equations of everything that counts, at a point of the search."""
        return Normal(self.sources, self.scene.sharing, z)


def sampled(scene: Scene, count: int, seed: int, robust: float | None) -> Sampled | None:
    """What can be looked at in part; None where a view's stages look everywhere, or nobody knows how far.

    Small pictures of one size, which go through a pipeline in one call, are not taken apart either.

    Args:
        scene: the views.
        count: pixels of all views together that are drawn; 0 for none.
        seed: of the draw.
        robust: the scale of Charbonnier's loss; None for squares.

    Raises:
        RegressionError: nothing shows the way to a view.
    """
    if scene.together:
        return None
    random = np.random.default_rng(seed)
    units = scene.sharing.units_at(random.random(scene.sharing.size))
    found: list[Source] = []
    for view, model, inside, at in zip(scene.views, scene.models, scene.inside, units, strict=True):
        front = model.front if isinstance(model, Model) else None
        if front is None or not isinstance(model, Model) or front.size != view.target.shape[1:]:
            return None
        places = inside[inside < front.size[0] * front.size[1]]
        part = sample(model, front, places, max(count // len(scene.views), LEAST), seed) if count else None
        if part is not None and not held(part, model, at):
            return None
        found.append(Source(model, front, view.target, view.peak, inside, robust, part))
    return Sampled(scene, found)


def _few(view: View, part: Part) -> View:
    """The view of some pixels, as a picture of one row."""
    target = np.ascontiguousarray(view.target.reshape(len(view.target), -1)[:, part.places][:, None])
    return replace(view, target=target, render=_nothing, model=part.model, looked_at=None)


def _nothing(settings: Settings) -> Picture:
    raise AssertionError("a sample is for models alone")
