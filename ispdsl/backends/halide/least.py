"""How small each value of a trace can be: where a base is known to be above 0, its logarithm needs no edges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

ANYTHING = -math.inf

MOVING = frozenset(
    {
        *(
            "view",
            "_unsafe_view",
            "reshape",
            "expand",
            "permute",
            "transpose",
            "unsqueeze",
            "squeeze",
            "slice",
            "select",
        ),
        *("clone", "detach", "alias", "_to_copy", "flip", "reflection_pad2d", "replication_pad2d", "index_select"),
        *("pixel_shuffle", "pixel_unshuffle", "unbind", "split", "getitem", "amax", "amin", "mean"),
    }
)
"""Operations whose results are samples of their first operand, or between them."""


class Known(Protocol):
    """What is asked of an operation that is in the trace already."""

    @property
    def target(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def least(self) -> float: ...


def least(target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], nodes: Sequence[Known]) -> float:
    """A number that no sample of an operation's result is below; minus infinity where none is known."""
    name = target.split(".")[1] if "." in target else target

    def of(value: Any) -> float:
        number = getattr(value, "node", None)
        if number is not None:
            return nodes[number].least
        if isinstance(value, Tensor):
            return float(value.min()) if value.numel() and not value.dtype.is_complex else ANYTHING
        return float(value) if isinstance(value, int | float) else ANYTHING

    match name:
        case "clamp" | "clamp_min":
            source, low, high, *_ = (*args, *(kwargs.get(each) for each in ("min", "max")[len(args) - 1 :]), None)
            floor = of(source) if low is None else max(of(source), of(low))
            return floor if high is None else min(floor, of(high))
        case "maximum":
            return max(of(args[0]), of(args[1]))
        case "minimum" | "clamp_max":
            return min(of(args[0]), of(args[1]))
        case "where":
            return min(_where_above(args, nodes, of), of(args[2]))
        case "abs" | "square" | "sqrt" | "relu" | "sigmoid":
            return 0.0
        case "exp" | "exp2":
            return 2.0**-126
        case "mul" if _same(args):
            return 0.0
        case "mul":
            one, other = of(args[0]), of(args[1])
            return one * other if one >= 0 and other >= 0 else ANYTHING
        case "div" if len(args) == 2 and not kwargs:
            most = float(args[1].max()) if isinstance(args[1], Tensor) and args[1].numel() else args[1]
            above = of(args[0]) >= 0 and of(args[1]) > 0
            return of(args[0]) / most if above and isinstance(most, int | float) else 0.0 if above else ANYTHING
        case "add" if len(args) == 2 and not kwargs:
            return of(args[0]) + of(args[1])
        case "sub" if len(args) == 2 and not kwargs and isinstance(args[1], int | float):
            return of(args[0]) - args[1]
        case "pow":
            return 0.0 if of(args[0]) >= 0 or _even(args[1]) else ANYTHING
        case _ if name in MOVING:
            return of(args[0])
        case "cat" | "stack":
            return min((of(each) for each in args[0]), default=ANYTHING)
        case _:
            return ANYTHING


def _even(exponent: Any) -> bool:
    return isinstance(exponent, int | float) and exponent % 2 == 0


def _same(args: tuple[Any, ...]) -> bool:
    one, other = (getattr(each, "node", None) for each in args[:2])
    return one is not None and one == other


def _where_above(args: tuple[Any, ...], nodes: Sequence[Known], of: Any) -> float:
    """What is chosen where it is above a number is above it."""
    condition, chosen = getattr(args[0], "node", None), getattr(args[1], "node", None)
    known = of(args[1])
    if condition is None or chosen is None:
        return known
    node = nodes[condition]
    if not any(node.target.startswith(each) for each in ("aten.gt", "aten.ge")):
        return known
    left = getattr(node.args[0], "node", None)
    return max(known, of(node.args[1])) if left == chosen else known
