"""Three looks, each a preset of photo finishing and something that photo finishing cannot do.

A curve of each plane and a vignette come after the pipeline, so that no settings give a look exactly: what is found is
the nearest that the pipeline can come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """A way to finish pictures.

    Attributes:
        title: in words.
        moves: what is added to where each raw begins, in declared units, by address.
        values: settings, by address.
        lift: code of black, and of white, of each plane after the pipeline.
        gamma: of each plane, between.
        vignette: the part of the light that the corners lose.
        hard: addresses of which all that is legal is searched, since the look lies beyond the soft range.
    """

    title: str
    moves: Mapping[str, float]
    values: Mapping[str, str]
    lift: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    gamma: tuple[float, float, float]
    vignette: float
    hard: tuple[str, ...] = ()


LOOKS = {
    "warm-film": Look(
        "Warm, bright, flat film: lifted blacks, faded colours",
        {"colour_balance.temperature": 1500.0, "colour_balance.tint": 20.0, "exposure.ev": 0.8},
        {"saturation.amount": "80%", "contrast.amount": "-30%", "tone_map.shadows": "70%", "look_table.amount": "80%"},
        ((0.07, 0.98), (0.04, 0.94), (0.03, 0.85)),
        (0.92, 1.0, 1.08),
        0.2,
    ),
    "stark": Look(
        "Stark and nearly colourless: deep blacks, bright whites",
        {"exposure.ev": 0.5},
        {"saturation.amount": "12%", "contrast.amount": "80%", "tone_map.shadows": "-60%", "texture.amount": "60%"},
        ((0.0, 1.0), (0.0, 0.99), (0.01, 0.97)),
        (1.05, 1.05, 1.05),
        0.25,
        ("saturation.amount", "contrast.amount"),
    ),
    "teal-night": Look(
        "Cold, dark and green-blue, with strong colours",
        {"colour_balance.temperature": -1500.0, "colour_balance.tint": -30.0, "exposure.ev": -0.9},
        {"saturation.amount": "120%", "contrast.amount": "20%"},
        ((0.0, 0.93), (0.02, 0.98), (0.05, 1.0)),
        (1.15, 1.0, 0.95),
        0.3,
    ),
}


def afterwards(look: Look, picture: Picture) -> Picture:
    """A finished picture ``(3, H, W)`` with the curves and the vignette of a look, which photo finishing has not."""
    _, height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    darker = 1 - look.vignette * (x**2 + y**2) / 2
    curved = np.clip(picture, 0, 1) ** np.array(look.gamma)[:, None, None]
    black, white = (np.array(ends)[:, None, None] for ends in zip(*look.lift, strict=True))
    return (np.clip(black + (white - black) * curved, 0, 1) * darker).astype(np.float32)
