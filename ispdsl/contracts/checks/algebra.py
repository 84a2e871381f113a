"""How results follow what goes in: linear, affine, homogeneous, monotone, bounded."""

from __future__ import annotations

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.checks.points import hard
from ispdsl.contracts.conditions import NONE, bounds_of
from ispdsl.contracts.strategies import Shape, legal, storage
from ispdsl.contracts.trial import Trial, ViolationError, at, unravel
from ispdsl.ir.params import Toggle

Values = dict[str, Tensor]


def _subjects(trial: Trial) -> tuple[str, ...]:
    """The images or parameters that the line speaks of: those behind ``in``, else all images."""
    return trial.line.stated.inside or tuple(port.name for port in trial.subject.inputs)


def _values(case: Case, names: tuple[str, ...]) -> Values:
    every = {**case.arguments, **case.images}
    return {name: torch.as_tensor(every[name], dtype=torch.float64) for name in names}


def _at(case: Case, values: Values) -> Case:
    """The call with other images and parameters."""
    images = {name: value for name, value in values.items() if name in case.images}
    return case.showing(images).with_arguments({n: v for n, v in values.items() if n not in case.images})


def _two(trial: Trial) -> tuple[Case, Values, Values]:
    """A call, and two values of everything that the line speaks of, of the same shapes."""
    case, names = trial.call(), _subjects(trial)
    seed = trial.draw(st.integers(0, 999))
    generator = torch.Generator().manual_seed(seed)
    here = _values(case, names)
    there = {name: _other(trial, name, value, generator) for name, value in here.items()}
    return case, here, there


