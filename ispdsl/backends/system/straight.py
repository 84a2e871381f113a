"""Numbers that depend on settings alone, done one after the other in double precision: some hundreds take no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.system.scalars import FUNCTIONS, Scalars

Numbers = NDArray[np.float64]


def straight(scalars: Scalars, wanted: Sequence[int]) -> Callable[[Numbers], Numbers]:
    """A function from the settings ``(N,)`` to the numbers at some places.

    Args:
        scalars: the graph.
        wanted: places of numbers that depend on no pixel.
    """
    needed = set(wanted)
    for place in range(max(wanted, default=-1), -1, -1):
        if place in needed:
            needed.update(scalars.nodes[place].operands)
    order = sorted(needed)
    lines = {place: line for line, place in enumerate(order)}
    steps: list[tuple[int, Callable[..., object], tuple[int, ...]]] = []
    leaves: list[tuple[int, int]] = []
    values: list[object] = []
    for line, place in enumerate(order):
        node = scalars.nodes[place]
        values.append(np.float64(node.value))
        if node.operation == "setting":
            leaves.append((line, int(node.value)))
        elif node.kind != "constant":
            steps.append((line, FUNCTIONS[node.operation], tuple(lines[each] for each in node.operands)))
    results = [lines[place] for place in wanted]

    def numbers(x: Numbers) -> Numbers:
        found = list(values)
        for line, setting in leaves:
            found[line] = x[setting]
        with np.errstate(all="ignore"):
            for line, function, operands in steps:
                found[line] = function(*[found[each] for each in operands])
        return np.array([found[line] for line in results], np.float64)

    return numbers
