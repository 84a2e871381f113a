"""A raw frame: its samples as the sensor gave them, their type, and what is known of the camera."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.types import BAYER, Type

Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Metadata = Mapping[str, float | NDArray[np.float64]]


class RawError(Exception):
    """A raw file cannot be read. `message` says which file and why, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  {hint}" if hint else message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class FrameSource:
    """Where a frame came from."""

    path: str
    sha256: str
    make: str
    model: str
    decoder: str
    """Name and version of what decoded the file, e.g. ``LibRaw 0.22.2``."""
    whole: bool = True
    """Whether the frame is the picture that the file holds; not so for a crop."""
    bordered: bool = False
    """Whether the file holds samples around the frame, such as masked pixels, which some programs show."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A raw frame in sensor codes.

    Attributes:
        image: `(1, H, W)` mosaic, or `(3, H, W)` with three samples a site; native codes, the orientation not applied.
        type: `raw<CFA, storage>`; the storage is wide enough for the white level and for every code of the image.
        metadata: always `black_level` `(4,)` and `white_level` in codes, `as_shot_neutral` `(3,)` with green = 1,
            `as_shot_temperature` in kelvin, `as_shot_tint`, `colour_matrix_1` and `colour_matrix_2` `(3, 3)` from XYZ
            to camera, `illuminant_1` <= `illuminant_2` in kelvin, `baseline_exposure` in EV and `gain_map` `(4, rows,
            columns)`, all ones where the file has none. Where the file knows them: `noise_profile` `(2,)`, `iso`,
            `exposure_time` in seconds, `f_number`. The four sites are in reading order of the top-left 2x2 sites; of a
            frame with three samples a site they stand for R, G, B, G.
        orientation: EXIF orientation, 1..8, for whoever writes the picture.
        source: the file and what decoded it.
        notes: what had to be assumed, for the user to read.
    """

    image: Image
    type: Type
    metadata: Metadata
    orientation: int
    source: FrameSource
    notes: tuple[str, ...] = ()

    @property
    def cfa(self) -> str:
        """Name of the colour filter array: `rggb`, `bggr`, `grbg`, `gbrg` or `linear`."""
        return str(self.type.args[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def content_hash(self) -> str:
        """SHA-256 of samples, type, metadata and orientation; where the frame came from does not count."""
        digest = hashlib.sha256(f"{self.type} {self.image.shape} {self.image.dtype.str} {self.orientation}".encode())
        digest.update(np.ascontiguousarray(self.image).tobytes())
        values = {name: np.asarray(value, dtype=np.float64).tolist() for name, value in self.metadata.items()}
        digest.update(json.dumps(values, sort_keys=True).encode())
        return digest.hexdigest()

    def crop(self, top: int, left: int, height: int, width: int) -> Frame:
        """A part of the frame. An odd offset shifts the CFA, so the type and all that is kept a site follow.

        Raises:
            RawError: the part is empty or reaches beyond the frame.
        """
        rows, columns = self.size
        if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
            raise RawError(
                f"{self.source.path}: a crop of {width} x {height} at column {left}, row {top} "
                f"does not lie inside {columns} x {rows}",
                "choose an offset and a size inside the frame",
            )
        gains = window(np.asarray(self.metadata["gain_map"]), (top, left, height, width), self.size)
        black = np.asarray(self.metadata["black_level"])
        kind = self.type
        if self.cfa != "linear":
            order = sites_from(top, left)
            kind = Type(name="raw", args=(shifted_cfa(self.cfa, top, left), *self.type.args[1:]))
            gains, black = gains[order], black[order]
        metadata = {**self.metadata, "gain_map": gains, "black_level": black}
        image = self.image[:, top : top + height, left : left + width].copy()
        source = replace(self.source, whole=False)
        return replace(self, image=image, type=kind, metadata=metadata, source=source)


def sites_from(top: int, left: int) -> list[int]:
    """Which of the 2x2 sites, in reading order, come first, second, third and fourth from this row and column on."""
    return [2 * ((i + top) % 2) + (j + left) % 2 for i in (0, 1) for j in (0, 1)]


def shifted_cfa(cfa: str, top: int, left: int) -> str:
    """Name of the Bayer pattern that starts `top` rows and `left` columns into the pattern `cfa`."""
    name = "".join(cfa[site] for site in sites_from(top, left))
    assert name in BAYER, f"{cfa} is no Bayer pattern"
    return name


def window(gains: NDArray[np.float64], part: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """The piece of a gain map `(4, R, C)` for a part (top, left, height, width) of a frame, as many samples again."""
    top, left, height, width = part
    rows, columns = _span(top, height, size[0], gains.shape[1]), _span(left, width, size[1], gains.shape[2])
    return resample(gains, rows, columns)


def resample(grid: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear samples of a grid at relative rows and columns.

    Args:
        grid: `(planes, R, C)`; sample i of n sits at i/(n-1), and outside of 0..1 the rim goes on.
        rows: relative positions down the grid.
        columns: relative positions across it.
    """
    low_row, row_weight = _neighbours(rows, grid.shape[1])
    low_column, column_weight = _neighbours(columns, grid.shape[2])
    high_row = np.minimum(low_row + 1, grid.shape[1] - 1)
    high_column = np.minimum(low_column + 1, grid.shape[2] - 1)
    along = grid[:, low_row] * (1 - row_weight)[:, None] + grid[:, high_row] * row_weight[:, None]
    return along[:, :, low_column] * (1 - column_weight) + along[:, :, high_column] * column_weight


def _neighbours(positions: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index of the sample at or before each relative position and the weight of the next one."""
    scaled = np.clip(positions, 0.0, 1.0) * (count - 1)
    low = np.minimum(scaled.astype(np.intp), max(count - 2, 0))
    return low, scaled - low


def _span(start: int, length: int, total: int, count: int) -> NDArray[np.float64]:
    """`count` relative positions that span a part of an axis from edge to edge."""
    return np.linspace(start / total, (start + length) / total, count)
