"""A composite whose programs are called through something that watches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step

Results = Tensor | tuple[Tensor, ...]
Around = Callable[[Step, Callable[..., Results], tuple[Tensor, ...], dict[str, Any]], Results]
"""Called in place of each program with its step, the program, its images and keywords; gives the program's results."""


def watched(composite: Composite, around: Around) -> Composite:
    """The same composite; `around` calls its programs. Settings, tables and doubles are shared."""

    def through(step: Step) -> Step:
        def call(*images: Tensor, **keywords: Any) -> Results:
            return around(step, step.program.function, images, keywords)

        return replace(step, program=Program(call, step.program.layout))

    return composite.replaced(map(through, composite.steps))


def results_of(results: Results) -> tuple[Tensor, ...]:
    """The results of a program as a tuple."""
    return (results,) if isinstance(results, Tensor) else tuple(results)
