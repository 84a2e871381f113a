"""The device's register map: 32 fields, named after Table 1 of Tseng et al., "Hyperparameter optimization in black-box
image processing using differentiable proxies" (SIGGRAPH 2019), which lists an automotive ISP's without their addresses
or formats: both are ours, as is what each field does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONFIGURATION = 0x100
"""Words below belong to the device: identity, counters, what it is to do wrong."""

END = 0x1000
"""End of the registers."""

ARM = 0x020
"""Writing the number of a misdeed here makes the device commit it on the next frame."""


@dataclass(frozen=True)
class Field:
    """Bits `high` to `low` of the word at `address`, and the code that they hold after a reset."""

    address: int
    high: int
    low: int
    reset: int
    signed: bool = False

    def of(self, words: Mapping[int, int]) -> int:
        """The field's code."""
        width = self.high - self.low + 1
        code = words.get(self.address, 0) >> self.low & (1 << width) - 1
        return code - (1 << width) if self.signed and code >> (width - 1) else code


def _gain(address: int, low: int, reset: int) -> Field:
    return Field(address, low + 11, low, reset)


def _byte(address: int, low: int, reset: int) -> Field:
    return Field(address, low + 7, low, reset)


def _directed(address: int, slope: int, threshold: int) -> tuple[Field, Field]:
    return _byte(address, 0, slope), Field(address, 27, 16, threshold)


_VH, _VA, _AA, _UU = (
    _directed(*row) for row in ((0x200, 190, 220), (0x204, 175, 210), (0x208, 170, 100), (0x20C, 165, 210))
)

FIELDS: Mapping[str, Field] = {
    "gain_00": _gain(0x100, 0, 583),
    "gain_01": _gain(0x100, 16, 271),
    "gain_11": _gain(0x104, 0, 587),
    "vh_slope": _VH[0],
    "vh_thresh": _VH[1],
    "va_slope": _VA[0],
    "va_thresh": _VA[1],
    "aa_slope": _AA[0],
    "aa_thresh": _AA[1],
    "uu_slope": _UU[0],
    "uu_thresh": _UU[1],
    "sharp_alt_ld": _byte(0x210, 0, 45),
    "sharp_alt_ldu": _byte(0x210, 8, 45),
    "sharp_alt_lu": _byte(0x210, 16, 25),
    "np_offset": _byte(0x210, 24, 3),
    "fc_alias_slope": _byte(0x214, 0, 85),
    "fc_alias_thresh": _byte(0x214, 8, 0),
    "fc_slope": _byte(0x214, 16, 130),
    "thresh_1h": _byte(0x300, 0, 5),
    "strength_1": _byte(0x300, 8, 190),
    "thresh_4h": _byte(0x300, 16, 10),
    "strength_4": _byte(0x300, 24, 255),
    "thresh_long": _byte(0x304, 0, 48),
    "lut_knee": _byte(0x400, 0, 207),
    "lut_power": _byte(0x400, 8, 129),
    "lut_shadow": _byte(0x400, 16, 31),
    "coef_a_11": Field(0x500, 12, 0, 400, signed=True),
    "coef_a_12": Field(0x500, 28, 16, -120, signed=True),
    "coef_a_21": Field(0x504, 12, 0, -64, signed=True),
    "coef_a_22": Field(0x504, 28, 16, 384, signed=True),
    "coef_a_31": Field(0x508, 12, 0, 0, signed=True),
    "coef_a_32": Field(0x508, 28, 16, -112, signed=True),
}
"""The fields by name."""


def reset_words() -> dict[int, int]:
    """The configuration after a reset, by address."""
    words: dict[int, int] = {}
    for field in FIELDS.values():
        mask = (1 << (field.high - field.low + 1)) - 1
        words[field.address] = words.get(field.address, 0) | (field.reset & mask) << field.low
    return words


def codes(words: Mapping[int, int]) -> dict[str, int]:
    """The codes of all fields."""
    return {name: field.of(words) for name, field in FIELDS.items()}
