"""Weights of networks in files: safetensors, never pickle, and nothing of a file is trusted before it is checked."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from ispdsl.errors import RunError

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Name and shape of every tensor that a network needs."""

Arrays = Mapping[str, NDArray[Any]]

HEADER_ROOM = 1 << 20
"""Bytes that the header may take beside the tensors."""


def read_weights(path: str, shapes: Shapes) -> Arrays:
    """The tensors of a safetensors file, which has to hold exactly those of `shapes`, every number finite.

    A relative path starts at the current folder. The file is read once, and again when its time or size changes.

    Raises:
        RunError: there is no such file, or it is not what it should be; says where and how to mend it.
    """
    file = Path(path).absolute()
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        raise RunError(f"weights {path}: cannot be read: {_reason(error)}", _where(file)) from None
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"weights {path}: no regular file", _where(file))
    return _read(str(file), path, status.st_mtime_ns, status.st_size, shapes)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _where(file: Path) -> str:
    return f"name a safetensors file; a relative path starts at the current folder: {file}"


@lru_cache(maxsize=8)
def _read(file: str, shown: str, changed: int, size: int, shapes: Shapes) -> Arrays:
    """The arrays; `changed` and `size` are there for the cache to tell an old file from a new one."""
    largest = 8 * sum(int(np.prod(shape)) for _, shape in shapes) + HEADER_ROOM
    if size > largest:
        raise RunError(f"weights {shown}: {size} bytes, where this network takes no more than {largest}")
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise RunError(f"weights {shown}: cannot be read: {_reason(error)}") from None
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"weights {shown}: no whole safetensors file: {error}", "convert or copy it again") from None
    check_weights(arrays, shapes, shown)
    return arrays


def check_weights(arrays: Arrays, shapes: Shapes, shown: str) -> None:
    """Hold arrays to what a network needs; `shown` is what errors call the file.

    Raises:
        RunError: a tensor is missing, unknown, of another shape, no float, or not finite.
    """
    wanted = dict(shapes)
    for what, names in (("has no", wanted.keys() - arrays.keys()), ("has an unknown", arrays.keys() - wanted.keys())):
        if names:
            raise RunError(f"weights {shown}: the file {what} tensor {min(names)!r}", "it is not for this network")
    for name, array in arrays.items():
        if array.shape != wanted[name]:
            raise RunError(f"weights {shown}: {name} has the shape {array.shape}, not {wanted[name]}")
        if array.dtype.kind != "f":
            raise RunError(f"weights {shown}: {name} is of {array.dtype}", "store float32")
        if not np.isfinite(array).all():
            raise RunError(f"weights {shown}: {name} has values that are not finite", "convert or copy it again")
