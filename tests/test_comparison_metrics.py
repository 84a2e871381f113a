"""Figures of two images, held to values that were found in other ways."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.comparison.colour import colorimetry, lab, luma
from ispdsl.comparison.metrics import BAND, ciede2000, largest, psnr, ssim
from ispdsl.comparison.pair import structure
from ispdsl.ir.types import Type
from ispdsl.runtime.spaces import SRGB_CURVE

colour = pytest.importorskip("colour")

Image = NDArray[np.float32]

SHARMA = [
    # From table 1 of Sharma, Wu, Dalal (2005): L, a, b of both colours and their difference.
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
]


def noisy(shape: tuple[int, ...], seed: int = 0) -> tuple[Image, Image]:
    """A smooth picture of full range, and the same with a little noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.linspace(0, 3, size) for size in shape[1:]), indexing="ij")
    first = np.stack([0.5 + 0.4 * np.sin(rows * (2 + plane) + columns) for plane in range(shape[0])])
    return first.astype(np.float32), (first + 0.05 * random.standard_normal(shape)).astype(np.float32)


def slow_ssim(first: Image, second: Image) -> float:
    """Equation 13 of Wang et al. (2004), place by place."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found: list[float] = []
    for row in range(first.shape[0] - 10):
        for column in range(first.shape[1] - 10):
            x, y = (plane[row : row + 11, column : column + 11].astype(np.float64) for plane in (first, second))
            mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
            spread_x, spread_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
            both = (weights * (x - mean_x) * (y - mean_y)).sum()
            up = (2 * mean_x * mean_y + 0.01**2) * (2 * both + 0.03**2)
            found.append(up / ((mean_x**2 + mean_y**2 + 0.01**2) * (spread_x + spread_y + 0.03**2)))
    return float(np.mean(found))


def test_psnr_by_hand() -> None:
    black = np.zeros((3, 4, 5), np.float32)
    assert psnr(black, black + np.float32(0.1), 1.0) == pytest.approx(20.0, abs=1e-5)
    assert psnr(black, black + np.float32(255), 255.0) == pytest.approx(0.0)
    one_off = black.copy()
    one_off[0, 0, 0] = 6.0
    assert psnr(one_off, black, 255.0) == pytest.approx(10 * np.log10(255**2 / (36 / 60)))
    assert psnr(black, black, 1.0) == float("inf")


def test_ssim_is_that_of_the_paper() -> None:
    first, second = (image[0] for image in noisy((1, 24, 31)))
    assert ssim(first, second) == pytest.approx(slow_ssim(first, second), abs=2e-5)
    assert ssim(first, first) == pytest.approx(1.0)
    assert ssim(first[:10], second[:10]) is None
    eleven = ssim(first[:11, :11], second[:11, :11])
    assert eleven == pytest.approx(slow_ssim(first[:11, :11], second[:11, :11]), abs=2e-5)


@pytest.mark.parametrize("space", ["srgb", "linear_srgb", "rec709", "linear_rec2020", "linear_prophoto", "xyz"])
def test_lab_is_that_of_colour_science(space: str) -> None:
    image = np.random.default_rng(1).random((3, 7, 6))
    names = {
        "srgb": "sRGB",
        "linear_srgb": "sRGB",
        "rec709": "ITU-R BT.709",
        "linear_rec2020": "ITU-R BT.2020",
        "linear_prophoto": "ROMM RGB",
    }
    light = np.moveaxis(image, 0, -1)
    white = (0.3127, 0.3290)
    if space in names:
        known = colour.RGB_COLOURSPACES[names[space]]
        light = known.cctf_decoding(light) if space == "srgb" else light
        light = colour.models.oetf_inverse_BT709(light) if space == "rec709" else light
        white = {"linear_prophoto": (0.3457, 0.3585)}.get(space, white)
        light = light @ colour.normalised_primary_matrix(known.primaries, np.array(white)).T
    expected = colour.XYZ_to_Lab(light, np.array(white))
    seen = colorimetry(space, {})
    assert seen is not None
    np.testing.assert_allclose(np.moveaxis(lab(image, seen), 0, -1), expected, atol=0.02)


def test_the_white_of_a_space_is_the_white_of_its_lab() -> None:
    for space in ("srgb", "rec2020", "prophoto", "linear_prophoto"):
        seen = colorimetry(space, {})
        assert seen is not None
        np.testing.assert_allclose(lab(np.ones((3, 1)), seen)[:, 0], [100, 0, 0], atol=1e-9)


def test_camera_colours_are_seen_through_the_frames_matrices() -> None:
    random = np.random.default_rng(2)
    matrix = np.eye(3) + 0.2 * random.random((3, 3))
    neutral = np.array([0.5, 1.0, 0.7])
    metadata = {
        "colour_matrix_1": matrix,
        "colour_matrix_2": matrix,
        "illuminant_1": 2856.0,
        "illuminant_2": 6504.0,
        "as_shot_neutral": neutral,
        "as_shot_temperature": 5000.0,
    }
    seen = colorimetry("camera", metadata)
    assert seen is not None
    np.testing.assert_allclose(lab(np.ones((3, 1)), seen)[:, 0], [100, 0, 0], atol=1e-9)
    balanced = np.array([0.3, 0.5, 0.2])
    xyz, white = np.linalg.inv(matrix) @ (balanced * neutral), np.linalg.inv(matrix) @ neutral
    relative = np.cbrt(xyz / white)
    by_hand = [116 * relative[1] - 16, 500 * (relative[0] - relative[1]), 200 * (relative[1] - relative[2])]
    np.testing.assert_allclose(lab(balanced[:, None], seen)[:, 0], by_hand, atol=1e-9)
    assert colorimetry("camera", {"as_shot_neutral": neutral}) is None
    assert colorimetry("pq", {}) is None


@pytest.mark.parametrize(("one", "two", "expected"), SHARMA)
def test_colour_differences_are_those_of_the_papers_table(
    one: tuple[float, ...], two: tuple[float, ...], expected: float
) -> None:
    seen = colorimetry("xyz", {})
    assert seen is not None
    first, second = (colour.Lab_to_XYZ(np.array(each), (0.3127, 0.3290)).reshape(3, 1, 1) for each in (one, two))
    found = ciede2000(first, second, seen)
    assert found.mean == pytest.approx(expected, abs=2e-4)
    assert found.largest == pytest.approx(expected, abs=2e-4)


def test_colour_differences_of_tall_images_are_those_of_all_rows() -> None:
    first, second = noisy((3, 2 * BAND + 7, 5))
    seen = colorimetry("srgb", {})
    assert seen is not None
    labs = [np.moveaxis(lab(image, seen), 0, -1) for image in (first, second)]
    expected = colour.delta_E(*labs, method="CIE 2000")
    found = ciede2000(first, second, seen)
    assert found.mean == pytest.approx(expected.mean(), rel=1e-4)
    assert found.percentile_95 == pytest.approx(np.percentile(expected, 95), rel=1e-4)
    assert found.largest == pytest.approx(expected.max(), rel=1e-4)


def test_the_largest_difference_has_a_place() -> None:
    first, _ = noisy((3, 9, 8))
    second = first.copy()
    second[1, 7, 3] -= 0.5
    second[2, 0, 0] += 0.4
    found = largest(first, second)
    assert (found.plane, found.row, found.column) == (1, 7, 3)
    assert found.difference == pytest.approx(0.5)
    assert (found.first, found.second) == (first[1, 7, 3], second[1, 7, 3])


def test_luma_weighs_coded_values() -> None:
    image = np.array([0.2, 0.6, 0.4], np.float32)[:, None, None]
    weights = np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(luma(image, "srgb", {}), [[weights @ image[:, 0, 0]]], atol=1e-4)
    np.testing.assert_allclose(luma(image, "linear_srgb", {}), luma(SRGB_CURVE.encode(image), "srgb", {}), atol=1e-6)
    rec2020 = np.array([0.2627, 0.6780, 0.0593])
    for coded in ("pq", "hlg", "rec2020"):
        np.testing.assert_allclose(luma(image, coded, {}), [[rec2020 @ image[:, 0, 0]]], atol=1e-4)


def test_the_structure_of_a_mosaic_is_that_of_its_sites() -> None:
    first, second = noisy((1, 48, 46))
    sites = np.tile(np.array([[0.2, 1.0], [1.0, 0.4]], np.float32), (24, 23))
    as_colours = structure(first * sites, second * sites, Type.parse("raw<rggb, unit>"), {})
    planes = [(r, c) for r in (0, 1) for c in (0, 1)]
    by_hand = [
        ssim(*(SRGB_CURVE.encode((image * sites)[0, r::2, c::2]) for image in (first, second))) for r, c in planes
    ]
    assert as_colours == pytest.approx(np.mean([value for value in by_hand if value is not None]), abs=1e-6)
    odd = structure(first[:, :47, :45], second[:, :47, :45], Type.parse("raw<rggb, unit>"), {})
    assert odd is not None
    assert structure(first[:, :20, :20], second[:, :20, :20], Type.parse("raw<rggb, unit>"), {}) is None


def test_the_structure_of_chroma_and_luma() -> None:
    first, second = noisy((2, 20, 22))
    chroma = structure(first, second, Type.parse("chroma<srgb, f32>"), {})
    both = [slow_ssim(first[plane] + 0.5, second[plane] + 0.5) for plane in (0, 1)]
    assert chroma == pytest.approx(sum(both) / 2, abs=2e-5)
    assert structure(first[:1], second[:1], Type.parse("luma<srgb, f32>"), {}) == ssim(first[0], second[0])
    coded = ssim(SRGB_CURVE.encode(first[0]), SRGB_CURVE.encode(second[0]))
    assert structure(first[:1], second[:1], Type.parse("luma<linear_srgb, f32>"), {}) == pytest.approx(coded)
