"""One sample: what the real thing made of one part of one raw at one point of the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """Everything that training needs to know of one call of the real thing. It is kept as one blob.

    Attributes:
        images: the watched values by name (inputs, taps and outputs of the pipeline), `(C, H, W)` float32 in the
            numbers of their types.
        settings: every adjustable value by address, as `ispdsl.runtime.sidecar.Sidecar` writes it (declared units).
        metadata: of the frame, canonical.
        type: of the frame, ``raw<rggb, u16>``.
        raw: name of the file that the part was cut from.
        part: top, left, height and width of the part, in pixels of the raw.
        seconds: that the real thing took.
    """

    images: Mapping[str, NDArray[np.float32]]
    settings: Mapping[str, Any]
    metadata: Mapping[str, float | NDArray[np.float64]]
    type: str
    raw: str
    part: tuple[int, int, int, int]
    seconds: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
