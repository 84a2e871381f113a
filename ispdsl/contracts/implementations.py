"""The ways to run a stage that a contract is held against."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hypothesis import reject
from torch import Tensor

from ispdsl.backends import composite
from ispdsl.backends.blackbox import declared_stage
from ispdsl.backends.programs import bind
from ispdsl.backends.real import run_by
from ispdsl.calls import Call
from ispdsl.contracts.case import Case
from ispdsl.contracts.doubled import files_of, run_of
from ispdsl.contracts.subject import Subject
from ispdsl.errors import CompileError, UserError
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.trust import check_allowed
from ispdsl.graph import build
from ispdsl.ir.model import Implementation as Declared
from ispdsl.ir.model import Module
from ispdsl.proxies.card import Card

Kind = Literal["program", "proxy", "executor"]
Outputs = tuple[Tensor, ...]
Run = Callable[[Case], Outputs]


@dataclass(frozen=True)
class Implementation:
    """One way to run a stage: what it is, and the function from a call to its results.

    Anything that runs can be held to a contract: wrap it in a `Run`, and say whether it is a ``program``, which is
    held exactly, or a ``proxy`` or ``executor``, which are held to the line's ``within``.
    """

    kind: Kind
    target: str
    run: Run = field(repr=False)
    card: Card | None = field(default=None, repr=False)
    """Of a double: what it was trained on."""

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


def implementations(
    subject: Subject,
    kind: str | None = None,
    trust: Collection[str] = (),
    allow_exec: bool = False,
    doubles: Path | None = None,
) -> tuple[Implementation, ...]:
    """The implementations of a subject that can run here, of one `kind` or of all.

    A pipeline is run as its composite. Proxies run where `doubles` (a run, folder or file) holds weights of the stage;
    executors where their program is installed and allowed, and where `kind` asks for them, since every call starts a
    real thing. `absent` says which do not run.

    Raises:
        CompileError: a program is not trusted, not there, or disagrees with its stage's declaration.
        PlanError: a pipeline cannot be planned.
    """
    if subject.is_pipeline:
        runs = kind in (None, "program") and not _without_program(subject)
        return (_pipeline(subject, trust),) if runs else ()
    found = [_program(subject, each, trust) for each in _declared(subject, "program") if kind != "proxy"]
    if kind == "executor" and _refusal(subject, allow_exec) is None:
        found += [_executor(subject, each) for each in _declared(subject, "executor")]
    if kind != "executor":
        found += _doubles(subject, doubles, trust)
    return tuple(found)


def _doubles(subject: Subject, doubles: Path | None, trust: Collection[str]) -> list[Implementation]:
    """The trained doubles of a stage; a run may hold one for each of its calls."""
    found = files_of(subject, doubles)
    own = next(iter(_declared(subject, "program")), None)
    called = None if own is None else lambda types: _call(subject, own, types)
    return [
        Implementation("proxy", f"{card.network} of {card.task.name}", run_of(path, called, trust), card)
        for path, card in found.items()
    ]


def _declared(subject: Subject, kind: str) -> list[Declared]:
    return [each for each in subject.signature.implementations if each.kind == kind]


def _refusal(subject: Subject, allow_exec: bool) -> str | None:
    """Why the executor of a stage cannot be tested; None where it can."""
    try:
        found = declared_stage(subject.signature, _texts(subject.module), _any_layout(subject))
        if subject.needs or subject.metas:
            return "an executor is not told the statistics and metadata that the stage reads"
        check_allowed(found, allow_exec)
        with closing(open_executor(found)):
            return None
    except UserError as error:
        return str(error).partition("\n")[0]


def _texts(module: Module) -> str:
    return hashlib.sha256("\n".join(sorted(module.files.values())).encode()).hexdigest()


def _executor(subject: Subject, declared: Declared) -> Implementation:
    """The real thing, opened once for each CFA or colour space."""
    opened: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def run(case: Case) -> Outputs:
        key = tuple(sorted((name, str(value)) for name, value in case.types.items()))
        if key not in opened:
            opened[key] = run_by(declared_stage(subject.signature, _texts(subject.module), case.types), subject.name)
        try:
            return opened[key](*case.images.values(), **case.arguments)
        except CompileError:  # a CFA or space that this real thing does not take; another one was opened before
            reject()

    return Implementation("executor", declared.target, run)


def proportioned(subject: Subject, implementation: Implementation) -> Subject:
    """The subject with the images that it wants at half size: what it takes when it refuses images of one size."""
    from ispdsl.contracts.strategies import example

    names = [port.name for port in subject.inputs]
    for halved in ((), *((name,) for name in names)) if len(names) > 1 else ():
        candidate = replace(subject, halved=frozenset(halved))
        try:
            implementation.run(example(candidate))
        except Exception:  # whatever a program does with sizes that it does not take
            continue
        return candidate
    return subject


def absent(
    subject: Subject, kind: str | None = None, allow_exec: bool = False, doubles: Path | None = None
) -> tuple[tuple[str, str], ...]:
    """Declared implementations that do not run here, each with the reason."""
    proxies = _declared(subject, "proxy") if kind in (None, "proxy") and not files_of(subject, doubles) else []
    found = [(f"proxy {each.target}", "a proxy needs trained weights: --doubles RUN") for each in proxies]
    for each in _declared(subject, "executor") if kind in (None, "executor") else []:
        if subject.is_pipeline:
            reason = "a pipeline's executor develops raw files; its stages are tested"
        elif kind is None:
            reason = "every call starts a real thing; --impl executor tests it"
        else:
            reason = _refusal(subject, allow_exec)
        found += [(f"executor {each.target}", reason)] if reason else []
    lacking = _without_program(subject) if subject.is_pipeline and kind in (None, "program") else []
    found += [("program", f"its stage {name} has none") for name in lacking[:1]]
    return tuple(found)


def _without_program(pipeline: Subject) -> list[str]:
    """The stages of a pipeline, at any depth, that no program runs."""
    calls = build(pipeline.module, pipeline.name).calls
    lacking = [c.signature.name for c in calls if all(each.kind != "program" for each in c.signature.implementations)]
    return list(dict.fromkeys(lacking))


def _program(subject: Subject, declared: Declared, trust: Collection[str]) -> Implementation:
    bound: dict[tuple[Any, ...], tuple[Callable[..., Any], Mapping[str, str]]] = {}
    bind(_call(subject, declared, _any_layout(subject)), trust)  # refuses what cannot run before any test

    def run(case: Case) -> Outputs:
        key = tuple(sorted((name, str(value)) for name, value in case.types.items()))
        if key not in bound:
            program = bind(_call(subject, declared, case.types), trust)
            bound[key] = (program.function, program.layout)
        function, layout = bound[key]
        found = function(*case.images.values(), **case.arguments, **layout)
        return tuple(found) if isinstance(found, tuple | list) else (found,)

    return Implementation("program", declared.target, run)


def _any_layout(subject: Subject) -> dict[str, str | int]:
    """Some CFA and space for the type variables, to bind a program before its first call."""
    found: dict[str, str | int] = {}
    for port in subject.inputs:
        for argument in port.type.args[:1]:
            found[str(argument)] = "rggb" if port.type.name == "raw" else "linear_srgb"
    return found


def _call(subject: Subject, declared: Declared, types: Mapping[str, str | int]) -> Call:
    signature = subject.signature
    return Call(
        address=subject.name,
        signature=signature,
        footprint=subject.footprint,
        pipeline=None,
        inputs={},
        needs={},
        parameters={},
        metas={},
        types=types,
        outputs={},
        statistic=False,
        previous=False,
        location=signature.location,
        implementation=declared,
    )


def packages(module: Module) -> set[str]:
    """The top-level packages whose programs the stages of a module name."""
    declared = [each for stage in module.stages.values() for each in stage.signature.implementations]
    return {each.target.partition(":")[0].partition(".")[0] for each in declared if each.kind == "program"}


def _pipeline(subject: Subject, trust: Collection[str]) -> Implementation:
    graph = build(subject.module, subject.name)
    used = packages(subject.module)
    trust = tuple(each for each in trust if each in used)  # what other files are trusted with is none of this one's
    compiled: dict[tuple[Any, ...], composite.Composite] = {}

    def run(case: Case) -> Outputs:
        types = {name: value for name, value in case.types.items() if len(name) == 1}
        key = tuple(sorted(types.items()))
        if key not in compiled:
            compiled[key] = composite.compile(graph, types=types, trust=trust, taps=())
        parameters = {p.name: case.arguments[p.name] for p in subject.parameters}
        metas = {name: value for name, value in case.arguments.items() if name not in parameters}
        return tuple(compiled[key](dict(case.images), parameters, metas).outputs.values())

    return Implementation("program", f"pipeline {subject.name}", run)
