"""Demosaicing with directional filtering and a posteriori decision.

Menon, Andriani and Calvagno, "Demosaicing with directional filtering and a posteriori decision", IEEE Transactions on
Image Processing 16(1), 2007, with its refining step.

Fields are planes of one site each, by the number of the site in a cell whose sites are red (0), green on a red row
(1), green on a blue row (2) and blue (3). Every step loses the outermost cells, so the mosaic is extended once, by
mirroring, by as many cells as there are steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ispdsl.programs.cfa import LINEAR, cells, neighbour, uncells

Field = dict[int, Tensor]

RED, GREEN_ON_RED_ROW, GREEN_ON_BLUE_ROW, BLUE = SITES = range(4)
CHROMATIC = (RED, BLUE)
STEPS = 8

SAME = 1e-5
"""Share of roughness and of light by which rows may be rougher than columns and count as equal: more than rounding."""


def menon(mosaic: Tensor, *, cfa: str) -> Tensor:
    """Interpolate green along rows and along columns, keep the one with the smoother colour differences, then refine.

    The decision itself has no gradient; the values it chooses between have. A `linear` frame passes through.
    """
    if cfa == LINEAR:
        return mosaic
    planes = cells(mosaic, cfa, STEPS)
    samples: Field = {site: planes[..., site, :, :] for site in SITES}
    across, down = green_candidates(samples, 0, 1), green_candidates(samples, 1, 0)
    samples = inner(samples)
    rows = decide(
        roughness({site: samples[site] - across[site] for site in CHROMATIC}, 0, 1),
        roughness({site: samples[site] - down[site] for site in CHROMATIC}, 1, 0),
        inner(level(samples)),
    )
    samples, across, down = (inner(inner(field)) for field in (samples, across, down))
    green = samples | {site: torch.where(rows[site], across[site], down[site]) for site in CHROMATIC}

    red, blue = at_green_sites(samples, green, RED), at_green_sites(samples, green, BLUE)
    samples, green, rows = inner(samples), inner(green), inner(rows)
    red, blue = at_opposite_sites(samples, red, blue, rows)
    samples, green, rows = inner(samples), inner(green), inner(rows)

    green = refine_green(green, red, blue, rows)
    samples, red, blue, rows = (inner(field) for field in (samples, red, blue, rows))
    sharper_red, sharper_blue = at_green_sites(samples, green, RED), at_green_sites(samples, green, BLUE)
    samples, green, red, blue, rows = (inner(field) for field in (samples, green, red, blue, rows))
    red, blue = sharper_red | {BLUE: red[BLUE]}, sharper_blue | {RED: blue[RED]}
    red, blue = refine_opposite_sites(samples, red, blue, rows)
    green = inner(green)

    sites = [colour[site] for colour in (red, green, blue) for site in SITES]
    return uncells(torch.stack(sites, -3), cfa, mosaic.shape[-2], mosaic.shape[-1])


def inner(field: Field) -> Field:
    """The field without its outermost cells."""
    return {site: plane[..., 1:-1, 1:-1] for site, plane in field.items()}


def pair(field: Field, site: int, down: int, right: int) -> Tensor:
    """The mean of the two neighbours on either side of a site."""
    return (neighbour(field, site, -down, -right) + neighbour(field, site, down, right)) / 2


def along(field: Field, site: int, rows: Field) -> Tensor:
    """The mean of the two next neighbours in the direction decided for the site."""
    return torch.where(inner(rows)[site], pair(field, site, 0, 1), pair(field, site, 1, 0))


def green_candidates(samples: Field, down: int, right: int) -> Field:
    """Green at red and blue sites from the five samples in one direction (directional interpolation); one step."""
    return {
        site: pair(samples, site, down, right)
        + (neighbour(samples, site, 0, 0) - pair(samples, site, 2 * down, 2 * right)) / 2
        for site in CHROMATIC
    }


def roughness(differences: Field, down: int, right: int) -> Field:
    """Summed gradients, in one direction, of the colour differences in a 5x5 window; two steps.

    The row (column) of the site counts three times.
    """
    steps = {
        site: (neighbour(differences, site, 2 * down, 2 * right) - neighbour(differences, site, 0, 0)).abs()
        for site in CHROMATIC
    }

    def both(site: int, line: int) -> Tensor:
        """The two gradients that meet at the site `line` lines away."""
        y, x = line * right, line * down
        return neighbour(steps, site, y, x) + neighbour(steps, site, y - 2 * down, x - 2 * right)

    def between(site: int, line: int) -> Tensor:
        """The gradient of the other colour that spans the site one line away."""
        return neighbour(steps, site, line * right - down, line * down - right)

    return {
        site: 3 * both(site, 0) + both(site, -2) + both(site, 2) + between(site, -1) + between(site, 1)
        for site in CHROMATIC
    }


def level(samples: Field) -> Field:
    """How much light there is at and around red and blue sites; one step."""
    light = {site: plane.abs() for site, plane in samples.items()}
    return {
        site: neighbour(light, site, 0, 0) + pair(light, site, 0, 1) + pair(light, site, 1, 0) for site in CHROMATIC
    }


def decide(across: Field, down: Field, light: Field) -> Field:
    """True where rows are the smoother direction, or where but rounding tells both apart."""
    return {site: down[site] + SAME * (down[site] + light[site]) >= across[site] for site in CHROMATIC}


def at_green_sites(samples: Field, green: Field, colour: int) -> Field:
    """Red (or blue) where it is sampled and, by its difference to green, at green sites; one step."""
    difference = {colour: samples[colour] - green[colour]}
    right, below = (GREEN_ON_RED_ROW, GREEN_ON_BLUE_ROW) if colour == RED else (GREEN_ON_BLUE_ROW, GREEN_ON_RED_ROW)
    greens = inner(green)
    return {
        colour: inner(samples)[colour],
        right: greens[right] + pair(difference, right, 0, 1),
        below: greens[below] + pair(difference, below, 1, 0),
    }


def at_opposite_sites(samples: Field, red: Field, blue: Field, rows: Field) -> tuple[Field, Field]:
    """Red at blue sites and blue at red sites, by red minus blue at the green sites beside them; one step."""
    difference = {site: red[site] - blue[site] for site in (GREEN_ON_RED_ROW, GREEN_ON_BLUE_ROW)}
    middle = inner(samples)
    return (
        inner(red) | {BLUE: middle[BLUE] + along(difference, BLUE, rows)},
        inner(blue) | {RED: middle[RED] - along(difference, RED, rows)},
    )


def low_pass(field: Field, site: int, rows: Field) -> Tensor:
    """The mean of a site and its two next neighbours in the direction decided for it."""
    return (neighbour(field, site, 0, 0) + 2 * along(field, site, rows)) / 3


def refine_green(green: Field, red: Field, blue: Field, rows: Field) -> Field:
    """Green at red and blue sites again, from the low-pass filtered colour difference; one step."""
    from_red = {site: red[site] - green[site] for site in SITES}
    from_blue = {site: blue[site] - green[site] for site in SITES}
    return inner(green) | {
        RED: inner(red)[RED] - low_pass(from_red, RED, rows),
        BLUE: inner(blue)[BLUE] - low_pass(from_blue, BLUE, rows),
    }


def refine_opposite_sites(samples: Field, red: Field, blue: Field, rows: Field) -> tuple[Field, Field]:
    """Red at blue sites and blue at red sites again, from the low-pass filtered red minus blue; one step."""
    difference = {site: red[site] - blue[site] for site in SITES}
    middle = inner(samples)
    return (
        inner(red) | {BLUE: middle[BLUE] + low_pass(difference, BLUE, rows)},
        inner(blue) | {RED: middle[RED] - low_pass(difference, RED, rows)},
    )
