"""The settings behind pictures by searchers that see the score alone, where nothing gives derivatives.

Everything is asked of the real thing, and every call counts: no double, no start that somebody else found. So the same
number of calls can be compared between searchers, and with `ispdsl.optimise.regression`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ispdsl.optimise.certainty import Estimate
from ispdsl.optimise.free import Free
from ispdsl.optimise.least_squares import cost_of
from ispdsl.optimise.regression import MANY, Regression, Rendered, Search, Told
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.tasks.task import Picture, Task
from ispdsl.optimise.tuning import Chosen, Method, Tuned, tune
from ispdsl.optimise.views import Scene, View, decibels
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

EQUAL = 1e-20
"""The mean square below which pictures are equal: 200 dB."""


def regress_by_score(
    views: Sequence[View],
    vector: Vector,
    chosen: Callable[[Task], Chosen],
    *,
    own: Collection[str] = (),
    search: Search,
    told: Told | None = None,
    halt: Callable[[], bool] | None = None,
) -> Regression:
    """Find the settings behind several pictures without derivatives.

    There are no standard errors, and nothing is said of what the pictures cannot tell: both need derivatives.

    Args:
        views: at least one; their models are not asked. What they share begins at the settings of the first.
        vector: what is free, in the unit face. Registers move from code to code.
        chosen: who searches for a task, whose number is the mean square of the differences, in dB.
        own: addresses of what each picture has for itself, which begins at its own settings; all else is shared.
        search: calls, seed, border and robust loss; the first call is the start.
        told: called with what is going on.
        halt: asked after each call; where it says so, the search ends with the best so far.

    Raises:
        RegressionError: a target has another size than what is rendered, or nothing of it is left to look at.
        ValueError: the searcher is not for such a task, or an address of `own` is not free.
    """
    images = [(view.name or f"picture {number}", view.settings) for number, view in enumerate(views, 1)]
    sharing = Sharing.of(vector, [begun for _, begun in images], own, [name for name, _ in images])
    scene = Scene.of(views, sharing, search.border)
    rows = scene.some(MANY, search.seed)
    free = Free.of(views[0].settings, [slot.address for slot in vector.slots], own=own, images=images)
    psnrs: list[float] = []

    def render(*settings: Settings) -> list[Picture]:
        return [view.render(mine) for view, mine in zip(views, _with(views, settings, free), strict=True)]

    def residual(pictures: Sequence[Picture]) -> NDArray[np.float32]:
        return scene.seen(scene.apart(pictures), rows)

    def measure(pictures: Sequence[Picture]) -> float:
        apart = scene.apart(pictures)
        psnrs.append(decibels(np.concatenate(apart)))
        seen = scene.seen(apart, rows)
        return 10 * math.log10(max(cost_of(seen, search.robust) / seen.size, EQUAL))

    def seen(call: int, _: float) -> None:
        if told is not None:
            told("the real thing", call, search.calls, max(psnrs, default=math.nan))
        if halt is not None and halt():
            raise KeyboardInterrupt

    task = Task("regression", measure, str, None if search.robust else residual)
    method = Method(chosen(task), calls=search.calls, polish=0.0, seed=search.seed, enough=-search.enough)
    return _answer(scene, free, tune(free, task, render, method, told=seen), psnrs)


def _with(views: Sequence[View], settings: Sequence[Settings], free: Free) -> list[Settings]:
    """The settings of each view with what is searched: with the same for all, or each with its own."""
    each = (settings[place % len(settings)] for place in range(len(views)))
    return [
        view.settings.update({address: mine[address] for address in free.addresses})
        for view, mine in zip(views, each, strict=True)
    ]


def _answer(scene: Scene, free: Free, found: Tuned, psnrs: Sequence[float]) -> Regression:
    ends = [scene.apart(pictures) for pictures in (found.pictures, found.before)]
    after, before = ([decibels(each) for each in apart] for apart in ends)
    settings = _with(scene.views, found.each, free)
    views = tuple(
        Rendered(
            settings[place],
            found.pictures[place] / np.float32(view.peak),
            found.before[place] / np.float32(view.peak),
            after[place],
            before[place],
        )
        for place, view in enumerate(scene.views)
    )
    psnr, psnr_before = (decibels(np.concatenate(apart)) for apart in ends)
    return Regression(
        views=views, estimates=_estimates(scene, settings), confusions=(), psnr=psnr, psnr_before=psnr_before,
        believed=None, calls=found.calls, path=_path(found, psnrs), renders=0, why=found.found.why,
    )  # fmt: skip


def _path(found: Tuned, psnrs: Sequence[float]) -> tuple[float, ...]:
    """After each call, the PSNR where the score was lowest so far; what could not be rendered has none."""
    measured = iter(psnrs)
    best, lowest, path = math.nan, math.inf, list[float]()
    for each in found.found.evaluations:
        if math.isfinite(each.value):
            psnr = next(measured)
            best, lowest = (psnr, each.value) if each.value < lowest else (best, lowest)
        path.append(best)
    return tuple(path)


def _estimates(scene: Scene, found: Sequence[Settings]) -> tuple[Estimate, ...]:
    sharing = scene.sharing
    begun, after = sharing.declared([view.settings for view in scene.views]), sharing.declared(found)
    numbers = zip(sharing.names, sharing.units, begun.tolist(), after.tolist(), sharing.start(found), strict=True)
    return tuple(
        Estimate(name, unit, start, end, None, not 1e-9 < place < 1 - 1e-9) for name, unit, start, end, place in numbers
    )
