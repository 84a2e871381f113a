from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from ispdsl.ir.types import BAYER
from ispdsl.runtime.frame import Frame, RawError, sites_from
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.whitepoint import xy_of
from tests.runtime.dng_files import (
    COLOUR_1,
    COLOUR_2,
    DOUBLE,
    LONG,
    NEUTRAL,
    RATIONAL,
    SHORT,
    SRATIONAL,
    UNDEFINED,
    colour_tags,
    fractions,
    gain_map_opcode,
    opcode,
    opcode_list,
    rational,
    scene,
    write_dng,
)

GAINS = np.linspace(1.0, 2.5, 12).reshape(3, 4).astype(np.float32)
BLACK = (10.0, 20.5, 30.0, 40.25)


@pytest.fixture
def dng(tmp_path: Path) -> Path:
    return tmp_path / "photo.dng"


def site_maps(size: tuple[int, int] = (32, 48)) -> bytes:
    """A list of four GainMaps, the gains of site k scaled by k + 1."""
    area = [(i, j, *size) for i in (0, 1) for j in (0, 1)]
    return opcode_list(*(gain_map_opcode(GAINS * (site + 1), area[site]) for site in range(4)))


@pytest.mark.parametrize("cfa", BAYER)
def test_a_mosaic_comes_back_exactly(dng: Path, cfa: str) -> None:
    codes = scene()
    found = read(write_dng(dng, codes, cfa, black=BLACK, orientation=6))
    np.testing.assert_array_equal(found.image[0], codes)
    assert found.image.dtype == np.uint16
    assert str(found.type) == f"raw<{cfa}, u10>"
    assert found.cfa == cfa
    assert found.size == (32, 48)
    np.testing.assert_allclose(found.metadata["black_level"], BLACK)
    assert found.metadata["white_level"] == 1023
    assert found.orientation == 6
    assert (found.source.make, found.source.model) == ("Maker", "Model")
    assert found.source.decoder.startswith("LibRaw ")
    assert found.notes == ()


def test_three_samples_a_site(dng: Path) -> None:
    codes = scene(planes=3, white=4095)
    found = read(write_dng(dng, codes, white=4095))
    np.testing.assert_array_equal(found.image, codes.transpose(2, 0, 1))
    assert str(found.type) == "raw<linear, u12>"
    np.testing.assert_array_equal(found.metadata["black_level"], [64.0] * 4)


