"""Any program, described in the ``.isp`` file alone: ``executor command(arguments = [...], ...)``.

Each call has an empty folder of its own, in which the inputs and the settings are written, the program is run by its
argument list, and what it left is read, checked and believed. No shell ever sees a text. docs/executors.md is the page
for whoever writes such a line.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ispdsl.executors import template
from ispdsl.executors.belief import believed, own_file
from ispdsl.executors.command_fill import Fillers, Run, all_settings, arguments, filled, fillers, not_quite, unused
from ispdsl.executors.command_spec import AS_IT_IS, Line, Size, Spec, beside, left_taps, read_spec, tap_type
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.formats import form_of, read_image, write_image
from ispdsl.executors.kinds import Found
from ispdsl.executors.model import Answer, Cost, Declared, Image, Limits, Request, one_by_one
from ispdsl.executors.sandbox import Finished, empty_folder, run_program
from ispdsl.ir.types import Type
from ispdsl.runtime.pictures import orient

PROBE = Limits(seconds=20)
"""What asking a program for its version may take."""

NUMBERS = re.compile(r"\d+(?:\.\d+)+(?:-\d+)?")
"""A version in what a program says."""

TURNED_BACK = {6: 8, 8: 6}
"""The EXIF orientation that undoes one; every other undoes itself."""

MIRRORED = (2, 4, 5, 7)
"""EXIF orientations that mirror: no camera writes them, and programs that turn pictures upright disagree on them."""


@dataclass(frozen=True)
class Command:
    """An open `command` executor."""

    declared: Declared
    program: str
    spec: Spec = field(repr=False)
    fillers: Fillers = field(repr=False)
    version: str
    notes: tuple[str, ...]
    batch: int = 1

    def run(self, request: Request) -> Answer:
        """Run the program once.

        Raises:
            ExecutorError: whatever went wrong.
        """
        start = time.perf_counter()
        with empty_folder() as folder:
            since = time.time()
            run, turned = self._prepare(folder, request)
            environment = {name: filled(text, run, self.fillers) for name, text in self.spec.environment}
            command = arguments(self.spec.arguments, run, self.fillers, self.declared)
            command[0] = self.program
            finished = run_program(
                command,
                folder,
                self.spec.limits,
                environment=environment,
                stdin=run.paths[self.spec.stdin].read_bytes() if self.spec.stdin else None,
                stdout=run.paths[self.spec.stdout] if self.spec.stdout else None,
            )
            self._heed(finished)
            outputs = {
                port.name: self._read(f"result.{port.name}", port.type, run, since, finished, turned)
                for port in self.declared.outputs
            }
            taps = {name: self._tap(name, outputs, run, since, finished, turned) for name in request.taps}
        cost = Cost(seconds=time.perf_counter() - start, own=finished.seconds)
        return Answer(outputs, taps, cost, self.notes)

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        """Run the program once for each request."""
        return one_by_one(self, requests)

    def close(self) -> None:
        """Nothing lives between calls."""

    # ---- before the program runs

    def _prepare(self, folder: Path, request: Request) -> tuple[Run, int]:
        """Write inputs and settings; the run, and the EXIF orientation that the program applies."""
        paths: dict[str, Path] = {}
        turned = 1
        for index, port in enumerate(self.declared.inputs):
            image, form = request.images[port.name], self.spec.images[port.name]
            stem = "image" if index == 0 else f"image.{port.name}"
            data = _file_as_it_is(request, image, self.spec.upright) if form == AS_IT_IS else None
            if data is not None and request.frame is not None:
                path = folder / f"{stem}{Path(request.frame.source.path).suffix}"
                path.write_bytes(data)
                turned = request.frame.orientation if self.spec.upright else 1
            else:
                form = "dng" if form == AS_IT_IS else form
                path = folder / f"{stem}{form_of(form).suffix}"
                write_image(path, image, port.type, form, request.frame)
            paths |= {f"image.{port.name}": path} | ({"image": path} if index == 0 else {})
        paths |= self._places(folder)
        run = Run(folder, paths, request, request.images[self.declared.inputs[0].name].shape[1:])
        for file in self.spec.files:
            text = all_settings(self.declared, request.settings) if file.template is None else None
            text = filled(file.template, run, self.fillers) if file.template is not None else text
            (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.name).write_bytes((text or "").encode())
        for name in self.spec.leaves.values():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        return run, turned

    def _places(self, folder: Path) -> dict[str, Path]:
        """Where results, taps and settings are, by placeholder."""
        paths: dict[str, Path] = {}
        for index, port in enumerate(self.declared.outputs):
            own = "result" if index == 0 else f"result.{port.name}"
            name = self.spec.leaves.get(port.name) or own + form_of(self.spec.results[port.name]).suffix
            paths |= {f"result.{port.name}": folder / name} | ({"result": folder / name} if index == 0 else {})
        for name in left_taps(self.declared):
            paths[f"taps.{name}"] = folder / f"tap.{name}{form_of(self.spec.taps[name]).suffix}"
        for index, file in enumerate(self.spec.files):
            path = folder / file.name
            paths |= {f"settings.{Path(file.name).stem}": path} | ({"settings": path} if index == 0 else {})
        return paths

    # ---- after it has run

    def _heed(self, finished: Finished) -> None:
        """Refuse what a program says that goes on, and ends well, after what it could not do."""
        for said in (finished.errors, finished.output):
            line = next(
                (line for line in said.splitlines() if any(text in line for text in self.spec.complaints)), None
            )
            if line is not None:
                message = f"{self.version} complains: {line.strip()[:300]}"
                hint = "it went on without; correct what it was told"
                command, tail = finished.command, finished.errors
                raise ExecutorError(Fault.SETTINGS, message, hint, command=command, status=0, tail=tail)

    def _read(self, key: str, type_: Type, run: Run, since: float, finished: Finished, turned: int) -> Image:
        """A result or tap: a file of the program's own, of the right kind and size, believed."""
        name = key.partition(".")[2]
        forms, what = (
            (self.spec.taps, f"tap {name}") if key.startswith("taps.") else (self.spec.results, f"result {name}")
        )
        size = self.spec.sizes[name]
        try:
            path = own_file(_left(run.paths[key], run.folder, what), run.folder, since, finished.command)
            check = partial(_check_size, size, run.size, turned, what)
            image = read_image(path, type_, forms[name], check, profiled=self.spec.profiled)
            image = orient(image, TURNED_BACK.get(turned, turned))
            return believed(np.ascontiguousarray(image), type_, image.shape[1:], what, finished.command)
        except ExecutorError as error:
            hint = error.hint
            if error.fault is Fault.MISSING and not run.paths[key].exists():
                known = {path.name for key, path in run.paths.items() if not key.startswith(("result", "taps"))}
                files = [path for path in run.folder.rglob("*") if path.is_file() and path.name not in known]
                left = sorted(path.relative_to(run.folder).as_posix() for path in files)
                hint = f"it left {', '.join(left[:8])}: say so by leaves = ..." if left else hint
            raise ExecutorError(
                error.fault,
                error.message if what in error.message else f"{what}: {error.message}",
                hint,
                command=finished.command,
                status=0,
                tail=error.tail or finished.errors,
            ) from None

    def _tap(
        self, name: str, outputs: Mapping[str, Image], run: Run, since: float, finished: Finished, turned: int
    ) -> Image:
        """What a tap saw: an output, an input, or a file that the program left."""
        value = self.declared.taps[name]
        if value.node is None:
            return run.request.images[value.port]
        output = next((port for port, result in self.declared.results.items() if result == value), None)
        if output is not None:
            return outputs[output]
        return self._read(f"taps.{name}", tap_type(self.declared, name), run, since, finished, turned)


