"""Whole calls of a stage, as Hypothesis strategies."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.conditions import NONE, Bounds, Conditions, bounds_of, holds, pinned
from ispdsl.contracts.metadata import default, metadata
from ispdsl.contracts.pictures import KINDS, PLACED, Picture, pixels
from ispdsl.contracts.settings import numbers, setting
from ispdsl.contracts.statistics import defaults, statistic
from ispdsl.contracts.subject import Subject
from ispdsl.ir.model import Meta
from ispdsl.ir.params import Array
from ispdsl.ir.types import BAYER, INTEGER_STORAGE, LAYOUTS, Type, is_variable

SPACES = ("linear_srgb", "camera", "linear_rec2020", "linear_prophoto", "srgb")
"""What a type variable of a colour space stands for, the commonest first."""

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "cfa": (*BAYER, "linear"),
    "space": SPACES,
    "size": tuple(range(2, 10)),
}
"""What type variables stand for, by what they are for."""

LEVELS = (0.0, 1.0, 0.5, 0.18, 0.25, 0.75, 0.02, 0.9, 0.002)
"""Levels that matter; others are drawn too."""

LEVEL = numbers(LEVELS, ((0, 1),))
PLACE = st.integers(0, 48 * 48 - 1)
SEEDS = st.integers(-20, 99).map(lambda seed: max(seed, 0))  # grey often: equal planes are a case of their own

HEADROOM, FOOTROOM = 4.0, -0.1
"""How far scene-referred values go beyond white, and noise below black."""

BEYOND = ("inside", "inside", "above", "below")
"""Where the levels lie: most often between black and white."""


@dataclass(frozen=True)
class Shape:
    """What a property asks of the images: their sides in px, kinds of pictures.

    `least` and `most` bound the shorter side, `longest` the longer one. `generic` moves every value by a little noise,
    away from ties, where a stage may have a kink. `headroom` admits values outside 0..1.
    """

    least: int = 2
    most: int = 6
    longest: int = 6
    kinds: tuple[str, ...] = tuple(KINDS)
    generic: bool = False
    headroom: bool = True


PLAIN = Shape()


@dataclass(frozen=True)
class Parts:
    """What a call is drawn from: made once, since making strategies costs more than drawing from them."""

    types: st.SearchStrategy[dict[str, Any]]
    parameters: dict[str, st.SearchStrategy[Any]]
    metas: dict[str, st.SearchStrategy[Any]]
    sizes: st.SearchStrategy[tuple[int, int]]
    picture: st.SearchStrategy[Picture]
    codes: float
    limits: dict[str, Bounds]


@functools.lru_cache(512)
def parts(subject: Subject, conditions: Conditions, shape: Shape) -> Parts:
    """What the calls of a subject are drawn from."""
    codes = largest_code(subject)
    named = {each.name for each in (*subject.parameters, *subject.metas)}
    held = {name: st.just(value) for name, value in subject.pinned.items() if name in named}
    return Parts(
        types=variables(subject),
        parameters={each.name: setting(each, conditions) for each in subject.parameters} | held,
        metas={each.name: _meta(each, conditions, codes) for each in subject.metas if each.name not in held},
        sizes=_sizes(shape),
        picture=_pictures(shape),
        codes=codes,
        limits={port.name: bounds_of(port.name, conditions) for port in subject.inputs},
    )


@functools.lru_cache(512)
def cases(subject: Subject, conditions: Conditions = (), shape: Shape = PLAIN) -> st.SearchStrategy[Case]:
    """Legal calls at which the conditions hold."""
    made = parts(subject, conditions, shape)

    @st.composite
    def legal_calls(draw: st.DrawFn) -> Case:
        return _case(draw, subject, conditions, shape, made)

    return legal_calls()  # a strategy without arguments: Hypothesis prints those, and a subject is long


def _case(draw: st.DrawFn, subject: Subject, conditions: Conditions, shape: Shape, made: Parts) -> Case:
    types = dict(draw(made.types))
    arguments = {name: draw(strategy) for name, strategy in (made.parameters | made.metas).items()}
    types |= {name: arguments[name] for name in arguments if any(name in port.type.args for port in subject.outputs)}
    height, width = draw(made.sizes)
    pictures = {port.name: replace(draw(made.picture), height=height, width=width) for port in subject.inputs}
    pictures = {name: _half(each) if name in subject.halved else each for name, each in pictures.items()}
    white = float(arguments.get("white_level", made.codes))
    images = {
        port.name: image(
            pictures[port.name], substitute(port.type, types), made.limits[port.name], white, shape.generic
        )
        for port in subject.inputs
    }
    plain = {} if shape.generic else {p.name: pictures[p.name] for p in subject.inputs if p.type.name != "chroma"}
    case = Case(images, arguments, types, plain)
    for need in subject.needs:
        case = case.with_arguments({need.name: draw(statistic(need, subject, case, conditions))})
    _tie(case, conditions)
    assume(all(holds(condition, case) for condition in conditions))
    return case


def example(subject: Subject) -> Case:
    """The plainest legal call on images of 4 x 4: all settings at their defaults."""
    types = {
        str(argument): {"cfa": "rggb", "space": "linear_srgb", "size": 4}.get(role, "f32")
        for port in subject.inputs
        for role, argument in zip(LAYOUTS[port.type.name], port.type.args, strict=False)
        if is_variable(argument)
    }
    arguments = defaults(subject) | {meta.name: default(meta) for meta in subject.metas if meta.default is not None}
    types |= {name: arguments[name] for name in arguments if any(name in port.type.args for port in subject.outputs)}
    pictures = {port.name: Picture("gradient", 4, 4, 0.2, 0.8) for port in subject.inputs}
    pictures = {name: _half(each) if name in subject.halved else each for name, each in pictures.items()}
    images = {
        port.name: image(pictures[port.name], substitute(port.type, types), NONE, largest_code(subject))
        for port in subject.inputs
    }
    return Case(images, arguments, types, pictures)


def _meta(meta: Meta, conditions: Conditions, codes: float) -> st.SearchStrategy[Any]:
    wanted = pinned(meta.name, conditions)
    if isinstance(wanted, Array):
        return st.just(torch.tensor(wanted.values, dtype=torch.float64).reshape(wanted.shape))
    if isinstance(wanted, float | int):
        sizes = tuple(size for size in meta.type.args if isinstance(size, int))
        return st.just(torch.full(sizes, float(wanted), dtype=torch.float64) if sizes else float(wanted))
    return metadata(meta, codes)


def _tie(case: Case, conditions: Conditions) -> None:
    """Give both sides of ``a == b`` the same value, where both are parameters or metadata."""
    for condition in conditions:
        right = condition.right
        if condition.operator == "==" and isinstance(right, str) and right in case.arguments:
            assert isinstance(case.arguments, dict), "as `cases` made it"
            case.arguments[condition.left] = case.arguments[right]


# ---- types ---------------------------------------------------------------------------------------------------


def variables(subject: Subject) -> st.SearchStrategy[dict[str, Any]]:
    """What the type variables stand for."""
    found: dict[str, tuple[Any, ...]] = {}
    for port in subject.inputs:
        for role, argument in zip(LAYOUTS[port.type.name], port.type.args, strict=False):
            if is_variable(argument):
                name = str(argument)
                choices = (subject.pinned[name],) if name in subject.pinned else ARGUMENTS.get(role, ("f32", "unit"))
                found.setdefault(name, choices)
    return st.sampled_from([dict(zip(found, each, strict=True)) for each in itertools.product(*found.values())])


def substitute(type_: Type, types: Any) -> Type:
    """A type with its variables replaced."""
    return Type(name=type_.name, args=tuple(types.get(a, a) if isinstance(a, str) else a for a in type_.args))


def storage(type_: Type) -> str:
    """How the numbers of an image are stored: ``f32``, ``unit``, ``u12``."""
    return str(type_.args[-1])


def largest_code(subject: Subject) -> float:
    """The largest code of the integer images that a subject takes; 1 where it takes none."""
    bits = [INTEGER_STORAGE.fullmatch(storage(port.type)) for port in subject.inputs if port.type.is_image]
    return float(max((2 ** int(found[1]) - 1 for found in bits if found), default=1))


# ---- images --------------------------------------------------------------------------------------------------


def _sizes(shape: Shape) -> st.SearchStrategy[tuple[int, int]]:
    """Heights and widths, the smallest first."""
    longest = max(shape.longest, shape.most)
    long = range(shape.least if longest == shape.most else max(shape.least, longest - 3), longest + 1)
    found = {(a, b) for a in range(shape.least, shape.most + 1) for b in long}
    return st.sampled_from(sorted(found | {(b, a) for a, b in found}, key=lambda size: (size[0] * size[1], size)))


@st.composite
def _pictures(draw: st.DrawFn, shape: Shape) -> Picture:
    """A picture of no size yet; places count modulo the size."""
    kind, beyond = draw(_kinds(shape))
    level = draw(LEVEL)  # of a flat picture, else the brighter one: what fails in bright places shrinks to a flat
    high = {"above": 1 + (HEADROOM - 1) * level, "white": 1.0, "black": 0.0}.get(beyond, level)
    low = high if kind == "flat" else draw(LEVEL)
    low, high = FOOTROOM if beyond == "below" else low, 0.0 if kind == "flat" else high
    row, column = divmod(draw(PLACE), 48) if kind in PLACED else (0, 0)
    return Picture(kind, 0, 0, low, high, row, column, draw(SEEDS))


@functools.cache
def _kinds(shape: Shape) -> st.SearchStrategy[tuple[str, str]]:
    beyond = (*BEYOND, "white") if shape.headroom else (BEYOND[0], "white")
    black = [("flat", "black")] if "flat" in shape.kinds else []
    return st.sampled_from([(kind, where) for where in beyond for kind in shape.kinds] + black)


def _half(picture: Picture) -> Picture:
    return replace(picture, height=(picture.height + 1) // 2, width=(picture.width + 1) // 2)


def image(picture: Picture, type_: Type, limits: Bounds, white: float, generic: bool = False) -> Tensor:
    """The image of a picture in the numbers of its type: chroma about 0, codes up to `white`, within the limits."""
    found = pixels(picture, type_.planes)
    if generic:
        generator = torch.Generator().manual_seed(picture.seed + 1)
        noise = torch.rand(found.shape, generator=generator, dtype=torch.float64)
        found = 0.03 + 0.9 * found + 0.03 * noise
    if type_.name == "chroma":
        found = found - 0.5
    if INTEGER_STORAGE.fullmatch(storage(type_)):
        found = found * white if generic else (found * white).round()
    found = legal(found, type_)
    low, high = (limit if math.isfinite(limit) else None for limit in limits)
    return found if low is None and high is None else found.clamp(low, high)


def legal(found: Tensor, type_: Type) -> Tensor:
    """The values moved into the range that their type allows."""
    ends = value_range(type_)
    return found if ends is None else found.clamp(*ends)


def value_range(type_: Type) -> tuple[float, float] | None:
    """Where the numbers of an image of this type lie; None where they are free."""
    codes = INTEGER_STORAGE.fullmatch(storage(type_))
    if codes:
        return 0.0, float(2 ** int(codes[1]) - 1)
    if storage(type_) != "unit":
        return None
    return (-0.5, 0.5) if type_.name == "chroma" else (0.0, 1.0)
