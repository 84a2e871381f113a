"""The families of executors, by the word after ``executor``; each is imported when it is first asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.executors.model import Declared, Executor, Limits

FAMILIES = {
    "command": "ispdsl.executors.command",
    "libraw": "ispdsl.executors.libraw",
    "darktable": "ispdsl.executors.darktable",
    "tcp": "ispdsl.executors.registers",
    "serial": "ispdsl.executors.registers",
    "mmio": "ispdsl.executors.registers",
    "i2c": "ispdsl.executors.registers",
}
"""Module of each kind. A module has ``open_executor``, ``reaches`` and ``findings``."""

REGISTERS = ("tcp", "serial", "mmio", "i2c")
"""Kinds that are one family: a register bank behind a transport."""


@dataclass(frozen=True)
class Found:
    """What `doctor` is told of a real thing: whether it is here, in which version, and how to get it."""

    name: str
    here: bool
    value: str
    advice: str | None = None


def backend_of(declared: Declared) -> str:
    """Name of the family: ``command``, ``libraw``, ``darktable`` or ``registers``."""
    kind = declared.implementation.target
    return "registers" if kind in REGISTERS else kind


def family(declared: Declared) -> ModuleType:
    """The module that runs this kind of executor.

    Raises:
        CompileError: there is no such kind.
    """
    kind = declared.implementation.target
    if kind not in FAMILIES:
        near = nearest(kind, FAMILIES)
        hint = f"did you mean {near}?" if near else f"it is one of {', '.join(FAMILIES)}"
        raise CompileError(f"{declared.where}: there is no executor of this kind", hint)
    return importlib.import_module(FAMILIES[kind])


def open_executor(declared: Declared, limits: Limits | None = None, lane: int = 0) -> Executor:
    """Open what the text declares.

    Args:
        declared: from `ispdsl.backends.blackbox.declared`.
        limits: what a call may take; None for the usual ones.
        lane: number of this worker among those that run side by side: it decides the board or the configuration.

    Raises:
        CompileError: the executor line is wrong.
        ExecutorError: the program or device is not there, or of a version that is not known.
    """
    found: Any = family(declared)
    return found.open_executor(declared, limits or Limits(), lane)


def reaches(declared: Declared) -> tuple[str, ...]:
    """The programs, files and devices that the text names and that running it would start, read or talk to.

    Empty where the text has no say in what runs (LibRaw, the darktable on PATH). See `ispdsl.executors.trust`.
    """
    found: Any = family(declared)
    return tuple(found.reaches(declared))


def lanes(declared: Declared, wanted: int) -> int:
    """How many can work side by side, at most `wanted`: of boards no more than the text names."""
    found: Any = family(declared)
    return min(wanted, found.lanes(declared)) if hasattr(found, "lanes") else wanted
