"""The differentiable twin of `ispdsl.runtime.vector`: from a tensor in the unit cube to what a composite takes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.backends import values
from ispdsl.errors import RunError
from ispdsl.ir.params import Register, Slider, Table
from ispdsl.ir.units import UNITS
from ispdsl.runtime import faces
from ispdsl.runtime.slots import Slot, is_table
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector, size


def tensors(settings: Settings, dtype: torch.dtype = torch.float64) -> dict[str, Tensor | str | bool]:
    """Settings as a composite takes them: canonical tensors, names and switches, by address.

    What is fixed, and what still waits for metadata, is left out.

    Raises:
        CompileError: the file of a table cannot be used.
    """
    found: dict[str, Tensor | str | bool] = {}
    slots = {slot.address: slot for slot in settings.slots}
    for address, value in settings.canonical().items():
        slot = slots[address]
        if isinstance(value, str | bool) and slot.static:
            found[address] = value
        elif is_table(slot):
            found[address] = values.table_tensor(slot, settings[address]).to(dtype)
        else:
            found[address] = torch.tensor(value, dtype=dtype)
    return found


def unit_to_settings(vector: Vector, x: Tensor) -> dict[str, Tensor]:
    """Canonical settings at a point of the unit cube; gradients pass. The inverse of the unit face of `vector`.

    Args:
        vector: which parameters, in which order.
        x: ``(N,)`` or ``(B, N)``, the numbers of `vector.names` in 0..1.

    Returns:
        By address, numbers as ``()`` or ``(B,)`` and tables as ``(*shape)`` or ``(B, *shape)``, in canonical units.

    Raises:
        RunError: `x` has another length, or `vector` is not in the unit face.
    """
    if vector.face != "unit":
        raise RunError(f"the vector is in the {vector.face} face", "use Vector.of(settings)")
    total = sum(map(size, vector.slots))
    if x.shape[-1] != total:
        raise RunError(f"{x.shape[-1]} numbers are no vector of {total}", f"it holds {', '.join(vector.names[:8])}")
    found: dict[str, Tensor] = {}
    place = 0
    for slot in vector.slots:
        part = _physical(slot, x[..., place : place + size(slot)])
        place += size(slot)
        scale = UNITS[slot.unit].scale
        shape = slot.declaration.shape if isinstance(slot.declaration, Table) else ()
        found[slot.address] = (part * scale.numerator / scale.denominator).reshape((*x.shape[:-1], *shape))
    return found


def _physical(slot: Slot, place: Tensor) -> Tensor:
    """What `faces.number_at` gives, on tensors."""
    declaration = slot.declaration
    assert isinstance(declaration, Slider | Register | Table), "vectors hold numbers"
    low, high = declaration.hard or (-math.inf, math.inf)
    if faces.is_reciprocal((low, high), declaration.unit):
        return low * high / (high - place * (high - low))
    return low + place * (high - low)
