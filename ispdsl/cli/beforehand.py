"""What is found out before the work: whether options go together, code may run, and results can be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError, ExitCode, writing
from ispdsl.cli.files import check_place
from ispdsl.cli.options import Backend, Engine

if TYPE_CHECKING:
    from ispdsl.graph import Graph


def check_engine(engine: Engine, backend: Backend, tile: int | None, taps: Path | None) -> None:
    """Refuse what goes not together with Halide.

    Raises:
        CommandError: a real thing, tiles or taps are asked for as well.
    """
    if engine is not Engine.HALIDE:
        return
    if backend is not Backend.COMPOSITE:
        raise CommandError(f"--engine halide runs programs, and {backend.value} runs none", "leave one of the two out")
    if tile is not None:
        raise CommandError("--engine halide cuts images into strips of its own", "leave --tile out")
    if taps is not None:
        raise CommandError("--engine halide keeps nothing that a tap could see", "leave --taps or --engine out")


def check_doubles(doubles: Path | None, *backends: Backend) -> None:
    """Refuse doubles where no programs run, into whose places they could step.

    Raises:
        CommandError: a real thing runs all of it.
    """
    if doubles is not None and Backend.COMPOSITE not in backends:
        message = f"--doubles takes the places of programs, and {backends[0].value} runs none"
        raise CommandError(message, "leave --backend out")


def check_trust(packages: Iterable[str]) -> None:
    """Find out before the work whether the packages to trust are there.

    Raises:
        CommandError: one is not.
    """
    from importlib.util import find_spec

    for package in packages:
        if not package.isidentifier() or find_spec(package) is None:
            raise CommandError(f"--trust {package}: there is no such package", "name an installed top-level package")


def check_permission(graph: Graph, backend: Backend, allow_exec: bool) -> None:
    """Find out before the work whether the backend fits the pipeline, and may run what the text names.

    Raises:
        CommandError: the pipeline has no such executor.
        ExecutorError: nobody has allowed it.
    """
    from ispdsl.backends.blackbox import check_backend, declared
    from ispdsl.errors import PlanError
    from ispdsl.executors.trust import check_allowed

    if backend is Backend.COMPOSITE:
        return
    try:
        check_backend(graph, backend.value)
    except PlanError as error:
        raise CommandError(f"--backend {backend.value}: {error.message}", error.hint) from error
    check_allowed(declared(graph), allow_exec)


def check_output(output: Path, bits: int | None, taps: Path | None = None) -> None:
    """Find out before the work whether its result could be written.

    Raises:
        CommandError: the format is unknown or lacks these bits, or there is no such folder.
    """
    from ispdsl.runtime.pictures import PictureError, format_of

    try:
        form = format_of(output)
    except PictureError as error:
        raise CommandError(error.message, error.hint) from error
    if bits is not None and bits not in form.bits:
        raise CommandError(
            f"{output.suffix} holds no {bits} bits a sample", f"it holds {', '.join(map(str, form.bits))}"
        )
    check_place(output)
    if taps is not None and taps.exists() and not taps.is_dir():
        raise CommandError(f"cannot write taps into {taps}: it is no folder", "name a folder", ExitCode.OUTPUT)


def check_folder(folder: Path) -> None:
    """Make the folder of results.

    Raises:
        CommandError: it is a file, or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is no folder", "name a folder", ExitCode.OUTPUT)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
