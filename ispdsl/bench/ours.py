"""The pipeline itself: its composite in plain torch, and compiled by torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ispdsl.bench.contender import Call
from ispdsl.bench.job import Job, frame_of, graph_of, part_of, settings_of

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.composite import Composite
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
    """The composite by torch.compile (inductor), for this size."""
    import torch

    ready = prepared(job, frame_of(job))
    compiled = _compiled(ready)

    def call() -> object:
        with torch.no_grad():
            return compiled(ready.image, ready.settings, ready.metadata, ready.previous).image

    return call


def gradient(job: Job) -> Call:
    """The gradient of a mean square to all free numbers, in plain torch."""
    ready = prepared(job, part_of(job))
    return _gradient(ready, ready.composite)


def gradient_compiled(job: Job) -> Call:
    """The same by torch.compile."""
    ready = prepared(job, part_of(job))
    return _gradient(ready, _compiled(ready))


def _compiled(ready: Prepared) -> Any:
    import torch

    torch._dynamo.reset()
    return torch.compile(ready.composite, dynamic=False)


def _gradient(ready: Prepared, composite: Any) -> Call:
    import torch

    from ispdsl.bench.contender import ContenderError

    if not ready.free:
        raise ContenderError(f"{ready.composite.name} has no free number")
    with torch.no_grad():
        target = 0.9 * ready.composite(ready.image, ready.settings, ready.metadata, ready.previous).image
    leaves = {address: ready.settings[address].clone().requires_grad_() for address in ready.free}
    settings = {**ready.settings, **leaves}

    def call() -> object:
        image = composite(ready.image, settings, ready.metadata, ready.previous).image
        return torch.autograd.grad((image - target).square().mean(), list(leaves.values()), allow_unused=True)

    return call
