"""Doubles made ready to be measured: a variant's folder as a chain, and what was sampled for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ispdsl.backends.composite import compile
from ispdsl.darkroom import mosaic_input
from ispdsl.errors import UserError
from ispdsl.evaluation.features import row
from ispdsl.evaluation.gaussian import Array
from ispdsl.evaluation.measure import LARGEST_TABLE, Chain
from ispdsl.evaluation.trust import Domain, canonical
from ispdsl.evaluation.trust_file import hashes, members
from ispdsl.graph import Graph
from ispdsl.ir.params import Choice, Register, Slider, Table, Toggle
from ispdsl.ir.types import Type
from ispdsl.ir.units import canonical as in_canonical
from ispdsl.passes.segments import watched
from ispdsl.passes.select import match
from ispdsl.proxies.double import Double
from ispdsl.proxies.task import Knob
from ispdsl.runtime import faces
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.slots import Slot
from ispdsl.runtime.values import Settings
from ispdsl.store import blobs
from ispdsl.store.runs import Row, Run

LARGEST_DOMAIN = 2000
"""Settings trained on that distances are measured to."""


class EvaluationError(UserError):
    """Something cannot be evaluated: why, and what to do."""


def chain_of(graph: Graph, doubles: Path, type_: Type, trust: Iterable[str] = ()) -> Chain:
    """The doubles of a folder in their places, and beside them the further members of their ensemble.

    Args:
        graph: the pipeline, as built.
        doubles: folder of the variant.
        type_: of the frames: ``raw<rggb, u16>``.
        trust: packages besides ispdsl whose programs may run.

    Raises:
        PlanError, CompileError: the doubles do not fit the pipeline, or are damaged.
        EvaluationError: there is no double that the pipeline could run.
    """
    types = match(graph, {mosaic_input(graph): type_})
    others = members(doubles)
    known = hashes(doubles, others)
    composite, *further = (
        compile(graph, types=types, doubles=each, taps=None, trust=tuple(trust)) for each in (doubles, *others)
    )
    flat = composite.plan.graph
    placed: dict[str, Double] = {}
    for module in composite.doubles.values():
        assert isinstance(module, Double)
        placed[module.card.task.name] = module
    if not placed:
        raise EvaluationError(f"no double of {doubles} runs in {graph.name}", "train some with `ispdsl train RUN`")
    seen = {name: flat.type_of(value) for name, value in watched(flat).items()}
    cards = {address: each.card for address, each in placed.items()}
    whole = tuple(each for each in further if each.doubles.keys() == composite.doubles.keys())
    return Chain(flat, composite, placed, cards, seen, whole, known)


def weights(chain: Chain) -> dict[str, int]:
    """Number of weights of each double, by address."""
    return {
        address: sum(weight.numel() for weight in double.parameters())
        for address, double in chain.doubles.items()
        if isinstance(double, Double)
    }


# ---- what was sampled --------------------------------------------------------------------------------------


def note_of(run: Run, line: Row) -> dict[str, Any]:
    """What of a sample is no image: its settings, raw and so on, without reading its images.

    Raises:
        EvaluationError: the sample cannot be read.
    """
    path = blobs.path_of(run.path, line.blob)
    try:
        with safe_open(path, "np") as file:
            found = blobs.parse((file.metadata() or {}).get(blobs.NOTE))
    except (OSError, SafetensorError) as error:
        hint = "`ispdsl runs show RUN --check` says what else is damaged"
        raise EvaluationError(f"{path} cannot be read: {error}", hint) from error
    if not isinstance(found, dict):
        raise EvaluationError(f"{path} holds no sample")
    return found


def trained(run: Run, chains: Iterable[Chain]) -> set[str]:
    """Names of the raws that any double was trained on: as its card says, else as the run says."""
    found: set[str] = set()
    for card in (card for chain in chains for card in chain.cards.values()):
        told = card.data.get("raws")
        if isinstance(told, list | tuple):
            found |= {str(each.get("name")) for each in told if isinstance(each, dict)}
        else:
            found |= {raw.name for raw in run.head.raws if raw.role == "training"}
    return found


def held_out(run: Run, chains: Iterable[Chain]) -> tuple[str, ...]:
    """Names of the raws of a run that no double was trained on; those kept for tests alone where there are some.

    Raws for validation have no part in the training either, but decide when it ends.
    """
    seen = trained(run, chains)
    left = [raw for raw in run.head.raws if raw.name not in seen]
    return tuple(raw.name for raw in [raw for raw in left if raw.role == "test"] or left)


def domain(run: Run, graph: Graph, chain: Chain, trained: Sequence[Mapping[str, Any]]) -> Domain:
    """What was sampled, for the trust figure.

    Args:
        run: where the doubles were trained.
        graph: the pipeline.
        chain: the variant.
        trained: settings of the samples that were trained on, as samples have them.
    """
    settings = Settings.of(graph)
    knobs = {knob.address: knob for card in chain.cards.values() for knob in card.task.knobs}
    told = run.head.design.get("varied")
    for address, range_ in (told if isinstance(told, dict) else {}).items():
        found = knob_of(settings.slot(address), range_) if isinstance(range_, dict) else None
        knobs |= {address: found} if found else {}
    step = -(-len(trained) // LARGEST_DOMAIN) or 1
    values = [canonical(Sidecar(each).apply(settings), {}) for each in trained[::step]]
    small = [knob for knob in knobs.values() if prod(knob.shape) <= LARGEST_TABLE]
    used = tuple(knob for knob in small if all(knob.address in each for each in values))
    points: Array = np.array([row(used, each) for each in values]).reshape(len(values), -1)
    types = {"": chain.types[chain.inputs[0]], **{name: chain.types[name] for name in chain.values}}
    return Domain(used, _constants(values, {*knobs}), points, types)


def _constants(values: Sequence[Mapping[str, Any]], varied: set[str]) -> dict[str, Any]:
    """What was the same in all samples, but for large tables."""
    if not values:
        return {}
    first = values[0]
    return {
        address: value
        for address, value in first.items()
        if address not in varied
        and np.size(value) <= LARGEST_TABLE
        and all(address in each and np.array_equal(each[address], value) for each in values)
    }


def knob_of(slot: Slot, range_: Mapping[str, Any]) -> Knob | None:
    """A parameter as a design varied it: ``low`` and ``high`` in the declared unit, or ``values``."""
    declaration = slot.declaration
    name = declaration.name
    values = range_.get("values") or []
    if isinstance(declaration, Toggle):
        return Knob(name=name, address=slot.address, kind="toggle")
    if isinstance(declaration, Choice):
        return Knob(name=name, address=slot.address, kind="choice", options=tuple(map(str, values)))
    numbers = [float(value) for value in (values or (range_.get("low"), range_.get("high"))) if _is_number(value)]
    if not numbers:
        return None
    low, high = (in_canonical(end, declaration.unit) for end in (min(numbers), max(numbers)))
    low, high = min(low, high), max(low, high)
    if isinstance(declaration, Table):
        return Knob(name=name, address=slot.address, kind="table", low=low, high=high, shape=declaration.shape)
    assert isinstance(declaration, Slider | Register)
    reciprocal = faces.is_reciprocal(declaration.hard, declaration.unit)
    return Knob(name=name, address=slot.address, kind="number", low=low, high=high, reciprocal=reciprocal)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
