"""The pipelines behind which real things stand, on every Bayer raw of the data: a picture of that scene, every time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from numpy.typing import NDArray

from benchmarks.reproduce.neutral import middle, raw_files
from ispdsl.comparison.colour import colorimetry, lab
from ispdsl.comparison.overlap import overlap
from ispdsl.darkroom import Development, develop
from ispdsl.executors.faults import ExecutorError
from ispdsl.graph import Graph, build
from ispdsl.ir.types import BAYER
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame, RawError, shifted_cfa, sites_from
from ispdsl.runtime.rawfile import read
from tests.executors.devices import device
from tests.raws import REPEATED
from tests.scenes import PIPELINES

FOLDER = Path(os.environ.get("ISPDSL_DATA", "/nonexistent")) / "raw"
SIDE = 192
"""Pixels of the middle that is developed."""

BLOCK = 8
"""Pixels across the areas whose mean light is compared."""

BACKENDS = {"libraw": "libraw", "darktable": "darktable", "hardware_isp": "registers"}
"""Pipelines, and what runs them."""

REFUSED: dict[str, tuple[str, ...]] = dict.fromkeys(
    (
        "containers/kodak_dc50_DC0011M.kdc",
        "containers/kodak_dc50_buildings.kdc",
        "containers/quicktake100_1.qtk",
        "containers/quicktake150_04.qtk",
        "containers/quicktake150_08.qtk",
        "gopro/dng/hero6_GOPR0024.dng",  # lossless JPEG with predictor 6
    ),
    ("darktable",),
)
"""Files that a real thing cannot decode; a crop of one, which is written as a DNG, it opens."""

QUICK = ("frames/dsc1339_rose_768x512_grbg_u16le14.raw", "gopro/crops/hero6_GOPR0024_y300_x2700.dng")
"""What darktable develops in every run of the tests."""

UNBALANCED = {("containers/canon_eos_d30.crw", "libraw")}
"""Files, as they are, whose as-shot white a real thing gets wrong."""

WATCHED = ("demosaiced", "equalised", "profiled", "denoised")
"""Taps of darktable where other programs would differ: tiles, pyramids, profiles and threads."""

DEVELOPERS = ("libraw", "darktable")
"""Those that balance by the file's own white and use its matrices."""


def frame_of(path: Path) -> Frame | None:
    """The frame of a Bayer raw; None of what is none or cannot be read."""
    try:
        frame = read(path)
    except RawError:
        return None
    return frame if frame.cfa in BAYER else None


@cache
def names() -> tuple[str, ...]:
    found = raw_files(FOLDER) if FOLDER.is_dir() else ()
    return tuple(str(path.relative_to(FOLDER)) for path in found if frame_of(path) is not None)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Graph]]:
    """The pipelines; that of the hardware with the port of a device that was started for it."""
    with device() as board:
        text = (PIPELINES / "hardware_isp.isp").read_text()
        assert '"127.0.0.1:7171"' in text
        here = tmp_path_factory.mktemp("hardware") / "hardware_isp.isp"
        here.write_text(text.replace("127.0.0.1:7171", board.place))
        files = {name: PIPELINES / f"{name}.isp" for name in BACKENDS}
        yield {name: build(load(path)) for name, path in {**files, "hardware_isp": here}.items()}


def developed(graphs: dict[str, Graph], name: str, frame: Frame, taps: tuple[str, ...] | None = ()) -> Development:
    if name == "darktable" and shutil.which("darktable-cli") is None:
        pytest.skip("darktable-cli is not on PATH: apt install darktable")
    return develop(graphs[name], frame, taps=taps, backend=BACKENDS[name], allow_exec=True)


