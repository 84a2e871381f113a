"""How `ispdsl regress` searches: by the derivatives of a double, or by the score alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError, as_usage
from ispdsl.cli.means import Means
from ispdsl.cli.options import Backend
from ispdsl.cli.progress import progress
from ispdsl.cli.references import told_apart
from ispdsl.cli.regress_given import Given, Sought
from ispdsl.cli.searchers import GRADIENTS, check_searcher, searcher_of
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.backends.composite import Composite
    from ispdsl.graph import Graph
    from ispdsl.optimise.aligned import Aligned
    from ispdsl.optimise.model import Model
    from ispdsl.optimise.real import Render
    from ispdsl.optimise.regression import Regression, Search, Told
    from ispdsl.optimise.views import View
    from ispdsl.runtime.vector import Vector

    Floats = NDArray[np.float32]

Halt = Callable[[], bool]


def check_by_score(searcher: str | None, means: Means) -> None:
    """See that a searcher by score alone is there, and is given nothing that would show the way.

    Raises:
        CommandError: there is no such searcher, or it is given what it does not ask.
    """
    if searcher is None:
        return
    check_searcher(searcher)
    if searcher == GRADIENTS:
        message = f"--searcher {searcher} follows slopes, and is for `ispdsl tune`"
        raise CommandError(message, "leave out --searcher: the settings behind a picture are found by derivatives")
    for option, given in (("--doubles", means.doubles), ("--impl", means.impl)):
        if given:
            message = f"--searcher {searcher} asks the real thing alone, and {option} is for derivatives"
            raise CommandError(message, f"leave out {option}, or --searcher")


def search(
    graph: Graph,
    given: Sequence[Given],
    free: Sought,
    means: Means,
    how: Search,
    searcher: str | None,
    plain: bool,
    halt: Halt,
    whole: bool,
) -> tuple[Regression, str, list[Floats]]:
    """The answer, the version of the real thing, and if asked for the whole pictures with what was found.

    Raises:
        CommandError: nothing gives derivatives, a target does not fit, or the searcher is not for this.
    """
    import numpy as np

    from ispdsl.comparison.pair import peak_of
    from ispdsl.optimise.real import renderer

    peaks = [peak_of(graph.outputs[0].type, each.frame.metadata) for each in given]
    with ExitStack() as stack:
        opened = [
            stack.enter_context(renderer(graph, each.frame, means.backend.value, means.trust, means.allow_exec))
            for each in given
        ]
        renders = [render for render, _ in opened]
        bar = stack.enter_context(_said(plain))
        if searcher is None:
            views, exact = _views(graph, given, free.vector, means, renders, peaks)
            found = _by_derivatives(views, free, how, exact, bar, halt)
        else:
            found = _by_score(_blind(given, renders, peaks), free, how, searcher, bar, halt)
        pictures = [
            mine.picture if each.aligned is None else render(mine.settings) / np.float32(peak)
            for each, mine, render, peak in zip(given, found.views, renders, peaks, strict=True)
            if whole
        ]
    return found, opened[-1][1], pictures


@contextmanager
def _said(plain: bool) -> Generator[Told]:
    """A bar with what is going on."""
    with progress(plain) as bar:
        yield lambda what, done, total, psnr: bar(done, total, f"{what}: {psnr:.1f} dB")


def _by_derivatives(views: list[View], free: Sought, how: Search, exact: bool, told: Told, halt: Halt) -> Regression:
    from ispdsl.optimise.regression import regress_all
    from ispdsl.optimise.views import RegressionError

    try:
        return regress_all(views, free.vector, own=free.own, search=how, exact=exact, halt=halt, told=told)
    except RegressionError as error:
        raise as_usage(error) from error


def _by_score(views: list[View], free: Sought, how: Search, who: str, told: Told, halt: Halt) -> Regression:
    from ispdsl.optimise.by_score import regress_by_score
    from ispdsl.optimise.views import RegressionError

    if not free.vector.slots:
        raise CommandError("nothing is free", "name something with --only")
    try:
        return regress_by_score(
            views, free.vector, lambda task: searcher_of(who, task)[1], own=free.own, search=how, told=told, halt=halt
        )
    except RegressionError as error:
        raise as_usage(error) from error


def _views(
    graph: Graph,
    given: Sequence[Given],
    vector: Vector,
    means: Means,
    renders: Sequence[Render],
    peaks: Sequence[float],
) -> tuple[list[View], bool]:
    """The pictures with what shows the way to each, and whether that is what renders them all."""
    compiled: dict[str, Composite] = {}  # one for all pictures of a kind of raw, so that they can go together
    made = [_model(graph, each, vector, means, compiled) for each in given]
    views = [replace(view, model=model) for view, (model, _) in zip(_blind(given, renders, peaks), made, strict=True)]
    exact = means.backend is Backend.COMPOSITE and not means.impl and all(of_programs for _, of_programs in made)
    return views, exact


def _blind(given: Sequence[Given], renders: Sequence[Render], peaks: Sequence[float]) -> list[View]:
    """The pictures, and nothing that shows the way."""
    from ispdsl.optimise.views import View

    names = map(clean, told_apart([each.target for each in given]))
    return [
        View(
            each.wanted, each.settings, _on_grid(render, each.aligned), None, peak,
            None if each.aligned is None else each.aligned.looked_at, name,
        )
        for each, render, peak, name in zip(given, renders, peaks, names, strict=True)
    ]  # fmt: skip


def _on_grid(render: Render, aligned: Aligned | None) -> Render:
    return render if aligned is None else lambda settings: aligned.grid.of(render(settings))


def _model(
    graph: Graph, given: Given, vector: Vector, means: Means, compiled: dict[str, Composite]
) -> tuple[Model, bool]:
    """What shows the way for one picture, and whether that is what renders it. What is compiled is kept in `compiled`.

    What is compared on a coarse grid is differentiated with fewer pixels.

    Raises:
        CommandError: nothing shows the way.
    """
    from ispdsl.backends.composite import compile
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import mosaic_input, tensors
    from ispdsl.errors import NoProgramError
    from ispdsl.optimise.aligned import on_reduced, reduced
    from ispdsl.optimise.model import Model
    from ispdsl.passes.select import match

    frame, lens, factor = given.frame, None, 1
    if given.aligned is not None:
        factor = max(1, round(given.aligned.cell / 2))
        frame = reduced(frame, factor)
        lens = on_reduced(given.aligned, factor, frame.size).of_tensor
    try:
        composite = compiled[str(frame.type)] = compiled.get(str(frame.type)) or compile(
            graph, types=match(graph, {mosaic_input(graph): frame.type}), impl=means.impl, taps=(), trust=means.trust,
            allow_exec=means.allow_exec, doubles=means.doubles,
        )  # fmt: skip
    except NoProgramError as error:
        if means.backend is Backend.COMPOSITE:
            raise
        hint = (
            "--doubles RUN: networks that were trained on it show the way (docs/doubles.md)\n"
            "--searcher differences needs none, but a call for each number that is free"
        )
        what = f"nothing says where to go from {means.backend.value}'s answers: {error.message}"
        raise CommandError(what, hint) from error
    model = Model(composite, vector, settings_tensors(given.settings), *tensors(frame), lens)
    return model, factor == 1 and not composite.cards
