"""Statistics that agree with the image: those that the standard library computes under the name that a stage needs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.conditions import Conditions, pinned
from ispdsl.contracts.metadata import between, vector
from ispdsl.contracts.settings import table
from ispdsl.contracts.subject import Subject, subjects
from ispdsl.ir.model import Need
from ispdsl.ir.params import Array, Choice, Slider, Table, Toggle
from ispdsl.ir.units import canonical
from ispdsl.lower.search import installed_stdlib


def statistic(need: Need, subject: Subject, case: Case, conditions: Conditions = ()) -> st.SearchStrategy[Any]:
    """What a condition says a statistic is, else that of the first image.

    Where the standard library computes none of that name it is any of its type.
    """
    wanted = pinned(need.name, conditions)
    if isinstance(wanted, Array):
        return st.just(torch.tensor(wanted.values, dtype=torch.float64).reshape(wanted.shape))
    if isinstance(wanted, float | int):
        return st.just(torch.tensor(float(wanted), dtype=torch.float64))
    exact = measured(need, subject, case)
    return st.just(exact) if exact is not None else invented(need)


def measured(need: Need, subject: Subject, case: Case) -> Tensor | None:
    """The statistic of the first image, by the stage of the standard library whose name begins like the need's."""
    from ispdsl.contracts.implementations import implementations

    port = subject.inputs[0]
    for other in _statistics():
        fits = other.name.startswith(need.name) and other.inputs[0].type.name == port.type.name
        sizes = {"bins": need.type.args[0]} if need.type.name == "vector" else {}
        if not fits or other.outputs[0].type.name != need.type.name:
            continue
        arguments = {**defaults(other), **{k: v for k, v in sizes.items() if k in {p.name for p in other.parameters}}}
        types = {str(a): b for a, b in zip(other.inputs[0].type.args, _arguments(port.type.args, case), strict=True)}
        ours = Case({other.inputs[0].name: case.first.clamp(min=0)}, arguments, types)
        found = implementations(other)[0].run(ours)[0]
        if need.type.name == "real" or tuple(found.shape) == need.type.args:
            return found.detach()
    return None


def invented(need: Need) -> st.SearchStrategy[Any]:
    """Any positive statistic of its type; vectors sum to 1."""
    if need.type.name == "vector":
        return vector(int(need.type.args[0]), 0.01, 1).map(lambda found: found / found.sum())
    return between(0.02, 1).map(lambda number: torch.tensor(number, dtype=torch.float64))


def defaults(subject: Subject) -> dict[str, Any]:
    """The declared defaults of its parameters as programs receive them."""
    found: dict[str, Any] = {}
    for parameter in subject.parameters:
        match parameter:
            case Choice() | Toggle():
                found[parameter.name] = parameter.default
            case Table():
                found[parameter.name] = table(parameter, parameter.default)
            case Slider(structural=True):
                found[parameter.name] = int(parameter.default)
            case _:
                found[parameter.name] = canonical(parameter.default, parameter.unit)
    return found


def _arguments(arguments: tuple[str | int, ...], case: Case) -> Iterator[str | int]:
    for argument in arguments:
        yield case.types.get(argument, argument) if isinstance(argument, str) else argument


@functools.cache
def _statistics() -> tuple[Subject, ...]:
    """The statistics of the standard library."""
    found = [each for path in sorted(installed_stdlib().glob("*.isp")) for each in subjects(path)]
    return tuple(each for each in found if not each.outputs[0].type.is_image and each.inputs[0].type.is_image)
