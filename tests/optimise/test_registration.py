"""Registration: where on a raw a picture lies, whatever its size, crop, orientation and tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import ispdsl
from ispdsl.optimise.aligned import align, on_reduced, reduced
from ispdsl.optimise.grid import gaussian_samples
from ispdsl.optimise.registration import Placement, RegistrationError, register, sketch
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient, read_picture
from ispdsl.synthetic.samples import sample_photo, write_demo_raw

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def photo() -> Floats:
    """A photograph, coded for a display, 240 x 160."""
    light = np.asarray(sample_photo("coffee", 240), np.float32)
    return np.clip(light, 0, 1) ** np.float32(1 / 2.2)


def shown(photo: Floats) -> Floats:
    """It as a raw shows it: flatter, in grey."""
    return (0.1 + 0.6 * photo.mean(axis=0) ** 1.5).astype(np.float32)


@pytest.mark.parametrize(
    ("part", "factor", "orientation"),
    [
        ((0, 0, 160, 240), 1.0, 1),
        ((0, 0, 160, 240), 2.5, 6),
        ((17, 31, 120, 181), 1.37, 3),
        ((40, 20, 90, 100), 1.0, 5),
    ],
)
def test_a_picture_is_found(photo: Floats, part: tuple[int, int, int, int], factor: float, orientation: int) -> None:
    top, left, height, width = part
    rows, columns = (
        gaussian_samples(int(side / factor), whole, start, factor, 0.4 * factor)
        for side, whole, start in zip((height, width), photo.shape[1:], (top, left), strict=True)
    )
    picture = rows @ photo @ columns.T
    back = {6: 8, 8: 6}.get(orientation, orientation)
    found = register(np.ascontiguousarray(orient(picture, orientation)), shown(photo))
    assert found.orientation == back
    assert found.size == picture.shape[1:]
    assert found.correlation > 0.8
    edges = [top, left, top + factor * len(rows), left + factor * len(columns)]
    assert [found.top, found.left, found.bottom, found.right] == pytest.approx(edges, abs=0.5)
    assert found.scale == pytest.approx((factor, factor), rel=0.01)


def test_another_picture_is_refused(photo: Floats) -> None:
    other = np.asarray(sample_photo("motorcycle", 240), np.float32)
    with pytest.raises(RegistrationError, match="found nowhere on the raw"):
        register(other, shown(photo))
    with pytest.raises(RegistrationError, match="found nowhere on the raw"):
        register(np.full((3, 40, 60), 0.3, np.float32), shown(photo))


def test_a_stretched_picture_is_refused(photo: Floats) -> None:
    narrow = photo @ gaussian_samples(222, 240, 0.0, 240 / 222, 0.4).T
    with pytest.raises(RegistrationError, match="only when it is stretched"):
        register(narrow, shown(photo))


def test_on_the_grid_both_are_the_same_picture(photo: Floats) -> None:
    """A picture of half the size, mirrored, against the original and against the original with fewer pixels."""
    half = photo.reshape(3, photo.shape[1] // 2, 2, -1, 2).mean(axis=(2, 4))
    height, width = photo.shape[1:]
    placement = Placement(2, half.shape[1:], 0.0, 0.0, float(height), float(width), 1.0)
    aligned = align(np.ascontiguousarray(orient(half, 2)), placement, (0, 0, height, width))
    seen = aligned.looked_at
    assert aligned.target.shape[1:] == seen.shape == aligned.grid.size
    assert seen[2:-2, 2:-2].mean() > 0.8
    ours = aligned.grid.of(photo)
    assert np.abs(ours - aligned.target)[:, seen].mean() < 0.003
    assert np.abs(ours[:, :, ::-1] - aligned.target)[:, seen].mean() > 0.03
    fewer = on_reduced(aligned, 2, half.shape[1:]).of(half)
    assert np.abs(fewer - aligned.target)[:, seen].mean() < 0.003


def test_a_part_has_its_place_on_the_grid(photo: Floats) -> None:
    height, width = photo.shape[1:]
    placement = Placement(1, (height, width), 0.0, 0.0, float(height), float(width), 1.0)
    part = photo[:, 40:120, 60:200]
    aligned = align(photo, placement, (40, 60, 80, 140))
    assert np.abs(aligned.grid.of(part) - aligned.target)[:, aligned.looked_at].max() < 1e-5


def test_what_is_clipped_is_not_looked_at(photo: Floats) -> None:
    height, width = photo.shape[1:]
    placement = Placement(1, (height, width), 0.0, 0.0, float(height), float(width), 1.0)
    burnt = photo.copy()
    burnt[1, :80, :80] = 1.0
    looked_at = align(burnt, placement, (0, 0, height, width)).looked_at
    assert not looked_at[:18, :18].any()
    assert looked_at[25:35, 25:50].mean() > 0.9


def test_a_reduced_frame_keeps_its_colours(tmp_path: Path) -> None:
    write_demo_raw(tmp_path / "coffee.dng", "coffee", size=96)
    frame = ispdsl.read(tmp_path / "coffee.dng")
    small = reduced(frame, 3)
    assert small.size == (frame.size[0] // 6 * 2, frame.size[1] // 6 * 2)
    rows, columns = small.size
    for row in (0, 1):
        for column in (0, 1):
            whole = frame.image[0, : rows * 3, : columns * 3][row::2, column::2].mean()
            assert small.image[0, row::2, column::2].mean() == pytest.approx(whole, rel=0.01)


def test_a_sketch_is_the_raw_from_black_to_white(tmp_path: Path) -> None:
    write_demo_raw(tmp_path / "coffee.dng", "coffee", size=96)
    frame = ispdsl.read(tmp_path / "coffee.dng")
    seen = sketch(frame)
    assert seen.shape == (frame.size[0] // 2, frame.size[1] // 2)
    assert 0 <= seen.min() < 0.2 < seen.mean() < 0.8 < seen.max() <= 1


@pytest.mark.slow
@pytest.mark.realdata
def test_the_camera_s_own_jpeg_is_found(data: Path) -> None:
    frame: Frame = ispdsl.read(data / "raw" / "containers" / "canon_eos_d30.crw")
    picture = read_picture(data / "pairs" / "canon_eos_d30_camera_1440x960.jpg")[0]
    found = register(picture, sketch(frame)).on(2)
    assert found.scale == pytest.approx((1.5, 1.5), abs=0.002)
    assert (found.orientation, found.correlation > 0.9) == (1, True)
    crop = np.ascontiguousarray(orient(picture[:, 101:801, 203:1203], 6))
    turned = register(crop, sketch(frame)).on(2)
    assert turned.orientation == 8
    assert turned.top == pytest.approx(found.top + 1.5 * 101, abs=1.5)
    assert turned.left == pytest.approx(found.left + 1.5 * 203, abs=1.5)
