"""Boxes: overlap and suppression against cases worked by hand, and labels from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ispdsl.errors import RunError
from ispdsl.vision.boxes import Objects, overlap, read_labels, suppressed

SQUARE = (0.0, 0.0, 0.4, 0.4)
MOVED = (0.1, 0.0, 0.5, 0.4)
FARTHER = (0.2, 0.0, 0.6, 0.4)


def objects(*each: tuple[tuple[float, ...], int, float]) -> Objects:
    boxes, kinds, scores = zip(*each, strict=True)
    return Objects(torch.tensor(boxes), torch.tensor(kinds), torch.tensor(scores))


def test_overlap_is_the_common_area_over_the_joint_one() -> None:
    boxes = torch.tensor([SQUARE, MOVED, FARTHER, (0.6, 0.6, 0.9, 0.9), (0.2, 0.2, 0.2, 0.2)])
    expected = torch.tensor([1.0, 3 / 5, 2 / 6, 0.0, 0.0])
    torch.testing.assert_close(overlap(boxes[:1], boxes)[0], expected)


def test_suppression_is_greedy_within_a_kind() -> None:
    found = suppressed(objects((MOVED, 1, 0.8), (SQUARE, 1, 0.9), (MOVED, 2, 0.3), (FARTHER, 1, 0.5)))
    torch.testing.assert_close(
        found.scores, torch.tensor([0.9, 0.5, 0.3]), msg="what the second would have hidden stays"
    )
    assert found.kinds.tolist() == [1, 1, 2]
    assert len(suppressed(objects((SQUARE, 1, 0.9), (MOVED, 1, 0.8)), most=0.7)) == 2


def test_nothing_stays_nothing() -> None:
    nothing = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    assert len(suppressed(nothing)) == 0


def test_labels_are_read_as_edges(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("45 0.5 0.25 0.2 0.1\n\n0 1 1 1 1\n")
    found = read_labels(tmp_path / "a.txt")
    assert found.kinds.tolist() == [45, 0]
    torch.testing.assert_close(found.boxes, torch.tensor([[0.4, 0.2, 0.6, 0.3], [0.5, 0.5, 1.5, 1.5]]))
    (tmp_path / "empty.txt").write_text("")
    assert len(read_labels(tmp_path / "empty.txt")) == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 0.5 0.5 0.1", "is no label"),
        ("one 0.5 0.5 0.1 0.1", "is no label"),
        ("1 nan 0.5 0.1 0.1", "is no label"),
        ("80 0.5 0.5 0.1 0.1", "no class 80"),
        ("1.5 0.5 0.5 0.1 0.1", "no class 1.5"),
        ("1 0.5 0.5 1.1 0.1", "does not lie in the picture"),
        ("1 0.5 0.5 0 0.1", "does not lie in the picture"),
    ],
)
def test_damaged_labels_are_refused_with_their_line(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "a.txt").write_text(f"1 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(RunError, match="line 2") as caught:
        read_labels(tmp_path / "a.txt")
    assert why in caught.value.message


def test_missing_labels_are_no_empty_ones(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        read_labels(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read"):
        read_labels(tmp_path / "binary.txt")
