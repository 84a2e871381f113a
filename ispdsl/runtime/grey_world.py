"""The grey-world estimate of a white balance.

Buchsbaum, "A spatial processor model for object colour perception", Journal of the Franklin Institute 310(1), 1980.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNCLIPPED = 0.98
"""Cells with a sample above this share of white do not count: a clipped colour lies."""


def grey_world(codes: ArrayLike, cfa: str, black: ArrayLike, white: float) -> NDArray[np.float64] | None:
    """Camera colour of a neutral, green = 1, if the unclipped scene is grey on average.

    Args:
        codes: mosaic `(H, W)`.
        cfa: name of its Bayer pattern.
        black: levels of the four sites in reading order.
        white: code of white.

    Returns:
        `(3,)`, or None where nothing is unclipped or a colour is missing from the scene.
    """
    samples, levels = np.asarray(codes), np.asarray(black, dtype=np.float64)
    rows, columns = samples.shape[0] // 2 * 2, samples.shape[1] // 2 * 2
    sites = np.stack([samples[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)])
    relative = (sites - levels[:, None, None]) / (white - levels[:, None, None])
    unclipped = relative[:, (relative < UNCLIPPED).all(axis=0)]
    if not unclipped.size:
        return None
    means = unclipped.mean(axis=1)
    colours = np.array([np.mean([means[k] for k in range(4) if cfa[k] == name]) for name in "rgb"])
    return None if colours.min() <= 1e-3 * colours.max() else colours / colours[1]
