"""What a contract is about: a stage or pipeline of a file, and the lines that hold for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ispdsl.contracts.implied import implied
from ispdsl.graph import build
from ispdsl.ir.model import Footprint, Location, Meta, Module, Need, Port, Property, Signature
from ispdsl.ir.params import Parameter
from ispdsl.lower.loader import load
from ispdsl.render.signature import property_text


@dataclass(frozen=True)
class Line:
    """One thing that must hold: a ``property`` line, or with `implied` what the declaration says without one."""

    stated: Property
    text: str
    implied: bool = False

    @property
    def name(self) -> str:
        """Name of the property."""
        return self.stated.name

    @property
    def location(self) -> Location:
        """Where it is written; of what is implied, where the stage is declared."""
        return self.stated.location

    def __str__(self) -> str:
        return f"implied {self.name}" if self.implied else f"property {self.text}"


@dataclass(frozen=True, eq=False)  # a module is too large to compare: each subject equals itself alone
class Subject:
    """A stage or pipeline with its contract."""

    module: Module = field(repr=False)
    key: str
    halved: frozenset[str] = frozenset()
    """Images that come at half the size of the others, as subsampled chroma beside luma."""
    path: Path | None = None
    """The file that declares it, where it came from one."""
    narrowed: Signature | None = field(default=None, repr=False)
    """Its signature with the ranges that an implementation is made for, where those are narrower."""
    pinned: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What parameters, metadata and type variables are in every call, by name."""

    @property
    def signature(self) -> Signature:
        """What its callers see."""
        return self.narrowed or self.module.signature(self.key)

    @property
    def name(self) -> str:
        """Its name."""
        return self.signature.name

    @property
    def is_pipeline(self) -> bool:
        """Whether it is a graph of stages."""
        return self.key in self.module.pipelines

    @property
    def footprint(self) -> Footprint:
        """What of its input an output pixel depends on; of a pipeline nothing is known."""
        return Footprint(kind="global") if self.is_pipeline else self.module.stages[self.key].footprint

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Its images."""
        return self.signature.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Its results."""
        return self.signature.outputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its own parameters."""
        return self.signature.parameters

    @cached_property
    def metas(self) -> tuple[Meta, ...]:
        """The metadata that it reads; of a pipeline also what its stages ask frames for."""
        return tuple(build(self.module, self.name).metas) if self.is_pipeline else self.signature.metas

    @property
    def needs(self) -> tuple[Need, ...]:
        """The statistics that it reads."""
        return self.signature.needs

    @property
    def lines(self) -> tuple[Line, ...]:
        """Its contract: what is written, then what is implied."""
        written = tuple(Line(each, property_text(each, self.signature)) for each in self.signature.properties)
        return written + tuple(Line(each, each.name, implied=True) for each in implied(self.signature))

    def other(self, key: str) -> Subject:
        """Another stage of the same module."""
        return Subject(self.module, key, path=self.path)


def subjects(path: str | Path, stage: str | None = None) -> tuple[Subject, ...]:
    """The stages and pipelines that a file declares itself, in the order of its text; with `stage` those of that name.

    Raises:
        IspError: the file is wrong.
    """
    found = (replace(each, path=Path(path)) for each in declared(load(path)))
    return tuple(each for each in found if stage is None or each.name == stage)


def declared(module: Module) -> Iterator[Subject]:
    """The stages and pipelines that the module's own file declares."""
    everything = [stage.signature for stage in module.stages.values()]
    everything += [pipeline.signature for pipeline in module.pipelines.values()]
    own = [signature for signature in everything if signature.location.file == module.file]
    for signature in sorted(own, key=lambda each: each.location.start):
        yield Subject(module, signature.key)
