"""How far a detector is from finding what there is, as a number with gradients: for what stands before the detector.

It is no loss to train a detector with. The weights stay; what changes is the picture, so that a label is held to the
cell that is about to find it, and cells that find what is not there are held back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.vision.boxes import Objects, matched_overlap, overlap
from ispdsl.vision.fastestdet import Cells

NEAR = 1
"""Cells to each side of the one that holds an object's centre that may find it."""

FOCUS = 2.0
"""The exponent of the focal loss (Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection", ICCV
2017, equation 4): how little cells count that are right already."""

CLAIMS = 0.5
"""Overlap with a label from which on a finding of its cell is no false one."""


def detection_loss(cells: Cells, labels: Sequence[Objects]) -> Tensor:
    """A number ``()`` at or above 0 that falls as labels are found, and as what is not there is not.

    For each label, of the cells about its centre the one that finds it best is responsible, and gives

    - the focal cross-entropy of there being something, and that of its kind, weighted as the detector weighs them
      (0.6 and 0.4), and
    - what its box lacks of the label's in overlap, 1 - IoU (Yu, Jiang, Wang, Cao and Huang, "UnitBox", ACM Multimedia
      2016, has its logarithm).

    All cells whose boxes overlap no label by half give the focal cross-entropy of there being nothing. The sum is
    divided by the number of labels in all pictures, at least 1.

    Args:
        cells: of B pictures.
        labels: of the B pictures.
    """
    total = cells.something.new_zeros(())
    for something, boxes, kinds, theirs in zip(*cells, labels, strict=True):
        one = Cells(something, boxes, kinds)
        total = total + _missed(one, theirs) + _false(one, theirs)
    return total / max(sum(len(each) for each in labels), 1)


def _missed(cells: Cells, labels: Objects) -> Tensor:
    """The labels' part of one picture, ``(h, w, ...)``."""
    if not len(labels):
        return cells.something.new_zeros(())
    wanted = labels.boxes.to(cells.boxes)
    rows, columns = _about(wanted, cells.something.shape)
    boxes = cells.boxes[rows, columns]
    kinds = cells.kinds[rows, columns].gather(-1, labels.kinds[:, None, None].expand(*rows.shape, 1))[..., 0]
    something = F.logsigmoid(cells.something[rows, columns])
    overlaps = matched_overlap(boxes, wanted[:, None])
    each = 0.6 * _focal(something) + 0.4 * _focal(kinds) + 1 - overlaps
    best = each.detach().argmin(1, keepdim=True)
    return each.gather(1, best).sum()


def _about(boxes: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Rows and columns ``(N, 9)`` of the cells about the centres of boxes; those outside are the next ones inside."""
    sizes = torch.tensor(list(shape), device=boxes.device)
    centres = (boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 2
    middle = (centres * sizes).floor().long()
    steps = torch.arange(-NEAR, NEAR + 1, device=boxes.device)
    places = middle[:, None] + torch.cartesian_prod(steps, steps)
    places = torch.minimum(places.clamp_min(0), sizes - 1)
    return places[..., 0], places[..., 1]


def _false(cells: Cells, labels: Objects) -> Tensor:
    """The part of one picture's cells that find what is not there."""
    nothing = _focal(F.logsigmoid(-cells.something)).flatten()
    if not len(labels):
        return nothing.sum()
    best = overlap(cells.boxes.detach().flatten(0, 1), labels.boxes.to(cells.boxes)).amax(1)
    return torch.where(best < CLAIMS, nothing, 0.0).sum()


def _focal(log: Tensor) -> Tensor:
    """The focal loss of a log probability: ``-(1 - p)^2 log p``."""
    return -((-torch.expm1(log)) ** FOCUS) * log
