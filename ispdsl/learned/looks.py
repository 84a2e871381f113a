"""What a classifier says of what a pipeline makes of raws, with gradients down to the sensor codes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite
from ispdsl.errors import RunError
from ispdsl.learned.attack import Look
from ispdsl.optimise.gradients import upright
from ispdsl.optimise.tasks.user import trusted_function
from ispdsl.vision.classification import at_size
from ispdsl.vision.resnet import CLASSES, SIDE, load_resnet

Classifier = Callable[[Tensor], Tensor]
"""From pictures ``(B, 3, H, W)``, upright, 1 for white, to logits ``(B, classes)``, with gradients."""


def resnet(weights: Path, device: str = "cpu") -> tuple[Classifier, tuple[str, ...]]:
    """The residual network for CIFAR-10 with published weights, which sees means at 32 px; and its classes.

    Raises:
        RunError: the file holds no such weights.
    """
    network = load_resnet(weights).to(device)
    return lambda pictures: network(at_size(pictures, SIDE)), CLASSES


def user_classifier(target: str, trust: Collection[str]) -> Classifier:
    """A classifier that is a function ``package.module:function`` of a trusted package.

    Raises:
        CompileError: it names no function, or one of a package that is not trusted.
        RunError: when it is called: it fails, or gives no tensor.
    """
    function = trusted_function(target, trust, "classifier")

    def classify(pictures: Tensor) -> Tensor:
        try:
            logits = function(pictures)
        except (Exception, SystemExit) as error:  # whatever it does
            raise RunError(f"classifier {target}: {type(error).__name__}: {error}") from error
        if not isinstance(logits, Tensor):
            raise RunError(f"classifier {target}: it gives {type(logits).__name__}", "return logits (B, classes)")
        return logits

    return classify


def looked(
    composite: Composite,
    settings: Mapping[str, Any],
    metadata: Mapping[str, Tensor],
    classifier: Classifier,
    orientation: int = 1,
    peak: float = 1.0,
) -> Look:
    """What a classifier says of raws at some settings.

    Args:
        composite: compiled for the raws.
        settings: canonical values by address.
        metadata: of all the raws.
        classifier: that looks.
        orientation: EXIF orientation of the raws.
        peak: what is white in the numbers of the composite's first output.
    """

    def look(codes: Tensor) -> Tensor:
        made = composite(codes, settings, metadata)
        if composite.feeds_back:  # a still is what a camera settles on
            made = composite(codes, settings, metadata, made.statistics)
        return classifier(torch.stack([upright(each / peak, orientation) for each in made.image]))

    return look
