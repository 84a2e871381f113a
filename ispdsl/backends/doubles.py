"""Find the doubles of a run, folder or mapping, open those that a graph runs, and say where a query leaves their data.

A run keeps its doubles under ``doubles/VARIANT/``, and a run is named for those of its variant ``default``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends import programs
from ispdsl.backends.feeding import driven
from ispdsl.calls import Call
from ispdsl.errors import CompileError
from ispdsl.graph import Graph
from ispdsl.ir.params import Array
from ispdsl.ir.units import UNITS
from ispdsl.proxies.card import Card
from ispdsl.proxies.double import Double, load
from ispdsl.proxies.task import Knob
from ispdsl.proxies.weights import read_card
from ispdsl.runtime.slots import Slot

Doubles = str | Path | Mapping[str, str | Path | Double]
"""A run, a folder of doubles, or by address a file or a double itself."""

DEFAULT = "default"
"""The variant of a run that is meant where none is named."""

SUFFIX = ".safetensors"

NEAR = 1e-5
"""How far, relative to a range, a query may lie outside before it counts: float32 carries numbers so."""


def files(given: str | Path) -> dict[str, Path]:
    """The files of doubles by address.

    Args:
        given: a run (its variant ``default``), a folder with doubles, or one file.

    Raises:
        CompileError: there are none, one cannot be read, or has the name of another.
    """
    folder = Path(given)
    if folder.is_file():
        return {read_card(folder).task.name: folder}
    places = (folder / "doubles" / DEFAULT, folder / DEFAULT, folder)
    found = next((listed for place in places if (listed := sorted(place.glob(f"*{SUFFIX}")))), [])
    if not found:
        variants = sorted(path.parent.name for path in folder.glob(f"doubles/*/*{SUFFIX}"))
        hint = "`ispdsl train RUN` makes them"
        if variants:
            hint = f"name one of its variants: {folder / 'doubles' / variants[0]}"
        raise CompileError(f"{folder} has no doubles", hint)
    by_address: dict[str, Path] = {}
    for path in found:
        address = read_card(path).task.name
        if path.stem != address:
            hint = f"call it {address}{SUFFIX}, or name the file alone"
            raise CompileError(f"{path} is the double of {address}, and not what it is called", hint)
        by_address[address] = path
    return by_address


def cards(given: Doubles) -> dict[str, Card]:
    """The cards of doubles by address.

    Raises:
        CompileError: as `files`.
    """
    found = given if isinstance(given, Mapping) else files(given)
    return {
        address: each.card if isinstance(each, Double) else read_card(Path(each)) for address, each in found.items()
    }


def opened(given: Doubles, graph: Graph, trust: Collection[str] = ()) -> dict[str, Double]:
    """The doubles that a graph runs, with weights that no optimiser moves; a double itself stays as it is.

    Args:
        given: where they are.
        graph: with its implementations chosen.
        trust: packages whose programs a double that corrects a program may run.

    Raises:
        CompileError: a file cannot be read, or a program is not there.
    """
    found = given if isinstance(given, Mapping) else files(given)
    chosen = [call for call in graph.calls if call.implementation is not None and call.implementation.kind == "proxy"]
    return {call.address: _opened(found[call.address], call, trust) for call in chosen}


def _opened(given: str | Path | Double, call: Call, trust: Collection[str]) -> Double:
    double = given if isinstance(given, Double) else load(Path(given)).requires_grad_(requires_grad=False).eval()
    return double.bind(_program(call, trust)) if double.codec.program else double


def _program(call: Call, trust: Collection[str]) -> Any:
    """The program that a grey box corrects: the stage's own, with its CFA and colour space.

    Raises:
        CompileError: the stage has none.
    """
    own = next((item for item in call.signature.implementations if item.kind == "program"), None)
    if own is None:
        raise CompileError(f"the double of {call.address} corrects a program, and the stage has none")
    found = programs.bind(replace(call, implementation=own), trust)

    def corrected(*images: Tensor, **keywords: Any) -> Any:
        return found.function(*images, **{**{k: v for k, v in keywords.items() if k != "cfa"}, **found.layout})

    return corrected


# ---- queries outside of what was sampled ----------------------------------------------------------------------


def outside(
    graph: Graph, doubles: Mapping[str, Card], settings: Mapping[str, Any], metadata: Mapping[str, Any]
) -> list[str]:
    """Where a query leaves what the doubles were trained on, in words; there they extrapolate.

    Args:
        graph: as it runs.
        doubles: cards by address, of calls of the graph.
        settings: canonical values by address, as a composite takes them.
        metadata: canonical values of the frame.
    """
    return [
        f"the double of {address} was not trained for {what}"
        for address, card in doubles.items()
        for what in _outside(graph, graph.call(address), card, settings, metadata)
    ]


def _outside(
    graph: Graph, call: Call, card: Card, settings: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Iterator[str]:
    slots = {slot.address: slot for slot in graph.slots}
    knobs = {knob.name: knob for knob in card.task.knobs}
    for name, address in driven(graph, call):
        if address not in settings:
            continue
        value, slot = settings[address], slots[address]
        if name in knobs:
            if not inside(knobs[name], value):
                yield f"{address} {_shown(slot, value)}: it saw {_range(knobs[name], slot)}"
        elif name in card.constants and not equal(value, card.constants[name]):
            yield f"{address} {_shown(slot, value)}: it saw {_shown(slot, card.constants[name])} alone"
    for meta in call.signature.metas:
        name = call.metas[meta.name].meta
        if name is None or meta.name not in card.constants or name not in metadata:
            continue
        if not equal(metadata[name], card.constants[meta.name]):
            yield f"another {name} than the one it saw"


def inside(knob: Knob, value: Any) -> bool:
    """Whether a canonical value lies in the range that was sampled."""
    if knob.kind in ("choice", "toggle"):
        return True
    numbers, near = _numbers(value), NEAR * max(knob.high - knob.low, abs(knob.high), abs(knob.low))
    return all(knob.low - near <= number <= knob.high + near for number in numbers)


def equal(one: Any, other: Any) -> bool:
    """Whether a canonical value is the constant of a card."""
    if isinstance(other, dict):
        return True  # a table that is kept in a file: its numbers are not on the card
    if isinstance(one, str | bool) or isinstance(other, str | bool):
        return one == other
    mine, theirs = _numbers(one), _numbers(other)
    return len(mine) == len(theirs) and all(
        math.isclose(a, b, rel_tol=NEAR, abs_tol=NEAR) for a, b in zip(mine, theirs, strict=True)
    )


def _numbers(value: Any) -> list[float]:
    if isinstance(value, Array):
        return list(value.values)
    return torch.as_tensor(value, dtype=torch.float64).reshape(-1).tolist()


def _range(knob: Knob, slot: Slot) -> str:
    return f"{_shown(slot, knob.low)}..{_shown(slot, knob.high)}"


def _shown(slot: Slot, value: Any) -> str:
    """A value as the language writes it; of a table its range."""
    if isinstance(value, str | bool):
        return str(value)
    scale = UNITS[slot.unit].scale
    numbers = [number * scale.denominator / scale.numerator for number in _numbers(value)]
    ends = dict.fromkeys((min(numbers), max(numbers)))
    return "..".join(f"{number:.6g}{slot.unit}" for number in ends)
