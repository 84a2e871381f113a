"""Queries whose errors are known, and a small run with doubles that leave their images as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.evaluation.trust import Domain, Evidence
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.proxies.double import save
from ispdsl.proxies.task import Knob
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings
from ispdsl.sampling.asks import Wish, asks_of, parts_each
from ispdsl.sampling.parts import parts_of
from ispdsl.sampling.recipe import Recipe
from ispdsl.sampling.rendering import renderer
from ispdsl.store.head import PipelineHead, RawHead, RunHead
from ispdsl.store.runs import Run, create, put
from tests import doubled
from tests.scenes import synthetic_frame

KNOBS = tuple(Knob(name=name, address=f"tone.{name}", kind="number", low=-1.0, high=3.0) for name in "abcd")
RAW, RGB = Type.parse("raw<rggb, u16>"), Type.parse("rgb<srgb, unit>")


def drawn(count: int, seed: int = 0, noise: float = 0.5) -> list[Evidence]:
    """Queries whose PSNR falls with `tone.a` squared, with `tone.b` in bright pictures, and with what comes out."""
    rng = np.random.default_rng(seed)
    found: list[Evidence] = []
    for _ in range(count):
        places = rng.random(4)
        settings = {knob.address: -1 + 4 * place for knob, place in zip(KNOBS, places, strict=True)}
        image, shown = rng.normal(size=5), rng.normal(size=5)
        psnr = 46 - 9 * places[0] ** 2 - 3 * places[1] * image[0] - 1.5 * shown[1] + noise * rng.normal()
        found.append(Evidence(settings, image, {"toned": shown}, float(psnr)))
    return found


def spread(evidence: list[Evidence], seed: int = 0) -> list[Evidence]:
    """The same of an ensemble: PSNR falls by a decibel with each doubling of how far its members are apart."""
    rng = np.random.default_rng(seed)
    drawn = [(each, float(rng.uniform(-12, -6))) for each in evidence]
    return [replace(each, psnr=each.psnr - (apart + 9), spread={"toned": apart}) for each, apart in drawn]


def domain(points: int = 80, constants: Mapping[str, Any] | None = None) -> Domain:
    """What `drawn` draws from."""
    places = np.random.default_rng(9).random((points, len(KNOBS)))
    return Domain(KNOBS, constants or {}, places, {"": RAW, "toned": RGB})


# ---- a run -------------------------------------------------------------------------------------------------

TEXT = """
from raw import black_white
from demosaic import demosaic
from tone import exposure, contrast

pipeline small(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real

  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> demosaic(method = bilinear)
    -> tap light
    -> exposure(ev = 0.5ev)
    -> tap lit
    -> contrast(amount = 10%, pivot = fixed 0.18)
}
"""

DOUBLED = ("exposure", "contrast")


def small_graph(folder: Path) -> Graph:
    return doubled.written(folder, TEXT)


def frames(folder: Path) -> dict[str, Frame]:
    """Two raws of one camera."""
    made = [synthetic_frame(folder, seed=seed) for seed in (1, 2)]
    return {Path(frame.source.path).name: frame for frame in made}


def small_run(folder: Path, count: int = 24, side: int = 24) -> Run:
    """A run of `TEXT` on two raws, the second held out, with doubles that do nothing."""
    graph, raws = small_graph(folder), frames(folder)
    wish = Wish(count=count, side=side)
    parts = {name: parts_of(frame, name, side, parts_each(wish, len(raws)), 0) for name, frame in raws.items()}
    settings = Settings.of(graph)
    asks = asks_of(graph, parts, settings, wish, "composite", "composite")
    heads = [
        RawHead(name=name, path=frame.source.path, sha256=frame.source.sha256, role=role)
        for (name, frame), role in zip(raws.items(), ("training", "validation"), strict=True)
    ]
    head = RunHead(
        pipeline=PipelineHead(file=str(folder / "main.isp"), name=graph.name, sha256=graph.sha256),
        real="composite",
        types={"mosaic": str(next(iter(raws.values())).type)},
        watched=asks.watched,
        raws=tuple(heads),
        design=asks.design,
        count=count,
    )
    run = create(folder / "run", head)
    render = renderer(Recipe(graph, settings, None, asks.border))
    for ask in asks.asks:
        put(run, render(ask)[0], ask.key, ask.number)
    train(run, graph, "default", DOUBLED)
    train(run, graph, "contrast", ("contrast",))
    return run


def train(run: Run, graph: Graph, variant: str, addresses: tuple[str, ...]) -> None:
    """Doubles that leave the image as it is, as untrained ones do."""
    for address in addresses:
        made = doubled.double_of(graph, address, data={"raws": [{"name": run.head.raws[0].name}]})
        save(made, run.path / "doubles" / variant / f"{address}.safetensors")
