"""Images of one size with their classes, and how they are seen in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ispdsl.learned.augment import mirrored, shifted


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images of one size with their classes.

    Attributes:
        images: ``(N, C, H, W)``, whatever the pipeline takes.
        labels: ``(N,)``, int64; -1 where nobody knows.
        metadata: of the images by name; a row for each image where `own` says so, else one for all.
        own: names of metadata that has a row for each image.
    """

    images: Tensor
    labels: Tensor
    metadata: Mapping[str, Tensor]
    own: frozenset[str] = frozenset()

    def take(self, numbers: Tensor) -> Labelled:
        """Some of them, by their numbers ``(B,)``."""
        places = numbers.to(self.images.device)
        metadata = {name: value[places] if name in self.own else value for name, value in self.metadata.items()}
        return Labelled(self.images[places], self.labels[places], metadata, self.own)

    def to(self, device: str) -> Labelled:
        """The same on a device."""
        metadata = {name: value.to(device) for name, value in self.metadata.items()}
        return Labelled(self.images.to(device), self.labels.to(device), metadata, self.own)


@dataclass(frozen=True)
class Seen:
    """How images are seen in training.

    Attributes:
        together: images in a batch, drawn with replacement.
        mirror: whether left and right are exchanged in half of them.
        shift: px that they are moved by at most, along and across.
        tile: px a side of a mosaic's tile; 1 for pictures.
    """

    together: int = 64
    mirror: bool = True
    shift: int = 2
    tile: int = 1

    def draw(self, data: Labelled, generator: torch.Generator) -> Labelled:
        """A batch."""
        some = data.take(torch.randint(0, len(data.labels), (self.together,), generator=generator))
        images = mirrored(some.images, generator, mosaic=self.tile > 1) if self.mirror else some.images
        return Labelled(shifted(images, self.shift, generator, tile=self.tile), some.labels, some.metadata, some.own)
