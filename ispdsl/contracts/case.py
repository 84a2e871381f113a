"""One call of a stage: what goes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ispdsl.contracts.pictures import Picture


@dataclass(frozen=True)
class Case:
    """Images, settings, metadata and statistics of one call, and what the type variables stand for in it.

    `images` are float64 ``(C, H, W)`` by the name of the port; `arguments` are as programs receive them: floats and
    tensors in canonical units, names of choices, bools, sizes, text. `pictures` says what the images show.
    """

    images: Mapping[str, Tensor]
    arguments: Mapping[str, Any]
    types: Mapping[str, str | int]
    pictures: Mapping[str, Picture] = field(default_factory=dict[str, Picture])

    @property
    def first(self) -> Tensor:
        """The first image."""
        return next(iter(self.images.values()))

    def showing(self, images: Mapping[str, Tensor]) -> Case:
        """The same call on other images; those that are not given stay, and so does what is said of them."""
        pictures = {name: picture for name, picture in self.pictures.items() if name not in images}
        return replace(self, images={**self.images, **images}, pictures=pictures)

    def with_arguments(self, arguments: Mapping[str, Any]) -> Case:
        """The same call at other settings."""
        return replace(self, arguments={**self.arguments, **arguments})

    def with_types(self, types: Mapping[str, str | int]) -> Case:
        """The same call on another CFA or in another space."""
        return replace(self, types={**self.types, **types})
