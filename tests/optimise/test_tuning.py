"""Tuning: every mode finds, only legal codes are found, and the report is the real thing's whatever the double says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ispdsl.errors import RunError
from ispdsl.interrupts import Terminated
from ispdsl.ir.params import Register
from ispdsl.optimise.composite import composite
from ispdsl.optimise.coordinates import coordinates
from ispdsl.optimise.differences import differences
from ispdsl.optimise.engine import Ended, Score, Searcher, search
from ispdsl.optimise.free import Free
from ispdsl.optimise.goals import trade
from ispdsl.optimise.hybrids import candidates, polished, refined
from ispdsl.optimise.ledger import Ledger
from ispdsl.optimise.space import Axis, Numbers, Space
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tasks.task import Picture, Task, View
from ispdsl.optimise.tuning import Method, Tuned, tune
from ispdsl.runtime import faces
from ispdsl.runtime.values import Settings
from tests.scenes import graph

GAINS = ["isp.gain_00", "isp.gain_01", "isp.gain_11"]
VIEWS = [View("one.dng", "srgb", {})]
RAMP = np.linspace(0.05, 0.5, 64, dtype=np.float32).reshape(1, 8, 8)


def render(settings: Settings) -> list[Picture]:
    """What a device might make of three gains: each plane by its own, a little of the next one's, and a curve."""
    gains = np.array([settings[address] for address in GAINS], np.float32)
    mixed = gains + 0.2 * np.roll(gains, 1)
    return [np.sqrt(mixed[:, None, None] * RAMP)]


def dimmed(settings: Settings) -> list[Picture]:
    """A double of it that is off: a tenth darker, and blue from green."""
    gains = np.array([settings[address] for address in GAINS], np.float32)
    mixed = gains + 0.2 * np.roll(gains, -1)
    return [np.sqrt(0.9 * mixed[:, None, None] * RAMP)]


@pytest.fixture(scope="module")
def free() -> Free:
    start = {"isp.gain_00": 1.5, "isp.gain_01": 1.5, "isp.gain_11": 1.25}
    return Free.of(Settings.of(graph("hardware_isp")).update(start), GAINS)


@pytest.fixture(scope="module")
def task(free: Free) -> Task:
    return match(render(free.at(free.space.snap(np.array([0.81, 0.23, 0.64])))), VIEWS)


