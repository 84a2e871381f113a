"""A walk by least squares downhill: differences along the axes, then steps of a Jacobian that every answer corrects.

It begins with differences along the axes, goes on by steps of the model, and asks about points around the best for the
model to learn from. Those lie where the model says that the picture changes by about as much as is left to explain: far
along what hardly shows, near along what shows at once, along valleys where one number undoes another. Pictures of few
bits and kinks of thresholds blur differences that are smaller, and hide what numbers of little effect do. Where nothing
is gained the points lie wider and wider, out of what is only the bottom of a hollow.

Sources: Levenberg, "A Method for the Solution of Certain Non-Linear Problems in Least Squares", Quarterly of Applied
Mathematics 2(2), 1944; Cartis and Roberts, "A Derivative-Free Gauss-Newton Method", Mathematical Programming
Computation 11, 2019. The points around, and damping by what the model is unsure of, are this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ispdsl.optimise.answers import Answers, Place
from ispdsl.optimise.legal import FARTHEST, lowest
from ispdsl.optimise.secants import Floats, Secants
from ispdsl.optimise.space import Numbers, Space

STEP, SMALLEST = 0.08, 0.004
"""The first differences, and the smallest, as parts of the range; never less than a code."""

MUCH = 0.5
"""The part of the cost that may be left after differences and steps for others to follow."""

TRIES = 4
"""Steps in a row that gain nothing, each damped more, before something else is done."""

WORTH = 0.005
"""The part of the cost that a step must gain for the next one to follow at once."""

AROUND = 3
"""Points around that are asked about after a step that was not worth it."""

CHANGE, REACH = 0.5, 0.15
"""How much the picture changes at a point around, as a part of what is left, and how far a number moves that does not
show at all, as a part of its range (standard deviations)."""

GAIN = 0.03
"""The part of the cost that must be gained for the points around not to lie wider."""

WIDER, WIDEST, NARROWEST = 1.5, 6.0, 0.5
"""How much wider they lie then, at most, and from where they begin again."""

ROUNDS = 2
"""How often the widest of them may be in vain."""

DAMPING = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
"""By how many times the model's doubt a step is damped: the one that promises most is taken."""

EXACT = 1e-12
"""What is smaller, as a part of the trace of a matrix, is rounding."""

LITTLE, STALLED = 0.4, 4
"""It has stalled where less than this part of the cost was gained by so many calls for each number that is free."""


