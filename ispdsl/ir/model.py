"""The IR: a module of stages and pipelines with every name resolved and every type known.

A pipeline is a graph of nodes. A node calls a stage or another pipeline; its images, statistics, settings and metadata
are bound. `ispdsl.graph` flattens it. Everything is immutable and prints as JSON (`ispdsl ir`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ispdsl.ir.location import Location
from ispdsl.ir.params import Array, Parameter, TableValue
from ispdsl.ir.types import Type

LANGUAGE_VERSION = "1"


class Frozen(BaseModel, frozen=True):
    """Immutable, and strict about what it holds."""

    model_config = ConfigDict(extra="forbid")


class Port(Frozen, frozen=True):
    """An image (or statistic) that a stage takes or gives. The single result of a stage is named ``out``."""

    name: str
    type: Type
    location: Location


class Meta(Frozen, frozen=True):
    """A value from the file or the sensor. Without a default it must be bound, or be in the frame."""

    name: str
    type: Type
    default: float | Array | str | None = None
    doc: str = ""
    location: Location


class Need(Frozen, frozen=True):
    """A statistic that a stage consumes."""

    name: str
    type: Type
    doc: str = ""
    location: Location


class Implementation(Frozen, frozen=True):
    """One way to run a stage: a ``program`` (``module:function``), a ``proxy`` or an ``executor`` with arguments.

    A list of texts is a tuple; arguments given by position are under their number.
    """

    kind: Literal["program", "proxy", "executor"]
    target: str
    arguments: dict[str, float | str | Array | tuple[str, ...]] = {}
    location: Location
    folder: str = Field(default="", exclude=True, repr=False)
    """Where the file with the line lies: files that it names are looked for there. Not part of the printed form, so
    that it is the same on every machine."""


class PredictorFile(Frozen, frozen=True):
    """A network that gives each frame settings of its own, kept in a file that is named relative to the text's."""

    path: str
    location: Location
    folder: str = Field(default="", exclude=True, repr=False)
    """Where the text lies; not part of the printed form."""


class Condition(Frozen, frozen=True):
    """``left operator right`` of a property's ``when``; `right` is canonical, or the name of a parameter or meta."""

    left: str
    operator: Literal["==", "!=", "<=", ">=", "<", ">"]
    right: float | bool | str | Array


class Property(Frozen, frozen=True):
    """A line of the contract."""

    name: str
    names: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    degree: float | None = None
    inside: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    within: float | None = None
    within_unit: str = ""
    location: Location


class Footprint(Frozen, frozen=True):
    """What of its input an output pixel depends on: itself, a neighbourhood of `radius` px, or the whole image."""

    kind: Literal["pointwise", "local", "global"]
    radius: int | None = None


class Signature(Frozen, frozen=True):
    """What a stage and a pipeline have in common: all that a caller sees."""

    name: str
    key: str
    """Unique in the module: ``file:name``."""
    doc: str = ""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...] = ()
    metas: tuple[Meta, ...] = ()
    needs: tuple[Need, ...] = ()
    implementations: tuple[Implementation, ...] = ()
    properties: tuple[Property, ...] = ()
    location: Location


class Stage(Frozen, frozen=True):
    """A stage: a signature, its contract and its implementations."""

    kind: Literal["stage"] = "stage"
    signature: Signature
    footprint: Footprint


class Value(Frozen, frozen=True):
    """A reference to a value: output `port` of node `node`, or without a node an input (or need) of the pipeline."""

    node: str | None
    port: str

    def __str__(self) -> str:
        return self.port if self.node is None else f"{self.node}.{self.port}"


class Binding(Frozen, frozen=True):
    """Where a node's parameter or meta gets its value from.

    ``default``: the declaration's own; ``literal``: `value`, in the declaration's unit; ``parameter`` / ``meta``: the
    pipeline's own of name `name`. A parameter bound to a meta *starts* there and stays free; one bound to a parameter
    is driven by it. `fixed` freezes.
    """

    source: Literal["default", "literal", "parameter", "meta"]
    value: TableValue | bool | str | None = None
    name: str | None = None
    fixed: bool = False
    location: Location


class Node(Frozen, frozen=True):
    """One call. A statistic is a node too; with `previous` it reads the frame before."""

    name: str
    callee: str
    inputs: dict[str, Value]
    needs: dict[str, Value] = {}
    parameters: dict[str, Binding] = {}
    metas: dict[str, Binding] = {}
    types: dict[str, str | int] = {}
    """What the callee's type variables stand for here; a capital letter is the pipeline's own variable."""
    outputs: dict[str, Type]
    statistic: bool = False
    previous: bool = False
    location: Location


class Pipeline(Frozen, frozen=True):
    """A graph of calls in topological order; called exactly like a stage."""

    kind: Literal["pipeline"] = "pipeline"
    signature: Signature
    nodes: tuple[Node, ...]
    results: dict[str, Value]
    """What each output port gives."""
    taps: dict[str, Value] = {}
    names: dict[str, Value] = {}
    """Every name of the text that stands for a value: inputs, results, intermediate names, taps, statistics."""
    predictor: PredictorFile | None = None
    """What gives settings that nobody sets by hand."""


class Module(Frozen, frozen=True):
    """A file with everything that it imports."""

    language: str = LANGUAGE_VERSION
    file: str
    files: dict[str, str]
    """SHA-256 of every source text, by the name of its file."""
    stages: dict[str, Stage] = {}
    pipelines: dict[str, Pipeline] = {}
    """Those of this file and all that they use, by key."""
    main: str | None = None
    """Key of the pipeline that runs when none is named: the one named as the file is, else the last of the file."""

    def signature(self, key: str) -> Signature:
        """The signature behind a node's callee."""
        return self.stages[key].signature if key in self.stages else self.pipelines[key].signature
