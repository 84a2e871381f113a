"""Elementary effects: what matters comes first, signs and spreads are right, and every point is legal."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.optimise.morris import morris
from ispdsl.optimise.space import Axis, Numbers, Space

SPACE = Space.continuous(["strong", "weak", "dead", "partner"])


def plane(x: Numbers) -> float:
    return 5 * x[0] - x[1]


def test_effects_of_a_plane_are_its_slopes() -> None:
    found = {each.name: each for each in morris(plane, SPACE, trajectories=6)}
    assert [each.name for each in morris(plane, SPACE)][:2] == ["strong", "weak"]
    np.testing.assert_allclose([found[name].mean for name in ("strong", "weak", "dead")], [5, -1, 0], atol=1e-12)
    np.testing.assert_allclose([found[name].size for name in ("strong", "weak", "dead")], [5, 1, 0], atol=1e-12)
    assert max(each.spread for each in found.values()) < 1e-12


def test_numbers_that_depend_on_each_other_have_a_spread() -> None:
    found = {each.name: each for each in morris(lambda x: x[0] * x[3], SPACE, trajectories=20)}
    assert found["strong"].spread > 0.2
    assert found["weak"].spread == 0


def test_effects_of_a_picture_are_how_far_it_changes() -> None:
    found = morris(lambda x: np.array([[3 * x[0], -3 * x[0]], [x[1], x[1]]]), SPACE, trajectories=5)
    sizes = {each.name: each.size for each in found}
    assert sizes["strong"] == pytest.approx(3 / np.sqrt(2))
    assert sizes["weak"] == pytest.approx(1 / np.sqrt(2))


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("ordered", [True, False])
def test_every_point_is_legal_and_every_axis_moves_once_a_trajectory(levels: int, ordered: bool) -> None:
    space = Space((Axis("a"), Axis("b", levels, ordered)))
    seen: list[Numbers] = []

    def measure(x: Numbers) -> float:
        seen.append(x)
        return float(x[1])

    found = {each.name: each for each in morris(measure, space, trajectories=30)}
    assert len(seen) == 30 * 3
    for x in seen:
        np.testing.assert_array_equal(space.snap(x), x)
    assert found["b"].size == pytest.approx(0.0 if levels == 1 else 1.0), "a step is divided by how far it went"
    if levels > 1:
        assert len({round(float(x[1]) * (levels - 1)) for x in seen}) == levels, "all values have their turn"


def test_equal_seeds_ask_equal_points() -> None:
    runs: list[list[Numbers]] = [[], []]
    for run in runs:

        def measure(x: Numbers, run: list[Numbers] = run) -> float:
            run.append(x)
            return 0.0

        morris(measure, SPACE, trajectories=3, seed=4)
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.parametrize(("space", "trajectories"), [(Space(()), 5), (SPACE, 0)])
def test_nothing_to_measure_is_refused(space: Space, trajectories: int) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        morris(plane, space, trajectories=trajectories)
