from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile

from ispdsl.ir.types import BAYER
from ispdsl.runtime.pictures import PictureError
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.spaces import RGB_SPACES, SRGB_CURVE, rgb_to_xyz
from ispdsl.synthetic import (
    SAMPLE_PHOTOS,
    SyntheticRaw,
    encode_dng,
    sample_photo,
    synthesise,
    write_demo_raw,
    write_dng,
)
from ispdsl.synthetic.camera import MATRICES, bilinear, mosaic
from ispdsl.synthetic.unprocess import D65_WHITE, inverse_smoothstep, invert_gains

PHOTO = sample_photo("cat", 96)
GREY = np.full((3, 256, 256), 0.5)


def process(raw: SyntheticRaw, truth: np.ndarray) -> np.ndarray:
    """The plainest way from camera RGB to sRGB, by DNG's colour matrix."""
    to_camera = raw.colour_matrix @ rgb_to_xyz(RGB_SPACES["srgb"])
    light = np.tensordot(np.linalg.inv(to_camera), truth * 2**raw.baseline_exposure, axes=1)
    return SRGB_CURVE.encode(light.clip(0, 1))


def tags_of(data: bytes, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "tags.dng").write_bytes(data)
    with tifffile.TiffFile(tmp_path / "tags.dng") as file:
        return {tag.name: tag.value for tag in file.pages.first.tags.values()}


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("shape", [(64, 96), (63, 77)])
def test_libraw_reads_every_code(tmp_path: Path, cfa: str, shape: tuple[int, int]) -> None:
    raw = synthesise(PHOTO[:, : shape[0], : shape[1]], seed=3, cfa=cfa, black=(500, 510, 520, 530), white=16000)
    write_dng(tmp_path / "a.dng", raw)
    with rawpy.imread(str(tmp_path / "a.dng")) as file:
        assert np.array_equal(file.raw_image_visible, raw.mosaic[0])
        assert "".join("rgbg"[file.raw_color(y, x)] for y in (0, 1) for x in (0, 1)) == cfa
        by_site = [file.black_level_per_channel[file.raw_color(y, x)] for y in (0, 1) for x in (0, 1)]
        assert by_site == [500, 510, 520, 530]
        assert file.white_level == 16000
        assert file.camera_whitebalance[:3] == pytest.approx(1 / raw.as_shot_neutral, rel=1e-5)
        to_camera = raw.colour_matrix @ rgb_to_xyz(RGB_SPACES["srgb"])
        to_srgb = np.linalg.inv(to_camera / to_camera.sum(axis=1, keepdims=True))
        assert file.color_matrix[:, :3] == pytest.approx(to_srgb, abs=2e-3)


@pytest.mark.parametrize("cfa", BAYER)
def test_it_is_read_back_like_any_other_raw(tmp_path: Path, cfa: str) -> None:
    raw = synthesise(PHOTO, seed=3, cfa=cfa, black=(500, 510, 520, 530), vignetting=0.3)
    write_dng(tmp_path / "a.dng", raw, orientation=6)
    frame = read(tmp_path / "a.dng")
    assert np.array_equal(frame.image, raw.mosaic)
    assert (frame.cfa, frame.orientation) == (cfa, 6)
    assert raw.gain_map is not None
    for name, expected in (
        ("black_level", raw.black),
        ("white_level", raw.white),
        ("as_shot_neutral", raw.as_shot_neutral),
        ("colour_matrix_1", raw.colour_matrix),
        ("baseline_exposure", raw.baseline_exposure),
        ("noise_profile", raw.noise_profile),
        ("gain_map", raw.gain_map),
    ):
        assert frame.metadata[name] == pytest.approx(np.array(expected), abs=2e-6), name
    assert frame.metadata["as_shot_temperature"] == pytest.approx(6504, rel=0.01)


@pytest.mark.parametrize("name", ["cat", "motorcycle"])
def test_libraw_renders_the_photograph(tmp_path: Path, name: str) -> None:
    photo = sample_photo(name, 400)
    raw = synthesise(photo, seed=1, tone="none", noise=False)
    write_dng(tmp_path / "a.dng", raw)
    with rawpy.imread(str(tmp_path / "a.dng")) as file:
        picture = file.postprocess(
            use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92), bright=2**raw.baseline_exposure
        )
    error = np.abs(picture / 255 - photo.transpose(1, 2, 0))
    assert np.median(error) < 2.6 / 255
    assert error.mean(axis=(0, 1)).max() < 6 / 255, "no colour is off as a whole"


@pytest.mark.parametrize("name", sorted(SAMPLE_PHOTOS))
def test_the_truth_processed_is_the_photograph(name: str) -> None:
    photo = sample_photo(name)
    raw = synthesise(photo, seed=5, tone="none", noise=False)
    balanced = raw.truth / raw.as_shot_neutral[:, None, None] * 2**raw.baseline_exposure
    representable = (raw.truth > 0).all(axis=0) & (balanced.mean(axis=0) < 0.9)
    assert representable.mean() > 0.6
    assert np.abs(process(raw, raw.truth) - photo)[:, representable].max() < 1e-5


