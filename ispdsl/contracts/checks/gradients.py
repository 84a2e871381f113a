"""Gradients against finite differences, forward mode against reverse mode."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import forward_ad

from ispdsl.contracts.case import Case
from ispdsl.contracts.checks.points import hard
from ispdsl.contracts.implementations import Outputs
from ispdsl.contracts.strategies import Shape
from ispdsl.contracts.trial import Trial, ViolationError, at, unravel
from ispdsl.ir.params import Register, Slider, Table

Flat = Callable[..., Outputs]

STEP = 1e-6
SMOOTH = 1e-3
"""How far the slopes to both sides may differ, as a part of the largest, where a stage is called smooth."""
AGREE = 5e-3


def differentiable(trial: Trial) -> None:
    """Wherever the slopes to both sides agree, forward and reverse mode give that slope; everywhere they are finite."""
    if not trial.draw(st.integers(0, 3)):
        _finite(trial)
        return
    case = trial.call(Shape(generic=True, headroom=False, most=5, longest=5))
    names = trial.line.stated.inside or _everything(trial)
    if trial.draw(st.booleans()):  # one by itself: beside an image the slope of a setting may be too small to be seen
        names = (trial.draw(st.sampled_from(names)),)
    point = {name: _inside(trial, name, torch.as_tensor(_value(case, name), dtype=torch.float64)) for name in names}
    generator = torch.Generator().manual_seed(trial.draw(st.integers(0, 999)))
    direction = {name: _direction(trial, name, value, generator) for name, value in point.items()}

    def along(step: float) -> Outputs:
        return trial.run(_at(case, {name: point[name] + step * direction[name] for name in point}))

    def flat(*values: Tensor) -> Outputs:
        return trial.implementation.run(_at(case, dict(zip(point, values, strict=True))))

    here, ahead, behind = along(0), along(STEP), along(-STEP)
    start, step = tuple(point.values()), tuple(direction.values())
    forward, reverse = _derivatives(flat, start, step, case)
    looked = False
    for number, slope in enumerate(forward):
        right, left = (ahead[number] - here[number]) / STEP, (here[number] - behind[number]) / STEP
        largest = max(float(right.abs().max()), float(left.abs().max()), 1e-5 * float(here[number].abs().max()), 1e-9)
        smooth = (right - left).abs() <= SMOOTH * largest
        looked |= bool(smooth.any())
        wrong = torch.where(slope.isfinite(), (slope - (right + left) / 2).abs() * smooth, math.inf)
        if float(wrong.max()) > AGREE * largest:
            place = unravel(int(wrong.argmax()), wrong.shape)
            where = f" at {at(place)}" if place else ""
            found, wanted = float(slope[place]), float(right[place])
            message = f"the gradient along {', '.join(point)} is {found:.6g}, the slope {wanted:.6g}{where}"
            raise ViolationError(message, _at(case, point), gradient=slope, slope=right)
    assume(looked)
    gap, size = reverse
    if gap > 1e-6 * max(size, 1e-6):
        raise ViolationError("forward and reverse mode give different gradients", _at(case, point))


def _finite(trial: Trial) -> None:
    """Black, flat and tied images are where divisions by zero and roots of zero hide in gradients."""
    case = trial.call(Shape(most=5, longest=5))
    names = trial.line.stated.inside or _everything(trial)
    point = {name: torch.as_tensor(_value(case, name), dtype=torch.float64) for name in names}
    generator = torch.Generator().manual_seed(0)
    step = tuple(_direction(trial, name, value, generator) for name, value in point.items())

    def flat(*values: Tensor) -> Outputs:
        return trial.implementation.run(_at(case, dict(zip(point, values, strict=True))))

    forward, (gap, _) = _derivatives(flat, tuple(point.values()), step, case)
    if not all(bool(slope.isfinite().all()) for slope in forward) or not math.isfinite(gap):
        raise ViolationError(f"the gradient along {', '.join(point)} is not finite", case)


def _everything(trial: Trial) -> tuple[str, ...]:
    """Every image and every free parameter that the line's conditions leave free."""
    held = {each.left for each in trial.line.stated.when if each.operator == "=="}
    free = [
        each.name
        for each in trial.subject.parameters
        if isinstance(each, Slider | Register | Table) and not getattr(each, "structural", False)
    ]
    return tuple(name for name in (*(port.name for port in trial.subject.inputs), *free) if name not in held)


def _value(case: Case, name: str) -> object:
    return case.images[name] if name in case.images else case.arguments[name]


def _at(case: Case, values: dict[str, Tensor]) -> Case:
    images = {name: value for name, value in values.items() if name in case.images}
    return case.showing(images).with_arguments({n: v for n, v in values.items() if n not in case.images})


def _inside(trial: Trial, name: str, value: Tensor) -> Tensor:
    """Away from the ends of the legal range, where only one side exists."""
    if not any(each.name == name for each in trial.subject.parameters):
        return value
    low, high = hard(trial.subject, name)
    margin = 1e-3 * min(high - low, 1e3)
    return value.clamp(low + margin, high - margin)


def _direction(trial: Trial, name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction, parameters scaled by their range, images by their size."""
    noise = 2 * torch.rand(value.shape, generator=generator, dtype=torch.float64) - 1
    if any(each.name == name for each in trial.subject.parameters):
        low, high = hard(trial.subject, name)
        return (noise + 0.5 * noise.sign()) * min(high - low, 1e4) * 0.1
    return noise * max(1.0, float(value.abs().max()))


def _derivatives(flat: Flat, start: Outputs, step: Outputs, case: Case) -> tuple[Outputs, tuple[float, float]]:
    """The slope by forward mode; and how far reverse mode is from it, with the size of what is compared."""
    generator = torch.Generator().manual_seed(0)
    try:
        forward = _forward(flat, start, step)
        weights = tuple(torch.rand(each.shape, generator=generator, dtype=each.dtype) for each in forward)
        pulled = _reverse(flat, start, weights)
    except Exception as error:
        what = str(error).partition("\n")[0]
        raise ViolationError(f"no gradient: {type(error).__name__}: {what}", case) from error
    one = sum(float((w * f).sum()) for w, f in zip(weights, forward, strict=True))
    two = sum(float((g * d).sum()) for g, d in zip(pulled, step, strict=True))
    size = sum(float((w * f).abs().sum()) for w, f in zip(weights, forward, strict=True))
    return forward, (abs(one - two), size)


def _forward(flat: Flat, start: Outputs, step: Outputs) -> Outputs:
    """J v; what does not depend on anything has the slope 0."""
    with forward_ad.dual_level():
        results = flat(*(forward_ad.make_dual(value, way) for value, way in zip(start, step, strict=True)))
        found = [forward_ad.unpack_dual(each) for each in results]
        return tuple(torch.zeros_like(each.primal) if each.tangent is None else each.tangent for each in found)


def _reverse(flat: Flat, start: Outputs, weights: Outputs) -> Outputs:
    """J^T w; what nothing depends on has the gradient 0."""
    with torch.enable_grad():
        leaves = tuple(value.detach().clone().requires_grad_() for value in start)
        results = zip(flat(*leaves), weights, strict=True)
        total = sum(((result * weight).sum() for result, weight in results), torch.zeros(()))
        if not total.requires_grad:
            return tuple(torch.zeros_like(leaf) for leaf in leaves)
        return torch.autograd.grad(total, leaves, materialize_grads=True)
