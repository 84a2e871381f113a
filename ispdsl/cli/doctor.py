"""`ispdsl doctor` and `ispdsl version`: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from ispdsl.cli.boundary import ExitCode, guarded
from ispdsl.cli.console import Colour, coloured, emit
from ispdsl.cli.files import PACKAGE, shipped
from ispdsl.cli.options import ColourOption, Json
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.executors.kinds import Found

State = Literal["good", "missing", "absent"]
PACKAGES = (
    "torch",
    "kornia",
    "rawpy",
    "tifffile",
    "numpy",
    "scikit-image",
    "pillow",
    "networkx",
    "pydantic",
    "lark",
    "typer",
    "rich",
)
MARKS = {"good": ("ok", "32"), "missing": ("MISSING", "1;31"), "absent": ("-", "33")}
GIB = 2**30
PATIENCE = 6.0
"""Seconds that a real thing has to say what it is: programs that hang are a finding and nothing more."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. `missing` things are needed, `absent` ones are optional."""

    name: str
    state: State
    value: str
    advice: str | None = None


def ispdsl_version() -> str:
    """The version of the installed distribution."""
    from importlib import metadata

    try:
        return metadata.version("ispdsl")
    except metadata.PackageNotFoundError:
        return "0+uninstalled"


@guarded
def version(as_json: Json = False) -> None:
    """Say which version this is."""
    emit(json.dumps({"ispdsl": ispdsl_version()}) if as_json else f"ispdsl {ispdsl_version()}")


@guarded
def doctor(as_json: Json = False, colour: ColourOption = Colour.AUTO) -> None:
    """Say what this machine has, and what it lacks."""
    findings = list(examine())
    if as_json:
        emit(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        paint = coloured(colour, sys.stdout)
        for finding in findings:
            emit(_line(finding, paint))
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(ExitCode.DIAGNOSTICS)


def examine() -> Iterator[Finding]:
    """Everything that ispdsl builds on, one finding each, and the real things that are behind pipelines."""
    real_things = ask_families()  # they answer while torch is loaded
    yield Finding("ispdsl", "good", f"{ispdsl_version()} in {PACKAGE}")
    yield Finding("python", "good", f"{platform.python_version()} in {sys.prefix}")
    yield from (_package(name) for name in PACKAGES)
    yield _attempt("LibRaw", _libraw, "reinstall rawpy: pip install --force-reinstall rawpy")
    yield Finding("cores", "good", f"{_cores()} of {os.cpu_count()}")
    yield _memory()
    yield _attempt("accelerator", _accelerator, "reinstall torch: pip install --force-reinstall torch")
    yield _compiler()
    for folder in ("stdlib", "pipelines"):
        yield _shipped(folder)
    yield from real_things()


def _package(name: str) -> Finding:
    from importlib import metadata

    try:
        return Finding(name, "good", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "missing", "not installed", f"pip install {name}, or install ispdsl anew")


def _attempt(name: str, find: Callable[[], str], advice: str) -> Finding:
    """What a library says of itself; a library that cannot even be imported is missing."""
    try:
        return Finding(name, "good", find())
    except (ImportError, OSError) as error:
        return Finding(name, "missing", f"cannot be loaded: {error}", advice)


def _libraw() -> str:
    import rawpy

    return ".".join(map(str, rawpy.libraw_version))


def _accelerator() -> str:
    import torch

    if torch.cuda.is_available():
        return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "Metal"
    return "none; torch computes on the CPU"


def _compiler() -> Finding:
    """The C++ compiler that torch's inductor starts, which only `ispdsl build` and `ispdsl.inductor` need."""
    name = os.environ.get("CXX", "g++")
    found = shutil.which(name)
    advice = "for ispdsl build: apt-get install g++, or name yours in CXX"
    return Finding("C++", "good", found) if found else Finding("C++", "absent", f"no {name} in PATH", advice)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> Finding:
    """Physical memory, or the limit of the control group where that is lower (cgroup v2, `memory.max`)."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = Path("/sys/fs/cgroup/memory.max")
        words = limit.read_text().strip() if limit.is_file() else "max"
    except (OSError, ValueError):
        return Finding("memory", "absent", "unknown")
    size = min(size, int(words)) if words.isdigit() else size
    advice = "large raws need about 4 GiB; use --crop to develop a part of one" if size < 4 * GIB else None
    return Finding("memory", "good", f"{size / GIB:.1f} GiB", advice)


def _shipped(folder: str) -> Finding:
    path = shipped(folder)
    count = len(list(path.rglob("*.isp")))
    if count:
        return Finding(folder, "good", f"{count} files in {path}")
    return Finding(
        folder, "missing", f"no .isp files in {path}", "install ispdsl anew: pip install --force-reinstall ispdsl"
    )


def ask_families(families: Mapping[str, str] | None = None, patience: float = PATIENCE) -> Callable[[], list[Finding]]:
    """Ask every family of executors, in the background, which real things are here.

    Args:
        families: module of each kind; by default those that there are.
        patience: seconds after which no family is waited for any more.

    Returns:
        A function that waits and gives the findings in order. A family that is broken or silent is a finding as well.
    """
    from ispdsl.executors.kinds import FAMILIES

    modules = dict.fromkeys((families or FAMILIES).values())
    answers: dict[str, list[Finding]] = {}

    def ask(module: str) -> None:
        try:
            family: Any = importlib.import_module(module)
            answers[module] = [_real(found) for found in family.findings()]
        except Exception as error:  # whatever a family or its library raises, the others are still to be shown
            answers[module] = [_unknown(module, f"{type(error).__name__}: {error}")]

    threads = [threading.Thread(target=ask, args=(module,), daemon=True) for module in modules]
    for thread in threads:
        thread.start()
    until = time.monotonic() + patience

    def collect() -> list[Finding]:
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        silent = f"gave no answer within {patience:g} s"
        return [finding for module in modules for finding in answers.get(module, [_unknown(module, silent)])]

    return collect


def _real(found: Found) -> Finding:
    """A real thing is optional: without it only the pipelines that it runs are out of reach."""
    return Finding(found.name, "good" if found.here else "absent", found.value, found.advice)


def _unknown(module: str, why: str) -> Finding:
    advice = "pipelines that it runs are out of reach; install ispdsl anew: pip install --force-reinstall ispdsl"
    return Finding(module.rpartition(".")[2], "absent", why, advice)


def _line(finding: Finding, paint: bool) -> str:
    word, style = MARKS[finding.state]
    mark = f"{word:>7}"
    mark = f"\x1b[{style}m{mark}\x1b[0m" if paint else mark
    text = f"{mark}  {finding.name:<16} {clean(finding.value)}"
    return f"{text}\n{'':>9}{'':<16} {clean(finding.advice)}" if finding.advice else text