@pytest.mark.parametrize("planes", [0, 3])
def test_floating_point_samples_become_codes(dng: Path, planes: int) -> None:
    light = (scene(planes=planes) / 1023).astype(np.float32)
    found = read(write_dng(dng, light, white=1, black=(0.0,)))
    codes = found.image[0] if planes == 0 else found.image.transpose(1, 2, 0)
    np.testing.assert_allclose(codes / float(found.metadata["white_level"]), light, atol=1e-4)
    assert any("floating-point" in note for note in found.notes)
    with pytest.raises(RawError, match="with a black level"):
        read(write_dng(dng, light, white=1, black=(0.125,)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(dng: Path, orientation: int) -> None:
    found = read(write_dng(dng, scene(), orientation=orientation))
    assert found.orientation == orientation
    assert found.size == (32, 48)


def test_codes_above_white_widen_the_storage(dng: Path) -> None:
    assert str(read(write_dng(dng, scene(white=1023), white=1000)).type) == "raw<rggb, u10>"
    assert str(read(write_dng(dng, scene(white=1100), white=1000)).type) == "raw<rggb, u11>"


@pytest.mark.parametrize("origin", [(2, 4), (1, 1), (1, 0), (0, 1)])
def test_the_active_area_is_what_black_levels_and_gain_maps_count_from(dng: Path, origin: tuple[int, int]) -> None:
    top, left = origin
    codes = scene()
    maps = site_maps((32 - top, 48 - left))
    area = (50829, LONG, 4, (top, left, 32, 48), True)
    found = read(write_dng(dng, codes, "rggb", black=BLACK, more=[area, (51009, UNDEFINED, len(maps), maps, True)]))
    rows, columns = 32 - found.size[0], 48 - found.size[1]
    np.testing.assert_array_equal(found.image[0], codes[rows:, columns:])
    order = sites_from(rows - top, columns - left)
    assert found.cfa == "".join("rggb"[site] for site in order)
    np.testing.assert_allclose(found.metadata["black_level"], np.array(BLACK)[order])
    gains = np.asarray(found.metadata["gain_map"])
    np.testing.assert_allclose(gains[:, -1, -1], [2.5 * (site + 1) for site in order], rtol=1e-6)


def test_colour_of_a_dng(dng: Path) -> None:
    metadata = read(write_dng(dng, scene())).metadata
    np.testing.assert_allclose(metadata["colour_matrix_1"], COLOUR_1)
    np.testing.assert_allclose(metadata["colour_matrix_2"], COLOUR_2)
    assert (metadata["illuminant_1"], metadata["illuminant_2"]) == (2850.0, 6500.0)
    np.testing.assert_allclose(metadata["as_shot_neutral"], NEUTRAL)
    # The definition: the matrix for the as-shot temperature takes the as-shot white to the neutral.
    temperature = float(metadata["as_shot_temperature"])
    x, y = xy_of(temperature, float(metadata["as_shot_tint"]))
    weight = (1 / temperature - 1 / 6500) / (1 / 2850 - 1 / 6500)
    assert 0 < weight < 1
    camera = (weight * COLOUR_1 + (1 - weight) * COLOUR_2) @ [x / y, 1, (1 - x - y) / y]
    np.testing.assert_allclose(camera / camera[1], NEUTRAL, rtol=1e-8)


def test_the_colder_illuminant_comes_first(dng: Path) -> None:
    swapped = read(write_dng(dng, scene(), tags=colour_tags([(COLOUR_2, 21), (COLOUR_1, 17)]))).metadata
    np.testing.assert_allclose(swapped["colour_matrix_1"], COLOUR_1)
    assert swapped["illuminant_1"] == 2850.0


def test_balance_and_calibration_are_multiplied_in(dng: Path) -> None:
    calibration = np.diag([0.98, 1.0, 1.02])
    more = [rational(50727, [2.0, 1.0, 1.5]), rational(50723, calibration, SRATIONAL)]
    metadata = read(write_dng(dng, scene(), more=more)).metadata
    np.testing.assert_allclose(metadata["colour_matrix_1"], np.diag([2.0, 1.0, 1.5]) @ calibration @ COLOUR_1)
    np.testing.assert_allclose(metadata["colour_matrix_2"], np.diag([2.0, 1.0, 1.5]) @ COLOUR_2)


def test_one_matrix_serves_every_white(dng: Path) -> None:
    metadata = read(write_dng(dng, scene(), tags=colour_tags([(COLOUR_2, 21)]))).metadata
    np.testing.assert_allclose(metadata["colour_matrix_2"], COLOUR_2)
    np.testing.assert_allclose(metadata["colour_matrix_1"], COLOUR_2)


def test_as_shot_white_by_chromaticity(dng: Path) -> None:
    white = xy_of(4000.0, 12.0)
    tags = [*colour_tags(neutral=None), (50729, RATIONAL, 2, fractions(white, 10**9), True)]
    metadata = read(write_dng(dng, scene(), tags=tags)).metadata
    assert metadata["as_shot_temperature"] == pytest.approx(4000.0, abs=0.01)
    assert metadata["as_shot_tint"] == pytest.approx(12.0, abs=0.01)


@pytest.mark.parametrize("neutral", [None, (0.0, 1.0, 0.6), (0.5, 1.0, 1000.0)])
def test_an_unusable_white_balance_gives_daylight(dng: Path, neutral: tuple[float, ...] | None) -> None:
    found = read(write_dng(dng, scene(), tags=colour_tags(neutral=neutral)))
    assert found.metadata["as_shot_temperature"] == pytest.approx(6505.8, abs=0.5)
    assert any("daylight" in note for note in found.notes)


def test_no_colour_matrix_is_noted(dng: Path) -> None:
    found = read(write_dng(dng, scene(), tags=[rational(50728, NEUTRAL)]))
    assert any("no colour matrix" in note for note in found.notes)
    np.testing.assert_allclose(found.metadata["as_shot_neutral"], NEUTRAL)


def test_the_other_tags(dng: Path) -> None:
    more = [
        rational(50730, -0.3, SRATIONAL),
        (51041, DOUBLE, 6, (1e-4, 1e-7, 2e-4, 2e-7, 3e-4, 3e-7), True),
        (34855, SHORT, 1, 400, True),
        (33434, RATIONAL, 1, (1, 250), True),
        (33437, RATIONAL, 1, (28, 10), True),
    ]
    metadata = read(write_dng(dng, scene(), more=more)).metadata
    assert metadata["baseline_exposure"] == pytest.approx(-0.3)
    np.testing.assert_allclose(metadata["noise_profile"], [2e-4, 2e-7])
    assert (metadata["iso"], metadata["exposure_time"], metadata["f_number"]) == (400.0, 0.004, 2.8)


def test_lens_shading(dng: Path) -> None:
    maps = site_maps()
    found = read(write_dng(dng, scene(), more=[(51009, UNDEFINED, len(maps), maps, True)]))
    expected = np.stack([GAINS.astype(np.float64) * (site + 1) for site in range(4)])
    np.testing.assert_allclose(found.metadata["gain_map"], expected, rtol=1e-6)
    assert found.notes == ()


def test_without_lens_shading_all_gains_are_one(dng: Path) -> None:
    np.testing.assert_array_equal(read(write_dng(dng, scene())).metadata["gain_map"], np.ones((4, 2, 2)))


def test_other_opcodes_and_damaged_lists_are_noted(dng: Path) -> None:
    warp = opcode_list(opcode(1, b"\0" * 8))
    broken = opcode_list(gain_map_opcode(GAINS, (0, 0, 32, 48)))[:-4]
    more = [(51022, UNDEFINED, len(warp), warp, True), (51009, UNDEFINED, len(broken), broken, True)]
    found = read(write_dng(dng, scene(), more=more))
    np.testing.assert_array_equal(found.metadata["gain_map"], np.ones((4, 2, 2)))
    assert any("WarpRectilinear" in note for note in found.notes)
    assert any("OpcodeList2 is damaged" in note for note in found.notes)


@pytest.mark.parametrize("top", [0, 1, 4])
@pytest.mark.parametrize("left", [0, 3, 6])
def test_a_crop_keeps_sites_and_colours_together(dng: Path, top: int, left: int) -> None:
    maps = site_maps()
    whole = read(write_dng(dng, scene(), black=BLACK, more=[(51009, UNDEFINED, len(maps), maps, True)]))
    part = whole.crop(top, left, 9, 11)
    np.testing.assert_array_equal(part.image[0], scene()[top : top + 9, left : left + 11])
    order = sites_from(top, left)
    assert part.cfa == "".join("rggb"[site] for site in order)
    np.testing.assert_allclose(part.metadata["black_level"], np.array(BLACK)[order])
    # GAINS is linear in row and column, so its value at the part's centre is known.
    row, column = (top + 4.5) / 32, (left + 5.5) / 48
    gains = np.asarray(part.metadata["gain_map"])
    centre = (GAINS[0, 0] + row * (GAINS[2, 0] - GAINS[0, 0]) + column * (GAINS[0, 3] - GAINS[0, 0])) * (
        np.array(order) + 1
    )
    np.testing.assert_allclose(gains.mean(axis=(1, 2)), centre, rtol=1e-6)
    assert whole.cfa == "rggb"


@pytest.mark.parametrize("part", [(-1, 0, 2, 2), (0, 0, 33, 4), (0, 40, 4, 9), (0, 0, 0, 4)])
def test_a_crop_beyond_the_frame(dng: Path, part: tuple[int, int, int, int]) -> None:
    with pytest.raises(RawError, match="does not lie inside 48 x 32"):
        read(write_dng(dng, scene())).crop(*part)


def test_the_content_hash_tells_contents_apart_and_not_files(dng: Path, tmp_path: Path) -> None:
    first = read(write_dng(dng, scene()))
    assert read(write_dng(tmp_path / "copy.dng", scene())).content_hash == first.content_hash
    others = [
        write_dng(tmp_path / "1.dng", scene(seed=8)),
        write_dng(tmp_path / "2.dng", scene(), "bggr"),
        write_dng(tmp_path / "3.dng", scene(), black=(65.0,)),
        write_dng(tmp_path / "4.dng", scene(), orientation=3),
    ]
    hashes = {frame.content_hash for frame in (first, *map(read, others))}
    assert len(hashes) == 5


@pytest.mark.parametrize(
    ("filters", "message"),
    [(bytes([3, 4, 5, 1]), "a sensor of 4 colours, GMCY"), (bytes([0, 0, 1, 2]), "no 2x2 pattern")],
)
def test_other_sensors_are_refused(dng: Path, filters: bytes, message: str) -> None:
    with pytest.raises(RawError, match=message):
        read(write_dng(dng, scene(), filters, tags=[]))


XTRANS = bytes(
    [1, 1, 0, 1, 1, 2, 1, 1, 2, 1, 1, 0, 2, 0, 1, 0, 2, 1, 1, 1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1, 2, 0, 1]
)


def test_x_trans_is_refused_with_the_way_out(dng: Path) -> None:
    with pytest.raises(RawError, match=r"the pattern found: 6 x 6") as caught:
        read(write_dng(dng, scene(), XTRANS))
    assert "convert the file to a LinearRaw DNG" in caught.value.hint


def test_a_white_level_at_the_black_level_is_refused(dng: Path) -> None:
    with pytest.raises(RawError, match="not above the black level"):
        read(write_dng(dng, scene(), black=(1023.0,)))


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"hello, world" * 99, "no raw file"), (b"P5 2 2 255\nabcd", "does not say which colour")],
)
def test_files_that_are_no_raws(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "thing.bin"
    path.write_bytes(data)
    with pytest.raises(RawError, match=message):
        read(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(RawError, match="no such file"):
        read(tmp_path / "none.dng")
    with pytest.raises(RawError, match="not a file"):
        read(tmp_path)
    with pytest.raises(RawError):
        read("nul\0byte.dng")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RawError, match="not a file"):
        read(tmp_path / "pipe")


@pytest.mark.parametrize("planes", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_mutated_files_are_frames_or_raw_errors(tmp_path: Path, planes: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "tifffile")
    maps = site_maps()
    more = [(51009, UNDEFINED, len(maps), maps, True)]
    data = write_dng(tmp_path / "whole.dng", scene(planes=planes), more=more).read_bytes()
    draw = np.random.default_rng(planes)
    outcomes = {"frame": 0, "error": 0}
    for trial in range(150):
        mutated = bytearray(data)
        if trial % 3 == 0:
            del mutated[int(draw.integers(len(data))) :]
        elif trial % 3 == 1:
            for at in draw.integers(0, 1800, 5):
                mutated[at] = int(draw.integers(256))
        else:
            at = int(draw.integers(0, 1800))
            mutated[at : at + 4] = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80")[trial // 3 % 4]
        path = tmp_path / "mutated.dng"
        path.write_bytes(mutated)
        outcomes[_outcome(path)] += 1
    assert min(outcomes.values()) > 15


def _outcome(path: Path) -> str:
    try:
        found: Frame = read(path)
    except RawError:
        return "error"
    assert found.image.ndim == 3
    assert found.type.planes == found.image.shape[0]
    assert all(np.isfinite(value).all() for value in found.metadata.values())
    return "frame"
