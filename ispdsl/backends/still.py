"""A composite some of whose steps are done: those that nothing which varies reaches give what they gave before.

A search renders the same raw again and again. What lies before its first free setting need not be computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.programs.ops import broadcast_shapes


def with_still_steps(
    composite: Composite,
    image: Tensor,
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
    moving: Collection[str],
) -> Composite:
    """The same composite for one image, where only some settings will change.

    Args:
        composite: as compiled. What it gives here is kept as long as the new one is.
        image: ``(C, H, W)`` or ``(B, C, H, W)``; the new composite is for no other.
        settings: of everything, as the composite takes them; those that are not `moving` are for good.
        metadata: of the image, for good as well.
        moving: addresses of the settings that will change.

    Raises:
        RunError: as the composite itself.
    """
    still = still_nodes(composite, moving)
    read = {name for step in composite.steps if step.node not in still for name in (*step.images, *_needed(step))}
    read |= {str(value) for value in composite.plan.graph.results.values()}
    read |= {str(value) for value in composite.plan.graph.taps.values()}
    kept: dict[str, tuple[torch.Size, tuple[Tensor, ...]]] = {}
    listening = [_recording(step, kept) if step.node in still else step for step in composite.steps]
    with torch.no_grad():
        composite.replaced(listening)(image, settings, metadata)
    done = [_answering(step, *kept[step.node], read) if step.node in still else step for step in composite.steps]
    return composite.replaced(done)


def still_nodes(composite: Composite, moving: Collection[str]) -> set[str]:
    """Nodes that nothing which varies reaches. A statistic of the frame before varies, and so does what makes it."""
    varies: set[str] = set()
    still: set[str] = set()
    for step in composite.steps:
        driven = {address for _, address in step.parameters} | {given.slot for _, given in step.metas if given.slot}
        before = step.node in composite.fed_back
        reads = {*step.images, *_needed(step)}
        if driven & set(moving) or before or reads & varies:
            varies |= {name for name, _ in step.outputs}
        else:
            still.add(step.node)
    return still


def _needed(step: Step) -> tuple[str, ...]:
    return tuple(name for _, name in step.needs)


def _lead(images: Iterable[Tensor]) -> torch.Size:
    """The batch that images are."""
    return broadcast_shapes(*(image.shape[:-3] for image in images))


def _recording(step: Step, kept: dict[str, tuple[torch.Size, tuple[Tensor, ...]]]) -> Step:
    function = step.program.function

    def record(*images: Tensor, **keywords: Any) -> Any:
        result = function(*images, **keywords)
        kept[step.node] = _lead(images), tuple(result) if isinstance(result, tuple | list) else (result,)
        return result

    return replace(step, program=Program(record, step.program.layout))


def _answering(step: Step, before: torch.Size, given: tuple[Tensor, ...], read: Collection[str]) -> Step:
    """A step that gives what it gave; what nobody reads any more is kept as its shape alone."""
    kept = tuple(
        result if name in read else torch.zeros((), dtype=result.dtype).expand(result.shape)
        for (name, _), result in zip(step.outputs, given, strict=True)
    )

    def answer(*images: Tensor, **_: Any) -> tuple[Tensor, ...]:
        lead = _lead(images)
        return kept if lead == before else tuple(each.expand(*lead, *each.shape) for each in kept)

    return replace(step, program=Program(answer, step.program.layout))
