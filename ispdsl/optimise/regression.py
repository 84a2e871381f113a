"""The sliders behind pictures: least squares on a real thing's answers, with the derivatives of its double.

Neural Photo-Finishing (Tseng et al., SIGGRAPH Asia 2022, section 5.2) descends on proxies alone, and so finds what the
proxies believe. Here the residual is the real thing's, and a double only says which way to go: what it has wrong is
learnt from the answers. Where the pipeline's own programs are the real thing, they are their own double.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from ispdsl.optimise.blocks import Blocks
from ispdsl.optimise.certainty import Confusion, Estimate, confusions, estimates, have_a_say
from ispdsl.optimise.least_squares import Fit, Numbers, Step, cost_of, minimise
from ispdsl.optimise.model import Picture
from ispdsl.optimise.normal import Normal
from ispdsl.optimise.real import Render
from ispdsl.optimise.sampled import sampled
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.views import Double, RegressionError, Scene, View, decibels
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

FEW, MANY = 100_000, 1_000_000
"""Numbers of the pictures that starts are judged by, and that the search looks at: of all pictures together."""

FEW_STEPS = 30
"""Steps on a sample, at most."""

TRIES, ROUGH = 12, 1e-3
"""Steps of each start on the double, and the part of the cost below which a step of it gains nothing."""

RENEW = 0.75
"""Of the gain foreseen, what a step of a start must have gained to go on without new derivatives, which are dear."""

STEADY = 1e-6
"""A step of the real thing that gains less than this part of the cost is not asked for."""

FOLLOWED, NEAR = 3, 1e-5
"""Of the drawn starts, how many of the nearest are followed, and the mean square (50 dB) at which no other is tried."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """What the real thing makes of the answer for one view.

    Attributes:
        settings: found; what is not free as in the view.
        picture: with them, ``(C, H, W)``, 1 for white.
        before: the same at the start.
        psnr, psnr_before: of both against the target, in dB.
    """

    settings: Settings
    picture: Picture
    before: Picture
    psnr: float
    psnr_before: float


@dataclass(frozen=True, eq=False)
class Regression:
    """The answer.

    Attributes:
        views: what the real thing makes of it, in the order of what was given.
        estimates: of every number that was free.
        confusions: what the pictures cannot tell, the worst first.
        psnr, psnr_before: of all pictures together against their targets, in dB.
        believed: the PSNR that the double saw where the real thing has `psnr`; None without one.
        calls: of the real thing: where the double came nearest, at the start, and those of the search; each renders
            every view.
        path: after each call, the PSNR of the best so far.
        renders: of the double for each view, derivatives not counted.
        why: what ended it.
    """

    views: tuple[Rendered, ...]
    estimates: tuple[Estimate, ...]
    confusions: tuple[Confusion, ...]
    psnr: float
    psnr_before: float
    believed: float | None
    calls: int
    path: tuple[float, ...]
    renders: int
    why: str

    @property
    def settings(self) -> Settings:
        """What was found for the first view."""
        return self.views[0].settings

    @property
    def picture(self) -> Picture:
        """The first view with what was found."""
        return self.views[0].picture

    @property
    def before(self) -> Picture:
        """The first view at the start."""
        return self.views[0].before


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        calls: of the real thing, at most; each renders every view.
        starts: on the double: the settings as they are, and points of a Latin hypercube (the nearest are followed).
        enough: stop at this PSNR, in dB.
        seed: of the starts and of the numbers that are looked at.
        border: px at each side that are not looked at.
        robust: differences well beyond this part of white count by their size rather than by their square: for targets
            that no settings make. None for squares alone.
        sample: pixels of all pictures together that the search begins with, where the models are what renders and can
            be run on some pixels alone; 0 to begin with the whole pictures.
    """

    calls: int = 30
    starts: int = 8
    enough: float = 100.0
    seed: int = 0
    border: int = 0
    robust: float | None = None
    sample: int = 16_000


