"""darktable's command line: its version, how it is called, and what it says of the pictures that it has made.

darktable is run as a program of its own and nothing else of it is used. It exits well although it has left modules out,
so it is asked for its list of modules of every picture (``-d imageio``), and that list is what is believed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Limits
from ispdsl.executors.sandbox import empty_folder, run_program

PROGRAM = "darktable-cli"
GET_IT = "install it: apt install darktable"

KNOWN = ("4.2.1",)
"""Versions whose output and codes were verified by running them. A text may vouch for further ones."""

IMAGES, RESULTS, SUFFIX = "in", "out", ".pfm"
"""Folders of a call, and what darktable writes: floats without compression, its fastest."""

ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait sleep: spinning ones make a busy machine three times slower, and nothing faster."""

_LIST = re.compile(r" ?((?:[a-z0-9_]+ )+)\((\d+)\)")
_DONE = re.compile(r"\[export_job\] exported to `(.*)'")
_NOISE = re.compile(r"WARNING: either your user id|\[dt_imageio_export_with_flags\]\s*$|^\s*$")


@dataclass(frozen=True)
class Said:
    """What darktable said of one picture: the modules in the order in which they ran, and whatever else."""

    modules: tuple[str, ...]
    words: str


@cache
def version_of(program: str) -> str:
    """The version that a program states, ``4.2.1``.

    Raises:
        ExecutorError: `ABSENT` where there is no such program; `VERSION` where it states none.
    """
    if shutil.which(program) is None:
        raise ExecutorError(Fault.ABSENT, f"there is no {program} on PATH", GET_IT, command=(program,))
    with empty_folder() as folder:
        finished = run_program((program, "--version"), folder, Limits(seconds=60))
    match = re.search(r"darktable-cli (\d+\.\d+\.\d+\S*)", finished.output)
    if not match:
        message = f"{program} --version says {finished.output[:80]!r}, which names no version"
        raise ExecutorError(Fault.VERSION, message, GET_IT, command=finished.command)
    return match[1]


def check_version(version: str, vouched: Sequence[str]) -> None:
    """Refuse a version that nobody has verified.

    Raises:
        ExecutorError: `VERSION`.
    """
    if version not in (*KNOWN, *vouched):
        message = f"darktable {version} is not known here; known are {', '.join((*KNOWN, *vouched))}"
        hint = f'install a known one, or vouch for it: executor darktable(versions = ["{version}"])'
        raise ExecutorError(Fault.VERSION, message, hint, command=(PROGRAM, "--version"))


def command_line(configuration: Path, threads: int | None) -> tuple[str, ...]:
    """The arguments that develop every picture in `IMAGES` by the sidecar beside it.

    Nothing of the user's takes part: no presets, no library, no configuration, no automatic modules, no OpenCL. No
    profile is named for the output, so that the history's own ``colorout`` decides.
    """
    command = (PROGRAM, IMAGES, f"{RESULTS}/$(FILE_NAME){SUFFIX}", "--apply-custom-presets", "false", "--core")
    folders = ("--configdir", str(configuration), "--cachedir", str(configuration), "--tmpdir", str(configuration))
    # no module that the history does not name is switched on for raw files
    plain = ("--disable-opencl", "--library", ":memory:", "--conf", "plugins/darkroom/workflow=none", "-d", "imageio")
    return (*command, *folders, *plain, *(("-t", str(threads)) if threads else ()))


def pictures(errors: str) -> dict[str, Said]:
    """What darktable's stderr says of each finished picture, by the stem of its name."""
    found: dict[str, Said] = {}
    modules: tuple[str, ...] = ()
    words: list[str] = []
    for line in errors.splitlines():
        if done := _DONE.fullmatch(line.strip()):
            found[Path(done[1]).stem] = Said(modules, "\n".join(words))
            modules, words = (), []
        elif listed := _LIST.fullmatch(line):
            modules = tuple(listed[1].split())
            if len(modules) != int(listed[2]):
                modules = ()  # another darktable with another way to say it
        elif not _NOISE.search(line):
            words.append(line.strip())
    return found


def check_modules(said: Said | None, wanted: Sequence[str], implied: Sequence[str], version: str) -> None:
    """Hold what ran against what was wanted.

    Args:
        said: of the picture; None where darktable said nothing.
        wanted: operations in the order of the text.
        implied: operations that may stand anywhere: what brings the picture in and out.
        version: of darktable, for messages.

    Raises:
        ExecutorError: `VERSION` where a module was left out or the list is missing; `SETTINGS` where darktable's order
            is another one, or where it runs modules that the text does not have.
    """
    if said is None or not said.modules:
        message = f"darktable {version} does not say which modules it has run"
        raise ExecutorError(Fault.VERSION, message, f"use a version that does: {', '.join(KNOWN)}")
    ran = [each for each in said.modules if each not in implied]
    missing = [each for each in (*wanted, *implied) if each not in said.modules and each not in ALWAYS]
    if missing:
        message = f"darktable {version} left out {', '.join(missing)}" + (
            f"; it said:\n{said.words}" if said.words else ""
        )
        hint = f"state the version and the fields that darktable {version} has for {missing[0]}"
        raise ExecutorError(Fault.VERSION, message, hint, tail=said.words)
    extra = [each for each in ran if each not in wanted]
    if extra:
        message = f"darktable {version} also runs {', '.join(extra)}, which the text does not have"
        hint = f"add a stage for {extra[0]}; with a toggle it can be switched off"
        raise ExecutorError(Fault.SETTINGS, message, hint)
    if ran != list(wanted):
        message = f"darktable runs its modules in an order of its own, and the text has {' -> '.join(wanted)}"
        raise ExecutorError(Fault.SETTINGS, message, f"write the stages in this order: {' -> '.join(ran)}")


ALWAYS = ("finalscale", "gamma")
"""Modules at the end of darktable's list that do nothing to a picture of full size in floats."""
