"""IR modules made by hand, for tests of what comes after the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ispdsl.ir.location import Location
from ispdsl.ir.model import (
    Binding,
    Condition,
    Footprint,
    Implementation,
    Meta,
    Module,
    Need,
    Node,
    Pipeline,
    Port,
    Property,
    Signature,
    Stage,
    Value,
)
from ispdsl.ir.params import Array, BitField, Choice, FixedPoint, Parameter, Register, Slider, Table, Toggle
from ispdsl.ir.types import Type

HERE = Location(file="test.isp", line=1, column=1, start=0, end=0)
RGB = "rgb<S, f32>"


def slider(
    name: str, hard: tuple[float, float] = (0.0, 1.0), default: float = 0.0, unit: str = "", **more: Any
) -> Slider:
    return Slider(name=name, unit=unit, hard=hard, soft=more.pop("soft", hard), default=default, location=HERE, **more)


def choice(name: str, *options: str) -> Choice:
    return Choice(name=name, options=options, default=options[0], location=HERE)


def toggle(name: str, default: bool = False) -> Toggle:
    return Toggle(name=name, default=default, location=HERE)


def register(name: str, text: str, hard: tuple[float, float], default: float) -> Register:
    format_ = FixedPoint.parse(text)
    assert format_ is not None
    field = BitField(address=0x100, high=format_.width - 1, low=0, format=format_)
    return Register(name=name, field=field, hard=hard, soft=hard, default=default, location=HERE)


def table(kind: Any, name: str, shape: tuple[int, ...], default: Any = "identity", **more: Any) -> Table:
    return Table(kind=kind, name=name, shape=shape, hard=more.get("hard"), default=default, location=HERE)


def array(*values: float) -> Array:
    return Array(shape=(len(values),), values=values)


def ports(**types: str) -> tuple[Port, ...]:
    return tuple(Port(name=name, type=Type.parse(text), location=HERE) for name, text in types.items())


def meta(name: str, text: str, default: Any = None) -> Meta:
    return Meta(name=name, type=Type.parse(text), default=default, location=HERE)


def identity_when(**values: Any) -> Property:
    conditions = tuple(Condition(left=name, operator="==", right=value) for name, value in values.items())
    return Property(name="identity", when=conditions, location=HERE)


def stage(
    name: str,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    program: str | None,
    *parameters: Parameter,
    radius: int | None = 0,
    metas: Sequence[Meta] = (),
    needs: Mapping[str, str] | None = None,
    properties: Sequence[Property] = (),
    others: Sequence[tuple[Any, str]] = (),
) -> Stage:
    """A stage; `radius` None means a global footprint."""
    offered: list[tuple[Any, str]] = [("program", program)] if program else []
    kind: Any = "global" if radius is None else "local" if radius else "pointwise"
    return Stage(
        footprint=Footprint(kind=kind, radius=radius or None),
        signature=Signature(
            name=name,
            key=f"test.isp:{name}",
            inputs=ports(**inputs),
            outputs=ports(**outputs),
            parameters=parameters,
            metas=tuple(metas),
            needs=tuple(Need(name=n, type=Type.parse(t), location=HERE) for n, t in (needs or {}).items()),
            implementations=tuple(
                Implementation(kind=kind, target=target, location=HERE) for kind, target in [*offered, *others]
            ),
            properties=tuple(properties),
            location=HERE,
        ),
    )


def value(text: str) -> Value:
    """``linear`` is an input, ``exposure.out`` an output of a node."""
    node, _, port = text.rpartition(".")
    return Value(node=node or None, port=port)


def bound(given: Any) -> Binding:
    """A Python value is a literal; ``@name`` binds to a parameter, ``$name`` to metadata; a tuple of one is fixed."""
    fixed = isinstance(given, tuple)
    plain = given[0] if isinstance(given, tuple) else given
    if isinstance(plain, str) and plain[0] in "@$":
        return Binding(source="parameter" if plain[0] == "@" else "meta", name=plain[1:], fixed=fixed, location=HERE)
    return Binding(source="literal", value=plain, fixed=fixed, location=HERE)


def node(
    name: str,
    callee: str,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    metas: Mapping[str, Any] | None = None,
    needs: Mapping[str, str] | None = None,
    types: Mapping[str, str | int] | None = None,
    statistic: bool = False,
    previous: bool = False,
) -> Node:
    return Node(
        name=name,
        callee=f"test.isp:{callee}",
        inputs={port: value(text) for port, text in inputs.items()},
        needs={port: value(text) for port, text in (needs or {}).items()},
        parameters={key: bound(given) for key, given in (parameters or {}).items()},
        metas={key: bound(given) for key, given in (metas or {}).items()},
        types=dict(types or {}),
        outputs={port: Type.parse(text) for port, text in (outputs or {"out": "rgb<camera, f32>"}).items()},
        statistic=statistic,
        previous=previous,
        location=HERE,
    )


def pipeline(
    name: str,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    nodes: Sequence[Node],
    results: Mapping[str, str],
    *parameters: Parameter,
    taps: Mapping[str, str] | None = None,
    metas: Sequence[Meta] = (),
    names: Mapping[str, str] | None = None,
) -> Pipeline:
    return Pipeline(
        signature=Signature(
            name=name,
            key=f"test.isp:{name}",
            inputs=ports(**inputs),
            outputs=ports(**outputs),
            parameters=parameters,
            metas=tuple(metas),
            location=HERE,
        ),
        nodes=tuple(nodes),
        results={port: value(text) for port, text in results.items()},
        taps={tap: value(text) for tap, text in (taps or {}).items()},
        names={key: value(text) for key, text in (names or {}).items()},
    )


def module(*declarations: Stage | Pipeline) -> Module:
    stages = {item.signature.key: item for item in declarations if isinstance(item, Stage)}
    pipelines = {item.signature.key: item for item in declarations if isinstance(item, Pipeline)}
    main = next(reversed(pipelines), None)
    return Module(file="test.isp", files={"test.isp": "0" * 64}, stages=stages, pipelines=pipelines, main=main)


# ---- the modules that several tests use ---------------------------------------------------------------------

EXPOSURE = stage(
    "exposure",
    {"image": RGB},
    {"out": RGB},
    "ispdsl.programs.tone:exposure",
    slider("ev", (-18.0, 18.0), unit="ev", soft=(-4.0, 4.0)),
    metas=[meta("bias", "real<ev>", 0.0)],
    properties=[identity_when(ev=0.0, bias=0.0)],
)

BLUR = stage(
    "blur",
    {"image": RGB},
    {"out": RGB},
    "tests.stand_ins:blur",
    slider("strength", (0.0, 100.0), 100.0, "%"),
    slider("radius", (1.0, 5.0), 1.0, "px"),
    choice("shape", "box", "cross"),
    radius=5,
    properties=[identity_when(strength=0.0)],
)

MEAN = stage("mean", {"image": RGB}, {"out": "vector<3>"}, "tests.stand_ins:mean", radius=None)

ADAPT = stage(
    "adapt",
    {"image": RGB},
    {"out": RGB},
    "tests.stand_ins:adapt",
    slider("amount", (0.0, 1.0), 0.5),
    needs={"level": "vector<3>"},
)

CLEAN = pipeline(
    "clean",
    {"image": "rgb<T, f32>"},
    {"result": "rgb<T, f32>"},
    [
        node(
            "soft",
            "blur",
            {"image": "image"},
            {"out": "rgb<T, f32>"},
            parameters={"strength": "@strength", "radius": (3.0,)},
            types={"S": "T"},
        ),
        node("lift", "exposure", {"image": "soft.out"}, {"out": "rgb<T, f32>"}, types={"S": "T"}),
    ],
    {"result": "lift.out"},
    slider("strength", (0.0, 1.0), 0.2),
    taps={"softened": "soft.out"},
    names={"softened": "soft.out", "image": "image", "result": "lift.out"},
)


def finishing() -> Module:
    """Two outputs, a sub-pipeline, a statistic, a value from metadata, a pipeline parameter, and fixed values."""
    rgb = {"out": "rgb<S, f32>"}
    main = pipeline(
        "finishing",
        {"linear": "rgb<S, f32>"},
        {"display": "rgb<S, f32>", "preview": "rgb<S, f32>"},
        [
            node(
                "exposure",
                "exposure",
                {"image": "linear"},
                rgb,
                parameters={"ev": 0.3},
                metas={"bias": "$baseline_exposure"},
                types={"S": "S"},
            ),
            node("level", "mean", {"image": "exposure.out"}, {"out": "vector<3>"}, types={"S": "S"}, statistic=True),
            node(
                "denoise",
                "clean",
                {"image": "exposure.out"},
                {"result": "rgb<S, f32>"},
                parameters={"strength": 0.35},
                types={"T": "S"},
            ),
            node(
                "adapt",
                "adapt",
                {"image": "denoise.result"},
                rgb,
                parameters={"amount": "@adaptation"},
                needs={"level": "level.out"},
                types={"S": "S"},
            ),
            node("nothing", "exposure", {"image": "adapt.out"}, rgb, parameters={"ev": (0.0,)}, types={"S": "S"}),
            node("small", "blur", {"image": "linear"}, rgb, types={"S": "S"}),
        ],
        {"display": "nothing.out", "preview": "small.out"},
        slider("adaptation", (0.0, 1.0), 0.25),
        taps={"exposed": "exposure.out", "adapted": "nothing.out"},
        metas=[meta("baseline_exposure", "real<ev>", 0.0)],
        names={"exposed": "exposure.out", "linear": "linear", "level": "level.out", "display": "nothing.out"},
    )
    return module(EXPOSURE, BLUR, MEAN, ADAPT, CLEAN, main)


ADDRESSES = [
    "adaptation",
    "exposure.ev",
    "denoise.strength",
    "denoise.soft.radius",
    "denoise.soft.shape",
    "denoise.lift.ev",
    "nothing.ev",
    "small.strength",
    "small.radius",
    "small.shape",
]
"""The address table of `finishing`, in the order of its graph."""
