"""The loop of all learned passes: what it minimises, what it keeps, how it goes on, what it refuses."""

from __future__ import annotations

import signal
from itertools import product
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


OPTIMISERS, FALLS = ("adam", "adamw", "rmsprop", "sgd"), ("cosine", "drop", "none")
QUICK = {*((name, "none") for name in OPTIMISERS), *(("adam", fall) for fall in FALLS)}
"""What every run of the tests fits: each optimiser, and each fall of the rate; the slow tests have all pairs."""

PAIRS = [pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow) for pair in product(OPTIMISERS, FALLS)]


@pytest.mark.parametrize(("optimiser", "fall"), PAIRS)
def test_every_optimiser_finds_the_line(optimiser: str, fall: str) -> None:
    model = line()
    fit(model, loss_of(model), Recipe(800, 0.05, optimiser, fall))  # type: ignore[arg-type]
    assert model.weight.item() == pytest.approx(3, abs=0.1)
    assert model.bias.item() == pytest.approx(1, abs=0.1)


def test_the_weights_that_the_judge_liked_best_are_kept() -> None:
    model, said = line(), iter([0.0, 1.0, 5.0, 2.0, 3.0])
    seen: list[float] = []

    def judge() -> float:
        assert not model.training
        seen.append(model.weight.item())
        return next(said)

    found = fit(model, loss_of(model), Recipe(40, 0.05, judged=4), judge)
    assert found.best == (5.0, 20)
    assert [step for step, _ in found.scores] == [0, 10, 20, 30, 40]
    assert model.weight.item() == seen[2]


def test_what_is_worse_than_the_start_is_not_kept() -> None:
    model, said = line(), iter([5.0, 1.0, 2.0])
    begun = model.weight.item()
    found = fit(model, loss_of(model), Recipe(20, 0.05, judged=2), lambda: next(said))
    assert (found.best, model.weight.item()) == ((5.0, 0), begun)


def test_the_rate_rises_before_it_falls() -> None:
    rates = [Recipe(100, 1.0, fall="none", warm=9).rate_at(step) for step in range(12)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1])
    assert Recipe(100, 1.0, warm=9).rate_at(4) < Recipe(100, 1.0).rate_at(4)


def test_ctrl_c_waits_for_the_step_and_its_checkpoint_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = line()
    fit(whole, loss_of(whole), Recipe(30, 0.05))
    model, kept = line(), tmp_path / "checkpoint.safetensors"
    plain = loss_of(model)

    def torn(step: int, generator: torch.Generator) -> torch.Tensor:
        if step == 11:
            signal.raise_signal(signal.SIGINT)
        return plain(step, generator)

    with pytest.raises(KeyboardInterrupt, match="has 12 of 30 steps"):
        fit(model, torn, Recipe(30, 0.05), kept=kept)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = line(seed=1)
    told: list[int] = []
    fit(again, loss_of(again), Recipe(30, 0.05), kept=kept, resume=True, told=lambda now: told.append(now.step))
    assert told[0] == 13
    assert torch.equal(again.weight, whole.weight)


@pytest.mark.parametrize("late", [False, True])
def test_ctrl_c_in_the_last_step_is_not_lost(late: bool) -> None:
    """Another phase may come after this one: neither the step nor what is told of it swallows the signal."""
    model = line()
    plain = loss_of(model)

    def loss(step: int, generator: torch.Generator) -> torch.Tensor:
        if step == 2 and not late:
            signal.raise_signal(signal.SIGINT)
        return plain(step, generator)

    def told(now: Told) -> None:
        if now.step == 3 and late:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(model, loss, Recipe(3, 0.05), told=told)


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
