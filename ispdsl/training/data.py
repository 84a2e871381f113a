"""From scenes to batches: pixels for what looks at pixels, patches for what looks around; nothing held out is seen.

A batch is drawn by a generator and nothing else, so that training can go on at any step as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from ispdsl.errors import UserError

MOST_ROWS = 2_000_000
"""Pixels that are kept of all scenes together."""
MOST_BYTES = 1_500_000_000
"""Memory that patches are drawn from."""
LEVELS = 16
"""Steps of each channel, when colours are counted."""
ALIGNMENT = 2
"""Patches begin at even places, so that a mosaic stays the mosaic that it is."""


class TrainingError(UserError):
    """Something cannot be trained from what was sampled: why, and what to do."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One call of the real thing as tensors: images in and out as `(C, H, W)`, and what it was conditioned on `(K,)`.

    The numbers are those of the images' types. `raw` is the file behind it, which decides whether it is held out.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    condition: Tensor
    raw: str
    number: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Images in and out, either pixels `(N, C)` or patches `(N, C, H, W)`, with a condition `(N, K)` for each.

    `margin` pixels at the border of the patches going in are no part of the loss.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    condition: Tensor
    margin: int = 0


class Source(Protocol):
    """Where batches come from."""

    def draw(self, generator: Generator, size: int, rank: int = 0, world: int = 1) -> Batch:
        """What `rank` of `world` processes gets of a batch of `size` for each of them; all draw the same numbers."""
        ...


def split(scenes: Sequence[Scene], held_out: frozenset[str]) -> tuple[list[Scene], list[Scene]]:
    """Scenes to train on and scenes to be judged by: a raw is in one of the two with all its parts and settings.

    Raises:
        TrainingError: nothing is left to train on.
    """
    train = [scene for scene in scenes if scene.raw not in held_out]
    if not train:
        raise TrainingError("all samples are held out", "sample more raws, or hold out fewer")
    return train, [scene for scene in scenes if scene.raw in held_out]


# ---- pixels ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """Pixels of many scenes, in the order of their colour: half of a batch is drawn evenly over the colours.

    Natural pictures have few colours often and most colours seldom; a double that has seen them as they come is wrong
    where sliders take it. An even half costs nothing and gained more than ten decibels.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    scene: Tensor
    conditions: Tensor
    starts: Tensor
    counts: Tensor

    def draw(self, generator: Generator, size: int, rank: int = 0, world: int = 1) -> Batch:
        """`size` pixels for each process."""
        total = size * world
        half = total // 2
        natural = torch.randint(len(self.scene), (total - half,), generator=generator)
        colour = torch.randint(len(self.starts), (half,), generator=generator)
        within = (torch.rand(half, generator=generator, dtype=torch.float64) * self.counts[colour]).long()
        even = self.starts[colour] + torch.minimum(within, self.counts[colour] - 1)
        chosen = torch.cat([natural, even])[rank::world]
        return Batch(
            tuple(image[chosen] for image in self.images),
            tuple(target[chosen] for target in self.targets),
            self.conditions[self.scene[chosen]],
        )


