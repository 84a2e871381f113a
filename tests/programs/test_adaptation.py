"""Conversions between colour spaces and chromatic adaptation, against colour-science."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import adaptation
from ispdsl.runtime import whitepoint
from tests.programs.checks import check_program

F64 = torch.float64
NAMES = {"linear_srgb": "sRGB", "linear_rec2020": "ITU-R BT.2020", "linear_prophoto": "ProPhoto RGB"}
METHODS = {"bradford": "Bradford", "cat16": "CAT16", "cat02": "CAT02", "von_kries": "Von Kries"}
ADAPT = {"method": "cat16", "space": "linear_srgb"}
SETTINGS = {"source": 3000.0, "source_tint": 3.0, "target": 6500.0, "target_tint": -2.0}


def picture(dtype: torch.dtype = F64) -> Tensor:
    return (torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(5), dtype=F64) * 1.6 - 0.2).to(dtype)


def space(name: str) -> colour.RGB_Colourspace:
    """A space with matrices from its primaries: those of four digits in IEC 61966-2-1 are 6e-5 away."""
    found = colour.RGB_COLOURSPACES[NAMES[name]].copy()
    found.use_derived_transformation_matrices(True)
    return found


def pixels(image: Tensor) -> np.ndarray:
    return image.double().movedim(0, -1).numpy()


def test_conversions_keep_their_contract() -> None:
    check_program(adaptation.to_rec2020, [picture()], radius=0)
    check_program(adaptation.from_xyz, [picture()], radius=0)


@pytest.mark.parametrize("method", METHODS)
def test_adapt_keeps_its_contract(method: str) -> None:
    check_program(adaptation.adapt, [picture()], static={**ADAPT, "method": method}, free=SETTINGS, radius=0)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("other", ["linear_rec2020", "linear_prophoto"])
def test_conversions_agree_with_colour_science(other: str, dtype: torch.dtype) -> None:
    image = picture(dtype)
    programs = {
        ("linear_srgb", "linear_rec2020"): adaptation.to_rec2020,
        ("linear_rec2020", "linear_srgb"): adaptation.from_rec2020,
        ("linear_srgb", "linear_prophoto"): adaptation.to_prophoto,
        ("linear_prophoto", "linear_srgb"): adaptation.from_prophoto,
    }
    for ends in (("linear_srgb", other), (other, "linear_srgb")):
        found, (source, target) = programs[ends](image), map(space, ends)
        wanted = colour.RGB_to_RGB(pixels(image), source, target, chromatic_adaptation_transform="Bradford")
        np.testing.assert_allclose(pixels(found), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_xyz_agrees_with_colour_science(dtype: torch.dtype) -> None:
    image, srgb = picture(dtype), space("linear_srgb")
    np.testing.assert_allclose(pixels(adaptation.to_xyz(image)), colour.RGB_to_XYZ(pixels(image), srgb), atol=1e-5)
    np.testing.assert_allclose(pixels(adaptation.from_xyz(image)), colour.XYZ_to_RGB(pixels(image), srgb), atol=1e-5)


def test_the_rounded_matrix_of_the_standard_is_near() -> None:
    image = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(2), dtype=F64)
    wanted = colour.RGB_to_XYZ(pixels(image), colour.RGB_COLOURSPACES["sRGB"])
    np.testing.assert_allclose(pixels(adaptation.to_xyz(image)), wanted, rtol=0, atol=1e-4)


def test_white_and_greys_stay_and_the_way_back_is_exact() -> None:
    grey, image = torch.full((3, 2, 2), 0.37, dtype=F64), picture()
    for there, back in (
        (adaptation.to_rec2020, adaptation.from_rec2020),
        (adaptation.to_prophoto, adaptation.from_prophoto),
    ):
        torch.testing.assert_close(there(grey), grey, rtol=1e-12, atol=0)
        torch.testing.assert_close(back(grey), grey, rtol=1e-12, atol=0)
        torch.testing.assert_close(back(there(image)), image, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(adaptation.from_xyz(adaptation.to_xyz(image)), image, rtol=1e-12, atol=1e-12)
    white = adaptation.to_xyz(torch.ones(3, 1, 1, dtype=F64)).flatten()
    np.testing.assert_allclose(white.numpy(), colour.xy_to_XYZ([0.3127, 0.3290]), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["xyz", *NAMES])
def test_adaptation_agrees_with_colour_science(method: str, name: str, dtype: torch.dtype) -> None:
    image = picture(dtype)
    found = adaptation.adapt(image, method=method, space=name, **SETTINGS)
    whites = [colour.xy_to_XYZ(whitepoint.xy_of(*each)) for each in ((3000.0, 3.0), (6500.0, -2.0))]
    xyz = pixels(image)
    if name != "xyz":
        xyz = colour.RGB_to_XYZ(xyz, space(name))
    wanted = colour.adaptation.chromatic_adaptation_VonKries(xyz, *whites, transform=METHODS[method])
    if name != "xyz":
        wanted = colour.XYZ_to_RGB(wanted, space(name))
    np.testing.assert_allclose(pixels(found), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_equal_whites_change_nothing(method: str, dtype: torch.dtype) -> None:
    image = picture(dtype)
    same = {"source": 2345.0, "source_tint": 17.0, "target": 2345.0, "target_tint": 17.0}
    assert torch.equal(adaptation.adapt(image, method=method, space="linear_srgb", **same), image)


@pytest.mark.parametrize("method", METHODS)
def test_the_source_white_becomes_the_target_white(method: str) -> None:
    source, target = (colour.xy_to_XYZ(whitepoint.xy_of(*each)) for each in ((3000.0, 3.0), (6500.0, -2.0)))
    found = adaptation.adapt(torch.from_numpy(source)[:, None, None], method=method, space="xyz", **SETTINGS)
    np.testing.assert_allclose(found.flatten().numpy(), target, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_every_legal_white_is_safe(method: str) -> None:
    image = torch.ones(3, 1, 1, dtype=F64)
    for kelvin in (2200.0, 6504.0, 25000.0):
        for tint in (-20.0, 0.0, 20.0):
            ends = {"source": kelvin, "source_tint": tint, "target": 25000.0, "target_tint": -20.0}
            found = adaptation.adapt(image, method=method, space="xyz", **ends)
            assert found.abs().max() < 30
