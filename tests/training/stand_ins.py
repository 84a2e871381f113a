"""A small network and scenes with a known answer, so that training can be tested without a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from ispdsl.training import data, loop
from ispdsl.training.data import Scene
from ispdsl.training.distributed import Group


class Gain(nn.Module):
    """Per pixel: two layers of the colour and one setting."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 3))

        self.card = SimpleNamespace(task=SimpleNamespace(inputs=(None,)))

    def predict(self, images, condition: Tensor, cfa=None, base=None) -> tuple[Tensor, ...]:
        pixels = images[0]
        if pixels.dim() == 4:
            rows = pixels.permute(0, 2, 3, 1)
            told = condition[:, None, None].expand(*rows.shape[:3], condition.shape[1])
            found = rows + self.layers(torch.cat([rows, told], -1))
            return (found.permute(0, 3, 1, 2),)
        return (pixels + self.layers(torch.cat([pixels, condition], -1)),)


def scenes(count: int = 6, side: int = 12, raws: int = 3, seed: int = 0) -> list[Scene]:
    """A gain by scene on colours; raws take turns."""
    generator = torch.Generator().manual_seed(seed)
    found: list[Scene] = []
    for number in range(count):
        image = torch.rand(3, side, side, generator=generator)
        gain = torch.rand(1, generator=generator)
        found.append(Scene((image,), (image * (0.5 + gain),), gain, f"raw{number % raws}", number))
    return found


def l1(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).abs().mean()


def work(folder: Path, steps: int | None = 60, batch: int = 256, group: Group | None = None, **changes) -> loop.Work:
    """A training that takes a fraction of a second."""
    train, held = data.split(scenes(), frozenset({"raw2"}))
    changes.setdefault("patience", 100)
    recipe = loop.Recipe("gain", batch, 0.01, "l1", 3, steps, **changes)
    return loop.Work(
        Gain(), l1, data.rows(train), [data.collate([scene]) for scene in held], recipe, folder, group or Group()
    )
