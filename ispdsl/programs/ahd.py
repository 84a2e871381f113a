"""Adaptive homogeneity-directed demosaicing.

Hirakawa and Parks, "Adaptive homogeneity-directed demosaicing algorithm", IEEE Transactions on Image Processing 14(3),
2005: interpolate along rows and along columns, keep at every site the one whose neighbourhood looks more homogeneous
in CIELAB, and take the remaining colour artefacts out by medians of colour differences.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR
from ispdsl.programs.median import median3x3
from ispdsl.programs.mosaics import Sites, at, box, extend, pair
from ispdsl.programs.ops import at_least_single, constant, matrix_multiply

PASSES = {"none": 0, "one": 1, "two": 2, "three": 3}
"""Passes of artefact removal by the name of the choice."""

REACH = 11
"""Sites that a result depends on at most in each direction: 5 of the decision and 2 of each median pass."""

XYZ_OF_WHITE = ((0.4339, 0.3762, 0.1899), (0.2126, 0.7152, 0.0722), (0.0177, 0.1095, 0.8728))
"""Linear sRGB to CIE XYZ (IEC 61966-2-1), each row divided by its sum, that is, by the XYZ of white, and rounded."""

SAME = 1e-3
"""Share by which a difference may exceed the tolerance and still count as equal to it: more than rounding makes."""

NOTHING = 1e-5
"""Difference of cube roots, as a share of the greatest around, that rounding alone can make."""

NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0))
"""The ball of radius 1: left, right, above, below."""


def ahd(mosaic: Tensor, *, artefact_removal: str = "two", cfa: str) -> Tensor:
    """Interpolate along rows and columns, keep the more homogeneous of both, the mean where they are equally so.

    The decision itself has no gradient; the values it chooses between have. A `linear` frame passes through.

    Args:
        mosaic: ``(..., 1, H, W)``, any range.
        artefact_removal: passes of the median filter: ``none``, ``one``, ``two`` or ``three``.
        cfa: of the mosaic.

    Returns:
        ``(..., 3, H, W)``; sampled values stay.
    """
    if cfa == LINEAR:
        return mosaic
    sites = extend(at_least_single(mosaic), cfa, REACH + 1)
    across, down = candidate(sites, 0, 1), candidate(sites, 1, 0)
    rows, columns = homogeneity(across, down)
    either = torch.where(rows > columns, across, (across + down) / 2)
    image = torch.where(rows < columns, down, either)
    for _ in range(PASSES[artefact_removal]):
        image = without_artefacts(image, sites)
    return sites.crop(image).to(mosaic.dtype)


def candidate(sites: Sites, down: int, right: int) -> Tensor:
    """Colour with green interpolated in one direction, and red and blue by their differences to that green.

    Green is that of Hamilton and Adams (US patent 5629734, 1997): the mean of its neighbours, corrected by the second
    difference of the colour sampled there; the paper's own filter is close to it.
    """
    mosaic = sites.mosaic
    estimate = pair(mosaic, down, right) / 2 + (2 * mosaic - pair(mosaic, 2 * down, 2 * right)) / 4
    green = torch.where(sites.green, mosaic, estimate)
    difference = mosaic - green
    red, blue = (filled(mosaic, green, difference, sampled) for sampled in (sites.red, sites.blue))
    return torch.cat([red, green, blue], -3)


def filled(mosaic: Tensor, green: Tensor, difference: Tensor, sampled: Tensor) -> Tensor:
    """Red or blue, sampled at the mask, elsewhere green plus the mean of the nearest differences to it.

    Those lie either beside a site, above and below it, or at its four corners: the other sums are zero there.
    """
    known = torch.where(sampled, difference, 0.0)
    beside, above = pair(known, 0, 1), pair(known, 1, 0)
    corners = pair(beside, 1, 0)
    return torch.where(sampled, mosaic, green + (beside + above) / 2 + corners / 4)


def homogeneity(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """How many neighbours of a site look like it in either candidate, summed over 3x3 sites.

    Two neighbours look alike when neither their lightness nor their colour differs by more than its tolerance. That
    adapts: the greatest difference along rows in `across`, or the greatest along columns in `down`, the smaller.
    """
    rows, columns = (differences(candidate.detach()) for candidate in (across, down))
    alike = [torch.ones_like(part, dtype=torch.bool) for part in (rows[0], columns[0])]
    for measure in range(2):
        left_right = rows[measure][..., :2, :, :].amax(-3, keepdim=True)
        above_below = columns[measure][..., 2:, :, :].amax(-3, keepdim=True)
        tolerance = torch.minimum(left_right, above_below) * (1 + SAME)
        alike = [one & (other[measure] <= tolerance) for one, other in zip(alike, (rows, columns), strict=True)]
    counts = [box(one.sum(-3, keepdim=True, dtype=torch.int16)) for one in alike]
    return counts[0], counts[1]


def differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences ``(..., 4, h, w)`` of CIELAB lightness and of colour (a*, b*) from the four neighbours.

    The image stands for linear sRGB. The cube root has no linear toe, so that a decision does not depend on exposure.
    What rounding may have made counts as no difference.
    """
    xyz = matrix_multiply(constant([list(row) for row in XYZ_OF_WHITE], image), image)
    roots = xyz.sign() * xyz.abs() ** (1 / 3)
    x, y, z = roots.split(1, -3)
    floor = NOTHING * roots.abs().amax(-3, keepdim=True)
    floor = torch.stack([floor, *(at(floor, *step) for step in NEIGHBOURS)]).amax(0)
    lightness, red_green, yellow_blue = 116 * y, 500 * (x - y), 200 * (y - z)
    light = neighbour_steps(lightness).abs()
    colour = (neighbour_steps(red_green).square() + neighbour_steps(yellow_blue).square()).sqrt()
    return (
        torch.where(light > 116 * floor, light, 0.0),
        torch.where(colour > 500 * floor, colour, 0.0),
    )


def neighbour_steps(plane: Tensor) -> Tensor:
    """What the four neighbours differ from each site by, ``(..., 4, h, w)``."""
    return torch.cat([at(plane, *step) - plane for step in NEIGHBOURS], -3)


def without_artefacts(image: Tensor, sites: Sites) -> Tensor:
    """One pass of medians: red and blue by their difference to green, then green by its differences to both.

    Sampled values stay, which the paper leaves open.
    """
    red, green, blue = image.split(1, -3)
    red = torch.where(sites.red, red, green + median3x3(red - green))
    blue = torch.where(sites.blue, blue, green + median3x3(blue - green))
    from_red, from_blue = red - median3x3(red - green), blue - median3x3(blue - green)
    green = torch.where(sites.green, green, (from_red + from_blue) / 2)
    return torch.cat([red, green, blue], -3)
