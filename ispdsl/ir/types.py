"""Types of values in a graph: layout, CFA or colour space, storage.

``raw<rggb, u12>`` is a mosaic of 12-bit codes, ``rgb<linear_srgb, f32>`` scene-linear colour,
``vector<256>`` a statistic.
A single capital letter is a type variable; an argument that names a parameter takes that parameter's value.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel

BAYER = ("rggb", "bggr", "grbg", "gbrg")
CFAS = (*BAYER, "linear")
"""CFA names in reading order of the top-left 2x2 sites; ``linear`` is a LinearRaw frame, three samples a site."""

SPACES = (
    "camera",
    "xyz",
    "linear_srgb",
    "linear_prophoto",
    "linear_rec2020",
    "srgb",
    "prophoto",
    "rec709",
    "rec2020",
    "pq",
    "hlg",
)
"""Colour spaces. ``camera`` is the sensor's own, after the as-shot white balance; ``linear_*`` are scene-linear."""

FLOATS = ("f16", "f32", "f64")
INTEGER_STORAGE = re.compile(r"u([1-9]|1[0-9]|2[0-4])")

IMAGE_LAYOUTS = {"raw": 1, "rgb": 3, "luma": 1, "chroma": 2}
"""Layouts of images and the number of planes of each (three for ``raw<linear, ...>``)."""

LAYOUTS: dict[str, tuple[str, ...]] = {
    "raw": ("cfa", "storage"),
    "rgb": ("space", "storage"),
    "luma": ("space", "storage"),
    "chroma": ("space", "storage"),
    "real": ("unit",),
    "vector": ("size",),
    "matrix": ("size", "size"),
    "grid": (),
    "text": (),
}
"""What each argument of a type means, in order. ``real`` may go without its unit."""

Role = Literal["cfa", "space", "storage", "unit", "size"]


class Type(BaseModel, frozen=True):
    """A type with its arguments as written: names, type variables (one capital letter) or sizes."""

    name: str
    args: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}<{', '.join(map(str, self.args))}>" if self.args else self.name

    @staticmethod
    def parse(text: str) -> Type:
        """Read a type from its printed form, e.g. ``raw<rggb, u14>``.

        Raises:
            ValueError: the text is no type of the form ``name`` or ``name<arg, ...>``.
        """
        match = re.fullmatch(r"\s*([a-z_]+)\s*(?:<([^<>]*)>)?\s*", text)
        if not match:
            raise ValueError(f"{text!r} is not a type; write for example raw<rggb, u12>")
        words = [word.strip() for word in match[2].split(",")] if match[2] else []
        return Type(name=match[1], args=tuple(int(word) if word.isdigit() else word for word in words))

    @property
    def is_image(self) -> bool:
        """Whether values of this type are images."""
        return self.name in IMAGE_LAYOUTS

    @property
    def planes(self) -> int:
        """Number of planes of an image of this type."""
        return 3 if self.name == "raw" and self.args[0] == "linear" else IMAGE_LAYOUTS[self.name]


def is_variable(argument: str | int) -> bool:
    """Whether a type argument is a type variable: one capital letter."""
    return isinstance(argument, str) and len(argument) == 1 and argument.isupper()


def storage_fits(given: str | int, wanted: str | int) -> bool:
    """Whether a value stored as `given` may be used where `wanted` is asked for, its numbers unchanged.

    ``unit`` is a float, a narrower integer fits in a wider one, a narrower float in a wider one; nothing else converts.
    """
    if given == wanted:
        return True
    if wanted in FLOATS:
        return given == "unit" or (given in FLOATS and FLOATS.index(str(given)) <= FLOATS.index(str(wanted)))
    given_bits, wanted_bits = (INTEGER_STORAGE.fullmatch(str(s)) for s in (given, wanted))
    return bool(given_bits and wanted_bits and int(given_bits[1]) <= int(wanted_bits[1]))
