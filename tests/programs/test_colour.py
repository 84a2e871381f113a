"""Colour programs: contracts, colour-science as the oracle, white balance in the round."""

from __future__ import annotations

from typing import Any

import colour
import numpy as np
import pytest
import torch
from colour.colorimetry import MSDS_CMFS, SpectralShape, msds_to_XYZ_integration, planck_law
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.programs import colour as programs
from ispdsl.programs.white import blend_by_temperature, bradford, inverse3, white_xy
from ispdsl.runtime import whitepoint
from tests.programs.checks import check_program

SPACE = {"space": "linear_srgb"}
F64 = torch.float64

COLOUR_MATRIX_A = torch.tensor([[0.96, -0.41, -0.08], [-0.42, 1.25, 0.19], [-0.08, 0.22, 0.55]], dtype=F64)
COLOUR_MATRIX_D65 = torch.tensor([[0.81, -0.27, -0.09], [-0.45, 1.28, 0.19], [-0.06, 0.16, 0.65]], dtype=F64)
"""Two matrices of the size and sign that cameras have."""


def picture(low: float = 0.02, high: float = 1.4) -> Tensor:
    """Colours of every kind, some above white."""
    generator = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand(3, 8, 9, generator=generator, dtype=F64)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=F64)


def balance(image: Tensor, temperature: float, tint: float = 0.0, neutral: Tensor | None = None) -> Tensor:
    """Colour balance with the two matrices above."""
    return programs.colour_balance(
        image,
        neutral=torch.tensor([0.6, 1.0, 0.7], dtype=F64) if neutral is None else neutral,
        colour_matrix_1=COLOUR_MATRIX_A,
        colour_matrix_2=COLOUR_MATRIX_D65,
        illuminant_1=2856.0,
        illuminant_2=6504.0,
        temperature=temperature,
        tint=tint,
    )


def camera_white(temperature: float, tint: float) -> np.ndarray:
    """The camera's response to a white, green 1: numpy and the twin only."""
    share = np.clip((1 / 2856 - 1 / temperature) / (1 / 2856 - 1 / 6504), 0, 1)
    matrix = (1 - share) * COLOUR_MATRIX_A.numpy() + share * COLOUR_MATRIX_D65.numpy()
    x, y = whitepoint.xy_of(temperature, tint)
    seen = matrix @ [x / y, 1, (1 - x - y) / y]
    return seen / seen[1]


BALANCE: dict[str, Any] = {
    "colour_matrix_1": COLOUR_MATRIX_A,
    "colour_matrix_2": COLOUR_MATRIX_D65,
    "illuminant_1": 2856.0,
    "illuminant_2": 6504.0,
}


@pytest.mark.parametrize(
    ("program", "static", "free"),
    [
        (programs.colour_matrix, {}, {"coefficients": COLOUR_MATRIX_A}),
        (programs.saturation, SPACE, {"amount": 1.1}),
        (programs.desaturation, SPACE, {"strength": 0.3}),
        (programs.vibrance, SPACE, {"amount": 0.4}),
        (programs.srgb_decode, {}, {}),
        (
            programs.colour_balance,
            {},
            {**BALANCE, "neutral": torch.tensor([0.6, 1, 0.7]), "temperature": 4200.0, "tint": 8.0},
        ),
    ],
)
def test_every_program_keeps_its_contract(program, static, free) -> None:
    check_program(program, [picture()], static=static, free=free, radius=0)


def test_to_ycc_keeps_its_contract_and_is_pointwise() -> None:
    image = picture()
    check_program(programs.to_ycc, [image], static=SPACE)
    for whole, part in zip(programs.to_ycc(image, **SPACE), programs.to_ycc(image[:, 3:4, 5:7], **SPACE), strict=True):
        torch.testing.assert_close(whole[:, 3:4, 5:7], part)


def test_from_ycc_keeps_its_contract() -> None:
    planes = picture(-0.4, 0.9)
    check_program(programs.from_ycc, [planes[:1], planes[1:]], static=SPACE, radius=0)


def test_srgb_keeps_its_contract() -> None:
    check_program(programs.srgb, [picture(0.05, 0.95)], radius=0)


def test_grey_pictures_keep_the_contract_of_vibrance() -> None:
    grey = picture()[:1].expand(3, -1, -1).contiguous()
    check_program(programs.vibrance, [grey], static=SPACE, free={"amount": -0.5}, radius=0)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("space", ["camera", "linear_srgb", "linear_prophoto", "srgb"])
