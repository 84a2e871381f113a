"""Detail: texture and sharpening of ``(..., 3, H, W)``. All leave flat areas as they are; borders are mirrored."""

from __future__ import annotations

import math

from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, extend, luma, pad_mirror, plus, shift, triweight

WIDEST_TEXTURE = 8.0
WIDEST_SHARPEN = 3.0
"""Hard upper limits of the radii in px: the windows that free radii get."""

TEXTURE_CONTRAST = 0.1
"""Local contrast, relative to the surround, at which texture is boosted most; what is stronger counts as an edge."""

TEXTURE_FLOOR = 0.01
"""Surround below which contrast stops growing, so that noise in black does not become texture."""

BINOMIAL = (0.25, 0.5, 0.25)


def texture(image: Tensor, *, amount: Scalar, radius: Scalar, space: str) -> Tensor:
    """Boost (1) or smooth away (-1) structure of about `radius` px, and leave edges and fine noise alone.

    The band is a difference of Gaussians of luma (Marr and Hildreth 1980, "Theory of edge detection"), here triweight
    kernels, with standard deviations ``radius / 2`` and ``radius``. It is scaled by ``1 / (1 + (band / (0.1
    surround))^2)``, the rational edge-stopping function of Perona and Malik 1990, which makes it fade where it comes
    from an edge: no halos.
    ``amount * band`` is added to the three planes alike, so that dark and negative values need no special case.

    Args:
        image: ``(..., 3, H, W)``, any range.
        amount: -1 to 1; 0 is the identity.
        radius: px, 0.5 to 8.
        space: colour space that gives the weights of luma.
    """
    light = luma(at_least_single(image), space)
    reach = WIDEST_TEXTURE if isinstance(radius, Tensor) else radius
    surround = blur(light, radius, reach)
    band = blur(light, 0.5 * radius, 0.5 * reach) - surround
    edge = TEXTURE_CONTRAST**2 * (surround.square() + TEXTURE_FLOOR**2)
    return (image + constant(amount, light) * band * edge / (edge + band.square())).to(image.dtype)


def sharpen(image: Tensor, *, amount: Scalar, radius: Scalar, threshold: Scalar) -> Tensor:
    """Unsharp mask (Gonzalez and Woods, Digital Image Processing, sec. 3.6) of each plane, with a soft threshold.

    ``out = image + amount * soft(image - blur(image, radius), threshold)``, where ``soft`` pulls differences towards
    zero by `threshold` (Donoho 1995, "De-noising by soft-thresholding").

    Args:
        image: ``(..., C, H, W)``, any range.
        amount: 0 to 3; 0 is the identity.
        radius: standard deviation of the blur in px, 0.3 to 3.
        threshold: difference below which nothing is sharpened, 0 to 0.2 of white.
    """
    work = at_least_single(image)
    detail = work - blur(work, radius, WIDEST_SHARPEN if isinstance(radius, Tensor) else radius)
    return plus(work, constant(amount, work), soft_threshold(detail, threshold)).to(image.dtype)


def sharpen_kernel(image: Tensor, *, strength: Scalar, kernel: Tensor) -> Tensor:
    """Sharpen by a fixed mask and by a free 3x3 kernel: ten parameters, the identity where all are 0.

    ``out = image + strength * (image - blur(image)) + kernel * image`` with the binomial 3x3 blur. ``*`` is
    correlation: ``kernel[0, 0]`` weighs the upper left neighbour. Each plane is treated alike. Linear in the image, and
    affine in the parameters, so that all ten have a gradient at the identity.

    Args:
        image: ``(..., C, H, W)``, any range.
        strength: -1 (blurred) to 4; 0 adds no sharpening.
        kernel: ``(..., 3, 3)``; leading dimensions, if any, are the batch's.
    """
    strength, kernel = constant(strength, image), constant(kernel, image)
    padded = pad_mirror(image, 1)
    result = image * (1 + strength)
    for row in range(3):
        for column in range(3):
            own = kernel[..., row, column, None, None, None] if kernel.dim() > 2 else kernel[row, column]
            weight = own - BINOMIAL[row] * BINOMIAL[column] * strength
            result = plus(result, weight, shift(padded, 1, row - 1, column - 1))
    return result


def soft_threshold(detail: Tensor, threshold: Scalar) -> Tensor:
    """Pull values towards zero by `threshold`, and to zero what is smaller (Donoho 1995)."""
    if not isinstance(threshold, Tensor) and threshold == 0:
        return detail
    limit = constant(threshold, detail)
    return (detail - limit).clamp(min=0) - (-detail - limit).clamp(min=0)


def blur(image: Tensor, sigma: Scalar, widest: float) -> Tensor:
    """Separable blur of standard deviation `sigma` px (triweight kernel), at most `widest`, with mirrored borders.

    The window is sized for `widest`: a float, because the shape of a computation cannot depend on a free parameter.
    """
    reach = 3 * sigma
    window = math.ceil(3 * widest) - 1
    return _blur_axis(_blur_axis(image, reach, window, -2), reach, window, -1)


def _blur_axis(image: Tensor, reach: Scalar, window: int, axis: int) -> Tensor:
    size = image.shape[axis]
    padded = extend(image, axis, window, window)
    result, total = image, constant(1.0, image)
    for offset in range(1, window + 1):
        weight = triweight(float(offset), reach)
        before, after = padded.narrow(axis, window - offset, size), padded.narrow(axis, window + offset, size)
        result = plus(result, weight, before + after)
        total = total + 2 * weight
    return result / total
