"""How the error of an image counts, by what the image is: light, values for a display, or codes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ispdsl.ir.types import Type
from ispdsl.proxies.codec import ENCODED, code_range, compand

Look = Literal["light", "limited", "free"]
"""``light``: scene-linear values without bounds. ``limited``: within 0 and white, as codes and what a display shows.
``free``: anything else, such as chroma."""


def look_of(type_: Type) -> Look:
    """How the error of images of this type counts."""
    if code_range(type_) is not None or "unit" in type_.args:
        return "limited"
    return "light" if type_.name in ("rgb", "luma", "raw") and type_.args[0] not in ENCODED else "free"


def weighed(found: Tensor, wanted: Tensor, look: Look) -> tuple[Tensor, Tensor]:
    """What a loss compares, both over white.

    Light is companded: an error of a stop counts alike in highlights and in mid-tones. At the limits of limited values
    nothing more is asked for than to reach them, since whoever uses a double cuts there: so no kink has to be learned.
    """
    if look == "light":
        return compand(found), compand(wanted)
    if look == "limited":
        reached = torch.where(wanted >= 1, found.clamp_max(1), torch.where(wanted <= 0, found.clamp_min(0), found))
        return reached, wanted
    return found, wanted


def shown(image: Tensor, look: Look) -> Tensor:
    """The image over white as it would be seen: within 0..1, light coded by the curve of IEC 61966-2-1."""
    if look == "free":
        return image
    image = image.clamp(0, 1)
    if look == "limited":
        return image
    return torch.where(image <= 0.0031308, 12.92 * image, 1.055 * image.clamp_min(1e-8).pow(1 / 2.4) - 0.055)
