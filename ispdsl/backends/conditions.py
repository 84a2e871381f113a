"""What must hold of the sizes of a call so that a program that was traced with other sizes fits them.

Tracing follows one way through a program: where a pyramid has as many levels as the size allows, the levels are those
of the sizes that were traced. What was decided on the way is kept as conditions, such as ``(size + 1) // 2 > 4``, and
a call that breaks one is refused. Conditions are read from a file, so they are worked out here and not by Python.

Conditions that two sizes differ are left out: they say that tracing took the general way, which fits the special case
too, as a slice fits that leaves nothing out. Programs are therefore traced with odd sizes, and tried with even ones.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import cache

Sizes = Mapping[str, tuple[int, ...]]
"""Shapes of what goes in, by names such as ``images.mosaic``."""

LONGEST = 4_000
DEEPEST = 60

ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
CHOICES: dict[str, Callable[[int, int], int]] = {"max": max, "min": min}


def binding(conditions: Iterable[str]) -> tuple[str, ...]:
    """Those conditions that a call must meet, once each.

    Raises:
        ValueError: one is of a form that is not known.
    """
    found = {text: _parsed(text) for text in conditions}
    return tuple(text for text, tree in found.items() if not _says_that_sizes_differ(tree))


def broken(conditions: Iterable[str], sizes: Sizes) -> str | None:
    """The first condition that does not hold.

    Raises:
        ValueError: one is of a form that is not known.
    """
    for text in conditions:
        if not _value(_parsed(text), sizes):
            return text
    return None


@cache
def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ValueError(f"a condition of {len(text)} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no condition") from error
    _value(tree, None)
    return tree


def _says_that_sizes_differ(tree: ast.expr) -> bool:
    """Whether it is ``a != b`` of two sizes; that a size is not 1 is another matter."""
    if not isinstance(tree, ast.Compare) or not isinstance(tree.ops[0], ast.NotEq) or len(tree.ops) > 1:
        return False
    return not any(isinstance(side, ast.Constant) for side in (tree.left, tree.comparators[0]))


def _value(tree: ast.expr, sizes: Sizes | None, depth: int = 0) -> int:
    """The value of a condition or of a part of it, truth as 1; without sizes it is only looked at, with 3 for each."""
    if depth > DEEPEST:
        raise ValueError("a condition that is too deep")

    def value(part: ast.expr) -> int:
        return _value(part, sizes, depth + 1)

    match tree:
        case ast.Constant(value=int() as number):
            return int(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return int(not value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            divisor = value(right)
            if isinstance(op, ast.FloorDiv | ast.Mod) and divisor == 0:
                raise ValueError("a division by zero")
            return ARITHMETIC[type(op)](value(left), divisor)
        case ast.BoolOp(op=op, values=parts):
            found = [value(part) for part in parts]
            return int(all(found) if isinstance(op, ast.And) else any(found))
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(type(op) in COMPARISONS for op in ops):
            sides = [value(side) for side in (left, *rest)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return int(all(COMPARISONS[type(op)](one, other) for op, one, other in pairs))
        case ast.Call(func=ast.Name(id=name), args=[first, *rest], keywords=[]) if name in CHOICES:
            best = value(first)
            for each in rest:
                best = CHOICES[name](best, value(each))
            return best
        case ast.Subscript(value=ast.Call(func=ast.Attribute(value=of, attr="size")), slice=ast.Constant(value=int(n))):
            return 3 if sizes is None else _size(sizes, _name(of), n)
        case _:
            raise ValueError(f"{ast.unparse(tree)} is no condition on sizes")


def _name(tree: ast.expr) -> str:
    """``images.mosaic`` of ``L['images']['mosaic']``."""
    match tree:
        case ast.Name(id="L"):
            return ""
        case ast.Subscript(value=of, slice=ast.Constant(value=str(word))):
            return f"{_name(of)}.{word}".removeprefix(".")
        case _:
            raise ValueError(f"{ast.unparse(tree)} is nothing that goes in")


def _size(sizes: Sizes, name: str, axis: int) -> int:
    try:
        return sizes[name][axis]
    except (KeyError, IndexError) as error:
        raise ValueError(f"{name} has no axis {axis}") from error