@dataclass
class Walk:
    """Where a walk is, and its model of what is around.

    Attributes:
        place: the best so far.
    """

    answers: Answers
    space: Space
    rng: np.random.Generator
    place: Place

    def __post_init__(self) -> None:
        self._free = np.array([at for at, axis in enumerate(self.space.axes) if axis.ordered and axis.levels != 1], int)
        self._directions: list[Numbers] = []
        self._model: Secants | None = None
        self._wide, self._waited, self._rounds, self._mark = 1.0, 0, 0, self.cost
        self._stall = (self.answers.made, self.cost)

    @property
    def cost(self) -> float:
        """The sum of squares at the best so far."""
        return self.place.cost

    def go_on(self, *, until_stalled: bool = False) -> None:
        """Differences and steps, then steps of a model and points around for it to learn from, until nothing gains."""
        if not self._free.size or not 0 < self.cost < np.inf:
            return
        if self._model is None:
            self._model = self._settled()
        while self.cost > 0 and self._rounds < ROUNDS and not (until_stalled and self._has_stalled()):
            self._turn(self._model)

    def _has_stalled(self) -> bool:
        """Whether hardly anything was gained for long."""
        made, cost = self._stall
        if self.cost < cost * (1 - LITTLE):
            self._stall = (self.answers.made, self.cost)
            return False
        return self.answers.made - made > STALLED * self._free.size

    def _settled(self) -> Secants:
        """Differences and steps by turns, the differences smaller and smaller, while much is gained; then a model."""
        size = STEP
        while True:
            before = self.cost
            jacobian = self._jacobian(size)
            self._descend(jacobian)
            if self.cost == 0 or self.cost > MUCH * before:
                break
            size = max(size / 2, SMALLEST)
        ordered = np.isin(np.arange(self.space.size), self._free)
        return Secants.of(self.place.residual, jacobian, ordered, STEP / 2)

    def _jacobian(self, size: float) -> Floats:
        """Differences of about this size along each axis. It goes to the best of them."""
        here = self.place
        jacobian = np.zeros((here.residual.size, self.space.size), np.float32)
        for axis in self.rng.permutation(self._free):
            other = self.answers.at(self._beside(here.point, int(axis), size))
            if other.cost == np.inf:
                continue
            jacobian[:, axis] = (other.residual - here.residual) / np.float32(other.point[axis] - here.point[axis])
            self.place = min(self.place, other, key=lambda each: each.cost)
        return jacobian

    def _beside(self, x: Numbers, axis: int, size: float) -> Numbers:
        """A legal point about so far away along an axis, one that is new where there is such."""
        levels = self.space.axes[axis].levels
        length = max(size, 0.0 if levels is None else 1 / (levels - 1)) * self.rng.choice([-1, 1])
        others = [self._along(x, axis, each * length) for each in (1, -1, 2, -2)]
        others = [each for each in others if abs(each[axis] - x[axis]) > abs(length) / 2]
        return next((each for each in others if not self.answers.known(each)), others[0])

    def _along(self, x: Numbers, axis: int, length: float) -> Numbers:
        other = x.copy()
        other[axis] += length
        return self.space.snap(other)

    def _descend(self, jacobian: Floats) -> None:
        """Steps of Levenberg and Marquardt with one Jacobian, corrected by each answer (Broyden)."""
        damping, failed = 1e-2, 0
        while failed < TRIES and self.cost > 0:
            here, point = self.place, self._damped(jacobian, damping)
            if np.array_equal(point, here.point):
                return
            other = None if self.answers.known(point) else self.answers.at(point)
            if other is None or other.cost == np.inf:
                failed, damping = failed + 1, damping * 8
                continue
            move = (point - here.point).astype(np.float32)
            missed = other.residual - here.residual - jacobian @ move
            jacobian += np.outer(missed, move / (move @ move)).astype(np.float32)
            if other.cost >= here.cost:
                failed, damping = failed + 1, damping * 8
                continue
            self.place = other
            if other.cost > here.cost * (1 - GAIN):
                return
            failed, damping = 0, damping / 4

    def _damped(self, jacobian: Floats, damping: float) -> Numbers:
        """The legal point where the damped quadratic model is lowest."""
        free = self._free[np.abs(jacobian[:, self._free]).max(axis=0, initial=0.0) > 0]
        if not free.size:
            return self.place.point
        shown = jacobian[:, free].astype(np.float64)
        normal, slope = shown.T @ shown, shown.T @ self.place.residual.astype(np.float64)
        scale = np.diag(normal) + 1e-3 * np.diag(normal).mean()
        return lowest(self.space, self.place.point, free, normal + damping * np.diag(scale), slope)

    def _turn(self, model: Secants) -> None:
        """A step of the model and, where that gains little, points around, wider where nothing is gained for long."""
        before, (normal, slope, level) = self.cost, model.normal()
        self._learn(model, self._step(model, normal, slope, level))
        if self.cost > before * (1 - WORTH):
            for _ in range(AROUND):
                self._learn(model, self._around(normal))
        self._waited += 1
        if self.cost < self._mark * (1 - GAIN):
            self._wide, self._waited, self._rounds, self._mark = max(self._wide / WIDER, 1.0), 0, 0, self.cost
        elif self._waited > 1 + self.space.size // 2:
            self._wide, self._waited = self._wide * WIDER, 0
            if self._wide > WIDEST:
                self._wide, self._rounds = NARROWEST, self._rounds + 1

    def _learn(self, model: Secants, point: Numbers) -> None:
        """Ask about a point that is new, tell the model, and go there if it is the best."""
        if self.answers.known(point) or self.cost == 0:
            return
        other = self.answers.at(point)
        if other.cost == np.inf:
            return
        move = point - self.place.point
        model.learn(move, other.residual, self.cost / other.residual.size)
        if other.cost < self.cost:
            model.shift(move)
            self.place = other

    def _step(self, model: Secants, normal: Numbers, slope: Numbers, level: float) -> Numbers:
        """The legal point that is new and of which the model, with its doubt, promises most."""
        x, free = self.place.point, self._free
        normal, slope = normal[np.ix_(free, free)], slope[free]
        doubt, lean = model.doubt[1:, 1:][np.ix_(free, free)], model.doubt[0, 1:][free]
        floor = EXACT * np.trace(normal) * np.eye(free.size)
        best, promised = x, np.inf
        for damping in DAMPING:
            point = lowest(self.space, x, free, normal + damping * doubt + floor, slope + damping * lean)
            if self.answers.known(point):
                continue
            move = (point - x)[free]
            value = level + move @ (2 * (slope + lean) + (normal + doubt) @ move)
            if value < promised:
                best, promised = point, value
        return best

    def _around(self, normal: Numbers) -> Numbers:
        """A legal point where the picture, as far as is known, changes by about a part of what is left."""
        free = self._free
        if not self._directions:
            turned, _ = np.linalg.qr(self.rng.normal(size=(free.size, free.size)))
            self._directions = list(turned.T)
        change = (CHANGE * self._wide) ** 2 * self.cost / self.place.residual.size
        metric = normal[np.ix_(free, free)]
        metric = metric + max(change / (free.size * REACH**2), EXACT * np.trace(metric)) * np.eye(free.size)
        spread, axes = np.linalg.eigh(metric)
        move = axes @ (axes.T @ self._directions.pop() * np.sqrt(change / spread))
        move = np.clip(move, -FARTHEST, FARTHEST)
        return lowest(self.space, self.place.point, free, metric, -metric @ move)
