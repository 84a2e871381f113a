"""Answers as models can bear them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.engine import HUGE
from ispdsl.optimise.space import Numbers

Indices = NDArray[np.intp]
"""Which answers, or which axes."""


def tamed(answers: Sequence[float] | Numbers) -> Numbers:
    """Answers in which calls that failed before any other had a score count as the worst of the rest."""
    values = np.asarray(answers, np.float64)
    scored = values[values < HUGE]
    return np.minimum(values, scored.max() if len(scored) else 0.0)
