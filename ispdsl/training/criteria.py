"""The losses by name."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.training.data import TrainingError
from ispdsl.training.loop import Loss

L1, L2, GRADIENT, PERCEPTUAL = "l1", "l2", "l1+gradient", "perceptual"


def l1(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (found - wanted).abs().mean()


def l2(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference."""
    return (found - wanted).square().mean()


def l1_gradient(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of values, and of their differences to the neighbours; of pixels alone that of values.

    Tseng et al., "Neural Photo-Finishing", SIGGRAPH Asia 2022, section 3.2.
    """
    total = l1(found, wanted)
    if found.dim() < 4:
        return total
    off = found - wanted
    return total + torch.stack([off.diff(dim=-1).abs().mean(), off.diff(dim=-2).abs().mean()]).mean()


NAMED: dict[str, Loss] = {L1: l1, L2: l2, GRADIENT: l1_gradient}


def named(name: str) -> Loss:
    """The loss of this name.

    Raises:
        TrainingError: there is none.
    """
    if name not in NAMED:
        raise TrainingError(f"there is no loss {name}", f"choose one of {', '.join(NAMED)}")
    return NAMED[name]


def suited(kind: str) -> str:
    """The loss that a kind of network is trained with where none is named."""
    return L1
