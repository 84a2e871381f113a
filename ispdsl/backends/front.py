"""What lies before everything that varies, computed once; and the rest of the pipeline on any part of the picture.

A search renders one raw again and again with a few settings free. The rest of the pipeline, from the first stage that
a free setting reaches, can be run on some pixels alone where it looks at nothing but the pixel, and on parts with a
border as wide as it looks where it looks at neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.backends.still import still_nodes
from ispdsl.ir.types import Type

Cut = Callable[[Tensor], Tensor]
"""Takes some pixels out of an image ``(..., C, H, W)``: ``(..., C, h, w)``."""


@dataclass(frozen=True, eq=False)
class Front:
    """What the rest of a pipeline reads, for one image.

    Attributes:
        composite: the whole pipeline.
        image: ``(C, H, W)``.
        images: what the rest reads of what is computed once, by name.
        numbers: the same of what is no image, such as statistics.
        reach: how far the rest looks, in pixels.
        size: height and width of all images.
        moving: nodes of the rest.
    """

    composite: Composite
    image: Tensor
    images: Mapping[str, Tensor]
    numbers: Mapping[str, Tensor]
    reach: int
    size: tuple[int, int]
    moving: frozenset[str]

    def part(self, cut: Cut) -> tuple[Composite, Tensor]:
        """The rest of the pipeline for a part of the image, and the image to call it with."""
        return self.of({name: cut(each) for name, each in self.images.items()}, self.numbers, cut(self.image))

    def of(
        self, images: Mapping[str, Tensor], numbers: Mapping[str, Tensor], image: Tensor
    ) -> tuple[Composite, Tensor]:
        """The same with images and numbers in the places of what was computed once."""
        lead = image.shape[:-3]
        given = {**images, **{name: each.expand(*lead, *each.shape) for name, each in numbers.items()}}
        own = self.composite.plan.graph.inputs[0].name
        done = [_answering(step, given, own, image) for step in self.composite.steps if step.node not in self.moving]
        rest = [step for step in self.composite.steps if step.node in self.moving]
        return self.composite.replaced([*done, *rest]), image


def front_of(
    composite: Composite,
    image: Tensor,
    settings: Mapping[str, Any],
    metadata: Mapping[str, Tensor],
    moving: Collection[str],
) -> Front | None:
    """What lies before the settings that vary, or None where the rest cannot be run on a part of the picture.

    It cannot where it takes statistics, may look at the whole picture or at the frame before, or changes its size.

    Args:
        composite: as compiled.
        image: ``(C, H, W)``.
        settings: of everything, as the composite takes them.
        metadata: of the image.
        moving: addresses of the settings that vary.

    Raises:
        RunError: as the composite itself.
    """
    still = still_nodes(composite, moving)
    rest = [step for step in composite.steps if step.node not in still]
    reach = _reach(composite, [step.node for step in rest])
    if image.dim() != 3 or composite.feeds_back or reach is None or not rest:
        return None
    made = {name for step in composite.steps if step.node in still for name, _ in step.outputs}
    read = {name for step in rest for name in (*step.images, *(value for _, value in step.needs))} & made
    results = {str(value) for value in composite.plan.graph.results.values()}
    if results & made:
        return None
    found: dict[str, Tensor] = {}

    def recording(step: Step) -> Step:
        function = step.program.function

        def record(*images: Tensor, **keywords: Any) -> Any:
            result = function(*images, **keywords)
            several = result if isinstance(result, tuple | list) else (result,)
            found.update({name: each for (name, _), each in zip(step.outputs, several, strict=True) if name in read})
            return result

        return replace(step, program=Program(record, step.program.layout))

    with torch.no_grad():
        whole = composite.replaced([recording(step) if step.node in still else step for step in composite.steps])
        picture = whole(image, settings, metadata).image
    kinds = {name: type_.is_image for step in composite.steps for name, type_ in step.outputs}
    images = {name: each for name, each in found.items() if kinds[name]}
    numbers = {name: each for name, each in found.items() if not kinds[name]}
    height, width = picture.shape[-2:]
    if any(each.shape[-2:] != (height, width) for each in (*images.values(), image)):
        return None
    return Front(composite, image, images, numbers, reach, (height, width), frozenset(step.node for step in rest))


def _reach(composite: Composite, nodes: Collection[str]) -> int | None:
    """How far some nodes look together; None where they may look everywhere."""
    planned = {step.node: step for step in composite.plan.steps}
    calls = {call.address: call for call in composite.plan.graph.calls}
    reaches = [planned[node].reach for node in nodes]
    if any(calls[node].statistic or calls[node].previous for node in nodes):
        return None
    return None if any(isinstance(each, str) for each in reaches) else max(map(int, reaches), default=0)


def _nothing(type_: Type, like: Tensor) -> Tensor:
    """In the place of what nobody reads."""
    sizes = (type_.planes, *like.shape[-2:]) if type_.is_image else [n for n in type_.args if isinstance(n, int)]
    return torch.zeros((), dtype=like.dtype).expand(*like.shape[:-3], *sizes)


def _answering(step: Step, given: Mapping[str, Tensor], own: str, like: Tensor) -> Step:
    """A step that gives what it gave. It reads the image for the batch alone."""
    results = tuple(given[name] if name in given else _nothing(type_, like) for name, type_ in step.outputs)
    before = like.shape[:-3]

    def answer(image: Tensor) -> tuple[Tensor, ...]:
        lead = image.shape[:-3]
        return results if lead == before else tuple(each.expand(*lead, *each.shape) for each in results)

    return replace(
        step, program=Program(answer, {}), images=(own,), needs=(), parameters=(), metas=(), frees=(), keeps_size=False
    )
