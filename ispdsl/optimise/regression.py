"""The sliders behind a picture: least squares on a real thing's answers, with the derivatives of its double.

Neural Photo-Finishing (Tseng et al., SIGGRAPH Asia 2022, section 5.2) descends on proxies alone, and so finds what the
proxies believe. Here the residual is the real thing's, and a double only says which way to go: what it has wrong is
learnt from the answers. Where the pipeline's own programs are the real thing, they are their own double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ispdsl.optimise.least_squares import Fit, Numbers, minimise, squares
from ispdsl.optimise.model import Picture
from ispdsl.optimise.real import Render
from ispdsl.runtime import faces
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Element, Vector, size

FEW, MANY = 100_000, 1_000_000
"""Numbers of the picture that starts are judged by, and that the search looks at."""

TRIES, ROUGH = 12, 1e-3
"""Steps of each start on the double, and the part of the cost below which a step of it gains nothing."""

STEADY = 1e-6
"""A step of the real thing that gains less than this part of the cost is not asked for."""

FOLLOWED, NEAR = 3, 1e-5
"""Of the drawn starts, how many of the nearest are followed, and the mean square (50 dB) at which no other is tried."""

BLOCK = 16
"""Pixels across the blocks within which what is left of a target may hang together: those of JPEG with its chroma."""

ALIKE = 0.25 / 255
"""Pictures whose values are closer than this (RMS; a quarter of a code of 8 bits) look the same."""

UNSEEN = 1e-12
"""Eigenvalues of the normal equations below this part of the largest are rounding: the direction does nothing."""

PROBE = 0.1
"""How far a direction is followed to see whether the picture changes: a tenth of the ranges."""


class Double(Protocol):
    """What says where to go, at points of the unit cube: `ispdsl.optimise.model.Model`, or anything like it."""

    def picture(self, point: Numbers, /) -> Picture:
        """What it renders there."""
        ...

    def jacobian(self, point: Numbers, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The derivatives ``(M, N)`` of some numbers of the picture."""
        ...


@dataclass(frozen=True)
class Estimate:
    """What was found of one number.

    Attributes:
        name: of the number: an address, or an element of a table.
        unit: that it is declared in.
        start, found: in this unit.
        error: standard error in this unit (one of them, not two); None at the end of a range, or where the picture does
            not depend on it.
        at_end: whether it lies at the end of what was searched.
    """

    name: str
    unit: str
    start: float
    found: float
    error: float | None
    at_end: bool


@dataclass(frozen=True)
class Confusion:
    """A direction that the picture cannot tell: these numbers, moved together, leave it as it is.

    Attributes:
        parts: by name, the share of each in the direction (its sign says which way), largest first.
        change: RMS change of the picture, 1 for white, when they are moved by a tenth of their ranges.
    """

    parts: tuple[tuple[str, float], ...]
    change: float


@dataclass(frozen=True, eq=False)
class Regression:
    """The answer.

    Attributes:
        settings: found.
        estimates: of every number that was free.
        confusions: what the picture cannot tell, the worst first.
        picture: as the real thing renders what was found, ``(C, H, W)``, 1 for white.
        before: the same at the start.
        psnr, psnr_before: of both against the target, in dB.
        believed: the PSNR that the double saw where the real thing has `psnr`; None without one.
        calls: of the real thing, the first one at the start.
        path: after each call, the PSNR of the best so far.
        renders: of the double, derivatives not counted.
        why: what ended it.
    """

    settings: Settings
    estimates: tuple[Estimate, ...]
    confusions: tuple[Confusion, ...]
    picture: Picture
    before: Picture
    psnr: float
    psnr_before: float
    believed: float | None
    calls: int
    path: tuple[float, ...]
    renders: int
    why: str


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        calls: of the real thing, at most.
        starts: on the double: the settings as they are, and points of a Latin hypercube (the nearest are followed).
        enough: stop at this PSNR, in dB.
        seed: of the starts and of the numbers that are looked at.
        border: px at each side that are not looked at.
    """

    calls: int = 30
    starts: int = 8
    enough: float = 100.0
    seed: int = 0
    border: int = 0


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the real thing gave at a point of the search."""

    point: Numbers
    picture: Picture
    psnr: float
    cost: float
    """By which the search ranks it: of the numbers that it looks at."""


