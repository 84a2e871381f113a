"""The tensor twin of the vector agrees with the exact one, and carries gradients."""

from __future__ import annotations

import pytest
import torch

from ispdsl.backends.vector import tensors, unit_to_settings
from ispdsl.errors import RunError
from ispdsl.ir.params import Array, FileReference
from ispdsl.runtime.cube import format_cube
from ispdsl.runtime.vector import Vector
from tests.runtime.test_values import kinds


def test_it_gives_what_the_exact_conversion_gives():
    vector = Vector.of(kinds())
    x = torch.linspace(0.05, 0.95, len(vector.names), dtype=torch.float64)
    found = unit_to_settings(vector, x)
    exact = tensors(vector.from_vector(x.tolist()))
    assert list(found) == [slot.address for slot in vector.slots]
    for address, value in found.items():
        torch.testing.assert_close(value, exact[address], rtol=1e-12, atol=1e-12)
    assert found["k.points"].shape == (3,)


def test_a_batch_of_points():
    vector = Vector.of(kinds())
    x = torch.rand(4, len(vector.names), dtype=torch.float64)
    together = unit_to_settings(vector, x)
    assert together["k.amount"].shape == (4,)
    assert together["k.points"].shape == (4, 3)
    for index in range(4):
        for address, value in unit_to_settings(vector, x[index]).items():
            assert torch.equal(together[address][index], value)


def test_gradients_pass():
    vector = Vector.of(kinds())
    x = torch.full((len(vector.names),), 0.3, dtype=torch.float64, requires_grad=True)

    def flat(point: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(unit_to_settings(vector, point).values())

    assert torch.autograd.gradcheck(flat, (x,))


def test_another_length_is_refused():
    with pytest.raises(RunError, match="3 numbers are no vector of 7"):
        unit_to_settings(Vector.of(kinds()), torch.rand(3))


def test_another_face_is_refused():
    with pytest.raises(RunError, match="in the physical face"):
        unit_to_settings(Vector.of(kinds(), "physical", only=["k.amount"]), torch.rand(1))


def test_settings_become_canonical_tensors(tmp_path):
    settings = kinds(temperature="$shot").update({"k.amount": 50, "k.shape": "cross"})
    found = tensors(settings, torch.float32)
    assert found["k.amount"] == torch.tensor(0.5)
    assert found["k.shape"] == "cross"
    assert found["k.on"] is False
    assert "k.temperature" not in found
    assert "k.held" not in found
    points = found["k.points"]
    assert isinstance(points, torch.Tensor)
    assert points.dtype == torch.float32
    grid = torch.rand(2, 2, 2, 3, dtype=torch.float64)
    (tmp_path / "a.cube").write_text(format_cube(grid.numpy(), "a"))
    look = tensors(settings.set("k.look", "a.cube", tmp_path))["k.look"]
    torch.testing.assert_close(look, grid, rtol=0, atol=1e-5)
    file = settings.set("k.look", "a.cube", tmp_path)["k.look"]
    assert isinstance(file, FileReference)
    assert not isinstance(file, Array)
