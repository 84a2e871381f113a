"""One look and one seed: the style's pictures, an encoder trained on raws, and both ways measured on other raws."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.reproduce.style.looks import LOOKS, Look
from benchmarks.reproduce.style.material import SIDE, Material, material, pictures_of, widened
from benchmarks.reproduce.style.sequences import burst, pan
from ispdsl.graph import Graph, build
from ispdsl.learned.fit import Recipe
from ispdsl.learned.scenes import Means, Scene, shoots
from ispdsl.learned.sequences import interpolated, key_frames
from ispdsl.learned.style import Encoder, Found, Style, fitted, opened, target_of
from ispdsl.learned.style_losses import Statistics, apart, mean_of, statistics
from ispdsl.learned.style_training import Job, chosen_by, learn, measured, rendered, sequence
from ispdsl.lower.loader import load
from ispdsl.runtime.values import Settings
from ispdsl.vision.gabor import GaborBank
from ispdsl.vision.resnet import load_resnet

ROOT = Path(__file__).parents[3]
PIPELINE = ROOT / "pipelines" / "photo_finish.isp"

STEPS, RATE, TOGETHER = 200, 3e-3, 6
"""Of the encoder's training."""

DESCENT = 60
"""Steps of the direct way, after `TRIED` points."""

TRIED = 12
EVERY = 6
"""Distance of key frames."""

TERMS = ("luma", "chroma", "gram", "gram_resnet")
"""Distances; encoder and direct way were given the first three, of the last they know nothing."""

WAYS = ("default", "run", "fit")

Picture = NDArray[np.float32]


def photo_finish() -> Graph:
    """The pipeline."""
    return build(load(PIPELINE))


def play(data: Path, seed: int, device: str = "cpu") -> dict[str, Any]:
    """All looks of a seed."""
    torch.set_num_threads(1)
    graph = photo_finish()
    drawn = material(graph, data, seed)
    return {name: one(graph, data, drawn, look, seed, device) for name, look in LOOKS.items()}


def one(graph: Graph, data: Path, drawn: Material, look: Look, seed: int, device: str) -> dict[str, Any]:
    """Train for a look, finish and measure."""
    drawn = replace(drawn, train=widened(drawn.train, look.hard), test=widened(drawn.test, look.hard))
    begun = time.perf_counter()
    examples = pictures_of(graph, drawn.style, look, device)
    style = Style(target_of(examples, GaborBank(), SIDE), GaborBank()).to(device)
    encoder, training = trained(graph, drawn, style, seed, device)
    after = time.perf_counter()
    settings = {
        "default": [each.settings for each in drawn.test],
        "run": chosen_by(encoder, drawn.test),
        "fit": direct(graph, drawn.test, style, seed, device),
    }
    fitting = time.perf_counter() - after
    pictures = {way: rendered(graph, drawn.test, found, Means(), device) for way, found in settings.items()}
    networks = {"gabor": GaborBank(), "resnet": load_resnet(weights(data))}
    return {
        "title": look.title,
        "hard": look.hard,
        "seed": seed,
        "style": len(examples),
        "train": len(drawn.train),
        "test": [each.name for each in drawn.test],
        "loss": training,
        "scores": {way: distances(pictures[way], examples, networks) for way in WAYS},
        "floor": distances(examples[::2], examples[1::2], networks),
        "settings": {way: shown(found) for way, found in settings.items()},
        "sequences": sequences(graph, data, encoder, look, seed, device),
        "seconds": {
            "training": training["seconds"], "fit_of_one": fitting / len(drawn.test),
            "all": time.perf_counter() - begun,
        },
    }  # fmt: skip


def weights(data: Path) -> Path:
    """Of the network that judges, and is not trained on.

    Raises:
        FileNotFoundError: they are not there.
    """
    found = sorted((data / "weights/cifar_resnet").glob("resnet20-*.th"))
    if not found:
        raise FileNotFoundError(f"{data / 'weights/cifar_resnet'} holds no resnet20-*.th")
    return found[0]