def regress(
    target: Picture,
    settings: Settings,
    vector: Vector,
    render: Render,
    model: Double,
    *,
    search: Search = Search(),
    peak: float = 1.0,
    exact: bool = False,
    told: Callable[[str, int, int, float], None] | None = None,
) -> Regression:
    """Find the settings behind a picture.

    Args:
        target: ``(C, H, W)``, 1 for white, as large as what is rendered.
        settings: where the search begins, resolved for the frame; what is not free stays as it is.
        vector: what is free, in the unit face.
        render: the real thing, or the programs.
        model: what gives derivatives, and what starts are tried on.
        search: how.
        peak: the value that stands for white in what `render` and `model` give.
        exact: whether `model` renders what `render` does, so that nothing is to be learnt of its derivatives.
        told: called with what is going on, how many calls are done of how many, and the best PSNR.

    Raises:
        ValueError: nothing is free, the target has another size than what is rendered, or the border leaves nothing.
    """
    if not vector.slots:
        raise ValueError("nothing is free")
    box = _Box.around(vector, settings)
    inside = _inside(target.shape, search.border)
    rows = _some(inside.size, MANY, search.seed)
    renders = 0

    def apart(picture: Picture) -> NDArray[np.float32]:
        if picture.shape != target.shape:
            raise ValueError(f"the target is {_shape(target)}, and what is rendered {_shape(picture)}")
        return (picture / np.float32(peak) - target).reshape(-1)[inside]

    def believed(z: Numbers) -> NDArray[np.float32]:
        nonlocal renders
        renders += 1
        return apart(model.picture(box.unit(z)))

    def derivatives(z: Numbers, some: NDArray[np.int64]) -> NDArray[np.float32]:
        return model.jacobian(box.unit(z), inside[some]) * (box.width / peak).astype(np.float32)

    answers: list[_Answer] = []  # the first, and the best
    path: list[float] = []

    def real(z: Numbers) -> NDArray[np.float32]:
        picture = render(box.settings(z))
        found = apart(picture)
        answer = _Answer(z, picture, decibels(found), squares(found[rows]))
        if not answers or answer.cost < answers[-1].cost:
            answers[1:] = [answer]
        path.append(answers[-1].psnr)
        if told is not None:
            told("the real thing", len(path), search.calls, path[-1])
        return found[rows]

    start = box.place(vector.to_vector(settings))
    begin = _best_start(start, inside.size, believed, derivatives, search, told)
    at, residual = start, real(start)
    if not np.array_equal(begin, start):
        there = real(begin)  # the double's favourite; the real thing may think otherwise
        at, residual = (begin, there) if answers[-1].point is begin else (start, residual)
    fit = minimise(
        real, lambda z: derivatives(z, rows), at, (np.zeros_like(start), np.ones_like(start)),
        calls=max(search.calls - len(path), 0), enough=rows.size * 10 ** (-search.enough / 10), flat=STEADY,
        secant=not exact, first=residual,
    )  # fmt: skip
    first, best = answers[0], answers[-1]
    return Regression(
        settings=settings if best is first else box.settings(best.point),
        estimates=_estimates(box, fit, settings, inside[rows], target.shape),
        confusions=_confusions(box, fit, rows.size),
        picture=best.picture / np.float32(peak),
        before=first.picture / np.float32(peak),
        psnr=best.psnr,
        psnr_before=first.psnr,
        believed=None if exact else decibels(believed(best.point)),
        calls=len(path),
        path=tuple(path),
        renders=renders,
        why=fit.why,
    )


