"""Small pipelines to export, and raws of nothing in particular."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.export.source import Source
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw

CHAIN = """
from tone import exposure, contrast
from colour import saturation
from detail import sharpen

pipeline chain(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  meta baseline_exposure: real<ev> = 0ev
  out = image
    -> exposure(ev = baseline_exposure, bias = 0.5ev)
    -> sharpen(amount = 60%)
    -> saturation(amount = 130%)
    -> contrast(amount = 15%)
}
"""

LIT = """
from tone import exposure, contrast

pipeline lit(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  meta baseline_exposure: real<ev> = 0ev
  out = image -> exposure(ev = baseline_exposure) -> contrast(amount = 15%)
}
"""

RAW = """
from raw import black_white, white_balance
from demosaic import demosaic
from tone import exposure, contrast
from colour import saturation

pipeline small(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real
  meta as_shot_neutral: vector<3>
  meta baseline_exposure: real<ev> = 0ev
  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level, offset = fixed 0%)
    -> white_balance(neutral = as_shot_neutral)
    -> demosaic(method = bilinear)
    -> exposure(ev = baseline_exposure)
    -> saturation(amount = 120%)
    -> contrast(amount = 15%)
}
"""

FEEDBACK = """
from statistics import mean
from tone import auto_exposure, contrast

pipeline settled(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  stat before = mean(channel = luma) of previous image
  out = image -> auto_exposure(mean = before, target = 0.15) -> contrast(amount = 15%)
}
"""

CODED = """
stage coded(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32> {
  register ev @ 0x100[11:4] : s3.4 in -4ev..4ev = 0.5ev
  register amount @ 0x100[19:16] : u0.4 in 0..0.9375 = 0.25
  slider bias in -1ev..1ev = 0ev

  program "tests.export.programs:coded"

  property pointwise
}

pipeline board(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  out = image -> coded
}
"""


def source(folder: Path, text: str, settings: dict[str, Any] | None = None, **given: Any) -> Source:
    """A text as it is exported."""
    path = folder / "small.isp"
    path.write_text(text)
    graph = build(load(path))
    size = given.pop("size", (20, 24))
    return Source(graph, Settings.of(graph).update(settings or {}), size=size, **given)


def raw(folder: Path, size: int = 48) -> Path:
    """A raw of the demonstration."""
    path = folder / "small.dng"
    write_demo_raw(path, size=size)
    return path


def frame(folder: Path, size: int = 48) -> Frame:
    """The same, read."""
    found = read(raw(folder, size))
    assert np.isfinite(found.image).all()
    return found
