"""How far pictures are apart in the features of a network whose weights somebody gives.

Feature reconstruction as in Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", ECCV 2016, equation 2, with features of unit length at each place as in Zhang, Isola, Efros,
Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, section 3.2.
The network is the user's, and nothing weighs its channels: it is no LPIPS, and its numbers compare with those of no
other network.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

FLOOR = 1e-8
"""Features shorter than this are none."""


class Layered(Protocol):
    """A network that shows what its layers see."""

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Of pictures ``(B, 3, H, W)``, sRGB in 0..1: each ``(B, C, h, w)``."""
        ...


def features_apart(network: nn.Module | Layered, one: Tensor, two: Tensor) -> Tensor:
    """The mean over layers of the mean squared distance between features of unit length, ``(B,)``: 0 to 4.

    Args:
        network: its `features` are compared.
        one: ``(B, 3, H, W)``, sRGB in 0..1; gradients pass.
        two: the same.

    Raises:
        ValueError: the network shows no features.
    """
    shown = getattr(network, "features", None)
    if shown is None:
        raise ValueError(f"{type(network).__name__} shows no features; give a ResNet")
    found = [(_unit(a) - _unit(b)).square().sum(1).mean((-2, -1)) for a, b in zip(shown(one), shown(two), strict=True)]
    return torch.stack(found).mean(0)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True) + FLOOR**2).sqrt()
