"""Transfer curves of display encodings: light to code and back, each plane alone.

Encoders limit to 0..1 (their result is ``unit``), decoders do not. Curves of endless slope at black (PQ, HLG) begin
with a straight segment of 1e-14 or 1e-12 of their range, so that their gradients stay finite. Half precision is
computed in float32, and rounded once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant

BT709_TOE = (1.099, 0.018)
"""Scale and knee of ITU-R BT.709-6, item 1.2."""

BT2020_TOES = {"ten": (1.099, 0.018), "twelve": (1.0993, 0.0181)}
"""Scale and knee of ITU-R BT.2020-2, table 4, by the bits of the system."""

ROMM_GAMMA, ROMM_KNEE, ROMM_SLOPE = 1.8, 2.0**-9, 16.0
"""ISO 22028-2: the power law, and the straight segment below 1/512."""

PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C3 = 3424 / 4096, 2392 / 4096 * 32
PQ_PEAK = 10000.0
"""SMPTE ST 2084: c2 is c3 + 1 - c1, and the peak is in cd/m^2."""

PQ_FLOOR = 1e-14
"""Share of the peak below which PQ goes straight to its value at black."""

HLG_A = 0.17883277
HLG_B = 1.0 - 4.0 * HLG_A
HLG_C = 0.5 - HLG_A * math.log(4.0 * HLG_A)
"""ITU-R BT.2100-2, table 5."""

HLG_FLOOR = 1e-12
"""Light below which HLG goes straight to black."""


def rec709(image: Tensor) -> Tensor:
    """Encode light by the opto-electronic curve of ITU-R BT.709-6, item 1.2, limited to 0..1."""
    return _toe_encode(image, *BT709_TOE)


def rec709_decode(image: Tensor) -> Tensor:
    """Light of BT.709 codes, without limits: undoes `rec709`."""
    return _toe_decode(image, *BT709_TOE)


def rec2020(image: Tensor, *, bits: str) -> Tensor:
    """Encode light by the opto-electronic curve of ITU-R BT.2020-2, table 4, limited to 0..1; `bits` ten or twelve."""
    return _toe_encode(image, *BT2020_TOES[bits])


def rec2020_decode(image: Tensor, *, bits: str) -> Tensor:
    """Light of BT.2020 codes, without limits: undoes `rec2020`."""
    return _toe_decode(image, *BT2020_TOES[bits])


def _toe_encode(image: Tensor, scale: float, knee: float) -> Tensor:
    """``4.5 L`` below `knee`, ``scale L^0.45 - (scale - 1)`` from there on."""
    light = at_least_single(image).clamp(0.0, 1.0)
    code = scale * _power(light.clamp(min=knee), 0.45) - (scale - 1.0)
    return torch.where(light < knee, 4.5 * light, code).to(image)


def _toe_decode(image: Tensor, scale: float, knee: float) -> Tensor:
    """The inverse of `_toe_encode`. The standards' rounded constants leave a step of 3e-4 at the knee."""
    code, edge = at_least_single(image), scale * knee**0.45 - (scale - 1.0)
    light = _power((code.clamp(min=edge) + (scale - 1.0)) / scale, 1.0 / 0.45)
    return torch.where(code < edge, code / 4.5, light).to(image)


def prophoto(image: Tensor) -> Tensor:
    """Encode light by the curve of ROMM RGB (ISO 22028-2), limited to 0..1."""
    light = at_least_single(image).clamp(0.0, 1.0)
    code = _power(light.clamp(min=ROMM_KNEE), 1.0 / ROMM_GAMMA)
    return torch.where(light < ROMM_KNEE, ROMM_SLOPE * light, code).to(image)


def prophoto_decode(image: Tensor) -> Tensor:
    """Light of ROMM RGB codes (ISO 22028-2), without limits: undoes `prophoto`."""
    code, edge = at_least_single(image), ROMM_SLOPE * ROMM_KNEE
    light = _power(code.clamp(min=edge), ROMM_GAMMA)
    return torch.where(code < edge, code / ROMM_SLOPE, light).to(image)


def pq(image: Tensor, *, white: Scalar) -> Tensor:
    """Encode light by the perceptual quantizer: the inverse EOTF of SMPTE ST 2084 (ITU-R BT.2100-2, table 4).

    ``(c1 + c2 Y) / (1 + c3 Y)`` is written as ``1 - (1 - c1) (1 - Y) / (1 + c3 Y)``, which keeps float32 exact to 1e-6.

    Args:
        image: light; limited to 0 and to the 10,000 cd/m^2 that PQ ends at.
        white: cd/m^2 of 1.0.
    """
    light = at_least_single(image)
    share = (light * (constant(white, light) / PQ_PEAK)).clamp(0.0, 1.0)
    black, floor = _pq_code(0.0), _pq_code(PQ_FLOOR**PQ_M1)
    y = _power(share.clamp(min=PQ_FLOOR), PQ_M1)
    code = torch.exp(PQ_M2 * torch.log1p(-(1.0 - PQ_C1) * (1.0 - y) / (1.0 + PQ_C3 * y)))
    return torch.where(share < PQ_FLOOR, black + (floor - black) / PQ_FLOOR * share, code).to(image)


def pq_decode(image: Tensor, *, white: Scalar) -> Tensor:
    """Light of PQ codes within 0..1, 1.0 at `white` cd/m^2: the EOTF of SMPTE ST 2084 (BT.2100-2, table 4)."""
    code = at_least_single(image)
    black, floor = _pq_code(0.0), _pq_code(PQ_FLOOR**PQ_M1)
    short = -torch.expm1(torch.log(code.clamp(min=floor)) / PQ_M2)
    y = (1.0 - PQ_C1 - short) / (1.0 - PQ_C1 + PQ_C3 * short)
    share = torch.where(code < floor, PQ_FLOOR * ((code - black) / (floor - black)), _power(y, 1.0 / PQ_M1))
    return (share * (PQ_PEAK / constant(white, code))).to(image)


def _pq_code(y: float) -> float:
    """The code of light to the power of m1."""
    return (1.0 - (1.0 - PQ_C1) * (1.0 - y) / (1.0 + PQ_C3 * y)) ** PQ_M2


def hlg(image: Tensor) -> Tensor:
    """Encode scene light, 1.0 its nominal peak, by the OETF of hybrid log-gamma (BT.2100-2, table 5), within 0..1."""
    light = at_least_single(image).clamp(0.0, 1.0)
    straight = math.sqrt(3.0 / HLG_FLOOR) * light
    root = (3.0 * light.clamp(min=HLG_FLOOR)).sqrt()
    log = HLG_A * torch.log(12.0 * light.clamp(min=1.0 / 12.0) - HLG_B) + HLG_C
    low = torch.where(light < HLG_FLOOR, straight, root)
    return torch.where(light <= 1.0 / 12.0, low, log).to(image)


def hlg_decode(image: Tensor) -> Tensor:
    """Scene light of hybrid log-gamma codes within 0..1: the inverse OETF of ITU-R BT.2100-2, table 5."""
    code = at_least_single(image)
    high = (torch.exp((code.clamp(min=0.5) - HLG_C) / HLG_A) + HLG_B) / 12.0
    return torch.where(code <= 0.5, code.square() / 3.0, high).to(image)


def _power(base: Tensor, exponent: float) -> Tensor:
    """``base ** exponent`` of a base above 0."""
    return torch.exp2(exponent * torch.log2(base))