def test_smoothstep_is_undone() -> None:
    raw = synthesise(PHOTO, seed=5, noise=False)
    flat = process(raw, raw.truth)
    assert np.abs(3 * flat**2 - 2 * flat**3 - PHOTO).max() < 2e-3
    assert np.abs(flat - 0.5).mean() < np.abs(PHOTO - 0.5).mean()
    codes = np.linspace(0, 1, 101)
    assert np.allclose(3 * inverse_smoothstep(codes) ** 2 - 2 * inverse_smoothstep(codes) ** 3, codes)


def test_highlights_stay_clipped_and_nothing_else_does() -> None:
    greys = np.linspace(0, 1, 201)
    image = np.broadcast_to(greys, (3, 1, 201))
    seen = invert_gains(image, np.array([2.0, 1.0, 1.6]))[:, 0]
    below = greys <= 0.9
    assert np.allclose(seen[:, below], greys[below] / np.array([[2.0], [1.0], [1.6]]))
    assert np.allclose(seen[:, -1], 1)
    assert (np.diff(seen) > 0).all()
    red = invert_gains(np.array([1.0, 0.2, 0.1])[:, None, None], np.array([2.0, 1.0, 1.6]))
    assert red.ravel() == pytest.approx([0.5, 0.2, 0.0625]), "a saturated colour is no highlight"


def test_white_asks_for_the_gains_given() -> None:
    raw = synthesise(PHOTO, seed=5, gains=(2.25, 1.6), matrix=MATRICES[1], brightness=0.5)
    assert 1 / raw.as_shot_neutral == pytest.approx([2.25, 1, 1.6])
    assert raw.colour_matrix @ D65_WHITE == pytest.approx(raw.as_shot_neutral)
    assert raw.baseline_exposure == 1
    rows = raw.colour_matrix / MATRICES[1]
    assert np.allclose(rows, rows[:, :1]), "only the rows are scaled"


def test_random_choices_keep_to_the_papers_ranges() -> None:
    raws = [synthesise(PHOTO[:, :4, :4], seed=seed) for seed in range(300)]
    gains = np.array([1 / raw.as_shot_neutral for raw in raws])
    assert (gains.min(axis=0) >= [1.9, 1 - 1e-9, 1.5]).all()
    assert (gains.max(axis=0) <= [2.4, 1 + 1e-9, 1.9]).all()
    assert np.ptp(gains, axis=0)[[0, 2]] == pytest.approx([0.5, 0.4], abs=0.02)
    shot, read = np.log([raw.noise_profile or (0, 0) for raw in raws]).T
    assert shot.min() == pytest.approx(np.log(1e-4), abs=0.1)
    assert shot.max() == pytest.approx(np.log(0.012), abs=0.1)
    rest = read - (2.18 * shot + 1.2)
    assert rest.mean() == pytest.approx(0, abs=0.05)
    assert rest.std() == pytest.approx(0.26, abs=0.03)
    brightness = 2.0 ** -np.array([raw.baseline_exposure for raw in raws])
    assert brightness.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("profile", [(0.01, 0.0004), (0.001, 0.0), (0.0, 0.001)])
def test_noise_has_the_variance_of_its_profile(profile: tuple[float, float]) -> None:
    raw = synthesise(GREY, seed=11, noise=profile, cfa="grbg", black=2000)
    clean = mosaic(raw.truth, "grbg")
    signal = (raw.mosaic[0].astype(float) - 2000) / (raw.white - 2000)
    for site in range(4):
        part = np.s_[site // 2 :: 2, site % 2 :: 2]
        level = float(clean[part].mean())
        noise = signal[part] - clean[part]
        count = noise.size
        expected = profile[0] * level + profile[1]
        assert noise.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / count))
        assert abs(noise.mean()) < 5 * np.sqrt(expected / count)


def test_noise_below_black_is_kept() -> None:
    raw = synthesise(np.zeros((3, 64, 64)), seed=2, noise=(0.0, 1e-5))
    assert (raw.mosaic < raw.black[0]).mean() == pytest.approx(0.5, abs=0.05)


def test_without_noise_codes_are_the_rounded_truth(tmp_path: Path) -> None:
    raw = synthesise(PHOTO, seed=2, noise=False, bits=12)
    assert raw.noise_profile is None
    assert (raw.black[0], raw.white) == (128, 4095)
    expected = mosaic(raw.truth, "rggb") * (4095 - 128) + 128
    assert np.abs(raw.mosaic[0] - expected).max() <= 0.5
    assert "NoiseProfile" not in tags_of(encode_dng(raw), tmp_path)


