"""One fold of one seed: a classifier of clean photographs, then every way to have it see dark ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reproduce.cifar import Numbers
from benchmarks.reproduce.joint.tables import SIDE, Table, World, clean_pictures
from ispdsl.learned.fit import Recipe
from ispdsl.learned.free_settings import Bounds, Shared
from ispdsl.learned.joint import Joint, Phase, What, right, train
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.learned.small_predictor import SmallPredictor
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.vision.small_cnn import SmallCNN

FROZEN = ("none", "gamma 0.5", "gain 5", "by hand", "learned", "predicted")
RETRAINED = ("none", "gamma 0.5", "joint")

STEPS = {"clean": 800, "learned": 150, "predicted": 300, "retrained": 400, "joint": 250}
"""`joint` steps follow those of `learned`, so that it has as many in all as `retrained`."""

RATES = {"clean": 3e-3, "learned": 0.03, "predicted": 0.003, "retrained": 1e-3, "joint": 1e-3}

PACE = 10.0
"""How many times the network's rate settings have beside it."""

TOGETHER = 64
SHIFT = 2


@dataclass(frozen=True, eq=False)
class Game:
    """A world with its labels, split."""

    world: World
    training: Labelled
    testing: Labelled
    seed: int

    @staticmethod
    def of(world: World, labels: Tensor, fold: tuple[Numbers, Numbers], seed: int, device: str) -> Game:
        """The pictures of a fold on a device."""
        everything = Labelled(world.images, labels, world.metadata)
        training, testing = (everything.take(torch.from_numpy(numbers)).to(device) for numbers in fold)
        return Game(world, training, testing, seed)

    def model(self, network: nn.Module, settings: Settings, given: str = "shared", pace: float = 1.0) -> Joint:
        """A network behind the pipeline; settings are shared, or predicted for each image."""
        world, bounds = self.world, Bounds(self.world.vector, settings)
        levels = (world.black, world.white)
        channels = world.images.shape[1]
        head = Shared(bounds, pace) if given == "shared" else SmallPredictor(bounds, channels, levels, world.tile)
        joint = Joint(world.composite, world.settings, head, network, SIDE)
        return joint.to(self.training.images.device)

    def train(self, model: Joint, what: What, way: str) -> float:
        """The seconds that it took."""
        recipe = Recipe(STEPS[way], RATES[way], "adamw" if way == "clean" else "adam", seed=self.seed)
        tile = self.world.tile
        begun = time.perf_counter()
        train(model, self.training, [Phase(what, recipe)], Seen(TOGETHER, True, SHIFT * tile, tile))
        return time.perf_counter() - begun

    def told(self, model: Joint) -> str:
        """A digit for each test picture: 1 where its class was told right."""
        return "".join(str(int(each)) for each in right(model, self.testing))


def play(
    table: Table, photographs: Tensor, labels: Tensor, fold: tuple[Numbers, Numbers], seed: int, device: str
) -> dict[str, Any]:
    """Every way on one fold, as the answer keeps it."""
    world = table.made(photographs, seed)
    game = Game.of(world, labels, fold, seed, device)
    known = Game.of(clean_pictures(photographs), labels, fold, seed, device)
    torch.manual_seed(seed)
    network = SmallCNN()
    model = known.model(network, known.world.settings)
    seconds = {"clean": known.train(model, "network", "clean")}
    told = {"clean": known.told(model)}
    starts = {"none": world.settings} | {way: world.settings.update(dict(of)) for way, of in world.hand.items()}
    learned = _frozen(game, network, starts, told, seconds)
    _retrained(game, network, {way: starts[way] for way in RETRAINED[:-1]}, learned, told, seconds)
    vector = Vector.of(learned, "physical")
    return {
        "seed": seed,
        "train": len(fold[0]),
        "test": fold[1].tolist(),
        "missing": [round(stops, 3) for stops in world.missing[torch.from_numpy(fold[1])].tolist()],
        "told": told,
        "seconds": {way: round(spent, 1) for way, spent in seconds.items()},
        "settings": dict(zip(vector.names, (round(each, 5) for each in vector.to_vector(learned)), strict=True)),
    }


def _frozen(
    game: Game, network: nn.Module, starts: dict[str, Settings], told: dict[str, str], seconds: dict[str, float]
) -> Settings:
    """The ways in which the classifier stays as it is; the settings that were learned."""
    for way, settings in starts.items():
        told[f"frozen, {way}"] = game.told(game.model(network, settings))
    shared = game.model(network, game.world.settings)
    seconds["frozen, learned"] = game.train(shared, "settings", "learned")
    told["frozen, learned"] = game.told(shared)
    assert isinstance(shared.given, Shared)
    learned = shared.given.settings(game.world.settings)
    each = game.model(network, learned, "predicted")
    seconds["frozen, predicted"] = seconds["frozen, learned"] + game.train(each, "settings", "predicted")
    told["frozen, predicted"] = game.told(each)
    return learned


def _retrained(
    game: Game,
    network: nn.Module,
    starts: dict[str, Settings],
    learned: Settings,
    told: dict[str, str],
    seconds: dict[str, float],
) -> None:
    """The ways in which the classifier goes on learning, on what it is shown."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for way, settings in starts.items():
        network.load_state_dict(state)
        model = game.model(network, settings)
        seconds[f"retrained, {way}"] = game.train(model, "network", "retrained")
        told[f"retrained, {way}"] = game.told(model)
    network.load_state_dict(state)
    model = game.model(network, learned, pace=PACE)
    seconds["retrained, joint"] = seconds["frozen, learned"] + game.train(model, "both", "joint")
    told["retrained, joint"] = game.told(model)
