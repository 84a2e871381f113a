"""How a lowered program runs: strips of rows side by side on the cores, and windows that slide down each strip.

Every kept value is computed a row (or two) at a time, just before the rows that read it, and the rows that its
stencils still need stay in memory. So the whole program runs in the cache, and no row of a strip is computed twice.
Rows go in pairs where something depends on whether a row is even: then both kinds are straight code.
"""

from __future__ import annotations

import halide as hl

from ispdsl.backends.halide.keeping import C, X, Y
from ispdsl.backends.halide.lowering import Lowered

STRIP = 32
"""Rows of a strip: more cost balance, fewer repeat more rows at their tops."""

LANES = 32
"""Samples of a vector: four registers of AVX2, so that polynomials, whose steps wait for each other, overlap."""


FOLDED = 8
"""Rows that are there of each plane of a kept value: they fit into the cache, and a whole strip does not."""


def schedule(program: Lowered, strip: int = STRIP, lanes: int = LANES, folded: int | None = FOLDED) -> None:
    """Schedule a program in place.

    Args:
        program: as it was lowered.
        strip: rows that run on one core.
        lanes: samples of a vector.
        folded: rows of what is kept that are there at a time; None for all of a strip. Where a stencil reaches
            further, Halide says so when the program is compiled or run.
    """
    planes, rows, columns = program.shape
    strips, within, pair, row = hl.Var("strips"), hl.Var("within"), hl.Var("pair"), hl.Var("row")
    paired = any(any(each.kept.turns) or each.kept.steps != (1, 1) for each in program.stored)
    result = program.result
    result.bound(C, 0, planes).bound(X, 0, columns).bound(Y, 0, rows)
    strip = min(strip, rows + rows % 2)
    guard = hl.TailStrategy.GuardWithIf
    inner = (X, C) if program.parted else (C, X)
    if paired:
        result.split(Y, strips, within, strip, guard).split(within, pair, row, 2, guard)
        result.reorder(*inner, row, pair, strips)
        each_row = pair
    else:
        result.split(Y, strips, within, strip, guard).reorder(*inner, within, strips)
        each_row = within
    result.unroll(C).parallel(strips)
    if columns >= lanes:
        result.vectorize(X, lanes)
    result.never_partition([strips, each_row])
    for each in program.stored:
        function, turns = each.function, each.kept.turns
        function.compute_at(result, each_row).store_at(result, strips).never_partition([Y])
        function.bound(C, 0, len(each.kept.planes)).reorder(C, X, Y).unroll(C)
        if turns[1]:
            function.align_bounds(X, 2)
        if turns[0]:
            function.align_bounds(Y, 2).unroll(Y, 2)
        if columns // each.kept.steps[1] >= lanes:
            function.vectorize(X, lanes)
        if folded is not None:
            function.fold_storage(Y, folded)
        for number in range(function.num_update_definitions()):
            function.update(number).unscheduled()
