"""From a finished photograph back to camera RGB: the inverses of a camera's last steps.

T. Brooks, B. Mildenhall, T. Xue, J. Chen, D. Sharlet, J. T. Barron: "Unprocessing Images for Learned Raw Denoising",
CVPR 2019, sections 3.3 to 3.7.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ispdsl.runtime.spaces import RGB_SPACES, SRGB_CURVE, Floats, rgb_to_xyz

Tone = Literal["smoothstep", "none"]

HIGHLIGHT = 0.9
"""The intensity from which on a gain is no longer inverted in full (section 3.4)."""

D65_WHITE: Floats = rgb_to_xyz(RGB_SPACES["srgb"]).sum(axis=1)
"""XYZ of sRGB's white, (1, 1, 1) in linear sRGB."""


def unprocess(photo: Floats, colour_matrix: Floats, brightness: float, tone: Tone) -> NDArray[np.float32]:
    """Camera RGB, before white balance and within 0..1, of an sRGB `photo`, both ``(3, H, W)``.

    In order: inverse tone curve (section 3.7), inverse sRGB curve (3.6), inverse colour correction (3.5), inverse white
    balance and brightness with the highlights kept (3.3, 3.4). Two choices differ from the paper's text: the transfer
    curve is sRGB's own (IEC 61966-2-1) where the paper takes 2.2, and highlights are found by the mean of the three
    planes, so that saturated colours keep their hue.

    Args:
        photo: sRGB codes, 0..1.
        colour_matrix: XYZ to camera, as `camera_matrix` gives it: white has green 1.
        brightness: what white's green becomes, above 0.
        tone: ``smoothstep`` if the photo is thought to have been through that tone curve, ``none`` if not.
    """
    toned = inverse_smoothstep(photo.clip(0, 1)) if tone == "smoothstep" else photo.clip(0, 1)
    neutral = colour_matrix @ D65_WHITE
    to_camera = colour_matrix @ rgb_to_xyz(RGB_SPACES["srgb"]) / neutral[:, None]
    balanced = np.tensordot(to_camera, SRGB_CURVE.decode(toned), axes=1)
    return invert_gains(balanced, 1 / (neutral * brightness)).clip(0, 1).astype(np.float32)


def inverse_smoothstep(code: Floats) -> Floats:
    """The `x` in 0..1 for which ``3 x**2 - 2 x**3`` is `code` (section 3.7)."""
    return 0.5 - np.sin(np.arcsin(1 - 2 * code) / 3)


def invert_gains(image: Floats, gains: Floats) -> Floats:
    """``(3, H, W)`` divided by three `gains`, but towards white more and more kept as it is (section 3.4).

    A plain division would leave no clipped pixel in the raw. Where a gain is below 1, dividing brightens, and nothing
    is kept.
    """
    gains = gains[:, None, None]
    excess = np.maximum(image.mean(axis=0) - HIGHLIGHT, 0) / (1 - HIGHLIGHT)
    kept = np.minimum(excess, 1) ** 2
    return np.maximum(image / gains, (1 - kept) * image / gains + kept * image)
