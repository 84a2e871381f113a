"""Costs of a plan as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ispdsl.bench.cost import Cost, Costs
from ispdsl.bench.machine import Facts

LEGEND = """read, written  what the step takes and gives, each once; float32
op/px, fn/px   additions, multiplications and the like; exp, log, powers and the like, for each pixel of the image
torch moves    what torch reads and writes, one of its operations after the other
least ms       what this machine's memory or arithmetic takes at least; bound: which of both
"""


def table(costs: Costs, facts: Facts) -> str:
    """Steps, runs of pointwise steps as one, and sums."""
    roofs, (height, width) = costs.roofs, costs.size
    head = (
        f"{costs.pipeline}: {height} x {width} px, {costs.pixels / 1e6:.1f} MP\n"
        f"{facts.processor}, {facts.threads} {'thread' if facts.threads == 1 else 'threads'}: "
        f"{roofs.bandwidth / 1e9:.1f} GB/s, {roofs.arithmetic / 1e9:.0f} G operations/s, "
        f"{roofs.functions / 1e9:.2f} G functions/s\n"
    )
    columns = ("", "run", "read MB", "written MB", "op/px", "fn/px", "torch moves MB", "least ms", "bound")
    single = [_row(cost, costs) for cost in costs.steps]
    joined = [_row(cost, costs) for cost in costs.fused if len(cost.nodes) > 1]
    sums = [_sum("steps one by one", costs.steps, costs), _sum("runs as one step", costs.fused, costs)]
    parts = [[columns, *single], joined, sums]
    rows = [row for part in parts for row in part]
    widths = [max(len(row[place]) for row in rows) for place in range(len(columns))]
    text = "\n\n".join("\n".join(_line(row, widths) for row in part) for part in parts if part)
    uncounted = f"not counted: {', '.join(costs.uncounted)}\n" if costs.uncounted else ""
    return f"{head}\n{text}\n\n{uncounted}{LEGEND}"


def _row(cost: Cost, costs: Costs) -> tuple[str, ...]:
    joined = len(cost.nodes) > 1
    name = f"{cost.name}: {cost.nodes[0]} .. {cost.nodes[-1]}" if joined else cost.name
    return (name, "" if joined else cost.run or "", *_numbers((cost,), costs), cost.bound)


def _sum(name: str, parts: Sequence[Cost], costs: Costs) -> tuple[str, ...]:
    return (name, "", *_numbers(parts, costs), "")


def _numbers(parts: Sequence[Cost], costs: Costs) -> tuple[str, ...]:
    return (
        f"{sum(each.read for each in parts) / 1e6:.1f}",
        f"{sum(each.written for each in parts) / 1e6:.1f}",
        f"{sum(each.work.operations for each in parts) / costs.pixels:.1f}",
        f"{sum(each.work.functions for each in parts) / costs.pixels:.1f}",
        f"{sum(each.work.moved for each in parts) / 1e6:.1f}",
        f"{1e3 * sum(each.seconds for each in parts):.2f}",
    )


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if place in (0, 1, len(row) - 1) else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def content(costs: Costs, facts: Facts) -> dict[str, Any]:
    """All of it, for programs: bytes, numbers of operations and seconds."""
    return {
        "pipeline": costs.pipeline,
        "size": list(costs.size),
        "machine": {**facts.model_dump(), **costs.roofs.model_dump()},
        "steps": [_content(each) for each in costs.steps],
        "fused": [_content(each) for each in costs.fused],
        "uncounted": list(costs.uncounted),
        "seconds": {
            "steps": sum(each.seconds for each in costs.steps),
            "fused": sum(each.seconds for each in costs.fused),
        },
    }


def _content(cost: Cost) -> dict[str, Any]:
    return {
        "name": cost.name,
        "nodes": list(cost.nodes),
        "run": cost.run,
        "read": cost.read,
        "written": cost.written,
        "operations": cost.work.operations,
        "functions": cost.work.functions,
        "moved_by_torch": cost.work.moved,
        "seconds": cost.seconds,
        "bound": cost.bound,
    }
