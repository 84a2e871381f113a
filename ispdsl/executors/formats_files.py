"""Encoders and decoders of picture files: PNG, TIFF, PPM, PFM, NPY and JPEG, to and from samples ``(H, W, C)``.

A decoder is told the size by the header and asks whether it is believed before it decodes anything. What it raises on
a damaged file is its own affair: `ispdsl.executors.formats` makes a typed error of it.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow

from ispdsl.executors.formats_tiff import unpacked
from ispdsl.runtime import icc
from ispdsl.runtime.pictures import ICC_TAG, deep_pixels
from ispdsl.runtime.png import encode_png

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of damaged files is said by us

Pixels = NDArray[Any]
Decoded = tuple[Pixels, bytes | None]
"""Samples, and the colour profile that the file brings."""

Size = tuple[int, int]
Asked = Callable[[Size], None]

PNG = b"\x89PNG\r\n\x1a\n"

MAGIC = (
    ("png", PNG),
    ("tiff", b"II*\0"),
    ("tiff", b"MM\0*"),
    ("tiff", b"II+\0"),
    ("tiff", b"MM\0+"),
    ("ppm", b"P5"),
    ("ppm", b"P6"),
    ("pfm", b"PF"),
    ("pfm", b"Pf"),
    ("npy", b"\x93NUMPY"),
    ("jpeg", b"\xff\xd8\xff"),
)
"""What files begin with."""


def container_of(data: bytes) -> str | None:
    """What a file is by its first bytes; None for anything unknown."""
    return next((name for name, magic in MAGIC if data.startswith(magic)), None)


# ---- PNG and JPEG -------------------------------------------------------------------------------------------


def write_png(pixels: Pixels, space: str) -> bytes:
    """A PNG with the profile of the colour space."""
    return encode_png(pixels, icc.profile(space, pixels.shape[2]) if space else None, space)


def read_with_pillow(data: bytes, asked: Asked) -> Decoded:
    """All planes of a PNG or JPEG, the alpha plane too, with all bits of 16."""
    if data.startswith(PNG) and len(data) > 24:  # Pillow looks by itself only whether it is a bomb
        width, height = struct.unpack(">II", data[16:24])
        asked((height, width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        picture = Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    asked((picture.height, picture.width))
    profile = picture.info.get("icc_profile")
    rawmode = str(picture.tile[0].args)  # asked before anything decodes the pixels, which forgets it
    if rawmode in ("RGB;16B", "RGBA;16B"):
        return deep_pixels(data, picture, rawmode), profile
    if picture.mode in ("1", "P"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "L" if picture.mode == "1" else "RGB")
    if picture.mode not in ("L", "LA", "RGB", "RGBA", "I;16") or rawmode == "LA;16B":
        raise ValueError(f"pictures of kind {rawmode} are not read; let the program write RGB or grey")
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels, profile


# ---- TIFF ---------------------------------------------------------------------------------------------------


def write_tiff(pixels: Pixels, space: str) -> bytes:
    """An uncompressed TIFF 6.0, floats by its SampleFormat; a second plane is an extra sample."""
    planes = pixels.shape[2]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels[..., 0] if planes == 1 else pixels,
        photometric="rgb" if planes == 3 else "minisblack",
        planarconfig=None if planes == 1 else "contig",
        extrasamples=["unspecified"] if planes == 2 else None,
        iccprofile=icc.profile(space, planes) if space else None,
        metadata=None,
        software="ispdsl",
    )
    return buffer.getvalue()


def read_tiff(data: bytes, asked: Asked) -> Decoded:
    """The first page of a TIFF."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        asked((page.imagelength, page.imagewidth))
        if page.imagedepth != 1 or page.samplesperpixel > 4:
            raise ValueError(f"{page.samplesperpixel} planes in {page.imagedepth} layers are no picture")
        if page.photometric not in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK):
            name = getattr(page.photometric, "name", page.photometric)
            raise ValueError(f"a TIFF of kind {name} is no finished picture; let the program write RGB or grey")
        try:
            pixels = page.asarray()
        except ValueError:  # tifffile has no decoder for it
            return _by_pillow(data, page), _profile(page)
        if page.axes.startswith("S"):
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.ndim != 3 or pixels.shape[:2] != (page.imagelength, page.imagewidth):
            raise ValueError(f"its samples are of shape {pixels.shape}, and its header says otherwise")
        return pixels, _profile(page)


def _profile(page: tifffile.TiffPage) -> bytes | None:
    profile = page.tags.valueof(ICC_TAG)
    return bytes(profile) if profile else None


