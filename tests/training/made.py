"""A run of a small pipeline on small raws of two mosaics, so that training can be tried in seconds."""

from __future__ import annotations

from pathlib import Path

import ispdsl
from ispdsl.graph import Graph
from ispdsl.sampling.asks import Wish, asks_of
from ispdsl.sampling.parts import parts_of
from ispdsl.sampling.recipe import Recipe
from ispdsl.sampling.rendering import renderer
from ispdsl.store.head import PipelineHead, RawHead, RunHead
from ispdsl.store.runs import Run, create, put
from ispdsl.synthetic.samples import write_demo_raw

TEXT = """from raw import black_white
from demosaic import demosaic
from statistics import histogram
from tone import exposure, tone_map
from detail import texture

pipeline small(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level:       vector<4>
  meta white_level:       real
  meta baseline_exposure: real<ev> = 0ev

  stat hist = histogram(channel = luma, bins = 256, low = fixed 0, high = fixed 1) of exposed

  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> tap levelled
    -> demosaic(method = fixed bilinear)
    -> tap linear
    -> exposure(ev = baseline_exposure)
    -> tap exposed
    -> tone_map(hist = hist)
    -> tap toned
    -> texture(radius = fixed 1px)
}
"""

RAWS = ("coffee", "cat", "astronaut")
STAGES = ("black_white", "demosaic", "exposure", "tone_map", "texture")


def write_pipeline(folder: Path) -> Path:
    path = folder / "small.isp"
    path.write_text(TEXT)
    return path


def graph_of(folder: Path) -> Graph:
    return ispdsl.build(ispdsl.load(folder / "small.isp"), "small")


def write_run(folder: Path, count: int = 18, charts: int = 0) -> Run:
    """A run in ``folder/run``: the last raw is held out, the second is of another mosaic."""
    file = write_pipeline(folder)
    graph = graph_of(folder)
    frames = {}
    for seed, name in enumerate(RAWS):
        path = folder / f"{name}.dng"
        write_demo_raw(path, name, seed=seed, size=64, cfa="grbg" if seed == 1 else "rggb")
        frames[path.name] = ispdsl.read(path)
    names = list(frames)
    wish = Wish(count=count, side=32, charts=charts)
    parts = {name: parts_of(frame, name, 32, 4, 0) for name, frame in frames.items()}
    settings = ispdsl.Settings.of(graph)
    asks = asks_of(graph, parts, settings, wish, "composite", "composite 1", [names[-1]])
    head = RunHead(
        pipeline=PipelineHead(file=str(file), name=graph.name, sha256=graph.sha256),
        real="composite 1",
        types={"mosaic": " | ".join(sorted({str(frame.type) for frame in frames.values()}))},
        watched=asks.watched,
        raws=tuple(
            RawHead(
                name=name,
                path=str(folder / name),
                sha256=frame.source.sha256,
                role="validation" if name == names[-1] else "training",
            )
            for name, frame in frames.items()
        ),
        design=asks.design,
        count=len(asks.asks),
    )
    run = create(folder / "run", head)
    render = renderer(Recipe(graph, settings, None, asks.border))
    for ask in asks.asks:
        put(run, render(ask)[0], ask.key, ask.number)
    return run
