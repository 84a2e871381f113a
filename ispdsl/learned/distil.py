"""A classifier that looks at raws as the sensor gives them, taught by one that looks at what a pipeline makes of them.

Schwartz, Bronstein and Giryes, "ISP Distillation", 2021. The teacher sees pictures, RGB = ISP(raw); the student begins
with the teacher's weights and sees the raw: its mosaic filled up to three planes by bilinear interpolation, each colour
with the mean and spread of the training raws taken off (section 3). The loss is ``a CE + (1 - a) KD`` with

    CE = cross-entropy to labels,    KD = T^2 sum_i p_i log(p_i / q_i),

p and q being the softmax of teacher's and student's logits over T. The paper's formula (section 3) has the sign of KD
turned and lacks the entropy of p, which the student cannot change; T^2 keeps gradients of one size for every T (Hinton,
Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", section 2). The paper prints a = 0.9.

Beyond the paper, a student can learn what the teacher's layers see as well (Romero et al. 2015, "FitNets: Hints for
Thin Deep Nets"): mosaic and picture show the same places, so that every place of every layer is an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.backends.composite import Composite
from ispdsl.backends.vector import tensors
from ispdsl.errors import RunError
from ispdsl.learned.fit import Fitted, Recipe, Told, fit
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.learned.student import Student, levels_of_mosaics, levels_of_pictures
from ispdsl.runtime.values import Settings
from ispdsl.vision.classification import at_size

Sensed = Callable[[Tensor, torch.Generator], Tensor]
"""From what the teacher's pipeline is given ``(B, C, H, W)`` to the student's mosaics ``(B, 1, H, W)``."""


@dataclass(frozen=True)
class Lesson:
    """What the student learns from.

    Attributes:
        alpha: the weight ``a`` of labels; 0 needs none.
        temperature: T, above 0.
        hard: which labels: those of the ``data``, or what the ``teacher`` takes an image for.
        mixed: the part of a batch whose images are mixtures of two, with shares drawn evenly; only the teacher can say
            what they show, so that `alpha` is 0 for them.
        features: the weight of what layers see, beside all of the above; for networks with `features` and `decide`.
    """

    alpha: float = 0.0
    temperature: float = 4.0
    hard: Literal["data", "teacher"] = "teacher"
    mixed: float = 0.0
    features: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.alpha <= 1 and self.temperature > 0 and 0 <= self.mixed <= 1 and self.features >= 0):
            numbers = f"temperature {self.temperature:g}, mixed {self.mixed:g}, features {self.features:g}"
            raise ValueError(f"alpha {self.alpha:g}, {numbers}")


class Teacher(nn.Module):
    """Images to the logits of a network that looks at what a pipeline makes of them. Nothing of it is trained."""

    def __init__(self, composite: Composite, settings: Settings, network: nn.Module, side: int | None = None) -> None:
        """Join a pipeline and a network.

        Args:
            composite: compiled for the images.
            settings: of the pipeline.
            network: from pictures ``(B, 3, H, W)`` to logits ``(B, classes)``.
            side: px of the pictures that it looks at, by means over equal areas; None for whatever comes.
        """
        super().__init__()
        self.composite, self.network, self.side = composite, network, side
        self._held = tensors(settings)
        self.requires_grad_(False).eval()

    def pictures(self, images: Tensor, metadata: Mapping[str, Any] | None = None) -> Tensor:
        """What the network sees of images ``(B, C, H, W)``: ``(B, 3, side, side)``."""
        made = self.composite(images, self._held, metadata or {}).image
        return made if self.side is None else at_size(made, self.side)

    @torch.no_grad()
    def forward(self, images: Tensor, metadata: Mapping[str, Any] | None = None) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.network(self.pictures(images, metadata))


def lesson_loss(student: Tensor, teacher: Tensor, labels: Tensor, lesson: Lesson) -> Tensor:
    """``a CE + (1 - a) KD`` in nats, of logits ``(B, classes)`` and labels ``(B,)``; those below 0 have no CE.

    An image without a label counts with KD alone, in full.
    """
    told = teacher.argmax(1).where(labels >= 0, -1) if lesson.hard == "teacher" else labels
    alpha = lesson.alpha * (told >= 0)
    ce = F.cross_entropy(student, told.clamp_min(0), reduction="none")
    p = (teacher / lesson.temperature).log_softmax(1)
    q = (student / lesson.temperature).log_softmax(1)
    kd = lesson.temperature**2 * (p.exp() * (p - q)).sum(1)
    return (alpha * ce + (1 - alpha) * kd).mean()


def distil(
    student: Student,
    teacher: nn.Module,
    data: Labelled,
    lesson: Lesson,
    recipe: Recipe,
    seen: Seen,
    sensed: Sensed | None = None,
    judged: Labelled | None = None,
    *,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Teach a student in place.

    Args:
        student: on the device of the data.
        teacher: from images and metadata to logits.
        data: images as the teacher's pipeline takes them.
        lesson: what the student learns from.
        recipe: how it is trained.
        seen: how images are seen in training.
        sensed: what the student sees of them, such as a shorter exposure; None where it sees the same.
        judged: other images, by which the best weights are chosen: where student and teacher agree most.
        told: called after each step.
        kept: file of a checkpoint.
        resume: go on from that file.

    Raises:
        RunError: everything of the student is frozen, or the loss is no number any more.
        TrainingError: the checkpoint is damaged or of another recipe.
    """

    def loss(step: int, generator: torch.Generator) -> Tensor:
        some = seen.draw(data, generator)
        images, labels = some.images, some.labels
        if lesson.hard == "teacher":
            labels = torch.zeros_like(labels)
        if lesson.mixed:
            images, labels = mixtures(images, labels, lesson.mixed, generator)
        shown = images if sensed is None else sensed(images, generator)
        if not lesson.features:
            with torch.no_grad():
                wanted = teacher(images, some.metadata)
            return lesson_loss(student(shown), wanted, labels, lesson)
        assert isinstance(teacher, Teacher), "its layers are asked for"
        with torch.no_grad():
            sees = layers(teacher.network, teacher.pictures(images, some.metadata))
            wanted = decided(teacher.network, sees)
        own = layers(student.network, student.filled(shown))
        return lesson_loss(decided(student.network, own), wanted, labels, lesson) + lesson.features * apart(own, sees)

    def judge() -> float:
        assert judged is not None
        return float(agreement(student, teacher, judged, sensed).mean())

    return fit(student, loss, recipe, judge if judged else None, told=told, kept=kept, resume=resume)


