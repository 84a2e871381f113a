"""A pipeline as LibRaw runs it: which of its steps each stage is, and what LibRaw is told so that a value can be seen.

LibRaw develops a file as a whole. A value inside is seen by a call of its own, which is told of the stages before it
only, and by their lines ``seen`` to do nothing after. A stage that LibRaw begins ahead of its place says what is done
there by ``ahead``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ispdsl.errors import CompileError
from ispdsl.executors import libraw_lines
from ispdsl.executors.libraw_keywords import Scalar
from ispdsl.executors.libraw_lines import Line
from ispdsl.executors.model import Declared, Node
from ispdsl.ir.model import Implementation, Signature, Value
from ispdsl.ir.params import Choice, Toggle
from ispdsl.ir.units import canonical
from ispdsl.runtime.slots import PhysicalValue, Slot

WHOLE = "whole"
"""``seen = whole``: LibRaw does nothing after this stage."""

ARGUMENTS = ("0", "step", "seen", "ahead", "fragile")


@dataclass(frozen=True)
class Step:
    """What a stage is to LibRaw.

    Attributes:
        lines: what it says of keywords.
        number: its place in LibRaw's order.
        seen: what LibRaw is told so that nothing happens after it, unless a later stage says otherwise; None where
            nothing that comes out of it can be seen.
        ahead: what LibRaw is told of it where a value before it is seen.
        fragile: seconds that a call has which tells LibRaw of it, where that may crash or hang; None where it does not.
    """

    lines: tuple[Line, ...]
    number: float
    seen: tuple[Line, ...] | None
    ahead: tuple[Line, ...]
    fragile: float | None


def step_of(signature: Signature, implementation: Implementation) -> Step:
    """What the executor line of a stage says.

    Raises:
        CompileError: it is none of LibRaw's, or cannot be understood.
    """
    where = f"{implementation.location}: executor {implementation.target} of {signature.name}"
    arguments = implementation.arguments
    if implementation.target != "libraw":
        raise CompileError(
            f"{where}: a stage of LibRaw's pipeline is run by LibRaw", "give it an executor libraw(...) line"
        )
    unknown = [name for name in arguments if name not in ARGUMENTS]
    if unknown:
        raise CompileError(
            f"{where}: it takes no {unknown[0]}", 'write executor libraw(["keyword = parameter"], step = 1)'
        )
    number = arguments.get("step")
    if not isinstance(number, float | int):
        raise CompileError(f"{where}: it does not say where in LibRaw's order it stands", "write step = and its number")
    seen = arguments.get("seen")
    try:
        lines = _lines(arguments.get("0", ()), signature)
        after = None if seen is None else () if seen == WHOLE else _lines(seen, signature)
        ahead = _lines(arguments.get("ahead", ()), signature)
    except ValueError as error:
        raise CompileError(f"{where}: {error}") from error
    fragile = arguments.get("fragile")
    if fragile is not None and not (isinstance(fragile, float | int) and fragile > 0):
        raise CompileError(f"{where}: fragile is the time that a call has", "write fragile = 30s")
    return Step(lines, float(number), after, ahead, None if fragile is None else float(fragile))


def _lines(texts: object, signature: Signature) -> tuple[Line, ...]:
    if isinstance(texts, str):
        texts = (texts,)
    if not isinstance(texts, tuple):
        raise ValueError('lines are texts in quotes: "keyword = parameter"')
    lines = tuple(libraw_lines.read(str(text), signature) for text in cast("tuple[object, ...]", texts))
    libraw_lines.check(lines, signature.parameters)
    return lines


@dataclass(frozen=True)
class Stage:
    """A node of the pipeline and the step that it is."""

    node: Node
    step: Step


@dataclass(frozen=True)
class Course:
    """A pipeline as LibRaw runs it.

    Attributes:
        paths: by value that is watched or given: the stages before it, in order. Empty for the mosaic itself.
        beyond: by value: the stages that come after it.
        slots: the address table.
    """

    paths: Mapping[Value, tuple[Stage, ...]]
    beyond: Mapping[Value, tuple[Stage, ...]]
    slots: Mapping[str, Slot]

    def told(self, value: Value, settings: Mapping[str, PhysicalValue]) -> dict[str, Any]:
        """What LibRaw is told so that a value comes out.

        Raises:
            ValueError: a setting cannot be told.
        """
        said, after = dict[str, Any](), dict[str, Any]()
        for stage in self.paths[value]:
            own = self._own(stage.node, settings)
            said |= libraw_lines.told(stage.step.lines, own)
            after |= libraw_lines.told(stage.step.seen or (), own)
        for stage in self.beyond[value]:
            after |= libraw_lines.told(stage.step.ahead, self._own(stage.node, settings))
        return {**after, **said}

    def fragile(self, value: Value) -> dict[str, float]:
        """Keywords that may crash LibRaw or make it hang, and the seconds that a call has which tells them."""
        return {
            line.keyword.name: stage.step.fragile
            for stage in self.paths[value]
            if stage.step.fragile is not None
            for line in stage.step.lines
        }

    def _own(self, node: Node, settings: Mapping[str, PhysicalValue]) -> dict[str, Scalar]:
        """The settings of a node by its parameters' names, in canonical units."""
        return {name: _canonical(self.slots[address], settings[address]) for name, address in node.parameters.items()}


