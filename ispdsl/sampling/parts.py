"""Parts of raws: which crops the real thing is asked for, and how much of their rim is border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ispdsl.graph import Graph
from ispdsl.runtime.frame import Frame


@dataclass(frozen=True, eq=False)
class Part:
    """A crop of a raw. `place` is top, left, height and width in pixels of the raw, all even."""

    raw: str
    place: tuple[int, int, int, int]
    frame: Frame
    digest: str
    """The frame's content hash."""


def parts_of(frame: Frame, name: str, side: int, count: int, seed: int) -> list[Part]:
    """Crops of a raw, at random; equal arguments give equal parts, and the first ones do not depend on `count`.

    Offsets and sizes are even, so that the colour filter array begins as in the raw. A raw smaller than `side` is
    taken whole, up to an odd row or column.

    Args:
        frame: the raw.
        name: of the raw, unique in the run.
        side: height and width in px.
        count: how many, or fewer where the raw has no more different ones.
        seed: of what is drawn.
    """
    rows, columns = frame.size
    height, width = (max(min(side, size) // 2 * 2, 1) for size in (rows, columns))
    tops, lefts = (rows - height) // 2 + 1, (columns - width) // 2 + 1
    rng = np.random.default_rng([seed, *name.encode()])
    places: dict[tuple[int, int, int, int], None] = {}
    while len(places) < min(count, tops * lefts):
        top, left = 2 * int(rng.integers(tops)), 2 * int(rng.integers(lefts))
        places[top, left, height, width] = None
    crops = [(place, frame.crop(*place)) for place in places]
    return [Part(name, place, crop, crop.content_hash) for place, crop in crops]


def border_of(flat: Graph) -> int:
    """How far in px a pixel of the last value looks into the input, along the widest way: the border of a part.

    Within it, what was made of a part differs from what the whole raw would have given there. Stages that look
    everywhere add nothing, as no border would be wide enough, and statistics are those of the part.

    Args:
        flat: a graph without sub-pipelines.
    """
    reach: dict[str, int] = {}
    for call in flat.calls:
        own = (call.footprint.radius or 0) if call.footprint is not None else 0
        before = (reach.get(value.node, 0) for value in call.inputs.values() if value.node is not None)
        reach[call.address] = own + max(before, default=0)
    return max(reach.values(), default=0)