Told = Callable[[str, int, int, float], None]
"""Called with what is going on, how many calls are done of how many, and the best PSNR."""


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the real thing gave at a point of the search: `seen` are the differences that the search looks at, `cost`
    is theirs and ranks it.
    """

    point: Numbers
    pictures: list[Picture]
    psnrs: list[float]
    psnr: float
    seen: NDArray[np.float32]
    cost: float


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
    told: Told | None = None,
    halt: Callable[[], bool] | None = None,
) -> Regression:
    """Find the settings behind a picture: `regress_all` of one view, whose attributes the first arguments are."""
    view = View(target, settings, render, model, peak)
    return regress_all([view], vector, search=search, exact=exact, told=told, halt=halt)


def regress_all(
    views: Sequence[View],
    vector: Vector,
    *,
    own: Collection[str] = (),
    search: Search = Search(),
    exact: bool = False,
    told: Told | None = None,
    halt: Callable[[], bool] | None = None,
) -> Regression:
    """Find the settings behind several pictures: every number of every picture counts alike.

    Args:
        views: at least one. What they share begins at the settings of the first.
        vector: what is free, in the unit face.
        own: addresses of what each picture has for itself, which begins at its own settings; all else is shared.
        search: how.
        exact: whether the models render what the real thing does, so that nothing is to be learnt of their derivatives.
        told: called with what is going on.
        halt: asked between steps; where it says so, the search ends with the best so far.

    Raises:
        RegressionError: nothing is free, a target has another size than what is rendered, or nothing of it is left to
            look at.
        ValueError: an address of `own` is not free.
    """
    if not vector.slots:
        raise RegressionError("nothing is free")
    begun = [view.settings for view in views]
    names = [view.name or f"picture {number}" for number, view in enumerate(views, 1)]
    scene = Scene.of(views, Sharing.of(vector, begun, own, names), search.border)
    rows = scene.some(MANY, search.seed)
    best: _Answer | None = None
    path: list[float] = []

    def real(z: Numbers) -> _Answer:
        nonlocal best
        chosen = scene.sharing.settings(z, begun)
        pictures = [view.render(mine) for view, mine in zip(views, chosen, strict=True)]
        found = scene.apart(pictures)
        seen = scene.seen(found, rows)
        psnrs = [decibels(each) for each in found]
        answer = _Answer(z, pictures, psnrs, decibels(np.concatenate(found)), seen, cost_of(seen, search.robust))
        best = answer if best is None or answer.cost < best.cost else best
        path.append(best.psnr)
        if told is not None:
            told("the real thing", len(path), search.calls, path[-1])
        return answer

    start = scene.sharing.start(begun)
    apart = sampled(scene, search.sample, search.seed, search.robust) if exact else None
    few = None if apart is None else apart.few
    begin = _best_start(scene, start, search, told, halt) if few is None else _of_few(few, start, search, told, halt)
    if apart is not None:
        rows = scene.all()
    favourite = real(begin)
    first = favourite if np.array_equal(begin, start) else real(start)  # the real thing may think otherwise
    at = favourite if favourite.cost < first.cost else first

    def derivatives(z: Numbers) -> Blocks | Normal:
        return scene.derivatives(z, rows) if apart is None else apart.normal(z)

    def scores(pull: NDArray[np.floating]) -> Numbers:
        if isinstance(fit.jacobian, Blocks):
            return fit.jacobian.scores(pull, scene.blocks(rows))
        assert isinstance(fit.jacobian, Normal), "there is nothing else"
        return fit.jacobian.scores(pull, search.seed)

    fit = minimise(
        lambda z: real(z).seen, derivatives, at.point,
        (np.zeros_like(start), np.ones_like(start)), calls=max(search.calls - len(path), 0),
        enough=at.seen.size * 10 ** (-search.enough / 10), flat=STEADY, secant=not exact, robust=search.robust,
        first=at.seen, halt=halt,
    )  # fmt: skip
    assert best is not None, "the start was rendered"
    return Regression(
        views=_rendered(scene, first, best),
        estimates=estimates(scene.sharing, fit, begun, scores),
        confusions=confusions(scene.sharing.names, fit),
        psnr=best.psnr,
        psnr_before=first.psnr,
        believed=None if exact else decibels(np.concatenate(scene.believed(best.point))),
        calls=len(path),
        path=tuple(path),
        renders=scene.asked[0] + (0 if few is None else few.asked[0]),
        why=fit.why,
    )


def _rendered(scene: Scene, first: _Answer, best: _Answer) -> tuple[Rendered, ...]:
    begun = [view.settings for view in scene.views]
    found = scene.sharing.settings(best.point, begun)
    found = [begun[0], *found[1:]] if best is first else found
    return tuple(
        Rendered(
            found[place],
            best.pictures[place] / np.float32(view.peak),
            first.pictures[place] / np.float32(view.peak),
            best.psnrs[place],
            first.psnrs[place],
        )
        for place, view in enumerate(scene.views)
    )


def _of_few(few: Scene, start: Numbers, search: Search, told: Told | None, halt: Callable[[], bool] | None) -> Numbers:
    """Where a sample of pixels comes nearest to its target: from several starts, and then to the end."""
    what = f"{sum(view.target[0].size for view in few.views):,} pixels"
    begin = _best_start(few, start, search, told, halt, f"starts on {what}")
    if halt is not None and halt():
        return begin
    rows = few.all()
    count = sum(map(len, rows))
    bounds = np.zeros_like(start), np.ones_like(start)

    def said(step: Step) -> None:
        if told is not None:
            steps.append(step)
            best = min(each.cost for each in steps)
            told(what, len(steps), FEW_STEPS, -10 * float(np.log10(max(best / count, 1e-20))))

    steps: list[Step] = []
    fit = minimise(
        lambda z: few.seen(few.believed(z), rows), lambda z: few.derivatives(z, rows), begin, bounds, calls=FEW_STEPS,
        enough=count * 10 ** (-search.enough / 10), flat=STEADY, robust=search.robust, told=said, halt=halt,
    )  # fmt: skip
    return np.where(have_a_say(fit), fit.point, start)


def _best_start(
    scene: Scene,
    start: Numbers,
    search: Search,
    told: Told | None,
    halt: Callable[[], bool] | None,
    what: str = "starts",
) -> Numbers:
    """Where the double comes nearest to the target, from several starts; none of it asks the real thing."""
    rows = scene.some(FEW, search.seed)
    count = sum(map(len, rows))
    drawn = qmc.LatinHypercube(start.size, rng=search.seed).random(max(search.starts - 1, 0))
    bounds = np.zeros_like(start), np.ones_like(start)
    best: Fit | None = None
    again = False

    def believed(z: Numbers) -> NDArray[np.float32]:
        return scene.seen(scene.believed(z), rows)

    stopped = halt is not None and halt()
    costs = [cost_of(scene.seen(each, rows), search.robust) for each in scene.believed_at([] if stopped else [*drawn])]
    nearest = [drawn[place] for place in np.argsort(costs, kind="stable")[:FOLLOWED]]
    for number, each in enumerate([start, *nearest]):
        fit = minimise(
            believed, lambda z: scene.derivatives(z, rows), each, bounds, calls=TRIES,
            enough=count * 10 ** (-search.enough / 10), flat=ROUGH, renew=RENEW,
            robust=search.robust, halt=halt,
        )  # fmt: skip
        again = best is not None and abs(fit.cost - best.cost) < 10 * ROUGH * best.cost
        best = fit if best is None or fit.cost < best.cost else best
        if told is not None:
            most = min(search.starts, 1 + FOLLOWED)
            told(what, number + 1, most, -10 * float(np.log10(max(best.cost / count, 1e-20))))
        if again or best.cost <= count * NEAR:  # two starts met, or the rest is for the real thing to say
            break
        if halt is not None and halt():
            break
    assert best is not None, "the settings as they are are a start"
    return np.where(have_a_say(best), best.point, start)  # the others stay where they are
