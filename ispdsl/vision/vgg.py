"""The convolutions of VGG-19, for whoever has its weights: what style transfer looks through.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, configuration
E. Tensors are named as in torchvision's `vgg19`, whose linear layers (`classifier.*`) are passed over. No weights come
with ispdsl.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ispdsl.vision.state import load_state

PLANES = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
"""Of each 3x3 convolution; 0 is a 2x2 max pool."""

SHOWN = (1, 6, 11, 20, 29)
"""Layers whose features are shown: the ReLU after the first convolution of each group, conv1_1 to conv5_1."""

MEAN = (0.485, 0.456, 0.406)
SPREAD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue that pictures were normalised with in training."""

SMALLEST = 16
"""Px of a picture's side that four poolings leave something of."""

HEAD = "classifier."
HEAD_BYTES = 4 * (25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000)
"""The names of what is passed over begin so; and its size in float32."""


class VGG19(nn.Module):
    """Pictures ``(B, 3, H, W)``, sRGB in 0..1, of 16 px a side at least, to what five layers see."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for planes in PLANES:
            if planes:
                layers += [nn.Conv2d(before, planes, 3, 1, 1), nn.ReLU()]
                before = planes
            else:
                layers.append(nn.MaxPool2d(2))
        self.named = nn.ModuleDict({"features": nn.Sequential(*layers)})
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)

    def features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Of conv1_1 to conv5_1 after their ReLU, of pictures ``(B, 3, H, W)``, sRGB in 0..1.

        ``(B, 64, H, W)``, ``(B, 128, H/2, W/2)``, ``(B, 256, H/4, W/4)``, ``(B, 512, H/8, W/8)`` and ``(B, 512, H/16,
        W/16)``, all at least 0.

        Raises:
            ValueError: a side has fewer than 16 px.
        """
        if min(pictures.shape[-2:]) < SMALLEST:
            height, width = pictures.shape[-2:]
            raise ValueError(f"VGG-19 takes pictures of {SMALLEST} px a side at least, not {height} x {width}")
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        found: list[Tensor] = []
        for place, layer in enumerate(list(self.named["features"].children())[: SHOWN[-1] + 1]):
            x = layer(x)
            if place in SHOWN:
                found.append(x)
        return tuple(found)


def load_vgg19(path: str | Path) -> VGG19:
    """The network with weights from a file of a state dict, ready to be looked through.

    Raises:
        RunError: the file cannot be read, or holds no weights of VGG-19.
    """
    model = VGG19()
    load_state(model.named, Path(path), passed_over=HEAD, beside=HEAD_BYTES)
    model.eval().requires_grad_(False)
    return model
