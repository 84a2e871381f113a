"""What is looked at: labelled pictures, a network with published weights, and the score of what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.reproduce.cifar import Numbers, photographs
from benchmarks.reproduce.tasks.raws import Photo
from ispdsl.synthetic.samples import resize
from ispdsl.vision.boxes import read_labels
from ispdsl.vision.classification import at_size, classification_loss, told_right
from ispdsl.vision.detection import average_precision, matches
from ispdsl.vision.detection_loss import detection_loss
from ispdsl.vision.fastestdet import SIDE, load_fastestdet
from ispdsl.vision.resnet import SIDE as SMALL
from ispdsl.vision.resnet import load_resnet

Outcomes = Sequence[Any]
"""What came of each picture."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Labelled photographs and a network that looks at pictures of them.

    Attributes:
        photos: all, of one size, sRGB.
        loss: of pictures ``(B, 3, H, W)`` and their numbers, differentiable.
        outcomes: of pictures and their numbers, one for each.
        score: of outcomes; larger is better.
    """

    photos: Sequence[Photo]
    loss: Callable[[Tensor, Numbers], Tensor]
    outcomes: Callable[[Tensor, Numbers], Outcomes]
    score: Callable[[Outcomes], float]


@dataclass(frozen=True)
class Case:
    """One table.

    Attributes:
        name, title, score: of the case and of its score.
        about: pictures, network and score in a few sentences.
        load: the problem, from the folder of data.
        train: pictures that are tuned on; drawn anew for each seed.
        test: other pictures that the score is of, at most.
        steps, together, rate: of the tuning.
    """

    name: str
    title: str
    score: str
    about: str
    load: Callable[[Path], Problem]
    train: int
    test: int
    steps: int
    together: int
    rate: float = 0.05


def classified(data: Path) -> Problem:
    """CIFAR-10 at twice its size, so that a mosaic has as many sites of each colour as the picture had pixels."""
    images, labels = photographs(data)
    network = load_resnet(data / "weights" / "cifar_resnet" / "resnet20-12fca82f.th")
    photos = [resize(image.numpy(), 2 * SMALL) for image in images]

    def loss(pictures: Tensor, numbers: Numbers) -> Tensor:
        return classification_loss(network(at_size(pictures, SMALL)), labels[torch.from_numpy(numbers)])

    def outcomes(pictures: Tensor, numbers: Numbers) -> Outcomes:
        return told_right(network, at_size(pictures, SMALL), labels[torch.from_numpy(numbers)]).tolist()

    return Problem(photos, loss, outcomes, lambda ones: float(np.mean(ones)))


def detected(data: Path) -> Problem:
    """COCO photographs, brought to the square that the detector was trained on, with their boxes."""
    folder = data / "vision" / "coco128"
    texts = {path.stem: path for path in (folder / "object_detection" / "labels" / "train2017").glob("*.txt")}
    paths = sorted(path for path in (folder / "images" / "train2017").glob("*.jpg") if path.stem in texts)
    labels = [read_labels(texts[path.stem]) for path in paths]
    network = load_fastestdet(data / "weights" / "fastestdet" / "fastestdet.pth")

    def loss(pictures: Tensor, numbers: Numbers) -> Tensor:
        return detection_loss(network(pictures), [labels[number] for number in numbers])

    def outcomes(pictures: Tensor, numbers: Numbers) -> Outcomes:
        with torch.no_grad():
            cells = [network(some) for some in pictures.split(8)]
        parts = np.array_split(numbers, np.cumsum([len(each.something) for each in cells])[:-1])
        pairs = zip(cells, parts, strict=True)
        return [one for some, part in pairs for one in matches(some, [labels[number] for number in part])]

    return Problem([_square(path) for path in paths], loss, outcomes, average_precision)


def _square(path: Path) -> Photo:
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)


CASES = (
    Case(
        "classification",
        "Classification: ResNet-20 on CIFAR-10",
        "accuracy",
        "Pictures of 32 px at twice their size are what the camera sees; the network sees means of 2x2 px of what the "
        "pipeline made. The score is the part of pictures that it tells right. The pictures are of the split that the "
        "network was trained on, so that the score of the clean photographs is next to 100 %.",
        classified,
        train=256,
        test=600,
        steps=60,
        together=32,
    ),
    Case(
        "detection",
        "Detection: FastestDet on COCO photographs",
        "average precision at IoU 0.5",
        f"Photographs at {SIDE} x {SIDE} px. The score is the area under precision against recall, findings of all "
        "classes in one list, a finding being right with the label's class and an IoU of at least 0.5. The photographs "
        "are of the split that the network was trained on.",
        detected,
        train=40,
        test=60,
        steps=36,
        together=8,
    ),
)
