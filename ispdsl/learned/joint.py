"""A pipeline's settings and the network that looks at its pictures, trained together in phases.

First the network is frozen and the settings learn what it can see; then both learn. So AdaptiveISP (Wang et al.,
NeurIPS 2024) and the guide "Learned ISP for Object Detection" of datarax; here settings are of any pipeline, within its
ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ispdsl.backends.composite import Composite
from ispdsl.backends.vector import tensors, unit_to_settings
from ispdsl.learned.fit import Fitted, Recipe, Told, fit
from ispdsl.learned.free_settings import Bounds
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.runtime.values import Settings
from ispdsl.vision.classification import at_size, classification_loss

TIE = 0.5
"""Of one image that is told right: what the loss of all counts at most."""

What = Literal["network", "settings", "both"]
"""What a phase trains; the rest is frozen, the running statistics of its normalisations too."""


class Joint(nn.Module):
    """Images to what a network says of the pictures that a pipeline makes of them.

    Attributes:
        given: from images ``(B, C, H, W)`` to settings ``(B, N)`` in the unit cube: `Shared`, or a predictor.
        network: from pictures ``(B, 3, H, W)`` to logits ``(B, classes)``.
    """

    def __init__(
        self, composite: Composite, settings: Settings, given: nn.Module, network: nn.Module, side: int | None = None
    ) -> None:
        """Join a pipeline and a network.

        Args:
            composite: compiled for the images.
            settings: of what is not free.
            given: with its `bounds`.
            network: what looks at the pictures.
            side: px of the pictures that it looks at, by means over equal areas; None for whatever comes.
        """
        super().__init__()
        self.composite, self.given, self.network, self.side = composite, given, network, side
        self._held = tensors(settings)
        self._what: What = "both"

    def pictures(self, images: Tensor, metadata: Mapping[str, Any] | None = None) -> Tensor:
        """What the network sees of images ``(B, C, H, W)``: ``(B, 3, side, side)``."""
        bounds = self.given.bounds
        assert isinstance(bounds, Bounds), "whatever gives settings knows their ranges"
        values = {**self._held, **unit_to_settings(bounds.vector, self.given(images))}
        made = self.composite(images, values, metadata or {}).image
        return made if self.side is None else at_size(made, self.side)

    def forward(self, images: Tensor, metadata: Mapping[str, Any] | None = None) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.network(self.pictures(images, metadata))

    def learn(self, what: What) -> None:
        """Let this be trained, and freeze the rest."""
        self._what = what
        self.requires_grad_(False)
        self.given.requires_grad_(what != "network")
        self.network.requires_grad_(what != "settings")

    def train(self, mode: bool = True) -> Joint:
        """As `nn.Module.train`, but what is frozen stays as it is used."""
        super().train(mode)
        if self._what == "settings":
            self.network.eval()
        if self._what == "network":
            self.given.eval()
        return self


@dataclass(frozen=True)
class Phase:
    """What is trained, and how."""

    what: What
    recipe: Recipe


def train(
    model: Joint,
    data: Labelled,
    phases: Sequence[Phase],
    seen: Seen | None = None,
    judged: Labelled | None = None,
    *,
    told: Callable[[Phase, Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> list[Fitted]:
    """Train a pipeline's settings and a network, one phase after the other, in place.

    Args:
        model: on the device of the data.
        data: to learn from.
        phases: in order.
        seen: how images are seen in training.
        judged: images by whose part that is told right the best weights of each phase are chosen, its start included;
            between equals, by their loss.
        told: called after each step.
        kept: folder of checkpoints, one for each phase.
        resume: go on with them.

    Raises:
        RunError: the loss is no number any more.
        TrainingError: a checkpoint is damaged or of another recipe.
    """
    found: list[Fitted] = []
    for index, phase in enumerate(phases):
        place = None if kept is None else kept / f"phase-{index + 1}.safetensors"
        say = None if told is None else lambda state, phase=phase: told(phase, state)
        found.append(train_phase(model, data, phase, seen, judged, told=say, kept=place, resume=resume))
    return found


def train_phase(
    model: Joint,
    data: Labelled,
    phase: Phase,
    seen: Seen | None = None,
    judged: Labelled | None = None,
    *,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """One phase of `train`; `kept` is the file of its checkpoint."""
    view = seen or Seen()
    model.learn(phase.what)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        some = view.draw(data, generator)
        return classification_loss(model(some.images, some.metadata), some.labels)

    judge = None if judged is None else lambda: _liked(model, judged)
    return fit(model, loss, phase.recipe, judge, told=told, kept=kept, resume=resume)


@torch.no_grad()
def _liked(model: Joint, data: Labelled, together: int = 128) -> float:
    """The part that is told right and, where that is equal, the smaller loss.

    Not the loss alone: settings that leave nothing to see have a smaller one than those that make a network surely
    wrong, and lead nowhere.
    """
    model.eval()
    parts = [data.take(some) for some in torch.arange(len(data.labels)).split(together)]
    logits = torch.cat([model(part.images, part.metadata) for part in parts])
    loss = classification_loss(logits, data.labels)
    told_right = (logits.argmax(1) == data.labels).double().mean()
    return float(told_right - TIE * loss / (1 + loss) / len(data.labels))


@torch.no_grad()
def right(model: Joint, data: Labelled, together: int = 128) -> Tensor:
    """1 for each image ``(N,)`` whose class is told right, else 0; on the CPU, float64."""
    model.eval()
    parts = (data.take(some) for some in torch.arange(len(data.labels)).split(together))
    return torch.cat([(model(part.images, part.metadata).argmax(1) == part.labels).double().cpu() for part in parts])
