"""Pipelines that Halide computes give what the composite gives, at every phase of the mosaic and at odd sizes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("halide")

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.halide.compiled import Compiled, lower
from ispdsl.errors import RunError
from ispdsl.graph import build
from ispdsl.ir.types import BAYER
from ispdsl.lower.loader import load
from tests.backends.test_pipelines import METADATA

PIPELINES = Path(__file__).parents[2] / "pipelines"

SMALL = """
from raw      import black_white, white_balance, clip_white
from demosaic import demosaic
from tone     import exposure, contrast, gamma
from colour   import colour_balance, colour_matrix, saturation, vibrance, srgb
from detail   import sharpen

pipeline small(mosaic: raw<C, u16>) -> (display: rgb<srgb, unit>) {
  meta black_level:         vector<4>
  meta white_level:         real
  meta as_shot_neutral:     vector<3>
  meta as_shot_temperature: real<K>
  meta as_shot_tint:        real
  meta colour_matrix_1:     matrix<3, 3>
  meta colour_matrix_2:     matrix<3, 3>
  meta illuminant_1:        real<K>
  meta illuminant_2:        real<K>

  display = mosaic
    -> black_white(black_level = black_level, white_level = white_level)
    -> white_balance(neutral = as_shot_neutral)
    -> clip_white(level = fixed 1)
    -> demosaic(method = malvar)
    -> colour_balance(
      neutral = as_shot_neutral,
      colour_matrix_1 = colour_matrix_1,
      colour_matrix_2 = colour_matrix_2,
      illuminant_1 = illuminant_1,
      illuminant_2 = illuminant_2,
      temperature = as_shot_temperature,
      tint = as_shot_tint,
    )
    -> sharpen(amount = 60%, radius = fixed 1px)
    -> exposure(ev = 0.3ev)
    -> colour_matrix
    -> saturation(amount = 110%)
    -> vibrance(amount = 20%)
    -> gamma(gamma = 0.9)
    -> contrast(amount = 20%)
    -> srgb
}
"""


@cache
def small(folder: Path, cfa: str) -> Composite:
    path = folder / "small.isp"
    path.write_text(SMALL)
    return compile(build(load(path)), cfa=cfa, taps=())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("small"))


def mosaic(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (64 + 3500 * torch.rand(1, 1, height, width, generator=generator) ** 2).to(torch.uint16)


def made(composite: Composite, height: int, width: int, **settings: str) -> tuple[Compiled, float]:
    """A composite compiled for codes, and how far it is from what it is made of."""
    values = {**composite.start(METADATA, torch.float32), **settings}
    compiled = lower(composite, values, METADATA, (1, 1, height, width), torch.uint16)
    raw = mosaic(height, width)
    wanted = composite(raw.float(), values, METADATA).image
    assert compiled(raw).shape == wanted.shape
    return compiled, float((compiled(raw) - wanted).abs().max())


@pytest.mark.parametrize(("cfa", "size"), list(zip(BAYER, [(48, 64), (47, 67), (33, 64), (48, 35)], strict=True)))
def test_every_phase_and_odd_sizes(folder: Path, cfa: str, size: tuple[int, int]):
    compiled, error = made(small(folder, cfa), *size)
    assert compiled.left == ()
    assert error < 1e-5


@pytest.mark.slow
def test_a_pipeline_with_a_histogram_goes_on_after_it():
    composite = compile(build(load(PIPELINES / "photo_finish.isp")), cfa="grbg", taps=())
    compiled, error = made(composite, 26, 40, **{"demosaic.method": "malvar"})
    assert error < 1e-5
    assert {left.where for left in compiled.left} == {
        "node hist, stage histogram",
        "node tone_map, stage tone_map",
    }


def test_what_is_kept_is_what_stencils_read(folder: Path):
    """The mosaic as planes of one site each, the picture that is sharpened, and its blur along columns."""
    compiled, _ = made(small(folder, "rggb"), 16, 20)
    (program,) = compiled.programs
    assert [(each.kept.steps, each.kept.turns, len(each.kept.planes)) for each in program.stored] == [
        ((2, 2), (False, False), 4),
        ((1, 1), (True, True), 3),
        ((1, 1), (False, False), 3),
    ]


def test_an_image_of_another_shape_is_refused(folder: Path):
    compiled, _ = made(small(folder, "rggb"), 16, 20)
    with pytest.raises(RunError, match="compiled for"):
        compiled(mosaic(16, 22))
    with pytest.raises(RunError, match="compiled for"):
        compiled(mosaic(16, 20).float())
