"""Options and arguments that several commands share, and what the shell may complete them with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.console import Colour
from ispdsl.cli.files import find_pipeline, shipped_pipelines


def complete_file(incomplete: str) -> list[str]:
    """Names of the pipelines that come with ispdsl, and the `.isp` files and folders that begin so."""
    head, _, tail = incomplete.rpartition("/")
    folder = Path(head or ("/" if incomplete.startswith("/") else "."))
    prefix = incomplete[: len(incomplete) - len(tail)]
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        entries = []
    here = [prefix + entry.name for entry in entries if entry.suffix == ".isp"]
    folders = [f"{prefix}{entry.name}/" for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return [name for name in [*shipped_pipelines(), *here, *folders] if name.startswith(incomplete)]


def complete_pipeline(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the pipelines that the file of this command line declares."""
    from ispdsl.diagnostics import Diagnostic
    from ispdsl.syntax.parser import load_source, parse

    words = [word for word in (ctx.params.get("file"), *ctx.args) if word]
    try:
        source = load_source(find_pipeline(str(words[0] if words else "")))
    except (OSError, CommandError):
        return []
    if isinstance(source, Diagnostic):
        return []
    declared = [each.name.text for each in parse(source).tree.declarations if each.kind == "pipeline"]
    return [name for name in declared if name.startswith(incomplete)]


def pairs(given: list[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """Split ``name=value`` words of an option.

    Raises:
        CommandError: a word is not of that form.
    """
    split = [(name.strip(), sign, value.strip()) for name, sign, value in (word.partition("=") for word in given or [])]
    for (name, sign, _), word in zip(split, given or [], strict=True):
        if not name or not sign:
            raise CommandError(f"{option} {word} is not of the form {form}")
    return [(name, value) for name, _, value in split]


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

ColourOption = Annotated[Colour, typer.Option("--colour", "--color", help="Colour the output (NO_COLOR is honoured).")]

PipelineFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A .isp file, or the name of a pipeline that comes with ispdsl.",
        autocompletion=complete_file,
    ),
]

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout.")
]

PipelineName = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        "-p",
        metavar="NAME",
        help="Which pipeline of the file; default: its main one.",
        autocompletion=complete_pipeline,
    ),
]

Implementations = Annotated[
    list[str] | None,
    typer.Option(
        "--impl",
        metavar="STAGE=KIND",
        help="How a stage runs: program, proxy or executor; * is every stage that can. May be repeated.",
    ),
]


DoublesOption = Annotated[
    Path | None,
    typer.Option(
        "--doubles", metavar="RUN", help="Trained doubles in the places of stages: a run, a folder of them, or a file."
    ),
]


class Backend(StrEnum):
    """What runs a pipeline: the programs of its stages, or the real thing that its executor line names."""

    COMPOSITE = "composite"
    LIBRAW = "libraw"
    DARKTABLE = "darktable"
    COMMAND = "command"
    REGISTERS = "registers"


class Engine(StrEnum):
    """What runs the programs of stages."""

    TORCH = "torch"
    HALIDE = "halide"


EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine", help="Programs by torch at once, or by Halide: seconds to compile, then fastest on large images."
    ),
]

BackendOption = Annotated[
    Backend,
    typer.Option("--backend", help="What runs it: the stages' programs, or the real thing of its executor line."),
]

AllowExec = Annotated[
    bool,
    typer.Option("--allow-exec", help="Run the programs and devices that the file names; see `ispdsl trust`."),
]

RawFile = Annotated[Path, typer.Argument(metavar="RAW", help="A raw file: DNG, any camera raw, or a described mosaic.")]

Values = Annotated[
    list[str] | None, typer.Option("--set", metavar="ADDRESS=VALUE", help="As exposure.ev=0.7. May be repeated.")
]

Presets = Annotated[
    list[Path] | None,
    typer.Option("--preset", metavar="FILE", help="Settings from a file; later ones win. May be repeated."),
]

PresetsOfStart = Annotated[
    list[Path] | None,
    typer.Option("--preset", metavar="FILE", help="Settings to begin at; later ones win. May be repeated."),
]

Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="Y,X,H,W",
        help="Only this part of a raw, in sensor pixels before turning; statistics are of the part.",
    ),
]

Border = Annotated[
    int, typer.Option("--border", min=0, metavar="N", help="Leave out N px at each side of what is compared.")
]

Describe = Annotated[
    Path | None, typer.Option("--describe", metavar="JSON", help="The description of mosaics without a header.")
]

NoSidecar = Annotated[bool, typer.Option("--no-sidecar", help="Do not read RAW.isp.json.")]

Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="PACKAGE", help="Run code of this package as well. May be repeated."),
]

TrustPackage = Annotated[
    bool, typer.Option("--trust-package", help="Run the native code of a package that you have not built yourself.")
]

SeedOfPrograms = Annotated[
    int, typer.Option("--seed", min=0, metavar="N", help="For programs that draw random numbers.")
]

SeedOfSearch = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of everything that is drawn.")]

Calls = Annotated[int, typer.Option("--calls", min=2, metavar="N", help="Of the real thing, at most.")]

PerImage = Annotated[
    list[str] | None,
    typer.Option(
        "--per-image",
        metavar="ADDRESS",
        help="Free for each raw by itself, patterns too; the rest is shared. May be repeated.",
    ),
]
