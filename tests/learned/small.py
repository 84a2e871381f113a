"""A small pipeline with a number, a choice and metadata to start at, and raws whose exposure differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ispdsl
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame, FrameSource

TEXT = """from raw import black_white
from demosaic import demosaic
from tone import exposure

pipeline small(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level:       vector<4>
  meta white_level:       real
  meta baseline_exposure: real<ev> = 0ev
PREDICTOR
  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> demosaic(method = malvar)
    -> exposure(ev = baseline_exposure)
}
"""


def text(predictor: str = "") -> str:
    """The pipeline, with a line more."""
    return TEXT.replace("PREDICTOR", f'  predictor "{predictor}"' if predictor else "")


def graph(folder: Path, predictor: str = "", content: str = "") -> Graph:
    """It, built from a file in a folder."""
    path = folder / "small.isp"
    path.write_text(content or text(predictor))
    return ispdsl.build(ispdsl.load(path))


def frame(light: float = 0.2, baseline: float = 0.0, size: int = 16, seed: int = 0) -> Frame:
    """A raw of grey noise around some light."""
    rng = np.random.default_rng(seed)
    codes = 64 + 1000 * light * rng.uniform(0.8, 1.2, (1, size, size))
    metadata = {
        "black_level": np.full(4, 64.0),
        "white_level": 1064.0,
        "baseline_exposure": baseline,
        "gain_map": np.ones((4, 1, 1)),
    }
    source = FrameSource(f"{seed}.dng", "", "", "", "")
    return Frame(codes.astype(np.uint16), Type.parse("raw<rggb, u16>"), metadata, 1, source)
