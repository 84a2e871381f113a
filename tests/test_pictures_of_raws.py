"""Every real raw becomes a photograph in every pipeline, or an error says why not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import colour
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from benchmarks.reproduce.neutral import middle, raw_files
from ispdsl.cli.app import app
from ispdsl.darkroom import Development, develop
from ispdsl.runtime.frame import RawError
from ispdsl.runtime.rawfile import read
from tests.raws import one_of_each
from tests.scenes import FREE, PIPELINES, graph

FOLDER = Path(os.environ.get("ISPDSL_DATA", "/nonexistent")) / "raw"
RAWS = [str(path.relative_to(FOLDER)) for path in raw_files(FOLDER)] if FOLDER.is_dir() else []

LARGEST = 512
"""Side in px of the middle that is developed."""

STRONGEST_CAST = 50.0
"""CIE chroma of a photograph's mean colour: candle light balanced for daylight has 40, a pure sRGB blue 130."""

REFUSED = {"f2_halide/bayer_small.pgm": "does not say which colour filters"}


def check(development: Development) -> None:
    """A finite display picture of the frame's size in which all three channels live and no cast reigns."""
    for name, picture in development.outputs.items():
        image = picture.image
        assert image.shape == (3, *development.frame.size), name
        assert np.isfinite(image).all(), name
        assert image.min() >= 0, name
        assert image.max() <= 1, name
        assert 0.02 < image.mean() < 0.95, name
        assert (image.std((1, 2)) > 0.01).all(), f"{name}: a channel is dead"
        assert (image.mean((1, 2)) > 0.01).all(), f"{name}: a channel is dark"
        assert chroma_of_mean(image) < STRONGEST_CAST, name


def chroma_of_mean(display: NDArray[Any]) -> float:
    _, a, b = colour.XYZ_to_Lab(colour.sRGB_to_XYZ(display.mean((1, 2))))
    return float(np.hypot(a, b))


@pytest.mark.realdata
@pytest.mark.parametrize("raw", one_of_each(RAWS))
def test_every_raw_becomes_a_photograph(data: Path, raw: str):
    if raw in REFUSED:
        with pytest.raises(RawError, match=REFUSED[raw]) as caught:
            read(data / "raw" / raw)
        assert caught.value.hint
        return
    frame = read(data / "raw" / raw)
    for name in FREE:
        check(develop(graph(name), frame.crop(*middle(frame.size, LARGEST))))


@pytest.mark.realdata
def test_the_raws_that_must_be_there_are(data: Path):
    for folder, count in (("containers", 7), ("gopro/dng", 1), ("gopro/crops", 6), ("frames", 7)):
        assert sum(raw.startswith(f"{folder}/") for raw in RAWS) >= count, folder


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("raw", "name", "crop", "size"),
    [
        ("gopro/dng/hero6_GOPR0024.dng", "photo_finish", "1000,1500,200,300", (300, 200)),
        ("gopro/crops/fusion_front_GPFR7066_y600_x300.dng", "camera", "11,20,200,301", (301, 200)),
        ("containers/canon_eos_d30.crw", "low_light", "300,500,200,300", (300, 200)),
        ("frames/hector_desk_1280x800_bggr_mipi10.raw", "learned_isp", "301,501,200,300", (300, 200)),
    ],
)
def test_the_command_line_writes_an_upright_picture(
    data: Path, tmp_path: Path, raw: str, name: str, crop: str, size: tuple[int, int]
):
    output, taps = tmp_path / "out.png", tmp_path / "taps"
    words = ["run", PIPELINES / f"{name}.isp", data / "raw" / raw, "-o", output, "--taps", taps, "--crop", crop]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    written = [output, *taps.iterdir()]
    assert len(written) > 1
    for path in written:
        with Image.open(path) as picture:
            assert picture.size == size
            assert np.ptp(np.asarray(picture)) > 20
    assert not Path(f"{data / 'raw' / raw}.isp.json").exists(), "nothing is written beside the raw"


@pytest.mark.realdata
@pytest.mark.parametrize("raw", [*REFUSED, "gopro/SOURCE.txt", "burst_imx296/burst_A_30frames_crop.npz", "none.dng"])
def test_what_is_no_raw_leaves_with_the_code_of_unreadable_input(data: Path, tmp_path: Path, raw: str):
    output = tmp_path / "out.png"
    words = ["run", PIPELINES / "photo_finish.isp", data / "raw" / raw, "-o", output]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 3
    assert Path(raw).name in result.stderr
    assert "Traceback" not in result.output
    assert not output.exists()


@pytest.mark.realdata
@pytest.mark.slow
def test_twelve_megapixels_in_full(data: Path):
    frame = read(data / "raw" / "gopro" / "dng" / "hero6_GOPR0024.dng")
    assert frame.size == (3000, 4000)
    check(develop(graph("photo_finish"), frame))
