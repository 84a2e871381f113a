"""Powers by exp2 and log2: where they may be, how near they come, and that nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from ispdsl.backends.powers import least_values, lower_powers

K = torch.tensor(0.45)


def exported(function: Callable[[Tensor], Tensor], image: Tensor) -> torch.fx.GraphModule:
    return make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(image)


def rewritten(function: Callable[[Tensor], Tensor]) -> int:
    return lower_powers(exported(function, torch.rand(3, 4, 5)).graph)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(min=0.0) ** 0.45,
        lambda x: x.clamp(0.1, 1.0).permute(1, 2, 0) ** 2.4,
        lambda x: x.abs() ** (1 / 3),
        lambda x: (x * x + 1e-8) ** 0.7,
        lambda x: x.clamp(min=1e-4) ** K,
        lambda x: torch.where(x > 0, x.square(), 0.5) ** 1.2,
        lambda x: (torch.stack([x.exp(), x.sigmoid()]).sum(0) / 3) ** -0.4,
        lambda x: torch.maximum(x, x.new_full((), -1.0).exp()) ** 0.45,
    ],
)
def test_a_power_of_what_is_never_negative_is_rewritten(function: Callable[[Tensor], Tensor]):
    assert rewritten(function) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**0.45,
        lambda x: (x.clamp(min=0.0) - 0.1) ** 0.45,
        lambda x: x.clamp(-0.1, 1.0) ** 0.45,
        lambda x: x.clamp(min=0.5).clamp(max=-0.5) ** 2.5,
        lambda x: x.clamp(min=0.0) ** K,  # 0 to the power of 0 is 1
        lambda x: x.clamp(min=0.0) ** 3,
        lambda x: x.clamp(min=0.0) ** 0.5,
        lambda x: torch.where(x > 0, x.abs(), -0.5) ** 0.45,
        lambda x: (x.abs() * x) ** 0.45,
    ],
)
def test_any_other_power_stays(function: Callable[[Tensor], Tensor]):
    assert rewritten(function) == 0


@pytest.mark.parametrize("exponent", [0.45, 1 / 2.4, 2.4, 1 / 3, 6.5])
def test_it_is_as_near_to_the_truth_as_is_said(exponent: float):
    light = torch.cat([torch.zeros(1), torch.logspace(-30, 0, 200_001)])
    module = exported(lambda x: x.clamp(min=0.0) ** exponent, light)
    assert lower_powers(module.graph) == 1
    module.recompile()
    found = module(light)
    truth = light.double() ** exponent
    assert (found - truth).abs().max() < 4e-7
    normal = truth > 1e-37
    relative = ((found - truth).abs() / truth)[normal]
    allowed = ((exponent * light.double().log2()).abs() + 3) * 2.0**-23
    assert (relative <= allowed[normal]).all()


def test_what_is_known_of_a_graph():
    module = exported(lambda x: (x.clamp(0.25, 1.0) + 0.5).unsqueeze(0) * x.abs(), torch.rand(3, 4, 5))
    least = [value for node, value in least_values(module.graph).items() if node.op == "call_function"]
    assert sorted(least) == [0.0, 0.0, 0.25, 0.75, 0.75]