def test_the_dng_says_all_of_it(tmp_path: Path) -> None:
    raw = synthesise(PHOTO, seed=9, vignetting=0.4, cfa="gbrg")
    tags = tags_of(encode_dng(raw, orientation=6), tmp_path)
    assert tags["PhotometricInterpretation"] == 32803
    assert tags["DNGVersion"] == bytes((1, 4, 0, 0))
    assert tags["CFARepeatPatternDim"] == (2, 2)
    assert tags["CFAPattern"] == bytes((1, 2, 0, 1))
    assert tags["Orientation"] == 6
    assert tags["CalibrationIlluminant1"] == 21
    assert tags["BlackLevel"] == raw.black
    assert tags["WhiteLevel"] == raw.white
    assert tags["UniqueCameraModel"] == "ispdsl synthetic camera"
    for name, values in (("ColorMatrix1", raw.colour_matrix.ravel()), ("AsShotNeutral", raw.as_shot_neutral)):
        pairs = np.reshape(tags[name], (-1, 2))
        assert pairs[:, 0] / pairs[:, 1] == pytest.approx(values, abs=1e-6)
    assert tags["BaselineExposure"][0] / tags["BaselineExposure"][1] == pytest.approx(raw.baseline_exposure, abs=1e-6)
    assert tags["NoiseProfile"] == raw.noise_profile
    count, opcode, _, _, size = struct.unpack(">II4sII", tags["OpcodeList2"][:20])
    assert (count, opcode) == (4, 9)
    assert len(tags["OpcodeList2"]) == 4 + 4 * (16 + size)
    gains = np.frombuffer(tags["OpcodeList2"][20 + 76 : 20 + size], ">f4")
    assert raw.gain_map is not None
    assert np.array_equal(gains, raw.gain_map[0].ravel())


def test_the_gain_map_undoes_the_vignetting() -> None:
    dark, even = (synthesise(GREY, seed=4, noise=False, vignetting=loss) for loss in (0.5, 0.0))
    black, centre = dark.black[0], (128, 128)
    ratio = (dark.mosaic[0].astype(float) - black) / (even.mosaic[0].astype(float) - black)
    assert ratio[0, 0] == pytest.approx(0.5, abs=0.02)
    assert ratio[centre] == pytest.approx(1, abs=0.01)
    assert dark.gain_map is not None
    assert np.abs(ratio * bilinear(dark.gain_map[0], 256, 256) - 1).max() < 2e-3


def test_equal_arguments_give_equal_files_and_one_choice_changes_no_other() -> None:
    first = encode_dng(synthesise(PHOTO, seed=6))
    assert encode_dng(synthesise(PHOTO, seed=6)) == first
    assert encode_dng(synthesise(PHOTO, seed=7)) != first
    free, fixed = synthesise(PHOTO, seed=6), synthesise(PHOTO, seed=6, gains=(2.0, 1.7))
    assert free.noise_profile == fixed.noise_profile
    assert free.baseline_exposure == fixed.baseline_exposure


def test_arguments_out_of_range_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cfa": "rgbg"}, "rggb, bggr"),
        ({"bits": 17}, "8 to 16"),
        ({"black": 9000, "bits": 12}, "black < white"),
        ({"white": 20000}, "black < white"),
        ({"tone": "film"}, "smoothstep"),
        ({"vignetting": 1.0}, "below 1"),
        ({"brightness": 0.0}, "above 0"),
        ({"gains": (0.0, 1.0)}, "above 0"),
        ({"noise": (-1.0, 0.0)}, "at least 0"),
    ]
    for options, message in wrong:
        with pytest.raises(ValueError, match=message):
            synthesise(PHOTO, seed=0, **options)
    for photo in (PHOTO[:1], PHOTO * 255, PHOTO * np.nan, PHOTO[:, :1]):
        with pytest.raises(ValueError, match="a photo"):
            synthesise(photo, seed=0)


@pytest.mark.parametrize("name", sorted(SAMPLE_PHOTOS))
def test_sample_photos_are_in_the_wheel(name: str) -> None:
    photo = sample_photo(name)
    assert photo.shape[0] == 3
    assert min(photo.shape[1:]) >= 300
    assert photo.std() > 0.1
    small = sample_photo(name, 50)
    assert max(small.shape[1:]) == 50
    assert small.mean() == pytest.approx(photo.mean(), abs=0.01)


def test_a_wrong_name_is_answered_with_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as caught:
        write_demo_raw(tmp_path / "a.dng", "tea")
    assert "coffee" in caught.value.hint
    with pytest.raises(PictureError, match="no folder"):
        write_demo_raw(tmp_path / "none" / "a.dng", size=32)


def test_the_demo_raw_opens_and_repeats(tmp_path: Path) -> None:
    for name in ("a.dng", "b.dng"):
        write_demo_raw(tmp_path / name, "coffee", seed=3, size=64, orientation=8, vignetting=0.2)
    assert (tmp_path / "a.dng").read_bytes() == (tmp_path / "b.dng").read_bytes()
    with rawpy.imread(str(tmp_path / "a.dng")) as file:
        assert file.sizes.flip == 5, "LibRaw's own code for a quarter turn to the left"
        assert file.raw_image_visible.shape == (43, 64)


def test_scikit_image_itself_is_never_imported() -> None:
    code = (
        "import sys; from ispdsl.synthetic import sample_photo; sample_photo('coffee'); print('skimage' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
