"""What is doubled for the table of approximation: what varies, and programs of what LibRaw and darktable do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ispdsl
from benchmarks.reproduce.approximation.programs import camera_to_rec2020, camera_to_srgb, highlights, white_balance
from benchmarks.reproduce.approximation.targets import TARGETS, Target
from ispdsl.ir.params import Register
from ispdsl.passes.segments import segments
from ispdsl.sampling.design import axes
from ispdsl.sampling.views import flat_of
from ispdsl.synthetic import synthesise, write_dng
from ispdsl.training.stages import read_network


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_varies_what_it_says(target: Target) -> None:
    settings = ispdsl.Settings.of(ispdsl.build(ispdsl.load(str(target.pipeline))))
    found = {axis.slot.address for axis in axes(settings, "soft", target.only or None, target.vary)}
    named = {*target.only, *target.vary} or found
    assert found == named
    assert len(found) >= 4
    nodes = {slot.address.partition(".")[0] for slot in settings.slots}
    assert {address.partition(".")[0] for address in named} <= nodes


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_named_lies_between_taps(target: Target) -> None:
    flat = flat_of(ispdsl.build(ispdsl.load(str(target.pipeline))), {}, None, target.backend)
    known = {segment.address: segment.nodes for segment in segments(flat)}
    assert known.keys() >= {*target.programs}
    for node in (node for name in target.programs for node in known[name]):
        assert "program" in [item.kind for item in flat.call(node).signature.implementations], node
    for variant in target.variants:
        words = [*zip(variant.train, variant.train[1:], strict=False)]
        assert known.keys() >= {value for option, value in words if option == "--skip"}
        assert known.keys() >= {read_network(value)[0] for option, value in words if option == "--network"} - {"*"}


def test_the_registers_vary_about_their_defaults() -> None:
    settings = ispdsl.Settings.of(
        ispdsl.build(ispdsl.load(str(next(t.pipeline for t in TARGETS if t.name == "registers"))))
    )
    assert len(settings.slots) == 32
    for slot in settings.slots:
        declaration = slot.declaration
        assert isinstance(declaration, Register)
        low, high = declaration.soft
        assert declaration.hard[0] <= low <= declaration.default <= high <= declaration.hard[1]
        assert (low, high) != declaration.hard or slot.address in (
            "isp.fc_slope",
            "isp.strength_1",
            "isp.strength_4",
        )


def test_camera_colour_becomes_srgb_as_libraw_has_it(tmp_path: Path) -> None:
    path = tmp_path / "raw.dng"
    write_dng(path, synthesise(np.random.default_rng(0).random((3, 32, 32)), seed=3, noise=False))
    graph = ispdsl.build(ispdsl.load(str(next(t.pipeline for t in TARGETS if t.name == "libraw"))))
    frame = ispdsl.read(path)
    made = ispdsl.develop(graph, frame, backend="libraw", taps=("clipped", "linear"))
    camera, linear = (torch.from_numpy(made.taps[name].image.astype(np.float64)) for name in ("clipped", "linear"))
    matrix = torch.from_numpy(np.asarray(frame.metadata["colour_matrix_2"]))
    found = camera_to_srgb(camera, colour_matrix_2=matrix).clamp(0, 1)
    assert (camera - linear).abs().max() > 0.01
    assert (found - linear).abs().max() < 2e-4


def test_the_matrices_keep_grey_and_differ_by_the_primaries() -> None:
    matrix = torch.tensor([[0.7, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.6]], dtype=torch.float64)
    grey = torch.full((3, 2, 2), 0.4, dtype=torch.float64)
    for program in (camera_to_srgb, camera_to_rec2020):
        assert torch.allclose(program(grey, colour_matrix_2=matrix), grey, atol=1e-6)


def test_highlights_end_at_the_lowest_white() -> None:
    neutral = torch.tensor([0.5, 1.0, 0.8], dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    white = white_balance(
        torch.ones(1, 2, 2, dtype=torch.float64), as_shot_neutral=neutral, red=one, green=one, blue=one, cfa="rggb"
    )
    assert white.flatten().tolist() == [2.0, 1.0, 1.0, 1.25]
    assert highlights(white, as_shot_neutral=neutral, threshold=one).flatten().tolist() == [1.0] * 4
