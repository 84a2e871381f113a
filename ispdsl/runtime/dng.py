"""The tags of a DNG that matter for rendering, read with tifffile; of other TIFF-based raws, the name of the camera.

Adobe DNG specification 1.7, chapters 4 and 6. ForwardMatrix, the third calibration and the profile tables are not read:
colour goes through ColorMatrix1 and 2, with AnalogBalance and CameraCalibration multiplied in.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import tifffile

from ispdsl.runtime.camera_colour import Array, ColourModel

CFA, LINEAR_RAW = 32803, 34892
"""PhotometricInterpretation of a raw image."""

ILLUMINANTS = {
    **dict.fromkeys((3, 17), 2850.0),
    24: 3200.0,
    **dict.fromkeys((2, 14), 4150.0),
    16: 2925.0,
    15: 3525.0,
    13: 5050.0,
    23: 5000.0,
    **dict.fromkeys((1, 4, 9, 18, 20), 5500.0),
    12: 6400.0,
    **dict.fromkeys((10, 19, 21), 6500.0),
    **dict.fromkeys((11, 22), 7500.0),
}
"""Temperature in kelvin of each EXIF LightSource, as the DNG specification's reference code takes it."""

_LENGTH_LIMIT = 1 << 24


@dataclass(frozen=True)
class Tags:
    """What the tags say; None or empty where they are silent."""

    is_dng: bool = False
    make: str = ""
    model: str = ""
    colour: ColourModel | None = None
    neutral: Array | None = None
    white: Array | None = None
    """AsShotWhiteXY."""
    active_area: tuple[int, int, int, int] | None = None
    """Top, left, bottom, right: where black levels and opcodes count from."""
    baseline_exposure: float = 0.0
    black: Array | None = None
    """`(4,)` black levels of the 2x2 sites, or of R, G, B, G, with their fractions; None for other repetitions."""
    varying_black: bool = False
    """Whether BlackLevelDeltaH or V vary the black level by column or row."""
    noise_profile: Array | None = None
    exposure: dict[str, float] = field(default_factory=dict[str, float])
    compression: int = 1
    floating: bool = False
    """Whether the samples are floating-point numbers, which LibRaw turns into integer codes of its own."""
    opcodes: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """The opcode lists 1, 2 and 3."""
    notes: tuple[str, ...] = ()


class _Pages:
    """Looks a tag up in the raw image's directory first, then in the first one."""

    def __init__(self, file: tifffile.TiffFile) -> None:
        self.first = file.pages.first
        raws = [page for page in _directories(file) if _code(page, 262) in (CFA, LINEAR_RAW)]
        full = [page for page in raws if _code(page, 254) == 0] or raws
        self.raw = max(full, key=lambda page: page.imagewidth * page.imagelength, default=self.first)

    def value(self, code: int) -> object:
        for page in (self.raw, self.first):
            tag = page.tags.get(code)
            if tag is not None and tag.count <= _LENGTH_LIMIT:
                return tag.value
        return None

    def numbers(self, code: int) -> Array | None:
        """The numbers of a tag, fractions divided; None if it is missing, empty or holds anything else."""
        for page in (self.raw, self.first):
            tag = page.tags.get(code)
            if tag is None or tag.count > _LENGTH_LIMIT:
                continue
            values = np.ravel(np.array(tag.value, dtype=np.float64))
            if int(tag.dtype) in (5, 10):
                pairs = values.reshape(-1, 2)
                if not pairs[:, 1].all():
                    return None
                values = pairs[:, 0] / pairs[:, 1]
            return values if values.size and np.isfinite(values).all() else None
        return None

    def number(self, code: int) -> float | None:
        values = self.numbers(code)
        return None if values is None else float(values[0])

    def text(self, code: int) -> str:
        value = self.value(code)
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return value.strip("\0 ") if isinstance(value, str) else ""


def read_tags(data: bytes) -> Tags:
    """The tags of a raw file; of a file that is no TIFF, or too damaged to tell, empty ones."""
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Tags()
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file, np.errstate(all="ignore"):
            pages = _Pages(file)
            is_dng = 50706 in pages.first.tags
            return _dng_tags(pages) if is_dng else Tags(make=pages.text(271), model=pages.text(272))
    except Exception as error:  # tifffile answers hostile bytes with whatever exception the damage provokes
        return Tags(notes=(f"the TIFF tags are damaged ({type(error).__name__}): what LibRaw found is taken",))


def _dng_tags(pages: _Pages) -> Tags:
    colour, notes = _colour(pages)
    noise = pages.numbers(51041)
    if noise is not None:  # one pair for all planes, or one for each: green's
        noise = noise[:2] if noise.size < 6 else noise[2:4]
        noise = noise if noise.size == 2 and noise.min() >= 0.0 else None
    white = pages.numbers(50729)
    lists = {number: pages.value(code) for number, code in ((1, 51008), (2, 51009), (3, 51022))}
    deltas = [pages.numbers(code) for code in (50715, 50716)]
    return Tags(
        is_dng=True,
        make=pages.text(271),
        model=pages.text(272) or pages.text(50708),
        colour=colour,
        neutral=_usable_neutral(pages.numbers(50728)),
        white=white if white is not None and white.size == 2 and white.min() > 0.0 and white.sum() < 1.0 else None,
        active_area=_area(pages.numbers(50829)),
        baseline_exposure=float(np.clip(pages.number(50730) or 0.0, -32.0, 32.0)),
        black=_black(pages),
        varying_black=any(delta is not None and float(np.ptp(delta)) > 0.5 for delta in deltas),
        noise_profile=noise,
        exposure=_exposure(pages),
        compression=_code(pages.raw, 259) or 1,
        floating=pages.number(339) == 3,
        opcodes={number: value for number, value in lists.items() if isinstance(value, bytes)},
        notes=tuple(notes),
    )


