"""What an ``executor command(...)`` line says, read and checked against the pipeline or stage that it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.executors import template
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.formats import check_form, form_of
from ispdsl.executors.model import MIB, Declared, Limits
from ispdsl.executors.template import BRACES, Placeholder, Template
from ispdsl.executors.trust import inside
from ispdsl.ir.types import Type

ARGUMENTS = (
    "arguments",
    "image",
    "result",
    "tap",
    "size",
    "upright",
    "profile",
    "leaves",
    "stdin",
    "stdout",
    "settings",
    "marks",
    "environment",
    "version",
    "wants",
    "complaints",
    "seconds",
    "memory",
    "output",
)
"""What the line takes, each by name."""

AS_IT_IS = "file"
"""The form of an input that is the raw file itself."""

ALL_SETTINGS = "json"
"""Instead of a template: all settings by address as one JSON object."""

MAX_TEMPLATE = 4 * MIB

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"(?!\.{1,2}$)[^/\0\n]{1,200}")


@dataclass(frozen=True)
class Size:
    """What size of a result is believed, by the size of the first input; `anything` believes all."""

    text: str
    anything: bool = False
    half: bool = False
    border: int = 0
    exact: tuple[int, int] | None = None

    def accepts(self, found: tuple[int, int], given: tuple[int, int]) -> bool:
        """Whether a result of height and width `found` is believed of an input `given`; halves may round either way."""
        if self.anything or self.exact is not None:
            return self.anything or found == self.exact
        wanted = [(side // 2, (side + 1) // 2) if self.half else (side,) for side in given]
        return all(side + 2 * self.border in sides for side, sides in zip(found, wanted, strict=True))


@dataclass(frozen=True)
class SettingsFile:
    """A file of settings: its name in the run's folder, and the template; None writes all settings as JSON."""

    name: str
    source: str | None
    template: Template | None


@dataclass(frozen=True)
class Spec:
    """The line, read.

    `sizes`, `results` and `taps` are by port or tap, `leaves` by output; `stdin` and `stdout` are names of
    placeholders.
    """

    arguments: tuple[Template, ...]
    environment: tuple[tuple[str, Template], ...]
    files: tuple[SettingsFile, ...]
    images: Mapping[str, str]
    results: Mapping[str, str]
    taps: Mapping[str, str]
    sizes: Mapping[str, Size]
    leaves: Mapping[str, str]
    stdin: str | None
    stdout: str | None
    upright: bool | None
    """Whether the program turns the picture as the raw file says; None where the line does not say."""
    profiled: bool
    version: tuple[Template, ...]
    wants: tuple[str, ...]
    complaints: tuple[str, ...]
    limits: Limits

    @property
    def templates(self) -> tuple[Template, ...]:
        """Everything that holds placeholders of a run."""
        files = [file.template for file in self.files if file.template is not None]
        return (*self.arguments, *(text for _, text in self.environment), *files)


def read_spec(declared: Declared, limits: Limits) -> Spec:
    """Read the executor line.

    Args:
        declared: what the text says.
        limits: what a call may take at most, for what the line says nothing of.

    Raises:
        CompileError: an argument is unknown, missing or of another kind; a format, size or file does not fit.
    """
    line = Line(declared)
    line.check_names()
    inputs, outputs = ({port.name: port.type for port in ports} for ports in (declared.inputs, declared.outputs))
    taps = {name: tap_type(declared, name) for name in left_taps(declared)}
    arguments = line.texts("arguments")
    if line.texts("wants") and not line.texts("version"):
        line.fail("wants a version and does not ask for it", 'write version = ["program", "--version"]')
    if not arguments:
        line.fail("arguments is missing: what is to be run?", 'write arguments = ["program", "{image}", "{result}"]')
    results = line.forms("result", outputs, "tiff32", writing=False)
    first = next(iter(results.values()), "tiff32")
    return Spec(
        arguments=tuple(template.parse(text) for text in arguments),
        environment=tuple(_variable(line, text) for text in line.texts("environment")),
        files=_settings_files(line),
        images=line.forms("image", inputs, "dng" if _is_raw(inputs) else "tiff32", writing=True),
        results=results,
        taps=line.forms("tap", taps, first, writing=False),
        sizes={name: _size(line, text) for name, text in line.by_name("size", (*outputs, *taps), "same").items()},
        leaves={name: _own_name(line, "leaves", text) for name, text in line.by_name("leaves", outputs, "").items()},
        stdin=line.stream("stdin", ("image", "settings"), inputs),
        stdout=line.stream("stdout", ("result",), outputs),
        upright={"": None, "on": True, "off": False}[line.word("upright", ("", "off", "on"))],
        profiled=line.word("profile", ("check", "ignore")) == "check",
        version=tuple(template.parse(text) for text in line.texts("version")),
        wants=line.texts("wants"),
        complaints=line.texts("complaints"),
        limits=_limits(line, limits),
    )


