"""The small description that makes a headerless mosaic a raw frame, and where to find it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ispdsl.runtime.frame import RawError

MAX_JSON = 1 << 20
"""Bytes of a description file; a longer one is no description."""

MAX_SIDE = 65535

ONLY_BAYER = "without a header only 2x2 Bayer mosaics are read: rggb, bggr, grbg or gbrg"
LINEAR_INSTEAD = "for any other pattern, X-Trans too, convert the file to a LinearRaw DNG (three samples a site)"

Packing = Literal["u8", "u16le", "u16be", "mipi_raw10", "mipi_raw12"]
BITS: dict[Packing, int] = {"u8": 8, "u16le": 16, "u16be": 16, "mipi_raw10": 10, "mipi_raw12": 12}

Gain = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Code = Annotated[float, Field(ge=0, lt=1 << 16, allow_inf_nan=False)]
Row = tuple[Number, Number, Number]
Matrix = tuple[Row, Row, Row]
Bayer = Annotated[
    Literal["rggb", "bggr", "grbg", "gbrg"],
    BeforeValidator(lambda text: text.lower() if isinstance(text, str) else text),
]


class RawDescription(BaseModel):
    """How to read a headerless mosaic, and what is known of its camera.

    A binary PGM needs `cfa` only; what its header says need not be repeated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cfa: Bayer
    """Colour filters of the top-left 2x2 sites in reading order, in any case."""
    width: int | None = Field(None, ge=2, le=MAX_SIDE, validation_alias=AliasChoices("width", "w"))
    height: int | None = Field(None, ge=2, le=MAX_SIDE, validation_alias=AliasChoices("height", "h"))
    dtype: Packing | None = None
    """`u8`, `u16le` or `u16be` a sample; `mipi_raw10` packs four samples in five bytes, `mipi_raw12` two in three."""
    bits: int | None = Field(None, ge=1, le=16)
    """Significant bits of a sample, least significant first; the container's if not given."""
    black: Code | tuple[Code, Code, Code, Code] | None = None
    """Black level in codes: one number, or one for each of the 2x2 sites in reading order; 0 if not given."""
    white: Code | None = None
    """Code of a saturated sample; the largest of `bits` if not given."""
    header_bytes: int = Field(0, ge=0, lt=1 << 31)
    trailing_bytes: int = Field(0, ge=0, lt=1 << 31)
    stride_bytes: int | None = Field(None, ge=1, lt=1 << 20)
    """Bytes from the start of a row to the next; packed rows if not given."""
    wb_rgb: tuple[Gain, Gain, Gain] | None = None
    """White balance gains that make a neutral grey."""
    ccm: Matrix | None = None
    """Rows of the matrix from white-balanced camera colour to linear sRGB."""
    ccm_q10: Matrix | None = None
    """The same times 1024."""
    illuminant: float | None = Field(None, ge=1667, le=50000)
    """Correlated colour temperature of the light in kelvin, on the Planckian locus; D65 if not given."""
    orientation: int = Field(1, ge=1, le=8)
    """EXIF orientation."""
    note: str = ""

    @model_validator(mode="after")
    def _agree(self) -> RawDescription:
        if self.ccm is not None and self.ccm_q10 is not None:
            raise ValueError("give ccm or ccm_q10, not both")
        if self.dtype is not None and self.bits is not None and self.bits > BITS[self.dtype]:
            raise ValueError(f"{self.dtype} holds no {self.bits} bits")
        return self


def describe(values: object, where: str) -> RawDescription:
    """A description from the values of a JSON object.

    Raises:
        RawError: with every mistake and, for an unknown key, the nearest known one.
    """
    try:
        return RawDescription.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()
        of_the_pattern = all(map(_is_other_pattern, wrong))
        hint = LINEAR_INSTEAD if of_the_pattern else f"a description has these keys: {', '.join(_keys())}"
        raise RawError(f"{where}: {'; '.join(map(_complaint, wrong))}", hint) from None


def load_description(path: Path, name: str) -> RawDescription:
    """The description of the file `name` in a JSON file: the only one there, or the entry under that name.

    Raises:
        RawError: the file cannot be read, is no JSON, or has no description for this name.
    """
    values = _load(path)
    if _is_description(values):
        return describe(values, str(path))
    entries = values if isinstance(values, dict) else {}
    if name not in entries:
        near = difflib.get_close_matches(name, [str(key) for key in entries], 1)
        raise RawError(
            f"{path}: no description of {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            'write {"' + name + '": {"width": ..., "height": ..., "cfa": "rggb", "dtype": "u16le"}}',
        )
    return describe(entries[name], f"{path}, {name}")


def find_description(path: Path) -> RawDescription | None:
    """The description beside a raw file: `<file>.json`, else the file's entry in `frames.json`, else None.

    Raises:
        RawError: a description was found but is wrong.
    """
    own = path.with_name(path.name + ".json")
    if own.is_file() and _is_description(values := _load(own)):
        return describe(values, str(own))
    shared = path.with_name("frames.json")
    if shared.is_file():
        values = _load(shared)
        if isinstance(values, dict) and path.name in values:
            return describe(values[path.name], f"{shared}, {path.name}")
    return None


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON + 1)
    except OSError as error:
        raise RawError(f"{path}: {error.strerror or error}") from None
    if len(data) > MAX_JSON:
        raise RawError(f"{path}: longer than {MAX_JSON} bytes, so it is no description of a raw file")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RawError(f"{path}: no valid JSON: {error}", "a description is a JSON object") from None


def _is_description(values: object) -> bool:
    """Whether a JSON value is one description, right or wrong, rather than a mapping of them, or something else."""
    if not isinstance(values, Mapping):
        return False
    return any(key in _keys() and not isinstance(value, Mapping) for key, value in values.items())


def _keys() -> list[str]:
    return sorted({*RawDescription.model_fields, "w", "h"})


def _is_other_pattern(item: Any) -> bool:
    """Whether one of pydantic's errors is a pattern of filters that is not read."""
    return item["loc"][:1] == ("cfa",) and item["type"] == "literal_error"


def _complaint(item: Any) -> str:
    """One of pydantic's errors in words for whoever wrote the description."""
    if _is_other_pattern(item):
        return f"cfa {item['input']!r} cannot be read: {ONLY_BAYER}"
    key = ".".join(str(part) for part in item["loc"][:1]) or "the description"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _keys(), 1)
        return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if item["type"] == "missing":
        return f"{key} is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message[:1].lower()}{message[1:]}"
