"""The guided filter with a guide beside the image: smoothing that stops at the edges of the guide."""

from __future__ import annotations

from torch import Tensor

from ispdsl.programs.ops import Scalar, constant, extend, plus

SPLINE = (6 / 16, 4 / 16, 1 / 16)
"""Half the cubic B-spline at whole numbers."""


def joint_guided(image: Tensor, guide: Tensor, *, levels: int, contrast: Scalar) -> Tensor:
    """Take the image as ``a * guide + b`` around every pixel (He, Sun and Tang 2010).

    The windows are those of `smooth` rather than boxes, twice in a row, so that the result depends on pixels up to
    ``4 (2^levels - 1)`` away.

    Args:
        image: ``(..., C, H, W)``.
        guide: ``(..., 1, H, W)``; the image itself for smoothing that keeps its own edges.
        levels: size of the windows, see `smooth`.
        contrast: standard deviation of the guide in a window, above 0, from which on it counts as an edge: the square
            root of the paper's epsilon.
    """
    mean_image, mean_guide = smooth(image, levels), smooth(guide, levels)
    variance = smooth(guide.square(), levels) - mean_guide.square()
    covariance = smooth(guide * image, levels) - mean_guide * mean_image
    slope = covariance / (variance + constant(contrast, image) ** 2)
    offset = mean_image - slope * mean_guide
    return smooth(slope, levels) * guide + smooth(offset, levels)


def smooth(image: Tensor, levels: int) -> Tensor:
    """The cubic B-spline with holes of 0, 1, 3, 7, ... pixels, one level after another, along both axes.

    The scaling function of Holschneider et al. 1989 ("A real-time algorithm for signal analysis with the help of the
    wavelet transform"): nearly a Gaussian, of standard deviation ``sqrt((4^levels - 1) / 3)`` px, that ends after
    ``2 (2^levels - 1)`` px. Borders are mirrored.
    """
    for level in range(levels):
        for axis in (-2, -1):
            image = _spline(image, 2**level, axis)
    return image


def _spline(image: Tensor, step: int, axis: int) -> Tensor:
    size = image.shape[axis]
    padded = extend(image, axis, 2 * step, 2 * step)
    near = padded.narrow(axis, step, size) + padded.narrow(axis, 3 * step, size)
    far = padded.narrow(axis, 0, size) + padded.narrow(axis, 4 * step, size)
    return plus(plus(SPLINE[0] * image, SPLINE[1], near), SPLINE[2], far)
