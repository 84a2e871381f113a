"""The guided filter (He, Sun and Tang 2010), and chroma brought up along luma's edges with it. Borders mirrored."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ispdsl.programs.denoise import half
from ispdsl.programs.ops import Scalar, at_least_single, constant, extend, sum_terms, weighted_sum

WIDEST_RADIUS = 8.0
"""Hard upper limit of the filter's radius in px: the window that a free radius gets."""

UPSAMPLE_RADIUS = 2.0
"""Half the window when chroma is brought up, in samples of the small chroma."""


def guided_filter(image: Tensor, *, strength: Scalar, radius: Scalar, contrast: Scalar) -> Tensor:
    """The guided filter of an image by itself (He, Sun and Tang 2010, in the form for colour guides).

    In each window the output is the linear function of the input that follows it up to a penalty on the slope: with
    the planes' covariance ``S`` and ``e = contrast^2`` the slope is ``(S + e I)^-1 S = I - e (S + e I)^-1``, so a
    variation well below `contrast` is averaged away and one well above it stays. Slopes and offsets of all windows
    that hold a pixel are averaged.

    Args:
        image: ``(..., C, H, W)`` of one or three planes, any range; in float32 well below 30.
        strength: 0 leaves the image as it is, 1 gives the filter in full.
        radius: px, 1 to 8; the window has ``2 radius + 1`` px, its outermost ones count a share where that is no whole.
        contrast: 0.01 to 1 of white.
    """
    wide = at_least_single(image)
    penalty = constant(contrast, wide) ** 2
    window = math.ceil(WIDEST_RADIUS if isinstance(radius, Tensor) else radius)
    radius = constant(radius, wide)
    mean = box_mean(wide, radius, window)
    planes = list(wide.unbind(-3))
    pairs = [(a, b) for a in range(len(planes)) for b in range(a, len(planes))]
    products = torch.stack([planes[a] * planes[b] for a, b in pairs], -3)
    means = torch.stack([mean[..., a, :, :] * mean[..., b, :, :] for a, b in pairs], -3)
    slope = _slope((box_mean(products, radius, window) - means), penalty)
    offset = mean - _apply(slope, mean)
    slope, offset = box_mean(slope, radius, window), box_mean(offset, radius, window)
    found = _apply(slope, wide) + offset
    return (wide + constant(strength, wide) * (found - wide)).to(image.dtype)


def _slope(covariance: Tensor, penalty: Tensor) -> Tensor:
    """``I - e (S + e I)^-1`` of symmetric matrices given by their upper triangles, as upper triangles again."""
    if covariance.shape[-3] == 1:
        return covariance / (covariance + penalty)
    penalty = penalty[..., 0] if penalty.dim() else penalty
    rr, rg, rb, gg, gb, bb = covariance.unbind(-3)
    rr, gg, bb = rr + penalty, gg + penalty, bb + penalty
    minors = (gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg)
    rest = (rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg)
    share = penalty / (rr * minors[0] + rg * minors[1] + rb * minors[2])
    red, green, blue = (1 - share * minor for minor in (minors[0], rest[0], rest[2]))
    return torch.stack([red, -share * minors[1], -share * minors[2], green, -share * rest[1], blue], -3)


def _apply(slope: Tensor, image: Tensor) -> Tensor:
    """The symmetric matrices `slope` times the planes of `image`."""
    if image.shape[-3] == 1:
        return slope * image
    rr, rg, rb, gg, gb, bb = slope.unbind(-3)
    red, green, blue = image.unbind(-3)
    rows = (rr * red + rg * green + rb * blue, rg * red + gg * green + gb * blue, rb * red + gb * green + bb * blue)
    return torch.stack(rows, -3)


def guided_upsample(chroma: Tensor, luma: Tensor, *, contrast: Scalar) -> Tensor:
    """Bring chroma that `half` made small up to the size of luma, along luma's edges.

    The fast guided filter (He and Sun 2015, algorithm 2; He, Sun and Tang 2010): chroma is taken as
    ``a * luma + b`` in every window of 5x5 small samples, ``a`` and ``b`` are averaged and interpolated linearly.

    Args:
        chroma: ``(..., C, h, w)``, luma's size halved any number of times.
        luma: ``(..., 1, H, W)``, the guide.
        contrast: luma's standard deviation from which on its edges count as chroma's, 0.01 to 1 of white.

    Raises:
        ValueError: no number of halvings brings luma's size to that of chroma.
    """
    small, guides = at_least_single(chroma), _guides(at_least_single(luma), chroma)
    guide = guides[-1]
    mean_guide, mean_chroma = _window(guide), _window(small)
    variance = _window(guide * guide) - mean_guide.square()
    covariance = _window(guide * small) - mean_guide * mean_chroma
    slope = covariance / (variance + constant(contrast, guide) ** 2)
    offset = mean_chroma - slope * mean_guide
    slope, offset = _window(slope), _window(offset)
    for larger in reversed(guides[:-1]):
        slope, offset = _double(slope, larger), _double(offset, larger)
    return (slope * guides[0] + offset).to(chroma.dtype)


def _guides(luma: Tensor, chroma: Tensor) -> list[Tensor]:
    """Luma halved until it has the size of chroma, the largest first."""
    guides = [luma]
    while guides[-1].shape[-2:] != chroma.shape[-2:]:
        height, width = guides[-1].shape[-2:]
        if height < chroma.shape[-2] or width < chroma.shape[-1] or height == width == 1:
            small, large = ("x".join(map(str, image.shape[-2:])) for image in (chroma, luma))
            raise ValueError(f"chroma of {small} is not luma of {large} halved: give it what `half` makes of that size")
        guides.append(half(guides[-1]))
    return guides


def _window(image: Tensor) -> Tensor:
    return box_mean(image, constant(UPSAMPLE_RADIUS, image), int(UPSAMPLE_RADIUS))


def box_mean(image: Tensor, radius: Tensor, window: int) -> Tensor:
    """The mean of a square of `radius` px to each side, at most `window`; a part of a pixel counts that share.

    At a whole radius the slopes with respect to it differ to both sides; its gradient is their mean.
    """
    shares = [_share(radius + 1 - abs(offset)) for offset in range(-window, window + 1)]
    return _mean_along(_mean_along(image, shares, -2), shares, -1)


def _share(reached: Tensor) -> Tensor:
    """Limited to 0..1, at both ends with half the gradient: that of `clamp` would count both slopes in full."""
    return torch.minimum(torch.maximum(reached, torch.zeros_like(reached)), torch.ones_like(reached))


def _mean_along(image: Tensor, shares: list[Tensor], axis: int) -> Tensor:
    size, window = image.shape[axis], len(shares) // 2
    padded = extend(image, axis, window, window)
    terms = [padded.narrow(axis, offset, size) for offset in range(len(shares))]
    return weighted_sum(shares, terms) / sum_terms(shares)


def _double(image: Tensor, like: Tensor) -> Tensor:
    """Linear interpolation from the centres of 2x2 cells to their pixels, at the size of `like`."""
    return _double_axis(_double_axis(image, like.shape[-2], -2), like.shape[-1], -1)


def _double_axis(image: Tensor, size: int, axis: int) -> Tensor:
    pixel = torch.arange(size, device=image.device)
    near = pixel // 2
    far = (near + 2 * (pixel % 2) - 1).clamp(0, image.shape[axis] - 1)
    return 0.75 * image.index_select(axis, near) + 0.25 * image.index_select(axis, far)
