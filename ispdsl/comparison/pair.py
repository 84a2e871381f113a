"""One tap or output of two developments of the same frame, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ispdsl.comparison.colour import CODED, colorimetry, luma
from ispdsl.comparison.metrics import ColourDifference, Largest, ciede2000, largest, psnr, ssim
from ispdsl.comparison.overlap import IncomparableError, Overlap, overlap
from ispdsl.ir.types import INTEGER_STORAGE, Type
from ispdsl.runtime.spaces import LINEAR, SRGB_CURVE, Floats

Image = NDArray[np.float32]
Kind = Literal["tap", "output"]
Metadata = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Figures:
    """How far two images are apart. `largest` is in the image's own numbers, its place in those of the first image."""

    peak: float
    psnr: float
    ssim: float | None
    ciede2000: ColourDifference | None
    largest: Largest

    @property
    def equal(self) -> bool:
        """Whether every value is the same."""
        return self.largest.difference == 0


@dataclass(frozen=True, eq=False)
class Pair:
    """What two backends gave for a tap or an output: the common parts of the images and their figures.

    `refused` says why there are none.
    """

    name: str
    kind: Kind
    type: Type
    images: tuple[Floats, Floats] | None = None
    figures: Figures | None = None
    note: str = ""
    refused: str = ""

    def within(self, tolerance: float) -> bool:
        """Whether no value is further off than this fraction of the peak; what was refused is not."""
        return self.figures is not None and self.figures.largest.difference <= tolerance * self.figures.peak


def peak_of(type_: Type, metadata: Metadata) -> float:
    """The value that stands for white: 1 for floats, of integer codes the largest, of a mosaic's the white level."""
    bits = INTEGER_STORAGE.fullmatch(str(type_.args[1]))
    if bits is None:
        return 1.0
    if type_.name == "raw" and "white_level" in metadata:
        return float(np.asarray(metadata["white_level"]))
    return 2.0 ** int(bits[1]) - 1


def compare(
    name: str,
    kind: Kind,
    type_: Type,
    images: tuple[Image | None, Image | None],
    metadata: Metadata,
    border: int = 0,
) -> Pair:
    """Compare two images of one type.

    Args:
        name: of the tap or output.
        kind: which of both it is.
        type_: of the images.
        images: `(C, H, W)` of the first and of the second backend; None where it gave none.
        metadata: of the frame: the white level, and the camera's colour.
        border: pixels to leave out at each side.
    """
    first, second = images
    if first is None or second is None:
        which = "neither backend" if first is second else "the first backend" if first is None else "the second backend"
        return Pair(name, kind, type_, refused=f"{which} gives it" if first is second else f"{which} does not give it")
    for image, which in ((first, "first"), (second, "second")):
        wrong = image.size - int(np.count_nonzero(np.isfinite(image)))
        if wrong:
            return Pair(name, kind, type_, refused=f"{wrong} of {image.size} values of the {which} are not finite")
    try:
        common = overlap(first.shape, second.shape, mosaic=type_.name == "raw", border=border)
    except IncomparableError as error:
        return Pair(name, kind, type_, refused=f"{error.message}; {error.hint}" if error.hint else error.message)
    parts = common.cut(first, second)
    return Pair(name, kind, type_, parts, _figures(*parts, type_, metadata, common), common.note)


def _figures(first: Floats, second: Floats, type_: Type, metadata: Metadata, common: Overlap) -> Figures:
    peak = peak_of(type_, metadata)
    furthest = largest(first, second)
    top, left = common.first
    place = Largest(
        furthest.difference,
        furthest.plane,
        furthest.row + top,
        furthest.column + left,
        furthest.first,
        furthest.second,
    )
    one, two = first / np.float32(peak), second / np.float32(peak)
    colours = colorimetry(str(type_.args[0]), metadata) if type_.name == "rgb" else None
    return Figures(
        peak,
        psnr(first, second, peak),
        structure(one, two, type_, metadata),
        ciede2000(one, two, colours) if colours else None,
        place,
    )


def structure(first: Floats, second: Floats, type_: Type, metadata: Metadata) -> float | None:
    """SSIM of two images with white 1: of the luma of colours, else the mean over planes.

    Light is coded by sRGB's curve first. Chroma is moved to 0..1, for SSIM takes an image and its negative about zero
    for much the same. The planes of a mosaic are its 2x2 sites: as it stands it has the structure of its filters.
    """
    pairs = zip(_planes(first, type_, metadata), _planes(second, type_, metadata), strict=True)
    found = [ssim(one, two) for one, two in pairs]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if len(known) == len(found) else None


def _planes(image: Floats, type_: Type, metadata: Metadata) -> list[Floats]:
    space = str(type_.args[0])
    if type_.name == "rgb":
        return [luma(image, space, metadata)]
    if type_.name == "chroma":
        return list(image + np.float32(0.5))
    if type_.name == "luma":
        known = colorimetry(space, metadata)
        linear = space not in CODED and (known is None or known.transfer == LINEAR)
        return list(SRGB_CURVE.encode(image) if linear else image)
    coded = SRGB_CURVE.encode(image)
    if len(image) > 1:
        return list(coded)
    return [
        coded[0, row::2, column::2][: image.shape[1] // 2, : image.shape[2] // 2] for row in (0, 1) for column in (0, 1)
    ]