def _is_raw(inputs: Mapping[str, Type]) -> bool:
    return any(type_.name == "raw" for type_ in inputs.values())


def left_taps(declared: Declared) -> tuple[str, ...]:
    """The taps for which the program must leave a file: those that are neither an output nor an input."""
    known = set(declared.results.values())
    return tuple(name for name, value in declared.taps.items() if value not in known and value.node is not None)


def tap_type(declared: Declared, name: str) -> Type:
    """The type of what a tap watches."""
    value = declared.taps[name]
    if value.node is None:
        return next(port.type for port in declared.inputs if port.name == value.port)
    return next(node for node in declared.nodes if node.address == value.node).outputs[value.port]


@dataclass(frozen=True)
class Line:
    """The executor line as written; every complaint names it."""

    declared: Declared

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        """Say what is wrong with the line."""
        raise CompileError(f"{self.declared.where}: {message}", hint)

    def check_names(self) -> None:
        """Every argument is known and named, and every input and output is an image."""
        for name in self.declared.implementation.arguments:
            if name.isdigit():
                self.fail("its arguments have names", 'write arguments = ["program", "{image}", "{result}"]')
            if name not in ARGUMENTS:
                near = nearest(name, ARGUMENTS)
                known = f"it takes {', '.join(ARGUMENTS)}"
                self.fail(f"it takes no argument {name}", f"did you mean {near}?" if near else known)
        for port in (*self.declared.inputs, *self.declared.outputs):
            if not port.type.is_image:
                hint = "a program is given images and settings; take the statistic out"
                self.fail(f"{port.name} is {port.type}, and only images are put in files", hint)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; one text is a list of one, nothing an empty one."""
        value = self.declared.implementation.arguments.get(name, ())
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, tuple):
            self.fail(f"{name} is a list of texts", f'write {name} = ["...", "..."]')
        return value

    def text(self, name: str, usual: str) -> str:
        """One text."""
        value = self.declared.implementation.arguments.get(name, usual)
        if not isinstance(value, str):
            self.fail(f"{name} is one text", f'write {name} = "{usual}"')
        return value

    def word(self, name: str, options: tuple[str, ...]) -> str:
        """One of several words, the first by itself."""
        value = self.text(name, options[0])
        if value not in options:
            self.fail(f"{name} is one of {', '.join(filter(None, options))}, not {value!r}")
        return value

    def stream(self, name: str, plain: tuple[str, ...], ports: Mapping[str, Type]) -> str | None:
        """The placeholder of the file that goes through a stream: ``image``, ``result.NAME``, ``settings``."""
        if name not in self.declared.implementation.arguments:
            return None
        known = (*plain, *(f"{plain[0]}.{port}" for port in ports))
        return self.word(name, known)

    def number(self, name: str) -> float | None:
        """A number above 0, if it is given."""
        value = self.declared.implementation.arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, float | int) or not value > 0:
            self.fail(f"{name} is a number above 0", f"write {name} = 120")
        return float(value)

    def by_name(self, name: str, ports: Iterable[str], usual: str) -> dict[str, str]:
        """One text for all ports, or a list: ``PORT=TEXT`` for one of them, a bare text for the others."""
        ports = tuple(ports)
        found = dict.fromkeys(ports, usual)
        own: dict[str, str] = {}
        for text in self.texts(name):
            port, equals, rest = text.partition("=")
            if not equals:
                found = dict.fromkeys(ports, text)
            elif port.strip() in ports:
                own[port.strip()] = rest.strip()
            else:
                near = nearest(port.strip(), ports)
                hint = f"did you mean {near}?" if near else f"known are {', '.join(ports) or 'none'}"
                self.fail(f"{name}: there is no {port.strip()!r}", hint)
        return {port: text for port, text in (found | own).items() if text}

    def forms(self, name: str, ports: Mapping[str, Type], usual: str, *, writing: bool) -> dict[str, str]:
        """The format of each port, known to hold its type."""
        found = self.by_name(name, ports, usual)
        for port, form in found.items():
            if form == AS_IT_IS and writing:
                if ports[port].name != "raw":
                    hint = "write it as png16, tiff32, pfm or npy"
                    self.fail(f"{name} = file: {port} is {ports[port]} and comes from no file", hint)
                continue
            try:
                check_form(form_of(form), ports[port], writing=writing)
            except ValueError as error:
                self.fail(f"{name} of {port}: {error}")
        return found


def _variable(line: Line, text: str) -> tuple[str, Template]:
    """A variable of the environment: ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name):
        line.fail(f"environment: {text!r} sets nothing", 'write environment = ["OMP_NUM_THREADS=1"]')
    return name, template.parse(value)


