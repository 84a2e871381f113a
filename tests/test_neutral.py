"""With every slider where it does nothing, a raw has the colours that LibRaw gives it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rawpy

from benchmarks.reproduce.neutral import NEUTRAL, compare, raw_files
from ispdsl.ir.types import BAYER
from ispdsl.runtime.frame import RawError
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.raws import one_of_each
from tests.runtime import dng_files
from tests.scenes import graph

SHARE = "raw"
FOLDER = Path(os.environ.get("ISPDSL_DATA", "/nonexistent")) / SHARE
RAWS = [str(path.relative_to(FOLDER)) for path in raw_files(FOLDER)] if FOLDER.is_dir() else []


def test_neutral_leaves_no_slider_at_work():
    made = graph("photo_finish")
    free = {slot.address for slot in made.slots if slot.free}
    assert free - set(NEUTRAL) == {"colour_balance.temperature", "colour_balance.tint"}


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("gains", [None, (0.6, 1.5)])
def test_synthetic_raws_in_every_phase(tmp_path: Path, cfa: str, gains: tuple[float, float] | None):
    photo, black = sample_photo("motorcycle", 128), (500, 510, 520, 530)
    raw = synthesise(photo, seed=BAYER.index(cfa), cfa=cfa, black=black, gains=gains)
    write_dng(tmp_path / "a.dng", raw, orientation=6)
    found = compare(tmp_path / "a.dng")
    assert found.mean < 0.1
    assert found.max < 2


def test_three_samples_a_site(tmp_path: Path):
    """The black level is 0: LibRaw takes it off the samples of such files, but not off their white level."""
    raw = synthesise(sample_photo("astronaut", 96), seed=1, noise=False)
    codes = np.moveaxis(raw.truth * 15000, 0, -1).round().astype(np.uint16)
    tags = dng_files.colour_tags([(raw.colour_matrix, 21)], raw.as_shot_neutral)
    found = compare(dng_files.write_dng(tmp_path / "linear.dng", codes, black=0, white=15000, tags=tags))
    assert found.type == "raw<linear, u14>"
    assert found.mean < 0.05


def test_two_illuminants(tmp_path: Path):
    """As shot under the second illuminant, the first matrix must have no say; LibRaw only ever takes the second."""
    raw = synthesise(sample_photo("astronaut", 96), seed=1, noise=False)
    tags = dng_files.colour_tags([(dng_files.COLOUR_1, 17), (raw.colour_matrix, 21)], raw.as_shot_neutral)
    black = (raw.black[0],)
    found = compare(dng_files.write_dng(tmp_path / "two.dng", raw.mosaic[0], black=black, white=raw.white, tags=tags))
    assert found.mean < 0.1


@pytest.mark.realdata
@pytest.mark.parametrize("name", one_of_each(RAWS))
def test_real_raws(data: Path, name: str):
    try:
        found = compare(data / SHARE / name, largest=512, every=3)
    except RawError as error:
        pytest.skip(error.message)
    assert found.mean < 1.0


@pytest.mark.realdata
def test_the_white_balance_is_the_one_that_libraw_reads(data: Path):
    """`compare` gives LibRaw our white balance; that it is the file's own is seen here."""
    seen = 0
    for name in RAWS:
        try:
            frame = read(data / SHARE / name)
        except RawError:
            continue
        if frame.source.decoder == "headerless":
            continue
        with rawpy.imread(str(data / SHARE / name)) as raw:
            gains = np.array(raw.camera_whitebalance[:3])
        if gains.min() > 0:
            seen += 1
            assert 1 / np.asarray(frame.metadata["as_shot_neutral"]) == pytest.approx(gains / gains[1], rel=1e-3), name
    assert seen >= 8
