"""Least squares on black boxes: a Jacobian that is learnt from renders, and steps from code to code.

A picture says more than its score: a step of Gauss and Newton needs one render for each number that is free, and then
hits all of them at once. So a few dozen registers are found in some hundred renders where searches that only see the
score take thousands.

Where such a walk ends depends on where it begins: thresholds and clipping make hollows that no step leads out of. So
where hardly anything is gained any more and many calls are left, another walk begins elsewhere and goes on until it
hardly gains either; the best of them has the rest of the calls.

Source: Rinnooy Kan and Timmer, "Stochastic Global Optimization Methods, Part I: Clustering Methods", Mathematical
Programming 39, 1987 (many points are drawn, and local searches begin at the best of them). When a walk waits and
another begins is this project's own.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from ispdsl.optimise.answers import Answers, Place, Residual
from ispdsl.optimise.coordinates import coordinates
from ispdsl.optimise.engine import Score, Searcher
from ispdsl.optimise.space import Numbers, Space
from ispdsl.optimise.walk import Walk

DRAWN, MOST_DRAWN = 50, 32
"""One call in so many goes to points of a Latin hypercube, to begin at the best; and how many of them at most."""

KEPT = 0.7
"""Where less than this part of the calls is left, no other walk begins: the best has the rest."""

POLISH = 0.02
"""The first step of the search along single axes that ends it, as a part of the range."""


def differences(residual: Residual) -> Searcher:
    """A search by least squares, for scores that fall where a sum of squares does.

    Args:
        residual: what is squared.
    """

    def search(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        rng = np.random.default_rng(seed)
        answers = Answers(score, residual, rng)
        places = _drawn(answers, space, start, min(calls // DRAWN, MOST_DRAWN))
        best = Walk(answers, space, rng, places[0])
        best.go_on(until_stalled=True)
        for place in places[1:]:
            if best.cost == 0 or calls - answers.made < KEPT * calls:
                break
            other = Walk(answers, space, rng, place)
            other.go_on(until_stalled=True)
            best = min(best, other, key=lambda walk: walk.cost)
        best.go_on()
        if best.cost == 0:
            return "nothing is left of the difference"
        return coordinates(POLISH)(score, space, calls, seed, best.place.point)

    return search


def _drawn(answers: Answers, space: Space, start: Numbers | None, drawn: int) -> list[Place]:
    """The start and some points that are drawn, the best first."""
    points = [] if start is None else [start]
    points += list(qmc.LatinHypercube(space.size, rng=answers.rng).random(max(drawn, 1 if start is None else 0)))
    places = [answers.at(space.snap(point)) for point in points]
    return sorted(places, key=lambda place: place.cost)