def _own_name(line: Line, what: str, name: str) -> str:
    """The path of a file in the run's own folder or below."""
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        hint = "write a name such as result.tif or out/result.tif"
        line.fail(f"{what}: {name!r} is no name of a file in the run's folder", hint)
    return name


def _size(line: Line, text: str) -> Size:
    """``same``, ``any``, ``half``, ``border 4``, ``half border 4`` or ``640 x 480`` (columns by rows)."""
    if text == "any":
        return Size(text, anything=True)
    if found := re.fullmatch(r"(\d{1,5}) ?x ?(\d{1,5})", text):
        return Size(text, exact=(int(found[2]), int(found[1])))
    found = re.fullmatch(r"(same|half)?(?:(?:^| )border (\d{1,5}))?", text)
    if not found:
        line.fail(f"size: {text!r} is no size", 'write same, half, any, "border 4", "half border 4" or "640 x 480"')
    return Size(text, half=found[1] == "half", border=int(found[2] or 0))


def _limits(line: Line, limits: Limits) -> Limits:
    """The line's limits where the caller has none of his own, else the narrower of both."""
    usual = Limits()

    def narrower(name: str, unit: float, own: float, ordinary: float) -> float:
        given = line.number(name)
        return own if given is None else given * unit if own == ordinary else min(given * unit, own)

    return Limits(
        seconds=narrower("seconds", 1, limits.seconds, usual.seconds),
        memory=int(narrower("memory", MIB, limits.memory, usual.memory)),
        output=int(narrower("output", MIB, limits.output, usual.output)),
    )


# ---- files beside the text ------------------------------------------------------------------------------------


def _settings_files(line: Line) -> tuple[SettingsFile, ...]:
    """The settings files: ``"my.pp3"``, ``json``, or ``["image.dng.pp3=my.pp3", ...]`` with names in the folder."""
    given = line.texts("settings")
    marks = line.texts("marks") or BRACES
    if len(marks) != 2 or not all(marks) or any("\n" in mark for mark in marks):
        line.fail("marks are two texts, before and behind a placeholder", 'write marks = ["<<", ">>"]')
    found: list[SettingsFile] = []
    for text in given:
        own, equals, name = text.rpartition("=")
        suffix = ".json" if name == ALL_SETTINGS else Path(name).suffix
        usual = f"settings{suffix}" if len(given) == 1 else Path(name).name
        own = _own_name(line, "settings", own.strip() if equals else usual)
        if own in [file.name for file in found]:
            line.fail(f"settings: two files are called {own}", "name them apart: NAME=TEMPLATE")
        source = None if name == ALL_SETTINGS else name
        pieces = template.parse(_text_of(line, beside(line.declared, name)), (marks[0], marks[1])) if source else None
        found.append(SettingsFile(own, source, pieces))
    return tuple(found)


def _text_of(line: Line, path: Path) -> str:
    """The text of a template, which may be of any kind but must be text."""
    try:
        if path.stat().st_size > MAX_TEMPLATE:
            line.fail(f"settings: {path.name} is longer than {MAX_TEMPLATE} bytes")
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        line.fail(f"settings: {path.name} is no UTF-8 text", "save it as UTF-8")
    except OSError as error:
        line.fail(f"settings: {path.name} cannot be read: {error.strerror}")


def beside(declared: Declared, name: str) -> Path:
    """A file that the text names: beside the ``.isp`` file or below.

    Raises:
        CompileError: there is none there.
        ExecutorError: `FOREIGN` where the name leads elsewhere.
    """
    try:
        path = inside(declared.folder, name)
    except ExecutorError as error:
        raise ExecutorError(error.fault, f"{declared.where}: {error.message}", error.hint) from None
    if path.exists() and not path.is_file():
        Line(declared).fail(f"{name!r} beside it is no file", "name a file")
    if not path.is_file():
        here = [each.relative_to(declared.folder.resolve()).as_posix() for each in path.parent.glob("*")]
        near = nearest(name, here)
        hint = f"did you mean {near}?" if near else f"files are looked for in {declared.folder} and below"
        Line(declared).fail(f"there is no file {name!r} beside it", hint)
    return path


def fail_at(line: Line, source: str, placeholder: Placeholder, error: template.TemplateError) -> NoReturn:
    """A complaint about a placeholder, with the file and line of a template that it stands in."""
    where = f"{source}:{placeholder.line}: " if source else ""
    line.fail(where + error.message, error.hint)
