"""All faults."""

from __future__ import annotations

from benchmarks.faults import colour, demosaic, detail, output, raw, statistics, tone
from benchmarks.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *raw.FAULTS,
    *demosaic.FAULTS,
    *statistics.FAULTS,
    *tone.FAULTS,
    *colour.FAULTS,
    *detail.FAULTS,
    *output.FAULTS,
)
