"""Tasks that hold pictures to references: PSNR, L1, Charbonnier, gradient, SSIM, CIEDE2000, features of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ispdsl.comparison.colour import colorimetry, luma
from ispdsl.comparison.metrics import ciede2000, ssim
from ispdsl.optimise.losses import Loss, loss_of
from ispdsl.optimise.tasks.task import Picture, Task, View

BEST = 1e-20
"""The mean square below which two pictures are equal: 200 dB."""


def match(
    references: Sequence[Picture],
    views: Sequence[View],
    metric: str = "psnr",
    border: int = 0,
    network: nn.Module | None = None,
) -> Task:
    """Make pictures like references.

    Args:
        references: ``(C, H, W)``, upright, 1 for white, as large as what is rendered.
        views: what is known of each picture.
        metric: ``psnr`` of all pictures together, or the mean over them of ``l1``, ``charbonnier``, ``gradient``,
            ``ssim`` (of luma), ``ciede2000``, ``features`` (of `network`).
        border: px at each side that are not looked at.
        network: whose features are compared, such as a `ispdsl.vision.resnet.ResNet` with somebody's weights.

    Raises:
        ValueError: there is no such metric, a reference is smaller than its border, the metric is not defined in a
            picture's space, or it is of a network and there is none.
    """
    if metric not in {*METRICS, *SHOWN}:
        raise ValueError(f"there is no metric {metric}; it is one of {', '.join((*METRICS, *SHOWN))}")
    if any(min(each.shape[1:]) <= 2 * border for each in references):
        raise ValueError(f"a border of {border} px leaves nothing of a reference")
    wanted = [_inside(each, border) for each in references]

    def pairs(pictures: Sequence[Picture]) -> list[tuple[Picture, Picture]]:
        for picture, reference in zip(pictures, references, strict=True):
            if picture.shape != reference.shape:
                raise ValueError(f"what is rendered is {_size(picture)}, and its reference {_size(reference)}")
        return list(zip([_inside(each, border) for each in pictures], wanted, strict=True))

    losses = [loss_of(metric, view, network) for view in views]
    weights = [each.size for each in wanted] if metric == "psnr" else [1] * len(wanted)

    def loss(pictures: Sequence[Tensor]) -> Tensor:
        found = [
            weight * each(_inside(picture, border), torch.from_numpy(reference).to(picture))
            for each, weight, picture, reference in zip(losses, weights, pictures, wanted, strict=True)
        ]
        return torch.stack(found).sum() / sum(weights)

    task = METRICS[metric](pairs, views) if metric in METRICS else _by_losses(metric, losses, pairs)
    return replace(task, loss=loss)


def decibels(score: float) -> str:
    """The negative of a PSNR in dB, as people read it."""
    return f"PSNR {-score:.2f} dB"


Pixels = TypeVar("Pixels", Picture, Tensor)

Pairs = Callable[[Sequence[Picture]], list[tuple[Picture, Picture]]]


def _psnr(pairs: Pairs, views: Sequence[View]) -> Task:
    def residual(pictures: Sequence[Picture]) -> NDArray[np.float32]:
        return np.concatenate([(one - two).reshape(-1) for one, two in pairs(pictures)])

    def measure(pictures: Sequence[Picture]) -> float:
        return 10 * math.log10(max(float(np.mean(np.square(residual(pictures), dtype=np.float64))), BEST))

    return Task("match, PSNR", measure, decibels, residual, -1)


def _l1(pairs: Pairs, views: Sequence[View]) -> Task:
    def measure(pictures: Sequence[Picture]) -> float:
        return _mean([float(np.mean(np.abs(one - two), dtype=np.float64)) for one, two in pairs(pictures)])

    return Task("match, L1", measure, lambda value: f"L1 {255 * value:.3f} codes of 8 bits")


def _ssim(pairs: Pairs, views: Sequence[View]) -> Task:
    def apart(one: Picture, two: Picture, view: View) -> float:
        sides = [luma(each, view.space, view.metadata) if len(each) == 3 else each[0] for each in (one, two)]
        found = ssim(sides[0], sides[1])
        return math.nan if found is None else 1 - found

    def measure(pictures: Sequence[Picture]) -> float:
        return _mean([apart(*pair, view) for pair, view in zip(pairs(pictures), views, strict=True)])

    return Task("match, SSIM", measure, lambda value: f"SSIM {1 - value:.4f}")


def _ciede2000(pairs: Pairs, views: Sequence[View]) -> Task:
    seen = [colorimetry(view.space, view.metadata) for view in views]
    known = [each for each in seen if each is not None]
    if len(known) < len(seen):
        raise ValueError(f"no colour difference is defined in {views[seen.index(None)].space}")

    def measure(pictures: Sequence[Picture]) -> float:
        return _mean([ciede2000(*pair, each).mean for pair, each in zip(pairs(pictures), known, strict=True)])

    return Task("match, CIEDE2000", measure, lambda value: f"CIEDE2000 {value:.3f}")


METRICS: Mapping[str, Callable[[Pairs, Sequence[View]], Task]] = {
    "psnr": _psnr,
    "l1": _l1,
    "ssim": _ssim,
    "ciede2000": _ciede2000,
}
"""By name."""

SHOWN: Mapping[str, tuple[float, str]] = {
    "charbonnier": (255.0, "Charbonnier {:.3f} codes of 8 bits"),
    "gradient": (255.0, "gradient L1 {:.3f} codes of 8 bits"),
    "features": (1.0, "features {:.5f} apart"),
}
"""Metrics that are measured by their losses: a factor and the words with which they are shown."""


def _by_losses(metric: str, losses: Sequence[Loss], pairs: Pairs) -> Task:
    factor, words = SHOWN[metric]

    def measure(pictures: Sequence[Picture]) -> float:
        with torch.no_grad():
            both = [(torch.from_numpy(np.ascontiguousarray(each)) for each in pair) for pair in pairs(pictures)]
            return _mean([float(loss(*pair)) for loss, pair in zip(losses, both, strict=True)])

    return Task(f"match, {metric}", measure, lambda value: words.format(factor * value))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _inside(picture: Pixels, border: int) -> Pixels:
    _, height, width = picture.shape
    return picture[:, border : height - border, border : width - border]


def _size(picture: Picture) -> str:
    planes, height, width = picture.shape
    return f"{width} x {height} px of {planes} planes"
