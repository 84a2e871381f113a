"""Held-out pictures at the start and as found, side by side, with what the network takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.learned.joint import Joint
    from ispdsl.learned.labelled import Labelled

SHOWN = 6
"""Pictures on a sheet."""


@dataclass(frozen=True, eq=False)
class Look:
    """Pictures ``(N, 3, H, W)`` as the network sees them, and the classes ``(N,)`` that it takes them for."""

    pictures: NDArray[np.float32]
    told: NDArray[np.int64]


def look(model: Joint, data: Labelled) -> Look:
    """The first pictures of some images."""
    import torch

    some = data.take(torch.arange(min(SHOWN, len(data.labels))))
    model.eval()
    with torch.no_grad():
        pictures = model.pictures(some.images, some.metadata)
        told = model.network(pictures).argmax(1)
    return Look(pictures.float().cpu().numpy(), told.cpu().numpy())


def write_sheet(path: Path, before: Look, after: Look, labels: Sequence[int], classes: Sequence[str]) -> None:
    """A row for each picture: at the start, and as found.

    Raises:
        PictureError: the file cannot be written.
    """
    from ispdsl.runtime.contact_sheet import contact_sheet

    tiles = [
        (f"{when}: told {classes[int(seen.told[place])]}", seen.pictures[place].clip(0, 1), "srgb")
        for place in range(len(before.pictures))
        for when, seen in ((f"{classes[labels[place]]}, at the start", before), ("as found", after))
    ]
    contact_sheet(path, tiles, columns=2)
