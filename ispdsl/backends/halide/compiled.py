"""A composite with its settings and metadata as a program of Halide for images of one size.

compiled = lower(composite, settings, metadata, (1, 1, 3000, 4000), torch.uint16)
picture = compiled(mosaic)  # (1, 3, 3000, 4000), float32
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import halide as hl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from ispdsl.backends.composite import Composite
from ispdsl.backends.halide.curve import before_curve
from ispdsl.backends.halide.keeping import LeftError, Wanted, keep
from ispdsl.backends.halide.linear import merged
from ispdsl.backends.halide.lowering import Lowered, lowered
from ispdsl.backends.halide.schedule import schedule
from ispdsl.backends.halide.stretches import Stretch, flat, stretches
from ispdsl.backends.halide.tabulated import tabled
from ispdsl.backends.halide.traced import Ref, Trace, trace
from ispdsl.errors import CompileError, RunError

Values = dict[int, Tensor]
"""What is computed so far, by node."""

MOST_KEPT = 5
"""Values that one program keeps: Halide's analysis of what is read takes longer than their number grows."""

MOST_ROWS = 18
"""Rows that what one program keeps is read at, one value after the other: borders make each a case of its own."""

MOST_IN_ALL = 40
"""Values that a pipeline may keep: more take minutes to compile."""

CLOSE = 16
"""Rows or columns that results of one program may differ by."""

CODES: Mapping[torch.dtype, Callable[[], hl.Type]] = {
    torch.uint16: lambda: hl.UInt(16),
    torch.uint8: lambda: hl.UInt(8),
    torch.float32: lambda: hl.Float(32),
}
"""Types that images may come in."""


@dataclass(frozen=True)
class LeftToTorch:
    """An operation that torch computes: where in the pipeline, which, and why."""

    where: str
    target: str
    reason: str


