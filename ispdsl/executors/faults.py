"""What can go wrong with a real thing. Nothing that it does may end in anything but an `ExecutorError`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from ispdsl.errors import UserError


class Fault(StrEnum):
    """The kinds of faults of programs and devices."""

    DENIED = "denied"
    """The text names a program or device, and nobody has allowed it."""
    ABSENT = "absent"
    """The program, library, device or port is not there."""
    VERSION = "version"
    """It is of a version that is not known, or skips what it is asked for."""
    SETTINGS = "settings"
    """The settings cannot be told to it: a value that it has no code for, a parameter that it does not have."""
    HANG = "hang"
    """It was not done within the time limit."""
    CRASH = "crash"
    """It ended by a signal or with a status other than 0."""
    MEMORY = "memory"
    """It took more memory than allowed."""
    FLOOD = "flood"
    """It wrote more than allowed."""
    MISSING = "missing"
    """It ended well and left no result."""
    FOREIGN = "foreign"
    """The result is no regular file of its own: a link, a device, somebody else's."""
    STALE = "stale"
    """The result is older than the call: of a frame before, or a file that lay there."""
    GARBAGE = "garbage"
    """The result cannot be read as what it should be."""
    SHAPE = "shape"
    """The result has another size, number of planes or number type than declared."""
    VALUES = "values"
    """Numbers of the result are not finite, or outside the range of its type."""
    READBACK = "readback"
    """A register reads other than what was written."""
    LINK = "link"
    """The connection to a device broke or was refused."""


class ExecutorError(UserError):
    """A call of a real thing failed.

    Attributes:
        fault: which kind.
        command: the argument list that ran, or what was asked of a device; empty where nothing ran.
        status: exit status, negative for a signal; None where nothing ended by itself.
        tail: the last lines that it wrote to stderr.
    """

    def __init__(
        self,
        fault: Fault,
        message: str,
        hint: str | None = None,
        *,
        command: Sequence[str] = (),
        status: int | None = None,
        tail: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.fault = fault
        self.command = tuple(command)
        self.status = status
        self.tail = tail

    def __reduce__(self) -> tuple[object, ...]:
        # an exception with keywords does not survive pickling by itself, and workers send theirs home
        return _remade, (self.fault, self.message, self.hint, self.command, self.status, self.tail)


def _remade(
    fault: Fault, message: str, hint: str | None, command: Sequence[str], status: int | None, tail: str
) -> ExecutorError:
    return ExecutorError(fault, message, hint, command=command, status=status, tail=tail)
