"""What LibRaw and darktable do by formulas that are known: these stages are left programs, and the rest is doubled."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS, elements, site_values
from ispdsl.programs.ops import constant, matrix_multiply

SRGB_TO_XYZ = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
"""As LibRaw has it, to six digits."""

SRGB_TO_REC2020 = [
    [0.6274039, 0.329283, 0.0433131],
    [0.0690973, 0.9195404, 0.0113623],
    [0.0163914, 0.0880133, 0.8955953],
]
"""ITU-R BT.2087, unrounded primaries."""


def white_balance(
    mosaic: Tensor, *, as_shot_neutral: Tensor, red: Tensor, green: Tensor, blue: Tensor, cfa: str
) -> Tensor:
    """White balance as darktable has it: each colour over what the camera gives of a neutral, times a gain."""
    neutral = elements(constant(as_shot_neutral, mosaic))
    gains = [constant(gain, mosaic) / one for gain, one in zip((red, green, blue), neutral, strict=True)]
    return mosaic * site_values([gains[colour] for colour in COLOURS[cfa]], mosaic, cfa)


def highlights(mosaic: Tensor, *, as_shot_neutral: Tensor, threshold: Tensor) -> Tensor:
    """Highlight reconstruction by clipping, as darktable has it: all colours at the lowest white after white balance.

    Equal to darktable 4.2.1 within 2e-5 on five cameras' raws.
    """
    neutral = constant(as_shot_neutral, mosaic)
    least = (1 / neutral.amax(-1))[..., None, None, None]
    return torch.minimum(mosaic, constant(threshold, mosaic) * least)


def camera_to_srgb(image: Tensor, *, colour_matrix_2: Tensor) -> Tensor:
    """Balanced camera colour to linear sRGB as LibRaw does: white stays white. Within 1e-5 of it."""
    return matrix_multiply(_camera_to_srgb(constant(colour_matrix_2, image)), image)


def camera_to_srgb_clipped(image: Tensor, *, colour_matrix_2: Tensor) -> Tensor:
    """The same within 0..1, all that LibRaw's integers hold."""
    return camera_to_srgb(image, colour_matrix_2=colour_matrix_2).clamp(0, 1)


def camera_to_rec2020(image: Tensor, *, colour_matrix_2: Tensor) -> Tensor:
    """Balanced camera colour to linear Rec. 2020 as darktable 4.2.1 does for a DNG with one matrix."""
    matrix = constant(SRGB_TO_REC2020, image) @ _camera_to_srgb(constant(colour_matrix_2, image))
    return matrix_multiply(matrix, image)


def _camera_to_srgb(to_camera: Tensor) -> Tensor:
    """The inverse of the matrix from linear sRGB to the camera, each row over its sum."""
    rows = to_camera @ constant(SRGB_TO_XYZ, to_camera)
    first, second, third = (rows / rows.sum(-1, keepdim=True)).unbind(-2)
    cross = torch.linalg.cross(second, third), torch.linalg.cross(third, first), torch.linalg.cross(first, second)
    return torch.stack(cross, -1) / (first * cross[0]).sum(-1)[..., None, None]
