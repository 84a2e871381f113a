"""A composite in which every picture of a batch has options of its own, as weights.

It is `ispdsl.optimise.mixtures` for many: there all pictures share the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.errors import RunError
from ispdsl.optimise.mixtures import Weighed, alternatives


def chosen_each(composite: Composite, choices: Mapping[str, Weighed]) -> Composite:
    """The same composite, in which each picture has the mean of what the options give it.

    Args:
        composite: as compiled; called with a batch.
        choices: by address, weights ``(B, K)``. An option without weight in any picture is not run.

    Raises:
        CompileError: a call has too many alternatives.
    """
    return composite.replaced([_mixture(step, choices) for step in composite.steps])


def _mixture(step: Step, choices: Mapping[str, Weighed]) -> Step:
    asked, addresses, places = alternatives(step, choices)
    if not asked:
        return step
    function = step.program.function

    def mix(*images: Tensor, **keywords: Any) -> tuple[Tensor, ...]:
        total: list[Tensor] = []
        for place in places:
            taken = dict(zip(addresses, place, strict=True))
            share = torch.stack([choices[each].weights[:, option] for each, option in taken.items()]).prod(0)
            if not bool(share.detach().any()):
                continue
            options = {name: choices[address].options[taken[address]] for name, address in asked}
            result = function(*images, **{**keywords, **options})
            results = tuple(result) if isinstance(result, tuple | list) else (result,)
            weighed = [_weighed(step, each, share) for each in results]
            if total and [each.shape for each in total] != [each.shape for each in weighed]:
                what = f"node {step.node}: its alternatives give pictures of different sizes, which cannot be mixed"
                raise RunError(what, "leave its choices as they are")
            total = [a + b for a, b in zip(total, weighed, strict=True)] if total else weighed
        return tuple(total)

    return replace(step, program=Program(mix, step.program.layout))


def _weighed(step: Step, result: Tensor, share: Tensor) -> Tensor:
    if result.dim() < 1 or len(result) != len(share):
        raise RunError(f"node {step.node} does not give each picture of a batch its own", "leave its choices out")
    return result * share.to(result).reshape(-1, *[1] * (result.dim() - 1))
