"""Cards made by hand, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ispdsl.ir.model import Footprint
from ispdsl.ir.types import Type
from ispdsl.proxies.card import Card
from ispdsl.proxies.task import Knob, Reading, Task

RGB = "rgb<camera, f32>"
DISPLAY = "rgb<srgb, unit>"
RAW = "raw<C, u16>"

EV = Knob(name="ev", address="x.ev", kind="number", low=-4, high=4)
MODE = Knob(name="mode", address="x.mode", kind="choice", options=("soft", "hard"))
HIST = Reading(name="hist", kind="statistic", shape=(64,))


def card(
    network: str,
    /,
    inputs: Sequence[str] = (RGB,),
    outputs: Sequence[str] = (RGB,),
    knobs: Sequence[Knob] = (EV, MODE),
    readings: Sequence[Reading] = (),
    constants: dict[str, Any] | None = None,
    **arguments: Any,
) -> Card:
    """A card of a stage ``x``."""
    task = Task(
        name="x",
        inputs=tuple(map(Type.parse, inputs)),
        outputs=tuple(map(Type.parse, outputs)),
        knobs=tuple(knobs),
        readings=tuple(readings),
        footprint=Footprint(kind="global"),
    )
    return Card(
        task=task,
        nodes=("x",),
        watched=(("a",), ("b",)),
        network=network,
        arguments=arguments,
        constants=constants or {},
    )
