"""What `executor libraw` adds to a bare rawpy call: `python -m benchmarks.overhead_libraw [RAW]`.

Bare calls and calls of the executor alternate in one process, and the medians are compared. A call is one development
with the settings of pipelines/libraw.isp, a slider moved each time, of another file than the call before: both open and
decode it. The bare call ends with what rawpy gives, 16-bit codes of a pixel side by side; `in floats` is the same call
brought to planes of floats in 0..1 by numpy, which is what the executor gives. `kept open` is the executor on one file
whose settings change: it does not open that again. Without a raw, a synthetic one of 12 MP is developed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from ispdsl.backends.blackbox import declared, request
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Executor
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from ispdsl.synthetic.samples import resize

PIPELINE = Path(__file__).parents[1] / "pipelines" / "libraw.isp"
GRAPH = build(load(PIPELINE))
Call = Callable[[int], object]


def bare(path: Path, bright: float) -> NDArray[Any]:
    """The call that everybody writes."""
    with rawpy.imread(str(path)) as raw:
        return raw.postprocess(use_camera_wb=True, gamma=(2.4, 12.92), output_bps=16, user_flip=0, bright=bright)


def in_floats(path: Path, bright: float) -> NDArray[Any]:
    """The same, as planes of floats."""
    return np.moveaxis(bare(path, bright), -1, 0).astype(np.float32) / 65535


def opened(frame: Frame, process: str) -> Executor:
    """The executor, in this process or one of its own."""
    found = declared(GRAPH, {"C": frame.cfa})
    line = found.implementation.model_copy(update={"arguments": {"process": process}})
    return open_executor(replace(found, implementation=line))


def calls(paths: list[Path], stack: ExitStack) -> dict[str, Call]:
    """What is compared, each a function of the number of the round."""
    frames = [read(path) for path in paths]
    executors = {
        (process, kept): stack.enter_context(closing(opened(frames[0], process)))
        for process in ("same", "worker")
        for kept in (False, True)
    }
    asked = [request(executors["same", True].declared, frame, Settings.of(GRAPH), ()) for frame in frames]

    def ours(process: str, kept: bool, turn: int) -> object:
        chosen = asked[0 if kept else turn % 2]
        settings = {**chosen.settings, "brighten.bright": brightness(turn)}
        return executors[process, kept].run(replace(chosen, settings=settings)).outputs

    return {
        "bare": lambda turn: bare(paths[turn % 2], brightness(turn)),
        "in floats": lambda turn: in_floats(paths[turn % 2], brightness(turn)),
        "in this process": lambda turn: ours("same", False, turn),
        "in its own": lambda turn: ours("worker", False, turn),
        "in this process, kept open": lambda turn: ours("same", True, turn),
        "in its own, kept open": lambda turn: ours("worker", True, turn),
    }


def brightness(turn: int) -> float:
    """A value of the slider that no call before had."""
    return 1.0 + 0.01 * turn


def measure(path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, the first round left out: it starts processes and fills caches."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = [Path(folder) / f"{number}{path.suffix}" for number in range(2)]
        for copy in paths:
            copy.write_bytes(path.read_bytes())
        compared = calls(paths, stack)
        for turn in range(rounds + 1):
            names = list(compared)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                begin = time.perf_counter()
                result = compared[name](turn)
                seconds.setdefault(name, []).append(time.perf_counter() - begin)
                del result
    return {name: values[1:] for name, values in seconds.items()}


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("raw", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.raw
        if path is None:
            path = Path(folder) / "synthetic.dng"
            write_dng(path, synthesise(resize(sample_photo("coffee", 600), 4000), seed=1))
        seconds = measure(path, chosen.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{'':28}{'ms':>9}{'to bare':>9}{'to floats':>11}")
    for name, median in medians.items():
        ratios = [median / medians[other] for other in ("bare", "in floats")]
        print(f"{name:28}{1000 * median:9.1f}{ratios[0]:9.3f}{ratios[1]:11.3f}")
    print(json.dumps({"raw": path.name, "rounds": chosen.rounds, "seconds": medians}))


if __name__ == "__main__":
    main()
