"""What every contender is given: a pipeline, and a raw of the size that is measured.

What only some of them need is read when they ask for it, once: LibRaw develops the file and needs no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ispdsl.graph import Graph
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

GRADIENT_PIXELS = 1_000_000
"""How much of a raw gradients are measured on at most: what a reverse pass keeps is many times the image."""


@dataclass(frozen=True)
class Job:
    """What is to be developed, and by how many threads. Paths only, so that it can be handed to another process."""

    file: str
    """Of the pipeline."""
    raw: str
    threads: int
    pipeline: str | None = None
    values: tuple[tuple[str, str], ...] = ()
    """Settings other than those that the pipeline starts at, by address."""
    presets: tuple[str, ...] = ()
    """Files of settings; later ones win, and `values` over all."""
    trust: tuple[str, ...] = ()
    describe: str | None = None


@cache
def graph_of(job: Job) -> Graph:
    """The graph of the pipeline.

    Raises:
        IspError: the file has errors.
        PlanError: it has no such pipeline.
    """
    from ispdsl.graph import build
    from ispdsl.lower.loader import load

    return build(load(Path(job.file)), job.pipeline)


@cache
def frame_of(job: Job) -> Frame:
    """The raw.

    Raises:
        RawError: it cannot be read.
    """
    from ispdsl.runtime.rawfile import read

    return read(job.raw, Path(job.describe) if job.describe else None)


@cache
def part_of(job: Job) -> Frame:
    """The middle of the raw that gradients are measured on."""
    frame = frame_of(job)
    return middle(frame, min(1.0, GRADIENT_PIXELS / (frame.size[0] * frame.size[1])))


def settings_of(job: Job, frame: Frame) -> Settings:
    """The settings that are measured with.

    Raises:
        SettingsError: a value does not fit.
    """
    from ispdsl.runtime.sidecar import load
    from ispdsl.runtime.values import Settings

    settings = Settings.of(graph_of(job))
    for each in job.presets:
        settings = load(Path(each)).apply(settings)
    return settings.update(dict(job.values), Path.cwd()).resolved(frame.metadata)


def middle(frame: Frame, share: float) -> Frame:
    """The part in the middle of a frame that has this share of its pixels, at an even offset and of even sides."""
    rows, columns = frame.size
    height, width = (2 * max(1, math.floor(side * math.sqrt(share) / 2)) for side in (rows, columns))
    height, width = min(height, rows), min(width, columns)
    return frame.crop((rows - height) // 4 * 2, (columns - width) // 4 * 2, height, width)


def sized(frame: Frame, megapixels: float) -> Frame:
    """A frame of another size and of the same shape: its middle, or the frame again and again in both directions.

    The mosaic goes on from tile to tile: tiles have even sides. They have no gain map, which belongs to the frame as
    it was.

    Args:
        frame: with at least 2 x 2 samples.
        megapixels: of the result, to about a row and a column.
    """
    import numpy as np

    rows, columns = frame.size
    share = megapixels * 1e6 / (rows * columns)
    if share <= 1:
        return middle(frame, share)
    even = frame.crop(0, 0, rows // 2 * 2, columns // 2 * 2)
    height, width = (2 * round(side * math.sqrt(share) / 2) for side in (rows, columns))
    down, across = -(-height // even.size[0]), -(-width // even.size[1])
    image = np.ascontiguousarray(np.tile(even.image, (1, down, across))[:, :height, :width])
    return replace(even, image=image, metadata={**even.metadata, "gain_map": np.ones((4, 2, 2))})


def write_raw(frame: Frame, folder: Path) -> Path:
    """The frame as an uncompressed DNG, which every contender can read."""
    import numpy as np

    from ispdsl.executors.formats_raw import encode_dng

    image = np.asarray(frame.image, dtype=np.uint16)
    for name, content in encode_dng("sized.dng", image, frame.type, frame).items():
        (folder / name).write_bytes(content)
    return folder / "sized.dng"
