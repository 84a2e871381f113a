"""Images in and out of the files that real programs read and write.

A form is what an executor line calls it: ``png8``, ``tiff32``, ``pfm``. Numbers keep their meaning: values of ``unit``
are scaled to the integers of an integer form, codes ``uN`` are kept as they are, and ``f32`` needs a form of floats.
What a program wrote is known by its content, never by its name, and its size before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.diagnostics import nearest
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Image
from ispdsl.ir.types import FLOATS, INTEGER_STORAGE, Type
from ispdsl.runtime import icc
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.spaces import RGB_SPACES

Pixels = NDArray[Any]
"""Samples as files hold them, ``(H, W, C)``."""

Sized = Callable[[tuple[int, int]], None]
"""Told height and width of a file before its samples are decoded; raises where they are not believed."""

MAX_PIXELS = 2**27
"""The largest picture that is read: 134 megapixels, so that a small file cannot claim all memory."""


@dataclass(frozen=True)
class Form:
    """A format by its name in executor lines.

    Attributes:
        name: as executor lines have it.
        container: what the file is; several names may share one and differ in depth.
        suffix: of the file's name, for programs that go by it.
        depths: sample types that a file may have.
        planes: numbers of planes that it can hold.
        written: whether it is written at all; JPEG is read only, since it loses what it is given.
    """

    name: str
    container: str
    suffix: str
    depths: tuple[str, ...]
    planes: tuple[int, ...] = (1, 3)
    written: bool = True


_FLOATS = ("float32", "float16", "float64")

FORMS = {
    form.name: form
    for form in (
        Form("png8", "png", ".png", ("uint8",)),
        Form("png16", "png", ".png", ("uint16",)),
        Form("png", "png", ".png", ("uint16", "uint8")),
        Form("tiff8", "tiff", ".tif", ("uint8",), (1, 2, 3)),
        Form("tiff16", "tiff", ".tif", ("uint16",), (1, 2, 3)),
        Form("tiff32", "tiff", ".tif", ("float32",), (1, 2, 3)),
        Form("tiff", "tiff", ".tif", ("uint16", "uint8", *_FLOATS), (1, 2, 3)),
        Form("ppm8", "ppm", ".ppm", ("uint8",)),
        Form("ppm16", "ppm", ".ppm", ("uint16",)),
        Form("ppm", "ppm", ".ppm", ("uint16", "uint8")),
        Form("pfm", "pfm", ".pfm", ("float32",)),
        Form("npy", "npy", ".npy", ("float32", "float64", "float16", "uint8", "uint16"), (1, 2, 3)),
        Form("jpeg", "jpeg", ".jpg", ("uint8",), (1, 3), written=False),
        Form("dng", "dng", ".dng", ("uint16",)),
        Form("raw", "raw", ".raw", ("uint16",), (1,)),
    )
}
"""The forms. Of several depths the first that fits is written."""

MOSAICS = ("dng", "raw")
"""Containers of mosaics alone."""


def form_of(name: str) -> Form:
    """The form of this name.

    Raises:
        ValueError: there is none; the message names those that there are.
    """
    if name in FORMS:
        return FORMS[name]
    near = nearest(name, FORMS)
    raise ValueError(f"{name!r} is no format; " + (f"did you mean {near}?" if near else f"it is one of {_list(FORMS)}"))


def check_form(form: Form, type_: Type, *, writing: bool) -> None:
    """Refuse a form that cannot hold images of a type.

    Raises:
        ValueError: why not, and which forms can.
    """
    reason = _obstacle(form, type_, writing)
    if reason:
        good = [name for name, other in FORMS.items() if not _obstacle(other, type_, writing)]
        raise ValueError(f"{form.name} {reason}; {type_} can be {_list(good) or 'in no file'}")


def _obstacle(form: Form, type_: Type, writing: bool) -> str:
    """Why a form cannot hold images of a type; empty where it can."""
    if writing and not form.written:
        return "is read only, for it loses what it is given"
    if form.container in MOSAICS and type_.name != "raw":
        return "holds mosaics"
    if type_.planes not in form.planes:
        return f"holds no image of {type_.planes} planes"
    if not any(_holds(depth, storage_of(type_)) for depth in form.depths):
        return f"holds no {storage_of(type_)}"
    if form.container in MOSAICS and storage_of(type_) == "unit":
        return "holds codes"
    return ""


def _holds(depth: str, storage: str) -> bool:
    """Whether samples of a depth can hold a storage."""
    if depth.startswith("float") or storage == "unit":
        return True
    bits = INTEGER_STORAGE.fullmatch(storage)
    # a type variable is decided by the frame: what the run brings is looked at then
    return int(bits[1]) <= 8 * np.dtype(depth).itemsize if bits else storage not in FLOATS


def storage_of(type_: Type) -> str:
    """The last argument of an image's type: ``u12``, ``unit``, ``f32``."""
    return str(type_.args[-1])


