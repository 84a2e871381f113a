"""Settings: what the parameters of a pipeline are set to, by address. An immutable value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ispdsl.diagnostics import nearest
from ispdsl.errors import UserError
from ispdsl.ir.params import Array, Choice, Register, Slider, Table
from ispdsl.ir.units import UNITS
from ispdsl.runtime import faces
from ispdsl.runtime.reading import array_of, read
from ispdsl.runtime.slots import Adjustable, PhysicalValue, Slot


@dataclass(frozen=True)
class Problem:
    """What is wrong with one setting."""

    address: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class SettingsError(UserError):
    """Settings cannot be used; `problems` holds everything that is wrong, not the first thing alone."""

    def __init__(self, *problems: Problem) -> None:
        if len(problems) == 1:
            where = f"{problems[0].address}: " if problems[0].address else ""
            super().__init__(where + problems[0].message, problems[0].hint)
        else:
            super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Settings:
    """Values by address. What nobody set is at its start; what starts at metadata is None until `resolved`."""

    name: str
    sha256: str
    slots: tuple[Slot, ...] = field(repr=False)
    changed: Mapping[str, PhysicalValue] = field(default_factory=dict[str, PhysicalValue])
    """What was set, in declared units."""
    measured: Mapping[str, PhysicalValue] = field(default_factory=dict[str, PhysicalValue])
    """What the frame's metadata gave."""

    @staticmethod
    def of(graph: Adjustable) -> Settings:
        """The settings of a graph, or of what was compiled from it, with everything at its start."""
        return Settings(graph.name, graph.sha256, graph.slots)

    def __getitem__(self, address: str) -> PhysicalValue | None:
        """The value at an address in its declared unit; None while it waits for metadata.

        Raises:
            SettingsError: there is no such address.
        """
        slot = self.slot(address)
        if address in self.changed:
            return self.changed[address]
        if slot.start_meta is not None:
            return self.measured.get(address)
        return slot.start

    def slot(self, address: str) -> Slot:
        """The row of the address table.

        Raises:
            SettingsError: there is no such address.
        """
        found = next((slot for slot in self.slots if slot.address == address), None)
        if found is None:
            raise SettingsError(self._unknown(address))
        return found

    def set(self, address: str, value: object, folder: Path | None = None) -> Settings:
        """These settings with one more: a number in the declared unit, a name, a switch, an `Array`, or text.

        Args:
            address: such as ``exposure.ev``.
            value: such as ``0.7``, ``"0.7ev"``, ``"50%"``, ``"on"``, ``"[0, 0.5, 1]"``.
            folder: where the file of a table is looked for.

        Raises:
            SettingsError: unknown address, fixed, wrong kind or unit, out of the hard range.
        """
        return self.update({address: value}, folder)

    def update(self, values: Mapping[str, object], folder: Path | None = None) -> Settings:
        """These settings with several more; see `set`.

        Raises:
            SettingsError: with everything that is wrong.
        """
        changed, problems = dict(self.changed), list[Problem]()
        known = {slot.address: slot for slot in self.slots}
        for address, value in values.items():
            slot = known.get(address)
            if slot is None:
                problems.append(self._unknown(address))
            elif slot.fixed or slot.structural:
                problems.append(_frozen(slot))
            elif unclear := _without_percent(slot, value):
                problems.append(unclear)
            else:
                try:
                    changed[address] = read(slot.declaration, value, folder)
                except ValueError as error:
                    told = legal(slot).removeprefix("a number in ") in str(error)
                    problems.append(Problem(address, str(error), None if told else legal(slot)))
        if problems:
            raise SettingsError(*problems)
        return replace(self, changed=changed)

    def _unknown(self, address: str) -> Problem:
        known = [slot.address for slot in self.slots]
        near = nearest(address, known)
        same = [full for full in known if full.rpartition(".")[2] == address]
        shown = address[:80]
        listing = f"`ispdsl plan FILE --parameters` lists its {len(known)}"
        hint = f"did you mean {near or same[0]}? {listing}" if near or same else listing
        return Problem(shown, f"{self.name} has no parameter of this name", hint)

    def resolved(self, metadata: Mapping[str, Any]) -> Settings:
        """These settings with everything that starts at metadata put there, limited to the hard range.

        Args:
            metadata: numbers and arrays in canonical units, by name.

        Raises:
            SettingsError: a name that has no default is missing, or its value is not finite or of another shape.
        """
        measured, problems = dict[str, PhysicalValue](), list[Problem]()
        for slot in self.slots:
            if slot.start_meta is None:
                continue
            try:
                found = starting_value(slot, metadata)
            except ValueError as error:
                problems.append(Problem(slot.address, str(error)))
                continue
            if found is not None:
                measured[slot.address] = found
            elif slot.address not in self.changed:
                problems.append(_missing(slot))
        if problems:
            raise SettingsError(*problems)
        return replace(self, measured=measured)

    def canonical(self) -> dict[str, PhysicalValue]:
        """What an executable is given: canonical values of all that is not fixed and does not wait for metadata."""
        found: dict[str, PhysicalValue] = {}
        for slot in self.slots:
            value = self[slot.address]
            if value is not None and not slot.fixed and not slot.structural:
                found[slot.address] = faces.canonical(slot.declaration, value)
        return found


