"""Recover alpha, beta and epsilon of local Laplacian tone mapping from nineteen finished pictures.

Tseng et al., "Hyperparameter Optimization in Black-box Image Processing using Differentiable Proxies", SIGGRAPH 2019,
does so by a proxy and reports 44.31 dB. Hidden values are drawn evenly over the soft ranges, one set for all pictures,
which are rounded to 8 bits as files are; they are searched for through the stage's own program, and what is found is
rendered by it for these pictures and for others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ispdsl
from benchmarks.reproduce.approximation.raws import Region, choose
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.graph import Graph
from ispdsl.optimise.model import Model, Picture
from ispdsl.optimise.real import Render, renderer
from ispdsl.optimise.regression import Search, regress_all
from ispdsl.optimise.views import View, decibels
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

ROOT = Path(__file__).parents[3]
FREE: tuple[str, ...] = ("local_laplacian.alpha", "local_laplacian.beta", "local_laplacian.epsilon")
PICTURES, SEEDS, SIDE, CALLS = 19, 10, 256, 20
WANTED = 44.31
"""In dB: what Tseng et al. report."""


@dataclass(frozen=True)
class Trial:
    """One set of hidden values.

    Attributes:
        seed: that they were drawn by.
        hidden, found: by slider, in its unit.
        start, seen, unseen: mean PSNR in dB of the nineteen pictures at the start and as rendered with what was found,
            and of as many others.
        worst: PSNR of the worst of all these with what was found.
        calls: of the program that renders, for each picture.
        seconds: of the search.
    """

    seed: int
    hidden: dict[str, float]
    found: dict[str, float]
    start: float
    seen: float
    unseen: float
    worst: float
    calls: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Shot:
    """A part of a raw with what renders it."""

    frame: Frame
    start: Settings
    render: Render

    def finished(self, settings: Settings) -> Picture:
        """As a file of 8 bits has it."""
        return np.asarray(np.rint(self.render(settings) * 255) / 255, np.float32)


def regions(folder: Path, side: int) -> tuple[list[Region], list[Region]]:
    """Nineteen parts to search by and nineteen others; where there are fewer some come twice."""
    chosen = choose(folder, None, PICTURES, side)
    return list(islice(cycle(chosen.training), PICTURES)), list(islice(cycle(chosen.testing), PICTURES))


def shots(graph: Graph, parts: Sequence[Region], stack: ExitStack) -> list[Shot]:
    """Parts of raws, ready to be rendered."""
    found: list[Shot] = []
    for part in parts:
        frame = part.read()
        render, _ = stack.enter_context(renderer(graph, frame))
        found.append(Shot(frame, Settings.of(graph).resolved(frame.metadata), render))
    return found


def view(graph: Graph, shot: Shot, target: Picture, vector: Vector) -> View:
    """A part with the picture that was made of it."""
    types = match(graph, {mosaic_input(graph): shot.frame.type})
    composite = compile(graph, types=types, taps=())
    model = Model(composite, vector, settings_tensors(shot.start), *tensors(shot.frame))
    return View(target, shot.start, shot.render, model)


def trial(graph: Graph, seen: Sequence[Shot], unseen: Sequence[Shot], seed: int) -> Trial:
    """Hide values, search for them, and score what was found by the program that rendered the pictures."""
    vector = Vector.of(seen[0].start, "unit", FREE)
    low, high = np.array(vector.soft_bounds).T
    drawn = vector.from_vector((low + np.random.default_rng(seed).random(low.size) * (high - low)).tolist())
    hidden = dict(zip(FREE, Vector.of(drawn, "physical", FREE).to_vector(drawn), strict=True))
    views = [view(graph, shot, shot.finished(shot.start.update(hidden)), vector) for shot in seen]
    begun = time.perf_counter()
    found = regress_all(views, vector, search=Search(CALLS, starts=4, seed=seed), exact=True)
    seconds = time.perf_counter() - begun
    values = {each.name: each.found for each in found.estimates}
    known = [each.psnr for each in found.views]
    others = [
        decibels(shot.render(shot.start.update(values)) - shot.finished(shot.start.update(hidden))) for shot in unseen
    ]
    return Trial(
        seed, hidden, values, float(np.mean([each.psnr_before for each in found.views])), float(np.mean(known)),
        float(np.mean(others)), min(*known, *others), found.calls, seconds,
    )  # fmt: skip


def measure(folder: Path, side: int, seeds: Sequence[int]) -> dict[str, Any]:
    """All trials."""
    graph = ispdsl.build(ispdsl.load(str(Path(__file__).parent / "finished.isp")))
    training, testing = regions(folder, side)
    trials: list[Trial] = []
    with ExitStack() as stack:
        seen, unseen = shots(graph, training, stack), shots(graph, testing, stack)
        for seed in seeds:
            trials.append(trial(graph, seen, unseen, seed))
            print(f"seed {seed}: {trials[-1]}", file=sys.stderr)
    return {
        "measure": "mean PSNR of pictures rendered with what was found against the finished ones of 8 bits",
        "wanted": WANTED,
        "pictures": PICTURES,
        "side": side,
        "raws": sorted({part.name for part in (*training, *testing)}),
        "ranges": {name: list(ends) for name, ends in _ranges(graph).items()},
        "versions": {name: version(name) for name in ("ispdsl", "torch", "numpy")},
        "threads": torch.get_num_threads(),
        "trials": [asdict(each) for each in trials],
    }


def _ranges(graph: Graph) -> dict[str, tuple[float, float]]:
    vector = Vector.of(Settings.of(graph), "physical", FREE)
    return {each.name: each.soft for each in vector.elements}


def page(result: dict[str, Any]) -> str:
    """The trials as Markdown."""
    trials = result["trials"]
    seen, unseen, start = (np.array([each[name] for each in trials]) for name in ("seen", "unseen", "start"))
    ranges = ", ".join(
        f"{name.partition('.')[2]} {low:g} to {high:g}" for name, (low, high) in result["ranges"].items()
    )
    rows = [
        "| {seed} | {pairs} | {start:.2f} | {seen:.2f} | {unseen:.2f} | {worst:.2f} | {calls} | {seconds:.0f} |".format(
            pairs=" | ".join(f"{each['hidden'][name]:.4f} | {each['found'][name]:.4f}" for name in FREE), **each
        )
        for each in trials
    ]
    lines = [
        "# Local Laplacian tone mapping, recovered from finished pictures",
        "",
        f"Alpha, beta and epsilon, hidden evenly over their soft ranges ({ranges}), one set for {result['pictures']}",
        f"pictures of {result['side']} x {result['side']} px that were rounded to 8 bits. They are searched for by",
        "least squares through the stage's own program, from its defaults. PSNR in dB is the mean over pictures, as",
        "rendered with what was found, against those of 8 bits: of the same pictures (seen), and of as many parts of",
        "other raws (unseen). Rounding alone is at 58.9 dB. Made by `make reproduce-local-laplacian DATA=folder`.",
        "",
        f"{len(trials)} seeds. Unseen: median **{np.median(unseen):.2f} dB**, worst seed {unseen.min():.2f}; seen:",
        f"median {np.median(seen):.2f}, worst seed {seen.min():.2f}; at the start: median {np.median(start):.2f}.",
        f"Wanted: {result['wanted']}. The worst single picture has {min(each['worst'] for each in trials):.2f} dB.",
        "",
        "| seed | alpha | found | beta | found | epsilon, ev | found | start | seen | unseen | worst | calls | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"{len(result['raws'])} raws, {result['threads']} threads. Versions: "
        + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write `local_laplacian.json` and `local_laplacian.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ISPDSL_DATA"), help="a folder of raws; default: ISPDSL_DATA")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reproduce", help="where the results go")
    parser.add_argument("--side", type=int, default=SIDE, help="of a picture, in px")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many sets of hidden values")
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, or set ISPDSL_DATA")
    result = measure(Path(given.data), given.side, range(given.seeds))
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "local_laplacian.json").write_text(json.dumps(result, indent=2) + "\n")
    (given.output / "local_laplacian.md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
