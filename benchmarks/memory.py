"""Memory and speed of `ispdsl run` against the size of the image: `python -m benchmarks.memory`.

Raws of several sizes are developed in turns, each by a process of its own, so that a busy machine disturbs all sizes.
Told are the peak of the process's memory above the samples of the raw (two bytes each, the smallest that the image can
be) and the megapixels a second of developing and writing. With `--sides` it measures instead which tiles are fastest,
in one process and thread: the rule of `ispdsl/backends/tiles.py` is from there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.reproduce.record import machine
from benchmarks.scenes import raw_of

SIZES = (12.0, 100.0)
SIDES = (128, 256, 384, 512, 768, 1024)

GIB = 1 << 30
LIMIT = 2.5
"""GiB above the image that 100 megapixels may take."""


@dataclass(frozen=True)
class Measured:
    """One run: the image's megapixels, GiB at the peak above its samples, seconds of developing and of everything."""

    megapixels: float
    above: float
    developing: float
    whole: float


def measured(pipeline: str, raw: Path, folder: Path, samples: int) -> Measured:
    """Develop a raw of so many samples in a process of its own."""
    command = [sys.executable, "-m", "ispdsl", "run", pipeline, str(raw), "--no-sidecar", "--json"]
    begun = time.perf_counter()
    with subprocess.Popen([*command, "-o", str(folder / "out.png")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "piped"
        told = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    above = (usage.ru_maxrss * 1024 - 2 * samples) / GIB
    return Measured(samples / 1e6, above, told["seconds"], time.perf_counter() - begun)


def in_turns(pipeline: str, sizes: Iterable[float], rounds: int) -> dict[str, Any]:
    """Develop raws of several sizes in turns: medians, and the single runs."""
    with tempfile.TemporaryDirectory() as name:
        folder, runs = Path(name), dict[str, list[Measured]]()
        raws = {size: raw_of(folder, size) for size in sizes}
        for _ in range(rounds):
            for size, raw in raws.items():
                runs.setdefault(f"{size:g} MP", []).append(measured(pipeline, raw, folder, _samples(raw)))
                print(f"{pipeline:<14} {size:6g} MP {runs[f'{size:g} MP'][-1]}", file=sys.stderr)
    return {
        size: {
            "gib_above_image": round(max(run.above for run in each), 3),
            "megapixels_a_second": round(statistics.median(run.megapixels / run.developing for run in each), 3),
            "runs": [asdict(run) for run in each],
        }
        for size, each in runs.items()
    }


def _samples(raw: Path) -> int:
    import tifffile

    with tifffile.TiffFile(raw) as file:
        page = file.pages.first
        return int(page.imagelength) * int(page.imagewidth)


def by_side(pipeline: str, sides: Iterable[int], megapixels: float) -> Iterator[tuple[int, float]]:
    """Seconds of one thread for each side of a tile, best of two, after a run that warms up."""
    import torch

    import ispdsl
    from ispdsl.backends.tiles import Tiling
    from ispdsl.cli.memory import keep_pages
    from ispdsl.cli.show import build_graph

    keep_pages()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        frame = ispdsl.read(raw_of(Path(name), megapixels))
    graph = build_graph(pipeline, None, inline=False)
    ispdsl.develop(graph, frame)
    for side in sides:
        seconds: list[float] = []
        for _ in range(2):
            begun = time.thread_time()
            ispdsl.develop(graph, frame, tiling=Tiling(side, workers=1))
            seconds.append(time.thread_time() - begun)
        yield side, min(seconds)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a line for each run on stderr and the result as JSON."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    made.add_argument("--pipelines", nargs="+", default=["photo_finish", "camera"])
    made.add_argument("--sizes", nargs="+", type=float, default=list(SIZES), help="megapixels")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--sides", nargs="*", type=int, help="measure sides of tiles instead; these, or the usual ones")
    made.add_argument("--output", type=Path, help="write the JSON here as well")
    asked = made.parse_args(arguments)
    result: dict[str, Any] = {"machine": machine()}
    for pipeline in asked.pipelines:
        if asked.sides is None:
            result[pipeline] = in_turns(pipeline, asked.sizes, asked.rounds)
        else:
            found = by_side(pipeline, asked.sides or SIDES, asked.sizes[0])
            result[pipeline] = {str(side): round(seconds, 3) for side, seconds in found}
    text = json.dumps(result, indent=2)
    print(text)
    if asked.output:
        asked.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
