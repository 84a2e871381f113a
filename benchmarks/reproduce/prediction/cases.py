"""What is predicted for: pictures to be looked at, whole or in a mat, and pictures that a network tells apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.reproduce.cifar import photographs, splits
from benchmarks.reproduce.prediction.shots import Range, drawn, matted, taken
from benchmarks.reproduce.tasks.raws import Photo
from ispdsl.synthetic.samples import resize
from ispdsl.vision.classification import at_size, classification_loss, told_right
from ispdsl.vision.resnet import SIDE, load_resnet

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]

FREE = ("red", "blue", "brightness", "luma", "chroma", "edges", "power", "curve", "colour", "detail")
"""The sliders of `machine_vision.isp` that are set."""

CROP = 96
"""Px a side of what is looked at."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Raws, and what is made of their pictures.

    Attributes:
        codes: ``(N, 1, H, W)``.
        look: a loss of pictures and their numbers, which torch differentiates.
        score: one for each picture; more is better.
    """

    codes: Tensor
    look: Callable[[Tensor, Numbers], Tensor]
    score: Callable[[Tensor, Numbers], Scores]


@dataclass(frozen=True, eq=False)
class Problem:
    """Raws to learn from, to choose by, and to be scored."""

    train: Pictures
    choose: Pictures
    test: Pictures


@dataclass(frozen=True)
class Case:
    """One table.

    Attributes:
        name, title, score: of the case and of its score.
        about: in a few sentences.
        load: the problem of a seed, from the folder of data, for a device.
        levels: of the networks.
        steps, rate, together: of their training.
    """

    name: str
    title: str
    score: str
    about: str
    load: Callable[[Path, int, str], Problem]
    levels: int = 3
    steps: int = 600
    rate: float = 2e-3
    together: int = 8


# ---- to be looked at ---------------------------------------------------------------------------------------------

VIEWED = Range(stops=(0.0, 3.0), gains=0.6, noise=3.0)
LEARNT, CHOSEN, TESTED = 480, 64, 192


def viewed(data: Path, seed: int, device: str, mat: bool = False) -> Problem:
    """Parts of photographs, the clean ones being what is wanted."""
    rng = np.random.default_rng((seed, int(mat)))
    paths = [*sorted((data / "images" / "bsds500" / "train").glob("*.jpg"))]
    paths += sorted((data / "images" / "kodak").glob("*.png"))
    order = rng.permutation(len(paths))
    tested, others = order[: len(paths) // 4], order[len(paths) // 4 :]
    chosen, learnt = others[: len(others) // 6], others[len(others) // 6 :]
    sets = ((learnt, LEARNT), (chosen, CHOSEN), (tested, TESTED))
    found = [_viewed([paths[number] for number in some], count, rng, mat, device) for some, count in sets]
    return Problem(found[0], found[1], found[2])


def _viewed(paths: Sequence[Path], count: int, rng: np.random.Generator, mat: bool, device: str) -> Pictures:
    photos = [_part(paths[place % len(paths)], rng) for place in range(count)]
    codes = taken(photos, drawn(count, VIEWED, rng), rng)
    windows = torch.ones_like(codes)
    if mat:
        codes, windows = matted(codes, rng, 16383.0)
    wanted, seen = torch.from_numpy(np.stack(photos)).to(device), windows.to(device)

    def squares(pictures: Tensor, numbers: Numbers) -> Tensor:
        """The mean square of each picture where it counts."""
        some = torch.from_numpy(numbers).to(device)
        apart = (pictures.to(device) - wanted[some]).square().mean(1, keepdim=True) * seen[some]
        return apart.sum((1, 2, 3)) / seen[some].sum((1, 2, 3))

    def look(pictures: Tensor, numbers: Numbers) -> Tensor:
        return squares(pictures, numbers).clamp_min(1e-8).log10().mean()

    def score(pictures: Tensor, numbers: Numbers) -> Scores:
        return -10 * squares(pictures, numbers).clamp_min(1e-8).log10().double().cpu().numpy()

    return Pictures(codes, look, score)


def _part(path: Path, rng: np.random.Generator) -> Photo:
    """A square of a photograph at half its size, which takes away most of its own noise and compression."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
    image = np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)
    top, left = (int(rng.integers(size - CROP + 1)) for size in image.shape[1:])
    return np.ascontiguousarray(image[:, top : top + CROP, left : left + CROP])


# ---- to be told apart --------------------------------------------------------------------------------------------

DARK = Range(stops=(1.0, 5.0), gains=0.0, noise=3.0)
TRAINED, KEPT, SCORED = 1280, 128, 1000


def classified(data: Path, seed: int, device: str) -> Problem:
    """CIFAR-10 at twice its size, and a ResNet-20 with published weights."""
    rng = np.random.default_rng((seed, 7))
    small, labels = photographs(data)
    network = load_resnet(data / "weights" / "cifar_resnet" / "resnet20-12fca82f.th").to(device)
    training, testing = next(splits(len(small), TRAINED + KEPT, seed, SCORED))

    def some(numbers: Numbers) -> Pictures:
        photos = [resize(small[number].numpy(), 2 * SIDE) for number in numbers]
        codes = taken(photos, drawn(len(photos), DARK, rng), rng)
        known = labels[torch.from_numpy(numbers)].to(device)

        def look(pictures: Tensor, places: Numbers) -> Tensor:
            logits = network(at_size(pictures.to(device), SIDE))
            return classification_loss(logits, known[torch.from_numpy(places).to(device)])

        def score(pictures: Tensor, places: Numbers) -> Scores:
            shown = at_size(pictures.to(device), SIDE)
            return told_right(network, shown, known[torch.from_numpy(places).to(device)])

        return Pictures(codes, look, score)

    return Problem(some(training[:TRAINED]), some(training[TRAINED:]), some(testing[:SCORED]))


CONDITIONS = (
    f"up to {VIEWED.stops[1]:g} stops of light are missing, the file has the gains of red and of blue wrong by up to "
    f"{VIEWED.gains:g} stops each, and the noise's variance is up to 2^{VIEWED.noise:g} times more or less"
)

CASES = (
    Case(
        "viewing",
        "Viewing: photographs under conditions that nobody tells",
        "PSNR in dB",
        f"Squares of {CROP} px of photographs at half size (BSDS500 and Kodak; all of a photograph are "
        f"learnt from, or all are scored). Of each, {CONDITIONS}. The score is the mean PSNR to the clean photograph.",
        viewed,
    ),
    Case(
        "mat",
        "Viewing: the same in a mat",
        "PSNR in dB inside the window",
        "As above, but of each raw a window of 16 to 64 % of the area is left, and around it there is black, or a lamp "
        "that clips, or both. Only the window is scored: most places say nothing of what is wanted.",
        lambda data, seed, device: viewed(data, seed, device, mat=True),
    ),
    Case(
        "classification",
        "Classification: ResNet-20 on CIFAR-10 in the dark",
        "accuracy",
        f"Pictures at twice their size, of which {DARK.stops[0]:g} to {DARK.stops[1]:g} stops of light are missing; "
        f"the noise's variance is up to 2^{DARK.noise:g} times more or less. The network never changes. The "
        "pictures are of the split that it was trained on.",
        classified,
        rate=3e-4,
        together=16,
    ),
)
