"""The development of `recipe` as one who knows Halide would write and schedule it for a Bayer mosaic.

Malvar, He and Cutler 2004, "High-quality linear interpolation for demosaicing of Bayer-patterned color images": each
of the four sites of the array is a plane of its own, so that every stencil is a sum of planes. Strips of rows run side
by side; within a strip rows are computed once, just before they are read. Powers are Halide's `fast_` ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ispdsl.bench.contender import Call
from ispdsl.bench.job import Job
from ispdsl.bench.recipe import (
    EV,
    GAMMA,
    HABLE,
    HABLE_EV,
    HABLE_WHITE,
    LEVELS,
    LUMA,
    MIXED,
    SATURATION,
    SHARPENING,
    TAPS,
    rise,
)

if TYPE_CHECKING:
    import halide as hl
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.bench.recipe import Matrix

STRIP, LANES = 32, 32


def developed(codes: NDArray[np.uint16], cfa: str, offset: Any, scale: Any, matrix: Matrix, threads: int) -> Call:
    """A call that develops codes ``(H, W)`` of even sides to ``(3, H, W)``, sRGB in 0..1.

    Args:
        codes: of the mosaic.
        cfa: of its first two rows, such as ``rggb``.
        offset: taken off the codes of the sites, ``(2, 2)``.
        scale: what they are multiplied by then, ``(2, 2)``.
        matrix: of the recipe.
        threads: of Halide; they are as many as the first program of the process had.
    """
    os.environ["HL_NUM_THREADS"] = str(threads)
    import halide as hl
    import numpy as np

    x, y, c = hl.Var("x"), hl.Var("y"), hl.Var("c")
    rows, columns = codes.shape
    taken = hl.ImageParam(hl.UInt(16), 2, "codes")
    mirrored = hl.BoundaryConditions.mirror_interior(taken, [(0, columns), (0, rows)])
    sites: dict[tuple[int, int], Any] = {}
    for down in (0, 1):
        for right in (0, 1):
            site = hl.Func(f"site{down}{right}")
            code = hl.cast(hl.Float(32), mirrored[2 * x + right, 2 * y + down])
            site[x, y] = (code - hl.f32(float(offset[down, right]))) * hl.f32(float(scale[down, right]))
            sites[down, right] = site
    colours = [_colour(hl, sites, cfa, colour) for colour in "rgb"]
    weights = [tap / sum(TAPS) for tap in TAPS]
    columns_blurred, sharp = [], []
    for number, colour in enumerate(colours):
        down = hl.Func(f"down{number}")
        down[x, y] = _summed(hl.f32(weight) * colour[x, y + at - 2] for at, weight in enumerate(weights))
        blurred = _summed(hl.f32(weight) * down[x + at - 2, y] for at, weight in enumerate(weights))
        columns_blurred.append(down)
        sharp.append(colour[x, y] + hl.f32(SHARPENING) * (colour[x, y] - blurred))
    out = hl.Func("developed")
    out[x, y, c] = hl.mux(c, _finished(hl, sharp, matrix))
    strip, row = hl.Var("strip"), hl.Var("row")
    out.bound(c, 0, 3).bound(x, 0, columns).bound(y, 0, rows)
    out.split(y, strip, row, STRIP, hl.TailStrategy.GuardWithIf).reorder(c, x, row, strip).unroll(c)
    out.vectorize(x, LANES).parallel(strip)
    for site in sites.values():
        site.compute_at(out, row).store_at(out, strip).vectorize(x, LANES // 2)
    for colour in colours:
        colour.compute_at(out, row).store_at(out, strip).vectorize(x, LANES)
    for down in columns_blurred:
        down.compute_at(out, row).vectorize(x, LANES)
    out.compile_jit(hl.get_jit_target_from_environment())
    found = np.empty((3, rows, columns), np.float32)
    taken.set(hl.Buffer(codes))
    target = hl.Buffer(found)

    def call() -> object:
        out.realize(target)
        return found

    return call


def _colour(hl: Any, sites: dict[tuple[int, int], Any], cfa: str, colour: str) -> hl.Func:
    """A colour at every site: what the site has, or one of the paper's four filters of 5 x 5."""
    x, y = hl.Var("x"), hl.Var("y")
    parts: dict[tuple[int, int], Any] = {}
    for down, right in sites:

        def at(dy: int, dx: int, down: int = down, right: int = right) -> Any:
            row, column = down + dy, right + dx
            return sites[row % 2, column % 2][x + column // 2, y + row // 2]

        here, middle = cfa[2 * down + right], at(0, 0)
        beside, above = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
        two_beside, two_above = at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
        corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
        if here == colour:
            value = middle
        elif colour == "g":
            value = hl.f32(1 / 8) * (hl.f32(4) * middle + hl.f32(2) * (beside + above) - two_beside - two_above)
        elif here == "g" and colour in cfa[2 * down : 2 * down + 2]:
            value = hl.f32(1 / 8) * (
                hl.f32(5) * middle + hl.f32(4) * beside - two_beside + hl.f32(0.5) * two_above - corners
            )
        elif here == "g":
            value = hl.f32(1 / 8) * (
                hl.f32(5) * middle + hl.f32(4) * above - two_above + hl.f32(0.5) * two_beside - corners
            )
        else:
            value = hl.f32(1 / 8) * (hl.f32(6) * middle + hl.f32(2) * corners - hl.f32(1.5) * (two_beside + two_above))
        part = hl.Func(f"{colour}{down}{right}")
        part[x, y] = value
        parts[down, right] = part
    whole = hl.Func(colour)
    rows = [hl.select(x % 2 == 0, parts[down, 0][x / 2, y / 2], parts[down, 1][x / 2, y / 2]) for down in (0, 1)]
    whole[x, y] = hl.select(y % 2 == 0, rows[0], rows[1])
    return whole


def _finished(hl: Any, planes: list[Any], matrix: Matrix) -> list[Any]:
    """The eight pointwise stages."""
    planes = [plane * hl.f32(2**EV) for plane in planes]
    for rows in (matrix, MIXED):
        planes = [_summed(hl.f32(weight) * plane for weight, plane in zip(row, planes, strict=True)) for row in rows]
    luma = _summed(hl.f32(weight) * plane for weight, plane in zip(LUMA, planes, strict=True))
    return [_tone(hl, luma + hl.f32(SATURATION) * (plane - luma)) for plane in planes]


def _tone(hl: Any, plane: Any) -> Any:
    exposed = plane * hl.f32(2**HABLE_EV)
    plane = exposed * _rise(hl, hl.max(exposed, hl.f32(0))) * hl.f32(1 / (HABLE_WHITE * rise(HABLE_WHITE)))
    low, high = LEVELS
    plane = (plane - hl.f32(low)) * hl.f32(1 / (high - low))
    plane = plane * hl.fast_pow(plane * plane + hl.f32(1e-8), hl.f32((GAMMA - 1) / 2))
    plane = hl.clamp(plane, hl.f32(0), hl.f32(1))
    curve = hl.f32(1.055) * hl.fast_pow(hl.max(plane, hl.f32(0.0031308)), hl.f32(1 / 2.4)) - hl.f32(0.055)
    return hl.select(plane <= hl.f32(0.0031308), hl.f32(12.92) * plane, curve)


def _rise(hl: Any, x: Any) -> Any:
    """Hable's curve over x, as one fraction; numbers are single, or Halide warns of each."""
    a, b, c, d, e, f = HABLE
    one, two, three, four, five = map(hl.f32, (a * (1 - e / f), b * (c - e / f), a, b, d * f))
    return (one * x + two) / (x * (three * x + four) + five)


def _summed(terms: Any) -> Any:
    first, *rest = terms
    for term in rest:
        first = first + term
    return first


def halide(job: Job) -> Call:
    """By hand, for the raw of a job."""
    import numpy as np

    from ispdsl.bench.by_hand import mosaic, of_sites
    from ispdsl.bench.recipe import recipe_of

    frame = mosaic(job)
    recipe = recipe_of(frame)
    codes = np.ascontiguousarray(frame.image[0].astype(np.uint16))
    return developed(codes, frame.cfa, *of_sites(frame, recipe), recipe.matrix, job.threads)
