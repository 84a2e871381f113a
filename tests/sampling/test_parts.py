"""Parts begin on even pixels, stay inside, and know how wide their border is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ispdsl
from ispdsl.passes.inline import inline
from ispdsl.runtime.frame import Frame
from ispdsl.sampling.parts import border_of, parts_of
from tests.sampling.made import frame, graph


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return frame("cat", tmp_path_factory.mktemp("raw"))


def test_parts_keep_the_colour_filter_array_and_are_what_they_say(small: Frame) -> None:
    parts = parts_of(small, "cat.dng", 15, 20, 3)
    assert len({part.place for part in parts}) == 20
    for part in parts:
        top, left, height, width = part.place
        assert (top % 2, left % 2, height, width) == (0, 0, 14, 14)
        assert part.frame.type == small.type
        assert np.array_equal(part.frame.image, small.image[:, top : top + 14, left : left + 14])
        assert part.digest == part.frame.content_hash


def test_the_first_parts_do_not_depend_on_how_many_are_wanted(small: Frame) -> None:
    few, many = parts_of(small, "cat.dng", 16, 3, 5), parts_of(small, "cat.dng", 16, 9, 5)
    assert [part.place for part in few] == [part.place for part in many[:3]]
    assert [part.place for part in few] != [part.place for part in parts_of(small, "cat.dng", 16, 3, 6)]
    assert [part.place for part in few] != [part.place for part in parts_of(small, "dog.dng", 16, 3, 5)]


def test_a_raw_smaller_than_a_part_is_taken_whole_and_once(small: Frame) -> None:
    rows, columns = small.size
    (part,) = parts_of(small.crop(0, 0, rows - 1, columns), "cat.dng", 512, 8, 0)
    assert part.place == (0, 0, (rows - 1) // 2 * 2, columns // 2 * 2)


def test_a_border_is_the_sum_of_the_radii_along_the_widest_way(tmp_path: Path) -> None:
    photo = ispdsl.build(ispdsl.load(Path(__file__).parents[2] / "pipelines" / "photo_finish.isp"))
    assert border_of(inline(photo)) == 11 + 23
    assert border_of(inline(graph(tmp_path, "drawn"))) == 11
