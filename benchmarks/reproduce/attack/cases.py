"""The pipelines that are attacked, and the settings that their photographers use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

Values = Mapping[str, str | float]


@dataclass(frozen=True)
class Case:
    """A pipeline and the settings under which its pictures are looked at.

    Attributes:
        name, about: of the case.
        pipeline: with programs, whose slopes are followed.
        settings: by name; the first are attacked, the second spared, with the others nobody reckons.
        real: a real thing that renders instead, with its settings of the same names; None where programs do.
    """

    name: str
    about: str
    pipeline: Path
    settings: Mapping[str, Values]
    real: tuple[Path, Mapping[str, Values]] | None = None


FINISHED = Case(
    "photo_finish",
    "`pipelines/photo_finish.isp`, rendered by its own programs. S1 is a photographer who likes contrast and colour, "
    "S2 one who likes neither; the others are the pipeline's own settings at the same brightness, and S1 a third of a "
    "stop darker.",
    ROOT / "pipelines" / "photo_finish.isp",
    {
        "S1": {
            "exposure.ev": 1.3, "contrast.amount": "35%", "saturation.amount": "130%", "texture.amount": "60%",
            "colour_balance.temperature": "6000K",
        },
        "S2": {
            "exposure.ev": 0.8, "contrast.amount": "-10%", "saturation.amount": "80%", "texture.amount": "0%",
            "colour_balance.temperature": "7500K", "tone_map.shadows": "50%", "look_table.amount": "100%",
        },
        "the pipeline's own": {"exposure.ev": 1.0},
        "S1, darker": {
            "exposure.ev": 0.97, "contrast.amount": "35%", "saturation.amount": "130%", "texture.amount": "60%",
            "colour_balance.temperature": "6000K",
        },
    },
)  # fmt: skip

NEUTRAL_LIBRAW: Values = {
    "scale_colours.lower": "0%", "interpolate.method": "linear", "brighten.auto": "off",
}  # fmt: skip

LIBRAW = Case(
    "libraw",
    "LibRaw through rawpy (`pipelines/libraw.isp`) renders; all raws lie side by side in one DNG, as LibRaw takes none "
    "so small. The slopes are those of programs that do what LibRaw does with linear interpolation "
    "(`benchmarks/reproduce/attack/libraw_alike.isp`). S1 is a stop and a half brighter, S2 a third of a stop with a "
    "warmer balance; the others are both with another interpolation, AHD.",
    Path(__file__).parent / "libraw_alike.isp",
    {
        "S1": {"bright": 1.5},
        "S2": {"bright": 0.33, "red": 1.3, "blue": 0.75},
        "S1 with AHD": {"bright": 1.5},
        "S2 with AHD": {"bright": 0.33, "red": 1.3, "blue": 0.75},
    },
    (
        ROOT / "pipelines" / "libraw.isp",
        {
            "S1": {**NEUTRAL_LIBRAW, "brighten.bright": 2**1.5},
            "S2": {**NEUTRAL_LIBRAW, "brighten.bright": 2**0.33, "scale_colours.balance": "manual"},
            "S1 with AHD": {**NEUTRAL_LIBRAW, "brighten.bright": 2**1.5, "interpolate.method": "ahd"},
            "S2 with AHD": {
                **NEUTRAL_LIBRAW, "brighten.bright": 2**0.33, "scale_colours.balance": "manual",
                "interpolate.method": "ahd",
            },
        },
    ),
)  # fmt: skip

CASES = (FINISHED, LIBRAW)
