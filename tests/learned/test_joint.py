"""Settings and a network trained together: what is free, what stays, where it ends."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.errors import RunError
from ispdsl.learned.fit import Recipe
from ispdsl.learned.free_settings import Bounds, Shared
from ispdsl.learned.joint import Joint, Phase, What, right, train
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.learned.small_predictor import SmallPredictor, planes_of
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.vision.small_cnn import SmallCNN

PIPELINE = Path(__file__).parents[2] / "pipelines" / "learned_isp.isp"


class Bright(nn.Module):
    """Says 1 of what is brighter than a quarter of white; it has a normalisation that never sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.steep = nn.Parameter(torch.tensor(20.0))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, pictures: Tensor) -> Tensor:
        self.norm(pictures)
        level = self.steep * (pictures.mean((1, 2, 3)) - 0.25)
        return torch.stack([-level, level], 1)


@cache
def world() -> tuple[ispdsl.backends.composite.Composite, Settings, Vector]:
    graph = ispdsl.build(ispdsl.load(PIPELINE), "learned")
    settings = Settings.of(graph)
    return compile(graph, types={"S": "srgb"}, taps=()), settings, Vector.of(settings)


def dark(count: int = 40) -> Labelled:
    """Pictures of two brightnesses, both below what `Bright` asks for."""
    torch.manual_seed(0)
    labels = torch.arange(count) % 2
    images = torch.where(labels[:, None, None, None] == 1, 0.2, 0.05) + 0.01 * torch.rand(count, 3, 8, 8)
    return Labelled(images, labels, {})


def joint(network: nn.Module, pace: float = 1.0, hard: bool = False) -> Joint:
    composite, settings, vector = world()
    return Joint(composite, settings, Shared(Bounds(vector, settings, hard), pace), network)


def test_untrained_it_is_the_pipeline_at_its_start() -> None:
    data = dark()
    assert torch.allclose(joint(Bright()).pictures(data.images), data.images, atol=1e-6)
    assert torch.allclose(joint(Bright(), hard=True).pictures(data.images), data.images, atol=1e-5)


def test_steps_that_lead_astray_are_not_kept() -> None:
    data, model = dark(), joint(Bright())
    data.images[data.labels == 1] += 0.1
    before = [value.clone() for value in model.given.parameters()]
    assert right(model, data).mean() == 1
    astray = Labelled(data.images, 1 - data.labels, {})
    (found,) = train(model, astray, [Phase("settings", Recipe(8, 0.02))], Seen(16), data)
    assert found.best is not None
    assert found.best[1] == 0
    assert all(torch.equal(one, two) for one, two in zip(before, model.given.parameters(), strict=True))


def test_between_steps_that_tell_as_much_right_the_smaller_loss_is_kept() -> None:
    data = dark()
    data.images[data.labels == 1] += 0.1
    model = joint(Bright())
    assert right(model, data).mean() == 1
    (found,) = train(model, data, [Phase("settings", Recipe(8, 0.01))], Seen(16), data)
    assert found.best is not None
    assert found.best[1] > 0
    assert right(model, data).mean() == 1


def test_settings_learn_what_a_frozen_network_can_see() -> None:
    data, model = dark(), joint(Bright())
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    assert right(model, data).mean() == 0.5
    found = train(model, data, [Phase("settings", Recipe(15, 0.1))], Seen(16))
    assert right(model, data).mean() == 1.0
    assert len(found) == 1
    assert found[0].losses[-1] < found[0].losses[0]
    after = model.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "running statistics are frozen too"


@pytest.mark.parametrize(
    ("what", "moves"), [("network", (False, True)), ("settings", (True, False)), ("both", (True, True))]
)
def test_a_phase_moves_what_it_says(what: What, moves: tuple[bool, bool]) -> None:
    model = joint(Bright())
    shared, network = model.given, model.network
    assert isinstance(shared, Shared)
    assert isinstance(network, Bright)
    train(model, dark(), [Phase(what, Recipe(2, 0.01))], Seen(8))
    assert (bool(shared.moved.abs().sum() > 0), network.steep.item() != 20.0) == moves