# ---- writing ------------------------------------------------------------------------------------------------


def write_image(path: Path, image: Image, type_: Type, form: str, frame: Frame | None) -> None:
    """Write an image for a program to read.

    Args:
        path: of the new file.
        image: ``(C, H, W)`` in the numbers of its type.
        type_: its type; the colour space decides the profile that is embedded.
        form: one of `FORMS`.
        frame: where the mosaic came from; ``dng`` and ``raw`` take its levels, colour and white from there.

    Raises:
        ValueError: there is no such form, or it cannot hold this type.
        ExecutorError: `SETTINGS` where ``dng`` or ``raw`` have no frame; `VALUES` where a number does not fit.
    """
    from ispdsl.executors import formats_files, formats_raw

    found = form_of(form)
    check_form(found, type_, writing=True)
    if found.container in MOSAICS:
        if frame is None:
            hint = "run it on a raw file, or write the image in another format"
            raise ExecutorError(Fault.SETTINGS, f"{form} is written from a raw file, and there is none", hint)
        encode = formats_raw.encode_dng if found.container == "dng" else formats_raw.encode_dump
        for name, data in encode(path.name, codes(image, "uint16", type_), type_, frame).items():
            path.with_name(name).write_bytes(data)
        return
    depth = next(each for each in _preferred(found, type_) if _holds(each, storage_of(type_)))
    pixels = np.ascontiguousarray(np.moveaxis(codes(image, depth, type_), 0, -1))
    space = str(type_.args[0]) if type_.name == "rgb" else ""
    path.write_bytes(formats_files.ENCODERS[found.container](pixels, space))


def _preferred(form: Form, type_: Type) -> tuple[str, ...]:
    """The depths of a form, floats first for what may be any number, bytes first for codes that fit in them."""
    storage = storage_of(type_)
    bits = INTEGER_STORAGE.fullmatch(storage)
    if bits and int(bits[1]) <= 8 and "uint8" in form.depths:
        return "uint8", *form.depths
    return tuple(sorted(form.depths, key=lambda depth: depth != "float32")) if storage in FLOATS else form.depths


def codes(image: Image, depth: str, type_: Type) -> Pixels:
    """The numbers of an image as samples of a depth, rounded to the nearest where ``unit`` is scaled.

    Raises:
        ExecutorError: `VALUES` where a number is outside of what its type and the depth hold, or is no whole code.
    """
    if depth.startswith("float"):
        return image.astype(depth)
    top = float(np.iinfo(depth).max)
    scaled = image * np.float32(top) if storage_of(type_) == "unit" else image
    rounded = np.rint(scaled)
    low, high = float(np.min(rounded, initial=0.0)), float(np.max(rounded, initial=0.0))
    if not 0 <= low <= high <= top or (storage_of(type_) != "unit" and not np.array_equal(rounded, scaled)):
        message = f"the image of type {type_} has values from {np.min(image):g} to {np.max(image):g}"
        raise ExecutorError(Fault.VALUES, f"{message}, which {depth} cannot hold", "clip it before it goes there")
    return rounded.astype(depth)


# ---- reading ------------------------------------------------------------------------------------------------


def read_image(path: Path, type_: Type, form: str, sized: Sized | None = None, *, profiled: bool = True) -> Image:
    """Read what a program wrote: ``(C, H, W)`` float32 in the numbers of the type.

    Args:
        path: of the file.
        type_: what it should be.
        form: one of `FORMS`; the content must agree.
        sized: told height and width before the samples are decoded.
        profiled: whether an embedded colour profile must not contradict the type.

    Raises:
        ValueError: there is no such form, or it cannot hold this type.
        ExecutorError: `GARBAGE` where the file is something else, damaged or larger than `MAX_PIXELS`, or says that
            its colours are of another space; `SHAPE` where it has another number of planes or type of samples.
    """
    from ispdsl.executors import formats_files, formats_raw

    found = form_of(form)
    check_form(found, type_, writing=False)
    what = f"{path.name}, which should be {form}"
    try:
        data = path.read_bytes()
        container = formats_files.container_of(data)
        if found.container != "raw" and container != ("tiff" if found.container == "dng" else found.container):
            raise ExecutorError(Fault.GARBAGE, f"{what}, {_seen(data, container)}", _instead(container, form))
        if found.container in MOSAICS:
            image = formats_raw.read_mosaic(path, type_)
            _size_checked(sized, image.shape[1], image.shape[2])
            return image
        pixels, profile = formats_files.DECODERS[found.container](data, lambda size: _size_checked(sized, *size))
        if profiled and profile is not None:
            _check_space(type_, profile, what)
    except ExecutorError:
        raise
    except Exception as error:  # decoders of other people's files raise anything on a damaged one
        reason = str(error).strip() or type(error).__name__
        raise ExecutorError(Fault.GARBAGE, f"{what}, cannot be read: {reason}", "is it whole?") from None
    return _in_numbers_of(type_, _planes_of(type_, pixels, found, what), found, what)