def _directories(file: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    for page in file.pages[:16]:
        if isinstance(page, tifffile.TiffPage):
            yield page
            children = page.pages or []
            yield from (child for child in children[:16] if isinstance(child, tifffile.TiffPage))


def _code(page: tifffile.TiffPage, code: int) -> int | None:
    tag = page.tags.get(code)
    return int(tag.value) if tag is not None and isinstance(tag.value, int) else None


def _area(values: Array | None) -> tuple[int, int, int, int] | None:
    if values is None or values.size != 4 or values.min() < 0 or values[2] <= values[0] or values[3] <= values[1]:
        return None
    top, left, bottom, right = (int(value) for value in values)
    return top, left, bottom, right


def _usable_neutral(neutral: Array | None) -> Array | None:
    return neutral if neutral is not None and neutral.size == 3 and neutral.min() > 0.0 else None


def _colour(pages: _Pages) -> tuple[ColourModel | None, list[str]]:
    """ColorMatrix1 and 2 with AnalogBalance and CameraCalibration multiplied in, the colder illuminant first."""
    notes: list[str] = []
    balance = pages.numbers(50727)
    balance = balance if balance is not None and balance.size == 3 and balance.min() > 0.0 else np.ones(3)
    calibrated = pages.text(50931) == pages.text(50932)
    found: list[tuple[float, Array]] = []
    for matrix_code, calibration_code, illuminant_code in ((50721, 50723, 50778), (50722, 50724, 50779)):
        matrix = _matrix(pages.numbers(matrix_code))
        if matrix is None:
            if pages.value(matrix_code) is not None:
                notes.append(f"ColorMatrix{len(found) + 1} is unusable")
            continue
        calibration = _matrix(pages.numbers(calibration_code)) if calibrated else None
        matrix = balance[:, None] * (matrix if calibration is None else calibration @ matrix)
        found.append((ILLUMINANTS.get(int(pages.number(illuminant_code) or 0), 0.0), matrix))
    if not found:
        return None, notes
    if len(found) == 1 or not found[0][0] or not found[1][0] or found[0][0] == found[1][0]:
        # One calibration, or none to tell them apart by: its matrix serves every white, as in the specification.
        if len(found) == 2:
            notes.append("the calibration illuminants are unknown: ColorMatrix1 alone is used")
        illuminant, matrix = found[0]
        return ColourModel(matrix, matrix, illuminant or 5000.0, illuminant or 5000.0), notes
    (cold, matrix_1), (hot, matrix_2) = sorted(found, key=lambda item: item[0])
    return ColourModel(matrix_1, matrix_2, cold, hot), notes


def _matrix(values: Array | None) -> Array | None:
    """A 3x3 matrix that can be inverted, or None."""
    if values is None or values.size != 9:
        return None
    matrix = values.reshape(3, 3)
    return matrix if np.linalg.cond(matrix) < 1e4 else None


def _black(pages: _Pages) -> Array | None:
    """BlackLevel for each of the 2x2 sites, where BlackLevelRepeatDim allows it."""
    levels = pages.numbers(50714)
    repeat = pages.numbers(50713)
    rows, columns = (1, 1) if repeat is None or repeat.size != 2 else (int(repeat[0]), int(repeat[1]))
    samples = _code(pages.raw, 277) or 1
    if levels is None or rows not in (1, 2) or columns not in (1, 2) or levels.size != rows * columns * samples:
        return None
    if samples == 1:
        return levels.reshape(rows, columns)[np.ix_([0, rows - 1], [0, columns - 1])].ravel()
    return levels[[0, 1, 2, 1]] if samples == 3 and rows * columns == 1 else None


def _exposure(pages: _Pages) -> dict[str, float]:
    """ISO, exposure time in seconds and f-number from the TIFF's own directory or its EXIF one."""
    exif = pages.value(34665)
    found: dict[str, float] = {}
    for name, code, exif_name in (
        ("iso", 34855, "ISOSpeedRatings"),
        ("exposure_time", 33434, "ExposureTime"),
        ("f_number", 33437, "FNumber"),
    ):
        value = pages.number(code)
        if value is None and isinstance(exif, dict):
            entry = np.ravel(np.array(exif.get(exif_name, 0), dtype=np.float64))
            value = float(entry[0] / entry[1]) if entry.size == 2 and entry[1] else float(entry[0])
        if value is not None and np.isfinite(value) and value > 0.0:
            found[name] = value
    return found
