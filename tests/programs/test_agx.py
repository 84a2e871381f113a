"""AgX: the published inset matrix and sigmoid, grey that stays, colours that meet white."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.agx import agx
from tests.programs.checks import check_program

SETTINGS = {
    "black": -10.0,
    "white": 6.5,
    "contrast": 2.0,
    "toe": 3.0,
    "shoulder": 3.25,
    "inset": 0.2,
    "outset": 0.0,
}
INSET = np.array([[0.8425, 0.0784, 0.0792], [0.0423, 0.8785, 0.0792], [0.0424, 0.0784, 0.8791]])


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return 0.01 + 3 * torch.rand(3, 8, 9, generator=generator, dtype=torch.float64) ** 3


def colour(*rgb: float) -> Tensor:
    return torch.tensor(rgb, dtype=torch.float64).reshape(3, 1, 1)


def sobotka(x: np.ndarray, pivot: float, level: float, slope: float, toe: float, shoulder: float) -> np.ndarray:
    """The sigmoid in its author's terms: a scaled hyperbola on each side of the pivot."""

    def side(x: np.ndarray, width: float, height: float, power: float) -> np.ndarray:
        scale = ((slope * width) ** -power * ((slope * width / height) ** power - 1)) ** (-1 / power)
        term = slope * x / scale
        return scale * term / (1 + term**power) ** (1 / power)

    below = level - side(np.maximum(pivot - x, 0), pivot, level, toe)
    return np.where(x < pivot, below, level + side(np.maximum(x - pivot, 0), 1 - pivot, 1 - level, shoulder))


def test_the_program_keeps_its_contract() -> None:
    check_program(agx, [picture()], free={**SETTINGS, "outset": 0.01}, radius=0)
    half = agx(picture().bfloat16(), **SETTINGS)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), agx(picture(), **SETTINGS), rtol=0.03, atol=0.01)


def test_it_is_matrix_logarithm_sigmoid_and_display_gamma() -> None:
    image = picture()
    drawn = np.einsum("ij,jhw->ihw", INSET, image.numpy())
    encoded = np.clip((np.log2(drawn / 0.18) + 10) / 16.5, 0, 1)
    wanted = sobotka(encoded, 10 / 16.5, 0.18 ** (1 / 2.2), 2.0, 3.0, 3.25) ** 2.2
    np.testing.assert_allclose(agx(image, **SETTINGS), wanted, atol=2e-3)


@pytest.mark.parametrize("contrast", [1.75, 5.0])
@pytest.mark.parametrize("power", [1.0, 5.0])
@pytest.mark.parametrize(("black", "white"), [(-12.0, 6.0), (-8.0, 8.0)])
def test_grey_stays_and_black_and_white_are_reached(contrast: float, power: float, black: float, white: float) -> None:
    settings = {**SETTINGS, "contrast": contrast, "toe": power, "shoulder": power, "black": black, "white": white}
    for scene, shown in ((0.18, 0.18), (0.18 * 2.0**white, 1.0), (0.18 * 2.0**black, 0.0), (-1.0, 0.0), (1e4, 1.0)):
        torch.testing.assert_close(agx(colour(scene, scene, scene), **settings), colour(shown, shown, shown))
    ramp = torch.linspace(-0.1, 3, 3000, dtype=torch.float64).expand(3, 1, -1) ** 3
    assert (agx(ramp, **settings).diff(dim=-1) > -1e-12).all()


def test_slope_at_grey_is_the_contrast_of_the_encoded_curve() -> None:
    near = torch.tensor([0.18 / 1.001, 0.18 * 1.001], dtype=torch.float64).expand(3, 1, 2)
    rise = (agx(near, **SETTINGS)[0, 0] ** (1 / 2.2)).diff()
    assert rise.item() == pytest.approx(2.0 * 2 * np.log2(1.001) / 16.5, rel=1e-3)


def test_bright_colours_meet_white() -> None:
    blue = [agx(colour(0.0, 0.0, light), **SETTINGS).ravel() for light in (0.5, 5.0, 200.0)]
    spread = [float(c.max() - c.min()) for c in blue]
    assert spread[2] < 0.5 * spread[1]
    assert blue[2].min() > 0.5
    kept = agx(colour(0.0, 0.0, 200.0), **{**SETTINGS, "inset": 0.0}).ravel()
    assert kept.min() == 0, "without an inset a pure blue stays pure"


def test_outset_gives_saturation_back_and_leaves_grey() -> None:
    image = picture().clamp(0.1, 0.3)
    plain, back = agx(image, **SETTINGS), agx(image, **{**SETTINGS, "outset": 0.2})
    torch.testing.assert_close(back - back.mean(0), (plain - plain.mean(0)) / 0.8)
    grey = colour(0.4, 0.4, 0.4)
    torch.testing.assert_close(agx(grey, **{**SETTINGS, "outset": 0.5}), agx(grey, **SETTINGS))
