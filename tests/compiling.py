"""A small pipeline of everything that compiling has to get right, and its programs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load

TEXT = """
from demosaic   import demosaic
from raw        import black_white, lens_shading
from statistics import mean
from detail     import sharpen

stage chequer(image: rgb<S, f32>) -> rgb<S, f32> {
  slider exponent in 0.2..3 = 0.45
  choice fields in {same, other} = same
  program "tests.compiling:chequer"
  property pointwise
}
stage adapt(image: rgb<S, f32>) -> rgb<S, f32> {
  needs level: real
  slider amount in 0..1 = 0.5
  curve shape[5] in 0..2 = 1
  program "tests.compiling:adapt"
  property pointwise
}
pipeline small(mosaic: raw<C, u16>) -> (display: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real
  meta gain_map:    grid = 1
  meta baseline_exposure: real<ev> = 0ev
  stat level = mean(channel = luma) of previous finished
  finished = mosaic
    -> black_white(black_level = black_level, white_level = white_level)
    -> lens_shading(gain_map = gain_map, strength = fixed 100%)
    -> demosaic(method = bilinear)
    -> tap demosaiced
    -> adapt(level = level)
    -> chequer
  display = finished -> sharpen(amount = 60%, radius = fixed 1px)
}
"""

TRUST = ("tests",)
TABLE = np.linspace(0.5, 1.0, 4)
"""What programs compute by numpy, which dynamo does not read."""


def chequer(image: Tensor, *, exponent: Tensor | float, fields: str) -> Tensor:
    """Powers of a positive base, by tensors and numbers, where even rows meet even columns."""
    rows, columns = (torch.arange(size, device=image.device) % 2 == 0 for size in image.shape[-2:])
    light = image.clamp(min=1e-4)
    even = rows[:, None] == columns if fields == "same" else rows[:, None] != columns
    return torch.where(even, light**exponent, light**0.45 * float(TABLE.tolist()[-1]))


def adapt(image: Tensor, *, level: Tensor, amount: Tensor | float, shape: Tensor) -> Tensor:
    """A gain by the mean of the frame before, and by the middle of a curve."""
    level = level if level.dim() in (0, 4) else level.reshape(-1, 1, 1, 1)
    return image * (1 + amount * (0.18 - level)) * (0.5 + shape[..., 2])


def written(folder: Path) -> Path:
    path = folder / "small.isp"
    path.write_text(TEXT)
    return path


@cache
def graph(folder: Path) -> Graph:
    return build(load(written(folder)))


def composite(folder: Path, taps: tuple[str, ...] | None = None, **more: Any) -> Composite:
    return compile(more.pop("graph", None) or graph(folder), cfa="rggb", taps=taps, trust=TRUST, **more)