@dataclass(frozen=True)
class Compiled:
    """Callable with an image; not from several threads at once."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    left: tuple[LeftToTorch, ...]
    """What Halide does not compute; empty where it computes everything."""
    programs: tuple[Lowered, ...]
    _trace: Trace = field(repr=False)
    _steps: tuple[Callable[[Values], None], ...] = field(repr=False)
    _spent: tuple[tuple[int, ...], ...] = field(repr=False)
    """What is not read any more after each step."""

    def __call__(self, image: Tensor | NDArray[Any]) -> Tensor:
        """The pipeline's first output, ``(1, C, H, W)`` float32.

        Args:
            image: of the shape (without its leading 1 as well) and the dtype that it is compiled for.

        Raises:
            RunError: it has another shape or dtype.
        """
        given = torch.from_numpy(image) if isinstance(image, np.ndarray) else image
        given = given[None] if given.dim() == len(self.shape) - 1 else given
        if tuple(given.shape) != self.shape or given.dtype != self.dtype:
            what = f"an image of {tuple(given.shape)} in {given.dtype}"
            raise RunError(what, f"it is compiled for {self.shape} in {self.dtype}; compile it for this one")
        values: Values = {0: given.contiguous()}
        output = next(iter(self._trace.outputs.values()))
        for step, spent in zip(self._steps, self._spent, strict=True):
            step(values)
            for number in spent:
                values.pop(number, None)
        return values[output.node] if isinstance(output, Ref) else output


def lower(
    composite: Composite,
    settings: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
) -> Compiled:
    """Compile a composite for images of one shape, with its settings as constants.

    Args:
        composite: of one input, compiled with ``taps=()``.
        settings: by address, as the composite takes them.
        metadata: of the image.
        shape: ``(1, C, H, W)``.
        dtype: of the image: float32, or codes as uint16 or uint8, which save a pass over memory.

    Raises:
        CompileError: a program cannot be traced, or the pipeline is so wide that compiling would take minutes.
        RunError: as the composite itself; or the dtype is not one of these.
    """
    if dtype not in CODES:
        raise RunError(f"images in {dtype} cannot be compiled for", "use float32, uint16 or uint8")
    return compiled(trace(composite, settings, metadata, shape), dtype)


def compiled(traced: Trace, dtype: torch.dtype) -> Compiled:
    """Compile a trace for images that come in a dtype."""
    traced = tabled(merged(traced))
    refused: dict[int, str] = {}
    while True:
        parts = stretches(traced, refused)
        rows = {each for part in parts if part.by_halide for number in part.results for each in flat(traced, number)}
        if rows:
            refused |= dict.fromkeys(rows, "an image in one row")
            continue
        try:
            made = [_halide(traced, part, dtype) if part.by_halide else None for part in parts]
        except LeftError as error:
            refused[error.node.number] = error.reason
            continue
        break
    done = [each.program for programs in made for each in programs or ()]
    _refuse_wide(traced.nodes[stored.kept.node].where for program in done for stored in program.stored)
    made = [programs and [_ready(each, traced, dtype) for each in programs] for programs in made]
    steps: list[Callable[[Values], None]] = []
    read: list[set[int]] = []
    for part, programs in zip(parts, made, strict=True):
        if programs is None:
            steps.append(_torch(traced, part))
            read.append({source for number in part.nodes for source in traced.nodes[number].sources})
        else:
            steps += [_compiled(each, traced) for each in programs]
            read += [set(each.program.inputs) for each in programs]
    outputs = {value.node for value in traced.outputs.values() if isinstance(value, Ref)}
    by_torch = [number for part in parts if not part.by_halide for number in part.nodes]
    left = [
        LeftToTorch(node.where, node.target, refused.get(node.number, "no rule, or made of what has none"))
        for node in (traced.nodes[number] for number in by_torch)
    ]
    lowered_programs = tuple(each.program for programs in made if programs is not None for each in programs)
    spent = _spent(read, outputs)
    return Compiled(traced.nodes[0].shape, dtype, tuple(left), lowered_programs, traced, tuple(steps), spent)


def _refuse_wide(kept: Iterable[str]) -> None:
    """Refuse a pipeline that keeps too many values; of each is given where it is computed."""
    counts = Counter(kept)
    if counts.total() > MOST_IN_ALL:
        what = f"the pipeline keeps {counts.total()} values between its stencils, up to {MOST_IN_ALL} are taken"
        where, most = counts.most_common(1)[0]
        hint = f"{where} keeps {most} of them: choose a simpler method there, or run it all by torch"
        raise CompileError(f"{what}: Halide would compile for minutes", hint)


def _spent(read: list[set[int]], outputs: set[int]) -> tuple[tuple[int, ...], ...]:
    """What no step after each reads."""
    later, found = set(outputs), list[tuple[int, ...]]()
    for each in reversed(read):
        found.append(tuple(sorted(each - later)))
        later |= each
    return tuple(reversed(found))


@dataclass(frozen=True)
class _Group:
    """A program, and the nodes whose planes it gives."""

    program: Lowered
    again: Callable[[], Lowered]
    """Lowers it anew: a program can be scheduled once."""
    results: tuple[int, ...]


def _halide(trace_: Trace, part: Stretch, dtype: torch.dtype) -> list[_Group]:
    """The programs of a stretch: one for each size of its results, and several where one would be too large."""
    own = set(part.nodes)
    given = {node.number for node in trace_.nodes if node.number not in own}
    for number in part.results:
        if len(trace_.nodes[number].shape) < 2:
            raise LeftError(trace_.nodes[number], f"a result of shape {trace_.nodes[number].shape}")
    groups = _by_size(trace_, part.results)
    return [each for group in groups for each in _programs(trace_, given, group, {0: CODES[dtype]()})]


def _programs(trace_: Trace, given: set[int], results: list[int], types: Mapping[int, hl.Type]) -> list[_Group]:
    """One program, or where it would keep too much, one for what is kept first and others for the rest."""
    wanted = keep(trace_, given, results)
    _refuse_wide(trace_.nodes[number].where for number in wanted.kept)
    first = _first(wanted)
    if len(first) == len(wanted.kept):
        lower_it = partial(_one_program, trace_, wanted, given, results, types)
        return [_Group(lower_it(), lower_it, tuple(results))]
    rest = keep(trace_, given | first, results)
    read = tuple(number for number in sorted(first) if rest.places[number])
    early = [each for group in _by_size(trace_, read) for each in _programs(trace_, given, group, types)]
    return early + _programs(trace_, given | first, results, types)


def _first(wanted: Wanted) -> set[int]:
    """What one program keeps: as much as compiles in seconds, in the order of computing, and one at least."""
    found, rows = set[int](), 0
    for number in sorted(wanted.kept):
        rows += wanted.kept[number].rows_read
        if found and (len(found) == MOST_KEPT or rows > MOST_ROWS):
            break
        found.add(number)
    return found


def _one_program(
    trace_: Trace, wanted: Wanted, given: set[int], results: list[int], types: Mapping[int, hl.Type]
) -> Lowered:
    """A program whose planes part before its last curve, where they do and one more value may be kept."""
    parting = before_curve(trace_, given, results[0]) if len(results) == 1 and len(wanted.kept) < MOST_KEPT else None
    if parting is None or parting in wanted.kept:
        return lowered(trace_, wanted, given, results, types, parted=parting is not None)
    also = keep(trace_, given, results, frozenset({parting}))
    return lowered(trace_, also, given, results, types, parted=True)


def _by_size(trace_: Trace, results: Iterable[int]) -> list[list[int]]:
    """Results that one program may compute together: of about one size."""
    groups: list[list[int]] = []
    for number in results:
        shape = trace_.nodes[number].shape
        alike = next((group for group in groups if _alike(trace_.nodes[group[0]].shape, shape)), None)
        if alike is None:
            groups.append([number])
        else:
            alike.append(number)
    return groups


def _alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two results are so close in size that one program may compute both."""
    return all(abs(a - b) <= CLOSE for a, b in zip(one[-2:], other[-2:], strict=True))


