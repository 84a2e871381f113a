"""Runs of stages that mix the planes of each pixel linearly become one matrix: exposure, colour, saturation.

A run is taken by the names of its operations, and its matrix found by asking it about red, green and blue. Random
pixels then have to come out of the matrix as they come out of the run; where they do not, the run stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ispdsl.backends.halide.rules import name_of
from ispdsl.backends.halide.traced import Node, Ref, Trace

ARITHMETIC = frozenset({"add", "sub", "rsub", "mul", "div", "neg", "sum", "mean", "mm", "bmm"})

VIEWS = frozenset(
    {
        *("view", "_unsafe_view", "reshape", "expand", "permute", "transpose", "unsqueeze", "squeeze", "select"),
        *("stack", "clone", "detach", "alias"),
    }
)

MOST_PLANES = 4

WORTH = 6
"""Operations of arithmetic that a run has at least."""

SMALL = (3, 5)
"""Rows and columns of the picture that a run is asked about; sides of a real one must be larger."""

NEAR = 1e-9
"""Of pixels in float64, by the run and by its matrix."""


def mixed_planes(image: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Each pixel's planes times a matrix, plus an offset.

    Args:
        image: ``(..., C, H, W)``.
        matrix: ``(D, C)``.
        offset: ``(D,)``.
    """
    return torch.einsum("dc,...chw->...dhw", matrix, image) + offset[:, None, None]


def merged(trace: Trace) -> Trace:
    """The trace with each run in one node, whose target is ``ispdsl.mixed_planes``."""
    readers: dict[int, set[int]] = {node.number: set() for node in trace.nodes}
    for node in trace.nodes:
        for source in node.sources:
            readers[source].add(node.number)
    outputs = {value.node for value in trace.outputs.values() if isinstance(value, Ref)}
    nodes, inside = list(trace.nodes), set[int]()
    for node in reversed(trace.nodes):
        if node.number in inside or name_of(node) not in ARITHMETIC or not _planes(node):
            continue
        found = _run(trace, node, readers, outputs)
        if found is None:
            continue
        start, run = found
        matrix = _matrix(trace, start, node.number, run)
        if matrix is None:
            continue
        inside |= run
        args = (Ref(start), *(each.to(torch.float32) for each in matrix))
        nodes[node.number] = replace(
            node, target="ispdsl.mixed_planes", function=mixed_planes, args=args, kwargs={}, least=node.least
        )
    return Trace(tuple(nodes), trace.outputs)


def _planes(node: Node) -> bool:
    """Whether it is a picture of a few planes, large enough to ask about a small one instead."""
    *lead, planes, rows, columns = node.shape if len(node.shape) > 2 else (0, 0, 0)
    return (
        all(size == 1 for size in lead)
        and 2 <= planes <= MOST_PLANES
        and min(rows, columns) > max(SMALL)
        and node.dtype == torch.float32
    )


def _alike(node: Node, last: Node) -> bool:
    """Whether one can be had from the other by mixing planes."""
    return node.shape[:-3] == last.shape[:-3] and node.shape[-2:] == last.shape[-2:]


def _run(trace: Trace, last: Node, readers: Mapping[int, set[int]], outputs: set[int]) -> tuple[int, set[int]] | None:
    """The longest run that ends with a node: the node that it reads, and its own nodes."""
    waiting, run, arithmetic = {last.number}, set[int](), 0
    found: tuple[int, set[int]] | None = None
    for node in reversed(trace.nodes[: last.number + 1]):
        if node.number not in waiting:
            continue
        alone = waiting == {node.number} and node.number != last.number
        if alone and _planes(node) and arithmetic >= WORTH and _alike(node, last):
            found = node.number, set(run)
        name = name_of(node)
        seen_outside = node.number != last.number and (readers[node.number] - run or node.number in outputs)
        linear = name in VIEWS or (name in ARITHMETIC and _one_image(node, name))
        if seen_outside or not linear:
            break
        arithmetic += name in ARITHMETIC
        run.add(node.number)
        waiting = waiting - {node.number} | set(node.sources)
    return found


def _one_image(node: Node, name: str) -> bool:
    """Whether no two values of the image are multiplied or divided by each other."""
    if name not in ("mul", "div", "mm", "bmm"):
        return True
    images = [isinstance(each, Ref) for each in node.args[:2]]
    return sum(images) == 1 and (name != "div" or images[0]) and not node.kwargs


def _matrix(trace: Trace, start: int, end: int, run: set[int]) -> tuple[Tensor, Tensor] | None:
    """What a run does to the planes of a pixel, in float64; None where that is no matrix."""
    node = trace.nodes[start]
    planes = node.shape[-3]
    height, width = SMALL
    asked = torch.rand(*node.shape[:-2], height, width, generator=torch.Generator().manual_seed(0)).double() - 0.3
    corner = torch.cat([torch.zeros(planes, 1).double(), torch.eye(planes).double()], 1)
    asked[..., 0, : planes + 1] = corner
    try:
        answered = _asked(trace, start, end, sorted(run), asked)
    except (RuntimeError, IndexError):
        return None
    if answered.shape[-2:] != SMALL:
        return None
    first = answered.reshape(-1, height, width)[:, 0, : planes + 1]
    offset = first[:, 0]
    matrix = first[:, 1:] - offset[:, None]
    near = (mixed_planes(asked, matrix, offset).reshape(answered.shape) - answered).abs().max()
    return (matrix, offset) if float(near) <= NEAR * max(1.0, float(answered.abs().max())) else None


def _asked(trace: Trace, start: int, end: int, run: list[int], image: Tensor) -> Tensor:
    """What the nodes of a run make of a small image."""
    rows, columns = trace.nodes[start].shape[-2:]
    sizes = {rows: image.shape[-2], columns: image.shape[-1], rows * columns: image.shape[-2] * image.shape[-1]}
    values = {start: image}

    def given(value: Any) -> Any:
        if isinstance(value, Ref):
            return values[value.node]
        return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

    for number in run:
        node = trace.nodes[number]
        args = tree_map(given, node.args)
        if name_of(node) in ("view", "_unsafe_view", "reshape", "expand"):
            args = (args[0], [sizes.get(size, size) for size in args[1]])
        assert node.function is not None, "no image is part of a run"
        values[number] = node.function(*args, **tree_map(given, dict(node.kwargs)))
    return values[end]
