"""How much of two cores sampling leaves to the program itself: `python -m benchmarks.sampling`.

``--backend composite darktable libraw command`` takes one after the other: our programs, real ones, and a copy, which
does nothing and so shows what asking and keeping cost.

The bare program and sampling alternate in one process group, so that a busy machine disturbs both. Bare are as many
processes (or real things) that do the very same parts and settings and keep nothing; sampling is `sample` with its
ledger and blobs. Both are timed from the moment when all of them have warmed up. The throughput of a shared machine
depends on its other users, hence also the processor time of a sample with all that belongs to it, parent included.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ispdsl.backends.blackbox import COMPOSITE, declared, request
from ispdsl.cli.memory import keep_pages
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Executor, Request
from ispdsl.executors.pool import run_all
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.sampling.asks import Ask, Wish, asks_of, parts_each
from ispdsl.sampling.parts import parts_of
from ispdsl.sampling.recipe import Recipe, view_of
from ispdsl.sampling.sampler import Progress, sample
from ispdsl.store.runs import PipelineHead, RunHead, create
from ispdsl.synthetic.samples import write_demo_raw

ROOT = Path(__file__).parents[1]
BACKENDS = ("composite", "command", "darktable", "libraw")
WANTED = 0.9
"""Share of the bare throughput."""

COPY = """
## The least that a program can do: cp copies a mosaic from one file to another.
pipeline copy(mosaic: raw<C, u16>) -> (out: raw<C, u16>) {
  executor command(arguments = ["CP", "{image}", "{result}"], image = npy, result = npy)
  out = mosaic -> keep
}

stage keep(mosaic: raw<C, u16>) -> raw<C, u16> {
  slider gain in 0..2 = 1
}
"""


@dataclass(frozen=True)
class Spell:
    """One measurement: samples a second, and milliseconds of processor time a sample."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class Mark:
    """How many samples were done, when, and the seconds of processor time until then."""

    done: int
    at: float
    cpu: float


BATCH = 0.005
"""Seconds within which what is told belongs to one batch: those are told of one after the other."""


# ---- bare ---------------------------------------------------------------------------------------------------


def _bare_worker(pipe: Connection, recipe: Recipe, asks: Sequence[Ask]) -> None:
    """Warm up, wait for the word, run the composite on every ask."""
    keep_pages()
    import torch

    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import tensors

    torch.set_num_threads(1)
    composite = compile(view_of(recipe, asks[0]).graph)
    calls: list[tuple[Any, ...]] = []
    for ask in asks:
        settings = replace(recipe.settings, changed=ask.changed).resolved(ask.part.frame.metadata)
        image, metadata = tensors(ask.part.frame)
        calls.append((image, settings_tensors(settings), metadata))
    with torch.no_grad():
        for call in calls[:2]:
            composite(*call)
        pipe.send(None)
        pipe.recv()
        begun = time.process_time()
        for call in calls:
            composite(*call)
        pipe.send(time.process_time() - begun)


