"""Charts hold bright, dark and neutral colours in the numbers of their type."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.ir.types import Type
from ispdsl.sampling.charts import HEADROOM, chart


@pytest.mark.parametrize(
    ("type_", "low", "high"),
    [("rgb<srgb, unit>", 0, 1), ("rgb<camera, f32>", -1, HEADROOM * 1.5), ("luma<srgb, u12>", 0, 4095)],
)
def test_a_chart_is_an_image_of_its_type(type_: str, low: float, high: float) -> None:
    wanted = Type.parse(type_)
    image = chart(wanted, 3, 32)
    assert (image.shape, image.dtype) == ((wanted.planes, 32, 32), np.float32)
    assert low <= image.min() <= image.max() <= high
    assert np.array_equal(image, chart(wanted, 3, 32))
    assert not np.array_equal(image, chart(wanted, 4, 32))


def test_the_cube_the_dark_and_the_neutral_are_covered() -> None:
    pixels = chart(Type.parse("rgb<srgb, unit>"), 0).reshape(3, -1)
    cells = {tuple(cell) for cell in (pixels * 4).astype(int).clip(0, 3).T}
    assert len(cells) == 64
    assert (pixels.max(axis=0) < 0.1).mean() > 0.15
    assert (np.ptp(pixels, axis=0) < 0.15).mean() > 0.3


def test_scene_referred_charts_go_beyond_white_and_below_black() -> None:
    pixels = chart(Type.parse("rgb<camera, f32>"), 0)
    assert pixels.max() > 0.9 * HEADROOM
    assert pixels.min() < 0