def _by_pillow(data: bytes, page: tifffile.TiffPage) -> Pixels:
    """What libtiff decodes: all of 8 bits, JPEG too, and of other samples whatever it unpacks."""
    if page.dtype != np.uint8:
        return unpacked(data, page)
    pixels = np.asarray(Pillow.open(io.BytesIO(data), formats=("TIFF",)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


# ---- netpbm -------------------------------------------------------------------------------------------------

_TOKEN = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
_PPM = re.compile(rb"P([56])" + 3 * _TOKEN + rb"\s")
_PFM = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+(-?[0-9.]+(?:[eE][-+]?\d+)?)[ \t\r]*\n")


def write_ppm(pixels: Pixels, space: str) -> bytes:
    """A binary PPM or PGM (netpbm, ppm(5)), the high byte first."""
    height, width, planes = pixels.shape
    head = f"P{6 if planes == 3 else 5}\n{width} {height}\n{np.iinfo(pixels.dtype).max}\n"
    return head.encode() + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


def read_ppm(data: bytes, asked: Asked) -> Decoded:
    """A binary PPM or PGM whose largest code is 255 or 65535."""
    header = _PPM.match(data)
    if not header:
        raise ValueError("its header is damaged")
    width, height, largest = (int(number) for number in header.groups()[1:])
    asked((height, width))
    if largest not in (255, 65535):
        raise ValueError(f"its largest code is {largest}; let the program write 8 or 16 bits")
    planes = 3 if header[1] == b"6" else 1
    depth = np.dtype(np.uint8 if largest == 255 else ">u2")
    return _samples(data, header.end(), (height, width, planes), depth), None


def write_pfm(pixels: Pixels, space: str) -> bytes:
    """A portable float map (P. Debevec): little-endian, the bottom line first."""
    height, width, planes = pixels.shape
    return f"{'PF' if planes == 3 else 'Pf'}\n{width} {height}\n-1.0\n".encode() + pixels[::-1].astype("<f4").tobytes()


def read_pfm(data: bytes, asked: Asked) -> Decoded:
    """A portable float map of either byte order; the size of its scale is not applied, as no reader does."""
    header = _PFM.match(data)
    if not header:
        raise ValueError("its header is damaged")
    width, height = int(header[2]), int(header[3])
    asked((height, width))
    order = np.dtype("<f4" if float(header[4]) < 0 else ">f4")
    return _samples(data, header.end(), (height, width, 3 if header[1] == b"PF" else 1), order)[::-1], None


def _samples(data: bytes, start: int, shape: tuple[int, int, int], depth: np.dtype[Any]) -> Pixels:
    """Plain samples from a place in a file, which must end with them."""
    wanted = start + int(np.prod(shape)) * depth.itemsize
    if len(data) != wanted:
        raise ValueError(f"its header asks for {wanted} bytes, the file has {len(data)}")
    return np.frombuffer(data, depth, offset=start).reshape(shape).astype(depth.newbyteorder("="))


# ---- NumPy --------------------------------------------------------------------------------------------------


def write_npy(pixels: Pixels, space: str) -> bytes:
    """NumPy's format 1.0, planes first: ``(C, H, W)``."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), allow_pickle=False)
    return buffer.getvalue()


def read_npy(data: bytes, asked: Asked) -> Decoded:
    """An array ``(C, H, W)``, ``(H, W, C)`` or ``(H, W)``, never of pickled objects."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of NumPy's format is not read")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, depth = read_header(file)
    if depth.hasobject or depth.kind not in "uf":
        raise ValueError(f"samples of {depth} are not read")
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of shape {shape} is no image")
    shape = (1, shape[0], shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])
    last = shape[2] <= 4 and shape[0] > 4
    asked((shape[0], shape[1]) if last else (shape[1], shape[2]))
    if (shape[2] if last else shape[0]) > 4:
        raise ValueError(f"an array of shape {shape} is no image: planes come first, or last")
    flat = _samples(data, file.tell(), shape, depth)
    array = flat.reshape(shape[::-1]).transpose() if by_column else flat
    return array if last else np.moveaxis(array, 0, -1), None


ENCODERS: dict[str, Callable[[Pixels, str], bytes]] = {
    "png": write_png,
    "tiff": write_tiff,
    "ppm": write_ppm,
    "pfm": write_pfm,
    "npy": write_npy,
}
"""By container: samples and the name of their colour space (empty where they are no colour) to a file."""

DECODERS: dict[str, Callable[[bytes, Asked], Decoded]] = {
    "png": read_with_pillow,
    "jpeg": read_with_pillow,
    "tiff": read_tiff,
    "ppm": read_ppm,
    "pfm": read_pfm,
    "npy": read_npy,
}
"""By container: a file to samples with all planes that it has, and its colour profile."""
