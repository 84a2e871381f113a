"""Operations of aten that make each sample of samples at the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import halide as hl
import torch

from ispdsl.backends.halide import powers

Rule = Callable[..., hl.Expr]
"""From expressions, one for each tensor or number of the node's arguments, to one; `None` for what is left out."""

TYPES: Mapping[torch.dtype, Callable[[], hl.Type]] = {
    torch.float32: lambda: hl.Float(32),
    torch.float64: lambda: hl.Float(64),
    torch.int64: lambda: hl.Int(32),
    torch.int32: lambda: hl.Int(32),
    torch.bool: lambda: hl.Bool(),
    torch.uint8: lambda: hl.UInt(8),
}
"""Types of Halide by those of torch. Whole numbers are places in images, for which 32 bits do."""


def literal(value: complex, dtype: torch.dtype) -> hl.Expr:
    """A number as an expression."""
    if dtype == torch.bool:
        return hl.cast(hl.Bool(), hl.i32(int(bool(value))))
    if dtype.is_floating_point:
        assert isinstance(value, float | int | bool)
        return hl.f64(float(value)) if dtype == torch.float64 else hl.f32(float(torch.tensor(value, dtype=dtype)))
    return hl.i32(int(value.real))


def _select(condition: hl.Expr, one: hl.Expr, other: hl.Expr) -> hl.Expr:
    return hl.select(condition, one, other)


def _remainder(one: hl.Expr, other: hl.Expr) -> hl.Expr:
    """With the sign of the divisor, as torch and Python have it."""
    if one.type().is_float():
        return one - other * hl.floor(one / other)
    return one % other


def _clamp(x: hl.Expr, low: hl.Expr | None = None, high: hl.Expr | None = None) -> hl.Expr:
    found = x if low is None else hl.max(x, low)
    return found if high is None else hl.min(found, high)


ELEMENTWISE: dict[str, Rule] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "rsub": lambda a, b: b - a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": hl.abs,
    "square": lambda a: a * a,
    "clamp": _clamp,
    "clamp_min": lambda a, low: hl.max(a, low),
    "clamp_max": lambda a, high: hl.min(a, high),
    "minimum": hl.min,
    "maximum": hl.max,
    "where": _select,
    "relu": lambda a: hl.max(a, hl.f32(0)),
    "floor": hl.floor,
    "ceil": hl.ceil,
    "trunc": hl.trunc,
    "round": hl.round,
    "remainder": _remainder,
    "sign": powers.sign,
    "sqrt": hl.sqrt,
    "rsqrt": lambda a: hl.f32(1) / hl.sqrt(a),
    "reciprocal": lambda a: hl.f32(1) / a,
    "exp": powers.exp,
    "exp2": powers.exp2,
    "expm1": powers.expm1,
    "log1p": powers.log1p,
    "sigmoid": lambda a: hl.f32(1) / (hl.f32(1) + powers.exp(-a)),
    "tanh": powers.tanh,
    "softplus": powers.softplus,
    "sin": hl.sin,
    "cos": hl.cos,
    "tan": hl.tan,
    "asin": hl.asin,
    "acos": hl.acos,
    "atan": hl.atan,
    "atan2": hl.atan2,
    "hypot": lambda a, b: hl.sqrt(a * a + b * b),
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_not": hl.logical_not,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_not": hl.logical_not,
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "_to_copy": lambda a: a,
    "clone": lambda a: a,
    "detach": lambda a: a,
    "alias": lambda a: a,
    "lift_fresh_copy": lambda a: a,
}
"""By the name of the operation. Operands come in the type that torch computes in."""

COMPARING = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
"""Operations whose operands are of another type than their result."""

LOGICAL = frozenset({"bitwise_and", "bitwise_or", "bitwise_not"})
"""Operations that are lowered for truth values only."""

COST = {
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "sigmoid", "tanh"), 16),
    **dict.fromkeys(("softplus", "sin", "cos", "tan", "asin", "acos", "atan", "atan2"), 40),
    "curve": 16,
    **dict.fromkeys(("div", "sqrt", "rsqrt", "reciprocal", "hypot"), 6),
    **dict.fromkeys(("_to_copy", "clone", "detach", "alias", "lift_fresh_copy"), 0),
}
"""What an operation costs, in additions; 1 where it is not said."""


def operands(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments that are tensors or numbers, in the order of the rule.

    Raises:
        ValueError: an option that changes what the operation does, and is not lowered.
    """
    match name:
        case "add" | "sub" | "rsub":
            alpha = kwargs.get("alpha", args[2] if len(args) > 2 else 1)
            if alpha != 1:
                raise ValueError(f"{name} with alpha = {alpha}")
            return args[:2]
        case "div" if kwargs.get("rounding_mode") is not None:
            raise ValueError(f"div with rounding_mode = {kwargs['rounding_mode']}")
        case "clamp":
            return args[0], *(args[1:] + (kwargs.get("min"), kwargs.get("max"))[len(args) - 1 :])
        case "softplus" if tuple(args[1:]) not in ((), (1.0,), (1.0, 20.0), (1, 20)) or kwargs:
            raise ValueError("softplus with another slope")
        case "softplus" | "_to_copy" | "clone" | "detach" | "alias" | "lift_fresh_copy":
            return args[:1]
        case "round" if kwargs.get("decimals"):
            raise ValueError("round to decimals")
        case _:
            return args
