"""Between colour spaces by matrix, and chromatic adaptation from one white to another."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ispdsl.programs.colour import per_image
from ispdsl.programs.ops import Scalar, at_least_single, constant, matrix_multiply
from ispdsl.programs.white import white_xy, xy_to_xyz
from ispdsl.runtime.spaces import BRADFORD, RGB_SPACES, Floats, adaptation, rgb_to_xyz, white_xyz

CONES: dict[str, Floats] = {
    "bradford": BRADFORD,
    "cat16": np.array(
        [[0.401288, 0.650173, -0.051461], [-0.250268, 1.204414, 0.045854], [-0.002079, 0.048952, 0.953127]]
    ),
    "cat02": np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]]),
    "von_kries": np.array([[0.40024, 0.70760, -0.08081], [-0.22630, 1.16532, 0.04570], [0.0, 0.0, 0.91822]]),
}
"""XYZ to the responses in which whites are scaled: Lam 1985, Li et al. 2017, CIE 159:2004, and the cones of Hunt,
Pointer and Estevez normalised to D65."""


def between(source: str, target: str) -> list[list[float]]:
    """The matrix from one linear space to another by their primaries (SMPTE RP 177), at full precision.

    Whites go to whites: Bradford's adaptation where they differ. `xyz` is relative to D65, the white of linear sRGB.
    """
    ends = []
    for space in (source, target):
        if space == "xyz":
            ends.append((np.eye(3), RGB_SPACES["linear_srgb"].white))
        else:
            ends.append((rgb_to_xyz(RGB_SPACES[space]), RGB_SPACES[space].white))
    (to_xyz_matrix, white), (from_matrix, other) = ends
    adapted = to_xyz_matrix if white == other else adaptation(white_xyz(white), white_xyz(other)) @ to_xyz_matrix
    return np.linalg.solve(from_matrix, adapted).tolist()


SRGB_TO_REC2020 = between("linear_srgb", "linear_rec2020")
REC2020_TO_SRGB = between("linear_rec2020", "linear_srgb")
SRGB_TO_PROPHOTO = between("linear_srgb", "linear_prophoto")
PROPHOTO_TO_SRGB = between("linear_prophoto", "linear_srgb")
SRGB_TO_XYZ = between("linear_srgb", "xyz")
XYZ_TO_SRGB = between("xyz", "linear_srgb")


def to_rec2020(image: Tensor) -> Tensor:
    """Linear sRGB ``(..., 3, H, W)`` to linear BT.2020."""
    return _convert(SRGB_TO_REC2020, image)


def from_rec2020(image: Tensor) -> Tensor:
    """Linear BT.2020 ``(..., 3, H, W)`` to linear sRGB."""
    return _convert(REC2020_TO_SRGB, image)


def to_prophoto(image: Tensor) -> Tensor:
    """Linear sRGB ``(..., 3, H, W)`` to linear ROMM RGB, from D65 to D50."""
    return _convert(SRGB_TO_PROPHOTO, image)


def from_prophoto(image: Tensor) -> Tensor:
    """Linear ROMM RGB ``(..., 3, H, W)`` to linear sRGB, from D50 to D65."""
    return _convert(PROPHOTO_TO_SRGB, image)


def to_xyz(image: Tensor) -> Tensor:
    """Linear sRGB ``(..., 3, H, W)`` to XYZ relative to D65, Y = 1 for white."""
    return _convert(SRGB_TO_XYZ, image)


def from_xyz(image: Tensor) -> Tensor:
    """XYZ relative to D65 ``(..., 3, H, W)`` to linear sRGB."""
    return _convert(XYZ_TO_SRGB, image)


def _convert(matrix: list[list[float]], image: Tensor) -> Tensor:
    values = at_least_single(image)
    return matrix_multiply(constant(matrix, values), values).to(image)


def adapt(
    image: Tensor,
    *,
    source: Scalar,
    source_tint: Scalar,
    target: Scalar,
    target_tint: Scalar,
    method: str,
    space: str,
) -> Tensor:
    """Adapt colours seen under one white to another: von Kries scaling of the responses of `method`.

    Written as the image and its change, so that equal whites leave it as it is.

    Args:
        image: ``(..., 3, H, W)`` of a linear space.
        source: correlated colour temperature in K of the white that the colours were seen under.
        source_tint: its distance from the Planckian locus, on the scale of `ispdsl.runtime.whitepoint`.
        target: K, of the white that they are to be seen under.
        target_tint: its distance from the locus.
        method: a name of `CONES`.
        space: ``xyz``, or an RGB space by whose primaries `image` is converted to XYZ and back.
    """
    values = at_least_single(image)
    to_space = np.eye(3) if space == "xyz" else rgb_to_xyz(RGB_SPACES[space])
    forward = CONES[method] @ to_space
    cones, back = constant(forward.tolist(), values), constant(np.linalg.inv(forward).tolist(), values)
    before = _response(method, source, source_tint, values)
    after = _response(method, target, target_tint, values)
    change = back @ ((after / before - 1.0)[..., :, None] * cones)
    return (values + matrix_multiply(change, values)).to(image)


def _response(method: str, temperature: Scalar, tint: Scalar, like: Tensor) -> Tensor:
    """The responses ``(..., 3)`` to a white of luminance 1."""
    white = xy_to_xyz(white_xy(per_image(temperature, like), per_image(tint, like)))
    return (constant(CONES[method].tolist(), like) * white[..., None, :]).sum(-1)
