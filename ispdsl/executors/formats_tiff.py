"""TIFFs whose compression or predictor tifffile does not undo by itself: LZW of 16 bits, floats after prediction.

libtiff, which comes with Pillow, unpacks the strips of any picture when it is told that they are rows of bytes. What
the predictor did is undone here (TIFF 6.0, section 14; Adobe Photoshop TIFF Technical Note 3 for floats).
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

SHORT, LONG = 3, 4
NONE, HORIZONTAL, FLOATING = 1, 2, 3
"""Predictors."""

CONTIGUOUS = 1


def unpacked(data: bytes, page: tifffile.TiffPage) -> NDArray[Any]:
    """The samples ``(H, W, C)`` of a page whose planes lie together.

    Raises:
        ValueError: it is tiled, its planes lie apart, or libtiff does not unpack it either.
    """
    name = getattr(page.compression, "name", page.compression)
    if page.is_tiled or page.planarconfig != CONTIGUOUS or page.dtype is None or data[2:3] not in (b"*", b"\0"):
        raise ValueError(f"compression {name} is not read; let the program write it uncompressed")
    depth, planes = np.dtype(page.dtype), page.samplesperpixel
    try:
        # not by Image.open, which counts bytes as pixels here and takes a large picture for a bomb
        packed = np.asarray(TiffImageFile(io.BytesIO(_as_bytes(data, page, depth.itemsize * planes))))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"compression {name} is not read ({error}); let the program write it uncompressed") from None
    packed = np.ascontiguousarray(packed).reshape(page.imagelength, page.imagewidth * planes * depth.itemsize)
    return _predicted(packed, page, depth).reshape(page.imagelength, page.imagewidth, planes)


def _predicted(rows: NDArray[np.uint8], page: tifffile.TiffPage, depth: np.dtype[Any]) -> NDArray[Any]:
    """Samples from rows of bytes ``(H, bytes)``, the predictor undone."""
    height, planes = rows.shape[0], page.samplesperpixel
    if page.predictor == FLOATING:
        summed = np.cumsum(rows.reshape(height, -1, planes), axis=1, dtype=np.uint8)
        apart = summed.reshape(height, depth.itemsize, -1)  # the high bytes of a row first, whatever the byte order
        return np.ascontiguousarray(apart.swapaxes(1, 2)).view(depth.newbyteorder(">"))[..., 0].astype(depth)
    samples = rows.view(depth.newbyteorder(page.parent.byteorder)).astype(depth)
    if page.predictor == HORIZONTAL:
        return np.cumsum(samples.reshape(height, -1, planes), axis=1, dtype=depth)
    return samples


def _as_bytes(data: bytes, page: tifffile.TiffPage, pixel: int) -> bytes:
    """The same file with another directory: grey, a byte a sample, `pixel` of them for each of its pixels."""
    order = page.parent.byteorder
    offsets, counts = list(page.dataoffsets), list(page.databytecounts)
    start = len(data) + len(data) % 2
    tables = start + 2 + 9 * 12 + 4
    entries: list[tuple[int, int, list[int]]] = [
        (256, LONG, [page.imagewidth * pixel]),
        (257, LONG, [page.imagelength]),
        (258, SHORT, [8]),
        (259, SHORT, [int(page.compression)]),
        (262, SHORT, [1]),  # PhotometricInterpretation: black is zero
        (273, LONG, offsets),
        (277, SHORT, [1]),
        (278, LONG, [min(page.rowsperstrip, page.imagelength)]),
        (279, LONG, counts),
    ]
    directory, beyond = struct.pack(order + "H", len(entries)), b""
    for code, kind, values in entries:
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(packed) > 4:
            place = struct.pack(order + "I", tables + len(beyond))
            beyond += packed
        else:
            place = packed.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", code, kind, len(values)) + place
    head = data[:4] + struct.pack(order + "I", start)
    return head + data[8:] + bytes(len(data) % 2) + directory + bytes(4) + beyond
