"""Properties of single points: a stage that does nothing, is undone, or does what another does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.implementations import Outputs
from ispdsl.contracts.metadata import default
from ispdsl.contracts.statistics import defaults
from ispdsl.contracts.strategies import Shape, storage, substitute
from ispdsl.contracts.subject import Subject
from ispdsl.contracts.trial import Trial, ViolationError
from ispdsl.ir.params import Register, Slider, Table
from ispdsl.ir.types import Type, is_variable
from ispdsl.ir.units import canonical


def identity(trial: Trial) -> None:
    """f(x) = x."""
    case = trial.call()
    for result, image in zip(trial.run(case), case.images.values(), strict=False):
        trial.same(result, image, "it changes its image", case)


def idempotent(trial: Trial) -> None:
    """f(f(x)) = f(x)."""
    case = trial.call()
    once = trial.run(case)
    for twice, wanted in zip(trial.run(fed(case, once)), once, strict=True):
        trial.same(twice, wanted, "a second time changes the result", case)


def inverse(trial: Trial) -> None:
    """f(f(x; p); -p) = x for the parameters named, and everything else as it is."""
    case = trial.call()
    values = {name: _both_ways(trial, name, case) for name in trial.line.stated.inside}
    there = case.with_arguments(values)
    middle = trial.run(there)
    back = there.with_arguments({name: -value for name, value in values.items()})
    for result, image in zip(trial.run(fed(back, middle)), case.images.values(), strict=False):
        trial.same(result, image, "the negated parameter does not undo it", there, *middle)


def _both_ways(trial: Trial, name: str, case: Case) -> float:
    """A value whose negative is legal too."""
    low, high = hard(trial.subject, name)
    reach = min(-low, high)
    return max(-reach, min(reach, case.arguments[name]))


def hard(subject: Subject, name: str) -> tuple[float, float]:
    """The legal range of a parameter, in canonical units."""
    parameter = next(each for each in subject.parameters if each.name == name)
    if not isinstance(parameter, Slider | Register | Table) or parameter.hard is None:
        return -math.inf, math.inf
    return canonical(parameter.hard[0], parameter.unit), canonical(parameter.hard[1], parameter.unit)


def round_trips(trial: Trial) -> None:
    """S(f(x)) = x, S at the settings of f where the names are the same, else at its defaults."""
    for name in trial.line.stated.names:
        other = trial.subject.other(name)
        case = trial.call(Shape(headroom=not (_limited(trial.subject) or _limited(other))))
        middle = trial.run(case)
        types = [substitute(port.type, case.types) for port in trial.subject.outputs]
        ours = at_settings_of(other, middle, types, case)
        for result, image in zip(trial.run_other(name, ours), case.images.values(), strict=False):
            trial.same(result, image, f"{other.name} does not undo it", case, *middle)


def _limited(subject: Subject) -> bool:
    """Whether values outside 0..1 are lost on the way."""
    return any(storage(port.type) == "unit" for port in (*subject.inputs, *subject.outputs) if port.type.is_image)


def equivalent(trial: Trial) -> None:
    """The stage or implementation named gives the same."""
    case = trial.call()
    results, types = trial.run(case), [substitute(port.type, case.types) for port in trial.subject.inputs]
    for name in trial.others:
        images = tuple(case.images.values())
        there = at_settings_of(trial.subject.other(name), images, types, case) if ":" in name else case
        for wanted, result in zip(trial.run_other(name, there), results, strict=True):
            trial.same(result, wanted, f"{name.rpartition(':')[2]} gives something else", case)


def at_settings_of(other: Subject, images: Outputs, types: Sequence[Type], case: Case) -> Case:
    """A call of another stage on images of these types: settings of the same name are shared, the rest at defaults."""
    arguments = defaults(other) | {meta.name: default(meta) for meta in other.metas if meta.default is not None}
    names = {each.name for each in (*other.parameters, *other.metas, *other.needs)}
    arguments |= {name: value for name, value in case.arguments.items() if name in names}
    named = {port.name: image for port, image in zip(other.inputs, images, strict=False)}
    bound = {
        str(variable): value
        for port, type_ in zip(other.inputs, types, strict=False)
        for variable, value in zip(port.type.args, type_.args, strict=False)
        if is_variable(variable)
    }
    return Case(named, arguments, bound)


def fed(case: Case, results: Outputs) -> Case:
    """The call again, on its own results."""
    return case.showing(dict(zip(case.images, results, strict=False)))


def deterministic(trial: Trial) -> None:
    """Bit for bit the same, whatever ran in between; and nothing that went in is written to."""
    case = trial.call()
    before = {name: image.clone() for name, image in case.images.items()}
    first = tuple(each.clone() for each in trial.run(case))
    between = trial.call()
    trial.run(between)
    again = trial.run(case)
    for one, two in zip(first, again, strict=True):
        if one.shape != two.shape or not bool(((one == two) | (one.isnan() & two.isnan())).all()):
            raise ViolationError("the same call gives something else the second time", case, first=one, second=two)
    for name, image in case.images.items():
        if not bool((image == before[name]).all()):
            raise ViolationError(f"it writes to its input {name}", case.showing(before), after=image)


def in_range(trial: Trial) -> None:
    """Every number of every result lies in the range."""
    case = trial.call()
    assert trial.line.stated.range is not None, "the language demands one"
    for port, result in zip(trial.subject.outputs, trial.run(case), strict=True):
        between(trial, result, trial.line.stated.range, port.name, case)


def between(trial: Trial, result: Tensor, ends: tuple[float, float], name: str, case: Case) -> None:
    """Demand that all numbers lie between two.

    Raises:
        ViolationError: one does not.
    """
    tolerance, low, high = trial.tolerance(result), float(result.min()), float(result.max())
    if not (ends[0] - tolerance <= low and high <= ends[1] + tolerance):
        message = f"{name} lies in {low:.6g}..{high:.6g}, not in {ends[0]:g}..{ends[1]:g}"
        raise ViolationError(message, case, found=result)
