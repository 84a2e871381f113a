"""What a pipeline does to one pixel, as arithmetic on single numbers.

The programs run as they are, in Python, on an image of one pixel and on settings that have values; every operation of
aten on them is seen, and done with the names of numbers as well. Operations that only move numbers about need no rule:
they are done to the names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,  # pyright: ignore[reportPrivateUsage]
)
from torch.utils._pytree import tree_map

from ispdsl.backends.system.scalars import Scalars

MOVES = frozenset(
    "view _unsafe_view reshape slice select unsqueeze squeeze expand permute transpose t flip cat stack unbind split "
    "split_with_sizes index_select roll diagonal clone alias lift_fresh lift_fresh_copy".split()
)
"""Operations that only say which number is where."""

UNARY = frozenset(
    "abs sign sqrt exp exp2 expm1 log log2 log1p sigmoid tanh sin cos atan floor ceil trunc round".split()
)
BINARY = {
    **{name: name for name in ("add", "sub", "mul", "div", "pow", "lt", "le", "gt", "ge", "eq", "ne")},
    **{"maximum": "max", "minimum": "min", "logical_and": "and", "logical_or": "or"},
    **{"bitwise_and": "and", "bitwise_or": "or"},
}
MANY = 4096
"""Numbers of a constant above which a pipeline is left to torch."""


class UnfusedError(Exception):
    """A pipeline does what cannot be written as arithmetic on a pixel; the message says what."""


class Recorder(TorchDispatchMode):
    """Sees every operation of aten while it is active.

    Numbers of tensors that depend on nothing recorded, such as those that metadata give, are numbers that a program is
    given; but for zeros and ones, which make programs shorter, and for those that Python writes.

    Attributes:
        scalars: the numbers so far.
        given: of tensors that depend on nothing recorded: they follow the settings that are free.
    """

    def __init__(self, free: int) -> None:
        super().__init__()
        self.scalars = Scalars()
        self.given: list[float] = []
        self._free = free
        self._names: dict[int, Tensor] = {}
        self._recorded: set[int] = set()
        self._alive: list[Tensor] = []

    def leaf(self, value: Tensor, made: Callable[[int], int], first: int = 0) -> Tensor:
        """A tensor each of whose numbers is a leaf, counted from `first` in reading order."""
        with _disable_current_modes():
            names = torch.tensor([made(first + place) for place in range(value.numel())]).reshape(value.shape)
            return self._added(value.clone(), names)

    def names(self, value: Tensor) -> Tensor:
        """The places of a tensor's numbers in `scalars`, in its shape.

        Raises:
            UnfusedError: it is a constant of too many numbers.
        """
        found = self._names.get(id(value))
        return self._constant(value) if found is None else found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        seen: list[Tensor] = []
        tree_map(lambda each: seen.append(each) if isinstance(each, Tensor) else None, (args, kwargs))
        result = func(*args, **kwargs)
        if not any(id(each) in self._recorded for each in seen):
            return result
        if func._schema.is_mutable:
            raise UnfusedError(f"{func} writes into what depends on settings or pixels")
        target = str(func).split(".")[1]
        with _disable_current_modes():
            names = self._result(target, args, kwargs, result)
            if isinstance(result, Tensor):
                return self._added(result, names)
            return type(result)(self._added(one, name) for one, name in zip(result, names, strict=True))

    def _added(self, value: Tensor, names: Tensor) -> Tensor:
        """A tensor under an identity of its own, which views may share with what they view."""
        own = value.detach()
        self._alive.append(own)
        self._names[id(own)] = names.expand(own.shape)
        self._recorded.add(id(own))
        return own

    def _constant(self, value: Tensor) -> Tensor:
        if value.numel() > MANY:
            raise UnfusedError(f"a table of {value.numel()} numbers")
        names = torch.tensor([self._number(each) for each in value.flatten().tolist()], dtype=torch.int64)
        self._alive.append(value)
        self._names[id(value)] = names.reshape(value.shape)
        return self._names[id(value)]

    def _number(self, value: float) -> int:
        """A number of a tensor that depends on nothing."""
        if isinstance(value, bool):
            return self.scalars.truth(value)
        if isinstance(value, int) or value in (0.0, 1.0, -1.0):
            return self.scalars.constant(value)
        self.given.append(value)
        return self.scalars.setting(self._free + len(self.given) - 1)

    def operand(self, value: Any, number: bool = True) -> Tensor:
        """The places of an argument's numbers; truths as numbers where these are wanted."""
        if isinstance(value, bool):
            found = torch.tensor(self.scalars.truth(value))
        elif isinstance(value, int | float):
            found = torch.tensor(self.scalars.constant(value))
        else:
            found = self.names(value)
        return self._each(self._as_number, found) if number else found

    def _as_number(self, place: int) -> int:
        if not self._truth(place):
            return place
        return self.scalars.made("select", place, self.scalars.constant(1.0), self.scalars.constant(0.0))

    def _truth(self, place: int) -> bool:
        node = self.scalars.nodes[place]
        return node.is_truth or (node.operation == "select" and self._truth(node.operands[1]))

    def _each(self, function: Callable[..., int], *names: Tensor) -> Tensor:
        """A function of numbers on all of them, broadcast."""
        several = torch.broadcast_tensors(*names)
        found = [function(*places) for places in zip(*(each.flatten().tolist() for each in several), strict=True)]
        return torch.tensor(found, dtype=torch.int64).reshape(several[0].shape)

    def apply(self, operation: str, *names: Tensor) -> Tensor:
        return self._each(lambda *places: self.scalars.made(operation, *places), *names)

    def _result(self, target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Any:
        """The names of a result, or of each result."""
        if target in MOVES:
            moved = tree_map(lambda each: self.names(each) if isinstance(each, Tensor) else each, args)
            if target == "index_select":
                if id(args[2]) in self._recorded:
                    raise UnfusedError("a look-up at places that pixels or settings give")
                moved = (moved[0], moved[1], args[2])
            name = "reshape" if target in ("view", "_unsafe_view") else target
            if name in ("lift_fresh", "lift_fresh_copy", "alias", "clone"):
                return moved[0]
            return getattr(torch.ops.aten, name)(*moved, **{k: v for k, v in kwargs.items() if k == "dim"})
        if target in UNARY:
            return self.apply(target, self.operand(args[0]))
        if target in BINARY:
            return self._binary(target, args, kwargs)
        rule = RULES.get(target)
        if rule is None or not isinstance(result, Tensor):
            raise UnfusedError(f"{target} has no rule")
        return rule(self, args, kwargs, result)

    def _binary(self, target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        logical = BINARY[target] in ("and", "or")
        one, other = (self.operand(each, not logical) for each in args[:2])
        if logical and not all(self._truth(place) for place in (*one.flatten().tolist(), *other.flatten().tolist())):
            raise UnfusedError(f"{target} of whole numbers")
        if kwargs.get("rounding_mode") is not None:
            raise UnfusedError("a division of whole numbers")
        alpha = kwargs.get("alpha", 1)
        if alpha != 1:
            other = self.apply("mul", other, torch.tensor(self.scalars.constant(alpha)))
        return self.apply(BINARY[target], one, other)

    # ---- operations with rules of their own -----------------------------------------------------------------------

    def number(self, value: float) -> Tensor:
        """The place of a constant."""
        return torch.tensor(self.scalars.constant(value))

    def sum(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """Sums along axes, from left to right."""
        names = self.operand(args[0])
        axes = args[1] if len(args) > 1 and args[1] else tuple(range(names.dim()))
        axes = [axis % names.dim() for axis in ((axes,) if isinstance(axes, int) else axes)]
        kept = [axis for axis in range(names.dim()) if axis not in axes]
        columns = names.permute(*kept, *axes).reshape(*(names.shape[axis] for axis in kept), -1).unbind(-1)
        total = columns[0]
        for column in columns[1:]:
            total = self.apply("add", total, column)
        return total.reshape(result.shape)

    def mean(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """Means along axes."""
        total = self.sum(args, kwargs, result)
        count = self.names(args[0]).numel() // max(result.numel(), 1)
        return self.apply("mul", total, self.number(1 / count))

    def product(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """Products of matrices, and of those and vectors."""
        one, other = (self.operand(each) for each in args[:2])
        one = one if one.dim() > 1 else one[None]
        other = other if other.dim() > 1 else other[:, None]
        total = self.apply("mul", one[..., :, 0, None], other[..., 0, None, :])
        for place in range(1, one.shape[-1]):
            total = self.apply("add", total, self.apply("mul", one[..., :, place, None], other[..., place, None, :]))
        return total.reshape(result.shape)

    def clamp(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """Between limits of which either may be missing: a slope at a limit counts, as in torch."""
        found = self.operand(args[0])
        low = args[1] if len(args) > 1 else kwargs.get("min")
        high = args[2] if len(args) > 2 else kwargs.get("max")
        if low is not None:
            limit = self.operand(low)
            found = self.apply("select", self.apply("ge", found, limit), found, limit)
        if high is not None:
            limit = self.operand(high)
            found = self.apply("select", self.apply("le", found, limit), found, limit)
        return found

    def copied(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """The same numbers, in another type."""
        names = self.operand(args[0], number=result.dtype != torch.bool)
        if result.dtype == torch.bool:
            return self._each(lambda p: p if self._truth(p) else self.scalars.made("ne", p, int(self.number(0))), names)
        return names if result.is_floating_point() else self.apply("trunc", names)

    def cross(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """Vector products along the last axis, or another."""
        axis = kwargs.get("dim", -1)
        one, other = (each.movedim(axis, -1) for each in torch.broadcast_tensors(*map(self.operand, args[:2])))

        def term(first: int, second: int) -> Tensor:
            return self.apply("mul", one[..., first], other[..., second])

        found = [self.apply("sub", term(i - 2, i - 1), term(i - 1, i - 2)) for i in range(3)]
        return torch.stack(found, -1).movedim(-1, axis)

    def where(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        """A choice."""
        number = result.dtype != torch.bool
        condition = self.operand(args[0], number=False)
        return self.apply("select", condition, *(self.operand(each, number) for each in args[1:]))


def _of(operation: str, *before: float) -> Callable[..., Tensor]:
    """A rule: an operation of constants, and of the first argument."""

    def rule(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        return recorder.apply(operation, *map(recorder.number, before), recorder.operand(args[0]))

    return rule


def _power(exponent: float) -> Callable[..., Tensor]:
    def rule(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        return recorder.apply("pow", recorder.operand(args[0]), recorder.number(exponent))

    return rule


def _relu(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    names, zero = recorder.operand(args[0]), recorder.number(0.0)
    return recorder.apply("select", recorder.apply("gt", names, zero), names, zero)


def _filled(value: float) -> Callable[..., Tensor]:
    return lambda recorder, args, kwargs, result: recorder.number(value).expand(result.shape)


def _scaled(operation: str, factor: float) -> Callable[..., Tensor]:
    def rule(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        return recorder.apply("mul", recorder.apply(operation, recorder.operand(args[0])), recorder.number(factor))

    return rule


def _softplus(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    if tuple(args[1:]) not in ((), (1,), (1, 20)) or kwargs:
        raise UnfusedError("softplus with another slope")
    return recorder.apply("softplus", recorder.operand(args[0]))


def _rsub(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    one, other, *factor = args
    if factor or kwargs:
        raise UnfusedError("rsub with a factor")
    return recorder.apply("sub", recorder.operand(other), recorder.operand(one))


def _not(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    if result.dtype != torch.bool:
        raise UnfusedError("the bits of whole numbers")
    return recorder.apply("not", recorder.operand(args[0], number=False))


def _lerp(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    one, other, weight = (recorder.operand(each) for each in args)
    return recorder.apply("add", one, recorder.apply("mul", weight, recorder.apply("sub", other, one)))


def _addcmul(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
    total, one, other = (recorder.operand(each) for each in args)
    factor = kwargs.get("value", 1)
    one = one if factor == 1 else recorder.apply("mul", one, recorder.number(factor))
    return recorder.apply("add", total, recorder.apply("mul", one, other))


def _limited(name: str) -> Callable[..., Tensor]:
    """`clamp` with the one limit that the second argument is."""

    def rule(recorder: Recorder, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Tensor) -> Tensor:
        image, limit = args
        return recorder.clamp((image,), {name: limit}, result)

    return rule


RULES: Mapping[str, Callable[..., Tensor]] = {
    "sum": Recorder.sum,
    "mean": Recorder.mean,
    "mm": Recorder.product,
    "bmm": Recorder.product,
    "mv": Recorder.product,
    "dot": Recorder.product,
    "clamp": Recorder.clamp,
    "clamp_min": _limited("min"),
    "clamp_max": _limited("max"),
    "relu": _relu,
    "_to_copy": Recorder.copied,
    "detach": _of("stop"),
    "where": Recorder.where,
    "linalg_cross": Recorder.cross,
    "neg": _of("mul", -1.0),
    "rsub": _rsub,
    "square": _power(2.0),
    "rsqrt": _power(-0.5),
    "reciprocal": _of("div", 1.0),
    "log10": _scaled("log2", math.log10(2.0)),
    "softplus": _softplus,
    "logical_not": _not,
    "bitwise_not": _not,
    "lerp": _lerp,
    "addcmul": _addcmul,
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "new_zeros": _filled(0.0),
    "new_ones": _filled(1.0),
}  # fmt: skip
"""By the name of the operation."""
