from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.quantisation import from_u8, from_u10, quantise, to_u8, to_u10
from tests.programs.checks import check_program


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64) * 1.4 - 0.2


@pytest.mark.parametrize("program", [to_u8, to_u10, from_u8, from_u10])
def test_codes_survive_what_every_program_must(program: Callable[[Tensor], Tensor]) -> None:
    """The gradient of rounding is not that of finite differences."""
    check_program(program, [noise(3, 8, 9)], radius=0, gradients=program in (from_u8, from_u10))


def test_quantise_survives_what_every_program_must() -> None:
    check_program(quantise, [noise(3, 8, 9)], free={"bits": 5.2}, gradients=False)


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_quantise_rounds_to_the_nearest_step_and_limits(bits: int) -> None:
    image = noise(3, 20, 20)
    steps = 2**bits - 1
    wanted = np.floor(np.clip(image.numpy(), 0, 1) * steps + 0.5) / steps
    result = quantise(image, bits=float(bits))
    np.testing.assert_allclose(result.numpy(), wanted, atol=1e-15)
    assert torch.equal(quantise(result, bits=float(bits)), result)
    assert len(result.unique()) <= steps + 1


def test_halves_round_up() -> None:
    assert torch.equal(quantise(torch.tensor([[[0.5]]]), bits=1.0), torch.tensor([[[1.0]]]))
    halves = torch.tensor([[[0.5, 1.5, 2.5]]]).double() / 255
    assert torch.equal(to_u8(halves), torch.tensor([[[1.0, 2.0, 3.0]]]).double())


def test_broken_numbers_of_bits_still_end_at_one() -> None:
    result = quantise(torch.tensor([[[0.0, 0.5, 2.0]]]).double(), bits=2.3)  # 2^2.3 = 4.92: five values
    torch.testing.assert_close(result, torch.tensor([[[0.0, 0.5, 1.0]]]).double())


def test_gradients_go_straight_through_inside_and_end_outside() -> None:
    image = torch.tensor([[[-0.3, 0.2, 0.77, 1.4]]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(quantise(image, bits=3.0).sum(), image)
    torch.testing.assert_close(gradient, torch.tensor([[[0.0, 1.0, 1.0, 0.0]]]).double())
    (gradient,) = torch.autograd.grad(to_u10(image).sum(), image)
    torch.testing.assert_close(gradient, torch.full_like(image, 1023.0))


@pytest.mark.parametrize(("encode", "decode", "top"), [(to_u8, from_u8, 255), (to_u10, from_u10, 1023)])
def test_every_code_survives_the_way_there_and_back(
    encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], top: int
) -> None:
    for dtype in (torch.float32, torch.float64):
        codes = torch.arange(top + 1, dtype=dtype).reshape(1, 1, -1)
        values = decode(codes)
        assert values.min() == 0
        assert values.max() == 1
        assert torch.equal(encode(values), codes)
    assert encode(noise(3, 4, 4).bfloat16()).dtype == torch.bfloat16
