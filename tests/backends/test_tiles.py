"""Pipelines in tiles give what they give whole; what must be whole stays whole; and tiles are cut as the rule says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.backends.planes import GIVES_BACK, new_plane
from ispdsl.backends.render import render
from ispdsl.backends.stretches import Part, joins, parts_of, stretch_of
from ispdsl.backends.tiles import HALOS, Tiling, cut
from ispdsl.programs.tiling import Mean, join, weight
from ispdsl.runtime.frame import Frame
from tests.scenes import FREE, composite, graph, synthetic_frame

FOREIGN = """
stage shade(image: rgb<S, f32>) -> rgb<S, f32> {{
  program "tests.stand_ins:{program}"
  property pointwise
  {promise}
}}
pipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {{
  out = image -> shade
}}
"""


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    return synthetic_frame(tmp_path_factory.mktemp("raw"), vignetting=0.6, cfa="grbg")


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=["grbg", "rggb", "bggr", "gbrg"])
def test_pipelines_in_tiles_as_whole(name: str, corner: tuple[int, int], frame: Frame) -> None:
    part = frame.crop(*corner, 71, 69)
    whole, tiled = (
        ispdsl.develop(graph(name), part, taps=None, tiling=Tiling(side, workers=2)) for side in (10_000, 20)
    )
    for kind in ("outputs", "taps"):
        for each, wanted in getattr(whole, kind).items():
            assert np.abs(getattr(tiled, kind)[each].image - wanted.image).max() <= 1e-5, each
    for each, wanted in whole.statistics.items():
        assert np.abs(tiled.statistics[each] - wanted).max() <= 1e-5, each


def test_threads_change_no_bit(frame: Frame) -> None:
    one, two = (ispdsl.develop(graph("photo_finish"), frame, tiling=Tiling(16, workers=count)) for count in (1, 3))
    assert np.array_equal(one.outputs["display"].image, two.outputs["display"].image)
    assert np.array_equal(one.statistics["hist"], two.statistics["hist"])


def test_batches_and_settings_of_each_image(frame: Frame) -> None:
    made = composite("camera", "grbg")
    image = torch.from_numpy(frame.image.astype(np.float32))
    metadata = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in frame.metadata.items()}
    settings = {"exposure.ev": torch.tensor([0.0, 1.0])}
    found = render(made, torch.stack([image, 0.8 * image]), settings, metadata, Tiling(24)).image
    with torch.no_grad():
        wanted = made(torch.stack([image, 0.8 * image]), settings, metadata).image
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= 1e-5


def foreign(folder: Path, program: str, promise: str = "") -> Any:
    file = folder / "p.isp"
    file.write_text(FOREIGN.format(program=program, promise=promise))
    return compile(ispdsl.build(ispdsl.load(file)), trust=("tests",))


def test_the_place_of_a_foreign_program_is_its_own_affair(tmp_path: Path) -> None:
    image = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    for program, promise, tiled in (
        ("shaded", "", False),
        ("shaded_in_place", "", True),
        ("remembered", "property commutes_with crop", True),
        ("remembered", "property commutes_with crop when image >= 0", False),
    ):
        made = foreign(tmp_path, program, promise)
        assert parts_of(made)[0].tiled is tiled
        found = render(made, image, {}, {}, Tiling(16, workers=1)).image
        assert torch.equal(found, render(made, image, {}, {}, Tiling(10_000)).image)


def test_a_part_whose_numbers_are_not_finite_is_named(tmp_path: Path) -> None:
    made = foreign(tmp_path, "infinite", "property commutes_with crop")
    with pytest.raises(ispdsl.StageError, match=r"^shade \(stage shade\): \d+ of \d+ values are not finite"):
        render(made, torch.rand(3, 40, 50), {}, {}, Tiling(16, workers=2))


def test_progress_is_told_of_tiles(frame: Frame) -> None:
    told: list[tuple[int, int, str]] = []
    ispdsl.develop(graph("camera"), frame, tiling=Tiling(16, workers=2), progress=lambda *each: told.append(each))
    done = [index for index, _, _ in told]
    assert done == sorted(done)
    assert {total for _, total, _ in told} == {len(composite("camera").steps)}
    assert len({node for _, _, node in told}) > 3


# ---- how it is cut -----------------------------------------------------------------------------------------------


def parts(name: str) -> tuple[Part, ...]:
    return parts_of(composite(name))


def test_a_stretch_ends_at_a_statistic_of_itself_and_reads_what_it_needs() -> None:
    every = parts("photo_finish")
    names = [part.step.node for part in every]
    hist, toned = names.index("hist"), names.index("tone_map")
    sizes = {name: (8, 8) for part in every for name in part.step.images}
    assert every[hist].mean is Mean.PIXELS
    assert joins(every[:hist], every[hist], sizes)
    assert not joins(every[:toned], every[toned], sizes)
    stretch = stretch_of(every[:toned], {"exposure.out", "hist.out", *(name for name, _ in every[hist].step.outputs)})
    assert stretch.reads == ("mosaic",)
    assert stretch.halo == every[names.index("demosaic")].radius
    assert stretch.every % 2 == 0


def test_images_of_two_sizes_do_not_share_a_stretch() -> None:
    every = parts("low_light")
    merge = next(part for part in every if len(part.step.images) == 2 and not part.whole)
    first, second = merge.step.images
    assert joins((), merge, {first: (8, 8), second: (8, 8)})
    assert not joins((), merge, {first: (8, 8), second: (4, 4)})


def test_what_nothing_needs_is_left_out() -> None:
    every = parts("photo_finish")
    hist = next(part for part in every if part.step.node == "hist")
    stretch = stretch_of(every, {name for name, _ in hist.step.outputs})
    assert stretch.parts[-1] is hist
    assert stretch.keeps == ()


@pytest.mark.parametrize("side", [1, 7, 64])
def test_tiles_cover_an_image_once_and_grow_with_the_halo(side: int) -> None:
    stretch = stretch_of(parts("camera")[:4], {parts("camera")[3].step.outputs[0][0]})
    height, width = 61, 45
    seen = torch.zeros(height, width)
    for tile in cut(height, width, stretch, Tiling(side)):
        seen[tile.rows, tile.columns] += 1
        assert tile.window_rows.start % stretch.every == tile.rows.start % stretch.every == 0
        assert tile.window_rows.start <= max(tile.rows.start - stretch.halo, 0)
        assert tile.window_rows.stop == min(tile.rows.stop + stretch.halo, height)
        assert tile.rows.stop - tile.rows.start >= HALOS * stretch.halo or tile.rows.stop == height
        image = torch.arange(height * width).reshape(1, height, width)
        window = image[:, tile.window_rows, tile.window_columns]
        assert torch.equal(tile.inner(window), image[:, tile.rows, tile.columns])
    assert bool((seen == 1).all())


@pytest.mark.parametrize("mean", Mean)
@pytest.mark.parametrize("size", [(5, 7), (1, 6), (4, 4)])
def test_means_of_parts_are_joined(mean: Mean, size: tuple[int, int]) -> None:
    image = torch.rand(1, *size, generator=torch.Generator().manual_seed(3)) + 0.1

    def statistic(part: torch.Tensor) -> torch.Tensor:
        if mean is Mean.PIXELS:
            return part.mean()
        if mean is Mean.LOGARITHMS:
            return part.log2().mean().exp2()
        sites = [part[:, ::2, ::2], torch.cat([part[:, ::2, 1::2].flatten(), part[:, 1::2, ::2].flatten()])]
        return torch.stack([each.mean() for each in (*sites, part[:, 1::2, 1::2])])

    pieces = [image[:, :, :2], image[:, :, 2:4], image[:, :, 4:]]
    shares = [(statistic(piece), weight(mean, piece, "rggb")) for piece in pieces if piece.numel()]
    found, wanted = join(mean, shares), statistic(image)
    assert torch.allclose(found, wanted, atol=1e-6, equal_nan=True)


def test_memory_of_rows_that_are_done_goes_back() -> None:
    plane = new_plane((3, 512, 1024), torch.float32)
    plane.image.fill_(1.0)
    plane.forget(200)
    assert bool((plane.image[:, 200:] == 1).all())
    assert float(plane.image[:, :190].sum()) == (0.0 if GIVES_BACK else 3.0 * 190 * 1024)
