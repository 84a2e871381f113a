"""What a real thing left is not believed before it has been looked at: whose file it is, and what its numbers are."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Image
from ispdsl.ir.types import INTEGER_STORAGE, Type

SLACK = 0.02
"""Seconds by which a file may seem older than the call: file systems take the time from a coarser clock."""

ROUNDING = 1e-6
"""How far a number of ``unit`` may lie beyond 0..1."""

LARGEST_F16 = 65504.0


def own_file(path: Path, folder: Path, since: float, command: Sequence[str] = ()) -> Path:
    """Make sure that a file is the result of this call.

    Args:
        path: where the result should lie.
        folder: the private folder of the call.
        since: when the call began, by `time.time`.
        command: what ran, for the error.

    Returns:
        The same path, of a regular file with something in it.

    Raises:
        ExecutorError: MISSING where there is none or an empty one; FOREIGN for a link, a file that has another name
            too, a device, or one that lies outside of the folder; STALE for one from before the call.
    """

    def refused(fault: Fault, why: str, hint: str | None = None) -> ExecutorError:
        return ExecutorError(fault, f"the result {path.name} {why}", hint, command=command)

    try:
        found = path.lstat()
    except (OSError, ValueError) as error:
        beside = _names(folder)
        hint = f"it left {beside}" if beside else "it left nothing at all; see whether it writes where it was told to"
        raise refused(Fault.MISSING, "is not there, though the program ended well", hint) from error
    home, parent = folder.resolve(), path.parent.resolve()
    if parent != home and home not in parent.parents:
        raise refused(Fault.FOREIGN, "lies outside of the folder of the call")
    if stat.S_ISLNK(found.st_mode):
        raise refused(Fault.FOREIGN, f"is a link to {path.readlink()}", "the program has to write the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise refused(Fault.FOREIGN, "is no regular file")
    if found.st_nlink > 1:
        raise refused(Fault.FOREIGN, "is a file that has another name too", "the program has to write one of its own")
    if found.st_mtime < since - SLACK:
        raise refused(Fault.STALE, f"is {since - found.st_mtime:.3g} s older than the call")
    if found.st_size == 0:
        raise refused(Fault.MISSING, "is empty")
    return path


def believed(
    image: NDArray[Any],
    type_: Type,
    shape: tuple[int, int] | None,
    what: str,
    command: Sequence[str] = (),
    *,
    bounded: bool = False,
) -> Image:
    """Make sure that an image is what was declared.

    Args:
        image: `(C, H, W)`, of real numbers.
        type_: its declared type; the storage says which numbers are legal.
        shape: height and width that it must have; None where any will do.
        what: what it is, for the error: ``output final of develop``.
        command: what ran or was asked, for the error.
        bounded: the numbers come from codes of so few bits that they cannot be illegal, and are not looked at.

    Returns:
        The same numbers in float32. Nothing is clipped or rounded.

    Raises:
        ExecutorError: SHAPE for another layout, size or kind of numbers; VALUES for numbers that are not finite, lie
            outside of the storage's range, or are no whole codes where the storage has codes.
    """

    def refused(fault: Fault, why: str, hint: str | None = None) -> ExecutorError:
        return ExecutorError(fault, f"{what} {why}", hint, command=command)

    if image.dtype.kind not in "fiu":
        raise refused(Fault.SHAPE, f"has {image.dtype} values where numbers belong")
    if image.ndim != 3 or image.shape[0] != type_.planes:
        size = " x ".join(map(str, image.shape))
        planes = f"{type_.planes} plane{'s' if type_.planes != 1 else ''}"
        raise refused(Fault.SHAPE, f"is of shape {size}, where {type_} has {planes}, rows and columns")
    if 0 in image.shape or (shape is not None and image.shape[1:] != shape):
        wanted = f"; {shape[1]} x {shape[0]} are expected" if shape else ""
        raise refused(Fault.SHAPE, f"has {image.shape[2]} x {image.shape[1]} pixels{wanted}")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused
        numbers = np.ascontiguousarray(image, dtype=np.float32)
    if bounded:
        return numbers
    least, most = float(numbers.min()), float(numbers.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        bad = int(np.count_nonzero(~np.isfinite(numbers)))
        raise refused(Fault.VALUES, f"has {bad} values of {numbers.size} that are not finite")
    storage = str(type_.args[-1])
    low, high = _range(storage)
    if least < low or most > high:
        hint = "declare f32 where the numbers are free" if storage == "unit" else f"{storage} ends at {high:g}"
        raise refused(Fault.VALUES, f"goes from {least:.9g} to {most:.9g}, beyond {storage}", hint)
    if INTEGER_STORAGE.fullmatch(storage) and image.dtype.kind == "f" and not np.array_equal(numbers, np.rint(numbers)):
        raise refused(Fault.VALUES, f"has values between the codes of {storage}", "codes are whole numbers")
    return numbers


def _range(storage: str) -> tuple[float, float]:
    """The least and the largest number that a storage holds."""
    bits = INTEGER_STORAGE.fullmatch(storage)
    if bits:
        return 0.0, 2.0 ** int(bits[1]) - 1
    if storage == "unit":
        return -ROUNDING, 1 + ROUNDING
    return (-LARGEST_F16, LARGEST_F16) if storage == "f16" else (-np.inf, np.inf)


def _names(folder: Path, most: int = 8) -> str:
    """What lies in a folder, to help with a result that was written under another name."""
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