def _ready(group: _Group, trace_: Trace, dtype: torch.dtype) -> _Group:
    """Schedule and compile a program, with folded rows where all that it reads is within them.

    Whether it is hangs on sizes alone, which are those of the image for good: one run tells.
    """
    try:
        schedule(group.program)
        group.program.result.compile_jit(hl.get_jit_target_from_environment())
        blank = {
            number: torch.zeros(trace_.nodes[number].shape, dtype=trace_.nodes[number].dtype if number else dtype)
            for number in group.program.inputs
        }
        _realised(group.program, blank)
    except hl.HalideError:
        group = replace(group, program=group.again())
        schedule(group.program, folded=None)
        group.program.result.compile_jit(hl.get_jit_target_from_environment())
    return group


def _realised(program: Lowered, values: Values) -> Tensor:
    """The planes of all results."""
    given = {number: values[number].contiguous() for number in program.inputs}  # there until the program has run
    for number, tensor in given.items():
        program.inputs[number].set(hl.Buffer(tensor.numpy() if tensor.dim() else tensor.numpy().reshape(1)))
    found = torch.empty(program.shape, dtype=torch.float32)
    program.result.realize(hl.Buffer(found.numpy()))
    return found


def _compiled(group: _Group, trace_: Trace) -> Callable[[Values], None]:
    program = group.program
    nodes = [trace_.nodes[number] for number in group.results]

    def step(values: Values) -> None:
        found = _realised(program, values)
        start = 0
        for node in nodes:
            count, rows, columns = int(np.prod(node.shape[:-2], dtype=np.int64)), *node.shape[-2:]
            planes = found[start : start + count, :rows, :columns]
            values[node.number] = _of_result(planes, node.dtype).reshape(node.shape)
            start += count

    return step


def _of_result(planes: Tensor, dtype: torch.dtype) -> Tensor:
    """Planes of a result in the type that torch has for them; whole numbers come as the bits of 32."""
    return planes.view(torch.int32).to(dtype) if dtype in (torch.int64, torch.int32) else planes.to(dtype)


def _torch(trace_: Trace, part: Stretch) -> Callable[[Values], None]:
    nodes = [trace_.nodes[number] for number in part.nodes]

    def step(values: Values) -> None:
        known: dict[int, Any] = {number: value for number, value in values.items() if number}
        if 0 in values:
            known[0] = values[0].to(torch.float32)
        for node in nodes:
            args, kwargs = tree_map(
                lambda each: known[each.node] if isinstance(each, Ref) else each, (node.args, dict(node.kwargs))
            )
            known[node.number] = args[0][args[1]] if node.function is None else node.function(*args, **kwargs)
        values.update({number: known[number] for number in part.results})

    return step
