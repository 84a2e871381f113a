"""A searcher for noisy answers and for many calls: models of all answers say where to look, and what to recommend.

Tseng et al. 2019 ("Hyperparameter Optimization in Black-box Image Processing using Differentiable Proxies") fit one
network to random samples and descend on it. Here the model is linear in its weights (`waves`), so that it is fitted
anew in a fraction of a second, and looking and fitting take turns:

- **Where to look** is drawn from the posterior: each call goes to where a function that the answers allow is lowest
  (Thompson 1933; Russo et al. 2018, "A Tutorial on Thompson Sampling"). What is uncertain is looked at, what is known
  to be bad is not, and where axes act apart a call tells something of each of them.
- **Which model leads** is decided by foretelling: models of single axes and of several at once, of all answers in the
  region and of the nearer half of them only, each foretell answers near the best place that are withheld from them.
- **The region** is the whole cube at first. It shrinks when the nearer half foretells better, and grows when a wider
  model does (trust regions: Eriksson et al. 2019, "Scalable Global Optimization via Local Bayesian Optimization").
- **What is recommended** is where the mean of the model is lowest, and not the luckiest answer. One point is measured
  twice early on. Where its answers differ there is noise; the last calls then measure the recommended point and the
  luckiest one again, and the luckiest is taken only if it is clearly better there as well. Where they do not differ,
  the lowest answer is what it seems and is recommended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import qmc

from ispdsl.optimise.engine import Ended, Score
from ispdsl.optimise.searchers.answers import Indices, tamed
from ispdsl.optimise.searchers.waves import Box, Features, Model, Prior, fit, lowest
from ispdsl.optimise.space import Numbers, Space

SHRINK = 0.7
LEAST_HALF = 1e-6
WHOLE = 2.0
"""Reach that counts all answers."""
FEW_DRAWS = 4
MOST_REPEATS, LEAST_REPEATS = 20, 5
"""Of a point, to learn how large the noise is: models that explain more than half of it are not believed."""
FEW = 50
"""Below so many calls none is spent on measuring the recommended point again."""
EVERY = 4
"""Batches from one contest of models to the next."""
MOST = 6000
"""Answers that a model is fitted to, the nearest ones."""


@dataclass(frozen=True, eq=False)
class View:
    """A model that might lead.

    Attributes:
        joint: whether it knows what hangs on several axes at once.
        box: where it looks.
        reach: how far out of the box's middle answers count, in root mean square of its half sides.
    """

    joint: bool
    box: Box
    reach: float

    def distance(self, points: Numbers) -> Numbers:
        """From the middle, in root mean square of the half sides."""
        return np.sqrt((((points - self.box.centre) / self.box.half) ** 2).mean(1))

    def used(self, points: Numbers, least: int) -> Indices:
        """Which answers count: those within reach, but not fewer than `least`, and no more than `MOST`."""
        distance = self.distance(points)
        order = np.argsort(distance, kind="stable")
        count = int(np.clip(np.count_nonzero(distance <= self.reach), min(least, len(points)), MOST))
        return np.sort(order[:count])


def surrogate(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
    """Search with models, and recommend by their mean; see the module."""
    search = _Search(score, space, calls, seed)
    search.design(start)
    batch = max(1, calls // 50)
    last = 0 if search.exact or calls < FEW else max(2, calls // 100) * 2
    turn = 0
    while (left := calls - last - len(search.answers)) > 0:
        if turn % EVERY == 0:
            search.contest()
        model = search.fitted(1)
        incumbent = search.incumbent(model)
        weights = model.drawn(min(batch, left), search.rng)
        if batch > FEW_DRAWS or turn % 2:  # one of them at the mean
            weights[:, 0] = model.weights
        drawn = lowest(model.features, weights, incumbent)
        for point in drawn:
            search.ask(point)
        turn += 1
    return Ended("all calls are made", search.recommended(last))


class _Search:
    """The answers so far, and the view that leads."""

    def __init__(self, score: Score, space: Space, calls: int, seed: int) -> None:
        self.score, self.space, self.calls, self.seed = score, space, calls, seed
        self.rng = np.random.default_rng(seed)
        self.points: list[Numbers] = []
        self.answers: list[float] = []
        self.exact = False
        self.least = 3 * space.size + 20
        self.floor = 0.0
        whole = Box(np.full(space.size, 0.5), np.full(space.size, 0.5))
        self.view = View(False, whole, WHOLE)
        self.priors: dict[bool, Prior] = {}

    def ask(self, point: Numbers) -> float:
        """Measure at a point."""
        legal = self.space.snap(point)
        self.points.append(legal)
        self.answers.append(self.score(legal))
        return self.answers[-1]

    def design(self, start: Numbers | None) -> None:
        """First answers: the start, a Latin hypercube, and the best of them again, which tells how large noise is."""
        count = min(max(2 * self.space.size, self.calls // 10), max(self.calls // 3, 1))
        if start is not None:
            self.ask(start)
        for point in qmc.LatinHypercube(self.space.size, rng=self.rng).random(count - len(self.points)):
            self.ask(point)
        if len(self.points) < self.calls:
            best = int(np.argmin(self.answers))
            first = self.answers[best]
            self.exact = self.ask(self.points[best]) == first
            if not self.exact:
                self.least = max(self.least, self.calls // 10)
                again = [self.ask(self.points[best]) for _ in range(min(self.calls // 200, MOST_REPEATS))]
                if len(again) >= LEAST_REPEATS:
                    self.floor = 0.5 * float(np.var([self.answers[-len(again) - 1], *again], ddof=1))

    def table(self, view: View) -> tuple[Numbers, Numbers]:
        """Points and answers that a view counts."""
        points = np.array(self.points)
        used = view.used(points, self.least)
        return points[used], tamed(self.answers)[used]

    def features(self, view: View) -> Features:
        """What a model of a view is made of."""
        return Features.of(self.space, view.box, self.seed if view.joint else None)

    def fitted(self, rounds: int) -> Model:
        """The leading model."""
        points, answers = self.table(self.view)
        known = self.priors.get(self.view.joint)
        model = fit(self.features(self.view), points, answers, known, rounds if known else 8, self.floor)
        self.priors[self.view.joint] = model.prior
        return model

    def incumbent(self, model: Model) -> Numbers:
        """Where the mean of a model is lowest; the box follows."""
        if self.exact:
            start = self.points[int(np.argmin(self.answers))]
        else:
            points, _ = self.table(self.view)
            start = points[int(model.foretell(points).argmin())]
        found = lowest(model.features, model.weights[:, None], start)[0]
        if not self.view.box.whole:
            self.view = replace(self.view, box=replace(self.view.box, centre=found))
        return found

    def contest(self) -> None:
        """Let the views that are at hand foretell withheld answers, and go on with the one that does it best."""
        model = self.fitted(3)
        centre = self.incumbent(model)
        points, answers = np.array(self.points), tamed(self.answers)
        now = self.view
        used = now.used(points, self.least)
        near = used[np.argsort(replace(now, box=replace(now.box, centre=centre)).distance(points[used]))]
        judged = near[: max(len(near) // 4, min(len(near), 30))]
        views = [replace(now, joint=joint) for joint in (now.joint, not now.joint)]
        nearer = _nearer(now, self.space, centre, points[used])
        views += [replace(nearer, joint=joint) for joint in (now.joint, not now.joint)]
        if not now.box.whole:
            views.append(_wider(now))
        errors = np.array([self._errors(view, points, answers, judged) for view in views])
        gains = errors[0] - errors[1:]  # (views, judged): of each other view over the present one
        clear = gains.mean(1) - gains.std(1) / math.sqrt(len(judged))
        best = int(clear.argmax())
        if clear[best] > 0:
            self.view = views[best + 1]

    def _errors(self, view: View, points: Numbers, answers: Numbers, judged: Indices) -> Numbers:
        """Squared errors of what a view foretells of answers withheld from it; where it counts none, their variance."""
        used = view.used(points, self.least)
        known = self.priors.get(view.joint)
        model = fit(self.features(view), points[used], answers[used], known, 2 if known else 6, self.floor)
        if view.box is self.view.box or not known:
            self.priors[view.joint] = model.prior
        counted = np.isin(judged, used)
        errors = np.full(len(judged), answers.var())
        errors[counted] = model.withheld(points[judged[counted]], answers[judged[counted]]) ** 2
        return errors

    def recommended(self, last: int) -> Numbers:
        """What the search ends with: the lowest answer where answers repeat, else by the mean of the model."""
        luckiest = self.points[int(np.argmin(self.answers))]
        if self.exact or len(self.answers) < 2:
            return luckiest
        model = self.fitted(2)
        if not last:
            return self.points[int(model.foretell(np.array(self.points)).argmin())]
        choices = (self.incumbent(model), luckiest)
        again: list[list[float]] = [[], []]
        for number in range(last):
            again[number % 2].append(self.ask(choices[number % 2]))
        means = [float(np.mean(each)) for each in again]
        error = math.sqrt(sum(float(np.var(each, ddof=1)) / len(each) for each in again))
        return self.space.snap(choices[1] if means[1] + 2 * error < means[0] else choices[0])


def _nearer(view: View, space: Space, centre: Numbers, points: Numbers) -> View:
    """A smaller box, and the nearer half of the answers; neighbouring levels stay in it, and all names."""
    steps = (LEAST_HALF if axis.levels is None else 1 / max(axis.levels - 1, 2) for axis in space.axes)
    least = [step if axis.ordered else 0.5 for axis, step in zip(space.axes, steps, strict=True)]
    half = np.maximum(view.box.half * SHRINK, least)
    smaller = View(view.joint, Box(centre, half), 1.0)
    return replace(smaller, reach=float(np.median(smaller.distance(points))))


def _wider(view: View) -> View:
    """A larger box."""
    half = np.minimum(view.box.half / SHRINK, 0.5)
    centre = np.clip(view.box.centre, half, 1 - half)
    return View(view.joint, Box(centre, half), WHOLE if (half >= 0.5).all() else max(view.reach, 1.0))
