"""The pipeline itself: its composite in plain torch, and compiled by torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ispdsl.bench.contender import Call
from ispdsl.bench.job import Job, frame_of, graph_of, part_of, settings_of

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.composite import Composite, Rendering
    from ispdsl.runtime.frame import Frame


@dataclass(frozen=True, eq=False)
class Prepared:
    """A composite and everything that it is called with, in float32."""

    composite: Composite
    image: Tensor
    settings: Mapping[str, Any]
    metadata: Mapping[str, Tensor]
    previous: Mapping[str, Tensor] | None
    """Statistics of the frame before, which is taken to have been the same."""
    free: tuple[str, ...]
    """Addresses of the numbers that gradients can move."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The settings that are numbers."""
        return {address: value for address, value in self.settings.items() if not isinstance(value, str | bool)}

    @property
    def static(self) -> dict[str, str | bool]:
        """Choices and switches."""
        return {address: value for address, value in self.settings.items() if isinstance(value, str | bool)}


def prepared(job: Job, frame: Frame) -> Prepared:
    """The composite of a job for a frame.

    Raises:
        PlanError, CompileError: the pipeline cannot be compiled for such a frame.
        SettingsError: a setting does not fit.
    """
    import torch

    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.passes.select import match
    from ispdsl.runtime.vector import Vector

    torch.set_num_threads(job.threads)
    graph, settings = graph_of(job), settings_of(job, frame)
    types = match(graph, {mosaic_input(graph): frame.type})
    composite = compile(graph, types=types, taps=(), trust=job.trust)
    image, metadata = tensors(frame)
    given = settings_tensors(settings, torch.float32)
    driven = {address for step in composite.plan.steps for address in step.free}
    free = tuple(slot.address for slot in Vector.of(settings).slots if slot.address in driven)
    previous = None
    if composite.feeds_back:
        with torch.no_grad():
            previous = composite(image, given, metadata).statistics
    return Prepared(composite, image, given, metadata, previous, free)


def forward(job: Job) -> Call:
    """The composite in plain torch, one operation after the other."""
    import torch

    ready = prepared(job, frame_of(job))

    def call() -> object:
        with torch.no_grad():
            return ready.composite(ready.image, ready.settings, ready.metadata, ready.previous).image

    return call


def forward_compiled(job: Job) -> Call:
    """The composite by torch.compile (inductor), as one graph for this size."""
    import torch

    ready = prepared(job, frame_of(job))
    compiled = _compiled(ready)

    def call() -> object:
        with torch.no_grad():
            return compiled(ready.image, ready.tensors, ready.metadata, ready.previous).image

    return call


def gradient(job: Job) -> Call:
    """The gradient of a mean square to all free numbers, in plain torch."""
    ready = prepared(job, part_of(job))
    return _gradient(ready, ready.composite)


def gradient_compiled(job: Job) -> Call:
    """The same by torch.compile."""
    ready = prepared(job, part_of(job))
    return _gradient(ready, _compiled(ready))


def _compiled(ready: Prepared) -> Callable[..., Rendering]:
    """A function of image, settings that are tensors, metadata and the frame before.

    The composite is exported first: torch.compile is then given one graph, without the Python around the programs.
    """
    import torch

    class Static(torch.nn.Module):
        """The composite with its choices and switches as they are."""

        def __init__(self) -> None:
            super().__init__()
            self.composite = ready.composite

        def forward(self, image: Tensor, settings: Any, metadata: Any, previous: Any) -> Rendering:
            return self.composite(image, {**ready.static, **settings}, metadata, previous)

    given = (ready.image, ready.tensors, ready.metadata, ready.previous)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(Static(), given, strict=False).module()
    torch.compiler.reset()
    return torch.compile(exported, dynamic=False)


def _gradient(ready: Prepared, composite: Callable[..., Rendering]) -> Call:
    import torch

    from ispdsl.bench.contender import ContenderError

    if not ready.free:
        raise ContenderError(f"{ready.composite.name} has no free number")
    with torch.no_grad():
        target = 0.9 * ready.composite(ready.image, ready.settings, ready.metadata, ready.previous).image
    leaves = {address: ready.tensors[address].clone().requires_grad_() for address in ready.free}
    settings = {**(ready.settings if composite is ready.composite else ready.tensors), **leaves}

    def call() -> object:
        image = composite(ready.image, settings, ready.metadata, ready.previous).image
        return torch.autograd.grad((image - target).square().mean(), list(leaves.values()), allow_unused=True)

    return call
