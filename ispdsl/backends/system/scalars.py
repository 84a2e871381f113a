"""Arithmetic on single numbers, as a graph without repetitions.

What a pointwise pipeline does to a pixel is arithmetic on a few numbers: those of the pixel, those that are free (the
settings), and constants. Each result is made once, and what can be known beforehand is: constants are folded, zeros and
ones vanish, and factors that are the same for all pixels are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Kind = Literal["constant", "setting", "pixel"]
"""Of what a number depends: on nothing, on settings alone, or on the pixel too."""

RANK: Mapping[Kind, int] = {"constant": 0, "setting": 1, "pixel": 2}

TRUTHS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})
"""Operations that give a truth."""


def _softplus(x: np.float64) -> np.float64:
    return np.logaddexp(0.0, x)


def _sigmoid(x: np.float64) -> np.float64:
    return np.exp(-np.logaddexp(0.0, -x))


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": np.divide,
    "pow": np.power,
    "max": np.maximum,
    "min": np.minimum,
    "select": lambda c, a, b: a if c else b,
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log1p": np.log1p,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "softplus": _softplus,
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.round,
    "stop": lambda a: a,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
}
"""Every operation, on numbers of double precision; infinities and NaN come as they do in torch."""


@dataclass(frozen=True)
class Scalar:
    """One number: an operation on others, named by their places. Leaves have a name and a value."""

    operation: str
    operands: tuple[int, ...]
    kind: Kind
    value: float = 0.0
    """Of a ``constant``; which one, of a ``setting`` or ``pixel`` leaf."""

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false rather than a number."""
        return self.operation in TRUTHS or self.operation == "truth"


@dataclass
class Scalars:
    """A growing graph; operands come before what is made of them."""

    nodes: list[Scalar] = field(default_factory=list[Scalar])
    _known: dict[tuple[object, ...], int] = field(default_factory=dict[tuple[object, ...], int])

    def constant(self, value: float) -> int:
        """A number that is known."""
        return self._added(Scalar("constant", (), "constant", float(value)), repr(float(value)))

    def truth(self, value: bool) -> int:
        """A truth that is known."""
        return self._added(Scalar("truth", (), "constant", float(value)), None)

    def setting(self, number: int) -> int:
        """A number that is free."""
        return self._added(Scalar("setting", (), "setting", number), None)

    def pixel(self, number: int) -> int:
        """A number of the pixel."""
        return self._added(Scalar("pixel", (), "pixel", number), None)

    def made(self, operation: str, *operands: int) -> int:
        """The result of an operation: one that is there already, or a simpler one, where that can be."""
        nodes = [self.nodes[each] for each in operands]
        if all(node.kind == "constant" for node in nodes):
            return self._folded(operation, nodes)
        simpler = self._simplified(operation, operands)
        if simpler is not None:
            return simpler
        kind: Kind = max((node.kind for node in nodes), key=lambda each: RANK[each])
        if operation in ("add", "mul", "max", "min") and self._order(operands[0]) < self._order(operands[1]):
            operands = operands[::-1]
        return self._added(Scalar(operation, operands, kind), None)

    def known(self, place: int) -> float | None:
        """The value of a constant; None where it is none."""
        node = self.nodes[place]
        return node.value if node.kind == "constant" else None

    def _order(self, place: int) -> tuple[int, int]:
        return RANK[self.nodes[place].kind], -place

    def _added(self, node: Scalar, exact: str | None) -> int:
        key = (node.operation, node.operands, exact if exact is not None else node.value)
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(node)
        return self._known[key]

    def _folded(self, operation: str, nodes: list[Scalar]) -> int:
        with np.errstate(all="ignore"):
            found = FUNCTIONS[operation](*(np.float64(node.value) for node in nodes))
        if operation in TRUTHS or (operation == "select" and nodes[1].is_truth):
            return self.truth(bool(found))
        return self.constant(float(found))  # type: ignore[arg-type]

    def _simplified(self, operation: str, operands: tuple[int, ...]) -> int | None:
        """A number that is there, or another operation that gives the same; None where nothing is simpler."""
        match operation:
            case "add":
                return self._sum(*operands)
            case "sub":
                return self.made("add", operands[0], self.made("mul", operands[1], self.constant(-1.0)))
            case "mul":
                return self._product(*operands)
            case "div" if RANK[self.nodes[operands[1]].kind] < 2:
                return self.made("mul", operands[0], self._reciprocal(operands[1]))
            case "div" if self.known(operands[0]) == 0:
                return operands[0]
            case "pow":
                return self._power(*operands)
            case "select":
                return self._choice(*operands)
            case _:
                return None

    def _reciprocal(self, place: int) -> int:
        one = self.constant(1.0)
        node = self.nodes[place]
        if node.kind == "constant":
            return self._folded("div", [self.nodes[one], node])
        return self._added(Scalar("div", (one, place), node.kind), None)

    def _sum(self, one: int, other: int) -> int | None:
        if self.known(one) == 0:
            return other
        if self.known(other) == 0:
            return one
        if one == other:
            return self.made("mul", one, self.constant(2.0))
        return None

    def _product(self, one: int, other: int) -> int | None:
        if self._order(one) < self._order(other):
            one, other = other, one
        factor = self.known(other)
        if factor is not None and factor in (0.0, 1.0):
            return one if factor else other
        node, rank = self.nodes[one], RANK[self.nodes[other].kind]
        scaled = node.operation == "mul" and RANK[self.nodes[node.operands[1]].kind] < 2
        if scaled and (rank == 0 or (rank == 1 and node.kind == "pixel")):
            # (x a) b = x (a b), and a b is made once for all pixels
            return self.made("mul", node.operands[0], self.made("mul", node.operands[1], other))
        return None

    def _power(self, base: int, exponent: int) -> int | None:
        number = self.known(exponent)
        if number is None:
            return None
        if number == 0:
            return self.constant(1.0)
        if number in (0.5, -0.5):
            root = self.made("sqrt", base)
            return root if number > 0 else self.made("div", self.constant(1.0), root)
        if not (number.is_integer() and abs(number) <= 8):
            return None
        found = base
        for digit in bin(int(abs(number)))[3:]:
            found = self.made("mul", found, found)
            found = self.made("mul", found, base) if digit == "1" else found
        return found if number > 0 else self.made("div", self.constant(1.0), found)

    def _choice(self, condition: int, one: int, other: int) -> int | None:
        if one == other:
            return one
        known = self.known(condition)
        return None if known is None else (one if known else other)
