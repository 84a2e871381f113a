"""The limit of numbers that descend: it holds, and lets back in what it holds."""

from __future__ import annotations

import torch

from ispdsl.learned.limits import limited


def test_slopes_that_lead_back_in_pass_and_others_do_not() -> None:
    x = torch.tensor([-0.5, -0.5, 0.5, 1.5, 1.5], requires_grad=True)
    held = limited(x)
    assert held.tolist() == [0, 0, 0.5, 1, 1]
    held.backward(torch.tensor([1.0, -1.0, 2.0, 1.0, -1.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [0, -1, 2, 1, 0]