def test_settings_stay_in_their_ranges_and_come_back_from_the_edge() -> None:
    _, settings, vector = world()
    bounds = Bounds(vector, settings)
    moved = torch.full_like(bounds.start, 5.0, requires_grad=True)
    bounds(moved).sum().backward()
    assert float(bounds(moved).detach().max()) <= 1
    assert moved.grad is not None
    assert bool((moved.grad > 0).all()), "downhill leads back inside"
    outward = moved.detach().clone().requires_grad_()
    (-bounds(outward)).sum().backward()
    assert outward.grad is not None
    assert bool((outward.grad == 0).all()), "downhill leads further out"


def test_the_pace_is_how_much_faster_settings_go() -> None:
    slow, fast = joint(Bright()), joint(Bright(), pace=10.0)
    for model in (slow, fast):
        train(model, dark(), [Phase("settings", Recipe(1, 0.001))], Seen(16))
    start = slow.given.bounds.start  # type: ignore[union-attr]
    with torch.no_grad():
        begun = slow.given.bounds(torch.zeros_like(start))  # type: ignore[union-attr]
        far = [float((model.given(dark().images)[0] - begun).abs().max()) for model in (slow, fast)]
    assert far[1] == pytest.approx(10 * far[0], rel=0.01)


def test_the_answer_as_settings_makes_the_same_pictures() -> None:
    data, model = dark(), joint(Bright())
    train(model, data, [Phase("settings", Recipe(10, 0.03))], Seen(16))
    composite, settings, _ = world()
    shared = model.given
    assert isinstance(shared, Shared)
    from ispdsl.backends.vector import tensors

    again = composite(data.images, tensors(shared.settings(settings))).image
    assert torch.allclose(again, model.pictures(data.images), atol=1e-5)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    phases = [Phase("settings", Recipe(6, 0.03, seed=1)), Phase("both", Recipe(6, 0.01, seed=2))]
    whole, parts = joint(Bright()), joint(Bright())
    train(whole, dark(), phases, Seen(8))
    train(joint(Bright()), dark(), phases[:1], Seen(8), kept=tmp_path)
    train(parts, dark(), phases, Seen(8), kept=tmp_path, resume=True)
    for one, other in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_predictor_begins_at_the_start_and_tells_images_apart() -> None:
    composite, settings, vector = world()
    data = dark()
    torch.manual_seed(0)
    predictor = SmallPredictor(Bounds(vector, settings), 3)
    model = Joint(composite, settings, predictor, Bright())
    model.eval()
    assert torch.allclose(model.pictures(data.images), data.images, atol=1e-5)
    train(model, data, [Phase("settings", Recipe(10, 0.01))], Seen(16))
    numbers = predictor(data.images).detach()
    assert float((numbers[0] - numbers[1]).abs().max()) > 0.01


def test_planes_of_a_mosaic() -> None:
    mosaic = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]).repeat(1, 1, 2, 3)
    planes = planes_of(mosaic, 2)
    assert planes.shape == (1, 4, 2, 3)
    assert [float(plane.mean()) for plane in planes[0]] == [0, 1, 2, 3]


def test_metadata_of_each_image_goes_with_it() -> None:
    data = Labelled(
        torch.zeros(3, 1, 2, 2), torch.arange(3), {"a": torch.arange(3.0), "b": torch.ones(3)}, frozenset("a")
    )
    some = data.take(torch.tensor([2, 0]))
    assert some.metadata["a"].tolist() == [2, 0]
    assert some.metadata["b"].tolist() == [1, 1, 1]


def test_nothing_free_is_refused() -> None:
    _, settings, vector = world()
    from dataclasses import replace

    with pytest.raises(RunError, match="nothing of the pipeline is free"):
        Bounds(replace(vector, slots=()), settings)


def test_the_small_classifier_learns_and_refuses_one_class() -> None:
    torch.manual_seed(0)
    network, data = SmallCNN(2), dark()
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(5):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(data.images), data.labels).backward()
        optimiser.step()
    assert network(data.images).shape == (40, 2)
    assert bool((network(data.images).argmax(1) == data.labels).float().mean() > 0.9)
    with pytest.raises(ValueError, match="1 classes"):
        SmallCNN(1)
