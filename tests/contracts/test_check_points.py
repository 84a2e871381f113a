"""Checkers of single points: identity, inverses, other stages, determinism, ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.contracts.harness import RGB, UNIT, Row, caught, holds, rights, stage, verdict_on, wrongs

EV = "slider ev in -4ev..4ev = 0ev"
AMOUNT = "slider amount in 0%..100% = 0%"


def gain(image: Tensor, *, ev: float) -> Tensor:
    return image * 2.0**ev


def counting() -> Callable[[Tensor], Tensor]:
    """A program that brightens a little more with every call."""
    calls = 0

    def drifting(image: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return image + 1e-9 * calls

    return drifting


def remembering() -> Callable[[Tensor], Tensor]:
    """A program that mixes in the brightest image it has seen."""
    seen = 0.0

    def adapting(image: Tensor) -> Tensor:
        nonlocal seen
        seen = max(seen, float(image.max()))
        return image / max(seen, 1e-3)

    return adapting


def in_place(image: Tensor) -> Tensor:
    return image.mul_(2)


def encode(image: Tensor) -> Tensor:
    return image**0.5


SQUARE = f"""
stage square({UNIT}) -> rgb<S, unit> {{
  program "tests.contracts.own_programs:same"
}}
"""
POWER = f"""
stage power({RGB}) -> rgb<S, f32> {{
  slider ev in -4ev..4ev = 0ev
  slider offset in 0..1 = 0
  program "tests.contracts.own_programs:same"
}}
"""
SPLIT = """
stage join(luma: luma<S, f32>, chroma: chroma<S, f32>) -> rgb<S, f32> {
  program "tests.contracts.own_programs:same"
}
"""


def split(image: Tensor) -> tuple[Tensor, Tensor]:
    green = image[..., 1:2, :, :]
    return green, torch.cat([image[..., 2:, :, :] - green, image[..., :1, :, :] - green], -3)


def swapped(image: Tensor) -> tuple[Tensor, Tensor]:
    green, chroma = split(image)
    return green, chroma.flip(-3)


def join(luma: Tensor, chroma: Tensor) -> Tensor:
    return torch.cat([chroma[..., 1:, :, :] + luma, luma, chroma[..., :1, :, :] + luma], -3)


ROWS = [
    Row(
        "identity when ev == 0ev",
        gain,
        {
            "clamp": lambda x, ev: (x * 2**ev).clamp(0, 1),
            "clamp of the blacks alone": lambda x, ev: (x * 2**ev).clamp(min=0),
            "neutral point is off": lambda x, ev: x * 2 ** (ev - 0.001),
            "swapped planes": lambda x, ev: gain(x.flip(-3), ev=ev),
            "border": lambda x, ev: torch.nn.functional.pad(gain(x, ev=ev)[..., :-1], (0, 1)),
        },
        body=EV,
    ),
    Row(
        "identity when amount == 0% and on == off and method == plain",
        lambda x, amount, on, method: x * (1 + amount) + (0.1 if on or method == "other" else 0),
        {
            "a blend the wrong way round": lambda x, amount, on, method: amount * x,
            "the toggle": lambda x, amount, on, method: x if on else x + 1e-3,
            "the choice": lambda x, amount, on, method: x if method == "other" else x + 1e-3,
        },
        body=f"{AMOUNT}\n  toggle on = on\n  choice method in {{other, plain}} = other",
    ),
    Row(
        "identity when image >= 0 and image <= 1",
        lambda x: x.clamp(0, 1),
        {"limits a little inside": lambda x: x.clamp(0.01, 0.99)},
    ),
    Row(
        "identity when knots == identity",
        lambda x, knots: x * (1 + (knots - torch.linspace(0, 1, 5, dtype=x.dtype)).abs().sum()),
        {"any table": lambda x, knots: x + knots.sum()},
        body="curve knots[5] in 0..1 = identity",
    ),
    Row(
        "identity when black_level == [0, 0, 0, 0]",
        lambda x, black_level: x - black_level[1],
        {"wrong site": lambda x, black_level: x - black_level[1] - 1},
        body="meta black_level: vector<4>",
    ),
    Row(
        "identity when ev == 0ev within 0.01",
        lambda x, ev: gain(x, ev=ev) + 0.009,
        {"more than the tolerance": lambda x, ev: gain(x, ev=ev) + 0.011},
        body=EV,
    ),
    Row(
        "idempotent",
        lambda x: x.clamp(0, 1),
        {
            "a step too much": lambda x: ((x * 255).floor() + 1) / 255,
            "scaled once more": lambda x: 0.999 * x.clamp(0, 1),
        },
    ),
    Row(
        "inverse in ev",
        gain,
        {
            "asymmetric": lambda x, ev: x * (1 + ev / 8),
            "clamp": lambda x, ev: gain(x, ev=ev).clamp(max=8),
            "wrong at negative values": lambda x, ev: x * 2.0 ** abs(ev),
        },
        body=EV,
    ),
    Row(
        "inverse in ev when bias == 0ev",
        lambda x, ev, bias: x * 2 ** (ev + bias),
        {"wrong sign of the blend": lambda x, ev, bias: x * 2 ** (ev * ev + bias)},
        body=f"{EV}\n  meta bias: real<ev> = 0ev",
    ),
    Row(
        "round_trips with square",
        encode,
        {
            "another exponent": lambda x: x**0.45,
            "a clamp": lambda x: encode(x).clamp(max=0.99),
            "order of planes": lambda x: encode(x).flip(-3),
        },
        takes=UNIT,
        gives="rgb<S, unit>",
        before=SQUARE,
        others={"square": lambda x: x**2},
    ),
    Row(
        "round_trips with join",
        split,
        {"order of planes": swapped, "a lost offset": lambda x: (split(x)[0] + 1e-3, split(x)[1])},
        gives="(luma: luma<S, f32>, chroma: chroma<S, f32>)",
        before=SPLIT,
        others={"join": join},
    ),
    Row(
        "equivalent to power",
        gain,
        {"another base": lambda x, ev: x * 2.01**ev, "a border": lambda x, ev: gain(x, ev=ev) * (x < 3)},
        body=EV,
        before=POWER,
        others={"power": lambda x, ev, offset: x * 2**ev + offset},  # ev is shared, offset at its default 0
    ),
    Row(
        "equivalent to power when method == fast",
        lambda x, ev, method: gain(x, ev=ev) if method == "fast" else x,
        {"wrong branch": lambda x, ev, method: gain(x, ev=ev) if method == "slow" else x},
        body=f"{EV}\n  choice method in {{slow, fast}} = slow",
        before=POWER,
        others={"power": lambda x, ev, offset: x * 2**ev + offset},
    ),
    Row("range 0..1", lambda x: x.clamp(0, 1), {"no clip above": lambda x: x.clamp(min=0), "no clip": lambda x: x}),
    Row(
        "range 0..1 when image >= 0",
        lambda x: x.clamp(max=1),
        {"negative inside": lambda x: (x - 0.01).clamp(max=1)},
    ),
]


@rights(ROWS)
def test_what_is_right_holds(row: Row) -> None:
    holds(row)


@wrongs(ROWS)
def test_what_is_wrong_is_caught(row: Row, wrong: Callable[..., Any]) -> None:
    caught(row, wrong)


# ---- programs with state ---------------------------------------------------------------------------------------


def test_a_pure_program_is_deterministic() -> None:
    assert verdict_on(stage("deterministic"), "deterministic", lambda x: x + 1).outcome == "holds"


@pytest.mark.parametrize("make", [counting, remembering, lambda: in_place, lambda: lambda x: x + torch.rand(())])
def test_state_and_writes_are_caught(make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
    verdict = verdict_on(stage("deterministic"), "deterministic", make())
    assert verdict.outcome == "fails"


def test_a_write_is_named() -> None:
    verdict = verdict_on(stage("deterministic"), "deterministic", lambda x: torch.zeros_like(x.add_(1)))
    assert "writes to its input image" in str(verdict.violation)


# ---- tolerances of implementations ------------------------------------------------------------------------------

OFFSET = 0.01


def off(image: Tensor) -> Tensor:
    return image + OFFSET


@pytest.mark.parametrize(
    ("within", "kind", "body", "outcome"),
    [
        ("", "program", "", "fails"),
        ("within 0.02", "program", "", "holds"),  # a stage of programs alone: the line is about them
        ("within 0.02", "program", "proxy p()", "fails"),  # beside a proxy the program is held exactly
        ("within 0.02", "proxy", "proxy p()", "holds"),
        ("within 0.005", "proxy", "proxy p()", "fails"),
        ("", "proxy", "proxy p()", "holds"),  # 0.02 without a word
        ("within 35dB", "executor", "executor e()", "holds"),  # 1.8 % of the largest value
        ("within 60dB", "executor", "executor e()", "fails"),
        ("within 2%", "proxy", "proxy p()", "holds"),
        ("within 3lsb", "proxy", "proxy p()", "holds"),  # 3 of 255
        ("within 2lsb", "proxy", "proxy p()", "fails"),
    ],
)
def test_within_is_for_what_is_not_exact(within: str, kind: Any, body: str, outcome: str) -> None:
    text = stage(f"identity {within}", body=f'program "tests.contracts.own_programs:same"\n  {body}')
    assert verdict_on(text, "identity", off, kind=kind).outcome == outcome


def test_a_stage_equals_its_implementation() -> None:
    body = 'program "tests.contracts.own_programs:same"\n  proxy p()'
    text = stage("equivalent to program within 0.005", body=body)
    near, far = (verdict_on(text, "equivalent", f, kind="proxy", others={"program": lambda x: x}) for f in NEAR_AND_FAR)
    assert (near.outcome, far.outcome) == ("holds", "fails")


NEAR_AND_FAR = (lambda x: x + 0.004, lambda x: x + 0.006)
