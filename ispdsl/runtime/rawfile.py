"""Reading any raw file as a `Frame`: camera raws through LibRaw, headerless mosaics and PGMs through a description."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from ispdsl.ir.types import Type
from ispdsl.runtime import opcodes
from ispdsl.runtime.camera_colour import D65, Array, ColourModel, as_shot_metadata, model_of_ccm
from ispdsl.runtime.decode import DECODER, Decoded, decode
from ispdsl.runtime.description import RawDescription, describe, find_description, load_description
from ispdsl.runtime.dng import Tags, read_tags
from ispdsl.runtime.frame import Frame, FrameSource, RawError, sites_from, window
from ispdsl.runtime.grey_world import grey_world
from ispdsl.runtime.headerless import read_headerless
from ispdsl.runtime.spaces import D65_XY

MAX_BYTES = 1 << 31
"""Length of a file beyond which it is not read."""

LARGEST_GAIN_RATIO = 8.0
"""How far an as-shot white balance may lie from daylight before it is not believed: candle light is within 4."""

QUICKTAKE = {b"qktk": "QuickTake 100", b"qktn": "QuickTake 150"}
"""First bytes of Apple's raws. These cameras store no white balance."""

HEADERLESS = (".raw",)
"""Suffixes of files that are samples and nothing else, unless they begin as cameras' own files of these names do."""

TIFF = (b"II", b"MM")

LOSSY_JPEG = 34892

Description = RawDescription | Mapping[str, object] | str | PathLike[str]


def read(path: str | PathLike[str], description: Description | None = None) -> Frame:
    """Read a raw file.

    Args:
        path: a raw file.
        description: for a headerless mosaic or a PGM: a description, its values, or the path of a JSON file that holds
            one description or a mapping of file names to descriptions. If it is not given, `<path>.json` and the file's
            entry in `frames.json` beside it are looked at before LibRaw is asked.

    Raises:
        RawError: the file cannot be read as a raw frame of red, green and blue sites.
    """
    file = Path(path)
    data = _bytes(file)
    if description is None:
        found = find_description(file)
    elif isinstance(description, RawDescription):
        found = description
    elif isinstance(description, Mapping):
        found = describe(description, "the description")
    else:
        found = load_description(Path(description), file.name)
    digest = hashlib.sha256(data).hexdigest()
    if found is not None:
        return read_headerless(data, found, FrameSource(str(file), digest, "", "", "headerless"))
    if data[:2] == b"P5":
        raise RawError(
            f"{file}: a PGM does not say which colour filters its samples had",
            f'put a description beside it, {file.name}.json: {{"cfa": "rggb", "black": 0, "white": 1023}}',
        )
    if file.suffix.lower() in HEADERLESS and data[:2] not in TIFF:
        example = '{"width": 1920, "height": 1080, "cfa": "rggb", "dtype": "u16le"}'
        raise RawError(
            f"{file}: a mosaic without a header does not say what it is",
            f"put a description beside it, {file.name}.json: {example}",
        )
    return _camera_raw(data, file, digest)


def _bytes(file: Path) -> bytes:
    """All bytes of a regular file."""
    try:
        if not file.exists():
            raise RawError(f"{file}: no such file")
        if not file.is_file():
            raise RawError(f"{file}: not a file")
        if file.stat().st_size > MAX_BYTES:
            raise RawError(f"{file}: longer than {MAX_BYTES} bytes")
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise RawError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise RawError(f"{file}: empty")
    return data


def _camera_raw(data: bytes, file: Path, digest: str) -> Frame:
    tags = read_tags(data)
    decoded = decode(data, str(file))
    notes = [*decoded.notes, *tags.notes]
    black = _black(tags, decoded, file, notes)
    if decoded.white <= black.max():
        raise RawError(
            f"{file}: the white level {decoded.white:g} is not above the black level {black.max():g}",
            "the file is damaged",
        )
    model = _model(tags, decoded, notes)
    if data[:4] in QUICKTAKE:
        notes.append("the file has no white balance: the mean of all unclipped samples taken for grey under D65")
        estimate = grey_world(decoded.image[0], decoded.cfa, black, decoded.white)
        neutral = np.ones(3) if estimate is None else estimate
        model = _under_daylight(model, neutral)
    else:
        neutral = _neutral(tags, decoded, model, notes)
    if model is None:
        matrix = np.eye(3) if decoded.balanced_to_srgb is None else decoded.balanced_to_srgb
        model = model_of_ccm(matrix, neutral, np.array(D65_XY))
    colour, colour_notes = as_shot_metadata(model, neutral)
    metadata = {
        "black_level": black,
        "white_level": decoded.white,
        **colour,
        "baseline_exposure": tags.baseline_exposure,
        "gain_map": _gain_map(tags, decoded, notes),
        **decoded.exposure,
        **tags.exposure,
    }
    if tags.noise_profile is not None:
        metadata["noise_profile"] = tags.noise_profile
    bits = int(max(decoded.white, decoded.image.max())).bit_length()
    make, camera = _camera(data, tags)
    return Frame(
        image=decoded.image,
        type=Type(name="raw", args=(decoded.cfa, f"u{bits}")),
        metadata=metadata,
        orientation=decoded.orientation,
        source=FrameSource(str(file), digest, make, camera, DECODER, bordered=decoded.bordered),
        notes=(*notes, *colour_notes),
    )


