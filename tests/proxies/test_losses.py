"""The losses: by hand, what each of them sees, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from ispdsl.errors import CompileError
from ispdsl.proxies.losses import LOSSES, loss

IMAGE = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LOSSES)
def test_no_error_is_no_loss_and_more_is_more(name: str) -> None:
    found = loss(name)
    assert found(IMAGE, IMAGE).item() == 0
    assert 0 < found(IMAGE, IMAGE + 0.01).item() < found(IMAGE, IMAGE + 0.1).item()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_also_at_no_error(name: str) -> None:
    given = IMAGE.clone().requires_grad_()
    loss(name)(given, IMAGE.flip(-1)).backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()
    assert given.grad.abs().max() > 0
    assert torch.autograd.grad(loss(name)(given, IMAGE), given)[0].isfinite().all()


def test_by_hand() -> None:
    wanted, given = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.0, 2], [0, 2]]]])
    assert loss("l1")(given, wanted).item() == 1
    assert loss("l2")(given, wanted).item() == 2
    assert loss("l1_gradient")(given, wanted).item() == 1 + 2 + 0


def test_companded_errors_are_relative() -> None:
    dark, bright = torch.full((4, 3), 0.5), torch.full((4, 3), 50.0)
    plain = loss("l1")(bright, bright * 1.1) / loss("l1")(dark, dark * 1.1)
    companded = loss("l1_companded")(bright, bright * 1.1) / loss("l1_companded")(dark, dark * 1.1)
    assert plain > 90
    assert companded == pytest.approx(1, abs=0.02)


def test_the_perceptual_loss_sees_a_blur_more_than_a_shade() -> None:
    """Of the same mean absolute error: lost detail costs more than a constant."""
    texture = IMAGE.mean(1, keepdim=True)
    blurred = texture.mean((-1, -2), keepdim=True).expand_as(texture)
    shade = texture + (texture - blurred).abs().mean()
    assert loss("perceptual")(blurred, texture) > 1.5 * loss("perceptual")(shade, texture)


def test_it_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(CompileError, match="compares neighbours; choose l1 or l2"):
        loss("l1_gradient")(torch.zeros(4, 3), torch.zeros(4, 3))
    with pytest.raises(CompileError, match="compares structure; choose l1 or l2"):
        loss("perceptual")(torch.zeros(4, 3), torch.zeros(4, 3))
    with pytest.raises(CompileError, match="no loss lpips; choose one of l1, l2"):
        loss("lpips")
