"""How near an exported form comes to the composite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.export.faults import ExportError
from ispdsl.ir.model import Port
from ispdsl.ir.types import INTEGER_STORAGE

Outputs = Mapping[str, NDArray[np.float32]]
"""Images ``(C, H, W)`` by the names of a pipeline's outputs."""


@dataclass(frozen=True)
class Closeness:
    """Differences of samples with 1 for white: the largest and the mean absolute one, and their PSNR in dB.

    `psnr` is infinite where all are equal.
    """

    largest: float
    mean: float
    psnr: float
    samples: int

    def values(self) -> dict[str, Any]:
        """As JSON has it; the PSNR of what is equal is null."""
        psnr = self.psnr if math.isfinite(self.psnr) else None
        return {"largest": self.largest, "mean": self.mean, "psnr": psnr, "samples": self.samples}

    def __str__(self) -> str:
        if self.largest == 0:
            return "equal, bit for bit"
        return f"at most {self.largest:.2g} off, {self.mean:.2g} on average, {self.psnr:.1f} dB"


def white_of(port: Port) -> float:
    """The value of white: the largest code of an integer storage, else 1."""
    storage = INTEGER_STORAGE.fullmatch(str(port.type.args[-1])) if port.type.args else None
    return float(2 ** int(storage[1]) - 1) if storage else 1.0


def closeness(found: NDArray[Any], wanted: NDArray[Any], white: float = 1.0) -> Closeness:
    """How far two arrays of one shape are apart.

    Raises:
        ExportError: their shapes differ, or what was found is not finite where the other is.
    """
    if found.shape != wanted.shape:
        said = f"what was exported gives {found.shape}, and the composite {wanted.shape}"
        raise ExportError(said, "please report this with the pipeline")
    difference = np.abs(np.asarray(found, np.float64) - np.asarray(wanted, np.float64)) / white
    difference[np.isnan(difference) & np.isnan(found) & np.isnan(wanted)] = 0.0
    if not np.isfinite(difference).all():
        raise ExportError("what was exported gives numbers that are not finite", "please report this with the pipeline")
    square = float(np.mean(np.square(difference))) if difference.size else 0.0
    psnr = math.inf if square == 0 else -10 * math.log10(square)
    largest, mean = (float(difference.max()), float(difference.mean())) if difference.size else (0.0, 0.0)
    return Closeness(largest, mean, psnr, difference.size)


def of_outputs(found: Outputs, wanted: Outputs, ports: Iterable[Port]) -> Closeness:
    """How far all outputs of two renderings are apart, taken together.

    Raises:
        ExportError: as `closeness`.
    """
    return together(closeness(found[port.name], wanted[port.name], white_of(port)) for port in ports)


def together(parts: Iterable[Closeness]) -> Closeness:
    """Several measurements as one of all their samples."""
    known = list(parts)
    samples = sum(part.samples for part in known)
    if not samples:
        return Closeness(0.0, 0.0, math.inf, 0)
    square = sum(10 ** (-part.psnr / 10) * part.samples for part in known) / samples
    mean = sum(part.mean * part.samples for part in known) / samples
    psnr = math.inf if square == 0 else -10 * math.log10(square)
    return Closeness(max(part.largest for part in known), mean, psnr, samples)


def held_to(found: Closeness, least: float, form: str) -> Closeness:
    """The measurement itself, once it is good enough.

    Raises:
        ExportError: it is below `least` dB.
    """
    if found.psnr < least:
        hint = f"nothing was written; --at-least {math.floor(found.psnr)} takes it as it is"
        raise ExportError(f"the {form} differs from the composite: {found}, and {least:g} dB are asked for", hint)
    return found