def _left(path: Path, folder: Path, what: str) -> Path:
    """The one file that a name with ``*`` means.

    Raises:
        ExecutorError: `GARBAGE` where several fit.
    """
    if "*" not in path.name:
        return path
    found = sorted(folder.glob(path.relative_to(folder).as_posix()))
    if len(found) > 1:
        names = ", ".join(each.name for each in found[:8])
        raise ExecutorError(Fault.GARBAGE, f"{what}: several files fit {path.name}: {names}", "name it more closely")
    return found[0] if found else path


def _file_as_it_is(request: Request, image: Image, upright: bool | None) -> bytes | None:
    """The bytes of the raw file, where it holds just what is asked about; else None, and a DNG must do.

    Raises:
        ExecutorError: `STALE` where the file has changed since it was read; `SETTINGS` where there is none, or where it
            was taken with the camera turned and nobody knows whether the program turns it back.
    """
    frame = request.frame
    if frame is None:
        hint = "run it on a raw file, or write the image in another format"
        raise ExecutorError(Fault.SETTINGS, "image = file: there is no raw file", hint)
    path = Path(frame.source.path)
    same = frame.source.whole and frame.source.decoder != "headerless" and path.is_file()
    same &= not (upright and frame.orientation in MIRRORED)
    if not same or not np.array_equal(frame.image, image):
        return None
    if upright is None and frame.orientation != 1:
        what = f"{path} was taken with the camera turned (orientation {frame.orientation})"
        hint = (
            "say whether the program turns the picture upright: `upright = on` or `upright = off` in the executor line"
        )
        raise ExecutorError(Fault.SETTINGS, f"{what}, and the executor line does not say what the program does", hint)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != frame.source.sha256:
        raise ExecutorError(Fault.STALE, f"{path} has changed since it was read", "read it again")
    return data


