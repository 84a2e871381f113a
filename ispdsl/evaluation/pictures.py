"""Pictures of queries: what the real thing made, what the doubles made, and ten times the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ispdsl.comparison.sheet import shown, write_rows
from ispdsl.evaluation.scores import Image
from ispdsl.ir.types import Type

TIMES = 10
"""How much differences are strengthened, the same in all pictures so that they can be compared."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One query as a row: three titles, and the real image and that of the doubles `(C, H, W)`, with white `peak`."""

    titles: tuple[str, str, str]
    real: Image
    double: Image
    type: Type
    peak: float


def sheet(path: Path, shots: Sequence[Shot]) -> None:
    """Write a page with a row for every query: real, doubles, and `TIMES` times their difference as it is seen.

    Raises:
        ValueError: there is nothing to show.
        PictureError: the file cannot be written.
    """
    if not shots:
        raise ValueError("there is no query to show")
    write_rows(path, [_row(shot) for shot in shots])


def _row(shot: Shot) -> list[tuple[str, str, Image]]:
    real, double = (shown(image, shot.type, shot.peak) for image in (shot.real, shot.double))
    if real.shape == double.shape:
        apart = (np.abs(real - double) * TIMES).clip(0, 1).astype(np.float32)
    else:
        apart = np.ones_like(real)
    kinds = ("real", "doubles", f"difference x{TIMES}")
    return list(zip(shot.titles, kinds, (real, double, apart), strict=True))
