"""Looks: hue maps and 3D tables against other implementations, identities, gradients at the awkward places."""

from __future__ import annotations

import runpy
from pathlib import Path

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.colour import srgb_decode, srgb_encode_unbounded
from ispdsl.programs.look import hsv_table, identity_table, look_table
from ispdsl.runtime.cube import parse_cube, read_cube
from tests.programs.checks import check_program

ROOT = Path(__file__).parents[2]
F64 = torch.float64


def picture(low: float = 0.02, high: float = 1.3) -> Tensor:
    """Colours of every kind, some above white."""
    generator = torch.Generator().manual_seed(7)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=F64)


def twisted(*sizes: int) -> Tensor:
    """A smooth 3D table that is not the identity, of any sizes."""
    grid = identity_table(torch.empty(*sizes, 3))
    return grid + 0.1 * torch.sin(3 * grid.roll(1, -1)) * grid * (1 - grid) + 0.02


def hues(*sizes: int) -> Tensor:
    """A hue, saturation, value table that is not the identity."""
    generator = torch.Generator().manual_seed(1)
    scale = torch.tensor([25.0, 0.3, 0.2], dtype=F64)
    return torch.tensor([0.0, 1.0, 1.0]) + scale * (torch.rand(*sizes, 3, generator=generator, dtype=F64) - 0.5)


# ---- contracts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["linear_srgb", "srgb"])
def test_look_table_keeps_its_contract(space: str, export: bool) -> None:
    free = {"table": twisted(3, 4, 2), "amount": 0.7}
    check_program(look_table, [picture()], static={"space": space}, free=free, radius=0, export=export)


@pytest.mark.parametrize("sizes", [(6, 2, 2), (5, 3, 1), (1, 1, 1)])
def test_hsv_table_keeps_its_contract(sizes: tuple[int, int, int], export: bool) -> None:
    check_program(hsv_table, [picture()], free={"table": hues(*sizes), "amount": 0.7}, radius=0, export=export)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("space", ["linear_srgb", "camera", "srgb"])
@pytest.mark.parametrize("points", [2, 17, 33])
def test_an_identity_table_gives_back_the_image(dtype: torch.dtype, space: str, points: int) -> None:
    image = picture(-0.5, 12).to(dtype)
    table = identity_table(torch.empty(points, points, points, 3)).to(dtype)
    torch.testing.assert_close(look_table(image, table=table, amount=1.0, space=space), image, rtol=1e-6, atol=1e-6)
    assert torch.equal(look_table(image, table=twisted(3, 3, 3), amount=0.0, space=space), image)


def test_neutral_hue_tables_give_back_the_image() -> None:
    image = picture(-0.5, 12)
    neutral = torch.tensor([0.0, 1.0, 1.0], dtype=F64).expand(6, 2, 2, 3)
    assert torch.equal(hsv_table(image, table=neutral, amount=1.0), image)
    assert torch.equal(hsv_table(image, table=hues(6, 2, 2), amount=0.0), image)


# ---- 3D tables ----------------------------------------------------------------------------------------------------


def test_look_table_agrees_with_colour_science() -> None:
    image, table = picture(0.0, 1.0), twisted(5, 5, 5)
    wanted = colour.algebra.table_interpolation_trilinear(image.movedim(0, -1).numpy(), table.numpy())
    found = look_table(image, table=table, amount=1.0, space="srgb")
    np.testing.assert_allclose(found.movedim(0, -1).numpy(), wanted, atol=1e-9)


def test_linear_images_are_looked_up_through_the_srgb_curve() -> None:
    image, table = picture(), twisted(4, 4, 4)
    encoded = look_table(srgb_encode_unbounded(image), table=table, amount=0.6, space="srgb")
    found = look_table(image, table=table, amount=0.6, space="linear_srgb")
    torch.testing.assert_close(found, srgb_decode(encoded))


def test_outside_the_table_the_nearest_change_is_added() -> None:
    table = twisted(3, 3, 3)
    inside = torch.tensor([1.0, 0.4, 0.0], dtype=F64)[:, None, None]
    outside = torch.tensor([2.5, 0.4, -0.3], dtype=F64)[:, None, None]
    changes = [look_table(x, table=table, amount=1.0, space="srgb") - x for x in (inside, outside)]
    torch.testing.assert_close(*changes)