def starting_value(slot: Slot, metadata: Mapping[str, Any]) -> PhysicalValue | None:
    """Where a slot starts for a frame, in its declared unit; None where the frame says nothing and no default does.

    Raises:
        ValueError: the frame's value is not finite, or of another shape.
    """
    if slot.start_meta is None or slot.start_meta not in metadata:
        return slot.start
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table), "metadata starts numbers"
    given = metadata[slot.start_meta]
    given = given.tolist() if hasattr(given, "tolist") else given
    scale = UNITS[declaration.unit].scale
    hard = declaration.hard or (-float("inf"), float("inf"))

    def declared(value: object) -> float:
        number = faces.finite(value) * scale.denominator / scale.numerator
        return min(max(number, hard[0]), hard[1])

    if isinstance(given, list | tuple):
        array = array_of(given, declaration)
        return faces.check(declaration, Array(shape=array.shape, values=tuple(map(declared, array.values))))
    return faces.check(declaration, declared(given))


def _missing(slot: Slot) -> Problem:
    hint = f"give the frame {slot.start_meta}, or set {slot.address}"
    return Problem(slot.address, f"it starts at the metadata {slot.start_meta}, which the frame does not have", hint)


def _frozen(slot: Slot) -> Problem:
    if slot.fixed:
        return Problem(slot.address, "it is fixed in the pipeline", "remove `fixed` there to make it adjustable")
    return Problem(
        slot.address, "it decides the size of a type, so it cannot be set at run time", "set it in the pipeline"
    )


def _without_percent(slot: Slot, value: object) -> Problem | None:
    """A text such as ``-0.3`` for a percentage: it may mean -0.3% or -30%, so it has to say which.

    Data (numbers rather than text) are in the declared unit; nothing is 0 either way.
    """
    if slot.unit != "%" or not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if number == 0.0 or not math.isfinite(number):
        return None
    hard = getattr(slot.declaration, "hard", None) or (-math.inf, math.inf)
    meant = [f"{each:g}%" for each in (number * 100, number) if hard[0] <= each <= hard[1]]
    message = f"{value.strip()[:40]} is in doubt: the parameter is a percentage"
    return Problem(slot.address, message, f"write {' or '.join(meant)}" if meant else legal(slot))


def legal(slot: Slot) -> str:
    """What a slot may be set to, for a hint."""
    match slot.declaration:
        case Slider() | Register():
            return f"a number in {faces.range_text(slot.declaration.hard, slot.unit)}"
        case Choice():
            return f"one of {', '.join(slot.declaration.options)}"
        case Table():
            inside = f" in {faces.range_text(slot.declaration.hard, slot.unit)}" if slot.declaration.hard else ""
            return f"identity, or {' x '.join(map(str, slot.declaration.shape))} numbers{inside}"
        case _:
            return "on or off"


def layered(settings: Settings, layers: Iterable[Mapping[str, object]], folder: Path | None = None) -> Settings:
    """Settings with several partial ones applied in turn; a later one wins.

    Raises:
        SettingsError: with everything that is wrong in any of them.
    """
    problems: list[Problem] = []
    for layer in layers:
        try:
            settings = settings.update(layer, folder)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(*problems)
    return settings