def _other(trial: Trial, name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """Another legal value of the same shape."""
    noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
    if any(port.name == name for port in trial.subject.inputs):
        return value.flip(-1) * noise
    low, high = hard(trial.subject, name) if _is_parameter(trial, name) else (0.0, 2.0)
    low, high = max(low, -10.0), min(high, 10.0)
    return low + (high - low) * noise


def _is_parameter(trial: Trial, name: str) -> bool:
    return any(each.name == name for each in trial.subject.parameters)


def _open(trial: Trial) -> bool:
    """Whether what the line speaks of may leave 0..1 and its own range: images of light do, settings do not."""
    ports = {port.name: port for port in trial.subject.inputs}
    open_ended = all(name in ports and storage(ports[name].type) != "unit" for name in _subjects(trial))
    return open_ended and not trial.line.stated.when


def linear(trial: Trial) -> None:
    """f(a x + b y) = a f(x) + b f(y)."""
    case, x, y = _two(trial)
    if _open(trial):
        a, b = trial.draw(st.floats(-2, 2)), trial.draw(st.floats(-2, 2))
    else:
        a = trial.draw(st.floats(0, 1))
        b = trial.draw(st.floats(0, 1)) * (1 - a)
    _superposed(trial, case, x, y, a, b, "it is not linear")


def affine(trial: Trial) -> None:
    """f(a x + (1 - a) y) = a f(x) + (1 - a) f(y)."""
    case, x, y = _two(trial)
    a = trial.draw(st.floats(0, 1))
    _superposed(trial, case, x, y, a, 1 - a, "it is not affine")


def _superposed(trial: Trial, case: Case, x: Values, y: Values, a: float, b: float, what: str) -> None:
    together = trial.run(trial.derived(_at(case, {name: a * x[name] + b * y[name] for name in x})))
    apart = zip(trial.run(case), trial.run(trial.derived(_at(case, y))), strict=True)
    for found, (left, right) in zip(together, apart, strict=True):
        wanted = a * left + b * right
        shown = {f"other_{name}": value for name, value in y.items()}
        trial.same(found, wanted, f"{what}: {a:g} {' and '.join(x)} + {b:g} other", case, left, right, **shown)


def homogeneous(trial: Trial) -> None:
    """f(a x) = a^n f(x) for a > 0."""
    case = trial.call()
    degree = trial.line.stated.degree
    degree = 1.0 if degree is None else degree
    factor = trial.draw(st.floats(0.25, 4 if _open(trial) else 1))
    values = _values(case, _subjects(trial))
    for name, value in values.items():
        low, high = hard(trial.subject, name) if _is_parameter(trial, name) else NONE
        assume(bool(((factor * value >= low) & (factor * value <= high)).all()))
    scaled = trial.run(trial.derived(_at(case, {name: factor * value for name, value in values.items()})))
    for found, plain in zip(scaled, trial.run(case), strict=True):
        what = f"{factor:g} times the input is not {factor:g}^{degree:g} times the result"
        trial.same(found, factor**degree * plain, what, case, plain)


def monotone(trial: Trial) -> None:
    """No result falls where an image or a parameter rises, each of those named by itself."""
    name = trial.draw(st.sampled_from(_subjects(trial)))
    case = trial.call()
    parameter = next((each for each in trial.subject.parameters if each.name == name), None)
    if isinstance(parameter, Toggle):
        low, high = case.with_arguments({name: False}), case.with_arguments({name: True})
    else:
        low, high = case, trial.derived(_at(case, {name: _risen(trial, name, case)}))
    for before, after in zip(trial.run(low), trial.run(high), strict=True):
        fall = before - after
        if fall.numel() and float(fall.max()) > trial.tolerance(before, after):
            place = unravel(int(fall.argmax()), fall.shape)
            where = f" at {at(place)}" if place else ""
            message = f"{name} rises and the result falls from {float(before[place]):.9g} to {float(after[place]):.9g}"
            raise ViolationError(message + where, high, before=before, after=after)


def _risen(trial: Trial, name: str, case: Case) -> Tensor:
    """A value nowhere below that of the case: of an image one pixel or many, of a parameter inside its range."""
    value = _values(case, (name,))[name]
    generator = torch.Generator().manual_seed(trial.draw(st.integers(0, 999)))
    rise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
    amount = trial.draw(st.sampled_from((0.01, 0.1, 1.0)))
    port = next((port for port in trial.subject.inputs if port.name == name), None)
    if port is None:
        unbounded = (0.0, max(4.0, 2 * float(value.max())))
        low, high = hard(trial.subject, name) if _is_parameter(trial, name) else unbounded
        step = amount * rise * (min(high, low + 1e4) - low)
        return torch.minimum(value + step, torch.full_like(value, high))
    if trial.draw(st.booleans()):
        rise = torch.where(rise == rise.max(), rise, torch.zeros_like(rise))
    risen = value + amount * rise * (
        1 if storage(port.type) in ("f32", "unit", "f64") else float(value.abs().max()) + 1
    )
    return risen.clamp(max=0.5 if port.type.name == "chroma" else 1) if storage(port.type) == "unit" else risen


def lipschitz(trial: Trial) -> None:
    """Max |f(x) - f(y)| <= L max |x - y|, L being the line's ``within``."""
    case = trial.call(Shape(generic=trial.draw(st.booleans())))
    bound = trial.line.stated.within
    assert bound is not None, "the language demands one"
    generator = torch.Generator().manual_seed(trial.draw(st.integers(0, 999)))
    reach = trial.draw(st.sampled_from((1e-3, 0.1, 1.0)))
    limits = {port.name: bounds_of(port.name, trial.line.stated.when) for port in trial.subject.inputs}
    moved = {
        port.name: legal(_near(case.images[port.name], reach, generator), port.type).clamp(*limits[port.name])
        for port in trial.subject.inputs
    }
    step = max(float((moved[name] - image).abs().max()) for name, image in case.images.items())
    for found, plain in zip(trial.run(trial.derived(case.showing(moved))), trial.run(case), strict=True):
        gap = float((found - plain).abs().max())
        if gap > bound * step + trial.tolerance(found, plain):
            message = (
                f"a change of at most {step:.6g} changes the result by {gap:.6g}, more than {bound:g} times as much"
            )
            raise ViolationError(message, case, found=found, plain=plain)


def _near(image: Tensor, reach: float, generator: torch.Generator) -> Tensor:
    return image + reach * (2 * torch.rand(image.shape, generator=generator, dtype=torch.float64) - 1)
