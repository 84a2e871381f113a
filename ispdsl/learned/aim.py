"""What a network predicts: a point of 0..1 for each picture, and the settings that it stands for.

Sliders, tables and register codes are a number each (of a table, each element) within the soft range, widened to hold
where the pictures start. Codes are rounded on the way forward alone, and choices and switches are a number for each
option, of which a softmax makes weights: `ispdsl.optimise.relaxation`, here for a batch of pictures, each with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.vector import unit_to_settings
from ispdsl.errors import CompileError
from ispdsl.ir.params import Choice, Register, Toggle
from ispdsl.ir.units import UNITS
from ispdsl.optimise.free import Free, Part
from ispdsl.optimise.mixtures import Weighed
from ispdsl.optimise.relaxation import OTHER, TAKEN, straight_through
from ispdsl.optimise.space import Numbers
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector


@dataclass(frozen=True, eq=False)
class Aim:
    """Points ``(R,)`` of 0..1 and what they mean.

    Attributes:
        settings: of the pipeline; their values do not matter.
        parts: what is predicted, in order.
    """

    settings: Settings
    parts: tuple[Part, ...]

    @staticmethod
    def of(starts: Sequence[Settings], only: Iterable[str] | None = None, choices: bool = False) -> Aim:
        """All free numbers, or what is at some addresses.

        Args:
            starts: where each picture begins, resolved for it.
            only: addresses of sliders, registers, tables, choices and toggles, or patterns; None for all free numbers.
            choices: where `only` is None, choices and toggles as well.

        Raises:
            SettingsError: an address is unknown or cannot be free, a value waits for metadata, or nothing is free.
        """
        free = Free.of(starts[0], only, choices)
        values = [[start[part.slot.address] for start in starts] for part in free.parts]
        parts = (_widened(part, some) for part, some in zip(free.parts, values, strict=True))
        return Aim(starts[0], tuple(parts))

    @property
    def size(self) -> int:
        """How many numbers a point has, R."""
        return sum(map(_size, self.parts))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of what is predicted."""
        return tuple(part.slot.address for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each number: the address, of a table's element with its place, of an option with its name."""
        found: list[str] = []
        for part in self.parts:
            if chosen(part):
                found += [f"{part.slot.address}={_said(option)}" for option in options(part)]
            else:
                found += [axis.name for axis in part.axes]
        return tuple(found)

    @property
    def ranges(self) -> dict[str, list[list[float]]]:
        """Lowest and highest of each number by address, in the unit face, codes or indices: for a card."""
        return {part.slot.address: [list(part.low), list(part.high)] for part in self.parts}

    def start(self, settings: Settings) -> Tensor:
        """Where the settings of a picture lie, ``(R,)``; what lies outside goes to the edge.

        Raises:
            SettingsError: a value waits for metadata.
        """
        found = np.zeros(self.size)
        for part, there in self.places():
            value = settings[part.slot.address]
            if value is None:
                Vector(settings, "unit", (part.slot,)).to_vector(settings)  # which says that it waits, and for what
            assert value is not None, "asked above"
            place = part.place(value)
            if chosen(part):
                found[there] = OTHER
                found[there.start + round(float(place[0]) * (_size(part) - 1))] = TAKEN
            else:
                found[there] = np.clip(place, 0, 1)
        return torch.from_numpy(found)

    def canonical(self, x: Tensor, temperature: float) -> tuple[dict[str, Tensor], dict[str, Weighed]]:
        """What the composite takes for pictures, and the weights ``(B, K)`` of options, by address; gradients pass.

        Args:
            x: ``(B, R)``.
            temperature: of the weights; at 0 the largest has all.
        """
        values: dict[str, Tensor] = {}
        weights: dict[str, Weighed] = {}
        for part, there in self.places():
            if chosen(part):
                weights[part.slot.address] = Weighed(options(part), _weights(x[:, there], temperature))
            else:
                values[part.slot.address] = self._number(part, x[:, there])
        return values, weights

    def settings_at(self, x: Numbers, others: Settings) -> Settings:
        """The legal settings of a picture at a point ``(R,)``; what is not predicted as in `others`."""
        found: dict[str, PhysicalValue] = {}
        for part, there in self.places():
            place = x[there]
            if chosen(part):
                place = np.array([float(place.argmax()) / max(_size(part) - 1, 1)])
            found[part.slot.address] = part.value(np.clip(place, 0, 1))
        return others.update(found)

    def averaged(self, points: Numbers) -> Numbers:
        """One point for all of ``(M, R)``: the mean of numbers, of choices what most of them choose."""
        found = points.mean(0)
        for part, there in self.places():
            if chosen(part):
                votes = np.bincount(points[:, there].argmax(1), minlength=_size(part))
                found[there] = np.where(np.arange(len(votes)) == votes.argmax(), TAKEN, OTHER)
        return found

    def _number(self, part: Part, x: Tensor) -> Tensor:
        """The values ``(B,)`` of a number, or ``(B, *shape)`` of a table, in canonical units."""
        slot = part.slot
        low, high = (torch.tensor(end, dtype=x.dtype, device=x.device) for end in (part.low, part.high))
        if isinstance(slot.declaration, Register):
            code = low + straight_through(x, int(part.high[0] - part.low[0]) + 1) * (high - low)
            return code[:, 0] * float(slot.declaration.field.format.step * UNITS[slot.unit].scale)
        return unit_to_settings(Vector(self.settings, "unit", (slot,)), low + x * (high - low))[slot.address]

    def places(self) -> Iterator[tuple[Part, slice]]:
        """Each part, and where it lies in a point."""
        place = 0
        for part in self.parts:
            yield part, slice(place, place + _size(part))
            place += _size(part)


def with_ranges(aim: Aim, ranges: Any, where: str) -> Aim:
    """The same aim within the ranges that a card keeps.

    Raises:
        CompileError: they are none of what is predicted.
    """
    damaged = CompileError(f"{where}: the card in it is damaged: its ranges are not those of what it gives")
    if not isinstance(ranges, Mapping):
        raise damaged
    parts: list[Part] = []
    for part in aim.parts:
        try:
            low, high = (tuple(map(float, end)) for end in ranges[part.slot.address])
        except (KeyError, TypeError, ValueError):
            raise damaged from None
        least, most = _legal(part)
        fits = len(low) == len(high) == len(part.low)
        if not fits or not all(least <= a <= b <= most for a, b in zip(low, high, strict=True)):
            raise damaged
        parts.append(replace(part, low=low, high=high))
    return replace(aim, parts=tuple(parts))


def chosen(part: Part) -> bool:
    """Whether it is a choice or a switch."""
    return isinstance(part.slot.declaration, Choice | Toggle)


def options(part: Part) -> tuple[str | bool, ...]:
    """What a choice or a switch may be."""
    declaration = part.slot.declaration
    return declaration.options if isinstance(declaration, Choice) else (False, True)


def _size(part: Part) -> int:
    return len(options(part)) if chosen(part) else len(part.low)


def _said(option: str | bool) -> str:
    return option if isinstance(option, str) else "on" if option else "off"


def _widened(part: Part, values: Sequence[PhysicalValue | None]) -> Part:
    """The part with a range that holds these values too."""
    low, high = np.array(part.low), np.array(part.high)
    known = [low + part.place(value) * (high - low) for value in values if value is not None]
    least, most = np.min([low, *known], axis=0), np.max([high, *known], axis=0)
    return replace(part, low=tuple(least.tolist()), high=tuple(most.tolist()))


def _legal(part: Part) -> tuple[float, float]:
    """Lowest and highest place, code or index that there is."""
    declaration = part.slot.declaration
    if isinstance(declaration, Register):
        return faces.codes(declaration)
    return 0.0, float(len(options(part)) - 1) if chosen(part) else 1.0


def _weights(x: Tensor, temperature: float) -> Tensor:
    if temperature > 0:
        return torch.softmax(x / temperature, -1)
    return torch.nn.functional.one_hot(x.argmax(-1), x.shape[-1]).to(x)
