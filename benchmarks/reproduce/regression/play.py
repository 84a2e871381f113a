"""One question, asked of one player: a picture that the real thing made at hidden settings, and who finds them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ispdsl
from benchmarks.reproduce.regression.cases import EACH, RIVALS
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.backends.vector import unit_to_settings
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.graph import Graph
from ispdsl.optimise.engine import search
from ispdsl.optimise.model import Model
from ispdsl.optimise.real import Render
from ispdsl.optimise.regression import Regression, Search, regress
from ispdsl.optimise.space import Numbers, Space
from ispdsl.optimise.views import decibels
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

SIDE = 128
"""Height and width in px of the part of a raw that is looked at."""

RATES = (0.003, 0.01, 0.03, 0.1)
"""Learning rates that Adam is tuned over."""
ADAM_STEPS = 800
LEVEL = 65.0
"""dB that Adam is timed to, or what least squares reached where that is less."""

Answer = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Question:
    """A picture, and what may be asked for it.

    Attributes:
        graph: of the pipeline.
        frame: the part of the raw.
        settings: where every player begins.
        vector: what is free.
        hidden: the settings behind the picture.
        target: the picture ``(3, H, W)``.
        render: the real thing.
        composite: its double, or its programs where those are the real thing.
        calls: of the real thing, for our players.
        seed: of players that draw.
    """

    graph: Graph
    frame: Frame
    settings: Settings
    vector: Vector
    hidden: Numbers
    target: NDArray[np.float32]
    render: Render
    composite: Composite
    calls: int
    seed: int

    @property
    def model(self) -> Model:
        """The double as a function of the unit cube."""
        return Model(self.composite, self.vector, settings_tensors(self.settings), *tensors(self.frame))

    @property
    def box(self) -> tuple[Numbers, Numbers]:
        """The soft ranges, widened to hold the start: where every player looks."""
        start = np.array(self.vector.to_vector(self.settings))
        low, high = np.array(self.vector.soft_bounds).T
        return np.minimum(low, start), np.maximum(high, start)


def part(path: Path, seed: int) -> Frame:
    """A part of a raw, somewhere in it, beginning like the raw's mosaic."""
    frame = ispdsl.read(path)
    rows, columns = frame.size
    rng = np.random.default_rng((seed, 1))
    top, left = (2 * int(rng.integers(0, max(size - SIDE, 0) // 2 + 1)) for size in (rows, columns))
    return frame.crop(top, left, min(SIDE, rows), min(SIDE, columns))


def hidden(vector: Vector, settings: Settings, varied: Mapping[str, Mapping[str, Any]], seed: int) -> Numbers:
    """Settings drawn evenly from the ranges that the doubles were trained on, in the unit face."""
    ends: list[list[float]] = []
    for end in ("low", "high"):
        known = {slot.address: varied[slot.address][end] for slot in vector.slots if slot.address in varied}
        ends.append(list(vector.to_vector(settings.update(known))))
    low, high = np.sort(np.array(ends), axis=0)
    return low + np.random.default_rng((seed, 2)).random(low.size) * (high - low)


def doubled(graph: Graph, frame: Frame, doubles: Path | None, trust: Sequence[str]) -> Composite:
    """The pipeline by its doubles; by its programs without any."""
    types = match(graph, {mosaic_input(graph): frame.type})
    return compile(graph, types=types, taps=(), doubles=doubles, trust=trust)


# ---- players -----------------------------------------------------------------------------------------------


def grey_box(asked: Question) -> Answer:
    """The residual of the real thing, the derivatives of its double."""
    return _said(asked, _regressed(asked, asked.render, exact=False))


def programs(asked: Question) -> Answer:
    """Exact programs: residual and derivatives of the same."""
    return _said(asked, _regressed(asked, asked.render, exact=True))


def doubles_alone(asked: Question) -> Answer:
    """The double is believed: what makes its picture like the target is rendered by the real thing once."""
    model = asked.model

    def believed(settings: Settings) -> NDArray[np.float32]:
        return model.picture(np.array(asked.vector.to_vector(settings)))

    found = _regressed(asked, believed, exact=True)
    psnr = _psnr(asked, asked.render(found.settings))
    return {**_said(asked, found), "psnr": psnr, "believed": found.psnr, "path": [psnr], "calls": 1}


def rival(name: str) -> Callable[[Question], Answer]:
    """A searcher that is given the real thing alone."""

    def play(asked: Question) -> Answer:
        from ispdsl.optimise.searchers import SEARCHERS

        low, high = asked.box

        def score(z: Numbers) -> float:
            picture = asked.render(asked.vector.from_vector(np.clip(low + z * (high - low), 0, 1).tolist()))
            return float(np.mean(np.square(picture - asked.target, dtype=np.float64)))

        start = (np.array(asked.vector.to_vector(asked.settings)) - low) / (high - low)
        space = Space.continuous(asked.vector.names)
        found = search(SEARCHERS[name], score, space, calls=EACH, seed=asked.seed, start=start)
        path = [round(-10 * float(np.log10(max(value, 1e-20))), 3) for value in found.path]
        point = low + found.point * (high - low)
        return {"psnr": path[-1], "path": path, "calls": len(path), "off": _off(asked, point), "why": found.why}

    return play


def adam(asked: Question) -> Answer:
    """Adam on the exact programs by reverse mode, each learning rate on its own: the path of each by seconds."""
    low, high = (torch.from_numpy(end) for end in asked.box)
    image, metadata = tensors(asked.frame)
    held = settings_tensors(asked.settings)
    target = torch.from_numpy(asked.target)
    start = (torch.tensor(asked.vector.to_vector(asked.settings), dtype=torch.float64) - low) / (high - low)
    runs: dict[str, Any] = {}
    for rate in RATES:
        z = start.clone().requires_grad_()
        optimiser = torch.optim.Adam([z], lr=rate)
        begun, path = time.perf_counter(), []
        for _ in range(ADAM_STEPS):
            values = {**held, **unit_to_settings(asked.vector, (low + z * (high - low)).clamp(0, 1))}
            loss = (asked.composite(image, values, metadata).image - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                z.clamp_(0, 1)
            path.append((round(time.perf_counter() - begun, 4), -10 * float(np.log10(max(loss.item(), 1e-20)))))
            if path[-1][1] >= LEVEL:
                break
        runs[f"{rate:g}"] = path
    best = max(runs, key=lambda rate: max(psnr for _, psnr in runs[rate]))
    return {"psnr": max(psnr for _, psnr in runs[best]), "rate": float(best), "runs": runs}


PLAYERS: Mapping[str, Callable[[Question], Answer]] = {
    "doubles alone": doubles_alone,
    "grey box": grey_box,
    "programs": programs,
    "adam": adam,
    **{name: rival(name) for name in RIVALS},
}


def _regressed(asked: Question, render: Render, exact: bool) -> Regression:
    how = Search(calls=asked.calls, seed=asked.seed)
    return regress(asked.target, asked.settings, asked.vector, render, asked.model, search=how, exact=exact)


def _said(asked: Question, found: Regression) -> Answer:
    return {
        "psnr": found.psnr,
        "believed": found.believed,
        "path": [round(each, 3) for each in found.path],
        "calls": found.calls,
        "renders": found.renders,
        "off": _off(asked, np.array(asked.vector.to_vector(found.settings))),
        "cannot_tell": [dict(each.parts) for each in found.confusions],
        "why": found.why,
    }


def _psnr(asked: Question, picture: NDArray[np.float32]) -> float:
    return decibels((picture - asked.target).reshape(-1))


def _off(asked: Question, point: Numbers) -> float:
    """Mean distance of the sliders from the hidden ones, as a part of their soft ranges."""
    low, high = asked.box
    return float(np.mean(np.abs(point - asked.hidden) / (high - low)))
