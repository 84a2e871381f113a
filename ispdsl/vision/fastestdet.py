"""FastestDet: a detector of 80 kinds of things in 0.24 million weights, without anchors, on one grid of cells.

Written from what https://github.com/dog-qiuqiu/FastestDet says of it and from the graph of its published ONNX file, to
whose answers the tests hold it: features of ShuffleNet V2 from three sizes are brought to a 16th of the picture's; one,
two and three 5x5 convolutions of each plane in parallel look around (as the spatial pyramid pooling of He et al. 2014
does); three heads say of each cell whether there is something, where, and what.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.vision.shufflenet import ShuffleNet, depthwise, pointwise
from ispdsl.vision.state import load_state

SIDE = 352
"""Px of the pictures that it was trained on. Whatever their shape was, they were brought to a square."""

STEP = 32
"""Pictures are as wide and as high as a multiple of this."""

CLASSES = 80
"""Of COCO (Lin et al. 2014), in the order of its 80 names."""

WIDTH = 96


class Cells(NamedTuple):
    """What a detector says of each of ``h x w`` cells of each picture.

    Attributes:
        something: ``(B, h, w)``, logits of there being something whose centre is about here.
        boxes: ``(B, h, w, 4)``: left, top, right, bottom as parts of the picture, 0..1 inside it.
        kinds: ``(B, h, w, 80)``, log probabilities of what it is.
    """

    something: Tensor
    boxes: Tensor
    kinds: Tensor

    @property
    def scores(self) -> Tensor:
        """``(B, h, w, 80)``: something^0.6 kind^0.4, the detector's own weighting."""
        return torch.exp(0.6 * F.logsigmoid(self.something)[..., None] + 0.4 * self.kinds)


def _around(planes: int) -> tuple[nn.Module, ...]:
    return (*depthwise(planes, 5), nn.ReLU())


class _Joined(nn.Module):
    """A normalised 1x1 convolution under the name that the weights have."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*pointwise(inputs, outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x)


class _Pyramid(nn.Module):
    """Looks around in three widths at once."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.Conv1x1 = _Joined(inputs, WIDTH)
        self.S1, self.S2, self.S3 = (
            nn.Sequential(*(layer for _ in range(count) for layer in _around(WIDTH))) for count in (1, 2, 3)
        )
        self.output = nn.Sequential(*pointwise(3 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        joined = self.Conv1x1(x)
        around = torch.cat([self.S1(joined), self.S2(joined), self.S3(joined)], 1)
        return F.relu(joined + self.output(around))


class _Answer(nn.Module):
    """One of the three answers."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(*_around(WIDTH), *pointwise(WIDTH, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv5x5(x)


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1x1 = _Joined(WIDTH, WIDTH)
        self.obj_layers, self.reg_layers, self.cls_layers = _Answer(1), _Answer(4), _Answer(CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.conv1x1(x)
        return self.obj_layers(x), self.reg_layers(x), self.cls_layers(x)


class FastestDet(nn.Module):
    """Pictures ``(B, 3, H, W)``, sRGB in 0..1, to `Cells` at a 16th of their size."""

    def __init__(self) -> None:
        """Make a network with random weights."""
        super().__init__()
        self.backbone = ShuffleNet()
        self.SPP = _Pyramid(48 + 96 + 192)
        self.detect_head = _Head()

    def answers(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three heads as they are: ``(B, 1, h, w)``, ``(B, 4, h, w)``, ``(B, 80, h, w)``.

        Raises:
            RunError: height or width is no multiple of 32.
        """
        height, width = pictures.shape[-2:]
        if height % STEP or width % STEP:
            raise RunError(f"FastestDet takes no pictures of {width} x {height}", f"resize them to multiples of {STEP}")
        eighth, sixteenth, half = self.backbone(pictures.flip(-3))  # it was trained on blue, green, red
        smaller = F.avg_pool2d(eighth, 3, 2, 1)
        larger = F.interpolate(half, scale_factor=2.0, mode="nearest")
        return self.detect_head(self.SPP(torch.cat([smaller, sixteenth, larger], 1)))

    def forward(self, pictures: Tensor) -> Cells:
        """Cells ``(B, H/16, W/16)`` of pictures ``(B, 3, H, W)``; gradients pass.

        The centre of a box is ``tanh`` of two numbers away from its cell's corner, in cells; its size is ``sigmoid`` of
        two others, in pictures.

        Raises:
            RunError: height or width is no multiple of 32.
        """
        something, places, kinds = self.answers(pictures)
        rows, columns = (torch.arange(size, dtype=places.dtype, device=places.device) for size in places.shape[-2:])
        across = (columns + places[:, 0].tanh()) / len(columns)
        down = (rows[:, None] + places[:, 1].tanh()) / len(rows)
        width, height = places[:, 2].sigmoid(), places[:, 3].sigmoid()
        edges = (across - width / 2, down - height / 2, across + width / 2, down + height / 2)
        return Cells(something[:, 0], torch.stack(edges, -1), kinds.log_softmax(1).movedim(1, -1))


def load_fastestdet(path: str | Path) -> FastestDet:
    """The detector with its published weights, ready to be looked through: no gradients of its own weights.

    Raises:
        RunError: the file cannot be read, or holds no weights of this network.
    """
    model = FastestDet()
    load_state(model, Path(path))
    return model