def _camera(data: bytes, tags: Tags) -> tuple[str, str]:
    """Make and model of the camera, empty where only LibRaw would know."""
    if data[:4] in QUICKTAKE:
        return "Apple", QUICKTAKE[data[:4]]
    if data[6:14] == b"HEAPCCDR":  # Canon's CIFF keeps both names as text, one after the other
        name = re.search(rb"Canon\0(Canon [ -~]{2,40})\0", data)
        return "Canon", name[1].decode() if name else ""
    return tags.make, tags.model


def _black(tags: Tags, decoded: Decoded, path: Path, notes: list[str]) -> Array:
    """Black levels of the sites: the tag's where LibRaw only rounded them, else LibRaw's."""
    if tags.varying_black:
        notes.append("the black level varies by row or column: its mean is taken")
    if tags.floating:
        if tags.black is not None and tags.black.any():
            raise RawError(
                f"{path}: floating-point samples with a black level", "only such samples from 0 up can be read"
            )
        notes.append("floating-point samples: rounded to 14 bits, white at the brighter of WhiteLevel and any sample")
        return decoded.black
    if tags.black is None or abs(tags.black.mean() - decoded.black.mean()) > 1.0:
        return decoded.black
    return tags.black if decoded.cfa == "linear" else tags.black[sites_from(*_offset(tags, decoded))]


def _offset(tags: Tags, decoded: Decoded) -> tuple[int, int]:
    """Rows and columns from the active area, where tags count from, to the visible one: LibRaw skips odd margins."""
    top, left = (0, 0) if tags.active_area is None else tags.active_area[:2]
    return max(decoded.origin[0] - top, 0), max(decoded.origin[1] - left, 0)


def _model(tags: Tags, decoded: Decoded, notes: list[str]) -> ColourModel | None:
    """The colour model of the file, of LibRaw's table, or None."""
    if tags.colour is not None:
        return tags.colour
    matrix = decoded.xyz_to_camera
    if matrix is not None and np.isfinite(matrix).all() and np.linalg.cond(matrix) < 1e4:
        return ColourModel(matrix, matrix, D65, D65)
    if decoded.balanced_to_srgb is not None:
        notes.append("no colour matrix from XYZ: LibRaw's matrix to sRGB taken, as if under D65")
    else:
        notes.append("no colour matrix: balanced camera colours taken for linear sRGB")
    return None


def _under_daylight(model: ColourModel | None, neutral: Array) -> ColourModel | None:
    """The model of a camera that sees daylight as `neutral`: what is left to assume of an unknown light."""
    daylight = _seen_neutral(model, np.array(D65_XY))
    if model is None or daylight is None:
        return None
    gains = (neutral / daylight)[:, None]
    return replace(model, matrix_1=gains * model.matrix_1, matrix_2=gains * model.matrix_2)


def _neutral(tags: Tags, decoded: Decoded, model: ColourModel | None, notes: list[str]) -> Array:
    """Camera colour of a neutral, green = 1: as shot if that is believable, else that of daylight."""
    daylight = _seen_neutral(model, np.array(D65_XY))
    daylight = np.ones(3) if daylight is None else daylight
    believable = np.isfinite(decoded.gains).all() and decoded.gains.min() > 0.0
    asked = (
        tags.neutral,
        None if tags.white is None else _seen_neutral(model, tags.white),
        1.0 / decoded.gains if believable else None,
    )
    for neutral in asked:
        if neutral is None:
            continue
        ratio = neutral / neutral[1] / daylight
        if np.isfinite(ratio).all() and ratio.min() > 1.0 / LARGEST_GAIN_RATIO and ratio.max() < LARGEST_GAIN_RATIO:
            return neutral / neutral[1]
    notes.append("as-shot white balance unusable: daylight taken")
    return daylight


def _seen_neutral(model: ColourModel | None, xy: Array) -> Array | None:
    """How the camera sees a neutral under a white, or None if its matrices do not say."""
    try:
        return None if model is None else model.neutral_of(xy)
    except ValueError:
        return None


def _gain_map(tags: Tags, decoded: Decoded, notes: list[str]) -> Array:
    """The lens shading of OpcodeList2 as gains of the four sites; notes on every opcode that is not applied."""
    maps: list[opcodes.GainMap] = []
    skipped: list[str] = []
    for number, data in sorted(tags.opcodes.items()):
        try:
            for opcode, parameters in opcodes.parse(data):
                if number == 2 and opcode == opcodes.GAIN_MAP:
                    maps.append(opcodes.parse_gain_map(parameters))
                elif not (number == 2 and opcode == opcodes.MAP_POLYNOMIAL and tags.compression == LOSSY_JPEG):
                    # LibRaw itself applies the polynomials of lossy DNGs: without them the samples would not be linear.
                    skipped.append(opcodes.NAMES.get(opcode, f"opcode {opcode}"))
        except ValueError as error:
            notes.append(f"OpcodeList{number} is damaged and not applied: {error}")
            if number == 2:
                maps = []
    if skipped:
        notes.append(f"not applied: {', '.join(sorted(set(skipped)))}")
    planes, height, width = decoded.image.shape
    top, left = _offset(tags, decoded)
    rows, columns = height + top, width + left
    if tags.active_area is not None:
        rows = max(rows, tags.active_area[2] - tags.active_area[0])
        columns = max(columns, tags.active_area[3] - tags.active_area[1])
    gains, partial = opcodes.combine(maps, rows, columns, planes)
    if partial:
        notes.append("a GainMap for a part of the frame is not applied")
    gains = gains if planes == 3 else gains[sites_from(top, left)]
    return window(gains, (top, left, height, width), (rows, columns))
