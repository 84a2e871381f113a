"""Real raw files: each is read with the right colour filters and plausible numbers, or refused for a stated reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ispdsl.runtime.frame import Frame, RawError
from ispdsl.runtime.rawfile import read

pytestmark = pytest.mark.realdata

EXPECTED = {
    "containers/canon_eos_d30.crw": ("raw<rggb, u12>", (1448, 2176), 1),
    "containers/kodak_dc50_DC0011M.kdc": ("raw<grbg, u14>", (512, 768), 1),
    "containers/kodak_dc50_buildings.kdc": ("raw<grbg, u14>", (512, 768), 1),
    "containers/lg_h815_linear_sample_1mp.dng": ("raw<linear, u16>", (338, 600), 1),
    "containers/quicktake100_1.qtk": ("raw<grbg, u10>", (480, 640), 1),
    "containers/quicktake150_04.qtk": ("raw<grbg, u14>", (480, 640), 1),
    "containers/quicktake150_08.qtk": ("raw<grbg, u14>", (480, 640), 1),
    "gopro/dng/hero6_GOPR0024.dng": ("raw<rggb, u14>", (3000, 4000), 2),
    "gopro/crops/fusion_front_GPFR7066_y1300_x1000.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "gopro/crops/fusion_front_GPFR7066_y600_x300.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "gopro/crops/fusion_front_GPFR7066_y900_x1900.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "gopro/crops/hero6_GOPR0024_y1700_x400.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "gopro/crops/hero6_GOPR0024_y300_x2700.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "gopro/crops/hero6_GOPR0024_y900_x1500.dng": ("raw<rggb, u14>", (1024, 1024), 2),
    "frames/openisp_te_chart_1920x1080_rggb_u16le10.raw": ("raw<rggb, u10>", (1080, 1920), 1),
    "frames/hector_desk_1280x800_bggr_mipi10.raw": ("raw<bggr, u10>", (800, 1280), 1),
    "frames/dsc1339_rose_768x512_rggb_u16le14.raw": ("raw<rggb, u14>", (512, 768), 1),
    "frames/dsc1339_rose_768x512_grbg_u16le14.raw": ("raw<grbg, u14>", (512, 768), 1),
    "frames/dsc1339_rose_768x512_rggb_bpctest_u16le14.raw": ("raw<rggb, u16>", (512, 768), 1),
    "frames/iisp_Indoor1_2592x1536_grbg_u8.raw": ("raw<grbg, u8>", (1536, 2592), 1),
    "frames/iisp_Outdoor2_2592x1536_grbg_u8.raw": ("raw<grbg, u8>", (1536, 2592), 1),
}


def opened(data: Path, name: str) -> Frame:
    return read(data / "raw" / name)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_raw_is_read(data: Path, name: str) -> None:
    found = opened(data, name)
    assert (str(found.type), found.size, found.orientation) == EXPECTED[name]
    metadata = found.metadata
    black, white = np.asarray(metadata["black_level"]), float(metadata["white_level"])
    assert black.shape == (4,)
    assert 0 <= black.max() < 0.1 * white
    neutral = np.asarray(metadata["as_shot_neutral"])
    assert neutral[1] == 1.0
    assert 0.25 < neutral.min() <= neutral.max() <= 1.3
    assert 4500 < float(metadata["as_shot_temperature"]) < 7000
    assert abs(float(metadata["as_shot_tint"])) < 60
    gains = np.asarray(metadata["gain_map"])
    assert gains.shape[0] == 4
    assert 1.0 <= gains.min() <= gains.max() < 3.0
    assert np.linalg.cond(np.asarray(metadata["colour_matrix_1"])) < 50


def test_no_file_is_forgotten(data: Path) -> None:
    files = {str(path.relative_to(data / "raw")) for path in (data / "raw").rglob("*") if path.is_file()}
    known = {"frames/frames.json", "gopro/gopro_meta.json", "f2_halide/bayer_small.pgm"}
    rest = files - set(EXPECTED) - known
    assert {name for name in rest if not name.endswith(("SOURCE.txt", ".npz"))} == set()


def test_the_crw_has_no_usable_white_balance(data: Path) -> None:
    found = opened(data, "containers/canon_eos_d30.crw")
    assert any("daylight" in note for note in found.notes)
    assert found.source.model == "Canon EOS D30"


def test_a_quicktake_has_no_white_balance_and_gets_one_under_daylight(data: Path) -> None:
    found = opened(data, "containers/quicktake150_08.qtk")
    neutral = np.asarray(found.metadata["as_shot_neutral"])
    assert neutral[1] == 1.0
    assert 0.5 < neutral.min() < neutral.max() < 2.0
    assert found.metadata["as_shot_temperature"] == pytest.approx(6505.8, abs=0.5)
    assert any("has no white balance" in note for note in found.notes)


def test_the_matrix_of_the_dc50_is_that_of_libraw(data: Path) -> None:
    found = opened(data, "containers/kodak_dc50_buildings.kdc")
    assert any("LibRaw's matrix" in note for note in found.notes)
    other = opened(data, "containers/kodak_dc50_DC0011M.kdc")
    # Measured on two pictures of one camera: the same camera, so the same matrix.
    np.testing.assert_allclose(found.metadata["colour_matrix_1"], other.metadata["colour_matrix_1"], atol=5e-4)


def test_lens_shading_of_the_hero6(data: Path) -> None:
    gains = np.asarray(opened(data, "gopro/dng/hero6_GOPR0024.dng").metadata["gain_map"])
    assert gains.shape == (4, 23, 23)
    assert gains[:, 11, 11].max() < 1.05
    assert gains[:, 0, 0].min() > 1.3


def test_the_two_phases_of_one_photograph_agree(data: Path) -> None:
    rggb = opened(data, "frames/dsc1339_rose_768x512_rggb_u16le14.raw")
    grbg = opened(data, "frames/dsc1339_rose_768x512_grbg_u16le14.raw")
    means = {frame.cfa: [frame.image[0, i::2, j::2].mean() for i in (0, 1) for j in (0, 1)] for frame in (rggb, grbg)}
    assert means["rggb"][0] == pytest.approx(means["grbg"][1], rel=0.02)
    assert means["rggb"][3] == pytest.approx(means["grbg"][2], rel=0.02)


def test_a_pgm_wants_to_be_described(data: Path) -> None:
    path = data / "raw" / "f2_halide" / "bayer_small.pgm"
    with pytest.raises(RawError, match="does not say which colour filters"):
        read(path)
    assert str(read(path, {"cfa": "GRBG", "black": 0, "white": 1023}).type) == "raw<grbg, u16>"