def _check_size(size: Size, given: tuple[int, int], turned: int, what: str, found: tuple[int, int]) -> None:
    """Refuse a result of a size that is not believed, and say which `size` would accept it."""
    upright = found[::-1] if turned >= 5 else found
    if size.accepts((upright[0], upright[1]), given):
        return
    wide, high = (a - b for a, b in zip(given[::-1], upright[::-1], strict=True))
    if upright == given[::-1]:
        hint = "the program turned it: let it not, or where the raw file says so write upright = on"
    elif wide == high and wide > 0 and wide % 2 == 0:
        hint = f'size = "border {wide // 2}" accepts it, or let the program keep the border'
    elif all(side in (whole // 2, (whole + 1) // 2) for side, whole in zip(upright, given, strict=True)):
        hint = "size = half accepts it"
    else:
        hint = "let the program keep the size; size = any accepts every size"
    came, wanted = f"{upright[1]} x {upright[0]}", f"{given[1]} x {given[0]}"
    message = f"{what} is {came} pixels, of an image of {wanted} with size = {size.text}"
    raise ExecutorError(Fault.SHAPE, message, hint)


# ---- opening --------------------------------------------------------------------------------------------------


def open_executor(declared: Declared, limits: Limits, lane: int) -> Command:
    """Open a program: read its line, find it, ask it for its version.

    Raises:
        CompileError: the line is wrong.
        ExecutorError: `ABSENT` where there is no such program, `VERSION` where it is another than wanted.
    """
    spec = read_spec(declared, limits)
    known = fillers(declared, spec, "")
    program = program_of(declared, spec)
    known = fillers(declared, spec, program)
    notes = tuple(f"{address} is used by no placeholder: it does nothing" for address in unused(declared, spec))
    notes += not_quite(spec)
    notes += tuple(f"{name} lacks a border of {size.border} px" for name, size in spec.sizes.items() if size.border)
    return Command(declared, program, spec, known, _version(declared, spec, known, program), notes)


def program_of(declared: Declared, spec: Spec) -> str:
    """Absolute path of the program: the first that is there of ``one|another``.

    A plain name is looked for on the PATH, one with a ``/`` beside the ``.isp`` file and below.

    Raises:
        CompileError: it holds a placeholder of a run.
        ExecutorError: `ABSENT`.
    """
    first = spec.arguments[0]
    if len(first) != 1 or not isinstance(first[0], str):
        if len(first) == 1 and isinstance(first[0], template.Placeholder) and first[0].name.startswith("beside/"):
            return str(beside(declared, first[0].name.removeprefix("beside/")))
        Line(declared).fail(
            "the program is named by a text, not by a placeholder", 'write arguments = ["program", ...]'
        )
    names = first[0].split("|")
    for name in names:
        found = str(beside(declared, name)) if "/" in name and not Path(name).is_absolute() else shutil.which(name)
        if found:
            return str(Path(found).absolute())
    message = f"{declared.where}: there is no program {' or '.join(names)}"
    raise ExecutorError(Fault.ABSENT, message, "install it, or put it on the PATH; ispdsl doctor says what is here")


def _version(declared: Declared, spec: Spec, known: Fillers, program: str) -> str:
    """Name and version of the program, as it says itself; without a probe, the start of its hash.

    Raises:
        ExecutorError: `VERSION` where it says none, or not what is wanted.
    """
    name = Path(program).name
    if not spec.version:
        with Path(program).open("rb") as file:
            return f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    with empty_folder() as folder:
        run = Run(folder, {}, Request({}, {}), (0, 0))
        command = [filled(text, run, known) for text in spec.version]
        command[0] = program if command[0] == _text(spec.arguments[0]) else command[0]
        said = _said(command, folder, replace(PROBE, memory=spec.limits.memory))
    found = NUMBERS.search(said)
    if not found:
        message = f"{declared.where}: {name} says no version: {said.strip()[:80]!r}"
        raise ExecutorError(Fault.VERSION, message, "look at the version argument", command=command)
    if spec.wants and not any(accepts(wanted, found[0]) for wanted in spec.wants):
        message = f"{declared.where}: {name} is of version {found[0]}, and {' or '.join(spec.wants)} is wanted"
        raise ExecutorError(Fault.VERSION, message, "install that one, or correct wants", command=command)
    return f"{name} {found[0]}"


def _said(command: Sequence[str], folder: Path, limits: Limits) -> str:
    """What a program says when it is asked for its version; many end with a status other than 0 then."""
    said = folder / "said"  # all of it: the end, which a run keeps, may be the end of a long help
    try:
        errors = run_program(command, folder, limits, stdout=said).errors
    except ExecutorError as error:
        if error.fault is not Fault.CRASH or not error.status or error.status < 0:
            raise
        errors = error.tail
    return f"{said.read_bytes()[:65536].decode(errors='replace')}\n{errors}" if said.is_file() else errors


def _text(pieces: template.Template) -> str:
    return "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def accepts(wanted: str, found: str) -> bool:
    """Whether a version is wanted: ``5.9`` means 5.9 and 5.9.1, not 5.90; ``>=5.9`` means it or any later one."""
    least = wanted.removeprefix(">=").strip()
    asked, given = ([int(part) for part in re.findall(r"\d+", text)] for text in (least, found))
    return given >= asked if wanted.startswith(">=") else given[: len(asked)] == asked


def reaches(declared: Declared) -> tuple[str, ...]:
    """The programs that the text names, and the files beside it that they are given, by the names in the text.

    Raises:
        CompileError: the executor line is wrong.
    """
    spec = read_spec(declared, Limits())
    found: list[str] = []
    for command in (spec.arguments, spec.version):
        if command and command[0] and isinstance(command[0][0], str):
            found += command[0][0].split("|")
    found += [file.source for file in spec.files if file.source is not None]
    for text in (*spec.templates, *spec.version):
        names = [placeholder.name for placeholder in template.placeholders(text)]
        found += [name.removeprefix("beside/") for name in names if name.startswith("beside/")]
    return tuple(dict.fromkeys(found))


PROGRAMS = (
    ("RawTherapee", ("rawtherapee-cli",), ("-v",), "apt install rawtherapee; examples/rawtherapee.isp drives it"),
    (
        "ImageMagick",
        ("magick", "convert-im6.q16"),
        ("-version",),
        "apt install imagemagick; see examples/imagemagick.isp",
    ),
    ("GEGL", ("gegl",), (), "apt install gegl; examples/gegl.isp drives it"),
)
"""Programs that the examples drive: name, what they are called, how they say their version, how to get them."""


def findings() -> tuple[Found, ...]:
    """Which of the examples' programs are here."""
    return tuple(_finding(*program) for program in PROGRAMS)


def _finding(name: str, names: Sequence[str], options: Sequence[str], advice: str) -> Found:
    path = next((found for found in map(shutil.which, names) if found), None)
    if path is None:
        return Found(name, False, f"no {' or '.join(names)} on PATH (optional)", advice)
    if not options:
        return Found(name, True, path)
    try:
        with empty_folder() as folder:
            said = _said([path, *options], folder, Limits(seconds=5))
    except (ExecutorError, OSError) as error:
        return Found(name, False, f"{path} does not say its version: {error}", advice)
    found = NUMBERS.search(said)
    return Found(name, True, f"{found[0] if found else 'unknown version'} ({path})")
