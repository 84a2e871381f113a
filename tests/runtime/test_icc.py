from __future__ import annotations

import hashlib
import io
import struct
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ispdsl.runtime import icc
from ispdsl.runtime.spaces import D50, RGB_SPACES, rgb_to_xyz

colour = pytest.importorskip("colour")

ORACLES = {
    "srgb": "sRGB",
    "linear_srgb": "sRGB",
    "rec709": "ITU-R BT.709",
    "rec2020": "ITU-R BT.2020",
    "linear_rec2020": "ITU-R BT.2020",
    "prophoto": "ROMM RGB",
    "linear_prophoto": "ROMM RGB",
}


def opened(space: str, planes: int = 3) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(space, planes) or b""))


def fields(profile: ImageCms.ImageCmsProfile) -> Any:
    return profile.profile


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@pytest.mark.parametrize("space", sorted(RGB_SPACES))
@pytest.mark.parametrize("planes", [1, 3])
def test_little_cms_reads_what_was_meant(space: str, planes: int) -> None:
    profile = fields(opened(space, planes))
    assert profile.profile_description == f"{space} (ispdsl)"
    assert profile.version == pytest.approx(4.3)
    assert profile.xcolor_space.strip() == ("RGB" if planes == 3 else "GRAY")
    assert profile.media_white_point[0] == pytest.approx(D50, abs=2e-5)


@pytest.mark.parametrize("space", sorted(RGB_SPACES))
def test_the_adaptation_it_states_takes_its_white_to_d50(space: str) -> None:
    adaptation = np.array(fields(opened(space)).chromatic_adaptation[0])
    white = colour.xy_to_XYZ(RGB_SPACES[space].white)
    assert adaptation @ white == pytest.approx(D50, abs=5e-5)


@pytest.mark.parametrize("space", sorted(RGB_SPACES))
def test_equal_codes_are_exactly_neutral(space: str) -> None:
    profile = fields(opened(space))
    colorants = [profile.red_colorant[0], profile.green_colorant[0], profile.blue_colorant[0]]
    assert np.array_equal(np.sum(colorants, axis=0), np.round(D50 * 65536) / 65536)


def test_srgb_is_little_cms_own() -> None:
    ours, theirs = fields(opened("srgb")), fields(SRGB)
    for name in ("red_colorant", "green_colorant", "blue_colorant"):
        assert getattr(ours, name)[0] == pytest.approx(getattr(theirs, name)[0], abs=3e-5)


@pytest.mark.parametrize(("space", "name"), ORACLES.items())
def test_primaries_are_the_standards(space: str, name: str) -> None:
    expected = colour.RGB_COLOURSPACES[name]
    assert np.allclose(rgb_to_xyz(RGB_SPACES[space]), expected.matrix_RGB_to_XYZ, atol=5e-4)


@pytest.mark.parametrize(("space", "name"), [(s, n) for s, n in ORACLES.items() if not s.startswith("linear")])
def test_curves_are_the_standards_and_invert(space: str, name: str) -> None:
    codes = np.linspace(0, 1, 1001)
    transfer = RGB_SPACES[space].transfer
    decode = colour.RGB_COLOURSPACES[name].cctf_decoding
    if space == "rec709":
        decode = colour.models.oetf_inverse_BT709
    if space == "rec2020":
        decode = partial(colour.models.oetf_inverse_BT2020, is_12_bits_system=True)
    assert np.allclose(transfer.decode(codes), decode(codes), atol=1e-4)
    both_sides = np.linspace(-2, 2, 999)
    assert np.allclose(transfer.encode(transfer.decode(both_sides)), both_sides, atol=1e-7)


@pytest.mark.parametrize(("space", "name"), ORACLES.items())
def test_colours_convert_as_colour_science_says(space: str, name: str) -> None:
    codes = np.random.default_rng(5).integers(60, 200, (16, 16, 3)).astype(np.uint8)
    shown = ImageCms.profileToProfile(Image.fromarray(codes), opened(space), SRGB)
    light = RGB_SPACES[space].transfer.decode(codes / 255)
    expected = colour.RGB_to_RGB(light, name, "sRGB", "Bradford", apply_cctf_encoding=True).clip(0, 1) * 255
    assert np.abs(np.asarray(shown, float) - expected).max() < 1.6


def test_equal_profiles_are_equal_bytes_with_their_own_digest() -> None:
    first = icc.profile("srgb") or b""
    icc.profile.cache_clear()
    assert icc.profile("srgb") == first
    assert struct.unpack(">I", first[:4])[0] == len(first)
    blank = bytearray(first)
    blank[84:100] = bytes(16)  # flags and intent are zero already
    assert hashlib.md5(blank).digest() == first[84:100]


def test_spaces_without_matrix_and_curve_have_none() -> None:
    assert [icc.profile(space) for space in ("camera", "xyz", "pq", "hlg")] == [None] * 4


def test_a_profile_is_known_by_what_it_does() -> None:
    for space in RGB_SPACES:
        renamed = (icc.profile(space) or b"").replace(space.encode("utf-16-be"), ("x" * len(space)).encode("utf-16-be"))
        assert icc.space_of(renamed) == space
    assert icc.space_of(SRGB.tobytes()) == "srgb"
    assert icc.space_of(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()) is None
