"""Demosaicking with registers: green by directions that gradients choose, red and blue by their difference to green.

The green of a site is estimated along rows and columns (VH, with the second-order correction of Hamilton and Adams, US
patent 5,629,734, 1997), along the diagonals (AA), and without direction (UU). A slope and a threshold each say how fast
evidence moves the blend. Red and blue less green are interpolated bilinearly; false colour is smoothed or faded.
All weights are in 1/256, all shifts round down, beyond the border lies the mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.device.sensor import LINEAR, TOP, Plane, sites

Wide = NDArray[np.int32]
FULL = 256
"""A weight of one."""

MARGIN = 3
"""How far a green estimate looks, gradients included."""


@dataclass(frozen=True)
class Around:
    """A plane with its mirror image about it: `at(i, j)` is the plane moved, for windows `grow` larger on each side."""

    padded: Wide
    margin: int
    grow: int = 0

    @staticmethod
    def of(plane: NDArray[np.int16] | Wide, margin: int, grow: int = 0) -> Around:
        return Around(np.pad(plane.astype(np.int32, copy=False), margin, mode="reflect"), margin, grow)

    def at(self, down: int, across: int) -> Wide:
        rows, columns = self.padded.shape
        low, cut = self.margin - self.grow, 2 * (self.margin - self.grow)
        top, left = low + down, low + across
        return self.padded[top : top + rows - cut, left : left + columns - cut]


def ramp(evidence: Wide, threshold: int, slope: int, shift: int) -> Wide:
    """0 up to the threshold, then `slope` / 2**`shift` a code, up to 256."""
    return np.minimum(np.maximum(evidence - threshold, 0) * slope >> shift, FULL)


def mix(first: Wide, second: Wide, weight: Wide) -> Wide:
    """From the first at weight 0 to the second at 256."""
    return first + ((second - first) * weight >> 8)


def _settled(gradient: Wide, floor: int) -> Wide:
    """A gradient over its neighbourhood, less what noise makes of it. It comes one larger on each side."""
    inner = gradient[1:-1, 1:-1]
    cross = gradient[:-2, 1:-1] + gradient[2:, 1:-1] + gradient[1:-1, :-2] + gradient[1:-1, 2:]
    return np.maximum((4 * inner + cross >> 5) - floor, 0)


def _green(mosaic: Plane, cfa: str, codes: Mapping[str, int]) -> tuple[Wide, Wide]:
    """Green at every site, and in 1/256 how far it was found along a direction."""
    x, wide = Around.of(mosaic, MARGIN), Around.of(mosaic, MARGIN, grow=1)
    floor = 4 * codes["np_offset"]
    here, wider = x.at(0, 0), wide.at(0, 0)
    across = np.abs(wide.at(0, -1) - wide.at(0, 1)) + np.abs(2 * wider - wide.at(0, -2) - wide.at(0, 2))
    down = np.abs(wide.at(-1, 0) - wide.at(1, 0)) + np.abs(2 * wider - wide.at(-2, 0) - wide.at(2, 0))
    across, down = _settled(across, floor), _settled(down, floor)
    falling = np.maximum(np.abs(x.at(-1, -1) - x.at(1, 1)) - floor, 0)
    rising = np.maximum(np.abs(x.at(-1, 1) - x.at(1, -1)) - floor, 0)

    left_right, up_down = x.at(0, -1) + x.at(0, 1), x.at(-1, 0) + x.at(1, 0)
    second_across, second_down = 2 * here - x.at(0, -2) - x.at(0, 2), 2 * here - x.at(-2, 0) - x.at(2, 0)
    by_row, by_column = (2 * left_right + second_across) >> 2, (2 * up_down + second_down) >> 2
    even = (by_row + by_column) >> 1
    upright = np.abs(down - across)
    weight_vh = ramp(upright, codes["vh_thresh"], codes["vh_slope"], 6)
    straight = mix(even, np.where(across < down, by_row, by_column), weight_vh)

    plain = (left_right + up_down) >> 2
    along_falling = plain + ((2 * here - x.at(-2, -2) - x.at(2, 2)) >> 3)
    along_rising = plain + ((2 * here - x.at(-2, 2) - x.at(2, -2)) >> 3)
    slanted = np.abs(falling - rising)
    weight_aa = ramp(slanted, codes["aa_thresh"], codes["aa_slope"], 6)
    best = np.where(falling < rising, along_falling, along_rising)
    slant = mix((along_falling + along_rising) >> 1, best, weight_aa)

    weight_va = ramp(slanted - upright, codes["va_thresh"], codes["va_slope"], 6)
    weight_uu = ramp(np.minimum(across, down), codes["uu_thresh"], codes["uu_slope"], 6)
    undirected = plain + ((second_across + second_down) >> 4)
    green = np.clip(mix(mix(straight, slant, weight_va), undirected, weight_uu), 0, TOP)
    directed = np.maximum(weight_vh, weight_va) * (FULL - weight_uu) >> 8
    for rows, columns, colour in sites(cfa):
        if colour == "g":
            green[rows, columns] = mosaic[rows, columns]
    return green, directed


def _spread(plane: Wide, shift: int) -> Wide:
    """The plane under the kernel 1 2 1 by 1 2 1, over 2**`shift`."""
    x = np.pad(plane, 1, mode="reflect")
    rows = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    return rows[:-2] + 2 * rows[1:-1] + rows[2:] >> shift


def _difference(mosaic: Plane, green: Wide, cfa: str, wanted: str) -> Wide:
    """Red or blue less green at every site, bilinearly from the sites that sample it."""
    sparse = np.zeros_like(green)
    for rows, columns, colour in sites(cfa):
        if colour == wanted:
            sparse[rows, columns] = mosaic[rows, columns] - green[rows, columns]
    return _spread(sparse, 2)


def demosaiced(frame: Plane, cfa: str, codes: Mapping[str, int]) -> tuple[Wide, Wide, Wide]:
    """Red, green and blue of every site in 0..4095, sharpened. Without a CFA nothing is directed."""
    if cfa == LINEAR:
        first, green, last = frame.astype(np.int32)
        return _finished(first - green, green, last - green, np.zeros_like(green), codes)
    mosaic = frame[0]
    green, directed = _green(mosaic, cfa, codes)
    red, blue = _difference(mosaic, green, cfa, "r"), _difference(mosaic, green, cfa, "b")
    return _finished(red, green, blue, directed, codes)


def _finished(red: Wide, green: Wide, blue: Wide, directed: Wide, codes: Mapping[str, int]) -> tuple[Wide, Wide, Wide]:
    """Red and blue come less green. False colour is smoothed and faded, green sharpened, and green put back."""
    smooth_red, smooth_blue = _spread(red, 4), _spread(blue, 4)
    outlying = np.abs(red - smooth_red) + np.abs(blue - smooth_blue)
    weight = ramp(outlying, 0, codes["fc_slope"], 8)
    red, blue = mix(red, smooth_red, weight), mix(blue, smooth_blue, weight)

    around = Around.of(green, 1)
    pairs = around.at(0, -1) + around.at(0, 1), around.at(-1, 0) + around.at(1, 0)
    fine = np.abs(2 * green - pairs[0]) + np.abs(2 * green - pairs[1])
    colourful = FULL - ramp(fine, 16 * codes["fc_alias_thresh"], codes["fc_alias_slope"], 10)
    red, blue = red * colourful >> 8, blue * colourful >> 8

    detail = 4 * green - pairs[0] - pairs[1]
    floor = 4 * codes["np_offset"]
    cored = detail - np.clip(detail, -floor, floor)
    between = directed * (FULL - directed) >> 6
    strength = codes["sharp_alt_ld"] * directed + codes["sharp_alt_lu"] * (FULL - directed)
    strength = strength + codes["sharp_alt_ldu"] * between >> 8
    sharp = green + (cored * strength >> 10)
    return np.clip(red + sharp, 0, TOP), np.clip(sharp, 0, TOP), np.clip(blue + sharp, 0, TOP)
