"""Findings against labels: matches, rates and average precision worked by hand, and the loss with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.vision.boxes import Objects, labelled
from ispdsl.vision.detection import (
    Match,
    average_precision,
    found,
    match,
    mean_average_precision,
    rates,
)
from ispdsl.vision.detection_loss import detection_loss
from ispdsl.vision.fastestdet import Cells
from tests.vision.test_boxes import FARTHER, MOVED, SQUARE, objects


def label(*each: tuple[tuple[float, ...], int]) -> Objects:
    boxes, kinds = zip(*each, strict=True)
    return labelled(torch.tensor(boxes), torch.tensor(kinds))


NOTHING = labelled(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def outcome(right: list[int], labels: int, kind: int = 0, first: float = 0.9) -> Match:
    scores = np.array([first - 0.1 * place for place in range(len(right))])
    kinds = np.full(len(right), kind)
    return Match(scores, np.array(right, np.bool_), kinds, np.full(labels, kind))


# ---- which finding is which label ------------------------------------------------------------------------------


def test_a_label_is_found_once_by_the_best_finding_of_its_kind() -> None:
    both = match(objects((MOVED, 1, 0.5), (SQUARE, 1, 0.9), (SQUARE, 2, 0.8)), label((SQUARE, 1)))
    assert both.right.tolist() == [True, False, False], "the second finding and the other kind are wrong"
    np.testing.assert_allclose(both.scores, [0.9, 0.8, 0.5], rtol=1e-6)
    assert not match(objects((SQUARE, 2, 0.9)), label((SQUARE, 1))).right.any()


def test_a_finding_takes_the_label_that_it_overlaps_most() -> None:
    two = label((SQUARE, 1), (FARTHER, 1))
    assert match(objects((FARTHER, 1, 0.9), (MOVED, 1, 0.5)), two).right.tolist() == [True, True]


def test_too_little_overlap_is_wrong() -> None:
    assert not match(objects((FARTHER, 1, 0.9)), label((SQUARE, 1))).right.any()
    assert match(objects((FARTHER, 1, 0.9)), label((SQUARE, 1)), enough=0.3).right.all()


def test_without_labels_all_is_wrong_and_without_findings_nothing_is() -> None:
    assert match(objects((SQUARE, 1, 0.9)), NOTHING).right.tolist() == [False]
    assert len(match(NOTHING, label((SQUARE, 1))).right) == 0


# ---- scores ----------------------------------------------------------------------------------------------------


def test_rates_are_of_findings_above_the_threshold() -> None:
    some = [outcome([1, 0, 1], 5), outcome([0], 0)]
    assert rates(some, 0.75) == pytest.approx(rates(some, 0.8))
    at = rates(some, 0.65)
    assert (at.precision, at.recall) == (2 / 4, 2 / 5)
    assert (rates(some, 0.99).precision, rates(some, 0.99).recall) == (0, 0)


def test_average_precision_by_hand() -> None:
    assert average_precision([outcome([1, 0, 1], 3)]) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision([outcome([0, 1, 1], 2)]) == pytest.approx(2 / 3), "the largest precision further on counts"
    assert average_precision([outcome([1], 1), outcome([0], 1, first=0.5)]) == pytest.approx(1 / 2)
    assert average_precision([outcome([0], 1, first=0.95), outcome([1], 1)]) == pytest.approx(1 / 4)
    assert average_precision([outcome([1, 1], 2)]) == 1
    assert average_precision([outcome([0, 0], 0)]) == 0


def test_the_mean_over_classes_counts_classes_with_labels_alone() -> None:
    several = [outcome([1], 1, kind=3), outcome([0, 1], 2, kind=5), outcome([0], 0, kind=7)]
    assert mean_average_precision(several) == pytest.approx((1 + 1 / 4) / 2)
    assert mean_average_precision([]) == 0


# ---- from cells ------------------------------------------------------------------------------------------------

SIZE = 4


def cells(box: tuple[float, ...] = SQUARE, sure: float = 3.0, at: tuple[int, int] = (0, 1), kind: int = 2) -> Cells:
    """One cell that believes in something, the others in nothing."""
    something = torch.full((1, SIZE, SIZE), -6.0)
    something[0, at[0], at[1]] = sure
    boxes = torch.tensor([0.9, 0.9, 0.95, 0.95]).expand(1, SIZE, SIZE, 4).clone()
    boxes[0, at[0], at[1]] = torch.tensor(box)
    kinds = torch.zeros(1, SIZE, SIZE, 80)
    kinds[..., kind] = 4.0
    return Cells(something, boxes, kinds.log_softmax(-1))


def test_what_a_cell_believes_in_is_found() -> None:
    seen = found(cells())[0].above(0.3)
    assert seen.kinds.tolist() == [2]
    torch.testing.assert_close(seen.boxes[0], torch.tensor(SQUARE))
    something, kind = torch.tensor(3.0).sigmoid(), cells().kinds[0, 0, 1, 2].exp()
    torch.testing.assert_close(seen.scores[0], something**0.6 * kind**0.4)


def loss(of: Cells, *labels: tuple[tuple[float, ...], int]) -> float:
    return float(detection_loss(of, [label(*labels) if labels else NOTHING]))


def test_the_loss_falls_as_boxes_get_nearer() -> None:
    near = [loss(cells(box), (SQUARE, 2)) for box in (SQUARE, MOVED, FARTHER)]
    assert near[0] < near[1] < near[2]
    assert near[1] - near[0] == pytest.approx(1 - 3 / 5, abs=1e-4)


def test_the_loss_falls_with_belief_in_what_is_there_and_its_kind() -> None:
    assert loss(cells(sure=4.0), (SQUARE, 2)) < loss(cells(sure=0.0), (SQUARE, 2))
    assert loss(cells(kind=2), (SQUARE, 2)) < loss(cells(kind=3), (SQUARE, 2))
    assert loss(cells(sure=-6.0)) < loss(cells(sure=0.0)) < loss(cells(sure=4.0)), "nothing is there"


def test_a_cell_that_finds_the_label_well_is_not_held_back() -> None:
    """Both cells about the centre: the second is spare, but no false finding."""
    one = cells(sure=4.0)
    spare = cells(sure=4.0)
    spare.something[0, 1, 1] = 4.0
    spare.boxes[0, 1, 1] = torch.tensor(SQUARE)
    assert loss(spare, (SQUARE, 2)) <= loss(one, (SQUARE, 2)) + 1e-6
    spare.boxes[0, 1, 1] = torch.tensor((0.6, 0.6, 0.9, 0.9))
    assert loss(spare, (SQUARE, 2)) > loss(one, (SQUARE, 2)) + 1


def test_cells_far_from_the_centre_are_not_responsible() -> None:
    assert loss(cells(at=(3, 3)), (SQUARE, 2)) > loss(cells(at=(1, 1)), (SQUARE, 2)) + 1


def test_labels_at_the_rim_have_cells() -> None:
    whole = (0.99, 0.99, 1.0, 1.0)
    assert np.isfinite(loss(cells(box=whole, at=(3, 3)), (whole, 2)))
    assert np.isfinite(loss(cells(), ((0.5, 0.5, 1.5, 1.5), 2)))


def test_the_loss_has_the_gradients_of_its_numbers() -> None:
    start = cells(MOVED, sure=1.0)
    parts = [start.something.double(), start.boxes.double(), start.kinds.double()]

    def of(something: Tensor, boxes: Tensor, kinds: Tensor) -> Tensor:
        return detection_loss(Cells(something, boxes, kinds.log_softmax(-1)), [label((SQUARE, 2))])

    leaves = tuple(part.requires_grad_() for part in parts)
    assert torch.autograd.gradcheck(of, leaves, eps=1e-6, fast_mode=True)