def trained(graph: Graph, drawn: Material, style: Style, seed: int, device: str) -> tuple[Encoder, dict[str, Any]]:
    """The encoder of a style, as `ispdsl style train` makes it, and its losses."""
    shot = shoots(graph, drawn.train, Means(), device)
    recipe = Recipe(STEPS, RATE, clip=1.0, judged=4, seed=seed)
    job = Job(graph, Settings.of(graph), style, shot, (), recipe, TOGETHER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "style.safetensors"
        card = learn(job, path, about={}, wanted={"side": SIDE})
        encoder, _ = opened(path)
    return encoder.to(device), {**card.scores, "seconds": card.training["seconds"]}


def direct(graph: Graph, scenes: Sequence[Scene], style: Style, seed: int, device: str) -> list[Settings]:
    """Settings of each scene as `ispdsl style fit` finds them."""
    found: dict[str, Settings] = {}
    by_name = {each.name: each for each in scenes}
    for shoot in shoots(graph, scenes, Means(), device):
        answer: Found = fitted(style, shoot, steps=DESCENT, tried=TRIED, seed=seed)
        for name, point in zip(shoot.names, answer.points, strict=True):
            found[name] = by_name[name].box.settings(point, by_name[name].settings)
    return [found[each.name] for each in scenes]


@torch.no_grad()
def distances(
    pictures: Sequence[Picture], examples: Sequence[Picture], networks: Mapping[str, nn.Module]
) -> dict[str, Any]:
    """How far pictures are from a style, as parts of the length of its statistics.

    Returns:
        For each term ``of_each``, the distances of the pictures from the style's mean in order, and ``of_all``, the
        distance of the mean of all from it.
    """
    found: dict[str, Any] = {}
    for network in ("gabor", "resnet"):
        target = target_of(examples, networks[network], SIDE)
        each = [statistics(torch.from_numpy(one)[None], networks[network]) for one in pictures]
        alone = [_plain(one, target) for one in each]
        together = _plain(mean_of(each), target)
        names = {"gram": "gram"} if network == "gabor" else {"gram": "gram_resnet"}
        names |= {"luma": "luma", "chroma": "chroma"} if network == "gabor" else {}
        for term, name in names.items():
            found[name] = {"of_each": [one[term] for one in alone], "of_all": together[term]}
    return {name: found[name] for name in TERMS}


def _plain(found: Statistics, target: Statistics) -> dict[str, float]:
    terms = apart(found, target, coarser=False)
    return {name: float(getattr(terms, name).sqrt()) for name in ("gram", "luma", "chroma")}


def shown(found: Sequence[Settings]) -> dict[str, float]:
    """The median over scenes of every free number, in its unit."""
    from ispdsl.runtime.vector import Vector

    addresses = Vector.of(found[0]).names
    return {each: float(np.median([float(one[each]) for one in found])) for each in addresses}  # type: ignore[arg-type]


def sequences(graph: Graph, data: Path, encoder: Encoder, look: Look, seed: int, device: str) -> dict[str, Any]:
    """How much two sequences flicker: settings of every frame, and of key frames with lines or curves between."""
    start, told = Settings.of(graph), dict[str, Any]()
    for name, shot in {"burst": burst(data, start), "pan": pan(data, start, seed)}.items():
        scenes = widened(shot, look.hard)
        found = chosen_by(encoder, scenes)
        ways = {"every frame": measured(graph, scenes, found, Means(), device)}
        for way in ("linear", "monotone"):
            ways[way] = sequence(graph, scenes, found, Means(), device, EVERY, way)[1]
        told[name] = {way: asdict(each) for way, each in ways.items()}
        told[name]["between"] = _missed(scenes, found)
    return told


def _missed(scenes: Sequence[Scene], found: Sequence[Settings]) -> float:
    """How far interpolated settings are from those of every frame: the mean, as a part of the ranges searched."""
    parts = np.array([each.box.place(each.box.vector.to_vector(one)) for each, one in zip(scenes, found, strict=True)])
    keys = key_frames(len(parts), EVERY)
    return float(np.abs(interpolated(keys, parts[keys]) - parts).mean())
