"""What doubles get wrong on samples that none of them was trained on: each on its own, and all of them in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.feeding import example
from ispdsl.backends.vector import tensors
from ispdsl.evaluation.features import Floats, apart, facts
from ispdsl.evaluation.scores import Image, Score, score
from ispdsl.evaluation.trust import canonical
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.proxies.card import Card
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.store.sample import Sample

Doubled = Callable[..., Any]
"""A double as a program: images by position, keywords of the declaration; a tensor, or several."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The doubles of one variant, ready to run.

    Attributes:
        graph: collapsed as the doubles want it, its CFA bound.
        composite: the pipeline with every double in its place, and with all taps.
        doubles: by the address of their call.
        cards: of the doubles, by address.
        types: of the watched values by name, in order; of the inputs first.
        members: the same pipeline by each further member of an ensemble.
        hashes: of the files of all doubles, as `ispdsl.evaluation.trust_file.hashes` has them.
    """

    graph: Graph
    composite: Composite
    doubles: Mapping[str, Doubled]
    cards: Mapping[str, Card]
    types: Mapping[str, Type]
    members: tuple[Composite, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the images that go in."""
        return tuple(port.name for port in self.graph.inputs if port.name in self.types)

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the watched values that are made."""
        return tuple(name for name in self.types if name not in self.inputs)

    @property
    def main(self) -> str:
        """The watched name of the first output."""
        result = self.graph.results[self.graph.outputs[0].name]
        tapped = [name for name, value in self.graph.taps.items() if value == result and name in self.types]
        return tapped[0] if tapped else self.graph.outputs[0].name


@dataclass(frozen=True, eq=False)
class Query:
    """What was found for one sample.

    Attributes:
        number: of the sample, as the evaluation counts them.
        raw, part: what it was cut from, and where (top, left, height, width).
        settings: as the sample has them, in declared units; `values` the same, canonical.
        own: scores by watched value: of the double that gives it, on the real input of its stage.
        chain: scores by watched value when every double reads what the one before it gave.
        image: `facts` of the input; `watched` those of what the doubles made of it, by name.
        spread: of an ensemble, how far `apart` its members are, by name.
    """

    number: int
    raw: str
    part: tuple[int, int, int, int]
    settings: Mapping[str, Any]
    values: Mapping[str, Any]
    own: Mapping[str, Score]
    chain: Mapping[str, Score]
    image: Floats
    watched: Mapping[str, Floats]
    spread: Mapping[str, float] = field(default_factory=dict[str, float])


def measure(chain: Chain, sample: Sample, number: int, detailed: bool = False) -> Query:
    """Run the doubles of one variant on a sample.

    Args:
        chain: the variant.
        sample: with images of all watched values.
        number: how the query is counted.
        detailed: SSIM and CIEDE2000 of all watched values, not of the first output alone.

    Raises:
        RunError: a double or a program fails.
        SettingsError: the sample is of another pipeline.
    """
    settings = settings_of(chain.graph, sample)
    made = render(chain, sample, settings)
    others = [render(chain, sample, settings, member) for member in chain.members]
    metadata = sample.metadata
    kept = {name: value for name, value in canonical(settings, metadata).items() if not _is_large(value)}
    return Query(
        number,
        sample.raw,
        sample.part,
        dict(sample.settings),
        kept,
        own(chain, sample, detailed),
        {
            name: score(sample.images[name], made[name], chain.types[name], metadata, detailed or name == chain.main)
            for name in chain.values
            if name in sample.images
        },
        facts(sample.images[chain.inputs[0]], chain.types[chain.inputs[0]], metadata),
        {name: facts(made[name], chain.types[name], metadata) for name in chain.values},
        {
            name: apart([made[name], *(each[name] for each in others)], chain.types[name], metadata)
            for name in (chain.values if others else ())
        },
    )


def settings_of(graph: Graph, sample: Sample) -> Settings:
    """The settings of a sample.

    Raises:
        SettingsError: it is of another pipeline.
    """
    return Sidecar(sample.settings).apply(Settings.of(graph)).resolved(sample.metadata)


def own(chain: Chain, sample: Sample, detailed: bool = False) -> dict[str, Score]:
    """Scores, by watched value, of every double on the real input of its stage."""
    found: dict[str, Score] = {}
    for address, double in chain.doubles.items():
        given = example(chain.graph, address, sample)
        with torch.no_grad():
            results = double(*map(_tensor, given.images), **{k: _keyword(v) for k, v in given.keywords.items()})
        results = (results,) if isinstance(results, Tensor) else tuple(results)
        for name, target, result in zip(chain.cards[address].watched[1], given.targets, results, strict=True):
            found[name] = score(_array(target), _array(result), chain.types[name], sample.metadata, detailed)
    return found


def render(chain: Chain, sample: Sample, settings: Settings, composite: Composite | None = None) -> dict[str, Image]:
    """Watched values by name, as the doubles in a row make them from the input of a sample.

    Args:
        chain: the variant.
        sample: whose input and metadata are taken.
        settings: of the pipeline.
        composite: one of `chain.members`, in place of the variant's own.
    """
    composite = composite or chain.composite
    images = {name: torch.from_numpy(sample.images[name]) for name in chain.inputs}
    metadata = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in sample.metadata.items()}
    values = tensors(settings)
    with torch.no_grad():
        rendering = composite(images, values, metadata)
        if composite.feeds_back:
            rendering = composite(images, values, metadata, rendering.statistics)
    made = {**rendering.outputs, **rendering.taps}
    return {name: _array(made[name]) for name in chain.values}


def _is_large(value: Any) -> bool:
    """Whether a value is a table that is not worth keeping with every query."""
    return isinstance(value, np.ndarray) and value.size > LARGEST_TABLE


LARGEST_TABLE = 4096


def _tensor(image: Any) -> Tensor:
    return image if isinstance(image, Tensor) else torch.from_numpy(np.asarray(image, np.float32))


def _keyword(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _array(image: Any) -> Image:
    return np.asarray(image.detach().cpu().numpy() if isinstance(image, Tensor) else image, np.float32)
