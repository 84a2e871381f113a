"""One seed of one case: raws of photographs, attacked with and without sparing, and what the classifier then says."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ispdsl
from benchmarks.reproduce.attack.cases import Case
from benchmarks.reproduce.cifar import photographs
from benchmarks.reproduce.tasks import raws
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors
from ispdsl.learned.attack import ENOUGH, PAPER, Attacked, Bound, Look, attack, scaled
from ispdsl.learned.looks import Classifier, looked, resnet
from ispdsl.optimise.real import developer
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import write_dng
from ispdsl.synthetic.samples import resize

STOPS = 1.0
"""Of light that the raws lack."""

SIDE = 64
COUNT = 100
"""Pictures of a seed, a square number: for LibRaw they lie side by side in a square."""

STEPS = 40
TOGETHER = 50

ATTACKS: Mapping[str, tuple[float, bool, float]] = {
    "sparing S2": (1.0, True, ENOUGH),
    "sparing S2, half the bound": (0.5, True, ENOUGH),
    "sparing S2, no end": (1.0, True, math.inf),
    "sparing none": (1.0, False, math.inf),
}
"""Part of the paper's bound, whether S2 is spared, and the loss in nats that is enough under S1."""

WEIGHTS = Path("weights") / "cifar_resnet" / "resnet20-12fca82f.th"

Judge = Callable[[Tensor], dict[str, list[bool]]]
"""From codes to what is told right, by the name of the settings."""


def play(case: Case, data: Path, seed: int, device: str) -> dict[str, Any]:
    """Everything of one seed, as the answer keeps it."""
    begun = time.perf_counter()
    pictures, labels = photographs(data)
    chosen = np.random.default_rng(seed).permutation(len(pictures))[:COUNT]
    photos = [resize(pictures[number].numpy(), 2 * pictures.shape[-1]) for number in chosen]
    mosaics = raws.mosaics(photos, seed, STOPS)
    truth = labels[torch.from_numpy(chosen)]
    classifier, _ = resnet(data / WEIGHTS, device)
    looks = looks_of(case, classifier, device)
    judge = real_judge(case, classifier, truth, device) if case.real else program_judge(looks, truth, device)
    told = {"no attack": judge(mosaics)}
    sizes: dict[str, dict[str, float]] = {}
    for name, (part, spares, enough) in ATTACKS.items():
        bound = Bound(part * scaled(PAPER, SIDE * SIDE))
        found = attacked(looks, mosaics, truth, bound, spares, enough, device)
        told[name] = judge(torch.cat([each.raws for each in found]).cpu())
        size = torch.cat([each.size for each in found])
        sizes[name] = {"bound": bound.size, "mean": float(size.mean()), "largest": float(size.max())}
    return {"seed": seed, "count": COUNT, "told": told, "sizes": sizes,
            "seconds": round(time.perf_counter() - begun, 1)}  # fmt: skip


def looks_of(case: Case, classifier: Classifier, device: str) -> dict[str, Look]:
    """What the classifier says of what the programs render, by the name of the settings; with gradients."""
    graph = ispdsl.build(ispdsl.load(str(case.pipeline)))
    metadata = raws.metadata()
    plain = {name: value.double().numpy() for name, value in metadata.items()}
    composite = compile(graph, cfa=raws.CFA, taps=()).to(device)
    on = {name: value.to(device) for name, value in metadata.items()}

    def look(values: Mapping[str, Any]) -> Look:
        held = tensors(Settings.of(graph).resolved(plain).update(values))
        moved = {name: each.to(device) if isinstance(each, Tensor) else each for name, each in held.items()}
        return looked(composite, moved, on, classifier)

    return {name: look(values) for name, values in case.settings.items()}


def attacked(
    looks: Mapping[str, Look], mosaics: Tensor, truth: Tensor, bound: Bound, spares: bool, enough: float, device: str
) -> Sequence[Attacked]:
    """The attack on all raws, some at a time."""
    known = raws.metadata()
    levels = known["black_level"].to(device), known["white_level"].to(device)
    sparing = looks["S2"] if spares else None
    return [
        attack(some.to(device), right.to(device), looks["S1"], sparing, levels, bound, steps=STEPS, enough=enough)
        for some, right in zip(mosaics.split(TOGETHER), truth.split(TOGETHER), strict=True)
    ]


def program_judge(looks: Mapping[str, Look], truth: Tensor, device: str) -> Judge:
    """What the programs' pictures are told to be."""

    def judge(codes: Tensor) -> dict[str, list[bool]]:
        with torch.no_grad():
            logits = {
                name: torch.cat([look(some.to(device)) for some in codes.split(TOGETHER)])
                for name, look in looks.items()
            }
        return {name: (each.argmax(1).cpu() == truth).tolist() for name, each in logits.items()}

    return judge


def real_judge(case: Case, classifier: Classifier, truth: Tensor, device: str) -> Judge:
    """What the real thing's pictures are told to be: a DNG of all raws side by side is written, and it reads that."""
    assert case.real is not None, "there is a real thing"
    path, settings = case.real
    graph = ispdsl.build(ispdsl.load(str(path)))
    backend = "libraw"

    def values(given: Mapping[str, Any]) -> Mapping[str, Any]:
        if given.get("scale_colours.balance") != "manual":
            return {"scale_colours.balance": "camera", **given}
        red, blue = case.settings["S2"]["red"], case.settings["S2"]["blue"]
        gains = {"scale_colours.red": raws.GAINS[0] * float(red), "scale_colours.blue": raws.GAINS[1] * float(blue)}
        return {**given, **gains, "scale_colours.green": 1.0, "scale_colours.green_2": 1.0}

    def judge(codes: Tensor) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] = {}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sheet.dng"
            write_dng(file, replace(raws.shot(np.full((3, 32, 32), 0.5, np.float32), 0), mosaic=tiled(codes)))
            frame = read(file)
            with developer(graph, frame.type, backend) as (develop, _):
                for name, given in settings.items():
                    made = torch.from_numpy(develop(frame, Settings.of(graph).update(values(given))))
                    with torch.no_grad():
                        told = classifier(untiled(made).to(device)).argmax(1).cpu()
                    found[name] = (told == truth).tolist()
        return found

    return judge


def tiled(codes: Tensor) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Mosaics ``(N^2, 1, s, s)`` side by side in one ``(1, N s, N s)``."""
    many = round(len(codes) ** 0.5)
    side = codes.shape[-1]
    sheet = codes.reshape(many, many, side, side).permute(0, 2, 1, 3).reshape(1, many * side, many * side)
    return sheet.numpy().astype(np.uint16)


def untiled(picture: Tensor) -> Tensor:
    """The pictures ``(N^2, 3, s, s)`` of such a sheet ``(3, N s, N s)``."""
    many = picture.shape[-1] // SIDE
    return picture.reshape(3, many, SIDE, many, SIDE).permute(1, 3, 0, 2, 4).reshape(-1, 3, SIDE, SIDE)
