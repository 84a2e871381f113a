"""A tone equaliser: exposure by zones of luma, with local contrast left alone. Images are ``(..., 3, H, W)``."""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.joint_guided import joint_guided
from ispdsl.programs.ops import Scalar, at_least_single, constant, luma, sum_terms

ZONES = tuple(range(-8, 1))
"""Centres of the bands, in stops from white."""

DARKEST = 2.0**-14
"""Luma below which the mask stops telling dark from darker."""

LEVELS = {"small": 3, "medium": 4, "large": 5}
"""Levels of the mask's smoothing by the size of what is an object: 4.6, 9.2 and 18.5 px of standard deviation."""


def tone_equaliser(image: Tensor, *, bands: Tensor, edges: Scalar, objects: str, space: str) -> Tensor:
    """Multiply each pixel by 2 to the mean of `bands`, weighted by how near its surround lies to each band's zone.

    The zone is the logarithm of luma, smoothed by the guided filter with itself as guide (He, Sun and Tang 2010): flat
    within objects, with steps where they end. The weights are Gaussians of 1 stop about -8, -7, ... 0 stops from white,
    which sum to 1 (a normalised radial basis); what is darker or brighter follows the outermost band. All planes get
    the same gain, so that chromaticity stays.

    Args:
        image: ``(..., 3, H, W)``, scene-linear, any range.
        bands: ``(..., 9)``, stops for the zones from -8 to 0; 0 is the identity.
        edges: difference of luma in stops, above 0, well above which an edge stays.
        objects: "small", "medium" or "large": how far the mask is smoothed.
        space: colour space that gives the weights of luma.
    """
    work = at_least_single(image)
    bands = constant(bands, work)
    stops = 0.5 * torch.log2(luma(work, space).square() + DARKEST**2)
    zone = joint_guided(stops, stops, levels=LEVELS[objects], contrast=edges)
    # exp(-(zone - centre)^2 / 2) without the factor that all share: no weight underflows
    weights = [torch.exp(zone * centre - 0.5 * centre**2) for centre in ZONES]
    gains = sum_terms([w * bands[..., k, None, None, None] for k, w in enumerate(weights)])
    return (work * torch.exp2(gains / sum_terms(weights))).to(image.dtype)