def test_gradients_pass_above_white() -> None:
    image = torch.full((3, 1, 1), 3.0, dtype=F64, requires_grad=True)
    (gradient,) = torch.autograd.grad(look_table(image, table=twisted(3, 3, 3), amount=1.0, space="xyz").sum(), image)
    assert (gradient > 0.5).all()


# ---- hue tables ---------------------------------------------------------------------------------------------------


def turn(image: Tensor, shift: float, saturation: float, value: float) -> Tensor:
    """The same change by colour-science."""
    hsv = colour.RGB_to_HSV(image.movedim(0, -1).numpy())
    hsv = np.stack([(hsv[..., 0] + shift / 360) % 1, hsv[..., 1] * saturation, hsv[..., 2] * value], -1)
    return torch.from_numpy(colour.HSV_to_RGB(hsv)).movedim(-1, 0)


@pytest.mark.parametrize(("shift", "saturation", "value"), [(70, 1, 1), (-200, 0.5, 1), (0, 1, 1.3), (15, 0.8, 0.7)])
def test_a_constant_hue_table_agrees_with_colour_science(shift: float, saturation: float, value: float) -> None:
    image = picture(0.05, 0.95)
    table = torch.tensor([shift, saturation, value], dtype=F64).expand(4, 3, 2, 3)
    found = hsv_table(image, table=table, amount=1.0)
    torch.testing.assert_close(found, turn(image, shift, saturation, value), rtol=1e-9, atol=1e-9)


def test_hue_goes_round_and_entries_are_met_at_their_hue() -> None:
    table = torch.tensor([0.0, 1.0, 1.0], dtype=F64).repeat(3, 2, 1, 1)
    table[:, :, 0, 2] = torch.tensor([1.0, 2.0, 4.0])[:, None]
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 0, 1e-9]], dtype=F64).T[:, None]
    brightest = hsv_table(colours, table=table, amount=1.0).amax(0)[0]
    torch.testing.assert_close(brightest, torch.tensor([1.0, 2.0, 4.0, 2.5, 1.0], dtype=F64))


def test_hue_tables_have_finite_gradients_at_grey_black_and_below() -> None:
    colours = torch.tensor([[0.0, 0, 0], [0.5, 0.5, 0.5], [-1, -1, -2], [1e-30, 0, 0], [-1, 0.2, 0.2]], dtype=F64)
    image = colours.T[:, None].clone().requires_grad_()
    table = hues(6, 2, 2).requires_grad_()
    out = hsv_table(image, table=table, amount=1.0)
    assert torch.isfinite(out).all()
    for gradient in torch.autograd.grad(out.sum(), (image, table)):
        assert torch.isfinite(gradient).all()


# ---- the looks that come along ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["neutral.cube", "soft_film.cube"])
def test_committed_looks_are_what_the_tool_makes(name: str) -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_looks.py"))["tables"]()[name]
    committed = (ROOT / "stdlib" / "looks" / name).read_text(encoding="ascii")
    np.testing.assert_allclose(parse_cube(made, name), parse_cube(committed, name), atol=1.5e-6)


def test_neutral_look_is_the_identity() -> None:
    table = torch.from_numpy(read_cube(ROOT / "stdlib" / "looks" / "neutral.cube"))
    image = picture(-0.2, 8).float()
    assert torch.equal(look_table(image, table=table, amount=1.0, space="linear_srgb"), image)


def test_soft_film_is_mild_and_rises() -> None:
    table = torch.from_numpy(read_cube(ROOT / "stdlib" / "looks" / "soft_film.cube"))
    grey = torch.linspace(0, 1, 400, dtype=F64).expand(3, 1, 400)
    out = look_table(grey, table=table, amount=1.0, space="srgb")
    assert (out.diff(dim=-1) > 0).all(), "tones keep their order"
    assert (out - grey).abs().max() < 0.05
    torch.testing.assert_close(out[..., [0, -1]], grey[..., [0, -1]])
    assert out[2, 0, 100] > out[0, 0, 100], "cool shadows"
    assert out[0, 0, 300] > out[2, 0, 300], "warm highlights"