def rows(scenes: Sequence[Scene], seed: int, most: int = MOST_ROWS) -> Rows:
    """The pixels of scenes; of large ones as many as fit, drawn by `seed`.

    Raises:
        TrainingError: what goes in and what comes out are not of one size.
    """
    share = max(most // len(scenes), 1)
    images: list[list[Tensor]] = []
    targets: list[list[Tensor]] = []
    for index, scene in enumerate(scenes):
        sizes = {tuple(each.shape[-2:]) for each in (*scene.images, *scene.targets)}
        if len(sizes) != 1:
            raise TrainingError("a pointwise double cannot change the size of an image", "train another network for it")
        chosen = _some(math.prod(next(iter(sizes))), share, seed, index)
        images.append([each.flatten(1).T[chosen] for each in scene.images])
        targets.append([each.flatten(1).T[chosen] for each in scene.targets])
    belongs = torch.repeat_interleave(
        torch.arange(len(scenes)), torch.tensor([len(of_scene[0]) for of_scene in images])
    )
    joined = tuple(torch.cat(column) for column in zip(*images, strict=True))
    wanted = tuple(torch.cat(column) for column in zip(*targets, strict=True))
    _, colour, counts = torch.unique(_colours(torch.cat(joined, 1)), return_inverse=True, return_counts=True)
    order = torch.argsort(colour, stable=True)
    return Rows(
        tuple(each[order] for each in joined),
        tuple(each[order] for each in wanted),
        belongs[order],
        torch.stack([scene.condition for scene in scenes]),
        counts.cumsum(0) - counts,
        counts,
    )


def _some(total: int, most: int, seed: int, index: int) -> Tensor:
    """Places of `most` of `total` pixels."""
    if total <= most:
        return torch.arange(total)
    return torch.randperm(total, generator=seeded(seed, "rows", index))[:most]


def _colours(pixels: Tensor) -> Tensor:
    """One number for each colour `(N, C)`: `LEVELS` steps a channel, even in the square root, as noise and eyes are."""
    eased = pixels.sign() * pixels.abs().sqrt()
    low = eased.amin(0)
    span = (eased.amax(0) - low).clamp_min(1e-12)
    level = ((eased - low) / span * LEVELS).long().clamp(0, LEVELS - 1)[:, :6]
    return (level * LEVELS ** torch.arange(level.shape[1])).sum(1)


# ---- patches ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of `size` px, never over the border of a part, with `margin` px around that are no part of the loss."""

    scenes: tuple[Scene, ...]
    size: int
    margin: int

    def draw(self, generator: Generator, size: int, rank: int = 0, world: int = 1) -> Batch:
        """`size` patches for each process."""
        total = size * world
        chosen = torch.randint(len(self.scenes), (total,), generator=generator)
        places = torch.rand(total, 2, generator=generator, dtype=torch.float64)
        found = [
            cut(self.scenes[int(chosen[index])], self.size, places[index].tolist())
            for index in range(rank, total, world)
        ]
        return collate(found, self.margin)


def patches(scenes: Sequence[Scene], size: int, margin: int, seed: int, most: int = MOST_BYTES) -> Patches:
    """Patches of scenes, with a margin where the scenes are large enough for it; of many scenes as many as fit.

    Args:
        scenes: to draw from.
        size: of a patch, without its margin.
        margin: how far the network looks to each side.
        seed: decides which scenes are left out.
        most: bytes of images that are kept.
    """
    smallest = min(min(image.shape[-2:]) for scene in scenes for image in scene.images[:1])
    whole = min(size + 2 * margin, smallest) // ALIGNMENT * ALIGNMENT
    if whole < ALIGNMENT:
        raise TrainingError(f"parts of {smallest} px are too small to train on", "sample larger parts")
    room = sum(each.numel() * each.element_size() for scene in scenes for each in (*scene.images, *scene.targets))
    keep = max(int(len(scenes) * min(most / max(room, 1), 1)), 1)
    kept = [scenes[index] for index in _some(len(scenes), keep, seed, 0).sort().values.tolist()]
    inner = min(margin, max(whole // 4, 0)) // ALIGNMENT * ALIGNMENT
    return Patches(tuple(kept), whole, inner)


def cut(scene: Scene, size: int, place: Sequence[float]) -> Scene:
    """A square of a scene at a relative place, at even pixels; what comes out may be of another scale."""
    height, width = scene.images[0].shape[-2:]
    top, left = (
        int(at * ((room - size) // ALIGNMENT + 1)) * ALIGNMENT for at, room in zip(place, (height, width), strict=True)
    )

    def part(image: Tensor) -> Tensor:
        by = scale(scene.images[0], image)
        first, second, side = round(top * by), round(left * by), round(size * by)
        return image[:, first : first + side, second : second + side]

    images, targets = tuple(map(part, scene.images)), tuple(map(part, scene.targets))
    return Scene(images, targets, scene.condition, scene.raw, scene.number)


def scale(image: Tensor, other: Tensor) -> float:
    """How much larger another image is: 1, 1/2, 2 and so on.

    Raises:
        TrainingError: by no such factor, so that places of one are no places of the other.
    """
    factors = {there / here for here, there in zip(image.shape[-2:], other.shape[-2:], strict=True)}
    factor = next(iter(factors))
    if len(factors) != 1 or not (factor * ALIGNMENT).is_integer():
        sizes = " and ".join("x".join(map(str, each.shape[-2:])) for each in (image, other))
        hint = "leave it a program with --skip, or double a larger part of the pipeline"
        raise TrainingError(f"an image of {sizes} px goes in and comes out: patches of them do not match", hint)
    return factor


def collate(scenes: Sequence[Scene], margin: int = 0) -> Batch:
    """Scenes of one size as a batch."""
    return Batch(
        tuple(torch.stack(each) for each in zip(*(scene.images for scene in scenes), strict=True)),
        tuple(torch.stack(each) for each in zip(*(scene.targets for scene in scenes), strict=True)),
        torch.stack([scene.condition for scene in scenes]),
        margin,
    )


def inside(image: Tensor, margin: int, by: float = 1.0) -> Tensor:
    """An image without its margin, which is counted in pixels of what goes in."""
    edge = round(margin * by)
    return image[..., edge : image.shape[-2] - edge, edge : image.shape[-1] - edge] if edge else image


# ---- chance ----------------------------------------------------------------------------------------------


def seeded(seed: int, name: str, number: int) -> Generator:
    """The generator of one step: of the seed, the double's name and the number of the step, and nothing else."""
    digest = hashlib.sha256(f"{seed} {name} {number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
