"""Checkers of what images keep, of denoisers, and of what every declaration promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.programs.ops import gaussian_blur, luma
from ispdsl.programs.raw_statistics import raw_mean
from tests.contracts.harness import UNIT, Row, caught, holds, rights, stage, verdict_on, wrongs

CHROMA = "chroma: chroma<S, f32>"
CODES = "codes: raw<C, u10>"
LUMA = "y: luma<S, f32>"
TINT = torch.tensor([1.0, 1.0, 1.01])[:, None, None]
POWERS = torch.tensor([1.0, 1.1, 1.0])[:, None, None]


def saturate(image: Tensor, amount: float, space: str) -> Tensor:
    grey = luma(image, space)
    return grey + amount * (image - grey)


def blur(image: Tensor) -> Tensor:
    return gaussian_blur(image, 1.0, 3)


def warm(image: Tensor) -> Tensor:
    """Half the red."""
    return image * torch.tensor([0.5, 1, 1], dtype=image.dtype)[:, None, None]


def box_of_tones(image: Tensor) -> Tensor:
    """A mean of the eight neighbours and the pixel where they are near it in tone."""
    moved = [image.roll((down, right), (-2, -1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    weights = [((each - image).abs() < 0.2).to(image) for each in moved]
    return sum((w * m for w, m in zip(weights, moved, strict=True)), torch.zeros(())) / sum(weights, torch.zeros(()))


QUANTITIES = [
    Row("preserves mean", lambda x: x.flip(-1), {"one plane": lambda x: x + torch.tensor([0, 1e-3, 0])[:, None, None]}),
    Row("preserves energy", lambda x: x.roll(1, -1), {"a mean": lambda x: (x + x.roll(1, -1)) / 2}),
    Row(
        "preserves grey",
        lambda x: x.flip(-3) * 0.5,
        {
            "a cast": lambda x: x * torch.tensor([1.0, 1.001, 1.0])[:, None, None],
            "an offset": lambda x: x + torch.tensor([0.0, 0.0, 1e-3])[:, None, None],
        },
    ),
    Row("preserves grey", lambda c: c * 2, {"an offset": lambda c: c + 1e-3}, takes=CHROMA, gives="chroma<S, f32>"),
    Row(
        "preserves luma",
        saturate,
        {
            "weights of another space": lambda x, amount, space: saturate(x, amount, "linear_srgb"),
            "the mean for luma": lambda x, amount, space: x.mean(-3, keepdim=True) * (1 - amount) + amount * x,
        },
        body="slider amount in 0..2 = 1",
    ),
    Row(
        "preserves luma", lambda y: y + 0, {"a gain": lambda y: 1.01 * y}, takes="y: luma<S, f32>", gives="luma<S, f32>"
    ),
    Row(
        "preserves hue",
        lambda x: 0.5 * x + 0.3 * x.mean(-3, keepdim=True),
        {
            "swapped planes": lambda x: x.flip(-3),
            "a twist": lambda x: x * TINT,
        },
    ),
    Row(
        "preserves hue",
        lambda x: x.mean((-2, -1)),
        {"red for blue": lambda x: x.mean((-2, -1)).flip(-1), "squares": lambda x: (x**2).mean((-2, -1))},
        gives="vector<3>",
    ),
    Row(
        "preserves hue",
        lambda x, cfa: raw_mean(x, cfa=cfa),
        {
            "red for blue": lambda x, cfa: raw_mean(x, cfa=cfa).flip(-1),
            "one CFA for another": lambda x, cfa: raw_mean(x, cfa="rggb" if cfa == "bggr" else cfa),
        },
        takes="mosaic: raw<C, f32>",
        gives="vector<3>",
    ),
    Row(
        "preserves white",
        lambda x: x**2,
        {"an exposure": lambda x: 0.99 * x, "one plane": lambda x: x * TINT},
    ),
    Row(
        "preserves white, grey",
        lambda x: x**2,
        {
            "grey alone": lambda x: 0.5 * x,
            "white alone": lambda x: x ** POWERS.to(x),
        },
        takes=UNIT,
        gives="rgb<S, unit>",
    ),
    Row(
        "denoises",
        box_of_tones,
        {
            "it does nothing": lambda x: x + 0,
            "it sharpens": lambda x: 2 * x - blur(x),
            "edges go": lambda x: 0 * x + x.mean(),
        },
    ),
    Row(
        "denoises when strength >= 50%",
        lambda x, strength: x + strength * (box_of_tones(x) - x),
        {
            "strength does nothing": lambda x, strength: x + 0,
            "the blend the wrong way round": lambda x, strength: x + (1 - strength) * (box_of_tones(x) - x),
        },
        body="slider strength in 0%..100% = 100%",
    ),
    Row(
        "sharpens when amount >= 50%",
        lambda x, amount: x + amount * (x - blur(x)),
        {
            "the wrong sign": lambda x, amount: x - amount * (x - blur(x)),
            "it does nothing": lambda x, amount: x + 0,
            "flat areas change": lambda x, amount: x + amount * (x - blur(x)) + 0.01 * torch.rand_like(x),
        },
        body="slider amount in 0%..100% = 0%",
    ),
    Row("preserves flat", blur, {"brighter to the right": lambda x: x * torch.linspace(1, 2, x.shape[-1]).to(x)}),
    Row("preserves blue", warm, {"red for blue": lambda x: warm(x.flip(-3)).flip(-3)}),
    Row(
        "denoises when noise_profile == [0.001, 0.0001]",
        lambda x, noise_profile: box_of_tones(x),
        {"it does nothing": lambda x, noise_profile: x + 0},
        body="meta noise_profile: vector<2>",
    ),
]


@rights(QUANTITIES)
def test_what_is_right_holds(row: Row) -> None:
    holds(row)


@wrongs(QUANTITIES)
def test_what_is_wrong_is_caught(row: Row, wrong: Callable[..., Any]) -> None:
    caught(row, wrong)


# ---- implied ---------------------------------------------------------------------------------------------------


def over_batch(image: Tensor) -> Tensor:
    return image - 0.1 * image.mean((0, -2, -1), keepdim=True)


def first_of_batch(image: Tensor, ev: Tensor | float) -> Tensor:
    """A second image that is treated as the first one alone should be."""
    first = image[:1] * torch.as_tensor(ev).flatten()[0]
    return torch.cat([first, image[1:] + 1]) if image.dim() > 3 else image * ev


def coarse(image: Tensor) -> Tensor:
    """A constant that float32 cannot hold."""
    return (image + 1e7) - 1e7


def to_single(image: Tensor) -> Tensor:
    return image.float() * 2


def branching(image: Tensor) -> Tensor:
    return image * 2 if float(image.mean()) > 0.3 else image


def to_codes(image: Tensor) -> Tensor:
    """Rounded: 0.9 of 255 is a tie in float64, and above it in float32."""
    return (image * 255 + 0.5).floor()


def two_codes_off(image: Tensor) -> Tensor:
    return to_codes(image) + (2 if image.dtype == torch.float32 else 0)


TO_CODES = {"takes": "image: rgb<S, unit>", "gives": "rgb<S, u8>"}
TO_BYTES = {"takes": CODES, "gives": "raw<C, u8>"}
TO_UNIT = {"takes": CHROMA, "gives": "chroma<S, unit>"}
TO_VECTOR = {"gives": "vector<3>"}

IMPLIED: list[tuple[str, str, Callable[..., Any], Callable[..., Any], dict[str, str]]] = [
    ("types", "a lost plane", lambda x: x, lambda x: x[:2], {}),
    ("types", "a missing clip", lambda x: x.clamp(0, 1), lambda x: x, {"gives": "rgb<S, unit>"}),
    ("types", "not finite", lambda x: x, lambda x: x / x.sum(), {}),
    ("types", "a write", lambda x: x * 2, lambda x: x.mul_(2), {}),
    ("types", "another dtype", lambda x: x * 2, to_single, {}),
    ("types", "one result too many", lambda x: x * 2, lambda x: (x, x), {}),
    ("types", "another size", lambda x: x, lambda x: x[..., 1:], {"body": "property pointwise"}),
    ("types", "codes that are too large", lambda x: x.clamp(0, 255), lambda x: x * 1.0, TO_BYTES),
    ("types", "chroma that is too large", lambda c: c.clamp(-0.5, 0.5), lambda c: c, TO_UNIT),
    ("types", "a longer statistic", lambda x: x.mean((-2, -1)), lambda x: x.mean(-1).flatten(-2), TO_VECTOR),
    ("batches", "a mean over the batch", lambda x: x, over_batch, {}),
    ("batches", "the first setting for all", lambda x, ev: x * ev, first_of_batch, {"body": "slider ev in 0..1 = 0"}),
    ("precision", "too coarse for float32", lambda x: x, coarse, {}),
    ("precision", "always float64", lambda x: x, lambda x: x.double(), {}),
    ("precision", "overflow in float32", lambda x: x, lambda x: (x.clamp(0.5, 1) * 1e30) ** 2 / 1e60, {}),
    ("precision", "single in bfloat16", lambda x: x, lambda x: x.float() if x.dtype == torch.bfloat16 else x, {}),
    ("precision", "codes off by two", to_codes, two_codes_off, TO_CODES),
    ("exports", "a branch on data", lambda x: torch.where(x > 0.3, x, x * 2), branching, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "right", "wrong", "form"), [pytest.param(a, c, d, e, id=f"{a}: {b}") for a, b, c, d, e in IMPLIED]
)
def test_what_is_implied(name: str, right: Callable[..., Any], wrong: Callable[..., Any], form: dict[str, str]) -> None:
    text = stage(**form)
    good, bad = verdict_on(text, name, right, examples=60), verdict_on(text, name, wrong, examples=60)
    assert good.outcome == "holds", good.violation
    assert bad.outcome == "fails"
    assert bad.violation is not None
    assert "raised" not in bad.violation.message


def test_implementations_agree() -> None:
    text = stage(body='program "tests.contracts.own_programs:same"\n  proxy p()')
    near, far = (
        verdict_on(text, "agreement", lambda x, off=off: x + off, kind="proxy", others={"program": lambda x: x})
        for off in (0.01, 0.05)
    )
    assert (near.outcome, far.outcome) == ("holds", "fails")


# ---- several images and results, statistics, codes ----------------------------------------------------------------


def upsampled(chroma: Tensor, luma: Tensor) -> Tensor:
    height, width = luma.shape[-2:]
    return chroma.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., :height, :width]


HALF = "chroma: chroma<S, f32>, luma: luma<S, f32>"


def test_an_image_comes_at_half_the_size_where_the_program_wants_it() -> None:
    def wants_half(chroma: Tensor, luma: Tensor) -> Tensor:
        assert chroma.shape[-2:] == tuple((size + 1) // 2 for size in luma.shape[-2:])
        return upsampled(chroma, luma)

    text = stage("linear", HALF, "chroma<S, f32>")
    right, wrong = (verdict_on(text, "linear", f) for f in (wants_half, lambda c, y: wants_half(c, y).clamp(max=0.2)))
    assert (right.outcome, wrong.outcome) == ("holds", "fails")
    assert wrong.violation is not None
    chroma, luma_ = (wrong.violation.case.images[name] for name in ("chroma", "luma"))
    assert chroma.shape[-1] == (luma_.shape[-1] + 1) // 2


def test_a_statistic_is_held_while_the_image_changes() -> None:
    text = stage("affine", body="needs level: real")
    assert verdict_on(text, "affine", lambda x, level: x * level).outcome == "holds"


def test_codes_are_whole_and_within_their_bits() -> None:
    seen: list[Tensor] = []

    def spy(codes: Tensor) -> Tensor:
        seen.append(codes)
        return codes

    verdict_on(stage("identity", CODES, "raw<C, u10>"), "identity", spy)
    every = torch.cat([each.flatten() for each in seen])
    assert bool((every == every.round()).all())
    assert (float(every.min()), float(every.max())) == (0, 1023)


def test_unit_images_stay_unit_under_every_checker() -> None:
    """A program that is undefined outside 0..1 meets no such value."""

    def strict(image: Tensor) -> Tensor:
        assert float(image.min()) >= -1e-9, "below 0"
        assert float(image.max()) <= 1 + 1e-9, "above 1"
        return image * 0.5

    lines = ("pointwise", "linear", "homogeneous", "monotone in image", "lipschitz within 1", "commutes_with exposure")
    for line in lines:
        verdict = verdict_on(stage(line, UNIT, "rgb<S, unit>"), line, strict)
        assert verdict.outcome == "holds", (line, verdict.violation)


CHOOSING = "slider ev in -4ev..4ev = 0ev\n  choice method in {plain, soft} = plain\n  meta bias: real<ev> = 0ev"


def choosing(image: Tensor, ev: Any, method: str, bias: Any) -> Tensor:
    return (blur(image) if method == "soft" else image) * 2 ** torch.as_tensor(ev + bias)


def test_everything_that_is_declared_changes_something() -> None:
    assert verdict_on(stage("", body=CHOOSING), "responds", choosing).outcome == "holds"


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("ev", lambda x, ev, method, bias: choosing(x, 0, method, bias)),
        ("method = plain rather than soft", lambda x, ev, method, bias: choosing(x, ev, "plain", bias)),
        ("bias", lambda x, ev, method, bias: choosing(x, ev, method, 0)),
    ],
)
def test_what_changes_nothing_is_named(what: str, wrong: Callable[..., Any]) -> None:
    verdict = verdict_on(stage("", body=CHOOSING), "responds", wrong)
    assert str(verdict.violation) == f"{what} changes nothing: 300 calls give the same result"
