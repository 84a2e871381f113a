"""Ratio-corrected directional demosaicing.

Along a row or a column, the ratio of green to the low-pass filtered mosaic changes less than green does. So green is
carried over from its neighbours in proportion to the low-pass, which follows edges without the overshoot of second
differences: an estimate stays between nothing and twice the neighbour. The classifiers of direction are those of
Hamilton and Adams (US patent 5629734, 1997), the first difference of one colour plus the second difference of the
other, gathered over 5x5 sites; red and blue go by colour differences along the smoother diagonal, as in their patent.

Directions are blended by weights that are smooth in the mosaic, so gradients pass through the decisions too, and every
step scales with exposure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR
from ispdsl.programs.mosaics import Sites, at, box, extend, pair
from ispdsl.programs.ops import at_least_single

REACH = 6
"""Sites that a result depends on at most in each direction: 4 of green, one more at each of two steps of colour."""

LOW_PASS_SIDES = 1 / 8
"""Weight of either neighbour in the directional low-pass; the site itself has the rest, 3/4."""

FLOOR = 0.002
"""Gradients well below this share of the level around are taken for noise: they decide nothing."""

TINY = 1e-30
"""A denominator below it stands for nothing at all: a frame of zeros."""


def ratio_corrected(mosaic: Tensor, *, cfa: str) -> Tensor:
    """Green by ratios to a directional low-pass, red and blue by differences to green, along the smoother direction.

    A `linear` frame passes through.

    Args:
        mosaic: ``(..., 1, H, W)``, any range.
        cfa: of the mosaic.

    Returns:
        ``(..., 3, H, W)``; sampled values stay.
    """
    if cfa == LINEAR:
        return mosaic
    sites = extend(at_least_single(mosaic), cfa, REACH)
    floor = FLOOR / 9 * box(sites.mosaic.abs())
    along_rows, along_columns = (busyness(sites.mosaic, *step) + floor for step in ((0, 1), (1, 0)))
    rows = share(along_columns.square(), along_rows.square())
    green = green_plane(sites, rows, floor)
    red, blue = (colour_plane(sites, green, rows, floor, own) for own in (sites.red, sites.blue))
    return sites.crop(torch.cat([red, green, blue], -3)).to(mosaic.dtype)


def share(other: Tensor, own: Tensor) -> Tensor:
    """The weight 0..1 of an estimate with the gradient `own` against another with `other`, neither negative."""
    total = other + own
    known = total > TINY
    return torch.where(known, other / torch.where(known, total, 1.0), 0.5)


def contrast(one: Tensor, other: Tensor) -> Tensor:
    """``(one - other) / (|one| + |other|)``, in -1..1 whatever the signs."""
    total = one.abs() + other.abs()
    known = total > TINY
    return torch.where(known, (one - other) / torch.where(known, total, 1.0), 0.0)


def busyness(mosaic: Tensor, down: int, right: int) -> Tensor:
    """Hamilton and Adams' classifier of a direction at every site, gathered over 5x5 sites."""
    first = (at(mosaic, down, right) - at(mosaic, -down, -right)).abs()
    second = (2 * mosaic - pair(mosaic, 2 * down, 2 * right)).abs()
    return box(box(first + second)) / 81


def green_plane(sites: Sites, rows: Tensor, floor: Tensor) -> Tensor:
    """Green: sampled, or blended of its estimates along rows and along columns."""
    across, down = (directional_green(sites.mosaic, *step, floor) for step in ((0, 1), (1, 0)))
    return torch.where(sites.green, sites.mosaic, down + rows * (across - down))


def directional_green(mosaic: Tensor, down: int, right: int, floor: Tensor) -> Tensor:
    """Green from the two neighbours in one direction, each in proportion to the low-pass, the smoother side for more.

    The low-pass L changes over one site by half of what it does over two, where it sees the same mixture of colours
    again: so ``G = G(1) * 2 L(0) / (L(0) + L(2))``.
    """
    low = (1 - 2 * LOW_PASS_SIDES) * mosaic + LOW_PASS_SIDES * pair(mosaic, down, right)
    estimates: list[Tensor] = []
    gradients: list[Tensor] = []
    for side in (-1, 1):
        y, x = side * down, side * right
        beside = at(mosaic, y, x)
        estimates.append(beside * (1 + contrast(low, at(low, 2 * y, 2 * x))))
        greens = (beside - at(mosaic, -y, -x)).abs() + (beside - at(mosaic, 3 * y, 3 * x)).abs()
        gradients.append(greens + (mosaic - at(mosaic, 2 * y, 2 * x)).abs() + floor)
    return estimates[1] + share(gradients[1], gradients[0]) * (estimates[0] - estimates[1])


def colour_plane(sites: Sites, green: Tensor, rows: Tensor, floor: Tensor, own: Tensor) -> Tensor:
    """Red (or blue), sampled at the mask `own`, by its difference to green.

    At the sites of the opposite colour along the smoother diagonal, then at green sites along rows or columns.
    """
    known = torch.where(own, sites.mosaic - green, 0.0)
    opposite = ~(own | sites.green)
    falling, rising = (diagonal_gradient(sites.mosaic, green, *step) + floor for step in ((1, 1), (1, -1)))
    down_right, down_left = pair(known, 1, 1) / 2, pair(known, 1, -1) / 2
    diagonal = down_left + share(rising.square(), falling.square()) * (down_right - down_left)
    known = torch.where(opposite, diagonal, known)
    across, down = pair(known, 0, 1) / 2, pair(known, 1, 0) / 2
    difference = torch.where(sites.green, down + rows * (across - down), known)
    return torch.where(own, sites.mosaic, green + difference)


def diagonal_gradient(mosaic: Tensor, green: Tensor, down: int, right: int) -> Tensor:
    """Hamilton and Adams' classifier of a diagonal at sites of the opposite colour."""
    return (at(mosaic, down, right) - at(mosaic, -down, -right)).abs() + (2 * green - pair(green, down, right)).abs()
