"""A network that looks at a raw and chooses the settings with which it comes out in a style.

Tseng et al. 2022, "Neural Photo-Finishing", section 7 and figure 9: an encoder with local and global features and
histograms of the raw gives sliders to the frozen pipeline; the style loss of what that finishes trains the encoder
alone. One network is trained for each style, and the raws that it is trained on need no finished pictures.

The paper does not say how large its encoder is. This one is small: it begins exactly at the pipeline's own start, and
what it says is a move from there within the soft ranges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from scipy.stats.qmc import LatinHypercube
from torch import Tensor, nn

from ispdsl.errors import CompileError
from ispdsl.ir.model import Frozen
from ispdsl.learned import weights
from ispdsl.learned.card import Card
from ispdsl.learned.fit import Fitted, Recipe, Told, fit
from ispdsl.learned.scenes import WORKING, Scene, Shoot
from ispdsl.learned.style_losses import Statistics, apart, histogram, mean_of, statistics
from ispdsl.optimise.descent import descend
from ispdsl.runtime.contact_sheet import shrink
from ispdsl.vision.features import Layered

BINS = 32
"""Of the histogram of each colour of the raw."""

DARKEST = 12.0
"""Stops below white where the histogram of the raw begins."""

CELLS = 4
"""Local features are told apart in so many places each way."""


class Shape(Frozen, frozen=True):
    """Of an encoder: how many numbers it chooses, and how many planes its first layer has."""

    count: int = Field(ge=1, le=4096)
    planes: int = Field(default=12, ge=1, le=256)


class Encoder(nn.Module):
    """From what is seen of raws ``(B, 3, 64, 64)`` and their starts ``(B, P)`` to settings ``(B, P)``, all in 0..1."""

    def __init__(self, count: int, planes: int = 12) -> None:
        super().__init__()
        widths = (3, planes, 2 * planes, 4 * planes)
        self.local = nn.ModuleList(nn.Conv2d(before, after, 3, 2, 1) for before, after in pairwise(widths))
        self.narrow = nn.Conv2d(widths[-1], planes // 2 + 1, 1)
        inner = 8 * planes
        self.inner = nn.Linear(widths[-1] + (planes // 2 + 1) * CELLS**2 + 3 * BINS + count, inner)
        self.last = nn.Linear(inner, count)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: Tensor, start: Tensor) -> Tensor:
        """Settings in the box of each raw."""
        stops = seen.clamp_min(2.0**-DARKEST).log2() / DARKEST + 1
        x = stops
        for layer in self.local:
            x = F.silu(layer(x))
        overall = x.mean((-2, -1))
        places = F.adaptive_avg_pool2d(F.silu(self.narrow(x)), CELLS).flatten(1)
        counts = [histogram(stops[:, plane].flatten(1), BINS, 0.0, 1.0) * BINS for plane in range(3)]
        told = torch.cat([overall, places, *counts, start], 1)
        return moved(start, self.last(F.silu(self.inner(told))))


def moved(start: Tensor, by: Tensor) -> Tensor:
    """A start in 0..1 moved by any numbers: at 0 where it was, with slope 1, and never beyond 0 or 1."""
    room = torch.where(by >= 0, 1 - start, start).clamp_min(1e-3)
    return (start + room * torch.tanh(by / room)).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Style:
    """What is wanted of pictures.

    Attributes:
        target: mean statistics of the pictures of the style.
        network: whose features the Gram matrices are of.
        luma, chroma: weights of the histograms.
        pull: of the mean squared distance from the start, as parts of the soft ranges. It decides where the style does
            not: of two ways to one picture the nearer one is taken.
    """

    target: Statistics
    network: nn.Module | Layered
    luma: float = 1.0
    chroma: float = 1.0
    pull: float = 0.02

    def loss(self, pictures: Tensor, z: Tensor, start: Tensor) -> Tensor:
        """Of pictures ``(B, 3, H, W)`` at settings ``(B, P)``: ``(B,)``."""
        away = (z - start).square().mean(1)
        terms = apart(statistics(pictures, self.network), self.target)
        return terms.total(self.luma, self.chroma) + self.pull * away

    def to(self, device: torch.device | str) -> Style:
        """The same on a device."""
        network = self.network.to(device) if isinstance(self.network, nn.Module) else self.network
        return Style(self.target.to(device), network, self.luma, self.chroma, self.pull)


@torch.no_grad()
def target_of(pictures: Iterable[NDArray[np.float32]], network: nn.Module | Layered, side: int = WORKING) -> Statistics:
    """The mean statistics of pictures of a style: of each ``(3, H, W)``, sRGB in 0..1, made as small as raws are.

    Raises:
        ValueError: there is no picture.
    """
    small = (torch.from_numpy(each if max(each.shape) <= side else shrink(each, side))[None] for each in pictures)
    return mean_of(statistics(each, network) for each in small)


def train(
    encoder: Encoder,
    style: Style,
    shot: Sequence[Shoot],
    recipe: Recipe,
    *,
    held_out: Sequence[Shoot] = (),
    together: int = 8,
    stops: float = 1.0,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Train an encoder in place, through the pipeline, which does not change.

    Args:
        encoder: of as many numbers as are free, on the device of the scenes.
        style: what is wanted, there too.
        shot: scenes to train on.
        recipe: how.
        held_out: scenes that the encoder is judged by; default: those that it is trained on.
        together: scenes in a step.
        stops: the light of a scene is multiplied by up to two to this, or divided: a raw is to come out in the style
            however it was exposed.
        told: called after each step.
        kept: file of a checkpoint, as `ispdsl.learned.fit.fit` writes it.
        resume: go on from that.

    Raises:
        ValueError: there is no scene.
        RunError, TrainingError: as `fit`.
    """
    if not shot:
        raise ValueError("there is no raw to train on")
    sizes = torch.tensor([len(each) for each in shot], dtype=torch.float64)

    def loss(step: int, drawn: torch.Generator) -> Tensor:
        some = shot[int(torch.multinomial(sizes, 1, generator=drawn))]
        device = some.images.device
        index = torch.randperm(len(some), generator=drawn)[:together].to(device)
        gain = (2.0 ** (stops * (2 * torch.rand(len(index), generator=drawn) - 1))).to(device)
        start = some.start[index]
        z = encoder((some.seen[index] * gain[:, None, None, None]).clamp(max=1), start)
        return style.loss(some.pictures(z, index, gain), z, start).mean()

    def judge() -> float:
        return -mean_loss(encoder, style, held_out or shot, together)

    return fit(encoder, loss, recipe, judge, told=told, kept=kept, resume=resume)


