"""Who decides where to look: a file each, all of them an `ispdsl.optimise.engine.Searcher`.

`SEARCHERS` has them by name. What they are made of is imported when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ispdsl.optimise.engine import Ended, Score, Searcher
from ispdsl.optimise.space import Numbers, Space


def _of(module: str, name: str) -> Searcher:
    def searcher(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str | Ended:
        return getattr(import_module(f"ispdsl.optimise.searchers.{module}"), name)(score, space, calls, seed, start)

    return searcher


SEARCHERS: Mapping[str, Searcher] = MappingProxyType(
    {
        "surrogate": _of("surrogate", "surrogate"),
        "cma-es": _of("cma_es", "cma_es"),
        "bayesian": _of("bayesian", "bayesian"),
        "tpe": _of("tpe", "tpe"),
        "nelder-mead": _of("simplex", "nelder_mead"),
        "powell": _of("powell", "powell"),
        "latin": _of("designs", "latin"),
        "random": _of("designs", "random"),
    }
)
"""All searchers by name; docs/searchers.md says when to take which."""
