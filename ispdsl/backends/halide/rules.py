"""One operation of a trace as an expression of Halide: finds its rule, and gives it its operands."""

from __future__ import annotations

from typing import Any

import halide as hl
import torch
from torch import Tensor

from ispdsl.backends.halide.elementwise import COMPARING, COST, ELEMENTWISE, LOGICAL, TYPES, operands
from ispdsl.backends.halide.index import Place
from ispdsl.backends.halide.reading import Reader, UnloweredError
from ispdsl.backends.halide.sums import SUMS
from ispdsl.backends.halide.traced import Node, Ref, Trace
from ispdsl.backends.halide.views import CHOOSING, VIEWS


def name_of(node: Node) -> str:
    """The operation without its overload, ``add`` for ``aten.add.Tensor``; a selection by an image is a look-up."""
    parts = node.target.split(".")
    name = parts[1] if len(parts) > 1 else parts[0]
    return "looked_up" if name == "index_select" and isinstance(node.args[2], Ref) else name


def has_rule(node: Node) -> bool:
    """Whether there is a rule for the operation; in some forms it may refuse all the same."""
    name = name_of(node)
    return (name in VIEWS or name in SUMS or name in ELEMENTWISE) and node.dtype in TYPES


def renames(node: Node) -> bool:
    """Whether it only says where samples are, so that keeping its result would be a copy."""
    name = name_of(node)
    return (name in VIEWS and name not in CHOOSING) or (name in ELEMENTWISE and COST.get(name) == 0)


def costs(trace: Trace) -> list[int]:
    """What each value costs to compute from the inputs, in additions, up to 10^6."""
    found: list[int] = []
    for node in trace.nodes:
        name = name_of(node)
        own = 0 if name in VIEWS or node.target == "input" else COST.get(name, 1)
        repeated = 9 if name in ("convolution", "avg_pool2d") else 3 if name in SUMS and name not in COST else 1
        found.append(min(own * repeated + sum(found[source] for source in node.sources) * repeated, 10**6))
    return found


def evaluated(reader: Reader, place: Place, trace: Trace) -> hl.Expr:
    """The result of the reader's node at a place.

    Raises:
        UnloweredError: with what cannot be lowered.
    """

    def shapes(value: Any) -> tuple[int, ...]:
        if isinstance(value, Ref):
            return trace.nodes[value.node].shape
        return tuple(value.shape) if isinstance(value, Tensor) else ()

    name = name_of(reader.node)
    if name in VIEWS:
        return VIEWS[name](reader, place, shapes)
    if name in SUMS:
        return SUMS[name](reader, place, shapes)
    if name not in ELEMENTWISE:
        raise UnloweredError(f"no rule for {reader.node.target}")
    return _elementwise(name, reader, place, trace, shapes)


def _elementwise(name: str, reader: Reader, place: Place, trace: Trace, shapes: Any) -> hl.Expr:
    node = reader.node
    try:
        given = operands(name, node.args, node.kwargs)
    except ValueError as error:
        raise UnloweredError(str(error)) from error
    if name in LOGICAL and node.dtype != torch.bool:
        raise UnloweredError(f"{node.target} of whole numbers")
    computed = _common(given, trace) if name in COMPARING or name.startswith("logical") else node.dtype
    found: list[Any] = []
    for position, each in enumerate(given):
        if each is None:
            found.append(None)
            continue
        dtype = torch.bool if name == "where" and position == 0 else computed
        if name == "div" and position == 1 and _number(each):
            divisor = _number(each)
            return found[0] * hl.f32(1 / divisor)
        expression = reader.broadcast(each, shapes(each), place, dtype)
        kept = name in ("_to_copy", "clone", "detach", "alias", "lift_fresh_copy")
        found.append(expression if kept else _cast(expression, dtype))
    result = ELEMENTWISE[name](*found)
    return _cast(result, node.dtype) if name in ("_to_copy", "where", "floor", "round") else result


def _number(value: Any) -> float:
    """A divisor that is one number; 0 where it is not, or where its reciprocal cannot be had."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        value = value.item()
    return float(value) if isinstance(value, int | float) and 1e-30 < abs(value) < 1e30 else 0.0


def _common(given: tuple[Any, ...], trace: Trace) -> torch.dtype:
    """The type in which torch compares."""
    stand_ins = [
        torch.empty(
            trace.nodes[each.node].shape[:0] if not trace.nodes[each.node].shape else (1,),
            dtype=trace.nodes[each.node].dtype,
        )
        if isinstance(each, Ref)
        else each
        for each in given
    ]
    found = stand_ins[0]
    dtype = found.dtype if isinstance(found, Tensor) else torch.get_default_dtype()
    for each in stand_ins[1:]:
        dtype = torch.result_type(found, each) if isinstance(found, Tensor) or isinstance(each, Tensor) else dtype
    return dtype


def _cast(expression: hl.Expr, dtype: torch.dtype) -> hl.Expr:
    if dtype not in TYPES:
        raise UnloweredError(f"numbers in {dtype}")
    wanted = TYPES[dtype]()
    return expression if expression.type() == wanted else hl.cast(wanted, expression)
