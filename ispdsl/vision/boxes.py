"""Boxes ``(..., 4)``: left, top, right, bottom, as parts of the picture. Overlap, suppression, files of labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ispdsl.errors import RunError


@dataclass(frozen=True, eq=False)
class Objects:
    """What there is in a picture, or is believed to be.

    Attributes:
        boxes: ``(N, 4)``, as parts of the picture.
        kinds: ``(N,)``, int64, the number of each one's class.
        scores: ``(N,)``, how much each is believed in; 1 for labels.
    """

    boxes: Tensor
    kinds: Tensor
    scores: Tensor

    def __len__(self) -> int:
        """How many there are."""
        return len(self.kinds)

    def above(self, score: float) -> Objects:
        """Those that are believed in at least so much."""
        kept = self.scores >= score
        return Objects(self.boxes[kept], self.kinds[kept], self.scores[kept])


def labelled(boxes: Tensor, kinds: Tensor) -> Objects:
    """Labels."""
    return Objects(boxes, kinds, torch.ones(len(kinds), dtype=boxes.dtype))


def read_labels(path: str | Path, kinds: int = 80) -> Objects:
    """The labels of a picture, as the YOLO detectors keep them: class, centre x, centre y, width, height, a line each.

    An empty file says that the picture shows nothing.

    Raises:
        RunError: the file cannot be read, or a line of it is no label; says which line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise RunError(f"labels {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            rows.append(_label(line, kinds, f"labels {path}, line {number}"))
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    centre, size = table[:, 1:3], table[:, 3:5]
    return labelled(torch.cat([centre - size / 2, centre + size / 2], 1), table[:, 0].long())


def _label(line: str, kinds: int, where: str) -> list[float]:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != 5 or not all(math.isfinite(number) for number in numbers):
        raise RunError(f"{where}: {line[:60]!r} is no label", "write class, centre x, centre y, width and height")
    if numbers[0] not in range(kinds):
        raise RunError(f"{where}: there is no class {numbers[0]:g}", f"classes are 0 to {kinds - 1}")
    if not all(0 <= number <= 1 for number in numbers[1:]) or min(numbers[3:]) <= 0:
        raise RunError(f"{where}: the box does not lie in the picture", "numbers are parts of the picture, 0 to 1")
    return numbers


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every two boxes: ``(N, 4)`` and ``(M, 4)`` to ``(N, M)``; gradients pass.

    It is the area that both cover over the area that either covers (Everingham et al., "The PASCAL Visual Object
    Classes (VOC) Challenge", IJCV 2010, equation 3), 0 where neither has an area.
    """
    return matched_overlap(first[:, None], second)


def matched_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes with their partners: ``(..., 4)`` to ``(...)``."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp_min(0).prod(-1)
    either = _area(first) + _area(second) - both
    return both / either.clamp_min(1e-12)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)


def suppressed(objects: Objects, most: float = 0.45) -> Objects:
    """Greedy non-maximum suppression: from the best score down, what overlaps a better one of its kind goes.

    Args:
        objects: in any order.
        most: overlap with a better one of the same kind above which an object goes.

    Returns:
        What is left, best first; equal scores stay in their order.
    """
    order = objects.scores.argsort(descending=True, stable=True)
    boxes, kinds = objects.boxes[order], objects.kinds[order]
    rivals = (overlap(boxes, boxes) > most) & (kinds[:, None] == kinds)
    stays = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if stays[place]:
            stays[place + 1 :] &= ~rivals[place, place + 1 :]
    kept = order[stays]
    return Objects(objects.boxes[kept], objects.kinds[kept], objects.scores[kept])
