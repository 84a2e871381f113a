"""One scene gives one picture, whatever the camera's colour filters are like and however it was held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ispdsl.darkroom import develop, save_outputs, save_taps
from ispdsl.ir.types import BAYER
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import SyntheticRaw, sample_photo, synthesise
from tests.runtime import dng_files
from tests.scenes import FREE, graph, smooth_photo, synthetic_frame

RIM = 24
"""Where footprints meet the border, and mirrored borders differ by phase."""

UPRIGHT: dict[int, Any] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""From stored rows and columns to an upright picture by EXIF orientation (CIPA DC-008, tag 0x0112)."""

pipelines = pytest.mark.parametrize("name", list(FREE))


FORTY_DB = 0.01


def distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Root mean square of display values away from the rim."""
    inside = np.s_[..., RIM:-RIM, RIM:-RIM]
    return float(np.sqrt(np.square(one[inside].astype(float) - other[inside]).mean()))


# ---- colour filters ----------------------------------------------------------------------------------------------


def linear_frame(folder: Path, raw: SyntheticRaw) -> Frame:
    """What a camera with three samples a site would have written of the same scene."""
    span = raw.white - raw.black[0]
    codes = np.moveaxis(raw.truth * span + raw.black[0], 0, -1).round().astype(np.uint16)
    colour = dng_files.colour_tags([(raw.colour_matrix, 21)], raw.as_shot_neutral)
    exposure = dng_files.rational(50730, [raw.baseline_exposure], dng_files.SRATIONAL)
    file = folder / "linear.dng"
    return read(dng_files.write_dng(file, codes, black=raw.black[0], white=raw.white, tags=colour, more=[exposure]))


@pipelines
def test_all_phases_and_three_samples_a_site_give_one_picture(name: str, tmp_path: Path):
    photo = smooth_photo(144)
    whole = linear_frame(tmp_path, synthesise(photo, seed=4, noise=False))
    expected = develop(graph(name), whole).outputs
    assert expected["display"].image.std() > 0.05
    for cfa in BAYER:
        frame = synthetic_frame(tmp_path, photo, cfa=cfa, noise=False)
        assert (whole.cfa, frame.cfa) == ("linear", cfa)
        for key, picture in develop(graph(name), frame).outputs.items():
            assert distance(picture.image, expected[key].image) < FORTY_DB, (cfa, key)


@pipelines
def test_a_crop_that_shifts_the_phase_gives_that_part_of_the_picture(name: str, tmp_path: Path):
    frame = synthetic_frame(tmp_path, smooth_photo(144))
    previous = develop(graph(name), frame)
    for top, left in ((0, 1), (1, 0), (1, 1)):
        part = frame.crop(top, left, frame.size[0] - 2, frame.size[1] - 2)
        assert part.cfa != frame.cfa
        found = develop(graph(name), part).outputs["display"].image
        whole = previous.outputs["display"].image[:, top : top + part.size[0], left : left + part.size[1]]
        assert distance(found, whole) < FORTY_DB


# ---- orientation -------------------------------------------------------------------------------------------------


def held(folder: Path, orientation: int) -> Frame:
    """An upright scene `(48, 64)` as a camera stores it that was held so, its colour filters turned along."""
    scene = synthesise(sample_photo("astronaut", 64)[:, :48], seed=4, noise=False)
    sites = np.arange(scene.mosaic[0].size).reshape(scene.mosaic.shape[1:])
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = UPRIGHT[undo](scene.mosaic[0])
    corner = UPRIGHT[undo](sites)[:2, :2].ravel()
    cfa = "".join(scene.cfa[2 * (site // sites.shape[1] % 2) + site % sites.shape[1] % 2] for site in corner)
    tags = dng_files.colour_tags([(scene.colour_matrix, 21)], scene.as_shot_neutral)
    file, black = folder / f"held_{orientation}.dng", (scene.black[0],)
    codes = np.ascontiguousarray(stored)
    return read(dng_files.write_dng(file, codes, cfa, black, scene.white, orientation=orientation, tags=tags))


@pytest.mark.parametrize("orientation", range(1, 9))
@pipelines
def test_every_orientation_gives_the_same_upright_picture(name: str, orientation: int, tmp_path: Path):
    frames = {turn: held(tmp_path, turn) for turn in (1, orientation)}
    assert frames[orientation].orientation == orientation
    assert frames[orientation].size == ((64, 48) if orientation >= 5 else (48, 64))
    pictures: dict[int, list[NDArray[np.uint8]]] = {}
    for turn, frame in frames.items():
        made = develop(graph(name), frame, taps=None)
        folder = tmp_path / str(turn)
        folder.mkdir(exist_ok=True)
        written = [*save_outputs(made, folder / "out.png"), *save_taps(made, folder / "taps")]
        with_tag = [Image.open(path) for path in written]
        assert not any(274 in picture.getexif() for picture in with_tag), "turned, and not to be turned again"
        pictures[turn] = [np.asarray(picture) for picture in with_tag]
    for one, other in zip(pictures[1], pictures[orientation], strict=True):
        assert one.shape == other.shape == (48, 64, 3)
        assert np.abs(one.astype(int) - other).max() <= 1
