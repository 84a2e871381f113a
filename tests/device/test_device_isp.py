"""The simulated device's picture: against a second account of it, and what each register does."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.device import isp
from ispdsl.device.colour import tone
from ispdsl.device.isp import picture
from ispdsl.device.registers import FIELDS, Field, codes, reset_words
from ispdsl.executors.frames import Injected
from ispdsl.ir.params import Register
from ispdsl.lower.loader import load
from tests.device import reference
from tests.executors.devices import HARDWARE, scene

PLAIN = {
    **dict.fromkeys(FIELDS, 0),
    **dict.fromkeys(("gain_00", "gain_01", "gain_11", "coef_a_11", "coef_a_22"), 256),
    **{name: 4095 for name in FIELDS if name.endswith("thresh") and name[:2] in ("vh", "va", "aa", "uu")},
    "lut_shadow": 255,
    "lut_knee": 255,
}
"""Registers at which little happens: gains and matrix of one, no denoising, sharpening or direction."""


def words(**changed: int) -> dict[int, int]:
    """The registers after a reset but for some."""
    found = reset_words()
    for name, code in changed.items():
        field = FIELDS[name]
        mask = (1 << field.high - field.low + 1) - 1 << field.low
        found[field.address] = found[field.address] & ~mask | code << field.low & mask
    return found


def plain(**changed: int) -> dict[int, int]:
    return words(**{**PLAIN, **changed})


Sites = tuple[int, int, int, int]


def frame(
    mosaic: NDArray[np.uint16], cfa: str = "rggb", bits: int = 12, black: Sites = (0, 0, 0, 0), white: int = 0
) -> Injected:
    first, second, third, fourth = (256 * each for each in black)
    planes = mosaic.reshape(-1, *mosaic.shape[-2:])
    return Injected(1, cfa, bits, (first, second, third, fourth), 256 * (white or 2**bits - 1), (), planes)


def made(mosaic: NDArray[np.uint16], set_to: dict[int, int], **more: Any) -> NDArray[np.int64]:
    return picture(frame(mosaic, **more), set_to).astype(np.int64)


def end(field: Field, high: bool) -> int:
    width = field.high - field.low + 1
    if field.signed:
        return (1 << width - 1) - 1 if high else -(1 << width - 1)
    return (1 << width) - 1 if high else 0


# ---- the same again, another way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_the_picture_is_what_a_second_account_of_it_gives(seed: int) -> None:
    """Bit for bit before the tone table, within half a code after it: any registers, phases, levels and sizes."""
    random = np.random.default_rng(seed)
    rows, columns = (int(each) for each in random.integers(2, 14, 2))
    extreme = {name: end(field, bool(random.integers(2))) for name, field in FIELDS.items()}
    moderate = {name: code + int(random.integers(-20, 21)) for name, code in codes(reset_words()).items()}
    chosen = (
        extreme if seed % 3 == 0 else {name: max(code, end(FIELDS[name], False)) for name, code in moderate.items()}
    )
    cfa, black = ("rggb", "grbg", "gbrg", "bggr", "linear")[seed % 5], (16, 0, 64, 9)
    smooth = [scene(rows, columns, seed + index) for index in range(3 if cfa == "linear" else 1)]
    mosaic = np.stack([random.choice([0, 4095, 2048], (rows, columns)) if seed % 3 == 0 else each for each in smooth])
    mosaic = mosaic.astype(np.uint16)
    set_to = words(**chosen)
    found = made(mosaic, set_to, cfa=cfa, black=black, white=4000)
    levels = tuple(256 * each for each in black)
    planes = reference.linear(mosaic.tolist(), cfa, levels, 4000 * 256, codes(set_to))
    table = tone(*(codes(set_to)[name] for name in ("lut_knee", "lut_power", "lut_shadow")))
    expected = np.array([[[int(table[code]) for code in row] for row in plane.values] for plane in planes])
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("knee", [0, 1, 128, 207, 255])
@pytest.mark.parametrize("power", [0, 129, 255])
@pytest.mark.parametrize("shadow", [0, 31, 255])
def test_the_tone_table_is_its_formula(knee: int, power: int, shadow: int) -> None:
    table = tone(knee, power, shadow).astype(float)
    exact = [reference.tone({"lut_knee": knee, "lut_power": power, "lut_shadow": shadow}, code) for code in range(4096)]
    assert np.abs(table - exact).max() < 0.7
    assert (np.diff(table) >= 0).all()
    assert (table[0], table[-1]) == (0, 255)


def test_the_picture_is_the_same_on_every_machine() -> None:
    rows, columns = np.ogrid[:96, :128]
    mosaic = ((rows * 37 + columns * 19 + rows * columns // 5) % 3800).astype(np.uint16)
    digest = hashlib.sha256(picture(frame(mosaic), reset_words()).tobytes()).hexdigest()
    assert digest == GOLDEN


GOLDEN = "2eab549ce896d1be23dee3ef3c35834e9b18d51e0453ea8b5d0e4118a4705bfc"
"""SHA-256 of the picture of a pattern after a reset."""


# ---- the map --------------------------------------------------------------------------------------------------------


def test_the_text_and_the_device_have_the_same_registers() -> None:
    stage = next(iter(load(HARDWARE).stages.values()))
    declared = {each.name: each for each in stage.signature.parameters}
    assert declared.keys() == FIELDS.keys()
    for name, field in FIELDS.items():
        register = declared[name]
        assert isinstance(register, Register)
        place = register.field
        assert (place.address, place.high, place.low) == (field.address, field.high, field.low), name
        assert place.format.signed == field.signed
        assert register.default == field.reset * float(place.format.step), name


def test_no_two_fields_share_bits() -> None:
    taken = [(field.address, bit) for field in FIELDS.values() for bit in range(field.low, field.high + 1)]
    assert len(taken) == len(set(taken))


# ---- what each register does ----------------------------------------------------------------------------------------


def test_a_flat_grey_frame_stays_flat_and_grey() -> None:
    flat = made(np.full((20, 30), 1000, np.uint16), words(gain_00=256, gain_01=256, gain_11=256))
    assert np.ptp(flat) == 0


@pytest.mark.parametrize(("gain", "plane"), [("gain_00", 0), ("gain_01", 1), ("gain_11", 2)])
def test_a_gain_scales_its_colour_and_saturates(gain: str, plane: int) -> None:
    flat = np.full((8, 8), 900, np.uint16)
    neutral = {"coef_a_11": 256, "coef_a_12": 0, "coef_a_21": 0, "coef_a_22": 256, "coef_a_31": 0, "coef_a_32": 0}
    neutral["lut_power"] = 0
    once, twice, most = (made(flat, plain(**neutral, **{gain: code}))[:, 4, 4] for code in (256, 512, 4095))
    assert twice[plane] == pytest.approx(2 * once[plane], abs=2)
    assert most[plane] == 255
    others = [index for index in range(3) if index != plane]
    assert (once[others] == twice[others]).all()


def test_black_becomes_zero_and_white_full_for_every_site() -> None:
    mosaic = np.tile(np.array([[100, 200], [300, 400]], np.uint16), (8, 8))
    assert (made(mosaic, plain(), bits=14, black=(100, 200, 300, 400), white=9000) == 0).all()
    assert (
        made(np.full((8, 8), 9000, np.uint16), plain(), bits=14, black=(100, 200, 300, 400), white=9000) == 255
    ).all()


@pytest.mark.parametrize(("strength", "threshold"), [("strength_1", "thresh_1h"), ("strength_4", "thresh_4h")])
def test_denoising_lowers_noise_by_strength_and_keeps_edges_beyond_the_threshold(strength: str, threshold: str) -> None:
    noise = np.clip(np.random.default_rng(0).normal(1500, 30, (64, 64)), 0, 4095).astype(np.uint16)
    spreads = [made(noise, plain(**{threshold: 60, strength: code}))[:, 8:-8, 8:-8].std() for code in (0, 100, 200)]
    assert spreads[0] > 1.1 * spreads[1] > 1.1 * spreads[2]
    edge = np.where(np.arange(64) < 32, 500, 3500)[None].repeat(64, 0).astype(np.uint16)
    assert np.array_equal(made(edge, plain(**{threshold: 60, strength: 200})), made(edge, plain()))


def test_the_long_reach_denoises_on_its_own() -> None:
    noise = np.clip(np.random.default_rng(0).normal(1500, 30, (64, 64)), 0, 4095).astype(np.uint16)
    spreads = [made(noise, plain(strength_4=200, thresh_long=code)).std() for code in (0, 60)]
    assert spreads[1] < 0.95 * spreads[0]


def test_directions_take_away_the_zipper_of_an_edge() -> None:
    """Columns of light and dark, in grey: with VH on, green follows the columns and no colour is left."""
    bars = np.where(np.arange(48) // 3 % 2, 3000, 600)[None].repeat(48, 0).astype(np.uint16)
    plain_colour, directed = (
        np.ptp(made(bars, plain(vh_thresh=thresh, vh_slope=255)), axis=0)[6:-6, 6:-6].mean() for thresh in (4095, 0)
    )
    assert directed < 0.6 * plain_colour


@pytest.mark.parametrize("register", ["sharp_alt_lu", "sharp_alt_ld", "sharp_alt_ldu"])
def test_sharpening_raises_contrast(register: str) -> None:
    blend = {"sharp_alt_lu": (4095, 0), "sharp_alt_ld": (0, 255), "sharp_alt_ldu": (300, 16)}[register]
    bars = np.where(np.arange(48) // 4 % 2, 2400, 1200)[None].repeat(48, 0).astype(np.uint16)
    soft, sharp = (
        made(bars, plain(vh_thresh=blend[0], vh_slope=blend[1], **{register: code}))[1].std() for code in (0, 200)
    )
    assert sharp > 1.02 * soft


def test_the_noise_offset_spares_noise_from_sharpening() -> None:
    noise = np.clip(np.random.default_rng(0).normal(1500, 20, (48, 48)), 0, 4095).astype(np.uint16)
    spreads = [made(noise, plain(sharp_alt_lu=255, np_offset=code)).std() for code in (0, 60)]
    assert spreads[1] < 0.9 * spreads[0]


def test_fine_detail_fades_colour() -> None:
    detail = np.random.default_rng(0).integers(1000, 2000, (48, 48)).astype(np.uint16)
    colours = [
        np.ptp(made(detail, plain(fc_alias_slope=slope, fc_alias_thresh=thresh)), axis=0).mean()
        for slope, thresh in ((0, 0), (255, 0), (255, 40))
    ]
    assert colours[1] < 0.5 * colours[0]
    assert 1.2 * colours[1] < colours[2] < colours[0]


def test_colour_that_differs_from_its_neighbours_is_smoothed() -> None:
    single = np.full((17, 17), 1000, np.uint16)
    single[8, 8] = 2000
    colours = [np.ptp(made(single, plain(fc_slope=slope))[:, 8, 8]) for slope in (0, 255)]
    assert colours[1] < 0.8 * colours[0]


def test_the_colour_matrix_leaves_grey_and_is_its_rows() -> None:
    flat = np.tile(np.array([[800, 1000], [1000, 1400]], np.uint16), (8, 8))
    off = {"lut_power": 0, "coef_a_11": 256, "coef_a_12": 0, "coef_a_21": 0, "coef_a_22": 256}
    red, green, blue = made(flat, plain(**off, coef_a_31=0, coef_a_32=0))[:, 8, 8]
    mixed = made(flat, plain(**{**off, "coef_a_11": 128, "coef_a_12": 64}, coef_a_31=-128, coef_a_32=256))[:, 8, 8]
    assert mixed[0] == pytest.approx(0.5 * red + 0.25 * green + 0.25 * blue, abs=1.5)
    assert mixed[1] == green
    assert mixed[2] == pytest.approx(-0.5 * red + green + 0.5 * blue, abs=1.5)


def test_nothing_is_seen_farther_than_the_stage_says() -> None:
    stage = next(iter(load(HARDWARE).stages.values()))
    radius = stage.footprint.radius
    assert radius is not None
    random = np.random.default_rng(0)
    mosaic = random.integers(1200, 1700, (96, 96)).astype(np.uint16)
    set_to = words(thresh_1h=255, thresh_4h=255, thresh_long=255)
    other = mosaic.copy()
    other[48, 48] += 400
    rows, columns = np.nonzero((made(mosaic, set_to) != made(other, set_to)).any(0))
    seen = int(max(np.abs(rows - 48).max(), np.abs(columns - 48).max()))
    assert 16 <= seen <= radius


def test_a_frame_of_512_is_quick() -> None:
    asked = frame(scene(512, 512))
    picture(asked, reset_words())
    times: list[float] = []
    for _ in range(5):
        start = time.process_time()
        picture(asked, reset_words())
        times.append(time.process_time() - start)
    assert min(times) < 0.1


@pytest.mark.parametrize(("rows", "columns"), [(200, 40), (97, 33), (96, 32), (49, 32)])
def test_bands_leave_no_trace(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, set_to = frame(scene(rows, columns)), words(thresh_1h=200, thresh_long=255)
    at_once = picture(asked, set_to)
    monkeypatch.setattr(isp, "BAND", 1)
    assert np.array_equal(picture(asked, set_to), at_once)


def test_codes_beyond_the_bits_count_as_the_largest() -> None:
    mosaic = scene(16, 16)
    wild = frame(mosaic + np.uint16(4096) * (mosaic > 2000))
    assert np.array_equal(
        picture(wild, reset_words()), picture(replace(wild, mosaic=np.minimum(wild.mosaic, 4095)), reset_words())
    )
