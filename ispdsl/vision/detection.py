"""How well things are found: which finding is which label, precision, recall and average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ispdsl.vision.boxes import Objects, overlap, suppressed
from ispdsl.vision.fastestdet import Cells

ENOUGH = 0.5
"""Overlap from which on a box is right (PASCAL VOC; COCO calls the score at it AP50)."""

FLOOR = 0.01
"""Scores below are not looked at: their findings change average precision by nothing that counts."""

MOST = 100
"""Findings in a picture that count, the best (as in COCO's evaluation)."""


@dataclass(frozen=True, eq=False)
class Match:
    """The findings in a picture, and which of them are right.

    Attributes:
        scores: ``(N,)``, best first.
        right: ``(N,)``, whether each is the first to find its label.
        kinds: ``(N,)``, of the findings.
        labels: ``(M,)``, the kinds of the labels.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    kinds: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """Precision: what part of the findings is right. Recall: what part of the labels is found. Of nothing, 0."""

    precision: float
    recall: float


def found(cells: Cells, least: float = FLOOR, most: float = 0.45) -> list[Objects]:
    """What a detector sees in each picture: the best kind of each cell, without what overlaps a better one.

    Args:
        cells: of any number of pictures.
        least: score that a finding has at least.
        most: as in `suppressed`.
    """
    scores, kinds = (each.detach().flatten(1) for each in cells.scores.max(-1))
    boxes = cells.boxes.detach().flatten(1, 2)
    whole = [Objects(*each) for each in zip(boxes, kinds, scores, strict=True)]
    return [_best(suppressed(each.above(least), most)) for each in whole]


def _best(objects: Objects) -> Objects:
    return Objects(objects.boxes[:MOST], objects.kinds[:MOST], objects.scores[:MOST])


def match(findings: Objects, labels: Objects, enough: float = ENOUGH) -> Match:
    """Say which findings are right.

    From the best score down, each takes the label of its kind that it overlaps most and that none before it has taken;
    one that overlaps none by `enough` is wrong, and so is a second finding of the same label (the COCO evaluation, Lin
    et al. 2014; PASCAL VOC, section 4.2, differs in that a finding whose best label is taken gets no other).
    """
    order = findings.scores.argsort(descending=True, stable=True)
    overlaps = overlap(findings.boxes[order], labels.boxes).double().numpy()
    overlaps[findings.kinds[order].numpy()[:, None] != labels.kinds.numpy()] = 0
    right = np.zeros(len(order), np.bool_)
    for place, row in enumerate(overlaps):
        if row.size and row.max() >= enough:
            right[place] = True
            overlaps[:, row.argmax()] = 0
    scores = findings.scores[order].double().numpy()
    return Match(scores, right, findings.kinds[order].numpy(), labels.kinds.numpy())


def rates(matches: Sequence[Match], threshold: float) -> Rates:
    """Precision and recall over all pictures of findings with at least this score."""
    right = sum(int(each.right[each.scores >= threshold].sum()) for each in matches)
    findings = sum(int((each.scores >= threshold).sum()) for each in matches)
    labels = sum(len(each.labels) for each in matches)
    return Rates(right / max(findings, 1), right / max(labels, 1))


def average_precision(matches: Sequence[Match]) -> float:
    """The area under precision against recall, over all pictures, findings of all kinds in one list.

    Precision at a recall is the largest at that recall or a larger one, and the area is exact (PASCAL VOC from 2010 on;
    section 3.4.1 of its development kit). One list of all kinds is no mean of classes: with a few dozen pictures most
    classes have one label or none, and their mean would be that of coin tosses. Without labels it is 0.
    """
    labels = sum(len(each.labels) for each in matches)
    if not labels:
        return 0.0
    scores = np.concatenate([each.scores for each in matches])
    right = np.concatenate([each.right for each in matches])[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    largest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(largest[right].sum() / labels)


def mean_average_precision(matches: Sequence[Match]) -> float:
    """The mean over the classes that have labels of `average_precision` of each alone (PASCAL VOC, COCO's AP50)."""
    classes = sorted({int(kind) for each in matches for kind in each.labels})
    if not classes:
        return 0.0
    return float(np.mean([average_precision([_only(each, kind) for each in matches]) for kind in classes]))


def _only(each: Match, kind: int) -> Match:
    of = each.kinds == kind
    return Match(each.scores[of], each.right[of], each.kinds[of], each.labels[each.labels == kind])


def matches(cells: Cells, labels: Sequence[Objects]) -> list[Match]:
    """What is found in each picture, held to its labels."""
    with torch.no_grad():
        return [match(ours, theirs) for ours, theirs in zip(found(cells), labels, strict=True)]
