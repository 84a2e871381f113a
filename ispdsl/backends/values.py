"""Settings and metadata as programs receive them: tensors that broadcast, and static Python values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ispdsl.errors import CompileError, RunError
from ispdsl.ir.model import Meta
from ispdsl.ir.params import Array, Choice, FileReference, Register, Slider, Table, Toggle
from ispdsl.ir.types import Type
from ispdsl.ir.units import canonical as canonical_number
from ispdsl.runtime import faces
from ispdsl.runtime.cube import CubeError, read_cube
from ispdsl.runtime.slots import PhysicalValue, Slot

Static = str | bool | int | float


def table_tensor(slot: Slot, value: PhysicalValue | None = None) -> Tensor:
    """The numbers of a table in canonical units, float64; of a ``.cube`` file ``(n, n, n, 3)``; its start by default.

    Raises:
        CompileError: the file cannot be used, or the table has no such value.
    """
    declaration, value = slot.declaration, slot.start if value is None else value
    assert isinstance(declaration, Table), "asked of tables"
    if isinstance(value, FileReference):
        try:
            return torch.from_numpy(read_cube(value.found).copy()).to(torch.float64)
        except CubeError as error:
            raise CompileError(f"{slot.address}: {error.message}", error.hint) from error
    try:
        found = faces.canonical(declaration, value if value is not None else "identity")
    except ValueError as error:
        raise CompileError(f"{slot.address}: {error}") from error
    assert isinstance(found, Array), "tables are arrays in canonical form"
    return torch.tensor(found.values, dtype=torch.float64).reshape(found.shape)


def constant(slot: Slot) -> Static:
    """The canonical start of a choice, a switch, a size or a number."""
    start = slot.start
    if slot.structural and isinstance(start, float):
        return int(start)
    if isinstance(start, float):
        return canonical_number(start, slot.unit)
    assert isinstance(start, str | bool), "everything else is a table"
    return start


def static(slot: Slot, given: Any) -> Static:
    """A choice or switch from settings, once it is known to be one.

    Raises:
        RunError: no option of the choice, no bool, or a size, which cannot change at run time.
    """
    if slot.structural:
        raise RunError(f"{slot.address} decides the size of a type", "set it in the pipeline")
    assert isinstance(slot.declaration, Choice | Toggle), "asked of static values"
    try:
        value = faces.check(slot.declaration, given)
    except ValueError as error:
        raise RunError(f"{slot.address}: {error}") from error
    assert isinstance(value, str | bool), "choices and switches"
    return value


def scalar(name: str, given: Any, like: Tensor) -> Tensor:
    """A number for each image, as ``()`` or ``(B, 1, 1, 1)``, in the dtype and on the device of `like`.

    Raises:
        RunError: another shape.
    """
    value = tensor(name, given, like)
    if value.dim() == 0 or (value.dim() == 4 and value.shape[1:] == (1, 1, 1)):
        return value
    if value.dim() == 1:
        return value.reshape(-1, 1, 1, 1)
    raise RunError(f"{name} has the shape {tuple(value.shape)}", "a number is () for all images, or (B,), one for each")


def table(slot: Slot, given: Any, like: Tensor) -> Tensor:
    """A table from settings, ``(*shape)`` or ``(B, *shape)``; a LUT may have other sizes than declared.

    Raises:
        RunError: a shape that does not broadcast.
    """
    declaration = slot.declaration
    assert isinstance(declaration, Table), "asked of tables"
    value, shape = tensor(slot.address, given, like), declaration.shape
    rank = len(shape)
    sized = declaration.kind == "lut" and value.dim() >= rank and min(value.shape[-rank:-1]) >= 2
    if sized and value.shape[-1] == shape[-1]:
        return value
    try:
        return torch.broadcast_to(value, (*value.shape[: max(value.dim() - rank, 0)], *shape))
    except RuntimeError as error:
        wanted = " x ".join(map(str, shape))
        raise RunError(
            f"{slot.address} has the shape {tuple(value.shape)}", f"it is {wanted}, or B x {wanted}"
        ) from error


def metadata(meta: Meta, given: Any, like: Tensor) -> Tensor | str:
    """A value from the frame as programs receive it: numbers as `scalar`, arrays in the shape of their type.

    Raises:
        RunError: another shape, or text where numbers are wanted.
    """
    if meta.type.name == "text":
        return str(given)
    if meta.type.name == "real":
        return scalar(meta.name, given, like)
    return shaped(meta.name, meta.type, tensor(meta.name, given, like))


def shaped(name: str, type_: Type, value: Tensor) -> Tensor:
    """An array of metadata in the shape of its type; a single number stands for all elements.

    Raises:
        RunError: another shape.
    """
    if type_.name == "grid":
        if value.dim() not in (0, 3, 4):
            raise RunError(f"{name} has the shape {tuple(value.shape)}", "a grid is planes x rows x columns")
        return value
    sizes = tuple(size for size in type_.args if isinstance(size, int))
    if value.dim() == 0:
        return value.expand(sizes)
    if tuple(value.shape[-len(sizes) :]) != sizes or value.dim() > len(sizes) + 1:
        raise RunError(f"{name} has the shape {tuple(value.shape)}", f"it is {' x '.join(map(str, sizes))}: {type_}")
    return value


def default(meta_type: Type, name: str, value: float | Array | str, like: Tensor) -> Tensor | float | str:
    """A constant of the text: numbers stay Python numbers, arrays become tensors."""
    if isinstance(value, str) or (isinstance(value, float) and meta_type.name in ("real", "grid")):
        return value
    numbers = value if isinstance(value, Array) else Array(shape=(), values=(value,))
    array = torch.tensor(numbers.values, dtype=like.dtype, device=like.device).reshape(numbers.shape)
    return shaped(name, meta_type, array)


def tensor(name: str, given: Any, like: Tensor) -> Tensor:
    """Anything numeric as a tensor of the dtype and on the device of `like`; gradients pass.

    Raises:
        RunError: it is not numeric.
    """
    if isinstance(given, Tensor):
        return given.to(like.device, like.dtype)
    if isinstance(given, Array):
        return torch.tensor(given.values, dtype=like.dtype, device=like.device).reshape(given.shape)
    try:
        return torch.as_tensor(given, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{name} is {str(given)[:40]!r}, not numbers") from error


def limited(slot: Slot, value: Tensor) -> Tensor:
    """A value from metadata inside the hard range of the slot that starts there."""
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table), "metadata starts numbers"
    if declaration.hard is None:
        return value
    low, high = (canonical_number(end, declaration.unit) for end in declaration.hard)
    return value.clamp(low, high)


def is_file(slot: Slot) -> bool:
    """Whether a table starts at the content of a file."""
    return isinstance(slot.start, FileReference)


def count(shape: tuple[int, ...]) -> int:
    """Numbers in an array of a shape."""
    return math.prod(shape)


def given_or(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """An optional mapping as a mapping."""
    return {} if values is None else values
