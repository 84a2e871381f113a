"""A sheet that anyone can judge: raws at default settings, in a style in both ways, and pictures of the style."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.reproduce.style.looks import LOOKS
from benchmarks.reproduce.style.material import SIDE, material, pictures_of, widened
from benchmarks.reproduce.style.play import direct, photo_finish, trained
from ispdsl.learned.scenes import Means
from ispdsl.learned.style import Style, target_of
from ispdsl.learned.style_training import chosen_by, rendered
from ispdsl.runtime.contact_sheet import Tile, contact_sheet
from ispdsl.vision.gabor import GaborBank

COLUMNS = 8
SEED = 0


def draw(path: Path, data: Path, device: str = "cpu") -> None:
    """Four rows for each look: default, by the encoder, by the direct way, and pictures of the style."""
    graph = photo_finish()
    drawn = material(graph, data, SEED)
    shot = (*drawn.test[: COLUMNS - 2], *drawn.test[-2:])
    before = rendered(graph, shot, [each.settings for each in shot], Means(), device)
    tiles: list[Tile] = [("default", each, "srgb") for each in before]
    for name, look in LOOKS.items():
        scenes, train = widened(shot, look.hard), widened(drawn.train, look.hard)
        examples = pictures_of(graph, drawn.style, look, device)
        style = Style(target_of(examples, GaborBank(), SIDE), GaborBank()).to(device)
        encoder, _ = trained(graph, replace(drawn, train=train), style, SEED, device)
        for way, settings in (
            ("encoder", chosen_by(encoder, scenes)),
            ("direct", direct(graph, scenes, style, SEED, device)),
        ):
            tiles += [(f"{name}: {way}", each, "srgb") for each in rendered(graph, scenes, settings, Means(), device)]
        tiles += [(f"{name}: of the style", each, "srgb") for each in examples[:COLUMNS]]
    contact_sheet(path, tiles, columns=COLUMNS)
