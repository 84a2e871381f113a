"""The loop of all learned passes: what it minimises, what it keeps, how it goes on, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.learned.fit import Recipe, Told, drawing, fit
from ispdsl.training.data import TrainingError


def line(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(1, 1)


def loss_of(model: nn.Linear):
    def loss(step: int, generator: torch.Generator) -> Tensor:
        x = torch.rand(16, 1, generator=generator)
        return (model(x) - (3 * x + 1)).square().mean()

    return loss


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("fall", ["cosine", "drop", "none"])
def test_every_optimiser_finds_the_line(optimiser: str, fall: str) -> None:
    model = line()
    fit(model, loss_of(model), Recipe(800, 0.05, optimiser, fall))  # type: ignore[arg-type]
    assert model.weight.item() == pytest.approx(3, abs=0.1)
    assert model.bias.item() == pytest.approx(1, abs=0.1)


def test_the_weights_that_the_judge_liked_best_are_kept() -> None:
    model, said = line(), iter([1.0, 5.0, 2.0, 3.0])
    seen: list[float] = []

    def judge() -> float:
        assert not model.training
        seen.append(model.weight.item())
        return next(said)

    found = fit(model, loss_of(model), Recipe(40, 0.05, judged=4), judge)
    assert found.best == (5.0, 20)
    assert [step for step, _ in found.scores] == [0, 10, 20, 30, 40]
    assert model.weight.item() == seen[1]


def test_a_training_that_was_stopped_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = line()
    fit(whole, loss_of(whole), Recipe(30, 0.05))

    class Stop(Exception):  # noqa: N818 - no error
        pass

    def stop(told: Told) -> None:
        if told.step == 12:
            raise Stop

    model = line()
    kept = tmp_path / "checkpoint.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ispdsl.learned.fit.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Stop):
            fit(model, loss_of(model), Recipe(30, 0.05), told=stop, kept=kept)
    again = line(seed=1)
    fit(again, loss_of(again), Recipe(30, 0.05), kept=kept, resume=True)
    assert torch.equal(again.weight, whole.weight)
    with pytest.raises(TrainingError, match=r"rate 0\.05, and now it is rate 0\.1"):
        fit(line(), loss_of(again), Recipe(30, 0.1), kept=kept, resume=True)


def test_what_cannot_be_trained_is_refused() -> None:
    model = line()
    with pytest.raises(RunError, match="the loss is nan after 1 steps"):
        fit(model, lambda step, generator: model.weight.sum() * float("nan"), Recipe(3, 0.1))
    with pytest.raises(RunError, match="nothing to train"):
        fit(line().requires_grad_(False), loss_of(model), Recipe(3, 0.1))
    with pytest.raises(ValueError, match="0 steps"):
        Recipe(0, 0.1)


def test_draws_are_those_of_seed_and_step() -> None:
    assert torch.equal(torch.rand(3, generator=drawing(1, 2)), torch.rand(3, generator=drawing(1, 2)))
    assert not torch.equal(torch.rand(3, generator=drawing(1, 2)), torch.rand(3, generator=drawing(2, 2)))
