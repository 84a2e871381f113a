"""Settings and metadata as programs receive them: tensors that broadcast, and static Python values."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ispdsl.errors import CompileError, RunError
from ispdsl.ir.model import Meta
from ispdsl.ir.params import Array, Choice, FileReference, Register, Slider, Table, Toggle
from ispdsl.ir.types import Type
from ispdsl.ir.units import UNITS
from ispdsl.ir.units import canonical as canonical_number
from ispdsl.runtime import faces, reading
from ispdsl.runtime.cube import CubeError, read_cube
from ispdsl.runtime.slots import PhysicalValue, Slot, is_table
from ispdsl.runtime.values import legal

Static = str | bool | int | float

RANKS = {"real": 0, "vector": 1, "matrix": 2, "grid": 3, "text": 0}
"""Axes of a value of metadata, without those of a batch."""


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
        value = reading.read(slot.declaration, given)
    except ValueError as error:
        raise RunError(f"{slot.address}: {error}", legal(slot)) from error
    assert isinstance(value, str | bool), "choices and switches"
    return value


def setting(slot: Slot, given: Any, like: Tensor, checked: bool = False) -> Tensor | Static:
    """A value from settings as programs receive it.

    Tensors pass as they are, unless `checked`, so that they can be traced. Everything else is held to the hard range:
    text is read as the language has it (``0.5ev``, ``50%``, ``on``), numbers and arrays are canonical.

    Raises:
        RunError: wrong kind, unit or shape; not finite, or out of the hard range.
    """
    if slot.static:
        return static(slot, given)
    if isinstance(given, str):
        given = _read(slot, given)
    if is_table(slot):
        value = table(slot, given, like)
    else:
        if isinstance(given, bool):
            raise RunError(f"{slot.address}: {given} is no number", legal(slot))
        value = scalar(slot.address, given, like)
    if checked or not isinstance(given, Tensor):
        exact = given if isinstance(given, Tensor) else tensor(slot.address, given, like.new_empty(0).double())
        _check_range(slot, exact)
    return value


def _read(slot: Slot, text: str) -> float | Array:
    """Text as the language has it, in canonical units."""
    try:
        found = faces.canonical(slot.declaration, reading.read(slot.declaration, text))
    except ValueError as error:
        raise RunError(f"{slot.address}: {error}", legal(slot)) from error
    assert isinstance(found, float | Array), "no static value, and no file without a folder"
    return found


def _check_range(slot: Slot, value: Tensor) -> None:
    """Hold canonical numbers to what is finite and inside the hard range."""
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table), "asked of numbers"
    low, high = (canonical_number(end, declaration.unit) for end in declaration.hard or (-math.inf, math.inf))
    bounds = torch.tensor([low, high], dtype=value.dtype, device=value.device)
    wrong = value[~(value.isfinite() & (value >= bounds[0]) & (value <= bounds[1]))]
    if not wrong.numel():
        return
    number = float(wrong.flatten()[0])
    if not math.isfinite(number):
        raise RunError(f"{slot.address}: {number} is not finite", legal(slot))
    scale = UNITS[declaration.unit].scale
    declared = f"{number * scale.denominator / scale.numerator:g}{declaration.unit}"
    raise RunError(f"{slot.address}: {declared} is outside the range", legal(slot))


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
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise RunError(f"{name} is {str(given)[:40]!r}, not numbers") from error


def limited(slot: Slot, given: Any, like: Tensor) -> Tensor:
    """A value from metadata as programs receive it, inside the hard range of the slot that starts there.

    Raises:
        RunError: no numbers, or another shape.
    """
    value = table(slot, given, like) if is_table(slot) else scalar(slot.address, given, like)
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table), "metadata starts numbers"
    if declaration.hard is None:
        return value
    low, high = (canonical_number(end, declaration.unit) for end in declaration.hard)
    return value.clamp(low, high)


# ---- batches ------------------------------------------------------------------------------------------------


def rank(slot: Slot) -> int:
    """Axes of a parameter's value, without that of a batch."""
    return len(slot.declaration.shape) if isinstance(slot.declaration, Table) else 0


def batch(axes: int, value: Any) -> int | None:
    """How many images a value is for, when it is for several; `axes` is its rank without them."""
    return value.shape[0] if isinstance(value, Tensor) and value.dim() > axes else None


def has_tangent(value: Any) -> bool:
    """Whether forward-mode differentiation goes through a value."""
    return isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None


def for_each(slot: Slot, value: Any, size: int) -> Any:
    """A value that is for all images repeated for each of `size`."""
    axes = rank(slot)
    if not isinstance(value, Tensor) or value.dim() > axes:
        return value
    return value.expand(size, *value.shape) if axes else value.expand(size).reshape(size, 1, 1, 1)
