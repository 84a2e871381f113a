"""Four functions of twenty numbers, with noise: what is known of each, and where its optimum is put.

Ackley 1987; Rastrigin 1974; Step-2 and Alpine-1 as in Jamil and Yang 2013 ("A literature survey of benchmark functions
for global optimisation problems"). Tseng et al. 2019 (figure 6) search them with noise of 3 % of the maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ispdsl.optimise.space import Numbers, Space

SIZE = 20
NOISE = 0.03
"""Standard deviation of the noise, of the function's maximum over its domain."""
SHIFT = 0.8
"""Shifted optima lie within so much of the half width of the domain (as in the BBOB functions: Hansen et al. 2009)."""
SPACE = Space.continuous([f"x{index + 1}" for index in range(SIZE)])
CALLS = {"centre": 2000, "shifted": 5000}


@dataclass(frozen=True)
class Function:
    """A function of numbers within plus and minus `half`, lowest at 0, where it is 0.

    Attributes:
        name: of it.
        half: half the width of its domain, in each axis.
        value: at points ``(..., N)``.
        published: what the best of Tseng's searchers and each of the others ended at: differentiable proxies, BayesOpt,
            HyperOpt, Powell, Nelder-Mead.
    """

    name: str
    half: float
    value: Callable[[Numbers], Numbers]
    published: tuple[float, float, float, float, float]


def ackley(x: Numbers) -> Numbers:
    """A funnel with ripples: flat far away."""
    funnel = 20 * np.exp(-0.2 * np.sqrt((x**2).mean(-1)))
    return 20 + np.e - funnel - np.exp(np.cos(2 * np.pi * x).mean(-1))


def rastrigin(x: Numbers) -> Numbers:
    """A bowl with a well at each point of whole numbers."""
    return (x**2 - 10 * np.cos(2 * np.pi * x) + 10).sum(-1)


def step_2(x: Numbers) -> Numbers:
    """A bowl of steps."""
    return (np.floor(x + 0.5) ** 2).sum(-1)


def alpine_1(x: Numbers) -> Numbers:
    """Ridges that grow outwards, with a lowest place between any two."""
    return np.abs(x * np.sin(x) + 0.1 * x).sum(-1)


FUNCTIONS = (
    Function("Ackley", 32.768, ackley, (16.84, 21.65, 20.27, 20.95, 21.18)),
    Function("Rastrigin", 5.12, rastrigin, (94.35, 124.91, 137.79, 209.42, 258.51)),
    Function("Step-2", 100.0, step_2, (6359.0, 14018.0, 22444.0, 49120.0, 51669.0)),
    Function("Alpine-1", 10.0, alpine_1, (24.48, 24.96, 29.02, 50.85, 24.48)),
)


@dataclass(frozen=True)
class Case:
    """A function with its optimum somewhere, and noise.

    Attributes:
        function: which.
        variant: `centre`, or `shifted`: the optimum is drawn evenly, an axis at a time.
        seed: of the shift and the noise.
    """

    function: Function
    variant: str
    seed: int

    @cached_property
    def optimum(self) -> Numbers:
        """Where it is 0, in the function's own units."""
        if self.variant == "centre":
            return np.zeros(SIZE)
        rng = np.random.default_rng([self.seed, 1])
        return rng.uniform(-SHIFT, SHIFT, SIZE) * self.function.half

    def true(self, point: Numbers) -> float:
        """The value without noise at a point of the unit cube."""
        return float(self.function.value((2 * point - 1) * self.function.half - self.optimum))

    @cached_property
    def maximum(self) -> float:
        """Over the domain, with the optimum where it is."""
        half = self.function.half
        if self.function.value is ackley:  # grows with every number, but for ripples: half numbers are their crests
            far = np.where(self.optimum > 0, -half, half) - self.optimum
            crests = np.sign(far) * (np.floor(np.abs(far) - 0.5) + 0.5)
            return float(self.function.value(crests))
        places = np.linspace(-half, half, 20_001)
        alone = [self.function.value((places - middle)[:, None]).max() for middle in self.optimum]
        return float(np.sum(alone))

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise."""
        return NOISE * self.maximum

    def score(self) -> Callable[[Numbers], float]:
        """The noisy function, as a search sees it; the noise of a call is the same for all searchers."""
        rng = np.random.default_rng([self.seed, 2])
        return lambda point: self.true(point) + self.deviation * float(rng.standard_normal())
