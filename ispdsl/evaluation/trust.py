"""How far to believe the doubles: the error to expect of a query, in dB, before the real thing has been asked.

believed = trust(Path("run/doubles/default"))
believed.of(settings, frame)            # Belief(psnr=41.2, low=37.9, high=44.5, outside=())

Two Gaussian processes are fitted to what the chain of doubles got wrong on samples that none of them was trained on.
The first knows the settings, where they lie among those that were trained on, and plain facts of the picture that goes
in; the second also knows facts of what the doubles made of it, which the composite gives along the way. Of an
ensemble there is a third: it also knows how far the members are apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ispdsl.errors import UserError
from ispdsl.evaluation.features import Outside, apart, facts, outside, row
from ispdsl.evaluation.gaussian import Array, Process, fit
from ispdsl.ir.types import Type
from ispdsl.proxies.task import Knob
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

FEWEST = 12
"""Queries that a trust figure can be fitted to."""

BEST = 100.0
"""dB that count for equal images, and for all that are closer."""

SHARE = 0.9
"""Of true errors, the share that an interval is to hold."""

WEAK = 0.5
"""Rank correlation below which a figure does not tell good queries from bad ones."""

FOLDS = 5


class TrustError(UserError):
    """There is no trust figure here, or it does not fit what it is asked about."""


@dataclass(frozen=True)
class Belief:
    """What to expect of the doubles at one query.

    Attributes:
        psnr: expected PSNR of the first output against the real thing, in dB.
        low, high: between them it lies for nine queries of ten that are like those it was fitted to.
        outside: the settings that were never sampled, the furthest first; with any, `psnr` is a guess.
        rank: Spearman's rank correlation of expected and true PSNR that the figure proved to have; None where unknown.
    """

    psnr: float
    low: float
    high: float
    outside: tuple[Outside, ...] = ()
    rank: float | None = None

    @property
    def weak(self) -> bool:
        """Whether the figure was found not to tell good queries from bad ones."""
        return self.rank is not None and self.rank < WEAK

    def __str__(self) -> str:
        figure = f"{self.psnr:.1f} dB expected ({self.low:.1f} to {self.high:.1f})"
        if not self.outside:
            return figure
        return f"{figure}; a guess, for it lies outside of what was sampled: " + "; ".join(
            f"{each.address} is {each.message}" for each in self.outside
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """One query whose true error is known.

    Attributes:
        settings: canonical values by address.
        image: `facts` of the pipeline's input.
        watched: `facts` of what the doubles made of it, by name.
        psnr: of the chain's first output, in dB.
        spread: of an ensemble, how far `apart` its members are, by watched name; empty where there are no members.
    """

    settings: Mapping[str, Any]
    image: Array
    watched: Mapping[str, Array]
    psnr: float
    spread: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Calibration:
    """How good a figure proved to be on queries whose settings it was not fitted to.

    Attributes:
        count: queries.
        rank: Spearman's rank correlation of expected and true PSNR.
        coverage: share of the queries whose true PSNR lay inside the interval, which is meant to hold `SHARE`.
        off: median distance of expected and true PSNR, in dB.
    """

    count: int
    rank: float
    coverage: float
    off: float


@dataclass(frozen=True, eq=False)
class Figure:
    """A process, and by how much its standard deviation is widened so that the interval holds `SHARE`."""

    process: Process
    scale: float

    def belief(self, features: Array) -> tuple[float, float, float]:
        """Expected PSNR in dB, and the interval about it."""
        mean, deviation = self.process.predict(features[None])
        middle, half = float(mean[0]), self.scale * float(deviation[0])
        return min(middle, BEST), min(middle - half, BEST), min(middle + half, BEST)


@dataclass(frozen=True, eq=False)
class Domain:
    """What was sampled: `knobs` were varied, `constants` not; `points` `(N, D)` are the settings trained on, by `row`.

    `types` are those of the pipeline's first input, under ``""``, and of the watched values by name.
    """

    knobs: tuple[Knob, ...]
    constants: Mapping[str, Any]
    points: Array
    types: Mapping[str, Type]

    def settings(self, values: Mapping[str, Any]) -> tuple[Array, Array, Array]:
        """Features of canonical settings: their places, the squares of those, the distance to the nearest points."""
        missing = [knob.address for knob in self.knobs if knob.address not in values]
        if missing:
            raise TrustError(f"the trust figure asks for {missing[0]}, which the settings do not give")
        places = row(self.knobs, values)
        return 2 * places - 1, np.square(2 * places - 1), self._nearest(places)

    def _nearest(self, places: Array) -> Array:
        """Logarithm of the root mean square distance to the nearest point, and to the fifth."""
        if not len(self.points) or not len(places):
            return np.zeros(2)
        apart = np.sort(np.sqrt(np.square(self.points - places).mean(axis=1)))
        return np.log(np.array([apart[0], apart[min(4, len(apart) - 1)]]) + 1e-3)


class Shown(Protocol):
    """An image of torch, which is not imported here."""

    def detach(self) -> Any:
        """The image without its gradient."""
        ...


@dataclass(frozen=True, eq=False)
class Trust:
    """The trust figure of the doubles of one folder."""

    domain: Domain
    blind: Figure
    """Knows settings and input."""
    seen: Figure | None
    """Knows what the doubles made of it as well."""
    calibration: Mapping[str, Calibration] = field(default_factory=dict[str, Calibration])
    """Of each of `figures`."""
    fitted: frozenset[str] = frozenset()
    """`fingerprint` of the settings that it was fitted to."""
    tried: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """What the calibration is of: PSNR expected and its interval `(N, 3)` of each query, by figures that had not seen
    it. Not kept in the file."""
    ensemble: Figure | None = None
    """Knows how far the members of an ensemble are apart as well."""
    doubles: Mapping[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of the doubles that it is about, by address; of further members of an ensemble by ``1/ADDRESS``."""

    @property
    def figures(self) -> dict[str, Figure]:
        """By what they know: ``blind``, ``seen``, ``ensemble``."""
        known = {"blind": self.blind, "seen": self.seen, "ensemble": self.ensemble}
        return {name: figure for name, figure in known.items() if figure is not None}

    def of(
        self,
        settings: Settings | Mapping[str, Any],
        image: Frame | NDArray[Any] | Shown,
        metadata: Mapping[str, Any] | None = None,
        watched: Mapping[str, NDArray[Any] | Shown] | None = None,
        members: Sequence[Mapping[str, NDArray[Any] | Shown]] = (),
    ) -> Belief:
        """What to expect of the doubles.

        Args:
            settings: of the pipeline (what waits for metadata takes it from the frame), or canonical values by address.
            image: what the pipeline is run on: a frame, or an image `(C, H, W)` in the numbers of its type.
            metadata: of the image where it is no frame.
            watched: what the composite of doubles made of it, by name of tap and output; sharpens the figure. Others
                than those that it was fitted to are ignored; where one of these is missing none is used.
            members: the same of each further member of an ensemble; sharpens the figure of an ensemble further.

        Raises:
            TrustError: a setting that was varied is not given.
            SettingsError: one that starts at metadata finds none.
        """
        known = image.metadata if isinstance(image, Frame) else (metadata or {})
        values = canonical(settings, known)
        pixels = image.image if isinstance(image, Frame) else _numpy(image)
        base = [*self.domain.settings(values), facts(pixels, self.domain.types[""], known)]
        types = {name: type_ for name, type_ in self.domain.types.items() if name}
        knows = "blind"
        if self.seen is not None and watched is not None and watched.keys() >= types.keys():
            knows = "seen"
            base += [facts(_numpy(watched[name]), type_, known) for name, type_ in types.items()]
            if self.ensemble is not None and members and all(each.keys() >= types.keys() for each in members):
                knows = "ensemble"
                made = {name: [_numpy(each[name]) for each in (watched, *members)] for name in types}
                base.append(np.array([apart(made[name], type_, known) for name, type_ in types.items()]))
        psnr, low, high = self.figures[knows].belief(np.concatenate(base))
        rank = self.calibration[knows].rank if knows in self.calibration else None
        return Belief(psnr, low, high, outside(self.domain.knobs, self.domain.constants, values), rank)


