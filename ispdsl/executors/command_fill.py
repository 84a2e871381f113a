"""What stands for each placeholder of a command: paths of the run, sizes, metadata, files beside, parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.executors import template
from ispdsl.executors.command_spec import Line, Spec, beside, fail_at, left_taps
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Declared, Request
from ispdsl.executors.template import Placeholder, Template, TemplateError
from ispdsl.ir.location import Location
from ispdsl.ir.params import Slider, Table
from ispdsl.runtime.faces import elements
from ispdsl.runtime.slots import PhysicalValue, Slot

NEARLY = re.compile(r"\{\s*[A-Za-z_][\w.]*[^{}\"\n]{0,40}\}")
"""A brace around what may have been meant for a placeholder."""

HERE = Location(file="", line=1, column=1, start=0, end=0)


@dataclass(frozen=True, eq=False)
class Run:
    """One call: its folder, its files by the name of their placeholder, and what is asked."""

    folder: Path
    paths: Mapping[str, Path]
    request: Request
    size: tuple[int, int]


Filler = Callable[[Run], str]
"""The text that stands for a placeholder in a run."""

Fillers = Mapping[Placeholder, Filler]


def file_names(declared: Declared, spec: Spec) -> tuple[str, ...]:
    """The placeholders that are paths of a run."""
    names = ["image", "result"]
    names += [f"image.{port.name}" for port in declared.inputs]
    names += [f"result.{port.name}" for port in declared.outputs]
    names += [f"taps.{name}" for name in left_taps(declared)]
    if spec.files:
        names += ["settings", *(f"settings.{Path(file.name).stem}" for file in spec.files)]
    return tuple(names)


def fillers(declared: Declared, spec: Spec, program: str) -> Fillers:
    """What fills in every placeholder of the line and its templates.

    Raises:
        CompileError: a placeholder names nothing, or its unit or format does not fit.
    """
    line = Line(declared)
    texts = [("", piece) for piece in (*spec.arguments, *(text for _, text in spec.environment), *spec.version)]
    texts += [(file.source, file.template) for file in spec.files if file.source and file.template]
    found: dict[Placeholder, Filler] = {}
    for source, pieces in texts:
        for placeholder in template.placeholders(pieces):
            try:
                found[placeholder] = _filler(placeholder, declared, spec, program)
            except TemplateError as error:
                fail_at(line, source, placeholder, error)
    streams = [name for name in (spec.stdin, spec.stdout) if name is not None]
    _check_used(line, spec, [*streams, *(placeholder.name for placeholder in found)])
    return found


def _filler(placeholder: Placeholder, declared: Declared, spec: Spec, program: str) -> Filler:
    """What fills in one placeholder."""
    name = placeholder.name
    if name in file_names(declared, spec):
        _check_plain(placeholder)
        return lambda run: str(run.paths[name])
    tap = name.removeprefix("taps.")
    if name.startswith("taps.") and tap in declared.taps:
        port = next((f"result.{port}" for port, value in declared.results.items() if value == declared.taps[tap]), None)
        shown = f"the output itself: write {{{port}}}" if port else "the input itself: nothing is left for it"
        raise TemplateError(
            f"{placeholder.text}: tap {tap} watches {shown.partition(':')[0]}", shown.partition(": ")[2]
        )
    if name.startswith("beside/"):
        _check_plain(placeholder)
        path = str(beside(declared, name.removeprefix("beside/")))
        return lambda run: path
    plain: dict[str, Filler] = {
        "folder": lambda run: str(run.folder),
        "program": lambda run: program,
        "width": lambda run: str(run.size[1]),
        "height": lambda run: str(run.size[0]),
    }
    slot = next((slot for slot in declared.slots if slot.address == name), None)
    if slot is not None:
        render = template.renderer(placeholder, slot)
        return lambda run: render(run.request.settings[name])
    if name in plain:
        _check_plain(placeholder)
        return plain[name]
    if name.startswith("meta."):
        return _metadata(placeholder, name.removeprefix("meta."))
    raise template.unknown(placeholder, [*file_names(declared, spec), *plain], declared.slots)


def _check_plain(placeholder: Placeholder) -> None:
    """A path or a size has no unit, index or format."""
    if placeholder.unit is not None or placeholder.index or placeholder.format:
        raise TemplateError(f"{placeholder.text} is no parameter", f"write {{{placeholder.name}}}")


def _metadata(placeholder: Placeholder, name: str) -> Filler:
    """A number, or one of several, that the raw file says: ``{meta.iso:d}``, ``{meta.as_shot_neutral[0]:.4f}``."""
    number = Slider(name=name, unit="", hard=(0, 1), soft=(0, 1), default=0, location=HERE)
    scalar = Placeholder(placeholder.text, name, (), placeholder.unit, placeholder.format, placeholder.line)
    write = template.renderer(scalar, Slot(f"metadata {name}", number, 0.0))

    def filler(run: Run) -> str:
        known: Mapping[str, Any] = run.request.frame.metadata if run.request.frame else {}
        if name not in known:
            hint = f"it knows {', '.join(known)}" if known else "there is no raw file; write a parameter instead"
            raise ExecutorError(Fault.SETTINGS, f"{placeholder.text}: the raw file does not say {name}", hint)
        value = np.asarray(known[name], dtype=np.float64)
        if len(placeholder.index) != value.ndim or any(
            at >= size for at, size in zip(placeholder.index, value.shape, strict=True)
        ):
            shape = " x ".join(map(str, value.shape)) or "one number"
            raise ExecutorError(
                Fault.SETTINGS, f"{placeholder.text}: {name} is {shape}", "write an index for each axis"
            )
        return write(float(value[placeholder.index]))

    return filler


def _check_used(line: Line, spec: Spec, used: Sequence[str]) -> None:
    """The program is told of its inputs, outputs, taps and settings."""
    inputs, outputs = line.declared.inputs, line.declared.outputs
    for what, ports in (("image", inputs), ("result", outputs)):
        for index, port in enumerate(ports):
            known = (what in used and index == 0) or f"{what}.{port.name}" in used
            if not (known or (what == "result" and port.name in spec.leaves)):
                told = f"{{{what}}}" if len(ports) == 1 else f"{{{what}.{port.name}}}"
                hint = f"write {told} where the program expects the path"
                hint += (
                    ", or stdin = image where it reads it from there"
                    if what == "image"
                    else (
                        ', leaves = "NAME" where it chooses the name by itself, or stdout = result where it goes there'
                    )
                )
                line.fail(f"no placeholder {told}: the program would not know of {port.name}", hint)
    for name in left_taps(line.declared):
        if f"taps.{name}" not in used:
            hint = f"write {{taps.{name}}} where the program expects a path for it, or take the tap out"
            line.fail(f"the program leaves nothing for tap {name}", hint)
    if (
        spec.files
        and spec.files[0].name.startswith("settings.")
        and not any(name.partition(".")[0] == "settings" for name in used)
    ):
        hint = 'write {settings} in the arguments, or name the file that it looks for: "image.dng.pp3=my.pp3"'
        line.fail("no placeholder {settings}: the program would not know of them", hint)


def unused(declared: Declared, spec: Spec) -> tuple[str, ...]:
    """Addresses that no placeholder uses: moving them does nothing."""
    if any(file.template is None for file in spec.files):
        return ()
    used = {placeholder.name for text in spec.templates for placeholder in template.placeholders(text)}
    return tuple(slot.address for slot in declared.slots if slot.address not in used)


def not_quite(spec: Spec) -> tuple[str, ...]:
    """Notes on texts in the arguments and the environment that look like a placeholder and are none."""
    plain = [piece for text in (*spec.arguments, *(text for _, text in spec.environment)) for piece in text]
    found = [near[0] for piece in plain if isinstance(piece, str) for near in NEARLY.finditer(piece)]
    return tuple(f"{text} is passed on as it is: it does not read as a placeholder" for text in found)


def filled(text: Template, run: Run, known: Fillers) -> str:
    """A text with what stands for its placeholders in a run."""
    return template.fill(text, {each: known[each](run) for each in template.placeholders(text)})


def arguments(texts: Sequence[Template], run: Run, known: Fillers, declared: Declared) -> list[str]:
    """The argument list. A placeholder of a choice or toggle that stands alone and comes out empty is left out."""
    flags = {slot.address for slot in declared.slots if slot.declaration.kind in ("choice", "toggle")}
    found: list[str] = []
    for text in texts:
        written = filled(text, run, known)
        alone = len(text) == 1 and isinstance(text[0], Placeholder) and text[0].name in flags
        if written or not alone:
            found.append(written)
    return found


def all_settings(declared: Declared, settings: Mapping[str, PhysicalValue]) -> str:
    """All settings by address as JSON: numbers in declared units, options, true and false, tables as nested lists.

    Raises:
        ExecutorError: `SETTINGS` where the numbers of a table are kept in a file.
    """
    values = {slot.address: _plain(slot, settings[slot.address]) for slot in declared.slots}
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def _plain(slot: Slot, value: Any) -> object:
    if not isinstance(slot.declaration, Table):
        return value
    try:
        numbers = elements(slot.declaration, value)
    except ValueError as error:
        message = f"{slot.address} cannot be written down: {error}"
        raise ExecutorError(Fault.SETTINGS, message, "write its numbers in brackets") from None
    return np.reshape(numbers, slot.declaration.shape).tolist()
