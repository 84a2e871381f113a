"""Checkers of footprints, symmetries and mosaics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS
from ispdsl.programs.demosaic import bilinear
from ispdsl.programs.ops import pad_mirror, shift
from tests.contracts.harness import MOSAIC, Row, caught, holds, rights, stage, verdict_on, wrongs

RAW = "raw<C, f32>"
LOCAL = "property local within 1px"
BOX = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def box(image: Tensor) -> Tensor:
    padded = pad_mirror(image, 1)
    return torch.stack([shift(padded, 1, *offset) for offset in BOX]).sum(0) / 9


def neighbour(image: Tensor) -> Tensor:
    """The mean with the pixel to the right."""
    return 0.5 * (image + shift(pad_mirror(image, 1), 1, 0, 1))


def crossing(image: Tensor) -> Tensor:
    """Horizontal neighbours count more than vertical ones."""
    padded = pad_mirror(image, 1)
    across = shift(padded, 1, 0, -1) + shift(padded, 1, 0, 1)
    along = shift(padded, 1, -1, 0) + shift(padded, 1, 1, 0)
    return image + 0.2 * across + 0.1 * along


def replicated(image: Tensor) -> Tensor:
    """The top border repeats its pixels, the others are mirrored."""
    rolled = torch.cat([image[..., :1, :], image], -2)
    padded = pad_mirror(image, 1)
    above = rolled[..., :-1, :]
    return (above + shift(padded, 1, 1, 0) + shift(padded, 1, 0, 1) + shift(padded, 1, 0, -1)) / 4


def vignette(image: Tensor) -> Tensor:
    rows = torch.linspace(0.5, 1, image.shape[-2], dtype=image.dtype)[:, None]
    return image * rows


def balance(mosaic: Tensor, cfa: str, gains: tuple[float, ...] = (2.0, 1.0, 0.5)) -> Tensor:
    """A gain for each colour."""
    if cfa == "linear":
        return mosaic * torch.tensor(gains, dtype=mosaic.dtype)[:, None, None]
    found = mosaic.clone()
    for site, colour in enumerate(COLOURS[cfa]):
        found[..., site // 2 :: 2, site % 2 :: 2] = mosaic[..., site // 2 :: 2, site % 2 :: 2] * gains[colour]
    return found


def one_green(mosaic: Tensor, cfa: str) -> Tensor:
    """The green beside red is treated unlike the green beside blue."""
    found = balance(mosaic, cfa, (1.0, 1.0, 1.0)).clone()
    if cfa != "linear":
        row, column = divmod(COLOURS[cfa].index(1), 2)
        found[..., row::2, column::2] *= 1.5
    return found


def black(mosaic: Tensor, black_level: Tensor) -> Tensor:
    if mosaic.shape[-3] == 3:
        return mosaic - black_level[0]
    found = mosaic.clone()
    for site in range(4):
        found[..., site // 2 :: 2, site % 2 :: 2] -= black_level[..., site]
    return found


def at_sites(mosaic: Tensor, cfa: str, phase: int = 0) -> Tensor:
    """Every sample in its plane, or so many rows away from its site."""
    return bilinear(mosaic, cfa=cfa).roll(phase, -2)


FOOTPRINTS = [
    Row(
        "pointwise",
        lambda x: x.flip(-3) ** 2,
        {
            "a neighbour": neighbour,
            "the mean of the image": lambda x: x - 1e-3 * x.mean((-2, -1), keepdim=True),
            "the largest value": lambda x: x / x.amax().clamp(min=1),
            "fewer columns": lambda x: x[..., :-1],
        },
    ),
    Row(
        "pointwise",
        lambda x, y: x + y,
        {"a neighbour of the second image": lambda x, y: x + neighbour(y)},
        takes="image: rgb<S, f32>, guide: luma<S, f32>",
    ),
    Row(
        "pointwise",
        lambda x, level: x * level,
        {"its own statistic": lambda x, level: x * x.mean()},
        body="needs level: real",
    ),
    Row(
        "local within 1px",
        box,
        {"two pixels": lambda x: box(box(x)), "a wider reach": lambda x: x + 0.01 * x.roll(2, -1)},
    ),
    Row("local within 3px", lambda x: box(box(box(x))), {"radius 4": lambda x: box(box(box(box(x))))}),
    Row(
        "global",
        lambda x: x - x.mean(),
        {"0/0": lambda x: x / x.sum(), "a logarithm of 0": lambda x: x.clamp(min=0).log()},
    ),
]

SYMMETRIES = [
    Row(
        "commutes_with hflip, vflip, rot90, transpose",
        box,
        {
            "a kernel that is not symmetric": neighbour,
            "rows for columns": crossing,
            "one border": replicated,
            "a place": vignette,
        },
        body=LOCAL,
    ),
    Row("commutes_with hflip", crossing, {"off by one": lambda x: x.roll(1, -1)}, body=LOCAL),
    Row("commutes_with vflip", crossing, {"off by one": lambda x: x.roll(1, -2)}, body=LOCAL),
    Row("commutes_with transpose", box, {"rows for columns": crossing}, body=LOCAL),
    Row("commutes_with rot90", box, {"rows for columns": crossing}, body=LOCAL),
    Row(
        "commutes_with crop",
        neighbour,
        {
            "a global value": lambda x: x - 1e-3 * x.mean(),
            "a place": vignette,
            "a wider reach": lambda x: box(box(box(x))),
        },
        body=LOCAL,
    ),
    Row(
        "commutes_with exposure", box, {"a hidden threshold": lambda x: x.clamp(max=2), "an offset": lambda x: x + 1e-4}
    ),
    Row(
        "commutes_with hflip",
        lambda x, y: torch.cat([x, y], -3)[..., :3, :, :],
        {"the second image": lambda x, y: x + vignette(y.mT).mT},
        takes="image: rgb<S, f32>, guide: luma<S, f32>",
    ),
    Row(
        "commutes_with hflip, vflip",
        lambda x: (x.mean((-2, -1)), x),
        {"of the vector": lambda x: (x[..., 0, 0], x)},
        gives="(m: vector<3>, out: rgb<S, f32>)",
    ),
]

MOSAICS = [
    Row(
        "commutes_with hflip, vflip, rot90, transpose",
        balance,
        {
            "the phase of rggb": lambda x, cfa: balance(x, "rggb") if cfa != "linear" else x,
            "the two greens": one_green,
        },
        takes=MOSAIC,
        gives=RAW,
    ),
    Row(
        "equivariant cfa",
        balance,
        {
            "the CFA is not looked at": lambda x, cfa: balance(x, "rggb") if cfa != "linear" else x,
            "the two greens": lambda x, cfa: x * (1 + (torch.arange(x.shape[-1]) % 2)),
            "a phase off by one": lambda x, cfa: balance(x, "grbg" if cfa == "rggb" else cfa),
        },
        takes=MOSAIC,
        gives=RAW,
    ),
    Row(
        "equivariant cfa",
        bilinear,
        {"red and blue swapped in one phase": lambda x, cfa: bilinear(x, cfa=cfa).flip(-3 if cfa == "gbrg" else ())},
        takes=MOSAIC,
        gives="rgb<camera, f32>",
        body=LOCAL,
    ),
    Row(
        "equivariant cfa",
        black,
        {"the order of the sites": lambda x, black_level: black(x, black_level[..., [0, 2, 1, 3]])},
        takes=MOSAIC,
        gives=RAW,
        body="meta black_level: vector<4>",
    ),
    Row(
        "commutes_with rot90",
        black,
        {"the order of the sites": lambda x, black_level: black(x, black_level[..., [0, 2, 1, 3]])},
        takes=MOSAIC,
        gives=RAW,
        body="meta black_level: vector<4>",
    ),
    Row(
        "commutes_with crop",
        balance,
        {"whole image": lambda x, cfa: balance(x, cfa) - 0.01 * x.mean()},
        takes=MOSAIC,
        gives=RAW,
    ),
    Row(
        "lossless",
        at_sites,
        {
            "a wrong phase": lambda x, cfa: at_sites(x, cfa, 1),
            "swapped planes": lambda x, cfa: at_sites(x, cfa).flip(-3),
            "smoothing after interpolation": lambda x, cfa: 0.9 * at_sites(x, cfa) + 0.1 * box(at_sites(x, cfa)),
            "a hidden clamp": lambda x, cfa: at_sites(x, cfa).clamp(0, 1),
            "a frame with all colours": lambda x, cfa: at_sites(x, cfa) * (1.1 if cfa == "linear" else 1),
        },
        takes=MOSAIC,
        gives="rgb<camera, f32>",
    ),
    Row(
        "preserves flat",
        lambda x, cfa: bilinear(x, cfa=cfa),
        {
            "a border of zeros": lambda x, cfa: bilinear(x, cfa=cfa) * edgeless(x),
            "red for blue": lambda x, cfa: bilinear(x, cfa=cfa).flip(-3),
        },
        takes=MOSAIC,
        gives="rgb<camera, f32>",
    ),
    Row(
        "preserves green",
        balance,
        {"the gain of red on green": lambda x, cfa: x * 1.5},
        takes=MOSAIC,
        gives=RAW,
    ),
    Row(
        "equivalent to other",
        at_sites,
        {"in one phase": lambda x, cfa: at_sites(x, cfa, int(cfa == "gbrg"))},
        takes=MOSAIC,
        gives="rgb<camera, f32>",
        before=f'stage other({MOSAIC}) -> rgb<camera, f32> {{\n  program "tests.contracts.own_programs:same"\n}}\n',
        others={"other": at_sites},
    ),
]

ROWS = [*FOOTPRINTS, *SYMMETRIES, *MOSAICS]


@rights(ROWS)
def test_what_is_right_holds(row: Row) -> None:
    holds(row)


@wrongs(ROWS)
def test_what_is_wrong_is_caught(row: Row, wrong: Callable[..., Any]) -> None:
    caught(row, wrong)


# ---- what says nothing is not said to hold ------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["raw<rggb, f32>", "raw<linear, f32>"])
def test_a_fixed_cfa_has_no_phase_to_shift(type_: str) -> None:
    text = stage("equivariant cfa", f"mosaic: {type_}", type_)
    assert verdict_on(text, "equivariant", lambda x: x).outcome == "untested"


def test_a_fixed_cfa_is_turned_where_it_stays_the_same() -> None:
    """An rggb of odd width is one from the right too."""
    text = stage("commutes_with hflip", "mosaic: raw<rggb, f32>", "raw<rggb, f32>")
    right, wrong = (verdict_on(text, "commutes_with", f) for f in (lambda x: x, vignette_of_columns))
    assert (right.outcome, wrong.outcome) == ("holds", "fails")


def edgeless(image: Tensor) -> Tensor:
    """0 on the border, 1 inside."""
    inside = torch.zeros_like(image[..., :1, :, :])
    inside[..., 1:-1, 1:-1] = 1
    return inside


def vignette_of_columns(image: Tensor) -> Tensor:
    return image * torch.linspace(0.5, 1, image.shape[-1], dtype=image.dtype)


def test_a_crop_no_wider_than_the_footprint_says_nothing() -> None:
    text = stage("commutes_with crop", body="property local within 60px")
    assert verdict_on(text, "commutes_with", lambda x: x, examples=5).outcome == "untested"


@pytest.mark.parametrize("cfa", ["rggb", "bggr", "grbg", "gbrg", "linear"])
def test_every_cfa_is_tried(cfa: str) -> None:
    def wrong_in_one(mosaic: Tensor, cfa: str) -> Tensor:
        return bilinear(mosaic, cfa=cfa) + (0.01 if cfa == wanted else 0)

    wanted = cfa
    text = stage("lossless", MOSAIC, "rgb<camera, f32>")
    verdict = verdict_on(text, "lossless", wrong_in_one, examples=50)
    assert verdict.violation is not None
    assert verdict.violation.case.types["C"] == cfa


def test_long_images_reveal_wide_footprints() -> None:
    text = stage("local within 40px", body="")

    def reaching(image: Tensor) -> Tensor:
        size = image.shape[-1]
        return image + 0.1 * image[..., (torch.arange(size) + 41).clamp(max=size - 1)]

    verdict = verdict_on(text, "local", reaching, examples=60)
    assert "farther than 40 px" in str(verdict.violation)
