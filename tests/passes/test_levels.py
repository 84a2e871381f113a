"""Doubles of what takes codes of a mosaic know the levels of the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import ispdsl
from ispdsl.backends.feeding import example, task_of
from ispdsl.passes.levels import levelled
from ispdsl.plan import flattened
from ispdsl.store.sample import Sample

TEXT = """
## Opaque.
stage isp(mosaic: raw<C, u16>) -> rgb<srgb, u8> {
  register gain @ 0x0[7:0] : u4.4 in 0..15 = 1
  executor tcp("127.0.0.1:7171", word = 32bit)
  property global
}

pipeline opaque(mosaic: raw<C, u16>) -> (image: rgb<srgb, u8>) {
  executor tcp("127.0.0.1:7171", word = 32bit, levels = frame)
  image = mosaic -> isp
}
"""


def graph_of(folder: Path) -> ispdsl.Graph:
    (folder / "opaque.isp").write_text(TEXT, encoding="utf-8")
    return flattened(ispdsl.build(ispdsl.load(str(folder / "opaque.isp"))))


def test_the_levels_are_read_though_the_text_does_not_declare_them(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    assert [meta.name for meta in levelled(graph, "isp").metas] == ["black_level", "white_level"]
    task = task_of(graph, "isp", {"isp.gain": (0.0, 15.0)})
    assert [(each.name, each.shape) for each in task.readings] == [("black_level", (4,)), ("white_level", ())]


def test_an_example_has_those_of_its_frame(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    sample = Sample(
        {"mosaic": np.ones((1, 4, 4), np.float32), "image": np.ones((3, 4, 4), np.float32)},
        {"isp.gain": 2.0},
        {"black_level": np.array([64.0, 65, 66, 67]), "white_level": 1023.0},
        "raw<rggb, u10>",
        "a.dng",
        (0, 0, 4, 4),
    )
    found = example(graph, "isp", sample).keywords
    assert torch.equal(found["black_level"], torch.tensor([64.0, 65, 66, 67]))
    assert float(found["white_level"]) == 1023


def test_what_declares_its_levels_keeps_them() -> None:
    graph = flattened(ispdsl.build(ispdsl.load("pipelines/photo_finish.isp")))
    assert levelled(graph, "black_white") is graph
    assert levelled(graph, "saturation") is graph
