"""The device's picture once more: one sample at a time, in Python's own integers, which do not overflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

TOP = 4095
Plane = list[list[int]]


def limit(number: int, low: int = 0, high: int = TOP) -> int:
    return max(low, min(number, high))


def mirrored(index: int, size: int) -> int:
    """The place inside that an index beyond the border mirrors."""
    if size == 1:
        return 0
    index %= 2 * (size - 1)
    return index if index < size else 2 * (size - 1) - index


class Picture:
    """A plane that can be asked beyond its border."""

    def __init__(self, rows: int, columns: int, of: Callable[[int, int], int]) -> None:
        self.rows, self.columns = rows, columns
        self.values = [[of(i, j) for j in range(columns)] for i in range(rows)]

    def __call__(self, i: int, j: int) -> int:
        return self.values[mirrored(i, self.rows)][mirrored(j, self.columns)]

    def like(self, of: Callable[[int, int], int]) -> Picture:
        return Picture(self.rows, self.columns, of)


def ramp(evidence: int, threshold: int, slope: int, shift: int) -> int:
    return min(max(evidence - threshold, 0) * slope >> shift, 256)


def mix(first: int, second: int, weight: int) -> int:
    return first + ((second - first) * weight >> 8)


def balanced(
    mosaic: Plane, cfa: str, black: tuple[int, ...], white: int, r: Mapping[str, int], plane: int = 0
) -> Picture:
    gains = {"r": r["gain_00"], "g": r["gain_01"], "b": r["gain_11"]}

    def code(i: int, j: int) -> int:
        site = plane if cfa == "rgb" else 2 * (i % 2) + j % 2
        span = max(white - black[site], 1)
        ratio = Fraction((mosaic[i][j] * 256 - black[site]) * TOP, span)
        return limit(limit((2 * ratio + 1).__floor__() // 2) * gains[cfa[site]] + 128 >> 8)

    return Picture(len(mosaic), len(mosaic[0]), code)


def pulled(x: Picture, i: int, j: int, distance: int, threshold: int) -> int:
    total = 0
    for down, across in ((-distance, 0), (distance, 0), (0, -distance), (0, distance)):
        difference = x(i + down, j + across) - x(i, j)
        reach = min(abs(difference), max(2 * threshold - abs(difference), 0))
        total += reach if difference > 0 else -reach
    return total >> 2


def denoised(x: Picture, r: Mapping[str, int]) -> Picture:
    fine = x.like(lambda i, j: limit(x(i, j) + (pulled(x, i, j, 2, 4 * r["thresh_1h"]) * r["strength_1"] + 128 >> 8)))

    def coarse(i: int, j: int) -> int:
        both = pulled(fine, i, j, 8, 4 * r["thresh_4h"]) + pulled(fine, i, j, 16, 4 * r["thresh_long"]) >> 1
        return limit(fine(i, j) + (both * r["strength_4"] + 128 >> 8))

    return fine.like(coarse)


def gradient(x: Picture, i: int, j: int, down: int, across: int) -> int:
    first = abs(x(i - down, j - across) - x(i + down, j + across))
    return first + abs(2 * x(i, j) - x(i - 2 * down, j - 2 * across) - x(i + 2 * down, j + 2 * across))


def settled(x: Picture, i: int, j: int, down: int, across: int, floor: int) -> int:
    total = 4 * gradient(x, i, j, down, across)
    total += sum(gradient(x, i + p, j + q, down, across) for p, q in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    return max((total >> 5) - floor, 0)


def green_of(x: Picture, cfa: str, r: Mapping[str, int], i: int, j: int) -> tuple[int, int]:
    """Green of a site, and how far it was found along a direction."""
    floor, here = 4 * r["np_offset"], x(i, j)
    across, down = settled(x, i, j, 0, 1, floor), settled(x, i, j, 1, 0, floor)
    falling = max(abs(x(i - 1, j - 1) - x(i + 1, j + 1)) - floor, 0)
    rising = max(abs(x(i - 1, j + 1) - x(i + 1, j - 1)) - floor, 0)
    sides, ends = x(i, j - 1) + x(i, j + 1), x(i - 1, j) + x(i + 1, j)
    bend_across = 2 * here - x(i, j - 2) - x(i, j + 2)
    bend_down = 2 * here - x(i - 2, j) - x(i + 2, j)
    by_row, by_column = 2 * sides + bend_across >> 2, 2 * ends + bend_down >> 2
    upright, slanted = abs(down - across), abs(falling - rising)
    vh = ramp(upright, r["vh_thresh"], r["vh_slope"], 6)
    straight = mix(by_row + by_column >> 1, by_row if across < down else by_column, vh)
    plain = sides + ends >> 2
    along_falling = plain + (2 * here - x(i - 2, j - 2) - x(i + 2, j + 2) >> 3)
    along_rising = plain + (2 * here - x(i - 2, j + 2) - x(i + 2, j - 2) >> 3)
    aa = ramp(slanted, r["aa_thresh"], r["aa_slope"], 6)
    slant = mix(along_falling + along_rising >> 1, along_falling if falling < rising else along_rising, aa)
    va = ramp(slanted - upright, r["va_thresh"], r["va_slope"], 6)
    uu = ramp(min(across, down), r["uu_thresh"], r["uu_slope"], 6)
    found = limit(mix(mix(straight, slant, va), plain + (bend_across + bend_down >> 4), uu))
    if cfa[2 * (i % 2) + j % 2] == "g":
        found = here
    return found, max(vh, va) * (256 - uu) >> 8


def spread(x: Picture, i: int, j: int, shift: int) -> int:
    weights = (1, 2, 1)
    return sum(weights[p] * weights[q] * x(i + p - 1, j + q - 1) for p in range(3) for q in range(3)) >> shift


def demosaiced(x: Picture, cfa: str, r: Mapping[str, int]) -> list[Picture]:
    both = {(i, j): green_of(x, cfa, r, i, j) for i in range(x.rows) for j in range(x.columns)}
    green, directed = x.like(lambda i, j: both[i, j][0]), x.like(lambda i, j: both[i, j][1])

    def difference(wanted: str) -> Picture:
        sparse = x.like(lambda i, j: (x(i, j) - green(i, j)) * (cfa[2 * (i % 2) + j % 2] == wanted))
        return x.like(lambda i, j: spread(sparse, i, j, 2))

    return finished(difference("r"), green, difference("b"), directed, r)


def finished(red: Picture, green: Picture, blue: Picture, directed: Picture, r: Mapping[str, int]) -> list[Picture]:
    """Red and blue come less green."""

    def coloured(i: int, j: int) -> tuple[int, int]:
        smooth = spread(red, i, j, 4), spread(blue, i, j, 4)
        weight = ramp(abs(red(i, j) - smooth[0]) + abs(blue(i, j) - smooth[1]), 0, r["fc_slope"], 8)
        fine = abs(2 * green(i, j) - green(i, j - 1) - green(i, j + 1))
        fine += abs(2 * green(i, j) - green(i - 1, j) - green(i + 1, j))
        fade = 256 - ramp(fine, 16 * r["fc_alias_thresh"], r["fc_alias_slope"], 10)
        return mix(red(i, j), smooth[0], weight) * fade >> 8, mix(blue(i, j), smooth[1], weight) * fade >> 8

    def sharp(i: int, j: int) -> int:
        detail = 4 * green(i, j) - green(i, j - 1) - green(i, j + 1) - green(i - 1, j) - green(i + 1, j)
        floor, d = 4 * r["np_offset"], directed(i, j)
        cored = detail - limit(detail, -floor, floor)
        between = d * (256 - d) >> 6
        strength = r["sharp_alt_ld"] * d + r["sharp_alt_lu"] * (256 - d) + r["sharp_alt_ldu"] * between >> 8
        return green(i, j) + (cored * strength >> 10)

    return [
        green.like(lambda i, j: limit(coloured(i, j)[0] + sharp(i, j))),
        green.like(lambda i, j: limit(sharp(i, j))),
        green.like(lambda i, j: limit(coloured(i, j)[1] + sharp(i, j))),
    ]


def matrixed(planes: list[Picture], r: Mapping[str, int]) -> list[Picture]:
    def row(number: int) -> Picture:
        first, second = r[f"coef_a_{number}1"], r[f"coef_a_{number}2"]
        third = 256 - first - second
        red, green, blue = planes
        return red.like(lambda i, j: limit(first * red(i, j) + second * green(i, j) + third * blue(i, j) + 128 >> 8))

    return [row(number) for number in (1, 2, 3)]


def tone(r: Mapping[str, int], code: int) -> float:
    """The tone curve in real numbers, 0..255 before rounding."""
    curve = TOP * (code / TOP) ** (256 / (256 + 2 * r["lut_power"]))
    lifted = min(curve, code * (4 + r["lut_shadow"]) / 4) * 5 / 4
    knee = 16 * r["lut_knee"]
    reach, room = TOP * 5 / 4 - knee, TOP - knee
    d = lifted - knee
    return 255 / TOP * (lifted if d <= 0 else knee + d / (1 + d * (reach / room - 1) / reach))


def linear(frame: list[Plane], cfa: str, black: tuple[int, ...], white: int, r: Mapping[str, int]) -> list[Picture]:
    """The planes before the tone table."""
    if cfa != "linear":
        return matrixed(demosaiced(denoised(balanced(frame[0], cfa, black, white, r), r), cfa, r), r)
    clean = [denoised(balanced(each, "rgb", black, white, r, plane), r) for plane, each in enumerate(frame)]
    red, green, blue = clean
    less = [each.like(lambda i, j, each=each: each(i, j) - green(i, j)) for each in (red, blue)]
    return matrixed(finished(less[0], green, less[1], green.like(lambda i, j: 0), r), r)
