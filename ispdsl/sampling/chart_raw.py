"""Chart raws: mosaics of flat patches whose colours cover what photographs seldom hold, for any real thing.

Doubles learn what a stage does to a colour from the colours that reach it. Ten photographs leave large holes: saturated
colours, deep shadows beside bright light. A chart goes through the whole real thing like a photograph, so that what its
taps show of it counts for every stage, and nothing has to be opened that is closed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.types import INTEGER_STORAGE, Type
from ispdsl.runtime.frame import Frame, FrameSource

PATCH = 8
"""Height and width of a patch in px: the middle of each is out of reach of a demosaic's neighbourhood."""

DARK, NEUTRAL, PRIMARY = 0.35, 0.55, 0.9
"""Shares, running: dark patches, patches near the neutral axis, even ones, and some with whole planes at zero."""

STOPS = 10
"""How far below white the dark patches reach."""


def chart_raw(frame: Frame, seed: int, side: int = 1024, patch: int = PATCH) -> Frame:
    """A chart as the camera of a frame would have taken it: its CFA, levels, white balance and colour matrices.

    Args:
        frame: whose camera it is; of its picture nothing is used.
        seed: of the colours; equal seeds give equal charts.
        side: height and width in px, rounded up to whole patches.
        patch: height and width of a patch in px, even.

    Returns:
        A frame without noise, with a flat gain map. In each patch either the light before white balance or that after
        it fills 0..1.
    """
    rng = np.random.default_rng(seed)
    count = -(-side // patch)
    light = _colours(rng, count)
    neutral = np.asarray(frame.metadata["as_shot_neutral"], dtype=np.float64)
    balanced = rng.random((count, count)) < 0.5
    light[:, balanced] *= (neutral / neutral.max())[:, None]
    image = _mosaic(light.repeat(patch, axis=1).repeat(patch, axis=2), frame.cfa)
    codes = np.round(image * _span(frame, image.shape)[1] + _span(frame, image.shape)[0])
    storage = INTEGER_STORAGE.fullmatch(str(frame.type.args[1]))
    bits = int(storage[1]) if storage else 16
    metadata = {**frame.metadata, "gain_map": np.ones((4, 1, 1))}
    return replace(
        frame,
        image=codes.clip(0, 2**bits - 1).astype(np.uint16),
        type=Type(name="raw", args=(frame.cfa, f"u{bits}")),
        metadata=metadata,
        orientation=1,
        source=FrameSource(f"chart {seed}", "", "ispdsl", f"chart for {frame.source.model}".strip(), "synthetic"),
        notes=(),
    )


def _colours(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Light of `count` x `count` patches in three planes."""
    light = rng.random((3, count, count))
    kind = rng.random((count, count))
    dark = kind < DARK
    light[:, dark] *= 2.0 ** (-STOPS * rng.random(int(dark.sum())))
    grey = (kind >= DARK) & (kind < NEUTRAL)
    light[:, grey] = light[:, grey].mean(axis=0) * np.exp(rng.normal(0.0, 0.25, (3, int(grey.sum()))))
    primary = kind >= PRIMARY
    light[:, primary] *= rng.random((3, int(primary.sum()))) > 0.5
    return light.clip(0.0, 1.0)


def _mosaic(light: NDArray[np.float64], cfa: str) -> NDArray[np.float64]:
    """What of three planes each site sees."""
    if cfa == "linear":
        return light
    image = np.empty((1, *light.shape[1:]))
    for site, colour in enumerate(cfa):
        row, column = divmod(site, 2)
        image[0, row::2, column::2] = light["rgb".index(colour), row::2, column::2]
    return image


def _span(frame: Frame, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Black, and white above black, of every sample."""
    black = np.asarray(frame.metadata["black_level"], dtype=np.float64)
    white = float(np.asarray(frame.metadata["white_level"]))
    levels = np.empty(shape)
    if frame.cfa == "linear":
        levels[:] = black[:3, None, None]
    else:
        for site in range(4):
            levels[0, site // 2 :: 2, site % 2 :: 2] = black[site]
    return levels, white - levels
