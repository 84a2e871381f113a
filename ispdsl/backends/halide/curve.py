"""Where a program's planes part: the last value that is made of several planes, and the curve that each takes after it.

Powers and divisions need many registers. Code that takes three planes through them at once has too few, and spends its
time on writing numbers to memory and reading them again; so planes go through the curve one after the other.
"""

from __future__ import annotations

from ispdsl.backends.halide.elementwise import COST, ELEMENTWISE
from ispdsl.backends.halide.rules import name_of
from ispdsl.backends.halide.traced import Trace

WORTH_PARTING = 16
"""Additions that a curve must cost for the planes to be kept before it."""


def before_curve(trace: Trace, given: set[int], result: int) -> int | None:
    """The node after which every sample of a result is a function of one sample; None where the planes do not part.

    Args:
        trace: of the pipeline.
        given: nodes whose values are there.
        result: a node of three axes or more.
    """
    shape = trace.nodes[result].shape
    if shape[-3:-2] in ((), (1,)):
        return None
    waiting, cost, found = {result}, 0, None
    for node in reversed(trace.nodes[: result + 1]):
        if node.number not in waiting:
            continue
        if waiting == {node.number} and cost >= WORTH_PARTING and node.number not in given:
            found = node.number
        own = name_of(node)
        if node.number in given or not (own in ELEMENTWISE or own in COST) or node.shape != shape:
            break
        waiting = waiting - {node.number} | set(node.sources)
        cost += COST.get(own, 1)
    return found
