"""Key frames, what lies between, and flicker."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.learned.sequences import flicker, interpolated, jitter, key_frames


def test_key_frames_hold_both_ends() -> None:
    assert key_frames(10, 4) == [0, 4, 8, 9]
    assert key_frames(9, 4) == [0, 4, 8]
    assert key_frames(1, 4) == [0]
    with pytest.raises(ValueError, match="every 0"):
        key_frames(3, 0)


@pytest.mark.parametrize("way", ["linear", "monotone"])
def test_key_frames_keep_their_values_and_nothing_overshoots(way: str) -> None:
    keys, values = [0, 3, 6, 8], np.array([[0.0, 1.0], [0.0, 0.2], [1.0, 0.1], [1.0, 0.9]])
    found = interpolated(keys, values, way)  # type: ignore[arg-type]
    assert found.shape == (9, 2)
    assert np.allclose(found[keys], values)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.allclose(found[:4, 0], 0)


def test_straight_lines_are_straight_and_one_key_frame_stands_for_all() -> None:
    assert interpolated([0, 4], np.array([[0.0], [1.0]]), "linear")[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert interpolated([0], np.array([[0.3]])).tolist() == [[0.3]]


def test_a_steady_change_does_not_flicker_and_a_blink_does() -> None:
    assert jitter(np.arange(6.0)[:, None] ** 1) == 0
    blink = np.array([0.0, 0, 1, 0, 0])[:, None]
    assert jitter(blink) == pytest.approx(4 / 3)
    with pytest.raises(ValueError, match="three frames"):
        jitter(np.zeros((2, 1)))


def test_flicker_tells_the_scenes_own_apart() -> None:
    steady, blinking = np.zeros((4, 3)), np.zeros((4, 3))
    blinking[1, 0] = 1 / 255
    found = flicker(np.zeros((4, 2)), steady, blinking)
    assert (found.settings, found.luma, found.chroma, found.own_chroma) == (0, 0, 0, 0)
    assert found.own_luma == pytest.approx(1.5)
