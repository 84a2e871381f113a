"""One attempt to break one line of a contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.conditions import all_hold
from ispdsl.contracts.implementations import Implementation, Outputs
from ispdsl.contracts.strategies import PLAIN, Shape, cases, storage
from ispdsl.contracts.subject import Line, Subject
from ispdsl.ir.types import INTEGER_STORAGE

ROUNDING = 1e-7
"""What float64 may lose on the way, as a part of the largest number involved."""

BOUNDED = ("local", "lipschitz")
"""Properties whose ``within`` is what they say, not how exactly they must hold."""

APPROXIMATE = 0.02
"""What proxies and executors may be off where the line does not say: 34 dB."""


class ViolationError(Exception):
    """A line does not hold: in words, with the case and whatever shows it."""

    def __init__(self, message: str, case: Case, **shown: Tensor) -> None:
        super().__init__(message)
        self.message, self.case, self.shown = message, case, shown

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it travels between processes."""
        return _violation, (self.message, self.case, self.shown)


def _violation(message: str, case: Case, shown: Mapping[str, Tensor]) -> ViolationError:
    return ViolationError(message, case, **shown)


@dataclass
class Trial:
    """What a checker works with: the line, how to run the stage, and a source of legal values."""

    subject: Subject
    line: Line
    implementation: Implementation
    others: Mapping[str, Implementation]
    """Implementations that the line compares with, by the name of the stage or implementation."""
    draw: Callable[[st.SearchStrategy[Any]], Any]
    case: Case = field(default_factory=lambda: Case({}, {}, {}))
    """The last case drawn, for what goes wrong inside the program."""

    def call(self, shape: Shape = PLAIN) -> Case:
        """A legal call at which the line's conditions hold."""
        self.case = self.draw(cases(self.subject, self.line.stated.when, shape))
        return self.case

    def derived(self, case: Case) -> Case:
        """A call that a checker made of a drawn one; given up where the line's conditions no longer hold."""
        assume(all_hold(self.line.stated, case))
        return case

    def run(self, case: Case) -> Outputs:
        """The results of a call.

        Raises:
            ViolationError: the implementation failed.
        """
        return self._run(self.implementation, case)

    def run_other(self, name: str, case: Case) -> Outputs:
        """The results of a call of what the line names.

        Raises:
            ViolationError: it failed.
        """
        return self._run(self.others[name], case)

    def _run(self, implementation: Implementation, case: Case) -> Outputs:
        try:
            return implementation.run(case)
        except Exception as error:
            what = str(error).partition("\n")[0]
            raise ViolationError(f"{implementation} raised {type(error).__name__}: {what}", case) from error

    # ---- comparing -----------------------------------------------------------------------------------------

    @property
    def exact(self) -> bool:
        """Whether nothing but rounding is forgiven: of programs, unless the line is there for them alone."""
        alone = all(each.kind == "program" for each in self.subject.signature.implementations)
        loosened = self.line.stated.within is not None and self.line.name not in BOUNDED
        involved = {self.implementation.kind, *(other.kind for other in self.others.values())}
        return involved == {"program"} and not (alone and loosened)

    def tolerance(self, *seen: Tensor) -> float:
        """How far two results may be apart, given the numbers that they came from."""
        largest = max((float(each.detach().abs().max()) for each in seen if each.numel()), default=1.0)
        rounding = ROUNDING * max(1.0, largest) if math.isfinite(largest) else ROUNDING
        return rounding if self.exact else max(rounding, self.allowance(largest))

    def allowance(self, largest: float) -> float:
        """The line's ``within`` as an absolute difference."""
        line = self.line.stated
        if line.within is None or line.name in BOUNDED:
            return APPROXIMATE * max(1.0, largest)
        if line.within_unit == "dB":
            return 10 ** (-line.within / 20) * max(1.0, largest)
        if line.within_unit == "lsb":
            codes = INTEGER_STORAGE.fullmatch(storage(self.subject.outputs[0].type))
            return line.within if codes else line.within / 255
        return line.within / 100 if line.within_unit == "%" else line.within

    def same(self, found: Tensor, wanted: Tensor, what: str, case: Case, *seen: Tensor) -> None:
        """Demand that two results agree.

        Raises:
            ViolationError: shape or numbers differ; the message names the first place of the largest difference.
        """
        if found.shape != wanted.shape:
            raise ViolationError(f"{what}: the shape is {tuple(found.shape)}, not {tuple(wanted.shape)}", case)
        if not found.numel():
            return
        tolerance = self.tolerance(found, wanted, *seen)
        gap = (found - wanted).abs()
        gap = torch.where(gap.isnan(), torch.full_like(gap, math.inf), gap)
        if float(gap.max()) > tolerance:
            place = unravel(int(gap.argmax()), gap.shape)
            got, asked = float(found[place]), float(wanted[place])
            where = f" at {at(place)}" if place else ""
            raise ViolationError(f"{what}: {got:.9g}{where}, not {asked:.9g}", case, found=found, wanted=wanted)


def unravel(index: int, shape: torch.Size) -> tuple[int, ...]:
    """The place of the flat `index`."""
    found: list[int] = []
    for size in reversed(shape):
        index, rest = divmod(index, size)
        found.insert(0, rest)
    return tuple(found)


def at(place: tuple[int, ...]) -> str:
    """A place in words: plane, row and column of an image, an element of a vector."""
    names = {3: ("plane", "row", "column"), 1: ("element",)}.get(len(place))
    return ", ".join(f"{n} {i}" for n, i in zip(names, place, strict=True)) if names else str(place)
