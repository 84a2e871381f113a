"""The pipelines that ship run, and every free parameter of theirs has a gradient. Metadata is of no real camera."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.graph import build
from ispdsl.lower.loader import load

FOLDER = Path(__file__).parents[2] / "pipelines"
NAMES = ("camera", "learned_isp", "low_light", "photo_finish")

METADATA = {
    "black_level": [64.0] * 4,
    "white_level": 4095.0,
    "as_shot_neutral": [0.5, 1.0, 0.6],
    "as_shot_temperature": 5200.0,
    "as_shot_tint": 3.0,
    "colour_matrix_1": [[0.9, -0.2, -0.1], [-0.4, 1.3, 0.1], [-0.05, 0.2, 0.6]],
    "colour_matrix_2": [[0.8, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.05, 0.2, 0.5]],
    "illuminant_1": 2856.0,
    "illuminant_2": 6504.0,
}


def mosaic() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 64 + 1500 * torch.rand(1, 24, 26, generator=generator, dtype=torch.float64) ** 2


def composite(name: str) -> Composite:
    return compile(build(load(FOLDER / f"{name}.isp")), cfa="grbg")


@pytest.mark.parametrize("name", NAMES)
def test_every_free_parameter_has_a_gradient(name: str):
    made, raw = composite(name), mosaic()
    start = made.start(METADATA)
    free = {address: value.requires_grad_() for address, value in start.items() if isinstance(value, Tensor)}
    assert set(free) == {slot.address for slot in made.slots if slot.free}
    before = {key: value.detach() * 0.5 for key, value in made(raw, start, METADATA).statistics.items()}
    outputs = made(raw, start, METADATA, before).outputs.values()
    weights = torch.Generator().manual_seed(1)
    torch.stack([(torch.rand(o.shape, generator=weights, dtype=o.dtype) * o).sum() for o in outputs]).sum().backward()
    for address, value in free.items():
        assert value.grad is not None, address
        assert torch.isfinite(value.grad).all(), address
        assert value.grad.abs().max() > 0, address


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_every_tap_and_repeats_bit_for_bit(name: str):
    made, raw = composite(name), mosaic()
    first, second = made(raw, None, METADATA), composite(name)(raw, None, METADATA)
    assert set(first.taps) == set(made.plan.graph.taps) != set()
    assert all(torch.equal(first.taps[tap], second.taps[tap]) for tap in first.taps)
    assert torch.equal(first.image, second.image)
    assert first.image.shape == (3, 24, 26)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_exports(name: str):
    made, raw = composite(name), mosaic()
    metadata = {key: torch.tensor(value, dtype=torch.float64) for key, value in METADATA.items()}
    settings = made.start(metadata)
    program = torch.export.export(made, (raw,), {"settings": settings, "metadata": metadata}, strict=False)
    found = program.module()(raw, settings=settings, metadata=metadata)
    assert torch.equal(found.image, made(raw, settings, metadata).image)