def _canonical(slot: Slot, value: PhysicalValue) -> Scalar:
    if isinstance(slot.declaration, Choice | Toggle):
        return cast("Scalar", value)
    if not isinstance(value, float | int):
        raise ValueError(f"{slot.address}: LibRaw takes no tables")
    return canonical(float(value), slot.unit)


def course(declared: Declared) -> Course:
    """A pipeline as LibRaw runs it.

    Raises:
        CompileError: it has stages that are not LibRaw's, or in another order, or watches what LibRaw does not show.
    """
    stages = {node.address: _stage(declared, node) for node in declared.nodes}
    values = (*declared.results.values(), *declared.taps.values())
    paths = {value: _path(declared, stages, value) for value in values}
    for value, path in paths.items():
        if path:
            _check(declared, value, path)
    beyond = {value: tuple(_beyond(stages, paths[value])) for value in values}
    return Course(paths, beyond, {slot.address: slot for slot in declared.slots})


def _beyond(stages: Mapping[str, Stage], path: tuple[Stage, ...]) -> Iterator[Stage]:
    """The stages that read what comes of a path, directly or through others."""
    reached = {path[-1].node.address} if path else set[str]()
    for stage in stages.values():
        if any(value.node in reached for value in stage.node.inputs.values()):
            reached.add(stage.node.address)
            yield stage


def _stage(declared: Declared, node: Node) -> Stage:
    if node.executor is None:
        hint = "LibRaw runs the pipeline as a whole: every stage needs its executor libraw(...) line"
        raise CompileError(f"{declared.where}: stage {node.signature.name} is none of LibRaw's", hint)
    return Stage(node, step_of(node.signature, node.executor))


def _path(declared: Declared, stages: Mapping[str, Stage], value: Value) -> tuple[Stage, ...]:
    """The stages before a value, in the order in which they run."""

    def back(current: Value) -> Iterator[Stage]:
        while current.node is not None:
            stage = stages[current.node]
            yield stage
            if len(stage.node.inputs) != 1:
                raise CompileError(f"{declared.where}: {current.node} joins images", "LibRaw develops one file")
            current = next(iter(stage.node.inputs.values()))

    return tuple(back(value))[::-1]


def _check(declared: Declared, value: Value, path: tuple[Stage, ...]) -> None:
    """Whether LibRaw has these steps in this order, each keyword told once, and shows what comes of them."""
    said: dict[str, str] = {}
    before: Stage | None = None
    for stage in path:
        name = stage.node.address
        if before is not None and stage.step.number <= before.step.number:
            message = f"{declared.where}: LibRaw runs {name} before {before.node.address}, not after"
            raise CompileError(message, f"write {name} first")
        for keyword in {line.keyword.name for line in stage.step.lines}:
            if keyword in said:
                raise CompileError(
                    f"{declared.where}: {said[keyword]} and {name} both say {keyword}", "keep one of them"
                )
            said[keyword] = name
        before = stage
    if path[-1].step.seen is None:
        names = [tap for tap, watched in declared.taps.items() if watched == value]
        what = f"tap {names[0]}" if names else "the output"
        hint = "LibRaw shows what comes after stages whose executor line has `seen`"
        raise CompileError(f"{declared.where}: {what} cannot be seen after {path[-1].node.address}", hint)
