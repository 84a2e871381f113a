"""A small pipeline and small raws that tests sample."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import ispdsl
from ispdsl.graph import Graph
from ispdsl.runtime.frame import Frame
from ispdsl.sampling.asks import Asks, Wish, asks_of
from ispdsl.sampling.parts import Part, parts_of
from ispdsl.sampling.recipe import Recipe
from ispdsl.store.head import PipelineHead, RunHead
from ispdsl.store.runs import Row, Run, create, open_run, rows
from ispdsl.synthetic.samples import write_demo_raw

TEXT = """from raw import black_white
from demosaic import demosaic
from statistics import histogram
from tone import exposure, tone_map
from detail import texture

stage toning(image: rgb<S, f32>) -> rgb<S, f32> {
  slider   warmth in 1500K..20000K soft 3000K..8000K = 5000K
  register level @ 0x10[7:0] : u2.6 in 0..3 = 1
  choice   mode   in { soft, middle, hard } = soft
  toggle   lid = off
  curve    points [4] in 0..1 = identity
  slider   unused in 0..1 = 0.5
}

pipeline tiny(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level:       vector<4>
  meta white_level:       real
  meta baseline_exposure: real<ev> = 0ev

  stat hist = histogram(channel = luma, bins = 256, low = fixed 0, high = fixed 1) of exposed

  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> demosaic(method = bilinear)
    -> tap linear
    -> exposure(ev = baseline_exposure)
    -> tap exposed
    -> tone_map(hist = hist)
    -> tap toned
    -> texture(radius = fixed 2px)
}

pipeline drawn(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real
  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> demosaic(method = fixed bilinear)
    -> toning
}
"""


def write_pipeline(folder: Path) -> Path:
    path = folder / "tiny.isp"
    path.write_text(TEXT)
    return path


def graph(folder: Path, name: str = "tiny") -> Graph:
    return ispdsl.build(ispdsl.load(write_pipeline(folder)), name)


def write_raws(folder: Path, size: int = 48, names: Sequence[str] = ("coffee", "cat")) -> list[Path]:
    paths = [folder / f"{name}.dng" for name in names]
    for seed, (name, path) in enumerate(zip(names, paths, strict=True)):
        write_demo_raw(path, name, seed=seed, size=size, cfa="grbg" if seed % 2 else "rggb")
    return paths


@cache
def frame(name: str, folder: Path) -> Frame:
    return ispdsl.read(write_raws(folder, names=(name,))[0])


def parts(frames: dict[str, Frame], side: int = 16, count: int = 3) -> dict[str, list[Part]]:
    return {name: parts_of(frame, name, side, count, 0) for name, frame in frames.items()}


def listed(graph: Graph, frames: dict[str, Frame], wish: Wish, **more: Any) -> Asks:
    wish = replace(wish, side=16)
    return asks_of(graph, parts(frames), ispdsl.Settings.of(graph), wish, "composite", "composite 1", **more)


def recipe(graph: Graph, asks: Asks) -> Recipe:
    return Recipe(graph, ispdsl.Settings.of(graph), None, asks.border)


def new_run(path: Path, graph: Graph) -> Run:
    return create(path, RunHead(pipeline=PipelineHead(file="tiny.isp", name=graph.name, sha256=graph.sha256)))


def command(*words: object) -> subprocess.Popen[str]:
    """`ispdsl` in a process group of its own."""
    line = [sys.executable, "-m", "ispdsl", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def rows_in(path: Path) -> list[Row]:
    """The rows of a run, none where it has not been made yet."""
    return rows(open_run(path)) if (path / "run.json").is_file() else []
