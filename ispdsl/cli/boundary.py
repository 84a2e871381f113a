"""The one place where errors become messages and exit codes. A traceback is shown only when ISPDSL_DEBUG is set."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import typer

from ispdsl.cli.console import Colour, complain, show
from ispdsl.diagnostics import IspError
from ispdsl.errors import UserError
from ispdsl.interrupts import Terminated
from ispdsl.render import json as json_report


class ExitCode(IntEnum):
    """How a command ended; INTERNAL (EX_SOFTWARE of sysexits.h) is a fault of ispdsl itself."""

    GOOD = 0
    DIAGNOSTICS = 1
    USAGE = 2
    UNREADABLE = 3
    EXECUTOR = 4
    OUTPUT = 5
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """A command cannot do what it was asked to: why, how to mend it, and the exit code."""

    def __init__(self, message: str, hint: str | None = None, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


def as_usage(error: UserError) -> CommandError:
    """An error whose cause is a word of the command line."""
    return CommandError(error.message, error.hint)


CODES = {
    "StageError": ExitCode.EXECUTOR,
    "FileError": ExitCode.UNREADABLE,
    "UserError": ExitCode.DIAGNOSTICS,
    "SettingsError": ExitCode.USAGE,
    "TaskError": ExitCode.USAGE,
    "LedgerError": ExitCode.USAGE,
    "RawError": ExitCode.UNREADABLE,
    "CubeError": ExitCode.UNREADABLE,
    "PictureError": ExitCode.OUTPUT,
    "UnreadablePictureError": ExitCode.UNREADABLE,
    "StoreError": ExitCode.UNREADABLE,
    "DiskError": ExitCode.OUTPUT,
    "ExecutorError": ExitCode.EXECUTOR,
    "ExportError": ExitCode.EXECUTOR,
}
"""Exit codes of the errors that other rooms raise, by name: importing the classes would import numpy."""

Arguments = ParamSpec("Arguments")


def guarded(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Wrap a command so that whatever it raises leaves as a message on stderr and an exit code."""

    @wraps(command)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:
            _hush()
        except (KeyboardInterrupt, Exception) as error:
            if os.environ.get("ISPDSL_DEBUG"):
                raise
            colour = kwargs.get("colour", Colour.AUTO)
            code = report_error(
                error, bool(kwargs.get("as_json")), colour if isinstance(colour, Colour) else Colour.AUTO
            )
            raise typer.Exit(code) from None

    return call


def report_error(error: BaseException, as_json: bool = False, colour: Colour = Colour.AUTO) -> ExitCode:
    """Say on stderr what went wrong, as a report, as JSON, or in a line with a hint, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        ended = isinstance(error, Terminated)
        kept = f": {error}; go on with --resume" if str(error) else ""
        sys.stderr.write(f"{'terminated' if ended else 'interrupted'}{kept}\n")
        return ExitCode.TERMINATED if ended else ExitCode.INTERRUPTED
    if isinstance(error, IspError):
        if as_json:
            sys.stderr.write(json_report.render(error.report))
        else:
            show(error.report, colour, sys.stderr)
        return ExitCode.DIAGNOSTICS
    message, hint, code = _explain(error)
    fault = getattr(error, "fault", None)  # of a real thing
    if as_json:
        more = {"fault": fault, "command": getattr(error, "command", ()), "status": getattr(error, "status", None)}
        sys.stderr.write(json.dumps({"error": message, "hint": hint, **(more if fault else {})}) + "\n")
    else:
        complain(message, hint, colour, str(fault or ""))
    return code


def _explain(error: BaseException) -> tuple[str, str | None, ExitCode]:
    if isinstance(error, CommandError):
        return error.message, error.hint, error.code
    kind = next((CODES[ancestor.__name__] for ancestor in type(error).__mro__ if ancestor.__name__ in CODES), None)
    if kind is not None:
        return getattr(error, "message", str(error)), getattr(error, "hint", None) or None, kind
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", None, ExitCode.OUTPUT
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("ispdsl"):
        return f"the package `{error.name}` is not installed", "`ispdsl doctor` says what is missing", ExitCode.EXECUTOR
    if isinstance(error, MemoryError):
        return "there is not enough memory", "develop a part with --crop", ExitCode.EXECUTOR
    hint = "this is a fault of ispdsl; run again with ISPDSL_DEBUG=1 and report what it shows"
    return f"{type(error).__name__}: {error}", hint, ExitCode.INTERNAL


@contextmanager
def reading(path: Path | str) -> Generator[None]:
    """Within, an OSError means that this input cannot be read."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise CommandError(message, code=ExitCode.UNREADABLE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text", "save it as UTF-8", ExitCode.UNREADABLE) from error


@contextmanager
def writing(path: Path | str) -> Generator[None]:
    """Within, an OSError means that this output cannot be written."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}", code=ExitCode.OUTPUT) from error


def _hush() -> None:
    """Nobody reads stdout any more: leave quietly, and let the flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