def bare_composite(recipe: Recipe, asks: Sequence[Ask], jobs: int) -> Spell:
    """Processes that only run the composite."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for lane in range(jobs):
        mine, its = context.Pipe()
        context.Process(target=_bare_worker, args=(its, recipe, asks[lane::jobs]), daemon=True).start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    begun = time.perf_counter()
    for pipe in pipes:
        pipe.send(None)
    cpu = sum(pipe.recv() for pipe in pipes)
    return Spell(len(asks) / (time.perf_counter() - begun), 1e3 * cpu / len(asks))


def bare_real(recipe: Recipe, asks: Sequence[Ask], jobs: int) -> Spell:
    """The real things alone: the same requests, and what comes is thrown away."""
    frame = asks[0].part.frame
    found = declared(recipe.graph, {"C": frame.cfa})
    names = [name for name in view_of(recipe, asks[0]).names if name in found.taps]
    requests: list[Request] = [
        request(found, ask.part.frame, replace(recipe.settings, changed=ask.changed), names) for ask in asks
    ]

    def opened(lane: int) -> Executor:
        return open_executor(found, lane=lane)

    before, begun = _all_cpu(), time.perf_counter()
    with closing(run_all(opened, requests, jobs)) as answers:
        for _ in answers:
            pass
    seconds = time.perf_counter() - begun
    return Spell(len(asks) / seconds, 1e3 * (_all_cpu() - before) / len(asks))


# ---- sampling -----------------------------------------------------------------------------------------------


def sampled(recipe: Recipe, asks: Sequence[Ask], jobs: int, folder: Path) -> Spell:
    """The real `sample`, into a fresh run. The first samples of the composite, while workers start, do not count."""
    graph = recipe.graph
    run = create(folder, RunHead(pipeline=PipelineHead(file=graph.name, name=graph.name, sha256=graph.sha256)))
    warm = 0 if recipe.backend != COMPOSITE else min(8 * jobs, len(asks) // 3)
    marks: list[Mark] = []  # one at the end of the batch in which the last worker has warmed up, and one at the end
    last = 0.0

    def told(state: Progress) -> None:
        nonlocal last
        before, last = last, time.perf_counter()
        if len(marks) == 1 and marks[0].at == before and last - before < BATCH:
            marks.clear()  # it belongs to the batch that was marked: the end of it counts
        if (not marks and state.done >= warm) or state.done == len(asks):
            cpu, last = _living_cpu(), time.perf_counter()
            marks.append(Mark(state.done, last, cpu))

    before = _all_cpu()
    outcome = sample(run, recipe, asks, jobs=jobs, start=keep_pages, told=told)
    assert outcome.made == len(asks), outcome
    shutil.rmtree(folder)
    first, final = marks[0], marks[-1]
    count = final.done - first.done
    cpu = final.cpu - first.cpu if recipe.backend == COMPOSITE else _all_cpu() - before
    return Spell(count / (final.at - first.at), 1e3 * cpu / count)


def _all_cpu() -> float:
    """Seconds of processor time of this process and of all that it has waited for."""
    both = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def _living_cpu() -> float:
    """Seconds of processor time of this process and of its children that live."""
    ticks = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if os.getpid() in (int(folder.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ---- what is sampled ----------------------------------------------------------------------------------------


def prepared(backend: str, count: int, size: int, folder: Path) -> tuple[Recipe, tuple[Ask, ...]]:
    """The samples of a pipeline of that backend, on parts of a synthetic raw."""
    text = ROOT / "pipelines" / ("photo_finish.isp" if backend == COMPOSITE else f"{backend}.isp")
    if backend == "command":
        text = folder / "copy.isp"
        text.write_text(COPY.replace("CP", shutil.which("cp") or "cp"))
    graph = build(load(text))
    settings = Settings.of(graph)
    write_demo_raw(folder / "raw.dng", "coffee", size=max(2 * size, 600))
    wish = Wish(count=count, side=size, taps=("demosaiced", "graded") if backend == "darktable" else None)
    if backend == "libraw":
        settings = settings.set("wavelet_denoise.threshold", 0)  # crashes LibRaw on most files
    parts = {"raw.dng": parts_of(read(folder / "raw.dng"), "raw.dng", size, parts_each(wish, 1), 0)}
    asks = asks_of(graph, parts, settings, wish, backend, backend)
    return Recipe(graph, settings, wish.taps, asks.border, backend, (), True), asks.asks


def measured(backend: str, rounds: int, count: int, size: int, jobs: int) -> dict[str, Any]:
    """Alternate both, and compare."""
    bare: list[Spell] = []
    ours: list[Spell] = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("ISPDSL_SCRATCH")) as name:
        recipe, asks = prepared(backend, count, size, Path(name))
        for turn in range(rounds):
            for kind in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                if kind == "ours":
                    ours.append(sampled(recipe, asks, jobs, Path(name) / f"run{turn}"))
                else:
                    bare.append((bare_composite if backend == COMPOSITE else bare_real)(recipe, asks, jobs))
    pairs = list(zip(ours, bare, strict=True))
    return {
        "backend": backend,
        "samples": count,
        "size": size,
        "bare/s": statistics.median(each.rate for each in bare),
        "sampling/s": statistics.median(each.rate for each in ours),
        "throughput": statistics.median(mine.rate / theirs.rate for mine, theirs in pairs),
        "bare cpu ms": statistics.median(each.cpu for each in bare),
        "sampling cpu ms": statistics.median(each.cpu for each in ours),
        "cpu share": statistics.median(theirs.cpu / mine.cpu for mine, theirs in pairs),
        "ratios": [round(mine.rate / theirs.rate, 3) for mine, theirs in pairs],
    }


def main() -> int:
    """Measure and print; 1 where sampling is slower than `WANTED`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, nargs="+", default=["composite"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    is_less = False
    for backend in given.backend:
        found = measured(backend, given.rounds, given.count, given.size, given.jobs)
        is_less |= found["throughput"] < WANTED
        if given.json:
            print(json.dumps(found), flush=True)
            continue
        for name, value in found.items():
            print(f"{name:16} {value:10.3f}" if isinstance(value, float) else f"{name:16} {value}")
        print(f"throughput wanted: at least {WANTED} of the bare program's\n", flush=True)
    return int(is_less)


if __name__ == "__main__":
    sys.exit(main())
