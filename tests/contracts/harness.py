"""Small stages from text, held to one line of their contract, with a Python function as their program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import Tensor

from ispdsl.contracts import engine
from ispdsl.contracts.case import Case
from ispdsl.contracts.engine import Task, Verdict, check
from ispdsl.contracts.implementations import Implementation, Kind, Outputs, proportioned
from ispdsl.contracts.strategies import substitute
from ispdsl.contracts.subject import Line, Subject, declared
from ispdsl.lower.loader import load_text
from ispdsl.source import Source

Function = Callable[..., Any]

RGB = "image: rgb<S, f32>"
UNIT = "image: rgb<S, unit>"
MOSAIC = "mosaic: raw<C, f32>"


@dataclass(frozen=True)
class Row:
    """A property line, a function for which it holds, and functions that it must catch, by what is wrong with them.

    `takes` and `gives` are the ports, `body` what stands between the braces besides the program and the line, `before`
    what the file declares first, and `others` the programs of the stages that stand there.
    """

    line: str
    right: Function
    wrong: Mapping[str, Function]
    takes: str = RGB
    gives: str = "rgb<S, f32>"
    body: str = ""
    before: str = ""
    others: Mapping[str, Function] = field(default_factory=dict[str, Function])

    @property
    def text(self) -> str:
        """The file that declares it."""
        return stage(self.line, self.takes, self.gives, self.body, self.before)


def stage(line: str = "", takes: str = RGB, gives: str = "rgb<S, f32>", body: str = "", before: str = "") -> str:
    """The text of a stage ``f``; without a line it has what is implied."""
    program = "" if 'program "' in body else '  program "tests.contracts.own_programs:same"\n'
    last = f"  property {line}\n" if line else ""
    return f"{before}\nstage f({takes}) -> {gives} {{\n  {body}\n{program}{last}}}\n"


def subject_of(text: str, name: str = "f") -> Subject:
    """The stage of that name in a text without errors."""
    module, report = load_text(Source("test.isp", text))
    assert module is not None, report
    return next(each for each in declared(module) if each.name == name)


def by_hand(subject: Subject, function: Function, kind: Kind = "program") -> Implementation:
    """A Python function as the implementation of a stage; it is told the CFA or space where it asks."""
    asked = set(inspect.signature(function).parameters)

    def run(case: Case) -> Outputs:
        layout = str(substitute(subject.inputs[0].type, case.types).args[0])
        told = {name: layout for name in ("cfa", "space") if name in asked}
        found = function(*case.images.values(), **case.arguments, **told)
        return found if isinstance(found, tuple) else (found,)

    return Implementation(kind, "by hand", run)


def line_of(subject: Subject, text: str) -> Line:
    """The line of a contract whose property is the first word."""
    return next(each for each in subject.lines if each.name == text.split(" ")[0])


def verdict_on(
    text: str,
    line: str,
    function: Function,
    *,
    kind: Kind = "program",
    others: Mapping[str, Function] | None = None,
    examples: int = 40,
    seed: int = 0,
) -> Verdict:
    """What becomes of one line of the stage ``f`` with this function."""
    subject = subject_of(text)
    this = by_hand(subject, function, kind)
    subject = proportioned(subject, this)
    found = line_of(subject, line)
    implementations: dict[str, Implementation] = {}
    for name in found.stated.names if found.name in ("round_trips", "equivalent") else ():
        plain = name.rpartition(":")[2]
        other = subject.other(name) if ":" in name else subject
        implementations[name] = by_hand(other, (others or {})[plain])
    if found.name == "agreement":
        implementations = {name: by_hand(subject, each) for name, each in (others or {}).items()}
    return check(Task(subject, found, this, implementations), examples, seed)


def rights(rows: list[Row]) -> Any:
    """Every row with the function for which its line holds."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.line) for row in rows])


def wrongs(rows: list[Row]) -> Any:
    """Every row with each of the functions that its line must catch."""
    every = [
        pytest.param(row, function, id=f"{row.line}: {label}") for row in rows for label, function in row.wrong.items()
    ]
    return pytest.mark.parametrize(("row", "wrong"), every)


def holds(row: Row) -> None:
    """Demand that the line holds."""
    verdict = verdict_on(row.text, row.line, row.right, others=row.others)
    assert verdict.outcome == "holds", verdict.violation


def caught(row: Row, wrong: Function) -> None:
    """Demand that the line is broken, and not by an error of the program.

    What breaks it is not shrunk: that takes most of the time, and tests of the engine and of counterexamples do it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "PATIENCE", 0.0)
        verdict = verdict_on(row.text, row.line, wrong, others=row.others, examples=100)
    assert verdict.outcome == "fails"
    assert verdict.violation is not None
    assert "raised" not in verdict.violation.message


def changing(results: int) -> Function:
    """A program that gives something else with every call."""
    calls = 0

    def program(*images: Tensor, **_: object) -> tuple[Tensor, ...]:
        nonlocal calls
        calls += 1
        return (images[0] + calls,) * results

    return program
