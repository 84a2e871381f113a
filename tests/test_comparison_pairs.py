"""What of two pictures is compared, how it is shown, and when it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.comparison.overlap import IncomparableError, overlap
from ispdsl.comparison.pair import Pair, compare, peak_of
from ispdsl.comparison.report import table, values
from ispdsl.comparison.sheet import MOST, amplification, coarse, difference_sheet, shown
from ispdsl.ir.types import Type
from ispdsl.runtime.contact_sheet import LABEL, MARGIN, PAPER, THUMBNAIL
from ispdsl.runtime.pictures import read_picture

Image = NDArray[np.float32]

SRGB = Type.parse("rgb<srgb, unit>")
MOSAIC = Type.parse("raw<rggb, u14>")
CHROMA = Type.parse("chroma<srgb, f32>")


def image(planes: int = 3, height: int = 24, width: int = 32, seed: int = 0) -> Image:
    return np.random.default_rng(seed).random((planes, height, width)).astype(np.float32)


def cut(whole: Image, top: int, left: int, height: int, width: int) -> Image:
    return whole[:, top : top + height, left : left + width]


def test_images_of_one_size_are_compared_whole() -> None:
    found = overlap((3, 10, 12), (3, 10, 12))
    assert (found.first, found.second, found.size, found.note) == ((0, 0), (0, 0), (10, 12), "")
    inner = overlap((3, 10, 12), (3, 10, 12), border=2)
    assert (inner.first, inner.second, inner.size, inner.note) == ((2, 2), (2, 2), (6, 8), "")


def test_a_border_that_a_program_cuts_off_is_left_out_and_said() -> None:
    whole = image(height=30, width=40)
    part = cut(whole, 3, 5, 24, 30)
    for pictures in ((whole, part), (part, whole)):
        pair = compare("out", "output", SRGB, pictures, {})
        assert pair.figures is not None
        assert pair.figures.equal
        assert "compared the centred 30 x 24 px" in pair.note
        assert "40 x 30" in pair.note
        assert "half a pixel" not in pair.note
    taller, wider = cut(whole, 0, 2, 30, 36), cut(whole, 1, 0, 28, 40)
    crossed = compare("out", "output", SRGB, (taller, wider), {})
    assert crossed.figures is not None
    assert crossed.figures.equal
    assert "half a pixel" in overlap((3, 30, 40), (3, 29, 40)).note


@pytest.mark.parametrize(
    ("first", "second", "mosaic", "border", "says"),
    [
        ((3, 10, 10), (1, 10, 10), False, 0, "3 and 1 planes"),
        ((3, 512, 512), (3, 256, 256), False, 0, "512 x 512 and 256 x 256 px"),
        ((1, 20, 20), (1, 18, 20), True, 0, "sites of one mosaic"),
        ((3, 10, 10), (3, 10, 8), False, 4, "leaves nothing"),
    ],
)
def test_what_is_not_the_same_picture_is_refused(
    first: tuple[int, ...], second: tuple[int, ...], mosaic: bool, border: int, says: str
) -> None:
    with pytest.raises(IncomparableError, match=says):
        overlap(first, second, mosaic=mosaic, border=border)


def test_mosaics_keep_their_sites() -> None:
    assert overlap((1, 20, 20), (1, 16, 20), mosaic=True).first == (2, 0)


def test_peaks() -> None:
    assert peak_of(SRGB, {}) == peak_of(Type.parse("rgb<camera, f32>"), {"white_level": 1023.0}) == 1.0
    assert peak_of(Type.parse("rgb<srgb, u8>"), {"white_level": 1023.0}) == 255.0
    assert peak_of(MOSAIC, {}) == 16383.0
    assert peak_of(MOSAIC, {"white_level": np.float64(15520.0)}) == 15520.0
    assert peak_of(Type.parse("raw<rggb, f32>"), {"white_level": 15520.0}) == 1.0


def test_the_place_is_that_of_the_first_image_and_the_tolerance_a_fraction_of_the_peak() -> None:
    first = (image(1) * 16383).round()
    second = first.copy()
    second[0, 19, 9] = first[0, 19, 9] - 164
    pair = compare("mosaic", "tap", MOSAIC, (first, second), {"white_level": 16400.0}, border=4)
    assert pair.figures is not None
    place = pair.figures.largest
    assert (place.plane, place.row, place.column, place.difference) == (0, 19, 9, 164.0)
    assert place.first == first[0, 19, 9]
    assert pair.within(0.0100001)
    assert not pair.within(0.0099)
    assert pair.figures.ciede2000 is None


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        ((None, image()), "the first backend does not give it"),
        ((image(), None), "the second backend does not give it"),
        ((None, None), "neither backend gives it"),
        ((image() * np.float32(np.nan), image()), "2304 of 2304 values of the first are not finite"),
        ((image(), image(height=200)), "32 x 24 and 32 x 200 px"),
    ],
)
def test_what_cannot_be_compared_has_no_figures(pictures: tuple[Image | None, Image | None], says: str) -> None:
    pair = compare("exposed", "tap", SRGB, pictures, {})
    assert says in pair.refused
    assert pair.figures is None
    assert not pair.within(1e9)
    assert says in table([pair], ("composite", "libraw"))
    assert says in values(pair)["refused"]


def pairs() -> list[Pair]:
    near, codes = image(seed=1), (image(1, seed=2) * 1000).round()
    far = near.copy()
    far[1, 5, 6] = near[1, 5, 6] + np.float32(0.25)
    chroma = image(2, seed=3) - np.float32(0.5)
    return [
        compare("mosaic", "tap", MOSAIC, (codes, codes), {"white_level": 1000.0}),
        compare("chroma", "tap", CHROMA, (chroma, -chroma), {}),
        compare("out", "output", SRGB, (near, far), {}),
    ]


def test_a_table_for_people() -> None:
    lines = table(pairs(), ("composite", "libraw")).splitlines()
    assert lines[0].split()[:3] == ["type", "PSNR", "SSIM"]
    assert lines[1].startswith("mosaic")
    assert " equal " in lines[1]
    assert "row 5, column 6, green" in lines[3]
    assert lines[3].startswith("out (output)")
    assert "45.67 dB" in lines[3], "10 log10(24 * 32 * 3 / 0.0625)"
    assert lines[-1] == "first: composite, second: libraw; peak: 1000 for mosaic, 1 for chroma, out"


def test_values_for_programs() -> None:
    mosaic, chroma, out = (json.loads(json.dumps(values(pair), allow_nan=False)) for pair in pairs())
    assert (mosaic["equal"], mosaic["psnr"], mosaic["peak"], mosaic["size"]) == (True, None, 1000.0, [24, 32])
    assert chroma["ssim"] < 0, "each is the negative of the other"
    assert chroma["ciede2000"] is None
    assert out["psnr"] == pytest.approx(10 * np.log10(24 * 32 * 3 / 0.0625), abs=1e-3)
    assert out["largest"]["difference"] == pytest.approx(0.25)
    assert (out["largest"]["plane"], out["largest"]["row"], out["largest"]["column"]) == (1, 5, 6)
    assert out["ciede2000"]["largest"] > out["ciede2000"]["percentile_95"] == 0.0


def test_amplification_is_a_power_of_two_that_shows_most_differences() -> None:
    flat = np.full((3, 50, 50), 0.01, np.float32)
    assert amplification(flat) == 64.0
    lone = flat.copy()
    lone[0, 0, 0] = 1.0
    assert amplification(lone) == 64.0, "one pixel that is far off does not hide the rest"
    assert amplification(flat * 300) == 1.0
    assert amplification(flat * 0) == 1.0
    assert amplification(flat * np.float32(1e-9)) == MOST
    only = flat * 0
    only[0, 3, 3] = 0.3
    assert amplification(only) == 2.0


def test_a_lone_pixel_stays_seen_in_a_thumbnail() -> None:
    apart = np.zeros((1, 1000, 700), np.float32)
    apart[0, 999, 699] = 1.0
    small = coarse(apart, 100)
    assert max(small.shape) == 100
    assert small.max() == 1.0


def test_chroma_is_shown_about_grey() -> None:
    tile = shown(np.stack([np.full((8, 8), 0.25), np.full((8, 8), -0.25)]).astype(np.float32), CHROMA, 1.0)
    np.testing.assert_allclose(tile[:, 0, 0], [0.25, 0.5, 0.75])


def test_the_sheet_has_a_row_for_every_pair(tmp_path: Path) -> None:
    flat = np.full((3, 40, 40), 0.25, np.float32)
    near = compare("near", "tap", SRGB, (flat, flat + np.float32(1 / 256)), {})
    refused = compare("refused", "tap", SRGB, (flat, None), {})
    difference_sheet(tmp_path / "d.png", [near, refused, *pairs()], ("composite", "libraw"))
    page, _ = read_picture(tmp_path / "d.png")
    wide = round(THUMBNAIL * 24 / 32)
    assert page.shape == (3, THUMBNAIL + 3 * wide + 4 * (LABEL + MARGIN) + MARGIN, 3 * (THUMBNAIL + MARGIN) + MARGIN)
    centre = MARGIN + THUMBNAIL // 2
    across = [centre, centre + THUMBNAIL + MARGIN, centre + 2 * (THUMBNAIL + MARGIN)]
    tiles = [float(page[0, centre, column]) for column in across]
    assert tiles == pytest.approx([64 / 255, 65 / 255, 1.0], abs=2e-3), "1/256 is amplified 256 times"
    labels = page[:, MARGIN + THUMBNAIL : MARGIN + THUMBNAIL + LABEL]
    assert (labels != np.array(PAPER)[:, None, None] / 255).any()


def test_the_sheet_is_turned_upright(tmp_path: Path) -> None:
    first = np.zeros((3, 20, 40), np.float32)
    first[:, :10] = 1.0
    pair = compare("out", "output", SRGB, (first, first), {})
    difference_sheet(tmp_path / "d.png", [pair], ("a", "b"), orientation=6)
    page, _ = read_picture(tmp_path / "d.png")
    assert page.shape[1] == THUMBNAIL + LABEL + 2 * MARGIN, "a portrait is as high as a thumbnail may be"
    middle = MARGIN + THUMBNAIL // 2
    left, right = page[0, middle, middle - 50], page[0, middle, middle + 50]
    assert (left, right) == (0.0, 1.0), "what was on top lies to the right"


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no differences"):
        difference_sheet(tmp_path / "d.png", [compare("x", "tap", SRGB, (None, None), {})], ("a", "b"))
