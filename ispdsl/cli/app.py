"""The application: every command by name, and the entry point. Only the commands that a line names are imported."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ispdsl.cli.console import emit
from ispdsl.cli.memory import no_collection
from ispdsl.interrupts import terminated

ARGUMENT = re.compile(r"^(  [^-\s][^<\n]*?) (<[\w\[\]]+>) *", re.MULTILINE)
"""An argument in a help page, with the Python type that typer puts behind its name."""

COMMANDS = {
    "check": "check:check",
    "fmt": "format:fmt",
    "tree": "show:tree",
    "ir": "show:ir",
    "graph": "show:graph",
    "plan": "show:plan",
    "explain": "explain:explain",
    "stages": "stages:stages",
    "verify": "verify:verify",
    "trust": "trust:trust",
    "run": "run:run",
    "sweep": "sweep:sweep",
    "chart": "chart:chart",
    "sample": "sample:sample",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "bench": "bench:bench",
    "compare": "compare:compare",
    "regress": "regress:regress",
    "tune": "tune:tune",
    "joint": "joint:joint",
    "distil": "distil:distil",
    "attack": "attack:attack",
    "compile": "compile:compile",
    "build": "build:build",
    "export": "export:export",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
    "version": "doctor:version",
}
"""Commands: the module of `ispdsl.cli` and the function behind each."""

GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "runs": (
        "What was sampled: run directories.",
        {name: f"runs:{name}" for name in ("ls", "show", "resume", "gc", "export")},
    ),
    "predict": (
        "A network that gives every raw its own settings.",
        {"train": "predict:train", "run": "predict:run"},
    ),
    "frontend": ("Networks in the place of a demosaic.", {"train": "frontend:train"}),
    "style": (
        "Raws finished in the style of other pictures.",
        {"train": "style:train", "run": "style:run", "fit": "style:fit"},
    ),
}
"""Groups of commands: what they are for, and their commands."""


class Command(TyperCommand):
    """A command whose help calls arguments by their names alone."""

    def get_help(self, ctx: Any) -> str:
        """The help page."""
        return ARGUMENT.sub(lambda match: match[1].ljust(len(match[0])), super().get_help(ctx))


def _say_version(wanted: bool) -> None:
    if wanted:
        from ispdsl.cli.doctor import ispdsl_version

        emit(f"ispdsl {ispdsl_version()}")
        raise typer.Exit


def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """A language for camera image signal processors, and its compiler."""


def application(name: str | None = None) -> typer.Typer:
    """The application with the command or group of a name alone, where there is one; else with all of them."""
    made = typer.Typer(
        name="ispdsl",
        help="A language for camera image signal processors, and its compiler.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    alone = name in COMMANDS or name in GROUPS
    _add(made, {each: place for each, place in COMMANDS.items() if not alone or each == name})
    for each, (purpose, commands) in GROUPS.items():
        if not alone or each == name:
            group = typer.Typer(name=each, help=purpose, no_args_is_help=True)
            _add(group, commands)
            made.add_typer(group)
    made.callback(
        epilog="Exit codes: 0 good, 1 diagnostics, 2 usage, 3 unreadable input, 4 a stage or executor failed, "
        "5 output cannot be written, 70 a fault of ispdsl, 130 interrupted."
    )(options)
    return made


def _add(to: typer.Typer, commands: Mapping[str, str]) -> None:
    for name, place in commands.items():
        module, _, function = place.partition(":")
        command: Callable[..., Any] = getattr(import_module(f"ispdsl.cli.{module}"), function)
        to.command(name, cls=Command)(command)


def __getattr__(name: str) -> Any:
    """`app`, the application with all its commands, for whoever asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = made = application()
    return made


def main() -> None:
    """Run the command line; exits with a code of `ispdsl.cli.boundary.ExitCode`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminated)
    with no_collection():
        made = application(sys.argv[1] if len(sys.argv) > 1 else None)
    made()
