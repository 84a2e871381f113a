"""Colour: white balance in the scene's terms, matrices, saturation, luma and chroma, the sRGB transfer curve."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import LUMA_WEIGHTS, Scalar, at_least_single, constant, luma, matrix_multiply, plus
from ispdsl.programs.white import (
    XYZ_TO_LINEAR_SRGB,
    blend_by_temperature,
    bradford,
    inverse3,
    white_xy,
    xy_to_xyz,
)
from ispdsl.runtime.spaces import D65_XY

D65_KELVIN = 6504.0
"""Correlated colour temperature of D65."""

VIBRANCE_FALL = 8.0
"""How fast vibrance lets go of colours as their saturation grows."""

GREY_GUARD = 1e-4
"""Below this value a colour counts as grey for vibrance."""


def colour_balance(
    image: Tensor,
    *,
    neutral: Tensor,
    colour_matrix_1: Tensor,
    colour_matrix_2: Tensor,
    illuminant_1: Scalar,
    illuminant_2: Scalar,
    temperature: Scalar,
    tint: Scalar,
    adaptation: str = "bradford",
) -> Tensor:
    """Render camera colour under an assumed illuminant, as the DNG specification 1.4, chapter 6, prescribes.

    The white of (`temperature`, `tint`) lies on the Planckian locus, or beside it; the camera's response to it follows
    from the ColorMatrix, interpolated in 1/temperature. Camera colour goes through the inverse of that matrix to XYZ,
    by Bradford adaptation from the assumed white to D65, and to linear sRGB. A surface that the camera sees as that
    white, with green at g, becomes exactly (g, g, g). A higher temperature gives a warmer picture.

    Args:
        image: ``(..., 3, H, W)`` camera colour divided by the as-shot neutral, scene-linear.
        neutral: ``(..., 3)`` that neutral (DNG AsShotNeutral, any scale).
        colour_matrix_1: ``(..., 3, 3)`` XYZ to camera under `illuminant_1` (DNG ColorMatrix1).
        colour_matrix_2: the same under `illuminant_2`.
        illuminant_1: K.
        illuminant_2: K; equal to `illuminant_1` where there is one matrix only.
        temperature: K, of the assumed illuminant.
        tint: of the assumed illuminant, its distance from the locus on the scale of `ispdsl.runtime.whitepoint`.
        adaptation: ``bradford`` as above; ``camera`` scales the camera's own colours instead (von Kries) and takes the
            matrix for daylight whatever the illuminant, as dcraw and LibRaw do.
    """
    light = at_least_single(image)
    kelvin, offset = per_image(temperature, light), per_image(tint, light)
    first, second = constant(colour_matrix_1, light), constant(colour_matrix_2, light)
    light_1, light_2 = per_image(illuminant_1, light), per_image(illuminant_2, light)
    white, daylight = white_xy(kelvin, offset), constant(list(D65_XY), light)
    matrix = blend_by_temperature(first, second, light_1, light_2, kelvin)
    seen = _seen(matrix, white)
    as_shot = constant(neutral, light)
    native = as_shot / as_shot[..., 1:2] * seen[..., 1:2]
    to_srgb = constant(XYZ_TO_LINEAR_SRGB, light)
    if adaptation == "camera":
        matrix = blend_by_temperature(first, second, light_1, light_2, constant(D65_KELVIN, light))
        native = native / seen * _seen(matrix, daylight)
    else:
        to_srgb = to_srgb @ bradford(white, daylight)
    return matrix_multiply(to_srgb @ inverse3(matrix) * native[..., None, :], light).to(image)


def _seen(matrix: Tensor, white: Tensor) -> Tensor:
    """Camera colour ``(..., 3)`` of a white of chromaticity ``(..., 2)`` and luminance 1."""
    return (matrix * xy_to_xyz(white)[..., None, :]).sum(-1)


def per_image(value: Scalar, like: Tensor) -> Tensor:
    """A setting ``()`` or ``(B, 1, 1, 1)`` without the axes of the image: ``()`` or ``(B,)``."""
    setting = constant(value, like)
    return setting[..., 0, 0, 0] if setting.dim() >= 3 else setting


def colour_matrix(image: Tensor, *, coefficients: Tensor) -> Tensor:
    """Apply a colour matrix ``(..., 3, 3)`` to every pixel of ``(..., 3, H, W)``: out_i is the sum of m_ij in_j."""
    return matrix_multiply(constant(coefficients, image), image)


def saturation(image: Tensor, *, amount: Scalar, space: str) -> Tensor:
    """Scale every colour's distance from the grey of its luma by `amount`: 0 is grey, 1 the image itself."""
    return plus(image, constant(amount, image) - 1.0, image - luma(image, space))


