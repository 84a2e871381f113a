"""What `ispdsl export` is asked for: form, options, the pipeline at its settings, and a raw."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, as_usage, writing
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.compile import size_of
from ispdsl.cli.files import check_place, find_pipeline
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import pairs
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.errors import NoProgramError, PlanError

if TYPE_CHECKING:
    from ispdsl.export.cube import Grid
    from ispdsl.export.source import Source


class Form(StrEnum):
    """What a pipeline is written as."""

    PT2 = "pt2"
    ONNX = "onnx"
    REGISTERS = "registers"
    XMP = "xmp"
    CUBE = "cube"
    JSON = "json"


class Encoding(StrEnum):
    """How colours are written before a table is looked up."""

    LINEAR = "linear"
    SRGB = "srgb"


SUFFIXES = {
    Form.PT2: (".pt2",),
    Form.ONNX: (".onnx",),
    Form.REGISTERS: (".json", ".csv"),
    Form.XMP: (".xmp",),
    Form.CUBE: (".cube",),
    Form.JSON: (".json",),
}

MODULES = (Form.PT2, Form.ONNX)
"""Forms that hold the whole computation."""

COMPUTED = (*MODULES, Form.CUBE, Form.JSON)
"""Forms for which programs run."""


@dataclass(frozen=True)
class Wanted:
    """The options, as they were given."""

    form: Form
    output: Path
    raw: Path | None
    size: str | None
    cfa: str | None
    crop: str | None
    describe: Path | None
    no_sidecar: bool
    impl: tuple[str, ...]
    doubles: Path | None
    trust: tuple[str, ...]
    free: bool
    free_metadata: bool
    lut_size: int | None
    domain: str | None
    encoding: Encoding | None
    of: str | None
    at_least: float | None
    seed: int


def check_wanted(wanted: Wanted) -> None:
    """Find out before the work whether the options go together, and whether the file could be written.

    Raises:
        CommandError: they do not, or it could not.
    """
    form, output = wanted.form, wanted.output
    if output.suffix not in SUFFIXES[form]:
        names = " or ".join(str(output.with_suffix(suffix)) for suffix in SUFFIXES[form])
        raise CommandError(
            f"--to {form.value} writes {' or '.join(SUFFIXES[form])}, and not {output}", f"call it {names}"
        )
    check_place(output)
    if form is Form.XMP and output.exists():
        hint = "give another name, or move it away first"
        raise CommandError(f"{output} is there already, and may hold an edit made in darktable", hint, ExitCode.OUTPUT)
    _check_options(wanted)
    if wanted.raw is None and wanted.size is None and form in MODULES:
        hint = "--raw RAW holds its metadata; --size HxW takes random images, and metadata are inputs"
        raise CommandError(f"--to {form.value} is tried on an image, and none is named", hint)
    if wanted.raw is not None and wanted.size is not None:
        raise CommandError("--raw and --size are both there", "leave one out; --crop takes a part of a raw")
    if wanted.form is Form.ONNX:
        from ispdsl.export.packages import check_packages

        check_packages()


def _check_options(wanted: Wanted) -> None:
    """Refuse options that would do nothing.

    Raises:
        CommandError: there is one.
    """
    given: list[tuple[str, object, tuple[Form, ...]]] = [
        ("--size", wanted.size, MODULES),
        ("--free", wanted.free, MODULES),
        ("--free-metadata", wanted.free_metadata, MODULES),
        ("--lut-size", wanted.lut_size, (Form.CUBE,)),
        ("--domain", wanted.domain, (Form.CUBE,)),
        ("--encoding", wanted.encoding, (Form.CUBE,)),
        ("--of", wanted.of, (Form.CUBE,)),
        ("--at-least", wanted.at_least, (*MODULES, Form.CUBE)),
        ("--impl", wanted.impl, COMPUTED),
        ("--doubles", wanted.doubles, COMPUTED),
        ("--trust", wanted.trust, COMPUTED),
        ("--cfa", wanted.cfa, COMPUTED),
    ]
    for option, value, forms in given:
        if value not in (None, False, ()) and wanted.form not in forms:
            meant = ", ".join(form.value for form in forms)
            raise CommandError(f"{option} is not for --to {wanted.form.value}", f"it is for {meant}: leave it out")
    for option, value in (("--crop", wanted.crop), ("--describe", wanted.describe)):
        if value is not None and wanted.raw is None:
            raise CommandError(f"{option} is for a raw, and there is none", "name one by --raw")
    if wanted.cfa is not None and wanted.raw is not None:
        raise CommandError("--cfa is for pipelines without a raw", "leave it out: the raw says what it is")


def source_of(
    file: str, pipeline: str | None, settings: list[str], presets: list[Path], wanted: Wanted
) -> tuple[Source, list[str]]:
    """The pipeline at its settings, with its raw, and what is to be noted of them.

    Raises:
        CommandError: an option or a file of settings is wrong, or the output would overwrite an input.
        SettingsError, RawError, PlanError: as `ispdsl run`.
    """
    from ispdsl.ir.types import CFAS
    from ispdsl.runtime import sidecar

    values = pairs(settings, "--set", "ADDRESS=VALUE")
    part = parse_crop(wanted.crop) if wanted.crop else None
    if wanted.cfa is not None and wanted.cfa not in CFAS:
        raise CommandError(f"--cfa {wanted.cfa} is no CFA", f"it is one of {', '.join(CFAS)}")
    size = size_of(wanted.size) if wanted.size else None
    grid_of(wanted)
    graph = build_graph(file, pipeline, inline=False)
    impl = dict(pairs(list(wanted.impl), "--impl", "STAGE=KIND"))
    check_implementations(graph, impl, wanted.doubles)
    check_trust(wanted.trust)
    beside = None if wanted.no_sidecar or wanted.raw is None else sidecar.path_of(wanted.raw)
    chosen = choose(graph, beside, presets, values)
    inputs = [*inputs_of(graph, find_pipeline(file)), *tables_of(chosen), *(Use("a preset", path) for path in presets)]
    inputs += inputs_of_raw(wanted.raw, wanted.describe, beside, ()) if wanted.raw else ()
    inputs += [Use("the doubles", wanted.doubles)] if wanted.doubles and wanted.doubles.is_file() else []
    refuse_collisions(inputs, [Use("the export", wanted.output)])
    frame = read_quietly(wanted.raw, wanted.describe) if wanted.raw else None
    frame = cropped(frame, part) if frame is not None and part else frame
    from ispdsl.export.source import SIZE, Source, with_predicted

    made = Source(graph, chosen, frame, wanted.cfa, size or SIZE, impl, wanted.trust, wanted.doubles, wanted.seed)
    made, notes = with_predicted(made)
    return made, [*(frame.notes if frame is not None else ()), *notes]


def grid_of(wanted: Wanted) -> Grid | None:
    """Where a table is sampled; None for other forms.

    Raises:
        CommandError: --lut-size or --domain is out of range.
    """
    if wanted.form is not Form.CUBE:
        return None
    from ispdsl.export.cube import POINTS, Grid
    from ispdsl.export.faults import ExportError

    low, high = 0.0, 1.0
    if wanted.domain is not None:
        words = wanted.domain.split("..")
        try:
            low, high = map(float, words)
        except ValueError:
            raise CommandError(f"--domain {wanted.domain} is no LOW..HIGH", "write for example --domain 0..4") from None
    try:
        return Grid(wanted.lut_size or POINTS, low, high, (wanted.encoding or Encoding.LINEAR).value)
    except ExportError as error:
        raise as_usage(error) from error


def exporting(source: Source, wanted: Wanted) -> dict[str, Any]:
    """Write and try; the report.

    Raises:
        CommandError: the pipeline has nothing of this form, or the file cannot be written.
        ExportError, CompileError, RunError, ExecutorError: as the forms.
    """
    from ispdsl.cli.export_report import MAKERS, file_values

    keep_pages()
    begun = time.perf_counter()
    try:
        with writing(wanted.output), redirect_stdout(sys.stderr):  # what a program prints is no result of ours
            report = MAKERS[wanted.form](source, wanted)
    except NoProgramError:
        raise
    except PlanError as error:
        raise as_usage(error) from error
    seconds = round(time.perf_counter() - begun, 3)
    return {**file_values(wanted), "pipeline": source.graph.name, **report, "seconds": seconds}