@torch.no_grad()
def mean_loss(encoder: Encoder, style: Style, shot: Sequence[Shoot], together: int = 8) -> float:
    """The mean style loss of scenes at the settings that an encoder chooses."""
    found: list[Tensor] = []
    for some in shot:
        for index in torch.arange(len(some), device=some.images.device).split(together):
            z = encoder(some.seen[index], some.start[index])
            found.append(style.loss(some.pictures(z, index), z, some.start[index]))
    return float(torch.cat(found).mean())


@torch.no_grad()
def predicted(encoder: Encoder, scene: Scene) -> NDArray[np.float64]:
    """Settings that an encoder chooses for a scene, ``(P,)`` in its box."""
    device = next(encoder.parameters()).device
    start = scene.box.place(scene.box.vector.to_vector(scene.settings)).clip(0, 1)
    seen = torch.from_numpy(scene.seen)[None].to(device)
    return encoder(seen, torch.from_numpy(start).float()[None].to(device))[0].double().cpu().numpy()


@dataclass(frozen=True, eq=False)
class Found:
    """Settings that were found for some scenes by themselves.

    Attributes:
        points: ``(N, P)``, the best of each in its box.
        before, after: the loss of each at its start and there, ``(N,)``.
    """

    points: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def fitted(
    style: Style,
    shoot: Shoot,
    *,
    steps: int = 100,
    rate: float = 0.03,
    tried: int = 16,
    seed: int = 0,
    told: Callable[[int, float], None] | None = None,
) -> Found:
    """Settings of scenes by the slopes of their own style losses, with no network.

    Slopes lead into the nearest valley: so points all over the box are tried first, and Adam begins at the best of them
    and the scene's own start. It scales each number by its own slopes: scenes that go down together go as each would
    alone.

    Args:
        style: what is wanted, on the device of the scenes.
        shoot: the scenes.
        steps: of Adam.
        rate: of Adam, as a part of the soft ranges.
        tried: points of a Latin hypercube that are rendered before the first step, the same for all scenes.
        seed: of these.
        told: called after each rendering, tried points and steps, with its number and the mean loss.

    Raises:
        ValueError: there is no step.
        RunError: a program fails.
    """
    still, start = shoot.still(), shoot.start
    points, losses = list[NDArray[np.float64]](), list[NDArray[np.float64]]()

    def loss(z: Tensor) -> Tensor:
        there = z.reshape(start.shape).float().to(start.device)
        each = style.loss(still.pictures(there), there, start)
        points.append(there.detach().double().cpu().numpy())
        losses.append(each.detach().double().cpu().numpy())
        if told is not None:
            told(len(losses), float(losses[-1].mean()))
        return each.sum()

    spread = LatinHypercube(start.shape[1], rng=np.random.default_rng(seed)).random(tried)
    with torch.no_grad():
        for point in [None, *spread]:
            loss(start if point is None else torch.from_numpy(point).repeat(len(start), 1))
    every = np.arange(len(shoot))
    best = np.stack(points)[np.argmin(losses, axis=0), every]
    cube = np.zeros(best.size), np.ones(best.size)
    descend(loss, best.flatten(), cube, rate=rate, steps=steps)
    best = np.argmin(losses, axis=0)
    return Found(np.stack(points)[best, every], losses[0], np.stack(losses)[best, every])


def opened(path: Path) -> tuple[Encoder, Card]:
    """The encoder of a file and its card, ready to be asked.

    Raises:
        CompileError: it is no file of a style, damaged, or not of the network that its card says.
    """
    card = weights.read_card(path, "style")
    hint = f"train it again: `{weights.COMMANDS['style']}`"
    try:
        shape = Shape.model_validate(card.arguments)
    except ValidationError:
        raise CompileError(f"{path}: the card does not say what network it is of", hint) from None
    encoder = Encoder(**shape.model_dump())
    weights.load(path, encoder, "style")
    return encoder, card


def digest(found: Statistics) -> str:
    """A name of statistics: what a checkpoint was trained towards. Rounded, as machines differ in the last digits."""
    every = torch.cat([each.flatten() for each in (*found.grams, found.luma, found.chroma)]).double().cpu().numpy()
    return hashlib.sha256(np.round(every, 5).tobytes()).hexdigest()[:16]
