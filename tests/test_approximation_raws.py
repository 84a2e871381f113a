"""Which regions of which raws doubles learn from and are tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ispdsl
from benchmarks.reproduce.approximation.raws import choose, write
from ispdsl.ir.types import BAYER
from ispdsl.runtime.frame import RawError
from ispdsl.synthetic import synthesise, write_dng

PHOTO = np.random.default_rng(0).random((3, 300, 420))


def raw(path: Path, seed: int, cfa: str = "rggb", rows: int = 300) -> None:
    """A synthetic raw; another seed is another camera and light."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dng(path, synthesise(PHOTO[:, :rows], seed=seed, cfa=cfa))


def test_a_picture_is_never_on_both_sides_and_all_regions_begin_alike(tmp_path: Path) -> None:
    for seed in range(5):
        raw(tmp_path / f"a{seed}.dng", seed, BAYER[seed % 4])
        raw(tmp_path / "versions" / f"b{seed}.dng", seed, BAYER[seed % 4], rows=280)
    chosen = choose(tmp_path)
    sides = [{region.name[-5] for region in regions} for regions in (chosen.training, chosen.testing)]
    assert sides[0] | sides[1] == set("01234")
    assert not sides[0] & sides[1]
    assert all(region.read().cfa == "rggb" for region in (*chosen.training, *chosen.testing))
    assert choose(tmp_path) == chosen


def test_no_more_regions_than_asked_for_and_they_do_not_overlap(tmp_path: Path) -> None:
    raw(tmp_path / "a.dng", 0)
    raw(tmp_path / "b.dng", 1)
    chosen = choose(tmp_path, most=2, side=128)
    assert len(chosen.training) == len(chosen.testing) == 2
    every = choose(tmp_path, most=100, side=128).training
    assert len(every) == 6  # 2 rows of 3
    covered = np.zeros((300, 420), int)
    for region in every:
        top, left, height, width = region.place
        covered[top : top + height, left : left + width] += 1
    assert covered.max() == 1
    assert all(size == 128 for region in every for size in region.place[2:])


def test_what_cannot_be_used_is_named_and_what_is_no_raw_is_not(tmp_path: Path) -> None:
    raw(tmp_path / "a.dng", 0)
    raw(tmp_path / "b.dng", 1)
    raw(tmp_path / "low.dng", 2, rows=200)
    (tmp_path / "broken.nef").write_bytes(b"no raw at all")
    (tmp_path / "notes.txt").write_text("about the raws")
    chosen = choose(tmp_path)
    assert [name for name, _ in chosen.skipped] == ["broken.nef", "low.dng"]
    assert "fewer than 256" in dict(chosen.skipped)["low.dng"]


def test_few_raws_are_shared_out_all_the_same_and_it_is_said(tmp_path: Path) -> None:
    raw(tmp_path / "a.dng", 0)
    one = choose(tmp_path, side=128)
    assert {region.place for region in one.training}.isdisjoint(region.place for region in one.testing)
    assert "one raw only" in one.notes[0]
    raw(tmp_path / "b.dng", 0, rows=280)
    two = choose(tmp_path)
    assert [region.name for region in (*two.training, *two.testing)] == ["a.dng", "b.dng"]
    assert "taken for different pictures" in two.notes[0]


def test_a_folder_without_two_regions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RawError, match="there is no folder"):
        choose(tmp_path / "none")
    (tmp_path / "odd.nef").write_bytes(b"no raw")
    with pytest.raises(RawError, match=r"too few raws.*\n  odd\.nef"):
        choose(tmp_path)


def test_a_region_is_written_as_a_raw_of_the_same_samples_and_levels(tmp_path: Path) -> None:
    raw(tmp_path / "in" / "a.dng", 0, "gbrg")
    raw(tmp_path / "in" / "b.dng", 1, "bggr")
    for region in choose(tmp_path / "in").training:
        (path,) = write([region], tmp_path / "out")
        there, back = region.read(), ispdsl.read(path)
        assert back.cfa == there.cfa == "rggb"
        assert (back.image == there.image).all()
        for name in ("black_level", "white_level", "as_shot_neutral", "colour_matrix_2"):
            assert np.allclose(back.metadata[name], there.metadata[name], atol=1e-4), name


@pytest.mark.realdata
def test_of_real_raws_several_cameras_are_on_each_side(data: Path, tmp_path: Path) -> None:
    chosen = choose(data / "raw")
    assert len(chosen.training) == len(chosen.testing) == 10
    assert all(len({region.camera for region in each}) >= 3 for each in (chosen.training, chosen.testing))
    shots = [
        {region.name.split("_")[0] for region in each if "gopro" in region.name}
        for each in (chosen.training, chosen.testing)
    ]
    assert not shots[0] & shots[1]
    halves = [region for region in (*chosen.training, *chosen.testing) if "u8" in region.name]
    for path, region in zip(write(halves, tmp_path), halves, strict=True):
        there, back = region.read(), ispdsl.read(path)  # black 12.5: codes doubled
        assert (back.image == 2 * there.image.astype(int)).all()
        assert np.allclose(back.metadata["black_level"], 25)
