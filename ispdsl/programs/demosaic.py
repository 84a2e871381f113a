"""Demosaicing: a Bayer mosaic ``(..., 1, H, W)`` of any phase to camera RGB ``(..., 3, H, W)`` of the same scale.

The linear methods are stencils on the planes of the four sites of the 2x2 cell (`cfa.cells`), so that no site is
computed that is not wanted. Borders are mirrored about the outermost samples. Sampled sites keep their values to the
bit. Nothing is clipped: values outside 0..1 go through, and stencils with negative weights overshoot at edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.programs.ahd import ahd
from ispdsl.programs.cfa import LINEAR, cells, neighbour, uncells
from ispdsl.programs.menon import menon
from ispdsl.programs.ops import sum_terms
from ispdsl.programs.ratio_corrected import ratio_corrected

Kernel = tuple[tuple[float, ...], ...]
"""Weights of the (odd, square) neighbourhood of a site, from top left in reading order."""

WANTED: tuple[tuple[str | None, ...], ...] = (
    (None, "row", "column", "diagonal"),  # red: its samples lie at the first site of the cell,
    ("cross", None, None, "cross"),  # green at the second and third,
    ("diagonal", "column", "row", None),  # blue at the fourth
)
"""For each colour and site, where the nearest samples of the colour lie; None where the site samples it."""

BILINEAR: dict[str, Kernel] = {
    "cross": ((0, 1 / 4, 0), (1 / 4, 0, 1 / 4), (0, 1 / 4, 0)),
    "row": ((0, 0, 0), (1 / 2, 0, 1 / 2), (0, 0, 0)),
    "column": ((0, 1 / 2, 0), (0, 0, 0), (0, 1 / 2, 0)),
    "diagonal": ((1 / 4, 0, 1 / 4), (0, 0, 0), (1 / 4, 0, 1 / 4)),
}

MALVAR: dict[str, Kernel] = {  # figure 2 of the paper, divided by 8
    "cross": (
        (0, 0, -1 / 8, 0, 0),
        (0, 0, 2 / 8, 0, 0),
        (-1 / 8, 2 / 8, 4 / 8, 2 / 8, -1 / 8),
        (0, 0, 2 / 8, 0, 0),
        (0, 0, -1 / 8, 0, 0),
    ),
    "row": (
        (0, 0, 1 / 16, 0, 0),
        (0, -1 / 8, 0, -1 / 8, 0),
        (-1 / 8, 4 / 8, 5 / 8, 4 / 8, -1 / 8),
        (0, -1 / 8, 0, -1 / 8, 0),
        (0, 0, 1 / 16, 0, 0),
    ),
    "column": (
        (0, 0, -1 / 8, 0, 0),
        (0, -1 / 8, 4 / 8, -1 / 8, 0),
        (1 / 16, 0, 5 / 8, 0, 1 / 16),
        (0, -1 / 8, 4 / 8, -1 / 8, 0),
        (0, 0, -1 / 8, 0, 0),
    ),
    "diagonal": (
        (0, 0, -3 / 16, 0, 0),
        (0, 2 / 8, 0, 2 / 8, 0),
        (-3 / 16, 0, 6 / 8, 0, -3 / 16),
        (0, 2 / 8, 0, 2 / 8, 0),
        (0, 0, -3 / 16, 0, 0),
    ),
}


def demosaic(mosaic: Tensor, *, method: str, cfa: str) -> Tensor:
    """Demosaic by `method`: ``bilinear``, ``malvar``, ``menon``, ``ahd`` or ``ratio_corrected``."""
    return METHODS[method](mosaic, cfa=cfa)


def bilinear(mosaic: Tensor, *, cfa: str) -> Tensor:
    """The mean of the two or four nearest samples of each colour."""
    return interpolate(mosaic, cfa, BILINEAR)


def malvar(mosaic: Tensor, *, cfa: str) -> Tensor:
    """Bilinear interpolation corrected by the Laplacian of the colour that the site does sample.

    Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images",
    ICASSP 2004, figure 2 (alpha = 1/2, beta = 5/8, gamma = 3/4).
    """
    return interpolate(mosaic, cfa, MALVAR)


def interpolate(mosaic: Tensor, cfa: str, kernels: dict[str, Kernel]) -> Tensor:
    """Apply to every site and missing colour the kernel for where its samples lie; `linear` frames pass through."""
    if cfa == LINEAR:
        return mosaic
    planes = cells(mosaic, cfa, margin=1)
    missing = iter(convolved(planes, kernels).unbind(-3) if _convolves(mosaic) else stencils(planes, kernels))
    sites = [
        neighbour(planes, site, 0, 0) if where is None else next(missing)
        for colour in WANTED
        for site, where in enumerate(colour)
    ]
    return uncells(torch.stack(sites, -3), cfa, mosaic.shape[-2], mosaic.shape[-1])


def _convolves(mosaic: Tensor) -> bool:
    """Whether a convolution is as exact as sums: in single precision on a processor, where nobody asks for less."""
    single = mosaic.dtype == torch.float32 and mosaic.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return single and not torch.compiler.is_compiling()


def stencils(planes: Tensor, kernels: dict[str, Kernel]) -> list[Tensor]:
    """What is missing at each site, in the order of `WANTED`, from the planes that `cells` gives."""
    return [
        sum_terms([weight * neighbour(planes, site, down, right) for down, right, weight in terms])
        for site, terms in _missing(kernels)
    ]


def convolved(planes: Tensor, kernels: dict[str, Kernel]) -> Tensor:
    """As `stencils`, in one operation: on a processor a fifth of the time of sums."""
    sites = list(_missing(kernels))
    weights = torch.zeros(len(sites), 4, 3, 3, dtype=planes.dtype)
    for number, (site, terms) in enumerate(sites):
        for down, right, weight in terms:
            row, column = site // 2 + down, site % 2 + right
            weights[number, 2 * (row % 2) + column % 2, row // 2 + 1, column // 2 + 1] = weight
    found = F.conv2d(planes.reshape(-1, *planes.shape[-3:]), weights)
    return found.reshape(*planes.shape[:-3], *found.shape[-3:])


def _missing(kernels: dict[str, Kernel]) -> Iterator[tuple[int, list[tuple[int, int, float]]]]:
    """Each site that lacks a colour, with what its stencil reads: rows down, columns to the right, and the weight."""
    for colour in WANTED:
        for site, where in enumerate(colour):
            if where is not None:
                kernel = kernels[where]
                radius = len(kernel) // 2
                yield (
                    site,
                    [
                        (row - radius, column - radius, weight)
                        for row, weights in enumerate(kernel)
                        for column, weight in enumerate(weights)
                        if weight
                    ],
                )


METHODS: dict[str, Callable[..., Tensor]] = {
    "bilinear": bilinear,
    "malvar": malvar,
    "menon": menon,
    "ahd": ahd,
    "ratio_corrected": ratio_corrected,
}
"""The program of every method that `demosaic` offers."""