def _check_space(type_: Type, profile: bytes, what: str) -> None:
    """Refuse colours that say by their profile that they are of another known space than the type's."""
    space = str(type_.args[0])
    found = _space_of(profile)
    if type_.name == "rgb" and space in RGB_SPACES and found is not None and found != space:
        hint = f"let the program convert, correct the type, or write profile = ignore where {found} is not true"
        raise ExecutorError(Fault.GARBAGE, f"{what}, says that its colours are {found}, and {type_} is asked for", hint)


@lru_cache(64)
def _space_of(profile: bytes) -> str | None:
    """The colour space of a profile; None for an unknown or a damaged one."""
    try:
        return icc.space_of(profile)
    except Exception:  # a profile that cannot be read says nothing
        return None


def _seen(data: bytes, container: str | None) -> str:
    if not data:
        return "is empty"
    return f"is {container.upper()}" if container else f"begins with {data[:12]!r}, which is no picture known here"


def _instead(container: str | None, form: str) -> str:
    names = [name for name, other in FORMS.items() if other.container == container]
    return f"write {' or '.join(names)} instead of {form}" if names else "look at what the program really writes"


def _size_checked(sized: Sized | None, height: int, width: int) -> None:
    """Stop before a picture of more than `MAX_PIXELS` is decoded, or one that is not believed."""
    if height * width > MAX_PIXELS:
        raise ExecutorError(Fault.GARBAGE, f"it claims {width} x {height} pixels", f"the limit is {MAX_PIXELS} pixels")
    if sized:
        sized((height, width))


def _planes_of(type_: Type, pixels: Pixels, form: Form, what: str) -> Pixels:
    """Exactly the planes of the type: an opaque alpha plane goes; a PNG may say grey for three equal planes."""
    wanted, found = type_.planes, pixels.shape[2]
    if found in (2, 4) and found == wanted + 1:
        alpha = pixels[..., -1]
        opaque = 1.0 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
        if not (alpha == opaque).all():
            hint = "let the program write no alpha, or lay it over a background"
            raise ExecutorError(Fault.SHAPE, f"{what}, has an alpha plane that is not opaque", hint)
        pixels, found = pixels[..., :-1], wanted
    if found == 1 and wanted == 3 and form.container == "png":  # writers of PNG choose grey by themselves
        pixels, found = np.repeat(pixels, 3, axis=2), 3
    if found != wanted:
        hint = "let the program write as many, or correct the type of the output"
        raise ExecutorError(Fault.SHAPE, f"{what}, has {found} planes, and {type_} has {wanted}", hint)
    return pixels


def _in_numbers_of(type_: Type, pixels: Pixels, form: Form, what: str) -> Image:
    """Samples as ``(C, H, W)`` float32 in the numbers of the type."""
    depth, storage = str(pixels.dtype), storage_of(type_)
    if depth not in form.depths or not _holds(depth, storage):
        good = [name for name, other in FORMS.items() if other.container == form.container and depth in other.depths]
        hint = f"write {' or '.join(good)}, or let the program write {form.depths[0]}" if good else None
        if depth in form.depths:
            hint = f"{depth} holds no {storage}: let the program write another depth, or correct the type"
        raise ExecutorError(Fault.SHAPE, f"{what}, has samples of {depth}", hint)
    planes = np.moveaxis(pixels, -1, 0)
    if pixels.dtype.kind == "u" and storage == "unit":
        return np.ascontiguousarray(planes / np.float32(np.iinfo(pixels.dtype).max), dtype=np.float32)
    return np.ascontiguousarray(planes, dtype=np.float32)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
