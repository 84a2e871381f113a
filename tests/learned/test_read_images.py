"""Folders of raws that a classifier learns from."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ispdsl.errors import FileError
from ispdsl.learned.read_images import read_images
from ispdsl.synthetic.samples import write_demo_raw
from tests import scenes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        write_demo_raw(tmp_path / name / "0.dng", size=48, seed=seed)
        (tmp_path / name / "0.dng.isp.json").write_text("{}")
    return tmp_path


def test_what_lies_beside_raws_is_no_raw(folder: Path) -> None:
    found = read_images(folder, scenes.graph("learned_isp"))
    assert (found.classes, found.names) == (("cats", "dogs"), ("cats/0.dng", "dogs/0.dng"))
    assert found.data.labels.tolist() == [0, 1]
    assert found.cfa == "rggb"


def test_a_picture_among_raws_is_named(folder: Path) -> None:
    Image.new("RGB", (48, 48)).save(folder / "dogs" / "0.jpg")
    with pytest.raises(FileError, match=r"0\.jpg is a picture, and the pipeline takes raws"):
        read_images(folder, scenes.graph("learned_isp"))
