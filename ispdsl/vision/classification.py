"""How well pictures are told apart: which are told right, and how far the classifier is from it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy in nats of logits ``(B, classes)`` to labels ``(B,)``, with gradients."""
    return F.cross_entropy(logits, labels)


def told_right(model: nn.Module, pictures: Tensor, labels: Tensor, together: int = 256) -> NDArray[np.float64]:
    """1 for each picture ``(B, 3, H, W)`` whose largest logit is its label's, else 0; `together` pictures at a time."""
    with torch.no_grad():
        logits = torch.cat([model(some) for some in pictures.split(together)])
    return (logits.argmax(1) == labels).double().numpy()


def at_size(pictures: Tensor, side: int) -> Tensor:
    """Pictures ``(B, 3, H, W)`` at the size that a classifier looks at: means over equal areas; gradients pass."""
    return F.adaptive_avg_pool2d(pictures, side)