def test_identity_points_are_exact(dtype: torch.dtype, space: str) -> None:
    image = picture(-0.5, 6).to(dtype)
    assert torch.equal(programs.saturation(image, amount=1.0, space=space), image)
    assert torch.equal(programs.desaturation(image, strength=0.0, space=space), image)
    assert torch.equal(programs.vibrance(image, amount=0.0, space=space), image)
    assert torch.equal(programs.colour_matrix(image, coefficients=torch.eye(3, dtype=dtype)), image)


def test_the_matrix_runs_over_rows() -> None:
    matrix = torch.zeros(3, 3, dtype=F64)
    matrix[0, 2] = 2.0
    image = picture()
    out = programs.colour_matrix(image, coefficients=matrix)
    torch.testing.assert_close(out, torch.stack([2 * image[2], 0 * image[0], 0 * image[0]]))


# ---- saturation ---------------------------------------------------------------------------------------------------


def luminance(image: Tensor) -> Tensor:
    return 0.2126 * image[0] + 0.7152 * image[1] + 0.0722 * image[2]


@pytest.mark.parametrize("amount", [0.0, 0.5, 2.0])
def test_saturation_keeps_luma_and_scales_the_distance_from_grey(amount: float) -> None:
    image = picture()
    out = programs.saturation(image, amount=amount, **SPACE)
    torch.testing.assert_close(luminance(out), luminance(image))
    torch.testing.assert_close(out - luminance(image), amount * (image - luminance(image)))
    torch.testing.assert_close(out, programs.desaturation(image, strength=1 - amount, **SPACE))


@pytest.mark.parametrize("amount", [-1.0, 1.0])
def test_vibrance_keeps_luma_and_hue_and_order_and_works_on_pale_colours(amount: float) -> None:
    strength = torch.linspace(0, 1, 200, dtype=F64)
    blue = torch.tensor([0.1, 0.25, 0.9], dtype=F64)
    image = (luminance(blue[:, None]) + strength * (blue[:, None] - luminance(blue[:, None])))[:, None]
    out = programs.vibrance(image, amount=amount, **SPACE)
    torch.testing.assert_close(luminance(out), luminance(image))
    distance, before = out - luminance(out), image - luminance(image)
    torch.testing.assert_close(torch.linalg.cross(distance, before, dim=0), torch.zeros_like(before))
    assert (distance[2].diff() > 0).all(), "a stronger colour stays the stronger one"
    gain = distance[2, 0, 1:] / before[2, 0, 1:]
    assert abs(gain[0] - (1 + amount)) < 0.01
    assert abs(gain[-1] - 1) < 0.06


# ---- luma and chroma ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["camera", "linear_srgb", "linear_rec2020", "linear_prophoto"])
def test_ycc_there_and_back(space: str) -> None:
    image = picture(-0.5, 3)
    luma, chroma = programs.to_ycc(image, space=space)
    assert luma.shape == (1, 8, 9)
    assert chroma.shape == (2, 8, 9)
    back = programs.from_ycc(luma, chroma, space=space)
    torch.testing.assert_close(back, image, rtol=1e-11, atol=1e-11)


def test_ycc_agrees_with_colour_science() -> None:
    image = picture()
    wanted = colour.RGB_to_YCbCr(
        image.movedim(0, -1).numpy(),
        K=colour.WEIGHTS_YCBCR["ITU-R BT.709"],
        in_bits=10,
        in_legal=False,
        in_int=False,
        out_bits=10,
        out_legal=False,
        out_int=False,
    )
    found = torch.cat(programs.to_ycc(image, **SPACE))
    np.testing.assert_allclose(found.movedim(0, -1).numpy(), wanted, atol=1e-12)


# ---- the sRGB curve -----------------------------------------------------------------------------------------------


def test_srgb_agrees_with_colour_science() -> None:
    x = torch.linspace(0, 1, 3000, dtype=F64).reshape(3, 1, 1000)
    np.testing.assert_allclose(programs.srgb(x).numpy(), colour.models.eotf_inverse_sRGB(x.numpy()), atol=1e-12)
    np.testing.assert_allclose(programs.srgb_decode(x).numpy(), colour.models.eotf_sRGB(x.numpy()), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_srgb_stays_within_its_range(dtype: torch.dtype) -> None:
    out = programs.srgb(torch.tensor([-3.0, 0.0, 1.0, 50.0], dtype=dtype))
    assert out.min() >= 0
    assert out.max() <= 1
    torch.testing.assert_close(out, torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=dtype))


