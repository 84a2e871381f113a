"""The address table of a pipeline: all that can be set, as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ispdsl.ir.params import Choice, Register, Slider, Table, Toggle
from ispdsl.render.signature import default, interval
from ispdsl.runtime.reading import plain
from ispdsl.runtime.slots import Slot

HEAD = ("address", "kind", "hard range", "soft range", "unit", "start", "")


def table(slots: Iterable[Slot]) -> str:
    """One line for each parameter: where it is, what it may be, where it starts, and what may move it."""
    cells = [HEAD, *(_cells(slot) for slot in slots)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def rows(slots: Iterable[Slot]) -> list[dict[str, Any]]:
    """The same as plain values: ranges in the declared unit, absent ones null."""
    return [
        {
            "address": slot.address,
            "kind": slot.declaration.kind,
            "hard": getattr(slot.declaration, "hard", None),
            "soft": getattr(slot.declaration, "soft", None),
            "options": list(slot.declaration.options) if isinstance(slot.declaration, Choice) else None,
            "shape": list(slot.declaration.shape) if isinstance(slot.declaration, Table) else None,
            "unit": slot.unit,
            "start": None if slot.start is None else plain(slot.declaration, slot.start),
            "start_metadata": slot.start_meta,
            "role": role(slot),
        }
        for slot in slots
    ]


def role(slot: Slot) -> str:
    """`free`: gradients and searches move it; `static`: it is set between runs; `fixed`; `unused`: no step takes it."""
    if slot.fixed:
        return "fixed"
    if slot.structural:
        return "static, a size"
    if slot.static:
        return "static"
    return "free" if slot.free else "unused"


def _cells(slot: Slot) -> tuple[str, ...]:
    hard, soft = _ranges(slot)
    start = default(slot.declaration, slot.start) if slot.start is not None else ""
    if slot.start_meta is not None:
        start = f"from metadata {slot.start_meta}" + (f", else {start}" if start else "")
    return slot.address, slot.declaration.kind, hard, soft, slot.unit, start, role(slot)


def _ranges(slot: Slot) -> tuple[str, str]:
    match slot.declaration:
        case Choice(options=options):
            return "{" + ", ".join(options) + "}", ""
        case Toggle():
            return "on or off", ""
        case Slider(hard=hard, soft=soft, unit=unit) | Register(hard=hard, soft=soft, unit=unit):
            return interval(hard, unit), interval(soft, unit) if soft != hard else ""
        case Table(hard=hard, shape=shape, unit=unit):
            size = "[" + ", ".join(map(str, shape)) + "]"
            return (f"{size} in {interval(hard, unit)}" if hard else size), ""
