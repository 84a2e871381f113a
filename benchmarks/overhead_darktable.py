"""What `executor darktable` adds to a bare darktable-cli: `python -m benchmarks.overhead_darktable [--size 512]`.

Bare starts and calls of the executor alternate in one process, so that a busy machine disturbs both. The bare start has
the same arguments and threads that sleep as ours do; its folder with images and sidecars lies there already, and its
pictures are not read. `single` is one picture of pipelines/darktable.isp; `stage` a batch of one module alone and
`pipeline` one of the whole pipeline, samples of 128 px with a slider moved each time, in one start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from ispdsl.backends.blackbox import declared, declared_stage, request
from ispdsl.executors.darktable import Darktable, open_executor, plan_of
from ispdsl.executors.darktable_cli import ENVIRONMENT, IMAGES, RESULTS, command_line
from ispdsl.executors.darktable_xmp import encode_history
from ispdsl.executors.model import Answer, Limits, Request
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw

ROOT = Path(__file__).parents[1]
GRAPH = build(load(ROOT / "pipelines" / "darktable.isp"))
LIMIT = 0.05
"""Share that the engine may add to a single call."""
SAMPLE, SAMPLE_LIMIT = 128, 60.0
"""Side in px of a sample of a batch, and the milliseconds that it may take."""


def asked(frame: Frame, contrast: float) -> Request:
    """The pipeline's picture without taps, one slider moved."""
    settings = Settings.of(GRAPH).set("sigmoid.contrast", contrast)
    return request(declared(GRAPH, {"C": frame.cfa}), frame, settings, ())


def laid_out(executor: Darktable, folder: Path, requests: list[Request]) -> None:
    """The folder of a bare start."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / IMAGES).mkdir(parents=True)
    for number, each in enumerate(requests):
        order = plan_of(executor.declared, executor.chain, each, executor.source).order
        image = order.write(folder / IMAGES, f"b{number:04d}")
        image.with_name(f"{image.name}.xmp").write_bytes(encode_history(order.recipes[0].entries))


def bare(executor: Darktable, folder: Path, count: int) -> float:
    """Seconds of a bare start."""
    shutil.rmtree(folder / RESULTS, ignore_errors=True)
    (folder / RESULTS).mkdir()
    command = command_line(executor.session.configuration, executor.session.threads)
    begun = time.perf_counter()
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")} | ENVIRONMENT
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=surroundings)
    seconds = time.perf_counter() - begun
    assert len(list((folder / RESULTS).iterdir())) == count
    return seconds


def ours(executor: Darktable, requests: list[Request]) -> float:
    """Seconds of the executor for the same."""
    begun = time.perf_counter()
    answers = executor.run_many(requests)
    seconds = time.perf_counter() - begun
    assert all(isinstance(answer, Answer) for answer in answers), answers
    return seconds


def alternated(rounds: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Seconds of both, in turns; whoever begins changes."""
    first()
    second()
    pairs: list[tuple[float, float]] = []
    for turn in range(rounds):
        if turn % 2:
            late = second()
            pairs.append((first(), late))
        else:
            pairs.append((first(), second()))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def compared(executor: Darktable, requests: list[Request], rounds: int) -> dict[str, float]:
    """Milliseconds a sample of both, and ours over bare."""
    with tempfile.TemporaryDirectory() as name, closing(executor):
        folder = Path(name) / "bare"
        laid_out(executor, folder, requests)
        count = len(requests)
        plain, mine = alternated(rounds, lambda: bare(executor, folder, count), lambda: ours(executor, requests))
    return {
        "bare ms": 1e3 * statistics.median(plain) / count,
        "ours ms": 1e3 * statistics.median(mine) / count,
        "ours fastest ms": 1e3 * min(mine) / count,
        "ratio of medians": statistics.median(mine) / statistics.median(plain),
        "ratio of the fastest": min(mine) / min(plain),
    }


def measured(rounds: int, size: int, batch: int) -> dict[str, float]:
    """The figures, times in milliseconds a sample."""
    with tempfile.TemporaryDirectory() as name:
        frames: dict[int, Frame] = {}
        for side in {size, SAMPLE}:
            path = Path(name) / f"{side}.dng"
            write_demo_raw(path, "coffee", size=side)
            frames[side] = read(path)
        found = declared(GRAPH, {"C": frames[size].cfa})
        stages = load(ROOT / "stdlib" / "darktable" / "colour.isp").stages.values()
        stage = declared_stage(next(each.signature for each in stages if each.signature.name == "vibrance"), "")
        image = np.random.default_rng(0).uniform(0.0, 1.0, (3, SAMPLE, SAMPLE)).astype(np.float32)
        samples = [Request({"image": image}, {"enabled": True, "amount": 3.0 * k}) for k in range(batch)]
        many = [asked(frames[SAMPLE], 1.0 + k / batch) for k in range(batch)]
        tasks: dict[str, tuple[Darktable, list[Request], int]] = {
            "single": (open_executor(found, Limits(), 0), [asked(frames[size], 1.5)], rounds),
            "stage": (open_executor(stage, Limits(), 0), samples, max(rounds // 3, 2)),
            "pipeline": (open_executor(found, Limits(), 0), many, max(rounds // 3, 2)),
        }
        found_all = {task: compared(*given) for task, given in tasks.items()}
    return {f"{task} {name}": value for task, figures in found_all.items() for name, value in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=512, help="longer side of the single picture in px")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measured(given.rounds, given.size, given.batch)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:32} {value:10.3f}")
    print(f"limits: a single call adds at most {LIMIT:.0%}, a sample of {SAMPLE} px takes at most {SAMPLE_LIMIT:g} ms")


if __name__ == "__main__":
    main()
