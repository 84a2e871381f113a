"""Checkers of how results follow what goes in: linear, affine, homogeneous, monotone, bounded, and with a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.contracts.harness import MOSAIC, UNIT, Row, caught, holds, rights, wrongs

AMOUNT = "slider amount in 0%..100% = 50%"
TWO = "image: rgb<S, f32>, guide: luma<S, f32>"


def blend(image: Tensor, *, amount: float) -> Tensor:
    return image + amount * (image.mean(-3, keepdim=True) - image)


def median_of_planes(image: Tensor) -> Tensor:
    return image.median(-3, keepdim=True).values.expand_as(image).clone()


class Twice(torch.autograd.Function):
    """Twice the image, with the gradient of three times."""

    @staticmethod
    def forward(image: Tensor) -> Tensor:
        return 2 * image

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return 3 * grad_outputs[0]

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Tensor) -> Tensor:
        return 2 * grad_inputs[0]


ROWS = [
    Row(
        "linear",
        lambda x: x.flip(-3) - 0.5 * x,
        {
            "an offset": lambda x: x + 1e-3,
            "a clamp": lambda x: x.clamp(min=-1),
            "a rounding": lambda x: (x * 255).round() / 255,
            "weights that hang on the image": lambda x: x * x.mean(),
        },
    ),
    Row(
        "linear",
        lambda x, y: x + y,
        {"affine in the second image": lambda x, y: x + y + 1, "a product": lambda x, y: x * y},
        takes=TWO,
    ),
    Row(
        "linear in image",
        lambda x, y: x * y,
        {"a threshold": lambda x, y: x * (x > y)},
        takes=TWO,
    ),
    Row("linear", lambda x: 0.5 * x, {"a clamp inside the range": lambda x: x.clamp(max=0.6)}, takes=UNIT),
    Row(
        "affine",
        lambda x, amount: blend(x, amount=amount) - 0.1,
        {"a clamp": lambda x, amount: (x - 0.1).clamp(min=0), "a square": lambda x, amount: x + 0.01 * x * x},
        body=AMOUNT,
    ),
    Row("affine in amount", blend, {"a square": lambda x, amount: blend(x, amount=amount**2)}, body=AMOUNT),
    Row(
        "homogeneous when image >= 0",
        lambda x: x / (x.mean(-3, keepdim=True) / x.amax(-3, keepdim=True).clamp(min=1e-300) + 1),
        {
            "an epsilon": lambda x: x / (x.mean(-3, keepdim=True) + 1e-4),
            "a clamp": lambda x: x.clamp(max=1),
            "an offset": lambda x: x + 1e-6,
        },
    ),
    Row("homogeneous 2", lambda x: x * x, {"degree 1": lambda x: x, "a wrong degree": lambda x: x * x * x}),
    Row(
        "homogeneous 0",
        lambda x: x.sign(),
        {"degree 1": lambda x: x, "an epsilon": lambda x: x / (x.abs() + 1e-3)},
    ),
    Row(
        "homogeneous in amount",
        lambda x, amount: amount * x,
        {"a root": lambda x, amount: amount**0.5 * x},
        body=AMOUNT,
    ),
    Row(
        "monotone in image",
        lambda x: x.atan(),
        {
            "wrong sign": lambda x: -x,
            "a dip": lambda x: x - 0.3 * torch.exp(-100 * (x - 0.5) ** 2),
            "overflow": lambda x: x.remainder(2),
            "a dark halo": lambda x: x - 0.1 * x.mean((-2, -1), keepdim=True),
        },
    ),
    Row(
        "monotone in mosaic, amount",
        lambda x, amount: x + amount,
        {
            "the parameter falls": lambda x, amount: x - amount,
            "the parameter turns over at its end": lambda x, amount: x + amount * (1 - amount),
            "the image falls": lambda x, amount: amount - x,
        },
        takes=MOSAIC,
        gives="raw<C, f32>",
        body=AMOUNT,
    ),
    Row(
        "monotone in on, knots",
        lambda x, on, knots: x + (0.5 if on else 0) + knots.sum(),
        {
            "the toggle": lambda x, on, knots: x + (0 if on else 0.5) + knots.sum(),
            "one knot": lambda x, on, knots: x + (0.5 if on else 0) - knots[2],
        },
        body="toggle on = off\n  curve knots[4] in 0..1 = identity",
    ),
    Row(
        "lipschitz within 2",
        lambda x: 2 * torch.sin(x),
        {
            "too steep": lambda x: 2.1 * x,
            "a kernel that is not normalised": lambda x: x + 1.1 * x.roll(1, -1),
            "a jump": lambda x: x + 0.5 * (x > 0.5),
        },
    ),
    Row(
        "differentiable",
        lambda x, amount: torch.where(x > 0.4, x * amount, x.clamp(max=0.3) * amount**2),
        {
            "a detach": lambda x, amount: x.detach() * amount,
            "half a detach": lambda x, amount: x * amount + 0.1 * x.detach(),
            "a detached parameter": lambda x, amount: x * torch.as_tensor(amount).detach(),
            "a parameter made a number": lambda x, amount: x * float(amount),
            "a guard with another slope": lambda x, amount: amount * x - (x * 1e-2).detach() + x * 0,
        },
        body=AMOUNT,
    ),
    Row("differentiable", lambda x: 2 * x, {"reverse mode alone is wrong": Twice.apply}),
    Row(
        "differentiable in image",
        lambda x, amount: x * float(amount),
        {"no gradient at all": lambda x, amount: torch.zeros_like(x) + x.detach() * 2},
        body=AMOUNT,
    ),
    Row("differentiable", median_of_planes, {"half the slope": lambda x: median_of_planes(x + x.detach()) / 2}),
    Row(
        "differentiable",
        lambda x, y: (x * y, x[..., :1, :, :] + y),
        {"the second result": lambda x, y: (x * y, x[..., :1, :, :].detach() + y)},
        takes=TWO,
        gives="(a: rgb<S, f32>, b: luma<S, f32>)",
    ),
]


@rights(ROWS)
def test_what_is_right_holds(row: Row) -> None:
    holds(row)


@wrongs(ROWS)
def test_what_is_wrong_is_caught(row: Row, wrong: Callable[..., Any]) -> None:
    caught(row, wrong)
