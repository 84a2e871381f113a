"""Pictures out to files and in from them: PNG, TIFF, JPEG, NumPy and PFM, with colour profile and orientation."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ispdsl.runtime import icc
from ispdsl.runtime.png import CODE_POINTS, SIGNATURE, png_parts
from ispdsl.runtime.strips import in_strips

Floats = NDArray[np.floating]
Pixels = NDArray[Any]
"""Samples as files hold them, ``(H, W, 1 or 3)``: uint8, uint16 or floats."""

Sample = TypeVar("Sample", bound=np.generic)

FLOAT_BITS = 32
ORIENTATION_TAG = 0x0112
ICC_TAG = 0x8773


class PictureError(Exception):
    """A picture cannot be written or read: what is wrong, and `hint`, how to mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnreadablePictureError(PictureError):
    """A picture cannot be read."""


@dataclass(frozen=True)
class Sheet:
    """A picture ready to be encoded: `pixels` ``(H, W, 1 or 3)``, its colour space and profile, a quality for JPEG."""

    pixels: Pixels
    space: str
    icc: bytes | None
    quality: int


@dataclass(frozen=True)
class Format:
    """A file format: the bits a sample that it holds, the default first, and its encoder."""

    bits: tuple[int, ...]
    encode: Callable[[Sheet], bytes | list[bytes]]
    """Gives the file, or its parts in a row."""


def write_picture(
    path: str | Path,
    image: Floats,
    *,
    space: str = "srgb",
    orientation: int = 1,
    bits: int | None = None,
    quality: int = 95,
) -> None:
    """Write an image to a file whose format follows from the suffix of `path`; an existing file is replaced at once.

    Integers are rounded to the nearest of ``clip(image, 0, 1) * (2**bits - 1)``: that clip is the file's. Floats are
    kept as they are. The values are written as given: `space` says what they mean, and nothing is converted.

    Args:
        path: ``.png``, ``.tif``, ``.tiff``, ``.jpg``, ``.jpeg``, ``.npy`` (float32, ``(C, H, W)``) or ``.pfm``.
        image: ``(3, H, W)`` or ``(1, H, W)``, floats, 1.0 = white.
        space: colour space of the values; the matching ICC profile is embedded, none for ``camera`` and ``xyz``.
        orientation: EXIF orientation 1 to 8 of the image as given; the pixels are turned upright.
        bits: bits a sample: 8 or 16 for PNG, 8, 16 or 32 (float) for TIFF; by default 8, and 16 for TIFF.
        quality: JPEG quality, 1 to 100.

    Raises:
        PictureError: unknown suffix, bits that the format lacks, values that are not finite, a path that cannot be
            written.
        ValueError: the image has another shape, or the orientation is none of EXIF's.
    """
    path = Path(path)
    form = format_of(path)
    depth = form.bits[0] if bits is None else bits
    if depth not in form.bits:
        known = ", ".join(map(str, form.bits))
        raise PictureError(f"{path.suffix} holds no {depth} bits a sample", f"choose one of: {known}")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"an image is (3, H, W) or (1, H, W), not {image.shape}")
    wrong = image.size - sum(in_strips(lambda rows: int(np.isfinite(image[:, rows]).sum()), *_extent(image)))
    if wrong:
        hint = "look at the taps to find the first stage that gives such values"
        raise PictureError(f"{path.name}: {wrong} of {image.size} values are not finite", hint)
    upright = orient(image, orientation)
    profile = icc.profile(space, image.shape[0])
    try:
        data = form.encode(Sheet(quantise(upright, depth), space, profile, quality))
    except OSError as error:
        raise PictureError(f"cannot encode {path.name}: {error}", "choose another format, such as .png") from error
    atomic_write(path, data)


def format_of(path: Path) -> Format:
    """The format that the suffix of `path` names."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise PictureError(f"{path.name}: no picture format is called {path.suffix!r}", f"use one of {known}") from None


def orient(image: NDArray[Sample], orientation: int) -> NDArray[Sample]:
    """Turn ``(..., H, W)`` upright as EXIF orientation 1 to 8 says (CIPA DC-008, tag 0x0112); a view where possible.

    Every orientation undoes itself, except 6 and 8, which undo each other.

    Raises:
        ValueError: another orientation.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"EXIF orientations are 1 to 8, not {orientation}")
    if orientation >= 5:
        image = image.swapaxes(-1, -2)
    if orientation in (3, 4, 7, 8):
        image = image[..., ::-1, :]
    if orientation in (2, 3, 6, 7):
        image = image[..., ::-1]
    return image


