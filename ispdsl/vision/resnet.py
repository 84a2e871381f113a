"""The residual networks for CIFAR-10 of He, Zhang, Ren and Sun.

"Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2: a 3x3 convolution, three groups of n blocks with
16, 32 and 64 planes at 32, 16 and 8 px, the mean over the picture and a linear layer, 6n + 2 layers in all. Shortcuts
have no weights (option A): where planes are doubled, every other pixel is taken and planes of zeros are added, here
half before and half after, as in the weights of https://github.com/akamaster/pytorch_resnet_cifar10.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.vision.state import load_state

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Of CIFAR-10 (Krizhevsky 2009), in the order of the labels."""

SIDE = 32
"""Px of the pictures that it was trained on."""

MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue that pictures were normalised with in training."""


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (figure 2 of the paper)."""

    def __init__(self, inputs: int, planes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, planes // inputs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same, or to ``(B, 2C, H/2, W/2)``."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        step = self.conv1.stride[0]
        added = (inner.shape[1] - x.shape[1]) // 2
        return F.relu(inner + F.pad(x[..., ::step, ::step], (0, 0, 0, 0, added, added)))


class ResNet(nn.Module):
    """Pictures ``(B, 3, 32, 32)``, sRGB in 0..1, to logits ``(B, 10)`` of `CLASSES`."""

    def __init__(self, depth: int = 20) -> None:
        """Make a network with random weights.

        Raises:
            ValueError: the depth is not 6n + 2.
        """
        super().__init__()
        count, rest = divmod(depth - 2, 6)
        if rest or count < 1:
            raise ValueError(f"a residual network for CIFAR has 6n + 2 layers, such as 20, not {depth}")
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(*(Block(before if index == 0 else planes, planes) for index in range(count)))
            for before, planes in ((16, 16), (16, 32), (32, 64))
        )
        self.linear = nn.Linear(64, len(CLASSES))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``(B, 10)`` of pictures ``(B, 3, H, W)``, sRGB in 0..1."""
        return self.decide(self.features(pictures))

    def decide(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits ``(B, 10)`` of what `features` gave."""
        return self.linear(features[-1].mean((-2, -1)))

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """What the first convolution and the three groups make of pictures ``(B, 3, H, W)``, sRGB in 0..1.

        ``(B, 16, H, W)`` twice, ``(B, 32, H/2, W/2)`` and ``(B, 64, H/4, W/4)``, all at least 0.
        """
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        first = F.relu(self.bn1(self.conv1(x)))
        second = self.layer1(first)
        third = self.layer2(second)
        return first, second, third, self.layer3(third)


def load_resnet(path: str | Path, depth: int = 20) -> ResNet:
    """The network with published weights, ready to be looked through: no dropout, no gradients of its own weights.

    Raises:
        RunError: the file cannot be read, or holds no weights of a network of this depth.
        ValueError: the depth is not 6n + 2.
    """
    model = ResNet(depth)
    load_state(model, Path(path))
    return model
