"""What a double is fed: a program in its place gives what the pipeline gives, number for number."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ispdsl.backends.feeding import example, task_of
from ispdsl.errors import PlanError, RunError
from ispdsl.passes.segments import collapse, segments
from ispdsl.plan import flattened
from ispdsl.programs.colour import saturation
from ispdsl.programs.tone import tone_map
from tests import doubled


@pytest.fixture(scope="module")
def graph():
    return doubled.photo_finish()


@pytest.fixture(scope="module")
def collapsed(graph):
    flat = flattened(graph)
    return collapse(flat, segments(flat))


@pytest.fixture(scope="module")
def sample(graph):
    return doubled.sample_of(graph, saturation__amount="130%", tone_map__shadows="40%")


def test_an_example_is_what_the_program_is_called_with(collapsed, sample):
    found = example(collapsed, "tone_map", sample)
    assert set(found.keywords) == {"highlights", "shadows", "hist"}
    assert found.keywords["hist"].shape == (256,)
    assert torch.equal(tone_map(*found.images, **found.keywords, space="camera"), found.targets[0])
    found = example(collapsed, "saturation", sample)
    assert float(found.keywords["amount"]) == pytest.approx(1.3)
    again = saturation(*found.images, **found.keywords, space=collapsed.call("saturation").types["S"])
    torch.testing.assert_close(again, found.targets[0])


def test_a_double_of_several_nodes_is_told_the_cfa_and_its_metadata(collapsed, sample):
    found = example(collapsed, "demosaiced", sample)
    assert found.images[0].shape == (1, 16, 16)
    assert found.targets[0].shape == (3, 16, 16)
    assert found.keywords["cfa"] == "rggb"
    assert found.keywords["demosaic_method"] == "menon"
    assert float(found.keywords["white_level"]) == 16383.0
    assert example(collapsed, "demosaiced", replace(sample, type="raw<bggr, u16>")).keywords["cfa"] == "bggr"


def test_a_sample_starts_where_its_own_metadata_says(collapsed, sample):
    settings = {name: value for name, value in sample.settings.items() if name != "exposure.ev"}
    dark = replace(sample, settings=settings, metadata={**sample.metadata, "baseline_exposure": -1.25})
    assert float(example(collapsed, "exposure", dark).keywords["ev"]) == -1.25
    assert float(example(collapsed, "exposure", sample).keywords["ev"]) == pytest.approx(0.3)


def test_the_whole_pipeline_is_fed_the_mosaic_alone(graph, sample):
    flat = flattened(graph)
    found = example(collapse(flat, segments(flat, whole=True)), "display", sample)
    assert [image.shape for image in found.images] == [(1, 16, 16)]
    assert float(found.keywords["saturation_amount"]) == pytest.approx(1.3)
    assert "hist" not in found.keywords


def test_what_is_missing_is_named(collapsed, sample):
    images = {name: image for name, image in sample.images.items() if name != "toned"}
    with pytest.raises(RunError, match="no image toned"):
        example(collapsed, "colour_balance", replace(sample, images=images))
    with pytest.raises(PlanError, match="no node colour"):
        example(collapsed, "colour", sample)


def test_a_task_has_knobs_for_what_was_varied_and_reads_the_rest(collapsed):
    found = task_of(collapsed, "colour_balance", {"colour_balance.temperature": (2500.0, 9000.0), "other.x": (0, 1)})
    (knob,) = found.knobs
    assert (knob.name, knob.address, knob.low, knob.high, knob.reciprocal) == (
        *("temperature", "colour_balance.temperature", 2500.0, 9000.0),
        True,
    )
    assert [(each.name, each.shape) for each in found.readings[:2]] == [("neutral", (3,)), ("colour_matrix_1", (3, 3))]
    tones = task_of(collapsed, "tone_map", {})
    assert [(each.name, each.kind, each.shape) for each in tones.readings] == [("hist", "statistic", (256,))]
    assert tones.footprint.kind == "pointwise"
    method = task_of(collapsed, "demosaiced", {"demosaic.method": (0, 1)}).knobs[0]
    assert (method.name, method.kind, method.options[0]) == ("demosaic_method", "choice", "bilinear")
    look = task_of(collapsed, "look_table", {"look_table.table": (0, 1), "look_table.amount": (0.0, 1.0)})
    assert [each.name for each in look.knobs] == ["amount"], "what the text fixes is no knob, whatever was said"
