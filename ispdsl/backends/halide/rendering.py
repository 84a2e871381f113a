"""One image through a pipeline by Halide: compiled for it, run, and forgotten.

Compiling takes seconds, running 12 MP some tens of milliseconds; so this pays for large images alone. Whoever has many
of one size keeps what `ispdsl.backends.halide.compiled.lower` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.halide.compiled import lower
from ispdsl.backends.rendering import Rendering
from ispdsl.errors import RunError

LARGEST = 2**16 - 1
"""Of codes that are taken as they are."""


def rendered(
    composite: Composite, image: Tensor, settings: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Rendering:
    """Run a pipeline on an image.

    Args:
        composite: of one image and one output, compiled with ``taps=()``.
        image: ``(C, H, W)``.
        settings: values by address, as the composite takes them.
        metadata: canonical values by name.

    Raises:
        RunError: the pipeline has several images or outputs, taps, or statistics of the frame before.
        CompileError: it would take minutes to compile.
    """
    graph = composite.plan.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.taps or composite.feeds_back:
        what = "Halide runs pipelines of one image and one output, without taps and statistics of the frame before"
        raise RunError(what, "run this one by torch: --engine torch")
    given = coded(image[None])
    program = lower(composite, settings, metadata, tuple(given.shape), given.dtype)
    return Rendering({graph.outputs[0].name: program(given)[0]}, {}, {})


def coded(image: Tensor) -> Tensor:
    """An image as the codes of 16 bits that it holds, half as much to read; as float32 where it holds others."""
    if image.dtype == torch.uint16:
        return image
    numbers = image.to(torch.float32)
    whole = bool((numbers >= 0).all() and (numbers <= LARGEST).all() and (numbers == numbers.floor()).all())
    return numbers.to(torch.uint16) if whole else numbers