def layers(network: nn.Module, pictures: Tensor) -> tuple[Tensor, ...]:
    """What the layers of a network make of pictures ``(B, 3, H, W)``, such as `ResNet.features`.

    Raises:
        RunError: the network does not say.
    """
    look: Any = getattr(network, "features", None)
    if not callable(look) or not callable(getattr(network, "decide", None)):
        what = f"{type(network).__name__} does not say what its layers see"
        raise RunError(what, "take small-cnn or resnet20, or give it methods features(pictures) and decide(features)")
    found: Any = look(pictures)
    return tuple(found)


def decided(network: nn.Module, features: tuple[Tensor, ...]) -> Tensor:
    """Logits ``(B, classes)`` of what `layers` gave."""
    return network.decide(features)  # pyright: ignore[reportCallIssue]


def apart(own: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
    """The mean over layers of squared differences, as parts of the layer's variance in the teacher; 0 where equal.

    Raises:
        RunError: layers differ in shape.
    """
    if [each.shape for each in own] != [each.shape for each in wanted]:
        raise RunError("layers of student and teacher differ in shape", "let both see one size: --side N")
    pairs = zip(own, wanted, strict=True)
    return torch.stack([F.mse_loss(one, other) / other.var().clamp_min(1e-6) for one, other in pairs]).mean()


def mixtures(images: Tensor, labels: Tensor, part: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first part of a batch as mixtures of neighbours in it, without labels (-1); the rest as it is."""
    count = round(part * len(images))
    shares = torch.rand(count, 1, 1, 1, generator=generator).to(images.device)
    mixed = torch.lerp(images.roll(1, 0)[:count], images[:count], shares)
    return torch.cat([mixed, images[count:]]), torch.cat([torch.full_like(labels[:count], -1), labels[count:]])


@torch.no_grad()
def logits_of(model: Callable[..., Tensor], data: Labelled, together: int = 128) -> Tensor:
    """What a model of images and metadata says of all of them, ``(N, classes)``, on the CPU."""
    parts = (data.take(some) for some in torch.arange(len(data.labels)).split(together))
    return torch.cat([model(part.images, part.metadata).cpu() for part in parts])


@torch.no_grad()
def agreement(
    student: Student, teacher: nn.Module, data: Labelled, sensed: Sensed | None = None, seed: int = 0
) -> Tensor:
    """1 for each image ``(N,)`` that student and teacher take for the same class, else 0; float64.

    What is drawn for `sensed` comes from the seed.
    """
    found = logits_of(seen_by(student, sensed, seed), data)
    return (found.argmax(1) == logits_of(teacher, data).argmax(1)).double()


def seen_by(student: Student, sensed: Sensed | None = None, seed: int = 0) -> Callable[..., Tensor]:
    """A student as `logits_of` takes it: what it says of what it senses; what is drawn for that is of the seed."""
    student.eval()
    generator = torch.Generator().manual_seed(seed)

    def sees(images: Tensor, _: Mapping[str, Any]) -> Tensor:
        return student(images if sensed is None else sensed(images, generator))

    return sees


def begun(
    teacher: Teacher, data: Labelled, cfa: str, side: int | None = None, sensed: Sensed | None = None, most: int = 512
) -> Student:
    """A student with a copy of the teacher's network, before it has learned anything.

    Each colour of its mosaics is brought to the mean and spread that it has in the teacher's pictures, of at most so
    many training images.
    """
    some = data.take(torch.arange(min(most, len(data.labels))))
    parts = [some.take(each) for each in torch.arange(len(some.labels)).split(64)]
    with torch.no_grad():
        pictures = torch.cat([teacher.pictures(part.images, part.metadata) for part in parts])
    mosaics = some.images if sensed is None else sensed(some.images, torch.Generator().manual_seed(0))
    network = deepcopy(teacher.network).requires_grad_(True)
    student = Student(network, cfa, levels_of_mosaics(mosaics, cfa), levels_of_pictures(pictures), side)
    return student.to(data.images.device)
