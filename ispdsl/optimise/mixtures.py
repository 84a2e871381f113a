"""A composite in which some choices and switches are not made: their stages give the mean of all alternatives.

With weights that become one and zeros a mixture ends as one of its alternatives, and gradients go to the weights on the
way: the continuous relaxation of Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
equation 2.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.errors import CompileError, RunError

MOST = 24
"""Alternatives of one call, all its choices together: each is run every time."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """The options of a choice or switch, and how much of each is taken: ``(K,)``, together 1."""

    options: tuple[str | bool, ...]
    weights: Tensor


def mixed(composite: Composite, choices: Mapping[str, Weighed]) -> Composite:
    """The same composite with mixtures in the places of the calls that some choices and switches drive.

    Where a choice drives several calls, each is mixed by itself. Options without weight are not run.

    Args:
        composite: as compiled. Settings at the addresses of `choices` are of no effect in what is returned.
        choices: by address.

    Raises:
        CompileError: a call has too many alternatives.
    """
    return composite.replaced([_mixture(step, choices) for step in composite.steps])


def alternatives(
    step: Step, choices: Mapping[str, Weighed]
) -> tuple[list[tuple[str, str]], list[str], list[tuple[int, ...]]]:
    """What of a call some choices drive, their addresses, and every combination of their options by number.

    Raises:
        CompileError: there are too many combinations.
    """
    driven = [*step.parameters, *((meta.name, given.slot) for meta, given in step.metas if given.slot)]
    asked = [(name, address) for name, address in driven if address in choices]
    addresses = list(dict.fromkeys(address for _, address in asked))
    places = list(itertools.product(*(range(len(choices[each].options)) for each in addresses)))
    if len(places) > MOST:
        what = f"node {step.node}: {', '.join(addresses)} have {len(places)} alternatives, and {MOST} can be mixed"
        raise CompileError(what, "leave some of them as they are; --only names what is free")
    return asked, addresses, places


def _mixture(step: Step, choices: Mapping[str, Weighed]) -> Step:
    asked, addresses, places = alternatives(step, choices)
    if not asked:
        return step
    function = step.program.function

    def mix(*images: Tensor, **keywords: Any) -> tuple[Tensor, ...]:
        found: list[tuple[Tensor, ...]] = []
        shares: list[Tensor] = []
        for place in places:
            taken = dict(zip(addresses, place, strict=True))
            share = torch.stack([choices[each].weights[option] for each, option in taken.items()]).prod()
            if float(share.detach()) == 0:
                continue
            options = {name: choices[address].options[taken[address]] for name, address in asked}
            result = function(*images, **{**keywords, **options})
            found.append(tuple(result) if isinstance(result, tuple | list) else (result,))
            shares.append(share)
        return tuple(_mean(step, each, shares) for each in zip(*found, strict=True))

    return replace(step, program=Program(mix, step.program.layout))


def _mean(step: Step, results: tuple[Tensor, ...], shares: list[Tensor]) -> Tensor:
    shapes = list(dict.fromkeys(tuple(each.shape) for each in results))
    if len(shapes) > 1:
        what = f"node {step.node}: its alternatives give shapes {shapes[0]} and {shapes[1]}, which cannot be mixed"
        raise RunError(what, "leave its choices as they are")
    total = results[0] * shares[0].to(results[0])
    for result, share in zip(results[1:], shares[1:], strict=True):
        total = total + result * share.to(result)
    return total
