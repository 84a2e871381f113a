"""Powers as ``exp2(k log2 x)`` where x is never negative.

The C++ that inductor writes calls ``pow`` once a number, and vectors of ``exp2`` and ``log2``: a chain with powers runs
about three times as fast by those. Both are equal but for rounding. With float32 the relative error is below
``(|k log2 x| + 3) 2^-23``, so that of results in 0..1, with k above 0 and x below 1, the absolute error stays below
4e-7: 128 dB.

What is never negative is found by walking through the graph once with the least number that every value can be:
behind ``clamp(min=...)``, ``abs``, ``square``, ``exp`` and what keeps signs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload

aten = torch.ops.aten

Least = Callable[[Sequence[Any], Callable[[Any], float]], float]
"""From the arguments of an operation, and the least of any value, to the least that its result can be."""

UNKNOWN = -math.inf

WRITTEN_OUT = (0.5, -0.5)
"""Exponents besides whole numbers that inductor writes without ``pow``."""


def _first(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    """Rows, columns or signs are moved, numbers stay."""
    return least(given[0])


def _never_negative(_given: Sequence[Any], _least: Callable[[Any], float]) -> float:
    return 0.0


def _sign_kept(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    """Sums, roots and products of what is not negative are not negative."""
    if len(given) > 1 and given[0] is given[1]:
        return 0.0
    return 0.0 if all(least(each) >= 0 for each in given[:2]) else UNKNOWN


def _clamp(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    low, high = (given[index] if len(given) > index else None for index in (1, 2))
    found = least(given[0]) if low is None else max(least(given[0]), least(low))
    return found if high is None else min(found, least(high))


def _clamp_max(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    return min(map(least, given[:2]))


def _added(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    return least(given[0]) + least(given[1])


def _either(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    return min(least(given[1]), least(given[2]))


def _all_of_list(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    return min(map(least, given[0]))


def _even_power(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    """An even whole power of anything, or any power of what is not negative."""
    exponent = given[1]
    even = isinstance(exponent, int | float) and exponent % 2 == 0
    return 0.0 if even or least(given[0]) >= 0 else UNKNOWN


def _summed(given: Sequence[Any], least: Callable[[Any], float]) -> float:
    return 0.0 if least(given[0]) >= 0 else UNKNOWN


MOVING = (
    "alias clone contiguous detach expand flip gather index index_select lift_fresh_copy narrow permute reshape select "
    "slice squeeze t to _to_copy transpose unfold unsqueeze view _unsafe_view pixel_shuffle amax amin mean"
)
"""Operations whose results are numbers of their first argument, or between them."""

RULES: dict[str, Least] = {
    **dict.fromkeys(MOVING.split(), _first),
    **dict.fromkeys("abs square exp exp2 sigmoid softplus sqrt relu rsqrt cosh".split(), _never_negative),
    **dict.fromkeys("mul div".split(), _sign_kept),
    **dict.fromkeys("stack cat".split(), _all_of_list),
    "add": _added,
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": lambda given, least: max(map(least, given[:2])),
    "maximum": lambda given, least: max(map(least, given[:2])),
    "minimum": _clamp_max,
    "where": _either,
    "scalar_tensor": _first,
    "full": lambda given, least: least(given[1]),
    "full_like": lambda given, least: least(given[1]),
    "sum": _summed,
    "pow": _even_power,
}
"""By name of the operation; of others nothing is known."""


def least_values(graph: fx.Graph) -> dict[fx.Node, float]:
    """The least number that each value can be, as far as it is known; ``-inf`` where it is not."""
    known: dict[fx.Node, float] = {}

    def least(value: Any) -> float:
        if isinstance(value, fx.Node):
            return known.get(value, UNKNOWN)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else UNKNOWN

    for node in graph.nodes:
        rule = RULES.get(_name(node))
        plain = rule is not None and not (_name(node) == "add" and node.kwargs.get("alpha", 1) != 1)
        known[node] = rule(_given(node), least) if rule is not None and plain else UNKNOWN
    return known


def _name(node: fx.Node) -> str:
    """Name of an aten operation without its overload; empty for anything else."""
    return node.target.name().partition("::")[2].partition(".")[0] if isinstance(node.target, OpOverload) else ""


def _given(node: fx.Node) -> list[Any]:
    """The arguments in the order of the declaration; limits may stand by keyword."""
    names = ("self", "min", "max")[len(node.args) :] if _name(node).startswith("clamp") else ()
    return [*node.args, *(node.kwargs.get(name) for name in names)]


def lower_powers(graph: fx.Graph) -> int:
    """Rewrite the powers of an aten graph in place, and say how many there were.

    A power is rewritten where its base is at least 0 and its exponent a number that is not whole, or where its base is
    above 0 and its exponent a tensor. Whole exponents, 0.5 and -0.5 stay: they are written as products and roots.
    """
    kinds = (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor)
    powers = [node for kind in kinds for node in graph.find_nodes(op="call_function", target=kind)]
    if not powers:
        return 0
    least = least_values(graph)
    chosen = [node for node in powers if _fits(node, least)]
    for node in chosen:
        _rewrite(graph, node)
    return len(chosen)


def _fits(node: fx.Node, least: dict[fx.Node, float]) -> bool:
    base, exponent = node.args[:2]
    if not isinstance(base, fx.Node) or not all(map(_floating, (base, node))):
        return False
    if isinstance(exponent, int | float):
        return least[base] >= 0 and float(exponent) not in WRITTEN_OUT and not float(exponent).is_integer()
    return least[base] > 0


def _floating(node: fx.Node) -> bool:
    """Whether a value is of float32 or float64."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype in (torch.float32, torch.float64)


def _rewrite(graph: fx.Graph, node: fx.Node) -> None:
    base, exponent = node.args[:2]
    assert isinstance(base, fx.Node), "asked before"
    multiply = aten.mul.Tensor
    with graph.inserting_before(node):
        stops = graph.call_function(aten.log2.default, (base,))
        moved = graph.call_function(multiply, (stops, exponent))
        power = graph.call_function(aten.exp2.default, (moved,))
    stops.meta.update(base.meta)
    for new in (moved, power):
        new.meta.update(node.meta)
    node.replace_all_uses_with(power)
    graph.erase_node(node)
