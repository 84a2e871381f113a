"""Small pipelines with taps, cards and untrained doubles for tests of everything that doubles go into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.feeding import driven, task_of
from ispdsl.backends.vector import tensors
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.passes.segments import collapse, segments
from ispdsl.passes.single import constants, declaration
from ispdsl.plan import flattened
from ispdsl.proxies.card import Card
from ispdsl.proxies.double import Double, make
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings
from ispdsl.store.sample import Sample

PIPELINES = Path(__file__).parents[1] / "pipelines"

CHAIN = """
from statistics import histogram
from tone import exposure, tone_map, contrast
from colour import saturation

pipeline chain(image: rgb<camera, f32>) -> (out: rgb<camera, f32>) {
  meta baseline_exposure: real<ev> = 0ev
  stat hist = histogram(channel = luma, bins = 8, low = fixed 0, high = fixed 1) of lit
  lit = image -> exposure(ev = 0.5ev, bias = baseline_exposure)
  out = lit
    -> tap exposed
    -> contrast(amount = 10%, pivot = fixed 0.18)
    -> saturation(amount = 120%)
    -> tap coloured
    -> contrast(amount = 20%) as contrast_2
}
"""

METADATA: Mapping[str, Any] = {
    "black_level": np.full(4, 512.0),
    "white_level": 16383.0,
    "as_shot_neutral": np.array([0.5, 1.0, 0.6]),
    "as_shot_temperature": 5200.0,
    "as_shot_tint": 3.0,
    "colour_matrix_1": np.array([[0.9, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.6]]),
    "colour_matrix_2": np.array([[0.8, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.5]]),
    "illuminant_1": 2850.0,
    "illuminant_2": 6500.0,
    "baseline_exposure": 0.3,
}


def photo_finish() -> Graph:
    return build(load(PIPELINES / "photo_finish.isp"))


def written(folder: Path, text: str) -> Graph:
    path = folder / "main.isp"
    path.write_text(text)
    return build(load(path))


def mosaic(size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, size, size, generator=torch.Generator().manual_seed(seed)) * 10000 + 600


def metadata() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in METADATA.items()}


def settings_of(graph: Graph, **changed: Any) -> dict[str, Any]:
    """Canonical settings, ``saturation__amount="120%"`` for an address with a dot."""
    settings = Settings.of(flattened(graph)).resolved(METADATA)
    return tensors(settings.update({name.replace("__", "."): value for name, value in changed.items()}))


def sample_of(graph: Graph, **changed: Any) -> Sample:
    """What the programs make of a mosaic, watched."""
    settings = Settings.of(flattened(graph)).resolved(METADATA)
    settings = settings.update({name.replace("__", "."): value for name, value in changed.items()})
    composite: Composite = compile(graph, cfa="rggb")
    image = mosaic()
    with torch.no_grad():
        rendering = composite(image, tensors(settings), metadata())
    images = {"mosaic": image, **rendering.taps, **rendering.outputs}
    plain = {name: each.numpy() for name, each in images.items()}
    record = Sidecar.of(settings, complete=True).settings
    return Sample(plain, record, METADATA, "raw<rggb, u16>", "x.dng", (0, 0, 16, 16))


def card_of(graph: Graph, address: str, network: str = "pointwise", whole: bool = False, **more: Any) -> Card:
    """A card for a call, everything varied from -2 to 2."""
    flat = flattened(graph, cfa=more.pop("cfa", None))
    found = {segment.address: segment for segment in segments(flat, whole)}
    collapsed = collapse(flat, found.values())
    segment, call = found[address], collapsed.call(address)
    ranges = more.pop("ranges", {slot: (-2.0, 2.0) for _, slot in driven(collapsed, call)})
    single = len(segment.nodes) == 1
    content: dict[str, Any] = {
        "task": task_of(collapsed, address, ranges),
        "nodes": segment.nodes,
        "watched": (segment.reads, segment.gives),
        "stage": call.signature.name if single else None,
        "signature": declaration(call),
        "constants": constants(flat, address, segment.nodes),
        "network": network,
    }
    return Card(**{**content, **more})


def double_of(graph: Graph, address: str, network: str = "pointwise", **more: Any) -> Double:
    """An untrained double: of a pointwise stage it is the identity."""
    return make(card_of(graph, address, network, **more))