def test_srgb_gradients_are_finite_everywhere() -> None:
    x = torch.tensor([-1.0, 0.0, 1e-30, 0.0031308, 1.0, 7.0], requires_grad=True)
    for program in (programs.srgb, programs.srgb_encode_unbounded, programs.srgb_decode):
        (gradient,) = torch.autograd.grad(program(x).sum(), x)
        assert torch.isfinite(gradient).all()


def test_srgb_there_and_back_outside_the_range() -> None:
    x = torch.linspace(-0.5, 20, 500, dtype=F64)
    torch.testing.assert_close(programs.srgb_decode(programs.srgb_encode_unbounded(x)), x, rtol=1e-6, atol=1e-6)


# ---- white --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kelvin", [2000.0, 2856.0, 5500.0, 6504.0, 12000.0, 50000.0])
def test_the_locus_agrees_with_colour_science(kelvin: float) -> None:
    cmfs = MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(SpectralShape(380, 780, 5))
    radiance = planck_law(cmfs.wavelengths * 1e-9, kelvin)
    xyz = msds_to_XYZ_integration(radiance[None], cmfs, shape=cmfs.shape)[0]
    found = white_xy(number(kelvin), number(0.0))
    np.testing.assert_allclose(found.numpy(), xyz[:2] / xyz.sum(), atol=1e-6)


@given(temperature=st.floats(2000, 50000), tint=st.floats(-150, 150))
@settings(max_examples=60, deadline=None)
def test_whites_agree_with_the_numpy_twin(temperature: float, tint: float) -> None:
    found = white_xy(number(temperature), number(tint)).numpy()
    np.testing.assert_allclose(found, whitepoint.xy_of(temperature, tint), atol=1e-12)


def test_tint_is_a_distance_across_the_locus() -> None:
    def uv(tint: float) -> np.ndarray:
        return colour.UCS_to_uv(colour.XYZ_to_UCS(colour.xy_to_XYZ(white_xy(number(5000.0), number(tint)).numpy())))

    np.testing.assert_allclose(np.linalg.norm(uv(30.0) - uv(0.0)), 0.01, rtol=1e-9)
    along = white_xy(number(5001.0), number(0.0)).numpy()
    along = colour.UCS_to_uv(colour.XYZ_to_UCS(colour.xy_to_XYZ(along))) - uv(0.0)
    across = uv(30.0) - uv(0.0)
    assert abs(along @ across) / np.linalg.norm(along) / np.linalg.norm(across) < 1e-3


def test_adaptation_agrees_with_colour_science() -> None:
    source, target = np.array([0.44757, 0.40745]), np.array([0.3127, 0.329])
    wanted = colour.adaptation.matrix_chromatic_adaptation_VonKries(
        colour.xy_to_XYZ(source), colour.xy_to_XYZ(target), transform="Bradford"
    )
    found = bradford(torch.from_numpy(source), torch.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)


def test_inverse_by_cofactors() -> None:
    matrices = torch.stack([COLOUR_MATRIX_A, COLOUR_MATRIX_D65])
    torch.testing.assert_close(inverse3(matrices), torch.linalg.inv(matrices))


def test_matrices_blend_in_reciprocal_temperature_and_stop_at_both_ends() -> None:
    a, b = COLOUR_MATRIX_A, COLOUR_MATRIX_D65

    def blend(kelvin: float, first: float = 2856.0, second: float = 6504.0) -> Tensor:
        return blend_by_temperature(a, b, number(first), number(second), number(kelvin))

    middle = 2 / (1 / 2856 + 1 / 6504)
    torch.testing.assert_close(blend(middle), 0.5 * (a + b))
    torch.testing.assert_close(blend(2000.0), a)
    torch.testing.assert_close(blend(20000.0), b)
    torch.testing.assert_close(blend(5000.0, 6504.0, 6504.0), a)


# ---- colour balance -----------------------------------------------------------------------------------------------


@given(temperature=st.floats(2000, 40000), tint=st.floats(-100, 100), grey=st.floats(0.01, 4))
@settings(max_examples=60, deadline=None)
def test_grey_stays_grey_at_the_as_shot_setting(temperature: float, tint: float, grey: float) -> None:
    neutral = torch.from_numpy(camera_white(temperature, tint))
    image = torch.full((3, 2, 2), grey, dtype=F64)
    torch.testing.assert_close(balance(image, temperature, tint, neutral), image, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("temperature", "tint"), [(2700.0, 5.0), (5500.0, 0.0), (9000.0, -30.0)])
