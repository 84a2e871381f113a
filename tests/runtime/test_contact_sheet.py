from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ispdsl.runtime.contact_sheet import MARGIN, PAPER, THUMBNAIL, contact_sheet, shrink, to_display
from ispdsl.runtime.pictures import PictureError

colour = pytest.importorskip("colour")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def flat(red: float, green: float, blue: float, height: int = 30, width: int = 40) -> np.ndarray:
    return np.broadcast_to(np.array([red, green, blue])[:, None, None], (3, height, width)).copy()


def test_thumbnails_stand_in_rows_with_their_colours(tmp_path: Path) -> None:
    tiles = [("one", flat(1, 0, 0), "srgb"), ("two", flat(0, 1, 0), "srgb"), ("three", flat(0, 0, 1), "srgb")]
    contact_sheet(tmp_path / "a.png", tiles, columns=2)
    page = pixels(tmp_path / "a.png")
    assert page.shape[1] == 2 * THUMBNAIL + 3 * MARGIN
    centre = MARGIN + THUMBNAIL // 2
    assert page[centre - 100, centre].tolist() == [255, 0, 0]
    assert page[centre - 100, centre + THUMBNAIL + MARGIN].tolist() == [0, 255, 0]
    assert page[-centre + 100, centre].tolist() == [0, 0, 255]
    assert page[-centre + 100, centre + THUMBNAIL + MARGIN].tolist() == list(PAPER), "the last place stays empty"


def test_labels_are_written_and_long_ones_do_not_run_into_the_next(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "a.png", [("", flat(1, 1, 1), ""), ("x" * 500, flat(1, 1, 1), "srgb")], columns=2)
    page = pixels(tmp_path / "a.png")
    label = page[-MARGIN - 30 :]
    assert (label[:, : MARGIN + THUMBNAIL] == PAPER).all(), "no text, no ink"
    assert (label[:, MARGIN + THUMBNAIL : -MARGIN] != PAPER).any()
    assert (label[:, -MARGIN + 2 :] == PAPER).all()


def test_one_tile_and_the_default_columns(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "a.png", [("one", flat(1, 0, 0), "srgb")])
    assert pixels(tmp_path / "a.png").shape[1] == THUMBNAIL + 2 * MARGIN
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(tmp_path / "a.png", [])
    with pytest.raises(PictureError):
        contact_sheet(tmp_path / "a.nothing", [("one", flat(1, 0, 0), "srgb")])


def test_shrinking_averages_over_areas() -> None:
    image = np.zeros((1, 40, 80))
    image[:, :, ::2] = 1
    assert np.allclose(shrink(image, 20), 0.5)
    assert shrink(image, 20).shape == (1, 10, 20)
    assert shrink(np.ones((3, 1000, 2)), 10).shape == (3, 10, 1)


@pytest.mark.parametrize(
    ("space", "name", "decode"),
    [
        ("linear_srgb", "sRGB", None),
        ("linear_rec2020", "ITU-R BT.2020", None),
        ("linear_prophoto", "ProPhoto RGB", None),
        ("prophoto", "ProPhoto RGB", "ProPhoto RGB"),
        ("rec2020", "ITU-R BT.2020", "ITU-R BT.2020"),
    ],
)
def test_known_spaces_are_shown_in_their_colours(space: str, name: str, decode: str | None) -> None:
    image = np.random.default_rng(1).uniform(0.2, 0.4, (3, 5, 6))
    expected = colour.RGB_to_RGB(
        np.moveaxis(image, 0, -1), name, "sRGB", "Bradford", bool(decode), apply_cctf_encoding=True
    )
    assert np.abs(np.moveaxis(to_display(image, space), 0, -1) - expected.clip(0, 1)).max() < 2e-3


def test_xyz_and_camera_and_grey() -> None:
    image = np.random.default_rng(1).uniform(0.2, 0.4, (3, 5, 6))
    expected = colour.XYZ_to_sRGB(np.moveaxis(image, 0, -1)).clip(0, 1)
    assert np.abs(np.moveaxis(to_display(image, "xyz"), 0, -1) - expected).max() < 2e-3
    assert np.allclose(to_display(image, "camera"), to_display(image, "linear_srgb"))
    assert to_display(image[:1], "srgb").shape == (3, 5, 6)


def test_a_mosaic_is_scaled_by_its_white() -> None:
    codes = np.array([[[0.0, 8191.5, 16383.0]]])
    assert np.allclose(to_display(codes, "raw")[0, 0], [0, 0.7354, 1], atol=1e-3)
    assert np.allclose(to_display(codes, "raw", white=2 * 16383.0)[0, 0, 2], 0.7354, atol=1e-3)
    assert np.allclose(to_display(codes / 16383, "raw"), to_display(codes, "raw"))


def test_what_is_not_finite_is_magenta_and_the_rest_stays_in_range() -> None:
    image = flat(-3, 0.5, 7)
    image[1, 3, 4] = np.nan
    shown = to_display(image, "linear_srgb")
    assert shown[:, 3, 4].tolist() == [1, 0, 1]
    assert shown[0].ravel()[0] == 0
    assert shown[2].ravel()[0] == 1
