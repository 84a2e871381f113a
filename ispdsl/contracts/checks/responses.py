"""That nothing is declared in vain: every parameter, option, value of metadata and statistic changes some result.

Other properties hold of every call, this one of some call: it is sought, not refuted.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.metadata import metadata
from ispdsl.contracts.settings import setting
from ispdsl.contracts.statistics import invented
from ispdsl.contracts.strategies import Shape, largest_code
from ispdsl.contracts.subject import Subject
from ispdsl.contracts.trial import ROUNDING, Trial
from ispdsl.ir.params import Choice

SHAPES = (Shape(least=6, most=12, longest=12, generic=True), Shape(least=4, most=8, longest=24, generic=True))
"""Images large enough for a stage to do something, none of them flat."""


@dataclass(frozen=True)
class Response:
    """Two values of one name that must not always do the same; without `values` any two."""

    name: str
    values: tuple[str, str] | None = None

    def __str__(self) -> str:
        return self.name if self.values is None else f"{self.name} = {self.values[0]} rather than {self.values[1]}"


def expected(subject: Subject) -> list[Response]:
    """What must respond: each parameter, each pair of options, metadata that is no text, each statistic."""
    found: list[Response] = []
    for parameter in subject.parameters:
        if isinstance(parameter, Choice):
            found += [Response(parameter.name, pair) for pair in itertools.combinations(parameter.options, 2)]
        elif not getattr(parameter, "structural", False):
            found.append(Response(parameter.name))
    found += [Response(meta.name) for meta in subject.metas if meta.type.name != "text"]
    return found + [Response(need.name) for need in subject.needs]


def responds(trial: Trial, wanted: Response, attempt: int) -> bool:
    """Whether a result of a call changes with what is wanted."""
    case = trial.call(SHAPES[attempt % len(SHAPES)])
    one, other = _values(trial, wanted, case)
    before = trial.run(case.with_arguments({wanted.name: one}))
    after = trial.run(case.with_arguments({wanted.name: other}))
    return any(_differs(a, b) for a, b in zip(before, after, strict=True))


def _values(trial: Trial, wanted: Response, case: Case) -> tuple[Any, Any]:
    if wanted.values is not None:
        return wanted.values
    subject, name = trial.subject, wanted.name
    for parameter in subject.parameters:
        if parameter.name == name:
            return case.arguments[name], trial.draw(setting(parameter))
    for meta in subject.metas:
        if meta.name == name:
            return case.arguments[name], trial.draw(metadata(meta, largest_code(subject)))
    need = next(each for each in subject.needs if each.name == name)
    return case.arguments[name], trial.draw(invented(need))


def _differs(one: Tensor, other: Tensor) -> bool:
    """By more than rounding."""
    if one.shape != other.shape:
        return True
    largest = max(1.0, float(one.abs().max()), float(other.abs().max()))
    return bool(((one - other).abs() > ROUNDING * largest).any()) or bool(torch.isnan(one - other).any())
