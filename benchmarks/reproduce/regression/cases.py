"""What is regressed: which sliders of which real thing, who searches, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RIVALS = ("cma-es", "tpe", "bayesian")
"""Searchers that are given the real thing alone."""

EACH = 200
"""Real calls of each rival."""


@dataclass(frozen=True)
class Case:
    """One table.

    Attributes:
        name, title: of the case.
        target: of `benchmarks.reproduce.approximation.targets`; its first variant's doubles show the way.
        only: the sliders that are free; empty for all free numbers.
        calls: of the real thing, at most, for the search with the real thing's residual.
        players: of `play.PLAYERS`.
        wanted: median PSNR in dB that is wanted of a player.
    """

    name: str
    title: str
    target: str
    calls: int
    players: tuple[str, ...]
    only: tuple[str, ...] = ()
    wanted: Mapping[str, float] = field(default_factory=dict[str, float])


CASES = (
    Case(
        "four",
        "Photo finishing, opaque but for its taps: temperature, tint, contrast, saturation",
        "photo_finish",
        calls=15,
        players=("doubles alone", "grey box", *RIVALS),
        only=("colour_balance.temperature", "colour_balance.tint", "contrast.amount", "saturation.amount"),
        wanted={"doubles alone": 43.4, "grey box": 75.0},
    ),
    Case(
        "all",
        "Photo finishing, opaque but for its taps: all free sliders",
        "photo_finish",
        calls=30,
        players=("doubles alone", "grey box", *RIVALS),
        wanted={"grey box": 55.0},
    ),
    Case(
        "darktable",
        "darktable, 16-bit output: five sliders",
        "darktable",
        calls=25,
        players=("doubles alone", "grey box", *RIVALS),
        only=("exposure.ev", "sigmoid.contrast", "colisa.brightness", "colisa.saturation", "velvia.strength"),
        wanted={"grey box": 45.0},
    ),
    Case(
        "programs",
        "Photo finishing through its exact programs: all free sliders",
        "photo_finish",
        calls=30,
        players=("programs", "adam"),
        wanted={"programs": 65.0},
    ),
)
