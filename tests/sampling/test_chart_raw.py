"""Charts look like raws of the camera whose metadata they carry, and hold colours that photographs do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ispdsl
from ispdsl.executors.formats_raw import encode_dng
from ispdsl.ir.types import BAYER
from ispdsl.sampling.chart_raw import chart_raw
from ispdsl.synthetic import sample_photo, synthesise, write_dng


@pytest.fixture(params=BAYER)
def frame(request: pytest.FixtureRequest, tmp_path: Path) -> ispdsl.Frame:
    write_dng(tmp_path / "raw.dng", synthesise(sample_photo("motorcycle", 64), seed=1, cfa=request.param))
    return ispdsl.read(tmp_path / "raw.dng")


def test_a_chart_is_a_raw_of_the_same_camera(frame: ispdsl.Frame) -> None:
    chart = chart_raw(frame, seed=3, side=64)
    assert (chart.cfa, chart.image.shape) == (frame.cfa, (1, 64, 64))
    assert chart.metadata["white_level"] == frame.metadata["white_level"]
    assert chart.image.min() >= np.asarray(frame.metadata["black_level"]).min()
    assert chart.image.max() <= np.asarray(frame.metadata["white_level"])
    assert np.array_equal(chart.image, chart_raw(frame, seed=3, side=64).image)
    assert not np.array_equal(chart.image, chart_raw(frame, seed=4, side=64).image)


def test_a_patch_is_flat_in_each_colour(frame: ispdsl.Frame) -> None:
    chart = chart_raw(frame, seed=5, side=32)
    for row, column in np.ndindex(2, 2):
        sites = chart.image[0, row::2, column::2].reshape(4, 4, 4, 4)
        assert np.ptp(sites, axis=(1, 3)).max() == 0
    light = ispdsl.compile(ispdsl.build(ispdsl.load("pipelines/photo_finish.isp")), cfa=chart.cfa, taps=["demosaiced"])(
        *ispdsl.tensors(chart)[:1], {"demosaic.method": "bilinear"}, ispdsl.tensors(chart)[1]
    )
    middle = light.taps["demosaiced"].numpy()[:, 4::8, 4::8].reshape(3, -1)
    spread = middle.max(axis=0) - middle.min(axis=0)
    assert spread.max() > 0.8, "no patch is near a primary"
    assert middle.max(axis=0).min() < 0.01, "no patch is dark"


def test_a_chart_survives_the_file(frame: ispdsl.Frame, tmp_path: Path) -> None:
    chart = chart_raw(frame, seed=7, side=64)
    for name, content in encode_dng("chart.dng", chart.image, chart.type, chart).items():
        (tmp_path / name).write_bytes(content)
    back = ispdsl.read(tmp_path / "chart.dng")
    assert np.array_equal(back.image, chart.image)
    assert back.cfa == frame.cfa
    assert np.allclose(np.asarray(back.metadata["as_shot_neutral"]), frame.metadata["as_shot_neutral"], atol=1e-4)
    assert np.allclose(np.asarray(back.metadata["colour_matrix_2"]), frame.metadata["colour_matrix_2"], atol=1e-4)
