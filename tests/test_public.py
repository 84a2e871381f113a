"""The public face: what a Python user finds, and the way from settings to an optimiser and back."""

from __future__ import annotations

from pathlib import Path

import torch

import ispdsl
from tests.scenes import PIPELINES, synthetic_frame


def test_every_public_name_is_listed_and_there():
    assert dir(ispdsl) == sorted(ispdsl.__all__)
    assert all(getattr(ispdsl, name).__name__ == name for name in ispdsl.__all__)


def test_an_optimiser_moves_the_vector_of_free_parameters(tmp_path: Path):
    graph = ispdsl.build(ispdsl.load(PIPELINES / "photo_finish.isp"))
    frame = synthetic_frame(tmp_path).crop(8, 8, 16, 16)
    isp = ispdsl.compile(graph, cfa=frame.cfa, taps=())
    mosaic, metadata = ispdsl.tensors(frame)
    start = ispdsl.Settings.of(graph).resolved(frame.metadata)
    target = isp(mosaic, {"exposure.ev": 0.5, "saturation.amount": 0.8}, metadata).image

    vector = ispdsl.Vector.of(start)
    x = torch.tensor(vector.to_vector(start), requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=0.01)
    losses: list[float] = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = (isp(mosaic, ispdsl.unit_to_settings(vector, x), metadata).image - target).square().mean()
        loss.backward()
        optimiser.step()
        x.data.clamp_(0, 1)
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    found = vector.from_vector(x.tolist())
    assert found["exposure.ev"] != start["exposure.ev"]
    again = isp(mosaic, ispdsl.unit_to_settings(vector, torch.tensor(vector.to_vector(found))), metadata).image
    assert (again - target).square().mean() < 0.2 * losses[0]
