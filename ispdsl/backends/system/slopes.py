"""Derivatives of numbers by the settings, in forward mode, with as few products as the graph allows.

A tangent has an entry for each setting. Carried through a tone curve of forty operations, fourteen entries would be
multiplied forty times. But where all of a number's operands depend on one and the same number before them, the chain
rule needs one factor: a tangent is written as ``factor * tangent of a base + what came in since``, and the entries are
multiplied out once, where paths of different bases meet. In the words of Griewank and Walther, "Evaluating
Derivatives", 2nd edition, 2008, chapter 10, local derivatives are preaccumulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ispdsl.backends.system.scalars import Scalars

Entries = dict[int, int]
"""By setting, the place of the derivative; what is left out is zero."""

FEW = 2
"""Entries that need no base: they are carried along as they are."""


@dataclass(frozen=True)
class Tangent:
    """``factor * tangent of base + entries``."""

    base: int | None
    factor: int
    entries: Mapping[int, int]


class Slopes:
    """The tangents of numbers of a graph, found as they are asked for; what they are made of is added to the graph.

    Only the first `size` settings move.
    """

    def __init__(self, scalars: Scalars, size: int) -> None:
        self._size = size
        self._scalars = scalars
        self._zero, self._one = scalars.constant(0.0), scalars.constant(1.0)
        self._nothing = Tangent(None, self._zero, {})
        self._tangents: dict[int, Tangent] = {}
        self._bases: dict[int, Entries] = {}

    def of(self, place: int) -> Entries:
        """Derivatives of a number by the settings.

        Raises:
            KeyError: an operation on the way has no derivative here.
        """
        needed = {place}
        for each in range(place, -1, -1):
            if each in needed:
                needed.update(self._scalars.nodes[each].operands)
        for each in sorted(needed):
            if each not in self._tangents:
                self._tangents[each] = self._tangent(each)
        return self._written_out(self._tangents[place])

    def _tangent(self, place: int) -> Tangent:
        node = self._scalars.nodes[place]
        if node.operation == "setting":
            return Tangent(None, self._zero, {int(node.value): self._one} if node.value < self._size else {})
        if node.is_truth or not node.operands:
            return self._nothing
        if node.operation == "select":
            return self._select(place, *node.operands)
        parts = [
            (self._tangents[each], PARTIALS[node.operation][number])
            for number, each in enumerate(node.operands)
            if node.operation not in STILL and (self._tangents[each].base is not None or self._tangents[each].entries)
        ]
        if not parts:
            return self._nothing
        given = [(tangent, partial(self._scalars, place, node.operands)) for tangent, partial in parts]
        bases = {tangent.base for tangent, _ in given} - {None}
        if len(bases) > 1:
            return self._based(place, [(self._written_out(tangent), partial) for tangent, partial in given])
        if not bases:
            return self._based(place, [(tangent.entries, partial) for tangent, partial in given])
        factor = self._zero
        for tangent, partial in given:
            factor = self._scalars.made("add", factor, self._scalars.made("mul", tangent.factor, partial))
        entries = self._weighted([(tangent.entries, partial) for tangent, partial in given])
        return Tangent(next(iter(bases)), factor, entries)

    def _select(self, place: int, condition: int, one: int, other: int) -> Tangent:
        first, second = self._tangents[one], self._tangents[other]
        bases = {first.base, second.base} - {None}
        if len(bases) > 1:
            chosen = self._chosen(condition, self._written_out(first), self._written_out(second))
            return self._based(place, [(chosen, self._one)])
        factor = self._scalars.made("select", condition, first.factor, second.factor)
        return Tangent(next(iter(bases), None), factor, self._chosen(condition, first.entries, second.entries))

    def _chosen(self, condition: int, one: Mapping[int, int], other: Mapping[int, int]) -> Entries:
        return {
            setting: self._scalars.made(
                "select", condition, one.get(setting, self._zero), other.get(setting, self._zero)
            )
            for setting in sorted({*one, *other})
        }

    def _based(self, place: int, parts: list[tuple[Mapping[int, int], int]]) -> Tangent:
        """A tangent that is multiplied out, and what follows can be based on."""
        entries = self._weighted(parts)
        if len(entries) <= FEW or self._scalars.nodes[place].kind != "pixel":
            return Tangent(None, self._zero, entries)
        self._bases[place] = entries
        return Tangent(place, self._one, {})

    def _weighted(self, parts: list[tuple[Mapping[int, int], int]]) -> Entries:
        """The sum of entries times numbers."""
        total: Entries = {}
        for entries, partial in parts:
            for setting, entry in entries.items():
                term = self._scalars.made("mul", entry, partial)
                total[setting] = self._scalars.made("add", total[setting], term) if setting in total else term
        return {setting: entry for setting, entry in sorted(total.items()) if entry != self._zero}

    def _written_out(self, tangent: Tangent) -> Entries:
        if tangent.base is None:
            return dict(tangent.entries)
        return self._weighted([(self._bases[tangent.base], tangent.factor), (tangent.entries, self._one)])


Partial = Callable[[Scalars, int, tuple[int, ...]], int]
"""The derivative of a result, which is named, by one of its operands, which are named as well."""


def _one(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.constant(1.0)


def _other(number: int) -> Partial:
    return lambda s, result, given: given[number]


def _result(factor: float) -> Partial:
    return lambda s, result, given: s.made("mul", result, s.constant(factor))


def _over(factor: float) -> Partial:
    """A constant over the operand."""
    return lambda s, result, given: s.made("mul", s.made("div", s.constant(1.0), given[0]), s.constant(factor))


def _of_divisor(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("mul", s.made("div", result, given[1]), s.constant(-1.0))


def _of_base(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    base, exponent = given
    lower = s.made("pow", base, s.made("sub", exponent, s.constant(1.0)))
    found = s.made("mul", lower, exponent)
    return s.made("select", s.made("eq", exponent, s.constant(0.0)), s.constant(0.0), found)


def _of_exponent(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    base, zero = given[0], s.constant(0.0)
    found = s.made("mul", result, s.made("log", base))
    return s.made("select", s.made("eq", base, zero), zero, found)


def _larger(operation: str, number: int) -> Partial:
    """Of `max` and `min`: half of each where both are equal, as in torch."""

    def partial(s: Scalars, result: int, given: tuple[int, ...]) -> int:
        mine, other = given[number], given[1 - number]
        half = s.made("select", s.made("eq", mine, other), s.constant(0.5), s.constant(0.0))
        return s.made("select", s.made(operation, mine, other), s.constant(1.0), half)

    return partial


def _of_root(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("div", s.constant(0.5), result)


def _of_sigmoid(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("mul", result, s.made("sub", s.constant(1.0), result))


def _of_tanh(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("sub", s.constant(1.0), s.made("mul", result, result))


def _of_log1p(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("div", s.constant(1.0), s.made("add", given[0], s.constant(1.0)))


def _of_atan(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    square = s.made("mul", given[0], given[0])
    return s.made("div", s.constant(1.0), s.made("add", square, s.constant(1.0)))


def _of_cos(s: Scalars, result: int, given: tuple[int, ...]) -> int:
    return s.made("mul", s.made("sin", given[0]), s.constant(-1.0))


PARTIALS: Mapping[str, tuple[Partial, ...]] = {
    "add": (_one, _one),
    "mul": (_other(1), _other(0)),
    "div": (lambda s, result, given: s.made("div", s.constant(1.0), given[1]), _of_divisor),
    "pow": (_of_base, _of_exponent),
    "max": (_larger("gt", 0), _larger("gt", 1)),
    "min": (_larger("lt", 0), _larger("lt", 1)),
    "abs": (lambda s, result, given: s.made("sign", given[0]),),
    "sqrt": (_of_root,),
    "exp": (_result(1.0),),
    "exp2": (_result(math.log(2.0)),),
    "expm1": (lambda s, result, given: s.made("add", result, s.constant(1.0)),),
    "log": (_over(1.0),),
    "log2": (_over(1 / math.log(2.0)),),
    "log1p": (_of_log1p,),
    "sigmoid": (_of_sigmoid,),
    "tanh": (_of_tanh,),
    "softplus": (lambda s, result, given: s.made("sigmoid", given[0]),),
    "sin": (lambda s, result, given: s.made("cos", given[0]),),
    "cos": (_of_cos,),
    "atan": (_of_atan,),
}
"""By the operation, for each of its operands."""

STILL = frozenset({"floor", "ceil", "trunc", "round", "sign", "stop"})
"""Operations through which nothing moves."""