def desaturation(image: Tensor, *, strength: Scalar, space: str) -> Tensor:
    """Blend with the grey of the same luma: strength 0 is the image itself, 1 is grey, below 0 saturates."""
    return image + constant(strength, image) * (luma(image, space) - image)


def vibrance(image: Tensor, *, amount: Scalar, space: str) -> Tensor:
    """Saturation for pale colours, less and less for strong ones; luma and hue stay.

    A colour's distance d from the grey of its luma grows by ``1 + amount * exp(-8 |d|^2 / |rgb|^2)``: by 70 % for skin
    at amount 1, by less than 1 % for a pure primary. Stronger colours stay stronger for every amount in -1..1.
    """
    distance = image - luma(image, space)
    strength = distance.square().sum(-3, keepdim=True) / (image.square().sum(-3, keepdim=True) + GREY_GUARD**2)
    return image + constant(amount, image) * torch.exp(-VIBRANCE_FALL * strength) * distance


def to_ycc(image: Tensor, *, space: str) -> tuple[Tensor, Tensor]:
    """Luma ``(..., 1, H, W)`` and the colour differences Cb, Cr ``(..., 2, H, W)`` (ITU-R BT.709, item 3).

    ``Cb = (B - Y) / (2 - 2 w_B)`` and ``Cr = (R - Y) / (2 - 2 w_R)``, both within +-0.5 for colours within 0..1, with
    the luma weights w of `space`.
    """
    y = luma(image, space)
    red, _, blue = _weights(space)
    blue_difference = (image[..., 2:3, :, :] - y) / (2.0 - 2.0 * blue)
    red_difference = (image[..., 0:1, :, :] - y) / (2.0 - 2.0 * red)
    return y, torch.cat([blue_difference, red_difference], -3)


def from_ycc(y: Tensor, chroma: Tensor, *, space: str) -> Tensor:
    """The colour image ``(..., 3, H, W)`` of luma ``(..., 1, H, W)`` and Cb, Cr ``(..., 2, H, W)``: undoes `to_ycc`."""
    red_weight, green_weight, blue_weight = _weights(space)
    blue = y + (2.0 - 2.0 * blue_weight) * chroma[..., 0:1, :, :]
    red = y + (2.0 - 2.0 * red_weight) * chroma[..., 1:2, :, :]
    green = (y - red_weight * red - blue_weight * blue) / green_weight
    return torch.cat([red, green, blue], -3)


def _weights(space: str) -> tuple[float, float, float]:
    return LUMA_WEIGHTS.get(space, (1 / 3, 1 / 3, 1 / 3))


def srgb(image: Tensor) -> Tensor:
    """Encode linear sRGB for display (IEC 61966-2-1), limited to 0..1; no gradient passes where a value is cut off."""
    return srgb_encode_unbounded(image.clamp(0.0, 1.0))


def srgb_encode_unbounded(image: Tensor) -> Tensor:
    """The sRGB curve without limits: its straight segment goes on below 0, its power law above 1."""
    light = at_least_single(image)
    power = 1.055 * torch.exp2(torch.log2(light.clamp(min=0.003)) / 2.4) - 0.055
    return torch.minimum(12.92 * light, power).to(image)  # they cross at 0.0031308, from where on the power is lower


def srgb_decode(image: Tensor) -> Tensor:
    """Linear sRGB of sRGB-encoded values (IEC 61966-2-1), without limits: undoes `srgb_encode_unbounded`."""
    code = at_least_single(image)
    power = torch.exp2(2.4 * torch.log2((code.clamp(min=0.04045) + 0.055) / 1.055))
    return torch.where(code <= 0.04045, code / 12.92, power).to(image)
