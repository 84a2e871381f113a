"""Descent along gradients: torch's optimisers and L-BFGS within bounds, and real things with the slopes of a double."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.optimise.descent import LBFGS, OPTIMISERS, descend
from ispdsl.optimise.real_forward import real_forward

BOTTOM = torch.tensor([0.3, 0.8, 1.4], dtype=torch.float64)
CUBE = np.zeros(3), np.ones(3)


def bowl(x: Tensor) -> Tensor:
    """A loss whose bottom lies outside of the cube along one axis."""
    return ((x - BOTTOM) * torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)).square().sum()


@pytest.mark.parametrize("name", sorted({*OPTIMISERS, LBFGS} - {"sgd"}))
def test_every_optimiser_reaches_the_bottom_within_the_bounds(name: str) -> None:
    found = descend(bowl, np.full(3, 0.5), CUBE, optimiser=name, rate=0.02, steps=400)
    np.testing.assert_allclose(found.point, [0.3, 0.8, 1.0], atol=0.02)
    assert found.loss == min(found.path)
    assert len(found.path) <= 400


def test_gradient_descent_needs_a_smaller_rate() -> None:
    found = descend(bowl, np.full(3, 0.5), CUBE, optimiser="sgd", rate=0.05, steps=400)
    np.testing.assert_allclose(found.point, [0.3, 0.8, 1.0], atol=0.02)


def test_lbfgs_needs_fewer_steps_than_adam() -> None:
    steps = {
        name: len(descend(bowl, np.full(3, 0.5), CUBE, optimiser=name, steps=500, enough=0.0401).path)
        for name in ("adam", LBFGS)
    }
    assert steps[LBFGS] < steps["adam"] < 500


def test_it_stops_where_it_is_near_enough_and_says_so() -> None:
    found = descend(bowl, np.full(3, 0.5), CUBE, steps=500, enough=0.1)
    assert found.loss <= 0.1 < min(found.path[:-1])
    assert found.why == "it is as near as was asked for"


def test_every_step_is_told() -> None:
    told: list[tuple[int, float]] = []
    found = descend(bowl, np.full(3, 0.5), CUBE, steps=5, told=lambda number, loss: told.append((number, loss)))
    assert told == list(enumerate(found.path, 1))
    assert found.why == "no steps are left"


@pytest.mark.parametrize(("name", "steps"), [("downhill", 5), ("adam", 0)])
def test_unknown_optimisers_and_no_steps_are_refused(name: str, steps: int) -> None:
    with pytest.raises(ValueError, match="adam, "):
        descend(bowl, np.full(3, 0.5), CUBE, optimiser=name, steps=steps)


# ---- real forward, proxy backward --------------------------------------------------------------------------


def real(x: np.ndarray) -> np.ndarray:
    """A real thing: a curve that its double only resembles."""
    return np.stack([x**2, 1.2 * x])


def double(x: Tensor) -> Tensor:
    return torch.stack([1.8 * x - 0.5, x])


def test_values_are_those_of_the_real_thing_and_slopes_those_of_the_double() -> None:
    x = torch.tensor([0.2, 0.7], dtype=torch.float64, requires_grad=True)
    made = real_forward(real, double)(x)
    np.testing.assert_array_equal(made.detach(), real(x.detach().numpy()))
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    (made * weights).sum().backward()
    torch.testing.assert_close(x.grad, weights[0] * 1.8 + weights[1])


def test_a_descent_with_the_slopes_of_a_double_ends_where_the_real_thing_is_right() -> None:
    target = torch.from_numpy(real(np.array([0.6])))
    picture = real_forward(real, double)
    found = descend(lambda x: (picture(x) - target).square().sum(), np.array([0.2]), (np.zeros(1), np.ones(1)))
    assert abs(found.point[0] - 0.6) < 1e-3
    alone = descend(lambda x: (double(x) - target).square().sum(), np.array([0.2]), (np.zeros(1), np.ones(1)))
    assert abs(alone.point[0] - 0.6) > 0.05  # what the double believes is elsewhere


def test_a_double_of_another_size_is_refused() -> None:
    x = torch.tensor([0.2, 0.7], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"\(2, 2\), and its double \(2,\)"):
        real_forward(real, lambda x: x)(x)


def test_what_the_double_ignores_has_no_slope() -> None:
    x = torch.tensor([0.2], dtype=torch.float64, requires_grad=True)
    fixed = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    real_forward(real, lambda _: fixed * 2)(x).sum().backward()
    assert x.grad is None or not x.grad.any()
