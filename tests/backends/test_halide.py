"""Pipelines that Halide computes give what the composite gives, at every phase of the mosaic and at odd sizes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("halide")

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.halide import compiled as halide
from ispdsl.backends.halide.compiled import Compiled, lower
from ispdsl.backends.halide.rendering import coded, rendered
from ispdsl.errors import CompileError, RunError
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


SIZES = [(48, 64), (47, 67), (33, 64), (48, 35)]
PHASES = [
    pytest.param(cfa, size, marks=[] if number == len(BAYER) - 1 else [pytest.mark.slow])
    for number, (cfa, size) in enumerate(zip(BAYER, SIZES, strict=True))
]
"""Every phase and every oddness; one of them compiles in the time that the default tests have."""


@pytest.mark.parametrize(("cfa", "size"), PHASES)
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


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Compiled:
    """For mosaics of 16 x 20 codes."""
    return made(small(folder, "rggb"), 16, 20)[0]


def test_what_is_kept_is_what_stencils_read(compiled: Compiled):
    """Planes of one site each of the mosaic, the picture that is sharpened, its blur along columns, mixed colours."""
    (program,) = compiled.programs
    assert [(each.kept.steps, each.kept.turns, len(each.kept.planes)) for each in program.stored] == [
        ((2, 2), (False, False), 4),
        ((1, 1), (True, True), 3),
        ((1, 1), (False, False), 3),
        ((1, 1), (False, False), 3),
    ]


def test_an_image_of_another_shape_is_refused(compiled: Compiled):
    with pytest.raises(RunError, match="compiled for"):
        compiled(mosaic(16, 22))
    with pytest.raises(RunError, match="compiled for"):
        compiled(mosaic(16, 20).float())


TINY = """
from raw      import black_white
from demosaic import bilinear
from tone     import exposure

pipeline tiny(mosaic: raw<C, u16>) -> (light: rgb<camera, f32>) {
  meta black_level: vector<4>
  meta white_level: real

  light = mosaic
    -> black_white(black_level = black_level, white_level = white_level)
    -> bilinear
    -> exposure(ev = 0.3ev)
}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.isp"
    path.write_text(TINY)
    return path


def test_one_image_is_rendered_as_by_torch(tiny: Path):
    composite = compile(build(load(tiny)), cfa="rggb", taps=())
    settings, raw = composite.start(METADATA, torch.float32), mosaic(20, 40)[0]
    found = rendered(composite, raw, settings, METADATA)
    assert list(found.outputs) == ["light"]
    wanted = composite(raw.float(), settings, METADATA).outputs["light"]
    torch.testing.assert_close(found.outputs["light"], wanted, rtol=0, atol=1e-5)


def test_codes_stay_codes_and_others_stay_numbers():
    assert coded(torch.tensor([[0.0, 65535.0]])).dtype == torch.uint16
    for others in ([0.5], [-1.0], [65536.0]):
        assert torch.equal(coded(torch.tensor([others])), torch.tensor([others]))


def test_taps_are_for_torch(tiny: Path):
    tiny.write_text(TINY.replace("(ev = 0.3ev)", "(ev = 0.3ev)\n    -> tap bright"))
    composite = compile(build(load(tiny)), cfa="rggb")
    with pytest.raises(RunError, match="without taps") as refused:
        rendered(composite, mosaic(20, 40)[0], composite.start(METADATA, torch.float32), METADATA)
    assert "--engine torch" in (refused.value.hint or "")


def test_what_would_compile_for_minutes_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(halide, "MOST_IN_ALL", 0)
    composite = compile(build(load(tiny)), cfa="rggb", taps=())
    with pytest.raises(CompileError, match="keeps 2 values") as refused:
        lower(composite, composite.start(METADATA, torch.float32), METADATA, (1, 1, 40, 44))
    assert re.match(r"node \w+, stage \w+ keeps 1 of them", refused.value.hint or "")
