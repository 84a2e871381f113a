"""From scenes to batches: pixels for what looks at pixels, patches for what looks around; nothing held out is seen.

A batch is drawn by a generator and nothing else, so that training can go on at any step as if it had never stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

import torch
from torch import Generator, Tensor

from ispdsl.errors import UserError

LEVELS = 16
"""Steps of each channel, when colours are counted."""
GROUP = 16
"""Pixels of a batch that share a condition."""
EVEN = 512
"""Pixels of each scene that are drawn evenly over the colours."""
ALIGNMENT = 2
"""Patches begin at even places, so that a mosaic stays the mosaic that it is."""


class TrainingError(UserError):
    """Something cannot be trained from what was sampled: why, and what to do."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One call of the real thing as tensors: images in and out as `(C, H, W)`, and what it was conditioned on `(K,)`.

    The numbers are those of the images' types. `raw` is the file behind it, which decides whether it is held out; `cfa`
    that of its mosaic, if it has one; `chart` says that it was made up, and is nothing to be judged by.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    condition: Tensor
    raw: str
    number: int = 0
    cfa: str | None = None
    chart: bool = False


@dataclass(frozen=True, eq=False)
class Batch:
    """Images in and out, either pixels `(N, C)` or patches `(N, C, H, W)`, with a condition `(N, K)` for each.

    `margin` pixels at the border of the patches going in are no part of the loss.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    condition: Tensor
    margin: int = 0
    cfa: str | None = None


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
    return train, [scene for scene in scenes if scene.raw in held_out and not scene.chart]


Flat = Callable[[Scene, bool], tuple[Tensor, ...]]
"""From a scene to the rows of its images, or of its targets."""


def quads(scene: Scene, most: int, seed: int) -> Scene:
    """At most so many pixels of a scene, in squares of 2x2 side by side: a mosaic stays one.

    A scene whose images are not of one size stays as it is.
    """
    height, width = scene.images[0].shape[-2:]
    total = (height // 2) * (width // 2)
    sizes = {tuple(each.shape[-2:]) for each in (*scene.images, *scene.targets)}
    if height * width <= most or len(sizes) != 1 or not total:
        return scene
    chosen = torch.randperm(total, generator=seeded(seed, "quads", scene.number))[: max(most // 4, 1)]

    top, left = chosen // (width // 2) * 2, chosen % (width // 2) * 2
    rows = torch.stack([top, top + 1])[:, :, None].expand(2, -1, 2).flatten(1)
    columns = torch.stack([left, left + 1], 1).flatten()[None].expand(2, -1)

    def part(image: Tensor) -> Tensor:
        return image[:, rows, columns]

    return replace(scene, images=tuple(map(part, scene.images)), targets=tuple(map(part, scene.targets)))


def window(scene: Scene, side: int, seed: int) -> Scene:
    """At most a square of so many pixels of a scene, somewhere at even places."""
    size = min(side, *scene.images[0].shape[-2:]) // ALIGNMENT * ALIGNMENT
    if max(scene.images[0].shape[-2:]) <= side or not size:
        return scene
    place = torch.rand(2, generator=seeded(seed, "window", scene.number), dtype=torch.float64)
    cropped = cut(scene, size, place.tolist())
    images, targets = (tuple(each.contiguous() for each in some) for some in (cropped.images, cropped.targets))
    return replace(scene, images=images, targets=targets)


# ---- pixels ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """Pixels of many scenes: half of a batch as they come, half drawn evenly over the colours of all scenes.

    Natural pictures have few colours often and most colours seldom; a double that has seen them as they come is wrong
    where sliders take it. An even half costs nothing and gained more than ten decibels. A batch has `GROUP` pixels of
    each of its scenes, so that whatever a network makes of the condition is made once for all of them.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    conditions: Tensor
    starts: Tensor
    counts: Tensor
    even: Tensor
    """For each scene numbers of rows, drawn evenly over the colours."""
    located: bool = False
    """Whether rows carry their place in a mosaic, which images of scattered pixels cannot."""
    cfa: str | None = None

    def draw(self, generator: Generator, size: int, rank: int = 0, world: int = 1) -> Batch:
        """`size` pixels for each process, in groups of `GROUP`: images `(N, C, GROUP, 1)`, or rows if `located`."""
        groups = max(size // GROUP, 1) * world
        scene = torch.randint(len(self.starts), (groups,), generator=generator)
        place = torch.rand(groups, GROUP // 2, generator=generator, dtype=torch.float64)
        natural = self.starts[scene, None] + (place * self.counts[scene, None]).long()
        pick = torch.randint(self.even.shape[1], (groups, GROUP // 2), generator=generator)
        chosen = torch.cat([natural, self.even[scene].gather(1, pick)], 1)[rank::world]
        condition = self.conditions[scene[rank::world]]
        if self.located:
            flat = chosen.flatten()
            images, targets = (tuple(each[flat] for each in some) for some in (self.images, self.targets))
            return Batch(images, targets, condition.repeat_interleave(GROUP, 0), cfa=self.cfa)
        images, targets = (
            tuple(each[chosen].transpose(1, 2)[..., None] for each in some) for some in (self.images, self.targets)
        )
        return Batch(images, targets, condition, cfa=self.cfa)


def rows(scenes: Sequence[Scene], flat: Flat | None = None) -> Rows:
    """The pixels of scenes.

    Args:
        scenes: to draw from; `quads` makes large ones smaller.
        flat: from an image `(1, C, H, W)` and whether it goes in or comes out to rows `(N, n)`.

    Raises:
        TrainingError: what goes in and what comes out are not of one size.
    """
    flat = flat or _flat
    for scene in scenes:
        if len({tuple(each.shape[-2:]) for each in (*scene.images, *scene.targets)}) != 1:
            raise TrainingError("a pointwise double cannot change the size of an image", "train another network for it")
    images = [flat(scene, False) for scene in scenes]
    targets = [flat(scene, True) for scene in scenes]
    counts = torch.tensor([len(of_scene[0]) for of_scene in images])
    joined = tuple(torch.cat(column) for column in zip(*images, strict=True))
    wanted = tuple(torch.cat(column) for column in zip(*targets, strict=True))
    planes = [image.shape[0] for image in scenes[0].images]
    colours = torch.cat([each[:, :count] for each, count in zip(joined, planes, strict=True)], 1)
    _, colour, often = torch.unique(_colours(colours), return_inverse=True, return_counts=True)
    seldom = (1.0 / often[colour].double()).split(counts.tolist())
    starts = counts.cumsum(0) - counts
    drawn = [
        start + torch.multinomial(weight, EVEN, replacement=True, generator=seeded(0, "even", index))
        for index, (start, weight) in enumerate(zip(starts, seldom, strict=True))
    ]
    located = any(each.shape[1] != count for each, count in zip(joined, planes, strict=True))
    conditions = torch.stack([scene.condition for scene in scenes])
    return Rows(joined, wanted, conditions, starts, counts, torch.stack(drawn), located, scenes[0].cfa)


def whole_rows(scene: Scene, flat: Flat | None = None) -> Batch:
    """All pixels of a scene as a batch."""
    flat = flat or _flat
    return Batch(flat(scene, False), flat(scene, True), scene.condition[None], cfa=scene.cfa)


def _flat(scene: Scene, outputs: bool) -> tuple[Tensor, ...]:
    return tuple(each.flatten(1).T for each in (scene.targets if outputs else scene.images))


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
    """Patches of `size` px, `rim` px from the border of a part, with `margin` px around that are no part of the loss.

    The scenes stand in groups of one CFA, and a batch is of one group: a network is told one phase at a time.
    """

    groups: tuple[tuple[Scene, ...], ...]
    size: int
    margin: int
    rim: int = 0

    def draw(self, generator: Generator, size: int, rank: int = 0, world: int = 1) -> Batch:
        """`size` patches for each process."""
        total = size * world
        chances = torch.tensor([float(len(group)) for group in self.groups])
        group = self.groups[int(torch.multinomial(chances, 1, generator=generator))]
        chosen = torch.randint(len(group), (total,), generator=generator).tolist()
        places = torch.rand(total, 2, generator=generator, dtype=torch.float64).tolist()
        mine = range(rank, total, world)
        found = [cut(group[chosen[index]], self.size, places[index], self.rim) for index in mine]
        return collate(found, self.margin)


def patches(scenes: Sequence[Scene], size: int, margin: int, border: int = 0) -> Patches:
    """Patches of scenes, with a margin and away from the border where the scenes are large enough for it.

    Args:
        scenes: to draw from.
        size: of a patch, without its margin.
        margin: how far the network looks to each side.
        border: how far the real thing does: so near to the border of a scene it did not see what it sees elsewhere.

    Raises:
        TrainingError: the scenes are too small.
    """
    smallest = min(min(scene.images[0].shape[-2:]) for scene in scenes)
    whole = min(size + 2 * margin, smallest) // ALIGNMENT * ALIGNMENT
    if whole < ALIGNMENT:
        raise TrainingError(f"parts of {smallest} px are too small to train on", "sample larger parts")
    groups = groupby(sorted(scenes, key=_cfa), key=_cfa)
    inner = inner_margin(whole, margin)
    rim = min(max(border - inner, 0), (smallest - whole) // 2) // ALIGNMENT * ALIGNMENT
    return Patches(tuple(tuple(group) for _, group in groups), whole, inner, rim)


def inner_margin(size: int, margin: int) -> int:
    """The margin of a patch of `size`, its own margins included: half of the patch stays at least."""
    return min(margin, size // 4) // ALIGNMENT * ALIGNMENT


def _cfa(scene: Scene) -> str:
    return scene.cfa or ""


def cut(scene: Scene, size: int, place: Sequence[float], rim: int = 0) -> Scene:
    """A square of a scene at a relative place, at even pixels; what comes out may be of another scale.

    No pixel of it is nearer to the border than `rim`, an even number for which there is room.
    """
    height, width = scene.images[0].shape[-2:]
    top, left = (
        rim + int(at * ((room - 2 * rim - size) // ALIGNMENT + 1)) * ALIGNMENT
        for at, room in zip(place, (height, width), strict=True)
    )

    def part(image: Tensor) -> Tensor:
        by = scale(scene.images[0], image)
        first, second, side = round(top * by), round(left * by), round(size * by)
        return image[:, first : first + side, second : second + side]

    images, targets = tuple(map(part, scene.images)), tuple(map(part, scene.targets))
    return replace(scene, images=images, targets=targets)


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
        scenes[0].cfa,
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
