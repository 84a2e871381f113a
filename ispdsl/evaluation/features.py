"""What an error is told from: settings by their places in the sampled ranges, and plain facts of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ispdsl.comparison.pair import peak_of
from ispdsl.ir.types import Type
from ispdsl.proxies.task import Knob

Floats = NDArray[np.float64]

CHUNKS = 8
"""Numbers that a larger table is told by: the means of as many pieces of it."""

TOLERANCE = 1e-4
"""Of the width of a range: a number this little outside is inside, as float32 has it."""

FINEST = 2.0**-16
"""Of the range from black to white: spreads of an ensemble below it count as none."""

FACTS = ("mean", "spread", "clipped", "dark", "detail")
"""Of an image, as `facts` gives them."""


@dataclass(frozen=True)
class Outside:
    """A setting that lies outside of what was sampled.

    Attributes:
        address: of the parameter.
        message: what it is and what was sampled, in the numbers of the pipeline's canonical units.
        by: how far, as a fraction of the range's width; 1 of a name that was not sampled, infinite of what was not
            varied at all.
    """

    address: str
    message: str
    by: float


def place(knob: Knob, value: Any) -> Floats:
    """A canonical value as numbers that are 0..1 inside the sampled range: one, one an option, or one a table element.

    Args:
        knob: the parameter.
        value: a number, name, switch, or array (of numpy or torch).
    """
    if knob.kind == "toggle":
        return np.array([float(bool(value))])
    if knob.kind == "choice":
        return np.array([float(value == option) for option in knob.options])
    numbers = np.asarray(value, np.float64).reshape(-1)
    low, high = knob.low, knob.high
    if knob.reciprocal and low > 0:
        numbers, low, high = 1 / np.maximum(numbers, 1e-12), 1 / low, 1 / high
    return (numbers - low) / (high - low) if high != low else numbers - low + 0.5


def row(knobs: Sequence[Knob], settings: Mapping[str, Any]) -> Floats:
    """One setting as a point of the unit cube; large tables by the means of `CHUNKS` pieces."""
    parts = [place(knob, settings[knob.address]) for knob in knobs]
    short = [
        np.array([piece.mean() for piece in np.array_split(part, CHUNKS)])
        if knob.kind == "table" and len(part) > CHUNKS
        else part
        for knob, part in zip(knobs, parts, strict=True)
    ]
    return np.concatenate([*short, np.zeros(0)])


def outside(knobs: Sequence[Knob], constants: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Outside, ...]:
    """The settings that lie outside of what was sampled, the furthest first.

    Args:
        knobs: what was varied.
        constants: canonical values, by address, of what was adjustable and the same in all samples.
        settings: canonical values by address.
    """
    found = [each for knob in knobs if knob.address in settings and (each := _beyond(knob, settings[knob.address]))]
    for address, kept in constants.items():
        if address in settings and not _same(kept, settings[address]):
            message = f"{_text(settings[address])}, but all samples had {_text(kept)}"
            found.append(Outside(address, message, float("inf")))
    return tuple(sorted(found, key=lambda each: -each.by))


def _beyond(knob: Knob, value: Any) -> Outside | None:
    if knob.kind == "toggle":
        return None
    if knob.kind == "choice":
        if value in knob.options:
            return None
        return Outside(knob.address, f"{value}, but sampled were {', '.join(knob.options)}", 1.0)
    places = place(knob, value)
    by = float(np.maximum(-places, places - 1).max(initial=0.0))
    if by <= TOLERANCE:
        return None
    return Outside(knob.address, f"{_text(value)}, but sampled were {knob.low:g}..{knob.high:g}", by)


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, str | bool) or isinstance(two, str | bool):
        return bool(one == two)
    first, second = np.asarray(one, np.float64).reshape(-1), np.asarray(two, np.float64).reshape(-1)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=1e-7))


def _text(value: Any) -> str:
    if isinstance(value, str | bool):
        return str(value)
    numbers = np.asarray(value, np.float64).reshape(-1)
    if len(numbers) == 1:
        return f"{numbers[0]:g}"
    return f"{len(numbers)} numbers in {numbers.min():g}..{numbers.max():g}"


def facts(image: NDArray[Any], type_: Type, metadata: Mapping[str, ArrayLike]) -> Floats:
    """`FACTS` of an image `(C, H, W)` in the numbers of its type: plain statistics that do not depend on its size.

    Mean and spread of the values with black 0 and white 1, and the mean step to the neighbour of the same colour, all
    as binary logarithms; the shares of values at white or above, and at black or below.
    """
    pixels = np.asarray(image, np.float32)
    white = peak_of(type_, metadata)
    black = float(np.mean(np.asarray(metadata.get("black_level", 0.0)))) if type_.name == "raw" else 0.0
    pixels = (pixels - np.float32(black)) / np.float32(max(white - black, 1e-9))
    step = 2 if type_.name == "raw" and len(pixels) == 1 else 1
    across = np.abs(pixels[:, :, step:] - pixels[:, :, :-step])
    detail = float(across.mean(dtype=np.float64)) if across.size else 0.0
    mean, spread = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))
    clipped, dark = float(np.mean(pixels >= 0.98)), float(np.mean(pixels <= 0.005))
    return np.array([_log(mean), _log(spread), clipped, dark, _log(detail)])


def apart(images: Sequence[NDArray[Any]], type_: Type, metadata: Mapping[str, ArrayLike]) -> float:
    """How far the members of an ensemble are apart: binary logarithm of the root mean square of their spread.

    Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.

    Args:
        images: what each member made, `(C, H, W)`, in the numbers of the type.
        type_: of all.
        metadata: of the frame, for the white level of a mosaic.
    """
    stacked = np.stack([np.asarray(image, np.float32) for image in images])
    variance = float(np.square(stacked - stacked.mean(axis=0)).mean(dtype=np.float64))
    if not np.isfinite(variance):
        return 0.0
    return float(np.log2(np.sqrt(variance) / max(peak_of(type_, metadata), 1e-9) + FINEST))


def _log(value: float) -> float:
    return float(np.log2(max(value, 0.0) + 2.0**-10))