def decibels(apart: NDArray[np.floating]) -> float:
    """PSNR of a difference where white is 1; 200 at most."""
    return -10 * float(np.log10(max(float(np.mean(np.square(apart, dtype=np.float64))), 1e-20)))


# ---- where to search ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Box:
    """The soft ranges, widened to hold the start, as the unit cube of the search."""

    vector: Vector
    low: Numbers
    high: Numbers

    @staticmethod
    def around(vector: Vector, settings: Settings) -> _Box:
        start = np.array(vector.to_vector(settings))
        low, high = np.array(vector.soft_bounds).T
        return _Box(replace(vector, settings=settings), np.minimum(low, start), np.maximum(high, start))

    @property
    def width(self) -> Numbers:
        return self.high - self.low

    def unit(self, z: Numbers) -> Numbers:
        return np.clip(self.low + z * self.width, 0.0, 1.0)

    def place(self, unit: Sequence[float]) -> Numbers:
        return (np.array(unit) - self.low) / np.maximum(self.width, 1e-300)

    def settings(self, z: Numbers) -> Settings:
        return self.vector.from_vector(self.unit(z).tolist())

    def physical(self, z: Numbers) -> list[float]:
        """Every number in its declared unit."""
        numbers = zip(self.vector.elements, _hard(self.vector), self.unit(z), strict=True)
        return [faces.number_at(hard, element.unit, Fraction(float(place))) for element, hard, place in numbers]


def _hard(vector: Vector) -> Iterable[tuple[float, float]]:
    """The hard range of each number in its declared unit."""
    for slot in vector.slots:
        hard = getattr(slot.declaration, "hard", None)
        assert hard is not None, "the unit face has only what has a range"
        yield from [hard] * size(slot)


def _best_start(
    start: Numbers,
    count: int,
    believed: Callable[[Numbers], NDArray[np.float32]],
    derivatives: Callable[[Numbers, NDArray[np.int64]], NDArray[np.float32]],
    search: Search,
    told: Callable[[str, int, int, float], None] | None,
) -> Numbers:
    """Where the double comes nearest to the target, from several starts; none of it asks the real thing."""
    rows = _some(count, FEW, search.seed)
    drawn = qmc.LatinHypercube(start.size, rng=search.seed).random(max(search.starts - 1, 0))
    bounds = np.zeros_like(start), np.ones_like(start)
    enough = rows.size * 10 ** (-search.enough / 10)
    best: Fit | None = None
    again = False

    def apart(z: Numbers) -> float:
        return float(np.mean(np.square(believed(z)[rows], dtype=np.float64)))

    for number, each in enumerate([start, *sorted(drawn, key=apart)[:FOLLOWED]]):
        fit = minimise(
            lambda z: believed(z)[rows], lambda z: derivatives(z, rows), each, bounds, calls=TRIES, enough=enough,
            flat=ROUGH,
        )  # fmt: skip
        again = best is not None and abs(fit.cost - best.cost) < 10 * ROUGH * best.cost
        best = fit if best is None or fit.cost < best.cost else best
        if told is not None:
            most = min(search.starts, 1 + FOLLOWED)
            told("starts", number + 1, most, -10 * float(np.log10(max(best.cost / rows.size, 1e-20))))
        if again or best.cost <= rows.size * NEAR:  # two starts met, or the rest is for the real thing to say
            break
    assert best is not None, "the settings as they are are a start"
    shows = np.sqrt(np.diag(best.normal) / rows.size) > ALIKE  # the others have no say, and stay where they are
    return np.where(shows, best.point, start)


def _inside(shape: tuple[int, ...], border: int) -> NDArray[np.int64]:
    """Places, in reading order, of the numbers of a picture that do not lie at its border."""
    planes, height, width = shape
    if min(height, width) <= 2 * border:
        raise ValueError(f"a border of {border} px leaves nothing of {width} x {height} px")
    places = np.arange(planes * height * width).reshape(shape)
    return places[:, border : height - border, border : width - border].reshape(-1)


