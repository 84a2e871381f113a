"""One attempt to break one line of a contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.conditions import all_hold
from ispdsl.contracts.doubled import allowance
from ispdsl.contracts.implementations import Implementation, Outputs
from ispdsl.contracts.strategies import PLAIN, Shape, cases, storage, substitute
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
        return self._whole(self._run(self.implementation, case), case)

    def run_other(self, name: str, case: Case) -> Outputs:
        """The results of a call of what the line names.

        Raises:
            ViolationError: it failed.
        """
        return self._run(self.others[name], case)

    def _run(self, implementation: Implementation, case: Case) -> Outputs:
        try:
            return implementation.run(case)
        except UnsatisfiedAssumption:
            raise  # a real thing that does not take this CFA or space
        except (Exception, SystemExit) as error:  # a program that exits must not end the test of all others
            what = str(error).partition("\n")[0]
            message = f"{implementation} raised {type(error).__name__}: {what}{_place(error, implementation.target)}"
            raise ViolationError(message, case) from error

    def _whole(self, results: Any, case: Case) -> Outputs:
        """The results, once they can be compared: tensors of the declared planes, and where it stays, the size.

        Raises:
            ViolationError: they are something else.
        """
        outputs = self.subject.outputs
        if not isinstance(results, tuple) or len(results) != len(outputs):
            count = len(results) if isinstance(results, tuple) else "something that is no tuple of"
            raise ViolationError(f"it gives {count} results, not {len(outputs)}", case)
        for port, found in zip(outputs, results, strict=True):
            if not isinstance(found, Tensor):
                raise ViolationError(f"{port.name} is {type(found).__name__}, not a tensor", case)
            type_ = substitute(port.type, case.types)
            if not type_.is_image:
                continue
            if found.dim() < 3 or found.shape[-3] != type_.planes:
                shape = tuple(found.shape)
                raise ViolationError(f"{port.name} has the shape {shape}, {type_} has {type_.planes} planes", case)
            if self.subject.footprint.kind != "global" and found.shape[-2:] != case.first.shape[-2:]:
                sizes = [f"{each.shape[-2]} x {each.shape[-1]}" for each in (found, case.first)]
                raise ViolationError(f"{port.name} is {sizes[0]} pixels, the image {sizes[1]}", case)
        return results

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
            return self._usual() * max(1.0, largest)
        if line.within_unit == "dB":
            return 10 ** (-line.within / 20) * max(1.0, largest)
        if line.within_unit == "lsb":
            codes = INTEGER_STORAGE.fullmatch(storage(self.subject.outputs[0].type))
            return line.within if codes else line.within / 255
        return line.within / 100 if line.within_unit == "%" else line.within

    def _usual(self) -> float:
        """What is forgiven where the line does not say: of doubles by their held-out error."""
        involved = [each.card for each in (self.implementation, *self.others.values()) if each.card is not None]
        known = [found for card in involved if (found := allowance(card)) is not None]
        return max(known) if len(known) == len(involved) > 0 else APPROXIMATE

    def same(self, found: Tensor, wanted: Tensor, what: str, case: Case, *seen: Tensor, **shown: Tensor) -> None:
        """Demand that two results agree; `shown` is what else a counterexample should hold.

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
            message = f"{what}: {got:.9g}{where}, not {asked:.9g}"
            if not math.isfinite(got):
                message = f"the result is not finite: {got:g}{where}"
            raise ViolationError(message, case, found=found, wanted=wanted, **shown)


def _place(error: BaseException, target: str) -> str:
    """Where in the program's own package an error arose: ``, at my_isp.py:3``."""
    package = target.partition(":")[0].partition(".")[0]
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return f", at {Path(lines[-1][0]).name}:{lines[-1][1]}" if lines else ""


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