def quantise(image: Floats, bits: int) -> Pixels:
    """``(C, H, W)`` floats to contiguous pixels ``(H, W, C)``: codes of `bits` bits, or float32 where `bits` is 32."""
    pixels = np.moveaxis(image, 0, -1)
    if bits == FLOAT_BITS:
        return np.ascontiguousarray(pixels, dtype=np.float32)
    result = np.empty(pixels.shape, np.uint8 if bits == 8 else np.uint16)

    def fill(rows: slice) -> None:
        codes = np.clip(image[:, rows], 0, 1)
        codes *= np.float32(2**bits - 1)
        whole = np.rint(codes, out=codes).astype(result.dtype)
        for plane, own in enumerate(whole):  # NumPy's copy of three planes at once goes byte by byte
            result[rows, :, plane] = own

    in_strips(fill, *_extent(image))
    return result


def _extent(image: Floats) -> tuple[int, int]:
    """The rows of an image, and the bytes of each."""
    return image.shape[1], image[:, :1].nbytes


def atomic_write(path: str | Path, data: bytes | list[bytes]) -> None:
    """Write `data` so that `path` holds the old file or the whole new one, whenever the machine stops.

    `data` is the file, or its parts in a row.

    Raises:
        PictureError: the folder is missing or the file cannot be written.
    """
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise PictureError(f"cannot write {path}: there is no folder {target.parent}", "make the folder first")
    if target.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder", "name a file in it")
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}")
    try:
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        reason = error.strerror or str(error)
        raise PictureError(f"cannot write {path}: {reason}", "choose a place that can be written to") from error


def encode_tiff(sheet: Sheet) -> bytes:
    """An uncompressed baseline TIFF 6.0, floats by its SampleFormat."""
    pixels = sheet.pixels
    grey = pixels.shape[2] == 1
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels[..., 0] if grey else pixels,
        photometric="minisblack" if grey else "rgb",
        iccprofile=sheet.icc,
        metadata=None,
        software="ispdsl",
    )
    return buffer.getvalue()


def encode_jpeg(sheet: Sheet) -> bytes:
    """A baseline JPEG, its chroma at full resolution."""
    pixels = sheet.pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=sheet.quality, subsampling=0, icc_profile=sheet.icc)
    return buffer.getvalue()


def encode_npy(sheet: Sheet) -> bytes:
    """NumPy's format 1.0, channels first."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(np.moveaxis(sheet.pixels, -1, 0)), allow_pickle=False)
    return buffer.getvalue()


def encode_pfm(sheet: Sheet) -> bytes:
    """A portable float map (P. Debevec): little-endian, the bottom line first."""
    height, width, planes = sheet.pixels.shape
    lines = sheet.pixels[::-1].astype("<f4")
    return f"{'PF' if planes == 3 else 'Pf'}\n{width} {height}\n-1.0\n".encode() + lines.tobytes()


def encode_as_png(sheet: Sheet) -> list[bytes]:
    """A PNG, its profile as iCCP, or as cICP for the two spaces of HDR television."""
    return png_parts(sheet.pixels, sheet.icc, sheet.space)


FORMATS = {
    ".png": Format((8, 16), encode_as_png),
    ".tif": Format((16, 8, FLOAT_BITS), encode_tiff),
    ".tiff": Format((16, 8, FLOAT_BITS), encode_tiff),
    ".jpg": Format((8,), encode_jpeg),
    ".jpeg": Format((8,), encode_jpeg),
    ".npy": Format((FLOAT_BITS,), encode_npy),
    ".pfm": Format((FLOAT_BITS,), encode_pfm),
}
"""The formats by suffix."""


MAX_PIXELS = 2**27
"""The largest picture that is read: 134 megapixels, so that a small file cannot claim all memory."""

SIMPLER = {"1": "L", "LA": "L", "P": "RGB"}
"""What modes of Pillow's are read as."""

CODE_POINT_SPACES = {bytes(points): space for space, points in CODE_POINTS.items()}


