"""Read and write 3D lookup tables in the Cube LUT format (Adobe, *Cube LUT Specification*, version 1.0, 2013)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.cube import CubeError, cube_content, cube_numbers

__all__ = ["CubeError", "format_cube", "parse_cube", "read_cube"]


def read_cube(path: Path | str) -> NDArray[np.float64]:
    """The table of a ``.cube`` file as ``(n, n, n, 3)``, indexed ``[red][green][blue]``, n in 2..129.

    Raises:
        CubeError: the file cannot be read, breaks the format, is one-dimensional, or has another domain than 0..1.
    """
    path = Path(path)
    return _table(*cube_numbers(cube_content(path), path.name))


def parse_cube(text: str, name: str) -> NDArray[np.float64]:
    """The table of a ``.cube`` file's `text`; `name` is what errors call the file. See `read_cube`."""
    return _table(*cube_numbers(text, name))


def _table(size: int, numbers: list[float]) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.array(numbers).reshape(size, size, size, 3).transpose(2, 1, 0, 3))


def format_cube(table: NDArray[np.floating], title: str, comments: Iterable[str] = ()) -> str:
    """The text of a ``.cube`` file for a table ``(n, n, n, 3)`` indexed ``[red][green][blue]``, to six digits."""
    rows = np.asarray(table).transpose(2, 1, 0, 3).reshape(-1, 3)
    head = [f"# {comment}" for comment in comments] + [f'TITLE "{title}"', f"LUT_3D_SIZE {table.shape[0]}"]
    return "\n".join([*head, *(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in rows)]) + "\n"