def drawn(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
    """A small searcher: points at random, narrower and narrower about the best."""
    rng = np.random.default_rng(seed)
    best = space.snap(np.full(space.size, 0.5) if start is None else start)
    value = score(best)
    for turn in range(calls - 1):
        point = space.snap(best + rng.normal(0, 0.3 * 0.01 ** (turn / calls), space.size))
        found = score(point)
        best, value = (point, found) if found < value else (best, value)
    return "it drew all its points"


def by_differences(asked: object) -> Searcher:
    return differences(asked.residual)  # type: ignore[attr-defined]


def checked(found: Tuned, free: Free, task: Task) -> None:
    """What every answer has to be: the real thing's own score, at codes."""
    assert found.score == task.measure(render(found.settings))
    assert found.score == min(each.value for each in found.found.evaluations)
    np.testing.assert_array_equal(found.pictures[0], render(found.settings)[0])
    np.testing.assert_array_equal(found.before[0], render(free.settings)[0])
    assert found.score_before == task.measure(render(free.settings))
    for part in free.parts:
        value, declaration = found.settings[part.slot.address], part.slot.declaration
        assert isinstance(declaration, Register)
        assert isinstance(value, float)
        assert faces.from_code(declaration, faces.to_code(declaration, value)) == value


def test_least_squares_by_differences_finds_the_codes(free: Free, task: Task) -> None:
    found = tune(free, task, render, Method(by_differences, calls=60, enough=-150))
    checked(found, free, task)
    assert found.score < -150, "the very codes"
    assert found.calls <= 40
    assert found.believed is None


def test_a_model_of_pictures_finds_the_codes(free: Free, task: Task) -> None:
    found = tune(free, task, render, Method(lambda asked: composite(asked.residual), calls=40))
    checked(found, free, task)
    assert found.score < -55


def test_any_searcher_finds_and_is_polished(free: Free, task: Task) -> None:
    scores: dict[float, list[float]] = {0.4: [], 0.0: []}
    for polish, reached in scores.items():
        for seed in range(5):
            found = tune(free, task, render, Method(lambda _: drawn, calls=90, polish=polish, seed=seed))
            checked(found, free, task)
            reached.append(found.score)
    assert max(scores[0.4]) < -55
    assert np.mean(scores[0.4]) < np.mean(scores[0.0]) - 5, "the end goes from code to code"


def test_under_noise_the_recommended_point_is_asked_again_and_reported(free: Free, task: Task) -> None:
    """The score of a call is the best of all by luck; the point that the searcher names is another."""
    rng = np.random.default_rng(0)

    def noisy(settings: Settings) -> list[Picture]:
        return [render(settings)[0] * np.float32(1 + 0.1 * rng.normal())]

    good = free.space.snap(np.array([0.8, 0.25, 0.65]))

    def naming(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
        for _ in range(calls - 2):
            score(np.full(space.size, 0.5))
        score(good)
        score(good)
        return Ended("it knows", good)

    found = tune(free, task, noisy, Method(lambda _: naming, calls=40, polish=0.3))
    again = [each.value for each in found.found.evaluations if np.array_equal(each.point, good)]
    assert found.calls <= 40
    assert len(again) == len(set(again)) == 2 + 5, "the real thing is asked again, and renders anew"
    np.testing.assert_array_equal(free.point(found.settings), good)
    assert found.score == pytest.approx(np.mean(again))
    assert found.recommended is not None
    np.testing.assert_array_equal(found.recommended, again)
    assert found.found.value == min(each.value for each in found.found.evaluations) < found.score


def test_where_answers_repeat_what_is_recommended_is_polished(free: Free, task: Task) -> None:
    def naming(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
        assert start is not None
        score(start)
        return Ended("it is the only point", start)

    found = tune(free, task, render, Method(lambda _: naming, calls=30))
    assert found.recommended is None
    assert found.score < found.score_before - 1
    checked(found, free, task)


def test_a_recommended_point_that_was_never_asked_about_is_no_answer(free: Free, task: Task) -> None:
    def naming(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> Ended:
        for number in range(calls):
            score(np.full(space.size, number / calls))
        return Ended("all calls are made", np.ones(space.size))

    found = tune(free, task, render, Method(lambda _: naming, calls=10, polish=0.0))
    checked(found, free, task)
    assert found.recommended is None


def test_a_point_is_asked_once(free: Free, task: Task) -> None:
    found = tune(free, task, render, Method(lambda _: coordinates(), calls=120))
    points = {each.point.tobytes() for each in found.found.evaluations}
    assert len(points) == found.calls


def test_the_best_of_the_double_are_verified(free: Free, task: Task) -> None:
    method = Method(lambda _: drawn, "verify", calls=6, believed_calls=200, best=5, polish=0.0)
    found = tune(free, task, render, method, believed=dimmed)
    checked(found, free, task)
    assert found.calls == 6
    assert found.believed is not None
    assert found.believed == task.measure(dimmed(found.settings))
    assert found.believed != found.score
    assert found.score < found.score_before - 3


def test_refinement_ends_where_the_real_thing_is_best(free: Free, task: Task) -> None:
    verified = tune(
        free, task, render, Method(lambda _: drawn, "verify", calls=25, believed_calls=300, polish=0), believed=dimmed
    )
    found = tune(
        free, task, render, Method(lambda _: drawn, "refine", calls=25, believed_calls=300, polish=0), believed=dimmed
    )
    checked(found, free, task)
    assert found.score < verified.score - 5, "answers correct the double"
    assert found.score < -40


@pytest.mark.parametrize("mode", ["verify", "refine"])
def test_a_broken_double_is_told_apart_from_the_real_thing(free: Free, task: Task, mode: str) -> None:
    """It claims the very target for the darkest settings."""
    target = render(free.at(free.space.snap(np.array([0.81, 0.23, 0.64]))))

    def broken(settings: Settings) -> list[Picture]:
        return [target[0] + np.float32(free.point(settings).sum())]

    method = Method(lambda _: drawn, mode, calls=8, believed_calls=100, polish=0.0)  # type: ignore[arg-type]
    found = tune(free, task, render, method, believed=broken)
    checked(found, free, task)
    assert found.believed is not None
    assert found.believed == task.measure(broken(found.settings))
    assert abs(found.believed - found.score) > 5, "what it believes is not what is reported"
    assert found.score <= found.score_before


def test_modes_with_a_double_need_one(free: Free, task: Task) -> None:
    with pytest.raises(ValueError, match="there is none"):
        tune(free, task, render, Method(lambda _: drawn, "verify"))


@pytest.mark.parametrize(
    ("stop", "why"), [(KeyboardInterrupt, "it was interrupted"), (Terminated, "it was terminated")]
)
def test_a_stopped_search_goes_on_from_its_ledger(
    free: Free, task: Task, tmp_path: Path, stop: type[KeyboardInterrupt], why: str
) -> None:
    asked: list[Settings] = []
    stops = [True]

    def counted(settings: Settings) -> list[Picture]:
        asked.append(settings)
        if len(asked) == 11 and stops:
            stops.pop()
            raise stop
        return render(settings)

    method = Method(lambda _: drawn, calls=40)
    whole = tune(free, task, render, method)
    with Ledger(tmp_path / "ledger", {"seed": 0}) as ledger:
        first = tune(free, task, counted, method, ledger=ledger)
    assert first.calls == 10
    assert first.found.why == why
    assert first.score == whole.found.path[9], "Ctrl-C keeps the best so far"
    asked.clear()
    with Ledger(tmp_path / "ledger", {"seed": 0}) as ledger:
        again = tune(free, task, counted, method, ledger=ledger)
    assert len(asked) <= 32, "what the ledger knows is not rendered again"
    assert again.score == whole.score
    np.testing.assert_array_equal(again.found.path, whole.found.path)


def test_settings_that_fail_are_passed_over(free: Free, task: Task) -> None:
    def fragile(settings: Settings) -> list[Picture]:
        if int(1e6 * free.point(settings).sum()) % 4 == 1:
            raise RunError("it does not like these")
        return render(settings)

    found = tune(free, task, fragile, Method(by_differences, calls=60))
    assert found.failed > 0
    assert found.fault == "it does not like these"
    assert found.score < -40

    def broken(settings: Settings) -> list[Picture]:
        raise RunError("it never works")

    with pytest.raises(RunError, match="never works"):
        tune(free, task, broken, Method(by_differences, calls=60))


def test_each_image_gets_settings_of_its_own(free: Free) -> None:
    """Two images whose gains differ in one register."""
    images = [("one", free.settings), ("two", free.settings)]
    both = Free.of(free.settings, GAINS[1:], own=GAINS[:1], images=images)

    def each(*settings: Settings) -> list[Picture]:
        assert len(settings) == 2
        return [render(mine)[0] for mine in settings]

    hidden = both.space.snap(np.array([0.81, 0.23, 0.64, 0.35]))
    task = match(each(*both.all_at(hidden)), [*VIEWS, *VIEWS])
    found = tune(both, task, each, Method(by_differences, calls=80, enough=-150))
    assert found.score < -150, "the very codes"
    assert len(found.each) == 2
    assert found.settings == found.each[0]
    np.testing.assert_array_equal(both.point(*found.each), hidden)
    np.testing.assert_array_equal(found.pictures[1], render(found.each[1])[0])
    with pytest.raises(ValueError, match="is each image's own"):
        trade(both, [task, task], each, calls=9)


# ---- the parts ---------------------------------------------------------------------------------------------


def test_names_and_neighbouring_codes_are_tried_at_the_end() -> None:
    space = Space((Axis("name", 5, ordered=False), Axis("code", 33), Axis("any")))
    best = np.array([0.75, 20 / 32, 0.3])

    def score(point: Numbers) -> float:
        return float((point[0] != best[0]) + abs(point[1] - best[1]) + abs(point[2] - best[2]))

    found = search(coordinates(0.01), score, space, calls=300, start=np.array([0.0, 0.5, 0.5]))
    assert found.why == "no neighbour is better"
    assert found.point[0] == 0.75
    assert found.point[1] == 20 / 32
    assert found.point[2] == pytest.approx(0.3, abs=1e-3)


def test_a_polish_has_its_share_of_the_calls() -> None:
    asked: list[int] = []

    def first(score: Score, space: Space, calls: int, seed: int, start: Numbers | None, /) -> str:
        asked.append(calls)
        while True:
            score(np.random.default_rng(len(asked)).random(space.size))

    found = search(polished(first, 0.25), lambda point: float(point.sum()), Space.continuous("ab"), calls=40)
    assert asked == [30]
    assert len(found.evaluations) == 40
    assert found.value < found.path[29]


def test_candidates_lie_apart() -> None:
    space = Space.continuous("ab")
    found = search(drawn, lambda point: float(np.sum((point - 0.3) ** 2)), space, calls=300, seed=1)
    kept = candidates(found, space, 4)
    assert len(kept) == 4
    np.testing.assert_array_equal(kept[0], found.point)
    for one in range(4):
        for other in range(one):
            assert np.abs(kept[one] - kept[other]).max() > 0.03


def test_refinement_corrects_a_double_that_is_shifted() -> None:
    space = Space.continuous("abc")

    def real(point: Numbers) -> float:
        return float(np.sum((point - 0.7) ** 2))

    def believed(point: Numbers) -> float:
        return float(np.sum((point - 0.4) ** 2)) - 5

    found = search(refined(believed, drawn, 200), real, space, calls=30, start=np.full(3, 0.2))
    assert found.value < 1e-3


def test_differences_settle_registers_that_do_much_the_same() -> None:
    """Of two coarse registers one alone can undo what rounding leaves of the other."""
    space = Space((Axis("coarse", 9), Axis("fine", 65), Axis("dull", 3)))
    levels = np.array([8, 64, 2])
    wanted = np.array([5, 17, 1]) / levels
    basis = np.random.default_rng(0).normal(size=(40, 2))

    def residual(point: Numbers) -> np.ndarray:
        both = point - wanted
        seen = np.array([both[0] + both[1], 0.05 * (both[0] - both[1])])
        return (basis @ seen).astype(np.float32)

    def score(point: Numbers) -> float:
        return float(np.sum(residual(point) ** 2))

    found = search(differences(residual), score, space, calls=80, start=np.array([0.0, 1.0, 0.0]))
    np.testing.assert_array_equal(found.point[:2], wanted[:2])


@pytest.mark.slow
def test_differences_find_a_way_through_valleys_and_rounding() -> None:
    """Numbers that multiply each other, kinks, and whole codes: one Jacobian's differences end far from the answer."""
    left: list[float] = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        basis, hidden, start = rng.normal(size=(1500, 4)), *rng.random((2, 6))

        def seen(point: Numbers, basis: Numbers = basis) -> Numbers:
            gain, mixed, kink = 1 + point[:3], 0.5 + point[3:], max(point[4] - 0.3, 0.0)
            shown = gain * mixed * [40 * gain[1], 20, 8]
            return np.round(basis @ [*shown[:2], shown[2] + 2 * point[0], 3 * kink + 2 * point[5]])

        space = Space(tuple(Axis(name, 256) for name in "abcdef"))
        wanted = seen(space.snap(hidden))

        def residual(point: Numbers, wanted: Numbers = wanted) -> np.ndarray:
            return (seen(point) - wanted).astype(np.float32)

        def score(point: Numbers) -> float:
            return float(np.mean(residual(point) ** 2))

        left.append(search(differences(residual), score, space, calls=250, start=start).value)
    assert np.mean(left) < 0.03, "a thirtieth of the residuals one code off"


HOLLOW = Space(tuple(Axis(name, 256) for name in "abcd"))
HILL_BEHIND = HOLLOW.snap(np.array([0.85, 0.4, 0.6, 0.5]))
"""Where the first number is near 0.1 instead, it is at the bottom of a hollow, and no step leads over the hill."""


def hollow(rest: float) -> tuple[Callable[[Numbers], np.ndarray], Score]:
    """What is seen there, some of which is never explained, and its score."""
    basis = np.random.default_rng(0).normal(size=(200, 5))

    def residual(point: Numbers) -> np.ndarray:
        off = point - HILL_BEHIND
        explained = basis @ [20 * off[0] * (point[0] - 0.1), 0.5 * off[0], *10 * off[1:]]
        return np.append(explained, rest).astype(np.float32)

    def score(point: Numbers) -> float:
        return float(np.mean(residual(point) ** 2))

    return residual, score


def test_differences_begin_again_where_a_hollow_holds_them() -> None:
    residual, score = hollow(0.0)
    start = np.array([0.1, *HILL_BEHIND[1:]])
    for seed in range(3):
        found = search(differences(residual), score, HOLLOW, calls=400, seed=seed, start=start)
        assert found.path[7] == found.path[0] < 1, "it begins in the hollow, better than any place that is drawn"
        np.testing.assert_array_equal(found.point, HILL_BEHIND)


def test_differences_go_on_at_the_best_after_others_ended_in_hollows() -> None:
    residual, score = hollow(0.1)
    for seed in range(2):
        found = search(differences(residual), score, HOLLOW, calls=400, seed=seed, start=HILL_BEHIND)
        firsts = [each.point[0] for each in found.evaluations]
        assert min(firsts[20:]) < 0.2, "another walk ended in the hollow"
        assert abs(firsts[-1] - HILL_BEHIND[0]) < 0.3
        np.testing.assert_array_equal(found.point, HILL_BEHIND)


def test_differences_go_on_past_names_and_end_when_all_was_seen() -> None:
    space = Space((Axis("name", 3, ordered=False), Axis("code", 5), Axis("dull", 1)))
    wanted = np.array([1.0, 0.25, 0.0])
    off = np.float32(0.1)

    def residual(point: Numbers) -> np.ndarray:
        return np.array([point[0] != wanted[0], point[1] - wanted[1], off], np.float32)

    def score(point: Numbers) -> float:
        return float(np.sum(residual(point) ** 2))

    found = search(differences(residual), score, space, calls=200, start=np.array([0.0, 1.0, 0.0]))
    np.testing.assert_array_equal(found.point, wanted)
    assert found.why == "no neighbour is better"
    assert len(found.evaluations) < 30


def test_differences_on_part_of_a_large_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.optimise.answers.MANY", 500)
    wanted = np.array([0.31, 0.64])
    time = np.arange(4000)
    waves = np.stack([np.sin(time / 7), np.cos(time / 11)], axis=1)

    def residual(point: Numbers) -> np.ndarray:
        return (waves @ (np.sin(2 * point) - np.sin(2 * wanted))).astype(np.float32)

    def score(point: Numbers) -> float:
        return float(np.mean(residual(point) ** 2))

    found = search(differences(residual), score, Space.continuous("ab"), calls=40, start=np.array([0.6, 0.1]))
    np.testing.assert_allclose(found.point, wanted, atol=1e-3)
