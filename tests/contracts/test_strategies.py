"""What calls are drawn: every legal setting can occur, nothing illegal does, and images and metadata agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.settings import numbers
from ispdsl.contracts.strategies import Shape, cases
from ispdsl.ir.types import BAYER
from tests.contracts.harness import MOSAIC, RGB, UNIT, stage, subject_of


def drawn(text: str, count: int = 300, shape: Shape | None = None) -> list[Case]:
    """Calls at which the conditions of the stage's first line hold."""
    subject = subject_of(text)
    conditions = subject.lines[0].stated.when
    return sampled(cases(subject, conditions, shape or Shape()), count)


def sampled(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Values as the engine draws them."""
    found: list[Any] = []

    @settings(database=None, deadline=None)
    @given(st.data())
    def test(data: st.DataObject) -> None:
        found.append(data.draw(strategy))

    source = random.Random(0)
    handle: Any = test
    one = handle.hypothesis.fuzz_one_input
    for _ in range(count):
        one(source.randbytes(4096))
    return found


def with_parameter(text: str, line: str = "identity") -> str:
    return stage(line, body=text)


def of(found: list[Case], name: str) -> list[Any]:
    return [case.arguments[name] for case in found]


# ---- settings --------------------------------------------------------------------------------------------------


def test_sliders_favour_the_soft_range_and_reach_the_hard_ends() -> None:
    values = of(drawn(with_parameter("slider ev in -4ev..4ev soft -1ev..1ev = 0.5ev")), "ev")
    assert (min(values), max(values)) == (-4, 4)
    assert {-4.0, -1.0, 0.0, 0.5, 1.0, 4.0} <= set(values)
    assert sum(abs(value) <= 1 for value in values) > len(values) / 2
    assert any(1 < abs(value) < 4 for value in values)
    assert len(set(values)) > 50


def test_values_are_canonical() -> None:
    percent = of(drawn(with_parameter("slider amount in 0%..200% = 100%")), "amount")
    assert (min(percent), max(percent)) == (0, 2)


def test_registers_are_codes_and_their_ends_occur() -> None:
    values = of(drawn(with_parameter("register gain @ 0x100[7:0]: u4.4 in 1..3 = 1")), "gain")
    assert all(float(value * 16).is_integer() for value in values)
    assert (min(values), max(values)) == (1, 3)
    assert {1 + 1 / 16, 3 - 1 / 16} <= set(values)


def test_every_choice_toggle_and_size_occurs() -> None:
    text = with_parameter("choice method in {a, b, c} = b\n  toggle on = on")
    found = drawn(text, 60)
    assert set(of(found, "method")) == {"a", "b", "c"}
    assert set(of(found, "on")) == {True, False}


def test_a_size_is_a_legal_whole_number_and_the_results_type() -> None:
    text = stage("global", gives="vector<bins>", body="slider bins in 4..512 = 16")
    values = of(found := drawn(text, 60), "bins")
    assert all(isinstance(value, int) and 4 <= value <= 64 for value in values)
    assert {4, 16} <= set(values)
    assert all(case.types["bins"] == case.arguments["bins"] for case in found)


@pytest.mark.parametrize(
    ("text", "name", "shape", "low", "high"),
    [
        ("curve knots[9] in 0..1 = identity", "knots", (9,), 0, 1),
        ("matrix ccm[3, 3] in -2..4 = identity", "ccm", (3, 3), -2, 4),
        ("lut cube[5, 5, 5, 3] in 0..1 = identity", "cube", (5, 5, 5, 3), 0, 1),
    ],
)
def test_tables_stay_within_their_range_and_vary(
    text: str, name: str, shape: tuple[int, ...], low: float, high: float
) -> None:
    values: list[Tensor] = of(drawn(with_parameter(text), 100), name)
    assert all(tuple(value.shape) == shape for value in values)
    assert all(low <= float(value.min()) and float(value.max()) <= high for value in values)
    assert any(float(value.min()) == float(value.max()) == high for value in values)
    assert len({tuple(value.flatten().tolist()) for value in values}) > 20


def test_numbers_give_their_points_half_of_the_draws() -> None:
    values = sampled(numbers((0.25, 7.0), ((0.0, 1.0),)), 400)
    assert 120 < sum(value in (0.25, 7.0) for value in values) < 280
    assert all(0 <= value <= 1 or value == 7 for value in values)


# ---- conditions --------------------------------------------------------------------------------------------------

PARAMETERS = (
    "slider a in 0..4 soft 0..1 = 1\n  slider b in 0..4 = 2\n  choice m in {x, y, z} = x\n  toggle on = off\n"
    "  curve knots[5] in 0..1 = identity\n  meta white_level: real\n  meta gains: vector<3>"
)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a == 3", lambda a: a["a"] == 3),
        ("a >= 2 and a <= 2.5", lambda a: 2 <= a["a"] <= 2.5),
        ("a > 0.5 and b < 1", lambda a: a["a"] > 0.5 and a["b"] < 1),
        ("a != 0", lambda a: a["a"] != 0),
        ("a == b", lambda a: a["a"] == a["b"]),
        ("a <= b", lambda a: a["a"] <= a["b"]),
        ("m == z and on == on", lambda a: a["m"] == "z" and a["on"]),
        ("m != x", lambda a: a["m"] != "x"),
        ("knots == identity", lambda a: torch.equal(a["knots"], torch.linspace(0, 1, 5, dtype=torch.float64))),
        ("white_level == 7", lambda a: a["white_level"] == 7),
        ("gains == [1, 2, 3]", lambda a: a["gains"].tolist() == [1, 2, 3]),
    ],
)
def test_conditions_hold_in_every_call(condition: str, holds: Callable[[Any], bool]) -> None:
    found = drawn(with_parameter(PARAMETERS, f"identity when {condition}"), 60)
    assert len(found) >= 20
    assert all(holds(case.arguments) for case in found)


def test_conditions_on_images_bound_every_value() -> None:
    found = drawn(stage("identity when image >= 0.1 and image <= 0.7"), 60)
    assert all(float(case.first.min()) >= 0.1 and float(case.first.max()) <= 0.7 for case in found)
    assert len(found) > 50


# ---- images ----------------------------------------------------------------------------------------------------


def test_sizes_are_odd_and_even_from_two_pixels_up() -> None:
    sizes = {tuple(case.first.shape[-2:]) for case in drawn(stage("identity"))}
    assert {(2, 2), (3, 2), (5, 6)} <= sizes
    assert all(2 <= side <= 6 for size in sizes for side in size)


def test_light_goes_below_black_and_above_white() -> None:
    found = drawn(stage("identity"))
    largest = [float(case.first.max()) for case in found]
    assert sum(value > 1 for value in largest) > 40
    assert max(largest) == 4
    assert sum(float(case.first.min()) < 0 for case in found) > 40
    assert all(float(case.first.min()) >= -0.1 for case in found)
    assert sum(value == 1 for value in largest) > 10
    assert any(not case.first.any() for case in found)


@pytest.mark.parametrize(
    ("takes", "low", "high"),
    [(UNIT, 0, 1), ("c: chroma<S, unit>", -0.5, 0.5), ("codes: raw<C, u10>", 0, 1023)],
)
def test_values_lie_where_their_type_says(takes: str, low: float, high: float) -> None:
    found = drawn(stage("pointwise", takes, "vector<3>"))
    assert min(float(case.first.min()) for case in found) == low
    assert max(float(case.first.max()) for case in found) == high
    if high > 1:
        assert all(torch.equal(case.first, case.first.round()) for case in found)


def test_every_cfa_and_several_spaces_occur() -> None:
    mosaics = drawn(stage("pointwise", MOSAIC, "raw<C, f32>"), 60)
    assert {case.types["C"] for case in mosaics} == {*BAYER, "linear"}
    assert all(case.first.shape[0] == (3 if case.types["C"] == "linear" else 1) for case in mosaics)
    assert {"linear_srgb", "camera", "srgb"} <= {case.types["S"] for case in drawn(stage("pointwise"), 60)}


def test_all_planes_alike_occurs_and_colours_do() -> None:
    found = [case.first for case in drawn(stage("identity"), 100)]
    grey = sum(bool((image == image[:1]).all()) for image in found)
    assert 5 < grey < 60


# ---- metadata and statistics -------------------------------------------------------------------------------------


def test_black_lies_below_white_and_codes_reach_beyond_white() -> None:
    text = stage(
        "pointwise", "codes: raw<C, u12>", "raw<C, f32>", "meta black_level: vector<4>\n  meta white_level: real"
    )
    found = drawn(text, 100)
    for case in found:
        assert float(case.arguments["black_level"].min()) >= 0
        assert float(case.arguments["black_level"].max()) < case.arguments["white_level"] <= 4095
        assert torch.equal(case.first, case.first.round())
    assert any(float(case.first.max()) > case.arguments["white_level"] for case in found)
    assert all(float(case.first.max()) <= 4095 for case in found)


def test_known_metadata_look_as_cameras_write_them() -> None:
    text = stage(
        "pointwise",
        MOSAIC,
        "raw<C, f32>",
        "meta as_shot_neutral: vector<3>\n  meta gain_map: grid\n  meta noise_profile: vector<2>\n"
        "  meta colour_matrix_1: matrix<3, 3>\n  meta bias: real<ev> = 0ev",
    )
    found = drawn(text, 60)
    for case in found:
        a = case.arguments
        assert a["as_shot_neutral"][1] == 1
        assert float(a["as_shot_neutral"].min()) > 0
        assert a["gain_map"].shape[0] == 4
        assert float(a["gain_map"].min()) >= 1
        assert float(a["noise_profile"].min()) > 0
        assert float(torch.linalg.det(a["colour_matrix_1"]).abs()) > 0.1
    assert 0 in of(found, "bias")
    assert len(set(of(found, "bias"))) > 10


def test_an_unknown_statistic_is_one_of_its_type() -> None:
    found = drawn(stage("pointwise", RGB, body="needs shares: vector<7>"), 20)
    assert all(case.arguments["shares"].shape == (7,) for case in found)
    assert all(float(case.arguments["shares"].sum()) == pytest.approx(1) for case in found)


def test_a_known_statistic_is_that_of_the_image() -> None:
    found = drawn(stage("pointwise", RGB, body="needs histogram: vector<16>"), 20)
    for case in found:
        assert case.arguments["histogram"].shape == (16,)
        assert float(case.arguments["histogram"].sum()) == pytest.approx(1)
    flat = [case for case in found if float(case.first.max()) == float(case.first.min())]
    assert all(float(case.arguments["histogram"].max()) > 0.4 for case in flat)
