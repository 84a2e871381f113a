"""Attacks: they fool and spare, stay within the bound and the legal codes, and keep the best that they met."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from ispdsl.errors import CompileError, RunError
from ispdsl.learned.attack import SIDE, Bound, Look, attack, scaled, span
from ispdsl.learned.looks import looked, user_classifier
from ispdsl.synthetic import sample_photo
from tests.scenes import composite, exact, synthetic_frame

BLACK, WHITE = torch.tensor([60.0, 64.0, 64.0, 68.0]), torch.tensor(1023.0)
LEVELS = (BLACK, WHITE)


def bright(columns: slice, level: float = 0.5) -> Look:
    """Class 0 where some columns are brighter than a level, else 1."""

    def look(codes: Tensor) -> Tensor:
        over = ((codes[..., columns] - 64) / 959).mean((1, 2, 3)) - level
        return torch.stack([40 * over, -40 * over], 1)

    return look


LEFT, RIGHT, ALL = bright(slice(0, 4)), bright(slice(4, 8)), bright(slice(0, 8))


def flat(code: int = 560, count: int = 2) -> Tensor:
    return torch.full((count, 1, 8, 8), float(code))


def test_one_look_is_fooled_and_the_other_spared() -> None:
    raws, labels = flat(), torch.zeros(2, dtype=torch.int64)
    found = attack(raws, labels, LEFT, RIGHT, LEVELS, Bound(scaled(8, 64)), steps=25)
    assert (LEFT(found.raws).argmax(1) == 1).all()
    assert (RIGHT(found.raws).argmax(1) == 0).all()
    assert found.fooled.all()
    assert found.spared.all()


def test_sparing_is_what_spares() -> None:
    raws, labels = flat(), torch.zeros(2, dtype=torch.int64)
    found = attack(raws, labels, ALL, None, LEVELS, Bound(scaled(8, 64)), steps=25)
    assert (RIGHT(found.raws).argmax(1) == 1).all()
    spared = attack(raws, labels, ALL, RIGHT, LEVELS, Bound(scaled(30, 64)), steps=25)
    assert (ALL(spared.raws).argmax(1) == 1).all()
    assert (RIGHT(spared.raws).argmax(1) == 0).all()


@pytest.mark.parametrize(("norm", "size"), [("l2", 0.02), ("l2", 0.3), ("linf", 0.0021), ("linf", 0.03)])
def test_whole_legal_codes_stay_within_the_bound(norm: Literal["l2", "linf"], size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    raws = torch.randint(0, 1024, (3, 1, 8, 8), generator=generator).float()
    raws[0, 0, 0, 0] = 1100  # above white, as saturated sites are
    labels = ALL(raws).argmax(1)
    found = attack(raws, labels, ALL, None, LEVELS, Bound(size, norm), steps=12)
    assert torch.equal(found.raws, found.raws.round())
    assert found.raws.min() >= 0
    assert (found.raws <= raws.clamp(min=1023)).all()
    change = (found.raws - raws) / span(*LEVELS, raws)
    length = change.flatten(1).norm(dim=1) if norm == "l2" else change.flatten(1).abs().amax(1)
    assert (length <= size * (1 + 1e-6)).all()
    assert torch.allclose(length, found.size)
    assert (found.size > 0.3 * size).all(), "it uses the bound"


def test_what_is_enough_leaves_the_rest_of_the_bound_to_what_is_spared() -> None:
    raws, labels = flat(), torch.zeros(2, dtype=torch.int64)
    found = {
        enough: attack(raws, labels, ALL, RIGHT, LEVELS, Bound(scaled(30, 64)), steps=25, enough=enough).raws
        for enough in (3.0, math.inf)
    }
    sure = {enough: float(RIGHT(codes).softmax(1)[:, 0].min()) for enough, codes in found.items()}
    lost = {enough: float(ALL(codes)[:, 1].min()) for enough, codes in found.items()}
    assert all((ALL(codes).argmax(1) == 1).all() for codes in found.values())
    assert sure[3.0] > sure[math.inf]
    assert lost[3.0] < lost[math.inf]


def test_the_best_step_counts_and_not_the_last() -> None:
    asked = 0

    def look(codes: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        logits = ALL(codes)
        return logits if asked < 6 else logits.detach() * 0 + torch.tensor([90.0, -90.0]) + 0 * logits

    found = attack(flat(563), torch.zeros(2, dtype=torch.int64), look, None, LEVELS, Bound(scaled(8, 64)), steps=20)
    assert (ALL(found.raws).argmax(1) == 1).all()


def test_without_a_slope_nothing_changes() -> None:
    found = attack(flat(), torch.zeros(2, dtype=torch.int64), lambda codes: 0 * ALL(codes), None, LEVELS, Bound(0.1))
    assert torch.equal(found.raws, flat())
    assert not found.fooled.any()


def test_a_bound_is_scaled_by_the_number_of_samples() -> None:
    assert scaled(0.3, SIDE * SIDE) == pytest.approx(0.3)
    assert scaled(0.3, 64 * 64) == pytest.approx(0.3 * 64 / SIDE)


def test_levels_are_those_of_the_sites() -> None:
    widths = span(*LEVELS, torch.zeros(1, 1, 3, 5))
    assert widths[0, 0, :2, :2].tolist() == [[963, 959], [959, 955]]
    assert widths.shape == (1, 1, 3, 5)
    assert span(*LEVELS, torch.zeros(1, 3, 2, 2))[0, :, 0, 0].tolist() == [963, 959, 959]


def test_what_cannot_be_attacked_is_refused() -> None:
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="above 0"):
        Bound(0.0)
    with pytest.raises(RunError, match="not below white"):
        attack(flat(), labels, ALL, None, (BLACK, torch.tensor(10.0)), Bound(0.1))
    with pytest.raises(RunError, match="label 5 is none of the classifier's 2"):
        attack(flat(), labels + 5, ALL, None, LEVELS, Bound(0.1))
    with pytest.raises(RunError, match="logits are"):
        attack(flat(), labels, lambda codes: codes.mean((1, 2, 3)), None, LEVELS, Bound(0.1))
    with pytest.raises(CompileError, match="reddish: the package tests is not trusted"):
        user_classifier("tests.learned.test_attack:reddish", ())


def reddish(pictures: Tensor) -> Tensor:
    """For the command line: class 0 where a picture has more red than green."""
    red, green, _ = pictures.mean((-2, -1)).unbind(1)
    return 60 * torch.stack([red - green, green - red], 1)


def broken(pictures: Tensor) -> str:
    """No classifier."""
    return str(pictures.shape)


def test_gradients_pass_a_pipeline_down_to_the_codes(tmp_path: Path) -> None:
    frame = synthetic_frame(tmp_path, sample_photo("coffee", 48))
    image, metadata = exact(frame)
    look = looked(
        composite("photo_finish"), {}, metadata, user_classifier("tests.learned.test_attack:reddish", ["tests"])
    )
    codes = image[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(look(codes)[0, 0], codes)
    assert slope.isfinite().all()
    assert (slope != 0).float().mean() > 0.9
    refused = looked(
        composite("photo_finish"), {}, metadata, user_classifier("tests.learned.test_attack:broken", ["tests"])
    )
    with pytest.raises(RunError, match="it gives str"):
        refused(image[None])
