"""The file of a predictor: written with a card, and opened for a pipeline that it has to fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ispdsl.errors import CompileError
from ispdsl.graph import Graph
from ispdsl.learned import weights
from ispdsl.learned.aim import Aim, with_ranges
from ispdsl.learned.card import Card
from ispdsl.learned.predictor import Predictor, checked
from ispdsl.passes.inline import inline
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.slots import Slot
from ispdsl.runtime.values import Settings, SettingsError

AGAIN = "train it again: `ispdsl predict train`"


@dataclass(frozen=True, eq=False)
class Opened:
    """A predictor that fits a pipeline.

    Attributes:
        network: ready to be used.
        aim: what its numbers mean.
        card: of the file.
    """

    network: Predictor
    aim: Aim
    card: Card

    def begun(self, settings: Settings) -> Settings:
        """Settings where the training began: its own for what it predicts, unless they set that themselves."""
        starts: Mapping[str, Any] = self.card.training.get("starts", {})
        return Sidecar({a: v for a, v in starts.items() if a not in settings.changed}).apply(settings)


def identity(graph: Graph) -> str:
    """A hash of what a pipeline computes: its calls and its address table.

    Comments, the order of lines, names of files and a `predictor` line do not matter, unlike to `Graph.sha256`.
    """
    flat = inline(graph)
    calls = [
        {
            "node": call.address,
            "stage": call.signature.name,
            "runs": [(each.kind, each.target, _plain(each.arguments)) for each in call.signature.implementations],
            "images": {name: str(value) for name, value in call.inputs.items()},
            "needs": {name: str(value) for name, value in call.needs.items()},
            "parameters": dict(call.parameters),
            "metas": {name: repr((given.slot, given.meta, given.value)) for name, given in call.metas.items()},
            "previous": call.previous,
        }
        for call in flat.calls
    ]
    results = {name: str(value) for name, value in flat.results.items()}
    known = {"calls": calls, "slots": [_slot(slot) for slot in flat.slots], "results": results}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def save(
    path: Path,
    network: Predictor,
    aim: Aim,
    graph: Graph,
    settings: Settings,
    *,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    scores: Mapping[str, float],
) -> Card:
    """Write a predictor with its card, which is returned.

    Args:
        path: of the file.
        network: trained.
        aim: what it gives.
        graph: the pipeline that it was trained through.
        settings: what else was set while it was trained; what starts at metadata stays open.
        data: of the card.
        training: of the card.
        scores: of the card.

    Raises:
        CompileError: the file cannot be written.
    """
    starts = {a: text for a, text in Sidecar.of(settings).settings.items() if a in aim.addresses}
    known = {"identity": identity(graph), "ranges": aim.ranges, "starts": starts, **training}
    card = Card(
        kind="predictor",
        arguments=network.arguments,
        pipeline=graph.name,
        pipeline_sha256=graph.sha256,
        addresses=aim.addresses,
        held={address: text for address, text in held_of(settings).items() if address not in aim.addresses},
        data=dict(data),
        training=known,
        scores=dict(scores),
    )
    weights.write(path, network, card)
    return card


def open_predictor(path: Path, graph: Graph) -> Opened:
    """A predictor for a pipeline.

    Raises:
        CompileError: the file is missing, damaged, no predictor, of another pipeline, or gives what there is not.
    """
    card = weights.read_card(path, "predictor")
    if card.pipeline != graph.name or card.training.get("identity") != identity(graph):
        other = card.pipeline if card.pipeline != graph.name else f"another version of {graph.name}"
        raise CompileError(f"{path} was trained through {other}, not through this {graph.name}", AGAIN)
    settings = Settings.of(graph)
    try:
        aim = _aim(settings, card)
    except SettingsError as error:
        raise CompileError(f"{path}: {error.message}", AGAIN) from error
    aim = with_ranges(aim, card.training.get("ranges"), str(path))
    arguments = checked(card.arguments)
    if arguments["count"] != aim.size or set(arguments) != set(Predictor(1).arguments):
        raise CompileError(f"{path}: its card names {aim.size} numbers, its network gives {arguments['count']}", AGAIN)
    network = Predictor(**arguments)
    weights.load(path, network, "predictor")
    found = Opened(network, aim, card)
    try:
        found.begun(settings)
    except (SettingsError, AttributeError, TypeError) as error:
        raise CompileError(f"{path}: the card in it is damaged: its starts are no settings of {graph.name}") from error
    return found


def departures(card: Card, settings: Settings) -> list[str]:
    """Settings that are not what they were while a predictor was trained, as sentences for people."""
    now = held_of(settings)
    return [
        f"{address} was {text} while the predictor was trained, and is {now[address]}"
        for address, text in card.held.items()
        if now.get(address, text) != text
    ]


def held_of(settings: Settings) -> dict[str, str]:
    """Every setting that does not wait for metadata, as text."""
    found = Sidecar.of(settings, complete=True).settings
    return {address: value if isinstance(value, str) else json.dumps(value) for address, value in found.items()}


def _aim(settings: Settings, card: Card) -> Aim:
    """What a card gives. Settings that start at metadata get a value, whatever it is: the card has the ranges."""
    values: dict[str, object] = {}
    for address in card.addresses:
        slot = settings.slot(address)
        if settings[address] is None:
            hard = getattr(slot.declaration, "hard", None) or (0.0, 0.0)
            values[address] = hard[0]
    return Aim.of([settings.update(values)], card.addresses)


def _slot(slot: Slot) -> list[Any]:
    return [slot.address, _plain(slot.declaration), _plain(slot.start), slot.start_meta, slot.fixed]


def _plain(value: Any) -> Any:
    """As JSON has it, without places in the text and what is said of it."""
    match value:
        case BaseModel():
            return {key: _plain(each) for key, each in value if key not in ("location", "doc", "found")}
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
