from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.programs.grain import WIDEST_GRAIN, grain, noise, scramble
from tests.programs.checks import check_program
from tests.programs.test_detail import limit_of

SPACE = "linear_srgb"


def image_of(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64) * 0.8 + 0.1


def flat(level: float, size: int = 96) -> Tensor:
    return torch.full((3, size, size), level, dtype=torch.float64)


@pytest.mark.parametrize("colour", [False, True])
def test_grain_survives_what_every_program_must(colour: bool, export: bool) -> None:
    static, free = {"colour": colour, "space": SPACE}, {"amount": 0.07, "size": 0.8}
    check_program(grain, [image_of(3, 4, 5)], static=static, free=free, radius=0, export=export)


def test_the_hash_is_pcg() -> None:
    """The reference is RXS-M-XS in Python's own integers: the step of the congruence, then the permutation."""
    for word in (0, 1, 12345, 2**31, 2**32 - 1):
        state = (word * 747796405 + 2891336453) % 2**32
        mixed = ((state >> ((state >> 28) + 4)) ^ state) * 277803737 % 2**32
        assert int(scramble(torch.tensor(word))) == (mixed >> 22) ^ mixed


def test_the_noise_is_white_and_of_variance_one() -> None:
    field = noise(3, (0, 128), (0, 128), torch.zeros((), dtype=torch.float64))
    assert abs(float(field.mean())) < 0.02
    assert float(field.var()) == pytest.approx(1.0, abs=0.02)
    assert abs(float((field[0] * field[1]).mean())) < 0.03
    assert abs(float((field[0, 1:] * field[0, :-1]).mean())) < 0.03
    assert abs(float((field[0, :, 1:] * field[0, :, :-1]).mean())) < 0.03


@pytest.mark.parametrize("size", [0.3, 0.9, 2.0])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_grain_has_the_deviation_of_the_binary_model(size: float, level: float) -> None:
    result = grain(flat(level), amount=0.05, size=size, colour=True, space=SPACE)
    assert float(result.std()) == pytest.approx(2 * 0.05 * (level * (1 - level)) ** 0.5, rel=0.1)
    assert abs(float(result.mean()) - level) < 0.005


def test_black_and_white_and_what_lies_beyond_have_no_grain() -> None:
    for level in (-0.2, 0.0, 1.0, 3.0):
        image = flat(level, 8)
        torch.testing.assert_close(grain(image, amount=0.2, size=1.0, colour=False, space=SPACE), image)


def test_larger_grain_is_coarser() -> None:
    def likeness(size: float) -> float:
        added = grain(flat(0.5), amount=0.1, size=size, colour=False, space=SPACE)[0] - 0.5
        return float((added[:, 1:] * added[:, :-1]).mean() / added.square().mean())

    assert abs(likeness(0.3)) < 0.05
    assert 0.4 < likeness(0.7) < likeness(1.3) < likeness(2.0)


def test_grain_is_the_same_each_time_and_grows_with_the_image() -> None:
    """A larger image has the grain of the smaller one in its corner: there is no border."""
    settings: dict[str, Any] = {"amount": 0.1, "size": 1.2}
    large = grain(flat(0.4, 40), **settings, colour=True, space=SPACE)
    small = grain(flat(0.4, 12), **settings, colour=True, space=SPACE)
    torch.testing.assert_close(large[:, :12, :12], small)


def test_monochrome_grain_keeps_colour_differences_and_zero_is_the_identity() -> None:
    image = image_of(3, 9, 9) * 2 - 0.3
    result = grain(image, amount=0.1, size=0.7, colour=False, space=SPACE)
    torch.testing.assert_close(result[0] - result[1], image[0] - image[1])
    for colour in (False, True):
        assert torch.equal(grain(image, amount=0.0, size=0.7, colour=colour, space=SPACE), image)
        assert grain(image.bfloat16(), amount=0.1, size=0.7, colour=colour, space=SPACE).dtype == torch.bfloat16


def test_the_window_of_a_free_size_fits_the_declared_limit() -> None:
    assert limit_of("grain", "size") == WIDEST_GRAIN
