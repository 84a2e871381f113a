"""The pipeline itself, lowered to Halide."""

from __future__ import annotations

import os

from ispdsl.bench.contender import Call, ContenderError
from ispdsl.bench.job import Job, frame_of


def forward(job: Job) -> Call:
    """One program for this size, these settings and this metadata; codes as the file has them."""
    os.environ["HL_NUM_THREADS"] = str(job.threads)
    from ispdsl.backends.halide.compiled import lower
    from ispdsl.backends.halide.rendering import coded
    from ispdsl.bench.ours import prepared

    ready = prepared(job, frame_of(job))
    if ready.previous is not None:
        raise ContenderError("the pipeline asks for statistics of the frame before", "compare torch alone: --against")
    image = coded(ready.image)
    program = lower(ready.composite, ready.settings, ready.metadata, tuple(image.shape), image.dtype)
    return lambda: program(image)
