"""Tables of the pointwise tail: what is in them, and how near they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.backends.vector import tensors
from ispdsl.errors import PlanError
from ispdsl.export.cube import Grid, export_cube, read_table
from ispdsl.export.faults import ExportError
from ispdsl.export.source import composite_of, with_predicted
from ispdsl.runtime.cube import read_cube
from tests.export import small

PLACED = """
from tone import contrast

stage placed(image: rgb<linear_srgb, f32>) -> rgb<linear_srgb, f32> {
  program "tests.export.programs:placed"

  property pointwise
}

pipeline small(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  out = image -> contrast(amount = 10%) -> placed -> contrast(amount = 20%) as last
}
"""

BRANCHES = """
from tone import contrast
from colour import to_ycc, from_ycc

pipeline small(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {
  luma, chroma = image -> contrast(amount = 10%) -> to_ycc
  out = from_ycc(luma, chroma)
}
"""


def test_the_table_holds_the_last_pointwise_stages_and_says_so(tmp_path: Path):
    source = small.source(tmp_path, small.CHAIN, {"saturation.amount": 150})
    found = export_cube(source, tmp_path / "a.cube", Grid(9))
    assert found.tail.nodes == ("saturation", "contrast")
    assert found.tail.before == ("exposure", "sharpen")
    assert found.tail.stopped == "sharpen looks at more than one pixel"
    assert found.picture is None
    table = read_cube(tmp_path / "a.cube")
    composite = composite_of(small.source(tmp_path, small.CHAIN.replace("-> sharpen(amount = 60%)", "")))
    colour = torch.tensor([0.5, 0.25, 0.75]).reshape(3, 1, 1)
    settings = {**tensors(source.settings), "exposure.ev": -0.5}
    settings = {name: value for name, value in settings.items() if not name.startswith("sharpen")}
    wanted = composite(colour, settings, {"baseline_exposure": torch.tensor(0.0)}).image.flatten()
    np.testing.assert_allclose(table[4, 2, 6], wanted, atol=1e-6)
    text = (tmp_path / "a.cube").read_text()
    assert "# stages in it: saturation, contrast\n" in text
    assert "# stages before it: exposure, sharpen\n" in text


def test_more_points_and_an_encoding_come_nearer(tmp_path: Path):
    source = small.source(tmp_path, small.CHAIN)
    coarse, fine, encoded = (
        export_cube(source, tmp_path / "a.cube", grid).random.psnr
        for grid in (Grid(5), Grid(17), Grid(17, encoding="srgb"))
    )
    assert coarse + 10 < fine
    assert encoded != fine


def test_on_a_raw_the_error_is_that_of_its_pixels(tmp_path: Path):
    frame = small.frame(tmp_path)
    source, _ = with_predicted(small.source(tmp_path, small.RAW, frame=frame))
    found = export_cube(source, tmp_path / "a.cube", Grid(17, 0.0, 4.0))
    assert found.tail.nodes == ("exposure", "saturation", "contrast")
    assert found.outside == pytest.approx(0, abs=0.01)
    assert found.picture is not None
    assert found.picture.samples == 3 * 32 * 48
    assert 30 < found.picture.psnr < 120
    assert read_table(tmp_path / "a.cube")[1] == (0.0, 4.0)
    narrow = export_cube(source, tmp_path / "a.cube", Grid(17, 0.0, 0.1))
    assert narrow.outside is not None
    assert narrow.outside > 0.1
    with pytest.raises(ExportError, match="the table differs"):
        export_cube(source, tmp_path / "b.cube", Grid(5), least=100)
    assert not (tmp_path / "b.cube").exists()


def test_what_hangs_on_the_place_is_not_in_it(tmp_path: Path):
    found = export_cube(small.source(tmp_path, PLACED, trust=("tests",)), tmp_path / "a.cube", Grid(5))
    assert found.tail.nodes == ("last",)
    assert found.tail.stopped == "what placed makes hangs on the place of the pixel"


def test_branches_that_meet_again_are_in_it_together(tmp_path: Path):
    found = export_cube(small.source(tmp_path, BRANCHES), tmp_path / "a.cube", Grid(5))
    assert found.tail.nodes == ("contrast", "to_ycc", "from_ycc")
    assert found.tail.before == ()
    assert found.tail.stopped == ""


def test_an_empty_tail_and_another_output_are_refused(tmp_path: Path):
    cut = small.CHAIN.replace("-> saturation(amount = 130%)", "").replace("-> contrast(amount = 15%)", "")
    with pytest.raises(PlanError, match="chain has no pointwise tail: sharpen looks at more than one pixel"):
        export_cube(small.source(tmp_path, cut), tmp_path / "a.cube")
    with pytest.raises(PlanError, match="chain has no output picture"):
        export_cube(small.source(tmp_path, small.CHAIN), tmp_path / "a.cube", output="picture")
    reads = small.CHAIN.replace("-> sharpen(amount = 60%)", "").replace("= 0ev\n", "\n")
    with pytest.raises(PlanError, match="which only a raw file has"):
        export_cube(small.source(tmp_path, reads), tmp_path / "a.cube")
    with pytest.raises(ExportError, match="300 points"):
        Grid(300)
