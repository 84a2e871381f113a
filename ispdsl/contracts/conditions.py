"""``when``: what it leaves free, and whether it holds."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.ir.model import Condition, Property
from ispdsl.ir.params import Array

Conditions = tuple[Condition, ...]
Bounds = tuple[float, float]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
NONE = (-float("inf"), float("inf"))


def bounds_of(name: str, conditions: Iterable[Condition]) -> Bounds:
    """The range that comparisons of `name` with numbers leave it; the ends may be excluded."""
    low, high = NONE
    for condition in conditions:
        right = condition.right
        if condition.left != name or not isinstance(right, float | int) or isinstance(right, bool):
            continue
        if condition.operator in (">=", ">", "=="):
            low = max(low, right)
        if condition.operator in ("<=", "<", "=="):
            high = min(high, right)
    return low, high


def pinned(name: str, conditions: Iterable[Condition]) -> Any:
    """What ``name == value`` says that it is; None where nothing does."""
    found = [each.right for each in conditions if each.left == name and each.operator == "=="]
    return found[0] if found else None


def holds(condition: Condition, case: Case) -> bool:
    """Whether a condition holds in a case: of images, tables and vectors for every element."""
    left = value_of(condition.left, case)
    right = condition.right
    if isinstance(right, str) and (right in case.arguments or right in case.images):
        right = value_of(right, case)
    if isinstance(left, str | bool):
        return OPERATORS[condition.operator](left, right)
    if isinstance(right, str):
        return True  # `== identity`: the strategy gave it that
    return bool(torch.all(OPERATORS[condition.operator](_tensor(left), _tensor(right))))


def value_of(name: str, case: Case) -> Any:
    """A parameter, a value of metadata, a statistic or an image of a case."""
    return case.images[name] if name in case.images else case.arguments[name]


def all_hold(line: Property, case: Case) -> bool:
    """Whether the line says anything about this case."""
    return all(holds(condition, case) for condition in line.when)


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Array):
        return torch.tensor(value.values, dtype=torch.float64).reshape(value.shape)
    return torch.as_tensor(value, dtype=torch.float64)
