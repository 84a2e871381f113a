"""A network that looks at a raw and gives settings: parameters and attention of Qin et al. 2022.

H. Qin, L. Han, J. Wang, C. Zhang, Y. Li, B. Li, W. Hu: "Attention-aware Learning for Hyperparameter Prediction in Image
Processing Pipelines", ECCV 2022, section 4.2 and figure 2. Where the paper leaves a choice open, or this differs:

- A setting is its start and what the network adds, ``p_i = s_i + sum_j c_i(R_j) g_i(R_j)`` (equation 6 with the start
  taken out of the sum), limited to 0..1. The last layer of g begins at 0, so that the first prediction of every
  picture is its own start, be that one constant or the metadata of its file.
- ``c_i`` is a softmax over the places, so that the sum is a mean. It begins as the plain mean.
- What is seen are logarithms by default, and centred: light of one stop more is the same step in dark and bright raws.
  Weights begin as He et al. 2015 have it, so that what tells raws apart arrives at the last layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.errors import CompileError
from ispdsl.learned.limits import limited
from ispdsl.proxies.mosaic import PHASE

Attention = Literal["none", "single", "multi", "self"]
Encoding = Literal["log", "linear"]

DARK = 2.0**-10
"""Of white: below it the logarithm turns into a straight line."""

MIDDLE, SPREAD = 0.5, 0.2
"""About the mean and the deviation of what is seen; without taking them away all raws look much the same."""

LIMITS = {"count": (1, 4096), "width": (1, 128), "levels": (2, 7), "reduced": (1, 64)}
"""What a network's arguments may be; a file may say anything."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a network says of a batch.

    Attributes:
        values: ``(B, N)`` in 0..1.
        attention: how much each place counts for each number, ``(B, N, h, w)``; over the places together 1.
        local: what each place would add to the start, ``(B, N, h, w)``.
    """

    values: Tensor
    attention: Tensor
    local: Tensor


def colours(
    image: Tensor, cfa: str | None, black: Tensor | None = None, white: Tensor | None = None, reduced: int = 1
) -> Tensor:
    """An image as three planes, 0 for black and 1 for white: R, the mean of both G, and B of a mosaic, at half size.

    Args:
        image: ``(B, 1, H, W)`` codes of a mosaic, or ``(B, 3, H, W)``, which keeps its size.
        cfa: name of the mosaic, as ``rggb``; anything else for three planes.
        black: codes of the sites in reading order, ``(4,)`` or ``(B, 4)``; of three planes the first three sites are
            R, G and B. None for 0.
        white: ``()`` or ``(B,)``; None for 1.
        reduced: so many px a side of what is returned become one, their mean; fewer where an image has not as many.
            Rows and columns that fill no such square are left out.
    """
    black = torch.zeros(4).to(image) if black is None else black.to(image).expand(len(image), 4)
    white = torch.ones(()).to(image) if white is None else white.to(image)[..., None, None, None]
    mosaic = cfa in PHASE
    height, width = image.shape[-2:]
    if mosaic and min(height, width) < 2:
        image = F.pad(image, (0, int(width < 2), 0, int(height < 2)), mode="replicate")
    unit = 2 if mosaic else 1
    reduced = max(min(reduced, *(size // unit for size in image.shape[-2:])), 1)
    if cfa is None or not mosaic:
        planes = F.avg_pool2d(image.expand(-1, 3, -1, -1), reduced) if reduced > 1 else image.expand(-1, 3, -1, -1)
        level = black[..., :3, None, None]
    else:
        share = torch.tensor([[float(letter == colour) / cfa.count(colour) for letter in cfa] for colour in "rgb"])
        share = share.to(image)  # (3, 4): what each site is of each colour's mean
        kernel = share.reshape(3, 1, 2, 2).repeat(1, 1, reduced, reduced) / reduced**2
        planes = F.conv2d(image, kernel, stride=2 * reduced)
        level = (black @ share.T)[..., None, None]
    return (planes - level) / (white - level).clamp_min(1e-6)


class Predictor(nn.Module):
    """From three planes to numbers in 0..1."""

    def __init__(
        self,
        count: int,
        width: int = 8,
        levels: int = 5,
        attention: Attention = "multi",
        encoding: Encoding = "log",
        reduced: int = 1,
    ) -> None:
        """A network that predicts its start until it is trained.

        Args:
            count: numbers that it gives, N.
            width: channels of the first encoder; each further one has twice as many.
            levels: encoders, each at half the size of the one before; five in the paper. Small pictures want fewer, for
                after five a picture of 64 px is a single place.
            attention: ``multi``, a map for each number from all levels; ``single``, one map for all numbers; ``self``,
                self-attention (Vaswani et al. 2017) between the places of the last level, and their mean; ``none``,
                their mean.
            encoding: ``log`` or, as the paper has it, ``linear``.
            reduced: px a side of the planes that are averaged before they are looked at, for large raws; `colours`
                does it, the network only remembers how much.

        Raises:
            CompileError: an argument is none of these.
        """
        super().__init__()
        self.arguments: dict[str, Any] = checked(
            {"count": count, "width": width, "levels": levels, "attention": attention, "encoding": encoding,
             "reduced": reduced}
        )  # fmt: skip
        self.count, self.levels, self.attention, self.encoding = count, levels, attention, encoding
        self.reduced = reduced
        self._scored = attention in ("multi", "single")
        self._middle = (levels + 1) // 2
        widths = [3, *(width * 2**level for level in range(levels))]
        more = int(self._scored)
        self.encoders = nn.ModuleList(nn.Conv2d(into, out + more, 3, padding=1) for into, out in pairwise(widths))
        last = widths[-1]
        hidden = max(4 * width, 16)
        self.own = _Self(last) if attention == "self" else nn.Identity()
        self.local = nn.Sequential(nn.Conv2d(last, hidden, 1), nn.ReLU(), _zero(nn.Conv2d(hidden, count, 1)))
        maps = count if attention == "multi" else 1
        self.scores = nn.Sequential(
            nn.Conv2d(levels, hidden, 3, padding=1), nn.ReLU(), _zero(nn.Conv2d(hidden, maps, 1))
        ) if self._scored else None  # fmt: skip
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and bool(layer.weight.any()):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # keeps what tells raws apart, at any depth

    def forward(self, planes: Tensor, start: Tensor) -> Predicted:
        """Look at pictures.

        Args:
            planes: ``(B, 3, H, W)``, 0 for black and 1 for white, as `colours` gives them; any size.
            start: where each number of each picture is without a prediction, ``(B, N)`` or ``(N,)`` in 0..1.
        """
        features, levels = self._features(self._seen(planes))
        local = self.local(self.own(features))
        attention = self._attention(levels, local)
        found = (attention * local).sum((-2, -1))
        return Predicted(limited(start.to(found) + found), attention, local)

    def _seen(self, planes: Tensor) -> Tensor:
        """What the first encoder is given: encoded, and at least so large that each level has a pixel."""
        if self.encoding == "log":
            planes = torch.log2(1 + planes.clamp_min(-DARK / 2) / DARK) / math.log2(1 + 1 / DARK)
        planes = (planes - MIDDLE) / SPREAD
        least = 2**self.levels
        right, below = (max(least - size, 0) for size in (planes.shape[-1], planes.shape[-2]))
        return F.pad(planes, (0, right, 0, below), mode="replicate") if right or below else planes

    def _features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last encoder's features, and the one channel more that each encoder has for attention."""
        levels: list[Tensor] = []
        for encoder in self.encoders:
            x = F.relu(F.max_pool2d(encoder(x), 2))  # of a rising function, the largest before is the largest after
            if self._scored:
                x, level = x[:, :-1], x[:, -1:]
                levels.append(level)
        return x, levels

    def _attention(self, levels: list[Tensor], local: Tensor) -> Tensor:
        """The weights of the places, ``(B, N, h, w)``."""
        height, width = local.shape[-2:]
        if self.scores is None:
            return torch.full_like(local, 1 / (height * width))
        size = levels[self._middle - 1].shape[-2:]
        zoomed = [
            F.adaptive_max_pool2d(each, size) if each.shape[-1] > size[1] or each.shape[-2] > size[0]
            else F.interpolate(each, size, mode="bilinear", align_corners=False)
            for each in levels
        ]  # fmt: skip
        together = torch.cat(zoomed, 1)
        for _ in range(self.levels - self._middle):
            together = F.max_pool2d(together, 2)
        scores = self.scores(together)
        return torch.softmax(scores.flatten(-2), -1).unflatten(-1, (height, width)).expand_as(local)


class _Self(nn.Module):
    """One head of attention between places, added to what is there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.asked = nn.Conv2d(channels, 3 * channels, 1)
        self.given = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (each.flatten(-2).mT for each in self.asked(x).chunk(3, 1))
        found = F.scaled_dot_product_attention(query, key, value).mT
        return x + self.given(found.unflatten(-1, x.shape[-2:]))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None, "it has one"
    nn.init.zeros_(layer.bias)
    return layer


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a network, as they are.

    Raises:
        CompileError: one is none that a network takes.
    """
    for name, (low, high) in LIMITS.items():
        value = arguments.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise CompileError(f"a predictor of {name} {value!r}", f"{name} is a whole number in {low}..{high}")
    for name, options in (("attention", get_args(Attention)), ("encoding", get_args(Encoding))):
        if arguments.get(name) not in options:
            hint = f"it is one of {', '.join(options)}"
            raise CompileError(f"a predictor of {name} {arguments.get(name)!r}", hint)
    if arguments["width"] * 2 ** arguments["levels"] > 1 << 13:
        what = f"a predictor of width {arguments['width']} and {arguments['levels']} levels is too large"
        raise CompileError(what, "take fewer of one of them")
    return arguments
