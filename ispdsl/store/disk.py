"""Files that are there whole or not at all, also after the power went: write, sync, rename, sync the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ispdsl.store.errors import DiskError, StoreError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full: your quota is used up",
    errno.EFBIG: "the disk is full: no file may be this large (`ulimit -f` says how large)",
    errno.EROFS: "the disk is full or protected: nothing can be written to this file system",
}
"""What the system says when there is no room, in words."""

MAKE_ROOM = "make room or take another disk, then go on with `ispdsl runs resume`: what was acknowledged is kept"


@contextmanager
def writing(place: Path) -> Generator[None]:
    """Within, an OSError is a `DiskError` that says where and why."""
    try:
        yield
    except OSError as error:
        why = FULL.get(error.errno or 0)
        if why is None:
            raise DiskError(f"cannot write {place}: {error.strerror or error}") from error
        raise DiskError(f"cannot write {place}: {why}", MAKE_ROOM) from error


def write_durably(target: Path, data: bytes, drafts: Path | None = None) -> None:
    """Write a file so that it is there whole, and stays after a power cut, or is not there at all.

    Args:
        target: the file; an old one of this name is replaced.
        data: its content.
        drafts: folder of the same file system for what is not whole yet; default: the folder of the file.

    Raises:
        DiskError: it cannot be written; the old file, if any, is untouched.
    """
    install(write_draft(drafts or target.parent, [memoryview(data)], target), target)


def write_draft(folder: Path, pieces: Iterable[memoryview], place: Path) -> Path:
    """Write what is not whole yet, and sync it; `install` makes it a file.

    Args:
        folder: of drafts.
        pieces: the content, bytes in one row each. The next is asked for when the one before is written, so that what
            hashes or makes them meets them in the cache of the processor.
        place: what the content is for, for messages.

    Raises:
        DiskError: it cannot be written; nothing is left.
    """
    draft = folder / f".{secrets.token_hex(8)}.tmp"
    with writing(place), removed_on_failure(draft):
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            for rest in pieces:
                while rest:
                    rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    return draft


def install(draft: Path, target: Path) -> None:
    """Give a draft its name, so that it stays after a power cut; an old file of this name is replaced.

    Raises:
        DiskError: that cannot be done; the draft is gone, the old file, if any, is untouched.
    """
    with writing(target):
        with removed_on_failure(draft):
            draft.replace(target)
        sync_folder(target.parent)


@contextmanager
def removed_on_failure(draft: Path) -> Generator[None]:
    """Within, whatever goes wrong takes the draft with it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder that stays after a power cut; nothing happens where it is there.

    Raises:
        DiskError: it cannot be made.
    """
    if folder.is_dir():
        return
    with writing(folder):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder stay after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_regular(path: Path, largest: int) -> bytes:
    """The content of a file of a run. Links, devices and pipes are not followed.

    Raises:
        StoreError: it is missing, no regular file, or larger than `largest` bytes.
    """
    with regular(path, largest) as stream:
        return stream.read(largest + 1)


@contextmanager
def regular(path: Path, largest: int) -> Generator[BinaryIO]:
    """A file of a run, open to be read. Links, devices and pipes are not followed.

    Raises:
        StoreError: it is missing, no regular file, or larger than `largest` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{path} is no regular file")
            if found.st_size > largest:
                raise StoreError(f"{path} has {found.st_size} bytes, more than the {largest} that it may have")
            yield stream
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise StoreError(f"cannot read {path}: {why}") from error