def test_what_the_camera_sees_as_the_assumed_white_is_exactly_grey(temperature: float, tint: float) -> None:
    neutral = torch.tensor([0.6, 1.0, 0.7], dtype=F64)
    image = torch.from_numpy(camera_white(temperature, tint)) / neutral
    out = balance(image[:, None, None], temperature, tint, neutral)
    torch.testing.assert_close(out, torch.ones_like(out), rtol=1e-9, atol=1e-9)


def test_the_balance_agrees_with_the_steps_of_the_specification() -> None:
    image = picture()
    neutral = np.array([0.6, 1.0, 0.7])
    seen = camera_white(4000.0, 12.0)
    share = (1 / 2856 - 1 / 4000) / (1 / 2856 - 1 / 6504)
    matrix = (1 - share) * COLOUR_MATRIX_A.numpy() + share * COLOUR_MATRIX_D65.numpy()
    xy = whitepoint.xy_of(4000.0, 12.0)
    scale = (matrix @ colour.xy_to_XYZ(xy))[1] / seen[1]
    xyz = np.einsum("ij,jhw->hwi", np.linalg.inv(matrix), image.numpy() * neutral[:, None, None]) * scale
    srgb = colour.RGB_COLOURSPACES["sRGB"].copy()
    srgb.use_derived_transformation_matrices(True)
    wanted = colour.XYZ_to_RGB(xyz, srgb, illuminant=xy, chromatic_adaptation_transform="Bradford")
    np.testing.assert_allclose(balance(image, 4000.0, 12.0).movedim(0, -1).numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("kelvin", [2900.0, 4000.0])
def test_the_cameras_own_adaptation_is_that_of_libraw(kelvin: float) -> None:
    """LibRaw: the matrix for daylight alone, sRGB to camera with rows that sum to 1, inverted."""
    image, cold, daylight = picture(), COLOUR_MATRIX_A.numpy(), COLOUR_MATRIX_D65.numpy()
    to_camera = daylight @ np.linalg.inv(np.array(programs.XYZ_TO_LINEAR_SRGB))
    wanted = np.linalg.inv(to_camera / to_camera.sum(1, keepdims=True))
    share = (1 / kelvin - 1 / 6504) / (1 / 2856 - 1 / 6504)
    neutral = (share * cold + (1 - share) * daylight) @ colour.xy_to_XYZ(whitepoint.xy_of(kelvin, 7.0))
    found = programs.colour_balance(
        image, neutral=torch.from_numpy(neutral), temperature=kelvin, tint=7.0, adaptation="camera", **BALANCE
    )
    np.testing.assert_allclose(found, np.einsum("ij,jhw->ihw", wanted, image.numpy()), atol=1e-6)


def test_a_higher_temperature_is_warmer_and_a_higher_tint_more_magenta() -> None:
    grey = torch.full((3, 1, 1), 0.5, dtype=F64)
    outs = torch.stack([balance(grey, kelvin)[:, 0, 0] for kelvin in (3000.0, 4500.0, 6500.0, 10000.0)])
    assert ((outs[:, 0] / outs[:, 2]).diff() > 0).all()
    tints = torch.stack([balance(grey, 5500.0, tint)[:, 0, 0] for tint in (-40.0, 0.0, 40.0)])
    green = tints[:, 1] / (tints[:, 0] * tints[:, 2]).sqrt()
    assert (green.diff() < -0.02).all()


def test_float32_is_enough_for_the_balance() -> None:
    image = picture()
    neutral = torch.tensor([0.6, 1.0, 0.7])
    low = programs.colour_balance(image.float(), neutral=neutral, temperature=5500.0, tint=0.0, **BALANCE)
    torch.testing.assert_close(low.double(), balance(image, 5500.0), rtol=1e-5, atol=1e-5)


def test_the_default_camera_of_colour_balance_sees_linear_srgb() -> None:
    """Its matrix in colour.isp is XYZ to linear sRGB: under D65 the picture passes unchanged."""
    kelvin, tint = whitepoint.temperature_tint_of([0.3127, 0.329])
    matrix = torch.tensor(programs.XYZ_TO_LINEAR_SRGB, dtype=F64)
    same: dict[str, Any] = {**BALANCE, "colour_matrix_1": matrix, "colour_matrix_2": matrix}
    image = picture()
    out = programs.colour_balance(image, neutral=torch.ones(3), temperature=kelvin, tint=tint, **same)
    torch.testing.assert_close(out, image, rtol=1e-9, atol=1e-9)