def _some(total: int, most: int, seed: int) -> NDArray[np.int64]:
    """Places of so many numbers of a picture, drawn once; all of them where there are no more."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, most, replace=False))


def _shape(picture: Picture) -> str:
    planes, height, width = picture.shape
    return f"{width} x {height} px of {planes} planes"


# ---- what is known of the answer ---------------------------------------------------------------------------


def _estimates(
    box: _Box, fit: Fit, settings: Settings, places: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[Estimate, ...]:
    """What was found, with standard errors.

    Those are of least squares whose residuals hang together within blocks of pixels and not beyond (Liang and Zeger,
    "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 73(1), 1986, equation 7), and the step that
    was still to go is added in square.
    """
    ends = (fit.point <= 0.0) | (fit.point >= 1.0)
    free = np.flatnonzero(~ends)
    errors = np.full(fit.point.size, np.nan)
    if free.size:
        values, vectors = np.linalg.eigh(fit.normal[np.ix_(free, free)])
        told = values > values[-1] * UNSEEN
        inverse = (vectors[:, told] / np.maximum(values[told], 1e-300)) @ vectors[:, told].T
        scores = _scores(fit, places, shape)[:, free]
        spread = np.diag(inverse @ (scores.T @ scores) @ inverse)
        errors[free] = np.sqrt(spread + np.square(inverse @ fit.slope[free]))
        errors[free[(vectors[:, ~told] ** 2).sum(axis=1) > 0.1]] = np.nan
    declared = replace(box.vector, face="physical")
    found, begun = declared.to_vector(box.settings(fit.point)), declared.to_vector(settings)
    after, before = np.minimum(fit.point + 1e-4, 1.0), np.maximum(fit.point - 1e-4, 0.0)
    slopes = (np.array(box.physical(after)) - np.array(box.physical(before))) / (after - before)
    return tuple(
        Estimate(
            element.name,
            element.unit,
            begun[place],
            found[place],
            None if np.isnan(errors[place]) else float(abs(slopes[place]) * errors[place]),
            bool(ends[place]),
        )
        for place, element in enumerate(box.vector.elements)
    )


def _scores(fit: Fit, places: NDArray[np.int64], shape: tuple[int, ...]) -> Numbers:
    """``J^T r`` of every block of pixels, ``(B, N)``: all planes of a block together."""
    _, height, width = shape
    row, column = places % (height * width) // width, places % width
    block = row // BLOCK * -(-width // BLOCK) + column // BLOCK
    count = int(block.max()) + 1
    each = [np.bincount(block, slopes * fit.residual, count) for slopes in fit.jacobian.T]
    return np.stack(each, axis=1).astype(np.float64)


def _confusions(box: _Box, fit: Fit, count: int) -> tuple[Confusion, ...]:
    """Directions along which a tenth of the ranges changes the picture by less than anyone sees."""
    values, vectors = np.linalg.eigh(fit.normal)
    found: list[Confusion] = []
    for value, direction in zip(values, vectors.T, strict=True):
        if value > _same(count):
            break
        found.append(Confusion(_parts(box.vector.elements, direction), PROBE * float(np.sqrt(max(value, 0) / count))))
    return tuple(found)


def _same(count: int) -> float:
    """The eigenvalue of the normal equations below which a tenth of the ranges leaves the picture as it is."""
    return count * (ALIKE / PROBE) ** 2


def _parts(elements: Sequence[Element], direction: Numbers) -> tuple[tuple[str, float], ...]:
    """What moves in a direction, without what hardly does."""
    order = sorted(range(direction.size), key=lambda place: -abs(direction[place]))
    sign = np.sign(direction[order[0]]) or 1.0
    return tuple(
        (elements[place].name, round(float(sign * direction[place]), 3))
        for place in order
        if abs(direction[place]) > 0.1
    )
