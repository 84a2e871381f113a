"""A PNG writer for 8 and 16 bits a sample with a colour profile (ISO/IEC 15948:2004; W3C PNG, third edition).

The lines are compressed in strips by several threads. Each strip begins a new deflate block at a whole byte and looks
at nothing of the one before, so that the strips one after the other are one zlib stream (RFC 1950, RFC 1951).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng as zlib

from ispdsl.runtime.strips import in_strips

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, TRUECOLOUR = 0, 2
UP = 2
"""The filter that subtracts the line above: the cheapest, and on photographs as small as any other fixed one."""

CODE_POINTS = {"pq": (9, 16), "hlg": (9, 18)}
"""Primaries and transfer (ITU-T H.273) of the colour spaces that no ICC matrix profile describes."""

ZLIB = b"\x78\x9c"
"""Header of a zlib stream: deflate, a window of 32 KiB, the usual level."""

ADLER = 65521
"""The modulus of Adler-32 (RFC 1950)."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def encode_png(pixels: Pixels, icc: bytes | None, space: str = "srgb") -> bytes:
    """A PNG file of `pixels` ``(H, W, 1 or 3)``, uint8 or uint16, with `icc` embedded; equal input, equal bytes."""
    return b"".join(png_parts(pixels, icc, space))


def png_parts(pixels: Pixels, icc: bytes | None, space: str = "srgb") -> list[bytes]:
    """As `encode_png`, in parts that the file is in a row: a large one need not be in memory twice."""
    height, width, planes = pixels.shape
    depth = 8 * pixels.itemsize
    layout = struct.pack(">IIBBBBB", width, height, depth, GREY if planes == 1 else TRUECOLOUR, 0, 0, 0)
    chunks = [chunk(b"IHDR", layout)]
    if space in CODE_POINTS:
        chunks.append(chunk(b"cICP", bytes((*CODE_POINTS[space], 0, 1))))
    if icc is not None:
        chunks.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)))
    return [SIGNATURE, *chunks, *data_chunks(pixels), chunk(b"IEND", b"")]


def data_chunks(pixels: Pixels) -> list[bytes]:
    """The lines of a picture, compressed: an IDAT chunk for each strip."""
    height = len(pixels)

    def compressed(rows: slice) -> tuple[bytes, int, int]:
        lines = filtered(pixels, rows)
        data = compress(lines, rows.stop == height)
        return chunk(b"IDAT", ZLIB + data if rows.start == 0 else data), zlib.adler32(lines.data), lines.size

    strips = in_strips(compressed, height, pixels[:1].nbytes)
    checksum = 1
    for _, own, length in strips:
        checksum = combined(checksum, own, length)
    return [*(data for data, _, _ in strips), chunk(b"IDAT", struct.pack(">I", checksum))]


def filtered(pixels: Pixels, rows: slice) -> NDArray[np.uint8]:
    """Some lines as bytes, high byte first, each less the line above, its filter's number ahead."""
    above = max(rows.start - 1, 0)
    part = np.ascontiguousarray(pixels[above : rows.stop], dtype=pixels.dtype.newbyteorder(">"))
    lines = part.view(np.uint8).reshape(len(part), -1)
    coded = np.empty((rows.stop - rows.start, lines.shape[1] + 1), np.uint8)
    coded[:, 0] = UP
    first = len(coded) - len(lines) + 1  # 1 for the strip that begins at the top, where no line is above
    coded[:first, 1:] = lines[:first]
    np.subtract(lines[1:], lines[:-1], out=coded[first:, 1:])
    return coded


def compress(data: NDArray[np.uint8], last: bool) -> bytes:
    """Deflate with run lengths and Huffman codes only: on filtered photographs faster and smaller than level 4."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    return deflate.compress(data.data) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)


def combined(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two byte strings in a row from those of each; `length` is that of the second."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % ADLER
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % ADLER
    return high << 16 | low


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk: length, name, data, checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
