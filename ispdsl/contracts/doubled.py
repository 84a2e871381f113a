"""Doubles held to the contract of the stage that they stand for, within what they were trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hypothesis import reject
from torch import Tensor

from ispdsl.backends import programs
from ispdsl.backends.doubles import equal, files, inside
from ispdsl.calls import Call
from ispdsl.contracts.case import Case
from ispdsl.contracts.subject import Line, Subject
from ispdsl.ir.params import Parameter, Slider
from ispdsl.ir.types import is_variable
from ispdsl.ir.units import UNITS
from ispdsl.passes.single import declaration_of
from ispdsl.proxies.card import Card
from ispdsl.proxies.double import Double, load
from ispdsl.proxies.task import Knob
from ispdsl.proxies.weights import read_card

Called = Callable[[Mapping[str, Any]], Call]
"""A call of the stage with its program and these types, for what corrects that program."""

DEVIATIONS = 6.0
"""Standard deviations of the held-out error by which two results may be apart: either may be three off."""


def files_of(subject: Subject, doubles: Path | None) -> dict[Path, Card]:
    """The doubles of a stage with their cards; those of an older declaration of it are none.

    Raises:
        CompileError: the folder has no doubles, or one cannot be read.
    """
    if doubles is None or subject.is_pipeline:
        return {}
    found = {path: read_card(path) for path in files(doubles).values()}
    own = declaration_of(subject.module.signature(subject.key))
    return {path: card for path, card in found.items() if card.stage == subject.name and card.signature in ("", own)}


def run_of(path: Path, called: Called | None, trust: Collection[str]) -> Callable[[Case], tuple[Tensor, ...]]:
    """The function from a call to what a double gives; a call that it was not trained for is rejected."""
    double = load(path).requires_grad_(requires_grad=False).eval().double()  # as exact as what it is called with
    bound: dict[tuple[Any, ...], Double] = {}

    def run(case: Case) -> tuple[Tensor, ...]:
        if not _knows(double.card, case.arguments):
            reject()
        key = tuple(sorted((name, str(value)) for name, value in case.types.items()))
        if double.codec.program and called is not None and key not in bound:
            found = programs.bind(called(case.types), trust)
            bound[key] = double.bind(_within(found))
        layout = [port.args[0] for port in double.card.task.inputs if port.name == "raw"][:1]
        phase = {"cfa": case.types.get(str(layout[0]), layout[0])} if layout else {}
        given = double(*case.images.values(), **case.arguments, **phase)
        return given if isinstance(given, tuple) else (given,)

    return run


def _within(program: programs.Program) -> Callable[..., Any]:
    def corrected(*images: Tensor, **keywords: Any) -> Any:
        return program.function(*images, **{**{k: v for k, v in keywords.items() if k != "cfa"}, **program.layout})

    return corrected


def _knows(card: Card, arguments: Mapping[str, Any]) -> bool:
    """Whether a double was trained for the values of a call."""
    knobs = {knob.name: knob for knob in card.task.knobs}
    return all(
        inside(knobs[name], value)
        if name in knobs
        else name not in card.constants or equal(value, card.constants[name])
        for name, value in arguments.items()
    )


def narrowed(subject: Subject, card: Card) -> Subject:
    """The stage with the ranges and constants of a double, and the colour space and CFA of its data."""
    knobs = {knob.name: knob for knob in card.task.knobs}
    signature = subject.signature
    ranges = tuple(_narrow(each, knobs[each.name]) if each.name in knobs else each for each in signature.parameters)
    held = {name: _value(value) for name, value in card.constants.items() if not isinstance(value, dict)}
    for port, type_ in zip(signature.inputs, card.task.inputs, strict=False):
        pairs = zip(port.type.args, type_.args, strict=False)
        held |= {str(mine): theirs for mine, theirs in pairs if is_variable(mine) and not is_variable(theirs)}
    return replace(subject, narrowed=signature.model_copy(update={"parameters": ranges}), pinned=held)


def _narrow(parameter: Parameter, knob: Knob) -> Parameter:
    """A slider with the range that was sampled; what is drawn of other kinds is rejected where it lies outside."""
    if not isinstance(parameter, Slider):
        return parameter
    scale = UNITS[parameter.unit].scale
    ends = [end * scale.denominator / scale.numerator for end in (knob.low, knob.high)]
    low, high = max(ends[0], parameter.hard[0]), min(ends[1], parameter.hard[1])
    default = min(max(parameter.default, low), high)
    return parameter.model_copy(update={"hard": (low, high), "soft": (low, high), "default": default})


def _value(value: Any) -> Any:
    """A constant of a card as programs receive it."""
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, list | tuple) else value


def beyond(line: Line, card: Card) -> str:
    """Why a line says nothing of a double: it is about what was the same in all samples. Empty where it is not."""
    about = [name for name in (*line.stated.names, *line.stated.inside) if name in card.constants]
    return f"{about[0]} was the same in all samples of the double" if about else ""


def allowance(card: Card) -> float | None:
    """How far two results of a double may be apart, for images up to 1: by its held-out error; None without one."""
    psnr = card.error.get("psnr")
    return None if psnr is None else DEVIATIONS * 10 ** (-psnr / 20)
