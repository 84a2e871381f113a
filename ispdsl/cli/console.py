"""What the commands write: results on stdout, everything else on stderr, colour where it is welcome."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import TextIO

from ispdsl.diagnostics import Report
from ispdsl.render import human
from ispdsl.render.characters import clean


class Colour(StrEnum):
    """When to colour: where stdout or stderr is a terminal, always, or never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def coloured(colour: Colour, stream: TextIO) -> bool:
    """Whether to colour what goes to a stream; NO_COLOR (no-color.org) forbids it unless it was asked for by option."""
    if colour is not Colour.AUTO:
        return colour is Colour.ALWAYS
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def emit(text: str) -> None:
    """Write a result to stdout, with a line end."""
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")


def note(text: str) -> None:
    """Say something on stderr that is no result."""
    sys.stderr.write(text + "\n")


@contextmanager
def if_interrupted(text: str) -> Generator[None]:
    """Say what becomes of the work that Ctrl-C stopped."""
    try:
        yield
    except KeyboardInterrupt:
        note(text)
        raise


@contextmanager
def stoppable(text: str) -> Generator[Callable[[], bool]]:
    """Within, the first Ctrl-C is said to be heard and makes the yielded function true; the next one interrupts."""
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        signal.signal(signal.SIGINT, before)
        note(text)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGINT, before)


def show(report: Report, colour: Colour, stream: TextIO) -> None:
    """Write a report as people read it."""
    stream.write(human.render(report, coloured(colour, stream), shutil.get_terminal_size((100, 24)).columns))


def complain(message: str, hint: str | None, colour: Colour = Colour.AUTO, fault: str = "") -> None:
    """Write ``error: message`` and the hint to stderr, with the kind of a fault; both may quote untrusted names."""
    red, cyan, end = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") if coloured(colour, sys.stderr) else ("", "", "")
    first, *more = message.splitlines() or [""]
    note(f"{red}error{f'[{fault}]' if fault else ''}:{end} {clean(first)}")
    for line in more:
        note(f"  {clean(line)}")
    for line in (hint or "").splitlines():
        note(f"  {cyan}hint:{end} {clean(line)}")
