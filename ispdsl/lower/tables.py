"""Curves, LUTs and matrices: shapes, values, and the files that hold them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from math import prod
from pathlib import Path, PurePosixPath

from ispdsl.ir.cube import CubeError, cube_content, cube_numbers
from ispdsl.ir.params import Array, FileReference, TableValue
from ispdsl.ir.params import Table as IrTable
from ispdsl.lower.quantity import array, declared_unit, describe, inside, interval, number
from ispdsl.lower.scope import Sink, counted, meant, text_of
from ispdsl.lower.search import is_file, named_folders
from ispdsl.source import Span
from ispdsl.syntax.tree import ListValue, Name, Number, String, Table, Value

LARGEST_TABLE = 1 << 22
MOST_POINTS_READ = 65
"""Points per axis of a `.cube` file whose numbers are checked; of a larger one the head and the rows are."""
SUFFIXES = (".cube",)


@dataclass(frozen=True)
class Files:
    """Folders where a table's file may lie, in order: that of the `.isp` file, then the standard ones."""

    folders: tuple[Path, ...]
    read: dict[tuple[Path, str], FileReference | CubeError] = field(
        default_factory=dict[tuple[Path, str], "FileReference | CubeError"]
    )
    """What the files of a run hold, or what is wrong with them, by place and written name: each is read once."""


def lower_table(tree: Table, sink: Sink, files: Files) -> IrTable | None:
    """A curve, LUT or matrix; what is wrong with it is reported, and None."""
    what = f"{tree.kind} {tree.name.text}"
    shape = _shape(tree, sink)
    unit = declared_unit(tree.hard, tree.default, sink)
    hard = interval(tree.hard, unit, sink, f"the range of {what}") if tree.hard else None
    if shape is None or (tree.hard and hard is None):
        return None
    default = table_value(tree.default, tree.kind, shape, unit, sink, files, f"the default of {what}")
    if default is None:
        return None
    outside = [x for x in numbers_of(default) if hard and not inside(x, hard)]
    if outside:
        message = f"the default of {what} has values outside its range, such as {outside[0]:g}"
        related = [sink.label(tree.hard.span, "the range")] if tree.hard else []
        sink.add("E405", message, tree.default.span, related=related)
        return None
    return IrTable(
        kind=tree.kind,
        name=tree.name.text,
        unit=unit,
        shape=shape,
        hard=hard,
        default=default,
        doc=text_of(tree.doc),
        location=sink.place(tree.span),
    )


def numbers_of(value: TableValue) -> tuple[float, ...]:
    """The numbers that a table value states."""
    if isinstance(value, Array):
        return value.values
    return (value,) if isinstance(value, float) else ()


def _shape(tree: Table, sink: Sink) -> tuple[int, ...] | None:
    span = tree.shape[0].span.to(tree.shape[-1].span)
    sizes = [int(n.value) for n in tree.shape if n.is_integer and not n.unit and 1 <= n.value <= LARGEST_TABLE]
    if len(sizes) != len(tree.shape) or prod(sizes) > LARGEST_TABLE:
        sink.add(
            "E415", f"the sizes of {tree.name.text} must be whole numbers with a product of 1 to {LARGEST_TABLE}", span
        )
        return None
    rank = {"curve": 1, "matrix": 2}.get(tree.kind)
    if rank and len(sizes) != rank:
        wanted = "one size, as in curve points[16]" if rank == 1 else "two sizes, as in matrix m[3, 3]"
        sink.add("E415", f"a {tree.kind} has {wanted}", span)
        return None
    return tuple(sizes)


def table_value(
    value: Value, kind: str, shape: tuple[int, ...], unit: str, sink: Sink, files: Files, what: str
) -> TableValue | None:
    """What a table is set to: one number for all, a list that broadcasts, ``identity``, or a file.

    A matrix takes all its numbers, ``identity`` or 0: what broadcasts would make another matrix than it looks like.
    """
    match value:
        case Number() if kind == "matrix" and value.value:
            sink.add("E416", f"{what}: one number is no matrix of {_by(shape)}", value.span, hint=_whole_matrix(shape))
            return None
        case Number():
            return number(value, unit, sink, what)
        case ListValue():
            found = array(value, unit, sink, what)
            fits = found is None or (found.shape == shape if kind == "matrix" else _broadcasts(found.shape, shape))
            if found and not fits:
                message = f"{what}: a list of {_by(found.shape)} does not fit {_by(shape)}"
                sink.add("E416", message, value.span, hint=_whole_matrix(shape) if kind == "matrix" else None)
                return None
            return found
        case Name(text="identity"):
            if _has_identity(kind, shape):
                return "identity"
            sink.add("E407", f"{what}: a {kind} of this shape has no identity", value.span, hint="write its values")
            return None
        case String():
            return _file(value.text, value.span, kind, shape, sink, files)
        case Name():
            hint = meant(value.text, ["identity"], "write a number, a list, identity, or a file name in quotes")
            sink.add("E407", f"{what} cannot be {describe(value)}", value.span, hint=hint)
            return None


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _whole_matrix(shape: tuple[int, ...]) -> str:
    """How a matrix is written."""
    return (
        f"write {shape[0]} rows of {counted(shape[1], 'number')}, {'identity, ' * _has_identity('matrix', shape)}or 0"
    )


def _broadcasts(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if len(given) > len(wanted):
        return False
    return all(g in (1, w) for g, w in zip(reversed(given), reversed(wanted), strict=False))


def _has_identity(kind: str, shape: tuple[int, ...]) -> bool:
    if kind == "matrix":
        return shape[0] == shape[1]
    if kind == "curve":
        return shape[0] >= 2
    return len(shape) == 4 and shape[3] == 3 and min(shape[:3]) >= 2


def _file(name: str, span: Span, kind: str, shape: tuple[int, ...], sink: Sink, files: Files) -> FileReference | None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        sink.add(
            "E417",
            "a table's file is named relative to the .isp file, inside its folder",
            span,
            hint='such as "looks/warm.cube"',
        )
        return None
    if path.suffix.lower() not in SUFFIXES or kind != "lut" or len(shape) != 4 or shape[3] != 3:
        hint = "a 3D LUT is declared as lut table[17, 17, 17, 3]"
        sink.add(
            "E417", f"only .cube files are read, into a lut of shape [n, n, n, 3]; this is {path.name}", span, hint=hint
        )
        return None
    found = next((folder / path for folder in files.folders if is_file(folder / path)), None)
    if found is None:
        sink.add("E417", f"no file {name}", span, hint=f"looked in {named_folders(files.folders)}")
        return None
    held = files.read.get((found, name)) or _cube(found, path)
    files.read[found, name] = held
    if isinstance(held, CubeError):
        sink.add("E417", held.message, span, hint=held.hint)
        return None
    return held


def _cube(found: Path, path: PurePosixPath) -> FileReference | CubeError:
    """The reference to a table's file, once it is known to be one."""
    try:
        content = cube_content(found)
        cube_numbers(content, str(path), MOST_POINTS_READ)
    except CubeError as error:
        return error
    return FileReference(path=str(path), sha256=hashlib.sha256(content).hexdigest(), found=str(found.resolve()))
