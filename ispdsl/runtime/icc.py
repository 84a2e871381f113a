"""ICC profiles made from a colour space's primaries, white and curve: the same bytes every time (ICC.1:2022)."""

from __future__ import annotations

import hashlib
import io
import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ispdsl.runtime.spaces import D50, RGB_SPACES, Floats, Transfer, adaptation, rgb_to_d50, white_xyz

HEADER_SIZE = 128
CREATED = (2024, 1, 1, 0, 0, 0)
"""The date in every profile, fixed so that equal pictures are equal files."""


@cache
def profile(space: str, planes: int = 3) -> bytes | None:
    """A version 4.3 display profile for pictures in `space`, or None where no such profile can describe it.

    Args:
        space: a colour space by its name in types. ``camera``, ``xyz``, ``pq`` and ``hlg`` have none: a matrix and a
            curve cannot say what their numbers mean.
        planes: 3 for a matrix profile, 1 for a grey profile, which is the curve alone.
    """
    if space not in RGB_SPACES:
        return None
    rgb = RGB_SPACES[space]
    tags = {
        b"desc": localised(f"{space} (ispdsl)"),
        b"cprt": localised("No copyright, use freely"),
        b"wtpt": xyz_type(D50),
        b"chad": fixed_array(adaptation(white_xyz(rgb.white), D50).ravel()),
    }
    curve = parametric(rgb.transfer)
    if planes == 1:
        return assemble(b"GRAY", tags | {b"kTRC": curve})
    columns = exact_sum(rgb_to_d50(rgb)).T
    colorants = {name + b"XYZ": xyz_type(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
    return assemble(b"RGB ", tags | colorants | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def space_of(icc: bytes) -> str | None:
    """The colour space whose codes mean, to one part in 255, the colours that profile `icc` gives them; None if none.

    A profile is known by what it does to a grid of colours, never by its name.

    Raises:
        ImageCms.PyCMSError: the bytes are no ICC profile.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    model = icc[16:20]
    if model not in (b"RGB ", b"GRAY"):
        return None
    grid = probe("RGB" if model == b"RGB " else "L")
    for space in RGB_SPACES:
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile(space, len(grid.getbands())) or b""))
        seen = ImageCms.profileToProfile(grid, source, target, ImageCms.Intent.RELATIVE_COLORIMETRIC)
        if seen is not None and np.abs(np.asarray(seen, int) - np.asarray(grid, int)).max() <= 1:
            return space
    return None


def to_srgb(pixels: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """8-bit pixels ``(H, W, 3)`` described by the profile `icc`, as sRGB codes."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile("srgb") or b""))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(pixels), source, target, intent))


def probe(mode: str) -> Image.Image:
    """A picture of 7x7x7 colours (`mode` RGB) or of all greys (L)."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 7).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(49, 7, 3))


def exact_sum(colorants: Floats) -> Floats:
    """Round colorants ``(3, 3)`` to s15Fixed16 such that their sum is D50 exactly: equal codes stay neutral."""
    rounded = np.round(colorants * 65536)
    rounded[:, 1] += np.round(D50 * 65536) - rounded.sum(axis=1)
    return rounded / 65536


def fixed(value: float) -> bytes:
    """An s15Fixed16Number."""
    return struct.pack(">i", round(value * 65536))


def xyz_type(xyz: Floats) -> bytes:
    """An XYZType with one value."""
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, xyz))


def fixed_array(values: Floats) -> bytes:
    """An s15Fixed16ArrayType."""
    return b"sf32\0\0\0\0" + b"".join(map(fixed, values))


def localised(text: str) -> bytes:
    """A multiLocalizedUnicodeType with one record, in US English."""
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def parametric(transfer: Transfer) -> bytes:
    """A parametricCurveType: type 0 for straight lines, type 3 for a power with a toe."""
    if transfer == Transfer():
        return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + fixed(1)
    numbers = (transfer.gamma, transfer.a, transfer.b, transfer.slope, transfer.threshold)
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(fixed, numbers))


def assemble(colour_model: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Header, tag table and tag data, equal data stored once; the profile ID is the MD5 that section 7.2.18 defines."""
    offsets: dict[bytes, int] = {}
    body = b""
    start = HEADER_SIZE + 4 + 12 * len(tags)
    for data in tags.values():
        if data not in offsets:
            offsets[data] = start + len(body)
            body += data + b"\0" * (-len(data) % 4)
    entries = [struct.pack(">4sII", name, offsets[data], len(data)) for name, data in tags.items()]
    table = struct.pack(">I", len(tags)) + b"".join(entries)
    size = start + len(body)
    identity = hashlib.md5(header(size, colour_model, bytes(16)) + table + body, usedforsecurity=False).digest()
    return header(size, colour_model, identity) + table + body


def header(size: int, colour_model: bytes, identity: bytes) -> bytes:
    """The header of a display profile: relative intents from XYZ under D50."""
    fields = struct.pack(">I4xI4s4s4s6H4s", size, 0x04300000, b"mntr", colour_model, b"XYZ ", *CREATED, b"acsp")
    return (fields.ljust(68, b"\0") + b"".join(map(fixed, D50)) + bytes(4) + identity).ljust(HEADER_SIZE, b"\0")
