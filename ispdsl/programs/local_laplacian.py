"""Edge-aware change of local contrast by a pyramid of remapped copies. Images are ``(..., 3, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.ops import Scalar, at_least_single, constant, luma
from ispdsl.programs.pyramid import collapse, depth, gaussian_pyramid, laplacian_pyramid
from ispdsl.programs.stops import Grid, stops

GRIDS = {"coarse": Grid(-10, 0.75, 17), "medium": Grid(-10, 0.375, 33), "fine": Grid(-10, 0.1875, 65)}
"""Fixed values about which copies are remapped, from -10 to 2 stops about white."""


def local_laplacian(
    image: Tensor, *, alpha: Scalar, beta: Scalar, sigma: Scalar, epsilon: Scalar, sampling: str, space: str
) -> Tensor:
    """The local Laplacian filter (Paris, Hasinoff and Kautz 2011) on luma in stops; the ratios of the planes stay.

    In the original each coefficient of the result's Laplacian pyramid comes from a copy of the image remapped about
    the value of the Gaussian pyramid at that place (their algorithm 1). Here, as in Aubry et al. 2014 ("Fast local
    Laplacian filters"), copies are made for fixed values and the coefficients interpolated linearly between
    them; values outside -10..2 stops take the outermost copy. What is remapped is the displacement, which is zero
    where nothing is to change: so alpha = beta = 1 gives the image itself, at any sampling.

    Args:
        image: ``(..., 3, H, W)``, any range; negative luma counts as its absolute value.
        alpha: above 0; below 1 detail is boosted, above 1 smoothed.
        beta: 0 or more; the slope of edges: below 1 the range is compressed, above 1 expanded.
        sigma: stops, above 0; smaller differences are detail, larger ones edges.
        epsilon: stops, above 0; differences below it keep a finite gain, as noise should.
        sampling: distance of the fixed values: ``coarse`` 3/4, ``medium`` 3/8, ``fine`` 3/16 of a stop. The
            smaller alpha and epsilon, the finer it must be.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    light = stops(luma(work, space))
    count = depth(*light.shape[-2:])
    guides = gaussian_pyramid(light, count)
    grid = GRIDS[sampling]
    settings = [constant(value, light) for value in (alpha, beta, sigma, epsilon)]
    moved = [torch.zeros_like(guide) for guide in guides]
    for samples in grid.samples(light):
        bands = laplacian_pyramid(displacement(light - samples, *settings), count)
        for level in range(count):
            weighted = grid.weight(guides[level], samples) * bands[level]
            moved[level] = moved[level] + weighted.sum(-3, keepdim=True)
    return (work * torch.exp2(collapse(moved))).to(image.dtype)


def displacement(difference: Tensor, alpha: Tensor, beta: Tensor, sigma: Tensor, epsilon: Tensor) -> Tensor:
    """By how much the remapping moves a value that lies `difference` from the centre (Paris et al. 2011).

    Detail, at most sigma away, follows their power law ``d * (|d| / sigma)^(alpha - 1)``, with ``|d|`` and sigma
    replaced by ``sqrt(d^2 + epsilon^2)`` and ``sqrt(sigma^2 + epsilon^2)`` in place of their blend with the identity
    below a noise level: alike in effect, and smooth. Edges follow their straight line of slope beta.
    """
    share = (difference.square() + epsilon.square()) / (sigma.square() + epsilon.square())
    detail = difference * (torch.exp2(0.5 * (alpha - 1) * torch.log2(share)) - 1)
    beyond = (difference - sigma).clamp(min=0) - (-difference - sigma).clamp(min=0)
    return torch.where(difference.abs() <= sigma, detail, (beta - 1) * beyond)
