"""Curves that end a pipeline become tables in Halide's programs where a table is near enough, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("halide")

from ispdsl.backends.halide.compiled import compiled
from ispdsl.backends.halide.table import Table, looked_up
from ispdsl.backends.halide.tabulated import SIZES, tabled
from ispdsl.backends.halide.traced import Trace
from ispdsl.programs.colour import srgb
from ispdsl.programs.tone import gamma
from ispdsl.programs.tone_curves import levels
from tests.backends.test_halide_rules import HEIGHT, WIDTH, image, traced

SHAPE = (1, 3, HEIGHT, WIDTH)
NEAR = 5e-6
GAMMAS = torch.tensor([0.7, 0.9, 1.3])[:, None, None]


def finished(x: Tensor) -> Tensor:
    """Levels, a power and the encoding of a display."""
    return srgb(gamma(levels(x, black=0.02, mid=0.4, white=0.9), gamma=torch.tensor(0.95)))


def by_plane(x: Tensor) -> Tensor:
    return srgb(gamma(x, gamma=GAMMAS))


def falling(x: Tensor) -> Tensor:
    return 1 - srgb(x)


def table_in(function: Callable[[Tensor], Tensor]) -> Table | None:
    trace: Trace = tabled(traced(function, SHAPE))
    found = [node.args[1] for node in trace.nodes if node.target == "ispdsl.curve"]
    return found[0] if found else None


@pytest.mark.parametrize("function", [finished, by_plane, falling, lambda x: srgb(x.abs() + 0.1)])
def test_a_curve_becomes_a_table_that_gives_what_torch_gives(function: Callable[[Tensor], Tensor]):
    assert table_in(function) is not None
    given = image()
    made = compiled(traced(function, SHAPE), torch.float32)
    torch.testing.assert_close(made(given), function(given), rtol=0, atol=NEAR)


def test_one_table_serves_planes_with_one_curve():
    one, three = table_in(finished), table_in(by_plane)
    assert one is not None
    assert three is not None
    assert (len(one.words), len(three.words)) == (1, 3)


@settings(max_examples=25)
@given(st.floats(0.5, 2.0), st.floats(0.0, 0.2), st.floats(0.5, 1.5))
def test_a_table_is_near_its_curve_wherever_it_is_asked(power: float, black: float, white: float):
    def curve(x: Tensor) -> Tensor:
        return srgb(gamma(levels(x, black=black, mid=0.5, white=white), gamma=torch.tensor(power)))

    table = table_in(curve)
    places = torch.cat([torch.linspace(-0.5, 2, 20_011), black + torch.logspace(-9, 0, 5_003)])[None, None, None]
    if table is not None:
        torch.testing.assert_close(looked_up(places, table), curve(places), rtol=0, atol=NEAR)


def test_beyond_its_ends_a_curve_stands_still():
    table = table_in(finished)
    assert table is not None
    far = torch.tensor([-torch.inf, -3e38, -70_000.0, -1.0, 1.0, 70_000.0, 3e38, torch.inf])[None, None, None]
    found = looked_up(far, table).flatten().tolist()
    assert found[:4] == [0.0] * 4
    assert found[4:] == pytest.approx([1.0] * 4, abs=1e-6)
    assert max(found) <= 1


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=() if size in (SIZES[0], SIZES[-1]) else pytest.mark.slow) for size in SIZES]
)
def test_the_end_of_a_table_of_any_size_has_a_cell(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.backends.halide.tabulated.SIZES", (size,))
    monkeypatch.setattr("ispdsl.backends.halide.tabulated.NEAR", 0.01)
    table = table_in(finished)
    assert table is not None
    bright = 3 * image().abs()
    made = compiled(traced(finished, SHAPE), torch.float32)
    torch.testing.assert_close(made(bright), looked_up(bright, table), rtol=0, atol=NEAR)
    assert looked_up(torch.full((1, 1, 1, 1), 9.0), table).item() == pytest.approx(1, abs=1e-5)


def test_what_is_no_number_is_not_hidden():
    given = image()
    given[0, 1, 4, 7] = torch.nan
    found = compiled(traced(finished, SHAPE), torch.float32)(given)
    assert found.isnan().nonzero().tolist() == [[0, 1, 4, 7]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: gamma(x, gamma=torch.tensor(0.7)),
        lambda x: torch.where(x > 0.4, srgb(x), 0.99 * srgb(x)),
        lambda x: 255 * srgb(x),
        lambda x: srgb(x) * torch.linspace(0.5, 1, HEIGHT)[:, None],
        lambda x: 0.5 * (srgb(x) + srgb(x.roll(1, -1))),
        lambda x: (2 * x + 0.1).clamp(0, 1),
    ],
    ids=["no rest", "a step", "codes", "by rows", "a neighbour", "cheap"],
)
def test_what_no_table_is_near_or_worth_is_computed(function: Callable[[Tensor], Tensor]):
    assert table_in(function) is None


def test_a_table_begins_behind_what_depends_on_the_place():
    def function(x: Tensor) -> Tensor:
        return srgb(x * torch.linspace(0.5, 1, HEIGHT)[:, None])

    given = image()
    assert table_in(function) is not None
    torch.testing.assert_close(
        compiled(traced(function, SHAPE), torch.float32)(given), function(given), rtol=0, atol=NEAR
    )


def test_a_curve_that_is_read_on_the_way_is_computed():
    def function(x: Tensor) -> Tensor:
        light = gamma(x.clamp(0, 1), gamma=torch.tensor(0.7))
        return srgb(light) * light.mean(1, keepdim=True)

    assert table_in(function) is None