def read_picture(path: str | Path) -> tuple[NDArray[np.float32], str]:
    """Read a PNG, JPEG or TIFF of 8 or 16 bits or floats: the image ``(3 or 1, H, W)``, upright, and its colour space.

    Codes are scaled to 0..1, floats kept. An alpha plane is dropped. The embedded profile decides the colour space;
    without one it is ``srgb``, for floats ``linear_srgb``. A picture with a profile that is none of ours is converted
    to ``srgb`` where it has 8 bits a sample.

    Raises:
        UnreadablePictureError: damaged, too large, or of a kind that is not read (CMYK, 16 bits in a foreign space).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "check the path and its permissions"
        raise UnreadablePictureError(f"cannot read {path}: {error.strerror}", hint) from error
    if not data:
        raise UnreadablePictureError(f"cannot read {path}: it is empty", "is it a whole PNG, JPEG or TIFF?")
    try:
        decode = decode_tiff if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") else decode_with_pillow
        pixels, profile, orientation = decode(data)
        pixels, space = in_known_space(pixels, profile, space_in_png(data))
    except PictureError as error:
        raise UnreadablePictureError(f"cannot read {path}: {error.message}", error.hint) from error
    except Exception as error:  # decoders of other people's files raise anything on a damaged one
        unknown = isinstance(error, UnidentifiedImageError)  # its words are an address in memory
        reason = "it is none of the pictures that are read" if unknown else str(error) or type(error).__name__
        raise UnreadablePictureError(f"cannot read {path}: {reason}", "is it a whole PNG, JPEG or TIFF?") from error
    scale = 1.0 if pixels.dtype.kind == "f" else 1.0 / np.iinfo(pixels.dtype).max
    image = np.multiply(np.moveaxis(pixels, -1, 0), scale, dtype=np.float32)
    return np.ascontiguousarray(orient(image, orientation)), space


def refuse_large(width: int, height: int) -> None:
    """Stop before a picture of more than `MAX_PIXELS` is decoded."""
    if width * height > MAX_PIXELS:
        raise PictureError(f"{width} x {height} pixels are too many", f"the limit is {MAX_PIXELS} pixels")


def decode_with_pillow(data: bytes) -> tuple[Pixels, bytes | None, int]:
    """Pixels ``(H, W, 1 or 3)``, profile and EXIF orientation of anything that Pillow opens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF"))
    refuse_large(*picture.size)
    rawmode = str(picture.tile[0].args)  # asked before anything decodes the pixels, which forgets it
    profile = picture.info.get("icc_profile")
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") or rawmode == "LA;16B":
        raise PictureError(f"pictures of kind {rawmode} are not read", "save it as RGB or grey")
    if rawmode in ("RGB;16B", "RGBA;16B"):
        pixels = deep_pixels(data, picture, rawmode)
    else:
        pixels = np.asarray(picture.convert(SIMPLER.get(picture.mode, picture.mode)))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    orientation = picture.getexif().get(ORIENTATION_TAG, 1)
    return pixels, profile, orientation if orientation in range(1, 9) else 1


def deep_pixels(data: bytes, picture: Image.Image, rawmode: str) -> NDArray[np.uint16]:
    """All 16 bits of a colour PNG: Pillow keeps the high byte, or told that the bytes are swapped, the low one."""
    again = Image.open(io.BytesIO(data), formats=("PNG",))
    again.tile = [tile._replace(args=rawmode.replace(";16B", ";16L")) for tile in again.tile]
    return np.asarray(picture, np.uint16) * 256 + np.asarray(again)


def decode_tiff(data: bytes) -> tuple[Pixels, bytes | None, int]:
    """Pixels ``(H, W, 1 or 3)``, profile and orientation of the first page of a TIFF."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        refuse_large(page.imagewidth, page.imagelength)
        tags = page.tags
        if page.photometric not in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK):
            name = getattr(page.photometric, "name", page.photometric)
            if page.dtype == np.uint8 and name != "CFA":
                return decode_with_pillow(data)
            raise PictureError(f"a TIFF of kind {name} is no finished picture", "save it as RGB or grey")
        if str(page.dtype) not in ("uint8", "uint16", "float16", "float32", "float64"):
            raise PictureError(f"samples of type {page.dtype} are not read", "save it with 8 or 16 bits, or as floats")
        try:
            pixels = page.asarray()
        except ValueError:
            if page.dtype == np.uint8:
                return decode_with_pillow(data)
            hint = "save it uncompressed or with deflate"
            raise PictureError(f"compression {page.compression!r} is not read", hint) from None
        if page.axes.startswith("S"):
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
        profile = tags.valueof(ICC_TAG)
        orientation = tags.valueof(ORIENTATION_TAG, 1)
    return pixels, profile, int(orientation) if orientation in range(1, 9) else 1


def space_in_png(data: bytes) -> str | None:
    """The colour space that a PNG's cICP chunk names, where it is one of HDR television's."""
    at = data.find(b"cICP", 0, 4096) if data.startswith(SIGNATURE) else -1
    return None if at < 0 else CODE_POINT_SPACES.get(data[at + 4 : at + 6])


def in_known_space(pixels: Pixels, profile: bytes | None, named: str | None) -> tuple[Pixels, str]:
    """The pixels and the name of their colour space, converted to sRGB where their `profile` is an unknown one."""
    if named is not None:
        return pixels, named
    if profile is None:
        return pixels, "linear_srgb" if pixels.dtype.kind == "f" else "srgb"
    known = icc.space_of(bytes(profile))
    if known is not None:
        return pixels, known
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
        raise PictureError("its colour profile is not one of a known space", "convert it to sRGB")
    return icc.to_srgb(pixels, bytes(profile)), "srgb"
