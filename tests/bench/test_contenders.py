"""Contenders: who there is, what they lack, and that what is done by hand is what the pipeline does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ispdsl.bench import by_hand, contender, halide_by_hand, ours
from ispdsl.bench.contender import Contender, ContenderError, Package, missing
from ispdsl.bench.job import Job, frame_of, middle, part_of, sized, write_raw
from ispdsl.bench.libraw import develops
from ispdsl.bench.registry import CONTENDERS
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import synthesise, write_dng
from tests.scenes import smooth_photo

SMALL = Path(__file__).parents[2] / "benchmarks" / "speed" / "small.isp"
EDGE = 12
"""Px at the borders, where everybody mirrors in another way."""


@pytest.fixture(scope="module", params=["rggb", "gbrg"])
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Job:
    raw = tmp_path_factory.mktemp("raw") / "small.dng"
    write_dng(raw, synthesise(smooth_photo(96), seed=4, cfa=request.param, noise=False))
    values = (("colour_balance.adaptation", "camera"), ("white_balance.red", "1"))
    return Job(file=str(SMALL), raw=str(raw), threads=torch.get_num_threads(), values=values)


def planes(picture: Any) -> np.ndarray[Any, Any]:
    """`(3, H, W)` without the border."""
    image = np.asarray(picture)
    image = image if image.shape[0] == 3 else np.moveaxis(image, -1, 0)
    return image[:, EDGE:-EDGE, EDGE:-EDGE]


def test_names_are_the_command_lines_own() -> None:
    names = [each.name for each in CONTENDERS]
    assert len(set(names)) == len(names)
    assert {"eager", "compiled", "libraw-linear", "libraw-ppg", "libraw-ahd", "libraw-dht"} <= {*names}
    assert {"opencv", "colour-demosaicing", "kornia"} <= {*names}
    assert {"eager", "compiled"} <= {each.name for each in CONTENDERS if each.gradient}


def test_what_is_missing_is_said_with_the_line_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Contender("nobody", "", lambda job: lambda: None, packages=(Package("no_such_module", "no-such"),))
    assert missing(nobody) == "pip install no-such"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(contender, "find_spec", lambda name: None)
    lacking = {each.name: missing(each) for each in CONTENDERS}
    assert lacking["opencv"] == "pip install opencv-python-headless"
    assert lacking["colour-demosaicing"] == "pip install colour-demosaicing"
    assert lacking["compiled"] == "needs one of the programs c++, g++, clang++"
    assert lacking["eager"] is None


def test_by_hand_is_what_the_pipeline_does(job: Job) -> None:
    pytest.importorskip("colour_demosaicing")
    wanted = planes(ours.forward(job)())
    found = planes(by_hand.colour_demosaicing(job)())
    assert np.abs(found - wanted).max() < 2e-4
    assert wanted.std() > 0.05


def test_halide_by_hand_is_what_the_pipeline_does(job: Job) -> None:
    wanted, found = planes(ours.forward(job)()), planes(halide_by_hand.halide(job)())
    assert np.abs(found - wanted).max() < 2e-4


def test_kornias_picture_is_ours_but_for_the_demosaic(job: Job) -> None:
    wanted, found = planes(ours.forward(job)()), planes(by_hand.kornia(job)())
    assert np.abs(found - wanted).mean((1, 2)).max() < 0.04  # with two planes changed over, more than 0.2


def test_opencvs_picture_is_kornias(job: Job) -> None:
    pytest.importorskip("cv2")
    # Both interpolate bilinearly; OpenCV in codes, which it rounds.
    found, wanted = planes(by_hand.opencv(job)()), planes(by_hand.kornia(job)())
    assert np.abs(found - wanted).max() < 5e-3


def test_libraw_develops_the_same_scene(job: Job) -> None:
    found = planes(develops("LINEAR")(job)()) / 65535
    wanted = planes(ours.forward(job)())
    assert np.abs(found - wanted).mean((1, 2)).max() < 0.15  # its tones are its own
    assert found.mean((1, 2)).argsort().tolist() == [2, 1, 0]
    assert found.shape == wanted.shape


def test_what_libraw_cannot_open_is_told(tmp_path: Path, job: Job) -> None:
    path = tmp_path / "no.dng"
    path.write_bytes(b"no raw")
    with pytest.raises(ContenderError, match="LibRaw does not open"):
        develops("LINEAR")(replace(job, raw=str(path)))


def test_by_hand_needs_a_mosaic_of_even_sides(tmp_path: Path, job: Job) -> None:
    frame = frame_of(job)
    odd = write_raw(frame.crop(0, 0, 31, 40), tmp_path)
    with pytest.raises(ContenderError, match="odd side"):
        by_hand.kornia(replace(job, raw=str(odd)))


def test_a_gradient_is_of_every_free_number(job: Job) -> None:
    ready = ours.prepared(job, part_of(job))
    assert {"exposure.ev", "levels.black", "sharpen.amount", "colour_matrix.coefficients"} <= {*ready.free}
    assert "sharpen.radius" not in ready.free
    gradients: Any = ours.gradient(job)()
    assert len(gradients) == len(ready.free)
    found = dict(zip(ready.free, gradients, strict=True))
    assert float(found["exposure.ev"].abs()) > 0
    assert found["colour_matrix.coefficients"].shape == (3, 3)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
def test_what_torch_compiles_gives_the_same(job: Job) -> None:
    plain, compiled = (np.asarray(way(job)()) for way in (ours.forward, ours.forward_compiled))
    assert np.abs(plain - compiled).max() < 1e-4
    found: Any = ours.gradient(job)()
    wanted: Any = ours.gradient_compiled(job)()
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("megapixels", [0.002, 0.05])
def test_a_raw_of_another_size_is_the_same_mosaic(tmp_path: Path, job: Job, megapixels: float) -> None:
    frame = frame_of(job)
    made = sized(frame, megapixels)
    height, width = made.size
    assert height % 2 == width % 2 == 0
    assert height * width / 1e6 == pytest.approx(megapixels, rel=0.1)
    assert height / width == pytest.approx(frame.size[0] / frame.size[1], rel=0.1)
    assert made.cfa == frame.cfa
    again = read(write_raw(made, tmp_path))
    assert np.array_equal(again.image, made.image)
    assert np.allclose(np.asarray(again.metadata["as_shot_neutral"]), np.asarray(frame.metadata["as_shot_neutral"]))
    rows, columns = (min(each) // 2 * 2 for each in zip(made.size, frame.size, strict=True))
    if megapixels > 0.01:
        assert np.array_equal(made.image[:, :rows, :columns], frame.image[:, :rows, :columns])
        assert np.array_equal(made.image[:, rows : rows + 2, :columns], frame.image[:, :2, :columns])


def test_the_middle_keeps_the_pattern(job: Job) -> None:
    frame = frame_of(job)
    part = middle(frame, 0.25)
    assert part.cfa == frame.cfa
    assert part.size[0] == pytest.approx(frame.size[0] / 2, abs=2)