def areas(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """Means of the `BLOCK` x `BLOCK` areas of `(C, H, W)`."""
    whole = np.asarray(image, np.float64)
    rows, columns = (size // BLOCK for size in whole.shape[1:])
    cut = whole[:, : rows * BLOCK, : columns * BLOCK]
    return cut.reshape(len(whole), rows, BLOCK, columns, BLOCK).mean(axis=(2, 4))


def balanced_areas(frame: Frame, mosaic: NDArray[np.float32], top: int, left: int) -> NDArray[np.float64]:
    """Camera colour of the areas of a part of the frame, as shot: means over the sites of each colour."""
    cfa = shifted_cfa(frame.cfa, top, left)
    black = np.asarray(frame.metadata["black_level"])[sites_from(top, left)]
    white, neutral = float(np.asarray(frame.metadata["white_level"])), np.asarray(frame.metadata["as_shot_neutral"])
    light = np.zeros((3, *mosaic.shape[1:]))
    for site, (colour, level) in enumerate(zip(cfa, black, strict=True)):
        rows, columns = slice(site // 2, None, 2), slice(site % 2, None, 2)
        share = BLOCK * BLOCK / (BLOCK * BLOCK / 4 * cfa.count(colour))
        light["rgb".index(colour), rows, columns] = share * (mosaic[0, rows, columns] - level) / (white - level)
    return areas(light) / neutral[:, None, None]


def hue_error(frame: Frame, camera: NDArray[np.float64], display: NDArray[np.float64]) -> float:
    """Mean difference of hue in degrees between camera colours and sRGB ones, weighed by the lesser chroma.

    Nearly grey pictures, with a mean chroma below 5, have hues that count the less.
    """
    seen, shown = colorimetry("camera", frame.metadata), colorimetry("srgb", {})
    assert seen is not None
    assert shown is not None
    first, second = (each[1] + 1j * each[2] for each in (lab(camera, seen), lab(display, shown)))
    weight = np.minimum(np.abs(first), np.abs(second))
    apart = np.degrees(np.abs(np.angle(first * second.conj())))
    return float((apart * weight).sum() / max(weight.sum(), 5 * weight.size))


def agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation: tone curves do not change it."""
    ranks = [each.ravel().argsort().argsort().astype(np.float64) for each in (first, second)]
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def check(made: Development, name: str, balanced: bool = True) -> None:
    """A picture of the scene: finite, alive, and with its light where the sensor saw it, not mirrored nor turned."""
    picture = next(iter(made.outputs.values()))
    frame = made.frame
    peak = 255.0 if str(picture.type.args[1]) == "u8" else 1.0
    image = picture.image / np.float32(peak)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert (image.std(axis=(1, 2)) > 0.003).all(), "a channel is dead"
    common = overlap((1, *frame.size), (1, *image.shape[1:]))
    if image.shape[1:] != frame.size:
        assert made.notes, "what was cut off is said"
    sensor, shown = common.cut(frame.image.astype(np.float32), image)
    camera, display = balanced_areas(frame, sensor, *common.first), areas(shown)
    seen, light = camera[1], display.mean(axis=0)
    upright = agreement(seen, light)
    assert upright > 0.7, f"{name}: this is another scene"
    turned = [light[::-1], light[:, ::-1], light[::-1, ::-1]]
    assert upright > max(agreement(seen, each) for each in turned), f"{name}: the picture is mirrored or turned"
    if balanced and name in DEVELOPERS:
        assert hue_error(frame, camera, display) < 20, f"{name}: these are not the colours of the file"


@pytest.mark.realdata
def test_the_bayer_raws_that_must_be_there_are(data: Path) -> None:
    assert len(names()) >= 19


def every_middle() -> list[ParameterSet]:
    """Every raw with every real thing; the slow tests have what repeats, and most of darktable, which takes seconds."""
    later = {(raw, name) for raw in REPEATED for name in BACKENDS}
    later |= {(raw, "darktable") for raw in names() if raw not in QUICK}
    pairs = ((raw, name) for raw in names() for name in BACKENDS)
    return [pytest.param(*pair, marks=[pytest.mark.slow] if pair in later else []) for pair in pairs]


@pytest.mark.realdata
@pytest.mark.parametrize(("raw", "name"), every_middle())
def test_the_middle_of_every_raw_becomes_a_picture(data: Path, graphs: dict[str, Graph], raw: str, name: str) -> None:
    frame = read(data / "raw" / raw)
    check(developed(graphs, name, frame.crop(*middle(frame.size, SIDE))), name)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("raw", names())
def test_every_whole_raw_becomes_a_picture_or_is_refused(
    data: Path, graphs: dict[str, Graph], raw: str, name: str
) -> None:
    frame = read(data / "raw" / raw)
    if name == "hardware_isp" and frame.image.size > 2**21:
        frame = frame.crop(*middle(frame.size, 1024))  # the simulated device takes its time
    if name in REFUSED.get(raw, ()):
        with pytest.raises(ExecutorError, match=Path(raw).name):
            developed(graphs, name, frame)
    else:
        check(developed(graphs, name, frame), name, (raw, name) not in UNBALANCED)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        *(("gopro/crops/hero6_GOPR0024_y300_x2700.dng", name) for name in BACKENDS),
        *(pytest.param("containers/canon_eos_d30.crw", name, marks=pytest.mark.slow) for name in BACKENDS),
    ],
)
def test_the_same_settings_give_the_same_picture(data: Path, graphs: dict[str, Graph], raw: str, name: str) -> None:
    frame = read(data / "raw" / raw)
    frame = frame.crop(*middle(frame.size, 96))
    taps = WATCHED if name == "darktable" else None  # every tap of darktable's is a run of its own
    first, second = (developed(graphs, name, frame, taps) for _ in range(2))
    for key, picture in {**first.taps, **first.outputs}.items():
        again = {**second.taps, **second.outputs}[key]
        np.testing.assert_array_equal(picture.image, again.image, key)
