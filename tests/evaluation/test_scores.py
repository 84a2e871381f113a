"""Scores of images whose errors are known, and what many of them come to."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.evaluation.scores import BEST, LEAST, Score, is_light, score, summary
from ispdsl.ir.types import Type

SRGB, LIGHT = Type.parse("rgb<srgb, unit>"), Type.parse("rgb<linear_srgb, f32>")
IMAGE = np.random.default_rng(0).random((3, 24, 24)).astype(np.float32) * np.float32(0.8)


def test_a_known_offset_has_a_known_psnr() -> None:
    found = score(IMAGE, IMAGE + np.float32(0.01), SRGB, {})
    assert found.psnr == pytest.approx(40, abs=0.01)
    assert found.coded is None
    assert found.ssim is None, "was not asked for"


def test_codes_have_the_peak_of_their_type() -> None:
    type_ = Type.parse("raw<rggb, u12>")
    codes = np.full((1, 8, 8), 1000, np.float32)
    assert score(codes, codes + 40, type_, {}).psnr == pytest.approx(20 * np.log10(4095 / 40), abs=0.01)
    assert score(codes, codes + 40, type_, {"white_level": 4000.0}).psnr == pytest.approx(40, abs=0.01)


def test_light_above_white_counts_with_peak_1_and_is_clipped_where_coded() -> None:
    bright = IMAGE + 2
    found = score(bright, bright + np.float32(0.1), LIGHT, {})
    assert found.psnr == pytest.approx(20, abs=0.01)
    assert found.coded == BEST
    assert is_light(LIGHT)
    assert not is_light(SRGB)


def test_equal_images_and_broken_ones_have_ends() -> None:
    assert score(IMAGE, IMAGE.copy(), SRGB, {}, detailed=True) == Score(BEST, None, 1.0, 0.0)
    broken = IMAGE.copy()
    broken[0, 0, 0] = np.nan
    assert score(IMAGE, broken, SRGB, {}).psnr == LEAST
    assert score(IMAGE, IMAGE[:, :4, :200], SRGB, {}).psnr < BEST
    assert score(IMAGE, IMAGE * np.float32(1e9), LIGHT, {}).psnr == LEAST


def test_a_summary_is_of_the_psnrs_of_queries() -> None:
    found = summary([Score(30.0, None, 0.8), Score(40.0, None, None), Score(50.0, None, 0.9), Score(20.0)])
    assert (found.count, found.mean, found.median, found.worst) == (4, 35.0, 35.0, 20.0)
    assert found.low == pytest.approx(21.5)
    assert found.ssim == pytest.approx(0.85)
    assert found.ciede2000 is None
    with pytest.raises(ValueError, match="no scores"):
        summary([])
