"""What a predictor looked at, as a picture: for each setting, its attention over the photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ispdsl.learned.aim import Aim
from ispdsl.learned.prediction import Prediction
from ispdsl.optimise.free import written
from ispdsl.runtime.contact_sheet import contact_sheet, shrink, to_display
from ispdsl.runtime.pictures import orient

SIDE = 420
DIMMED = 0.35
"""How much of the photograph is left where nothing is looked at."""

COLD, WARM = np.array([0.05, 0.12, 0.35], np.float32), np.array([1.0, 0.62, 0.12], np.float32)


def draw_attention(
    path: Path, picture: NDArray[np.float32], space: str, orientation: int, aim: Aim, prediction: Prediction
) -> None:
    """Write the photograph and a panel for each setting, in which what it looked at is light and warm.

    Args:
        path: any format that `write_picture` knows.
        picture: what was rendered, ``(C, H, W)``, 1 for white, as the sensor lay.
        space: its colour space.
        orientation: how it is turned upright.
        aim: what was predicted.
        prediction: of the raw.

    Raises:
        PictureError: the file cannot be written.
    """
    shown = to_display(shrink(picture, SIDE), space)
    tiles = [("as rendered", orient(shown, orientation), "srgb")]
    for part, there in aim.places():
        heat = _spread(prediction.attention[there].mean(0), shown.shape[-2:])
        value = written(prediction.settings[part.slot.address], part.slot.unit)
        tiles.append((f"{part.slot.address} = {value}", orient(heated(shown, heat), orientation), "srgb"))
    contact_sheet(path, tiles)


def heated(picture: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture ``(3, H, W)`` in grey, blue where `heat` ``(H, W)`` is 0 and warm and light where it is 1."""
    grey = picture.mean(0, keepdims=True)
    colour = COLD[:, None, None] * (1 - heat) + WARM[:, None, None] * heat
    seen = grey * (DIMMED + (1 - DIMMED) * heat)
    return (0.55 * seen + 0.45 * colour * (0.3 + 0.7 * grey)).clip(0, 1).astype(np.float32)


def _spread(attention: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map over the whole picture, from 0 to 1; one that is the same everywhere is 0.5."""
    low, high = float(attention.min()), float(attention.max())
    even = high - low < 1e-6 * max(high, 1e-12)
    scaled = np.full_like(attention, 0.5) if even else (attention - low) / (high - low)
    found = F.interpolate(torch.from_numpy(scaled)[None, None], size, mode="bilinear", align_corners=False)
    return found[0, 0].numpy()
