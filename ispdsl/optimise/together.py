"""Several images, or one at several points, rendered and differentiated in one call.

A call of a small picture is mostly the calling: of its stages, and of torch. Images of one shape go through the
pipeline as a batch, and so does one image at several points. Large ones are better taken one after the other, as long
as it is a CPU that takes them: `benchmarks.together` measures where the line is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.optimise.model import TOGETHER, Model, Picture
from ispdsl.optimise.space import Numbers

PIXELS = 1 << 16
"""Pixels of the images of one call, at most: with more it is not faster on a CPU."""


class Rendering(Protocol):
    """What renders at points of the unit cube."""

    def picture(self, point: Numbers, /) -> Picture:
        """The picture there."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """Models of one composite and of images of one shape, as one.

    Attributes:
        models: at least one; see `alike`.
    """

    models: tuple[Model, ...]

    def pictures(self, points: Sequence[Numbers]) -> list[Picture]:
        """The picture of each at its point ``(N,)``, as `Model.picture`."""
        with torch.no_grad():
            return list(self._model.pictures(torch.from_numpy(np.stack(points))).numpy())

    def jacobians(self, points: Sequence[Numbers], rows: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The derivatives of some numbers of each picture, each ``(M, N)``, as `Model.jacobian`."""
        x = torch.from_numpy(np.stack(points))
        size = self.models[0].image.numel() // len(self.models[0].image) * 3  # of a picture
        places = torch.from_numpy(np.concatenate([some + size * place for place, some in enumerate(rows)]))

        def seen(x: Tensor) -> Tensor:
            return self._model.pictures(x).reshape(-1)[places]

        def along(direction: Tensor) -> Tensor:
            return torch.func.jvp(seen, (x,), (direction.expand_as(x),))[1]

        several = torch.func.vmap(along, randomness="same")
        count = max(1, TOGETHER // (size * len(points)))
        found = [several(some).numpy() for some in torch.eye(x.shape[1], dtype=x.dtype).split(count)]
        slopes = np.concatenate(found).T
        ends = np.cumsum([some.size for some in rows])[:-1]
        return np.split(slopes, ends)

    @cached_property
    def _model(self) -> Model:
        """A model of the batch of images."""
        first = self.models[0]
        held, metadata = (
            _stacked(each) for each in ([one.held for one in self.models], [one.metadata for one in self.models])
        )
        image = torch.stack([each.image for each in self.models])
        return Model(first.composite, first.vector, held, image, metadata)


def pictures_at(model: Rendering, points: Sequence[Numbers]) -> list[Picture]:
    """The pictures of one image at several points; in one call, or in a few, where it is small."""
    if not isinstance(model, Model) or model.image.dim() != 3:
        return [model.picture(point) for point in points]
    most = max(1, PIXELS // (model.image.shape[-2] * model.image.shape[-1]))
    found: list[Picture] = []
    for first in range(0, len(points), most):
        some = points[first : first + most]
        if len(some) == 1:
            found.append(model.picture(some[0]))
            continue
        with torch.no_grad():
            found += list(model.pictures(torch.from_numpy(np.stack(some))).numpy())
    return found


def batches(models: Sequence[object]) -> list[tuple[list[int], Batch]]:
    """The places of models that go together, and their batches; those that go alone are in none."""
    waiting = [place for place, model in enumerate(models) if isinstance(model, Model) and model.lens is None]
    found: list[tuple[list[int], Batch]] = []
    while waiting:
        first = models[waiting[0]]
        assert isinstance(first, Model)
        most = max(1, PIXELS // (first.image.shape[-2] * first.image.shape[-1]))
        like = [(place, each) for place in waiting if isinstance(each := models[place], Model) and alike(first, each)]
        taken = like[:most]
        if len(taken) > 1:
            found.append(([place for place, _ in taken], Batch(tuple(each for _, each in taken))))
        waiting = [place for place in waiting if place not in {taken_place for taken_place, _ in taken}]
    return found


def alike(one: Model, two: Model) -> bool:
    """Whether two models can be rendered in one call."""
    return (
        one.composite is two.composite
        and one.vector.slots == two.vector.slots
        and one.lens is two.lens is None
        and one.image.shape == two.image.shape
        and _fits(one.held, two.held)
        and _fits(one.metadata, two.metadata)
    )


def _fits(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether values have the same shapes, and names and switches are the same."""
    return one.keys() == two.keys() and all(
        two[name].shape == value.shape if isinstance(value, Tensor) and isinstance(two[name], Tensor)
        else type(value) is type(two[name]) and value == two[name]
        for name, value in one.items()
    )  # fmt: skip


def _stacked(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: torch.stack([each[name] for each in values]) if isinstance(value, Tensor) else value
        for name, value in values[0].items()
    }