def canonical(settings: Settings | Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical values by address: numbers, arrays, names and switches.

    Raises:
        SettingsError: a setting that starts at metadata finds none.
    """
    if not isinstance(settings, Settings):
        return {address: _plain(value) for address, value in settings.items()}
    from ispdsl.backends.vector import tensors

    return {address: _plain(value) for address, value in tensors(settings.resolved(metadata)).items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | bool) else _numpy(value).astype(np.float64)


def _numpy(image: Any) -> NDArray[Any]:
    return image.detach().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)


# ---- fitting -----------------------------------------------------------------------------------------------


def fit_trust(evidence: Sequence[Evidence], domain: Domain, seed: int = 0) -> Trust:
    """Fit the trust figure, and see how good it is on settings that it was not fitted to.

    The calibration is found by fitting `FOLDS` times to the rest of the evidence; queries of equal settings stay
    together. The figure that is kept is then fitted to all of it.

    Raises:
        TrustError: there are fewer than `FEWEST` queries.
    """
    if len(evidence) < FEWEST:
        hint = f"evaluate with --settings {FEWEST} or more"
        raise TrustError(f"{len(evidence)} queries are too few to fit a trust figure to", hint)
    values = np.array([min(each.psnr, BEST) for each in evidence])
    folds = _folds(evidence, domain, seed)
    figures: dict[str, Figure] = {}
    calibration: dict[str, Calibration] = {}
    tried: dict[str, Array] = {}
    for name in _kinds(evidence, domain):
        features, groups = _table(evidence, domain, name)
        mean, deviation = _crossed(features, values, groups, folds)
        figures[name] = Figure(fit(features, values, groups), _scale(mean, deviation, values))
        tried[name] = _intervals(mean, deviation, values, folds)
        calibration[name] = _calibration(tried[name], values)
    fitted = frozenset(fingerprint(domain.knobs, each.settings) for each in evidence)
    return Trust(domain, figures["blind"], figures.get("seen"), calibration, fitted, tried, figures.get("ensemble"))


def _kinds(evidence: Sequence[Evidence], domain: Domain) -> tuple[str, ...]:
    """The figures that evidence is enough for."""
    watched = [name for name in domain.types if name]
    if not watched:
        return ("blind",)
    members = all(each.spread.keys() >= set(watched) for each in evidence)
    return ("blind", "seen", "ensemble") if members else ("blind", "seen")


def fingerprint(knobs: Sequence[Knob], settings: Mapping[str, Any]) -> str:
    """A short hash of settings, to tell later which a figure was fitted to."""
    places = np.round(row(knobs, settings), 6) + 0.0
    return hashlib.sha256(places.tobytes()).hexdigest()[:16]


def _table(evidence: Sequence[Evidence], domain: Domain, knows: str) -> tuple[Array, list[int]]:
    """Features `(N, D)` as `Trust.of` finds them, and the group of each."""
    watched = [name for name in domain.types if name]
    rows: list[list[Array]] = []
    for each in evidence:
        parts = [*domain.settings(each.settings), each.image]
        if knows != "blind":
            parts.append(np.concatenate([each.watched[name] for name in watched]))
        if knows == "ensemble":
            parts.append(np.array([each.spread[name] for name in watched]))
        rows.append(parts)
    groups = [group for group, part in enumerate(rows[0]) for _ in part]
    used = {group: number for number, group in enumerate(sorted(set(groups)))}
    return np.stack([np.concatenate(parts) for parts in rows]), [used[group] for group in groups]


def _scale(mean: Array, deviation: Array, values: Array) -> float:
    """By how much standard deviations are widened so that intervals hold `SHARE` of the values.

    Split conformal prediction (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 113, 2018,
    section 5.2), with the residuals of figures that had not seen the values.
    """
    ratios = np.sort(np.abs(values - mean) / deviation)
    return float(ratios[min(ceil((len(ratios) + 1) * SHARE), len(ratios)) - 1])


def _folds(evidence: Sequence[Evidence], domain: Domain, seed: int) -> NDArray[np.intp]:
    """The fold of each query; equal settings are in one."""
    keys = [fingerprint(domain.knobs, each.settings) for each in evidence]
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    drawn = np.random.default_rng(seed).permutation(len(number)) % FOLDS
    return np.array([drawn[number[key]] for key in keys], np.intp)


def _crossed(features: Array, values: Array, groups: Sequence[int], folds: NDArray[np.intp]) -> tuple[Array, Array]:
    """PSNR expected of each query by a process fitted to the other folds, and the standard deviation that it states."""
    mean, deviation = np.zeros(len(values)), np.zeros(len(values))
    for fold in np.unique(folds):
        out = folds == fold
        kept = out if out.all() else ~out
        mean[out], deviation[out] = fit(features[kept], values[kept], groups).predict(features[out])
    return mean, deviation


def _intervals(mean: Array, deviation: Array, values: Array, folds: NDArray[np.intp]) -> Array:
    """PSNR expected and its interval `(N, 3)`; how wide that of a query is, the other folds say."""
    found = np.zeros((len(values), 3))
    for fold in np.unique(folds):
        out = folds == fold
        kept = out if out.all() else ~out
        half = _scale(mean[kept], deviation[kept], values[kept]) * deviation[out]
        found[out] = np.stack([mean[out], mean[out] - half, mean[out] + half], axis=1)
    return np.minimum(found, BEST)


def _calibration(expected: Array, values: Array) -> Calibration:
    from scipy.stats import spearmanr

    mean, low, high = expected.T
    varied = len(values) > 2 and np.ptp(mean) > 0 and np.ptp(values) > 0
    rank = float(np.asarray(spearmanr(mean, values)[0])) if varied else 0.0
    inside = float(np.mean((low <= values) & (values <= high)))
    return Calibration(len(values), rank, inside, float(np.median(np.abs(mean - values))))


def check(trust: Trust, evidence: Sequence[Evidence]) -> dict[str, Calibration]:
    """How good a fitted figure is on queries that it has not seen, by what it knows."""
    values = np.array([min(each.psnr, BEST) for each in evidence])
    found: dict[str, Calibration] = {}
    for name in _kinds(evidence, trust.domain):
        if name in trust.figures:
            features, _ = _table(evidence, trust.domain, name)
            found[name] = _calibration(np.array([trust.figures[name].belief(each) for each in features]), values)
    return found
