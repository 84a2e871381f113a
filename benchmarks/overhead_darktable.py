"""What `executor darktable` adds to a bare darktable-cli: `python -m benchmarks.overhead_darktable [--size 512]`.

Bare starts and calls of the executor alternate in one process, and the medians are compared, so that a busy machine
disturbs both. Both make one picture with the settings of pipelines/darktable.isp; the bare start gets the same sidecar
and the same arguments, and its float picture is read as raw numbers. A batch is `--batch` samples of 128 px in one
start, with a slider moved each time, against the bare start of the same folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from ispdsl.backends.blackbox import declared, request
from ispdsl.executors.darktable import Darktable, open_executor
from ispdsl.executors.darktable_cli import command_line
from ispdsl.executors.darktable_history import write_history
from ispdsl.executors.model import Answer, Limits, Request
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw

PIPELINE = Path(__file__).parents[1] / "pipelines" / "darktable.isp"
GRAPH = build(load(PIPELINE))
LIMIT = 0.05
"""Share that the engine may add to a single call."""
SAMPLE, SAMPLE_LIMIT = 128, 60.0
"""Longer side in px of a sample of a batch, and the milliseconds that it may take."""


def asked(frame: Frame, contrast: float) -> Request:
    """The pipeline's picture without taps, one slider moved."""
    settings = Settings.of(GRAPH).set("sigmoid.contrast", contrast)
    return request(declared(GRAPH, {"C": frame.cfa}), frame, settings, ())


def bare(executor: Darktable, folder: Path, requests: list[Request]) -> float:
    """Seconds of a bare start, from laying out the folder to the numbers of its pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.perf_counter()
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    for number, each in enumerate(requests):
        assert each.frame is not None
        raw = folder / "in" / f"b{number:04d}.dng"
        shutil.copyfile(each.frame.source.path, raw)
        write_history(raw.with_name(f"{raw.name}.xmp"), executor.declared, each.settings, each.frame)
    command = command_line(executor.session.configuration, executor.session.threads)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    pictures = [np.fromfile(path, np.uint8) for path in sorted((folder / "out").iterdir())]
    assert len(pictures) == len(requests)
    return time.perf_counter() - begun


def ours(executor: Darktable, requests: list[Request]) -> float:
    """Seconds of the executor for the same."""
    begun = time.perf_counter()
    answers = executor.run_many(requests)
    seconds = time.perf_counter() - begun
    assert all(isinstance(answer, Answer) for answer in answers), answers
    return seconds


def alternated(rounds: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Seconds of both, in turns; whoever begins changes."""
    first(), second()
    pairs: list[tuple[float, float]] = []
    for turn in range(rounds):
        if turn % 2:
            late = second()
            pairs.append((first(), late))
        else:
            pairs.append((first(), second()))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def measured(rounds: int, size: int, batch: int) -> dict[str, float]:
    """The figures, times in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames: dict[int, Frame] = {}
        for side in {size, SAMPLE}:
            write_demo_raw(folder / f"{side}.dng", "coffee", size=side)
            frames[side] = read(folder / f"{side}.dng")
        found = declared(GRAPH, {"C": frames[size].cfa})
        with closing(open_executor(found, Limits(), 0)) as executor:
            one = [asked(frames[size], 1.5)]
            many = [asked(frames[SAMPLE], 1.0 + k / batch) for k in range(batch)]
            place = folder / "bare"
            single = alternated(rounds, lambda: bare(executor, place, one), lambda: ours(executor, one))
            group = alternated(max(rounds // 3, 2), lambda: bare(executor, place, many), lambda: ours(executor, many))
    bare_one, our_one, bare_many, our_many = map(statistics.median, (*single, *group))
    ratios = [mine / plain for plain, mine in zip(*single, strict=True)]
    return {
        "single bare ms": 1e3 * bare_one,
        "single ours ms": 1e3 * our_one,
        "single ratio of medians": our_one / bare_one,
        "single median of ratios": statistics.median(ratios),
        "single ratio of the fastest": min(single[1]) / min(single[0]),
        "batch bare ms a sample": 1e3 * bare_many / batch,
        "batch ours ms a sample": 1e3 * our_many / batch,
        "batch ours fastest ms a sample": 1e3 * min(group[1]) / batch,
        "batch ratio of medians": our_many / bare_many,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=512, help="longer side of the single picture in px")
    parser.add_argument("--batch", type=int, default=32)
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
