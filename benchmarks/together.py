"""Jacobians of several small images in one call against one after the other: `python -m benchmarks.together`.

Both sides by turns in one process, on synthetic raws; printed are the seconds of each and their ratio (below 1 the one
call is faster), for each size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.optimise.model import Model
from ispdsl.optimise.together import Batch
from ispdsl.passes.select import match
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.synthetic.samples import write_demo_raw

PIPELINE = Path(__file__).parents[1] / "pipelines" / "photo_finish.isp"


def models_of(size: int, images: int) -> list[Model]:
    """Models of so many parts of one raw, `size` px wide, of all free numbers."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coffee.dng"
        write_demo_raw(path, "coffee", size=max(2 * size, 64))
        frame = ispdsl.read(path)
    settings = Settings.of(graph).resolved(frame.metadata)
    composite = compile(graph, types=match(graph, {mosaic_input(graph): frame.type}), taps=())
    made: list[Model] = []
    for number in range(images):
        part = replace(frame, image=frame.image[:, 2 * number : 2 * number + size // 2, :size])
        made.append(Model(composite, Vector.of(settings, "unit"), settings_tensors(settings), *tensors(part)))
    return made


def seconds(work: Callable[[], object]) -> float:
    """Of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, and print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    for size in given.sizes:
        models = models_of(size, given.images)
        batch = Batch(tuple(models))
        point = np.array(models[0].vector.to_vector(models[0].vector.settings)) + 0.01
        rows = np.arange(0, 3 * models[0].image.numel(), 7)
        count = range(len(models))

        def one_call(batch: Batch = batch, point: np.ndarray = point, rows: np.ndarray = rows) -> object:
            return batch.jacobians([point] * len(batch.models), [rows] * len(batch.models))

        def by_turns(batch: Batch = batch, point: np.ndarray = point, rows: np.ndarray = rows) -> object:
            return [each.jacobian(point, rows) for each in batch.models]

        for work in (one_call, by_turns):  # what is kept of them is made
            work()
        pairs = [(seconds(one_call), seconds(by_turns)) for _ in range(given.turns)]
        ratio = statistics.median(one / other for one, other in pairs)
        first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
        height, width = models[0].image.shape[-2:]
        print(
            f"{len(count)} of {width} x {height} px: {first:.3f} s together, {second:.3f} s by turns, ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
