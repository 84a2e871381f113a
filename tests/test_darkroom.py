"""What a development says when a program goes wrong on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ispdsl
from ispdsl.darkroom import Picture, save_outputs, save_taps
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.values import Settings
from tests.scenes import synthetic_frame

TEXT = """from raw import black_white
from demosaic import bilinear
stage odd(image: rgb<S, f32>) -> rgb<S, f32> {{
  program "tests.stand_ins:{name}"
  property pointwise
}}
stage plain(image: rgb<S, f32>) -> rgb<S, f32> {{
  program "tests.stand_ins:remembered"
  property pointwise
}}
pipeline p(mosaic: raw<C, u16>) -> (out: rgb<camera, f32>) {{
  meta black_level: vector<4>
  meta white_level: real
  out = mosaic -> black_white(black_level = black_level, white_level = white_level) -> bilinear -> tap before
    -> odd -> plain
}}
"""


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return synthetic_frame(tmp_path_factory.mktemp("raw")).crop(8, 8, 12, 12)


def developed(name: str, frame: Frame, folder: Path) -> ispdsl.Development:
    file = folder / "p.isp"
    file.write_text(TEXT.format(name=name))
    return ispdsl.develop(ispdsl.build(ispdsl.load(file)), frame, taps=None, trust=("tests",))


def test_the_first_node_that_is_not_finite_is_named(frame: Frame, tmp_path: Path):
    with pytest.raises(ispdsl.StageError, match=r"^odd \(stage odd\): \d+ of 432 values are not finite"):
        developed("infinite", frame, tmp_path)


def test_a_program_that_writes_into_its_image_is_named(frame: Frame, tmp_path: Path):
    with pytest.raises(ispdsl.StageError, match=r"^odd \(stage odd\): the program changed its image in place"):
        developed("writes", frame, tmp_path)


def test_a_program_that_exits_is_named(frame: Frame, tmp_path: Path):
    with pytest.raises(ispdsl.StageError, match=r"^odd \(stage odd\): SystemExit: 3, at .*stand_ins\.py:\d+"):
        developed("leaves", frame, tmp_path)


def test_codes_become_pictures_with_the_largest_code_for_white(tmp_path: Path, frame: Frame):
    codes = np.full((3, 4, 4), 51, np.float32)
    picture = Picture(codes, Type.parse("rgb<srgb, u8>"))
    assert np.allclose(picture.light, 0.2)
    assert Picture(codes, Type.parse("raw<rggb, u8>")).light is codes
    made = ispdsl.Development(frame, Settings("p", "", ()), {"out": picture}, {"seen": picture}, {})
    save_outputs(made, tmp_path / "out.png")
    assert np.allclose(read_picture(tmp_path / "out.png")[0], 0.2)
    save_taps(made, tmp_path, ".npy")
    assert np.load(tmp_path / "seen.npy").max() == 51
