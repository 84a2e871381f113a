"""The program that sums a pipeline's normal equations gives what torch's derivatives give."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.front import front_of
from ispdsl.backends.system.fused import Recording, is_compiled, pixels_of, recorded
from ispdsl.backends.system.recording import Recorder, UnfusedError
from ispdsl.backends.system.scalars import Scalars
from ispdsl.backends.system.slopes import Slopes
from ispdsl.backends.system.straight import straight
from ispdsl.backends.vector import tensors, unit_to_settings
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

CHAIN = """
from tone   import exposure, contrast
from colour import colour_matrix, saturation, srgb
from detail import unsharp_mask

pipeline chain(image: rgb<linear_srgb, f32>) -> (display: rgb<srgb, unit>) {{
  display = image -> exposure(ev = 0.3ev) -> saturation(amount = 110%) -> contrast(amount = 20%){more} -> srgb
}}
"""


@cache
def chain(folder: Path, more: str = "") -> tuple[Composite, Settings]:
    path = folder / "chain.isp"
    path.write_text(CHAIN.format(more=more))
    graph = build(load(path))
    return compile(graph, taps=()), Settings.of(graph)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("chain"))


def light(height: int, width: int) -> Tensor:
    """Not so dark or bright that rounding decides on which side of a kink a pixel lies."""
    return 0.02 + 0.3 * torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)) ** 2


def record(
    composite: Composite, settings: Settings, image: Tensor, only: list[str] | None = None, robust: float | None = None
) -> tuple[Recording, NDArray[np.float32], Vector]:
    vector = Vector.of(settings, "unit", only or ["exposure.ev", "saturation.amount", "contrast.amount"])
    addresses = [slot.address for slot in vector.slots]
    front = front_of(composite, image, tensors(settings), {}, addresses)
    assert front is not None
    made = recorded(front, vector, tensors(settings), {}, 1.0, robust)
    return made, pixels_of(front, np.arange(image[0].numel())), vector


def by_torch(
    composite: Composite, vector: Vector, settings: Settings, image: Tensor, target: Tensor, at: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    def picture(x: Tensor) -> Tensor:
        return composite(image, {**tensors(settings), **unit_to_settings(vector, x)}).image

    point = torch.from_numpy(at)
    slopes = torch.func.jacfwd(picture)(point).reshape(-1, at.size)
    return slopes.double().numpy(), (picture(point) - target).flatten().double().numpy()


@pytest.mark.parametrize("robust", [None, 0.05])
def test_the_sums_are_those_of_torch(folder: Path, robust: float | None) -> None:
    composite, settings = chain(folder)
    image = light(37, 83)  # a part of a piece, and of a vector, is left over
    made, pixels, vector = record(composite, settings, image, robust=robust)
    at = np.array(vector.to_vector(settings)) + 0.01
    target = light(83, 37).reshape(3, 37, 83)
    normal, slope, cost = made.over(pixels, target.flatten(-2).numpy()).at(at)
    slopes, apart = by_torch(composite, vector, settings, image, target, at)
    weights = np.ones_like(apart) if robust is None else 1 / np.sqrt(1 + (apart / robust) ** 2)
    wanted = (slopes.T * weights) @ slopes
    scale = np.sqrt(np.diag(wanted))
    assert np.abs((normal - wanted) / np.outer(scale, scale)).max() < 2e-6
    assert np.linalg.norm(slope - (slopes.T * weights) @ apart) < 2e-6 * np.linalg.norm(slope)
    loss = apart @ apart if robust is None else 2 * robust**2 * float(np.sum(1 / weights - 1))
    assert cost == pytest.approx(loss, rel=2e-6)


def test_other_settings_and_other_pictures_take_the_same_program(folder: Path) -> None:
    composite, settings = chain(folder)
    one, pixels, vector = record(composite, settings, light(8, 9))
    sums = one.over(pixels, np.zeros((3, 72), np.float32))
    other = settings.update({"contrast.pivot": 0.2})
    another, pixels, _ = record(composite, other, light(5, 4), [slot.address for slot in vector.slots])
    assert is_compiled(another)
    again = another.over(pixels, np.zeros((3, 20), np.float32))
    assert again.system is sums.system
    at = np.full(len(vector.elements), 0.51)
    slopes, _ = by_torch(composite, vector, other, light(5, 4), torch.zeros(()), at)
    np.testing.assert_allclose(again.at(at)[0], slopes.T @ slopes, rtol=2e-5, atol=1e-6 * float((slopes**2).sum()))


def test_what_looks_at_neighbours_is_refused(folder: Path) -> None:
    path = folder / "local.isp"
    path.write_text(CHAIN.format(more=" -> unsharp_mask(amount = 50%)"))
    graph = build(load(path))
    with pytest.raises(UnfusedError, match="neighbours"):
        record(compile(graph, taps=()), Settings.of(graph), light(40, 40))


OPERATIONS = {
    "exp": lambda x, y: torch.exp(x - y),
    "powers": lambda x, y: (x + 2) ** y + x**3 + (y + 3) ** -0.5,
    "logarithms": lambda x, y: torch.log(x + 2) * torch.log10(y + 3) + torch.log1p(x + 1) + torch.expm1(y),
    "limits": lambda x, y: torch.maximum(x, y) + torch.minimum(x, 0.1 * y) + x.clamp(-0.5, 0.5) + torch.relu(y),
    "choices": lambda x, y: torch.where(x > y, x * y, torch.where((x < 0) & ~(y > 0), x / (y + 4), y.abs())),
    "curves": lambda x, y: torch.sigmoid(x) * torch.tanh(y) + torch.nn.functional.softplus(x + y) + torch.atan(x),
    "waves": lambda x, y: torch.sin(x) * torch.cos(y) - 2 / (x + 5) + (1 - y).square() + (x + 3).rsqrt(),
    "whole": lambda x, y: (3 * x - (3 * x).floor()) * y + y.detach() * x + torch.sign(x) * y,
    "sums": lambda x, y: torch.stack([x, y, x * y]).mean(0) + torch.lerp(x, y, 0.3) + torch.sqrt(x + 2),
    "fused": lambda x, y: torch.addcmul(x, y, y) + torch.addcmul(y, x, x * y, value=0.5),
    "products": lambda x, y: torch.linalg.cross(torch.stack([x, y, x * y]), torch.tensor([0.3, -1.5, 0.7])).sum(),
    "matrices": lambda x, y: (torch.eye(2) * x + y) @ torch.tensor([0.3, -0.2]) @ torch.tensor([1.5, 0.5]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_and_its_slope(name: str) -> None:
    operation = OPERATIONS[name]
    given = torch.tensor([[0.3, -0.7], [-0.4, 0.2], [0.9, 0.8], [-0.9, -0.3]], dtype=torch.float64)
    recorder = Recorder(2)
    with torch.no_grad(), recorder:
        x = recorder.leaf(given[0], recorder.scalars.setting)
        (place,) = recorder.names(operation(x[0].float(), x[1].float())).flatten().tolist()
    slopes = Slopes(recorder.scalars, 2).of(place)
    zero = recorder.scalars.constant(0.0)
    found = straight(recorder.scalars, [place, *(slopes.get(each, zero) for each in (0, 1))])
    for point in given.float():
        value, *slope = found(np.concatenate([point.double().numpy(), recorder.given]))
        wanted = torch.func.jacfwd(lambda p: operation(p[0], p[1]))(point)
        np.testing.assert_allclose(value, operation(*point), rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-6)


def test_what_can_be_known_beforehand_is_not_computed() -> None:
    scalars = Scalars()
    pixel, setting, two = scalars.pixel(0), scalars.setting(0), scalars.constant(2.0)
    assert scalars.made("mul", pixel, scalars.constant(0.0)) == scalars.constant(0.0)
    assert scalars.made("add", scalars.constant(0.0), pixel) == pixel
    assert scalars.made("mul", two, two) == scalars.constant(4.0)
    assert scalars.made("add", pixel, setting) == scalars.made("add", setting, pixel)
    twice = scalars.made("mul", scalars.made("mul", pixel, setting), two)
    assert scalars.nodes[twice].operands[0] == pixel, "what is the same for all pixels is multiplied once"


def test_what_a_program_cannot_do_is_named() -> None:
    recorder = Recorder(3)
    with pytest.raises(UnfusedError, match="sort"), torch.no_grad(), recorder:
        torch.sort(recorder.leaf(torch.rand(3), recorder.scalars.setting))


def test_a_look_up_at_places_that_pixels_give_is_left_to_torch() -> None:
    recorder = Recorder(3)
    with pytest.raises(UnfusedError, match="look-up"), torch.no_grad(), recorder:
        torch.rand(5).index_select(0, recorder.leaf(torch.tensor([0, 3]), recorder.scalars.setting))
