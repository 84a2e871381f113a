"""Export to a file of torch.export, which torch runs without ispdsl."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.export.closeness import Closeness, held_to, of_outputs, together
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.module import Whole, whole_of
from ispdsl.export.source import Call, Source, call_of, composite_of, rendered
from ispdsl.export.trace import SIDES, Traced, traced, traced_at

LEAST = 60.0
"""dB that a traced pipeline must reach against the composite."""

TRIED = (64, 96)
"""Height and width, at most, of the image that is tried with other sides. They differ: a square may be a case apart."""

RECORD = "ispdsl.json"
"""The file inside of a .pt2 that says what it is."""


@dataclass(frozen=True)
class Trial:
    """A traced pipeline, and how near what was written came to the composite.

    Attributes:
        traced: what was exported.
        closeness: over all sizes that were tried.
        sizes: height and width of those.
    """

    traced: Traced
    closeness: Closeness
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Ready:
    """A pipeline that is ready to be traced, with its composite and a call."""

    source: Source
    composite: Composite
    call: Call
    whole: Whole
    traced: Traced


def export_pt2(
    source: Source,
    path: Path,
    *,
    free: bool = False,
    free_metadata: bool = False,
    least: float = LEAST,
    record: str = "",
) -> Trial:
    """Write a pipeline as a .pt2 file, load it again, and hold it to the composite.

    ``torch.export.load(path).module()(image)`` gives the outputs by name, for ``image`` float32 ``(C, H, W)``; with
    `free` it takes ``settings={address: tensor}``, with `free_metadata` ``metadata={name: tensor}`` besides, all of
    them, in canonical units.

    Args:
        source: the pipeline at its settings.
        path: the file, of suffix .pt2.
        free: settings are inputs; those that are choices and switches are held.
        free_metadata: so is the metadata. Without a frame it always is, for there is none to hold.
        least: dB that it must reach.
        record: JSON that says what it is, kept inside as ``ispdsl.json``.

    Raises:
        ExportError: it cannot be traced, or differs.
        PlanError, CompileError, RunError: as the composite.
        OSError: the file cannot be written.
    """
    ready = prepare(source, free, free_metadata)
    with drafted(path) as draft:
        found = ready.traced
        _save(found, draft, record)
        try:
            trial = _verified(ready, found, draft)
        except AssertionError as error:  # a guard of the trace that this size does not meet
            why = _why_fixed(ready.call.image, error)
            found = traced_at(ready.whole, ready.call.image, found.inputs, source.graph.name, why)
            _save(found, draft, record)
            trial = _verified(ready, found, draft)
        held_to(trial.closeness, least, ".pt2 file")
        return replace(trial, traced=_as_taken(ready, trial.traced, draft))


def prepare(source: Source, free: bool, free_metadata: bool) -> Ready:
    """Compile and trace a source.

    Raises:
        ExportError, PlanError, CompileError, RunError: as `export_pt2`.
    """
    composite = composite_of(source)
    call = call_of(source, composite)
    whole, inputs = whole_of(source, composite, call, free, free_metadata or source.frame is None)
    return Ready(source, composite, call, whole, traced(whole, call.image, inputs, source.graph.name))


def trials(ready: Ready, found: Traced) -> list[Call]:
    """The calls that an export is tried on: that of the source, and a part of its image where the size is open."""
    call = ready.call
    part = _part(call.image)
    if not found.flexible or part is None:
        return [call]
    return [call, Call(part, call.settings, call.metadata)]


def size_of(image: Any) -> tuple[int, int]:
    """Height and width of an image, or of the first of several."""
    first = next(iter(image.values())) if isinstance(image, Mapping) else image
    return int(first.shape[-2]), int(first.shape[-1])


def _why_fixed(image: Any, error: AssertionError) -> str:
    """Why a trace does not take the size that it was made for."""
    if any(side % 2 for side in size_of(image)):
        return "one of its sides is odd; an image of even sides, as by --crop, gives a file for all even sizes"
    guard = str(error).partition("\n")[0]
    return f"a stage does what hangs on the size of its image ({guard})"


def _as_taken(ready: Ready, found: Traced, path: Path) -> Traced:
    """The trace with the sides that its file takes, as found by trying small images.

    torch tells the range of a side, but neither that only even ones are taken, nor which are too small for a stage.
    """
    if not found.flexible:
        return found
    module = torch.export.load(path).module()

    def takes(height: int, width: int) -> bool:
        try:
            with torch.no_grad():
                module(_blank(ready.call.image, height, width), **found.inputs.keywords)
        except (AssertionError, RuntimeError):
            return False
        return True

    large = tuple(max(side // 2 * 2, 2) for side in size_of(ready.call.image))
    small = tuple(min(side, most) for side, most in zip(large, TRIED, strict=True))
    even = small if takes(*small) else large
    odd = all(takes(even[0] + down, even[1] + right) for down, right in ((1, 0), (0, 1), (1, 1)))
    step, says = (1, "") if odd else (2, ", even")
    sides: dict[str, str] = {}
    for axis, name in enumerate(SIDES):
        fitting = (side for side in range(step, even[axis], step) if takes(*_with(even, axis, side)))
        most = found.sides[name].partition("..")[2]
        sides[name] = f"{next(fitting, even[axis])}..{most}{says}"
    return replace(found, sides=sides)


def _with(sides: tuple[int, ...], axis: int, side: int) -> tuple[int, int]:
    return (side, sides[1]) if axis == 0 else (sides[0], side)


def _blank(image: Any, height: int, width: int) -> Any:
    """Images as those that are given, of other sides and all grey."""
    if isinstance(image, Mapping):
        return {name: _blank(each, height, width) for name, each in image.items()}
    return image.new_full((image.shape[0], height, width), 0.5)


def _part(image: Any) -> Any:
    """Half of an image each way, of even sides; none of what is too small for that."""
    if isinstance(image, Mapping):
        parts = {name: _part(each) for name, each in image.items()}
        return None if any(part is None for part in parts.values()) else parts
    height, width = (side // 4 * 2 for side in size_of(image))
    return image[:, :height, :width].contiguous() if min(height, width) >= 16 else None


def _save(found: Traced, path: Path, record: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(found.program, path, extra_files={RECORD: record} if record else None)


def _verified(ready: Ready, found: Traced, path: Path) -> Trial:
    """Load and compare."""
    module = torch.export.load(path).module()
    parts: list[Closeness] = []
    tried = trials(ready, found)
    ports = ready.composite.plan.graph.outputs
    for call in tried:
        wanted = rendered(ready.composite, call, ready.source.seed)
        parts.append(of_outputs(_called(module, call, found, ready.source.seed), wanted, ports))
    sizes = tuple(size_of(call.image) for call in tried)
    return Trial(found, together(parts), sizes)


def _called(module: Any, call: Call, found: Traced, seed: int) -> dict[str, NDArray[np.float32]]:
    with torch.no_grad():
        torch.manual_seed(seed)
        try:
            outputs: dict[str, Tensor] = module(call.image, **found.inputs.keywords)
        except RuntimeError as error:
            first = str(error).partition("\n")[0]
            raise ExportError(f"the .pt2 file does not run: {first}", "please report this with the pipeline") from error
    return {name: image.float().numpy() for name, image in outputs.items()}
