from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.runtime.opcodes import combine, parse, parse_gain_map
from tests.runtime.dng_files import gain_map_opcode, opcode, opcode_list

AREA = (0, 0, 32, 48)
GAINS = np.linspace(1.0, 2.5, 12).reshape(3, 4).astype(np.float32)


def gain_map(gains: np.ndarray = GAINS, area: tuple[int, ...] = AREA, **more: int) -> bytes:
    return gain_map_opcode(gains, area, **more)[16:]


def test_a_list_holds_its_opcodes_in_order() -> None:
    assert parse(opcode_list(opcode(9, b"abcd"), opcode(14, b""))) == [(9, b"abcd"), (14, b"")]


@pytest.mark.parametrize("data", [b"", b"\0\0\0", opcode_list(opcode(9, b"abcd"))[:-1], b"\0\0\0\1", b"\xff" * 40])
def test_a_list_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"shorter|ends inside|claims"):
        parse(data)


def test_a_map_of_one_site_leaves_the_others_alone() -> None:
    item = parse_gain_map(gain_map(area=(1, 0, 32, 48)))
    grid, partial = combine([item], 32, 48, 1)
    assert not partial
    np.testing.assert_array_equal(grid[2], GAINS)
    np.testing.assert_array_equal(grid[[0, 1, 3]], np.ones((3, 3, 4)))


def test_maps_of_one_site_multiply() -> None:
    item = parse_gain_map(gain_map(pitch=1))
    grid, _ = combine([item, item], 32, 48, 1)
    np.testing.assert_allclose(grid, np.broadcast_to(GAINS.astype(np.float64) ** 2, (4, 3, 4)))


def test_planes_of_a_frame_with_three_samples_a_site() -> None:
    for plane, planes, sites in ((0, 1, {0}), (1, 1, {1, 3}), (2, 1, {2}), (1, 2, {1, 2, 3})):
        grid, _ = combine([parse_gain_map(gain_map(pitch=1, plane=plane, planes=planes))], 32, 48, 3)
        for site in range(4):
            np.testing.assert_array_equal(grid[site], GAINS if site in sites else np.ones((3, 4)))


def test_a_map_set_in_from_the_edge_is_carried_to_it() -> None:
    data = bytearray(gain_map(np.array([[1.0, 2.0]]), pitch=1))
    struct.pack_into(">4d", data, 40, 1.0, 0.5, 0.0, 0.25)
    grid, _ = combine([parse_gain_map(bytes(data))], 32, 48, 1)
    np.testing.assert_allclose(grid[0], [[1.0, 1.5, 2.0]] * 2)


def test_a_map_of_a_part_of_the_frame_is_reported() -> None:
    grid, partial = combine([parse_gain_map(gain_map(area=(0, 0, 16, 48)))], 32, 48, 1)
    assert partial
    assert (grid == 1.0).all()


@pytest.mark.parametrize(
    ("offset", "form", "value", "reason"),
    [
        (32, ">I", 1 << 31, "claims"),
        (32, ">I", 0, "claims"),
        (32, ">I", 900, "cut short"),
        (24, ">I", 0, "empty area"),
        (8, ">I", 0, "empty area"),
        (40, ">d", 0.0, "spacing"),
        (48, ">d", float("nan"), "spacing"),
        (56, ">d", float("inf"), "outside"),
        (76, ">f", float("nan"), "no lens"),
        (76, ">f", -1.0, "no lens"),
    ],
)
def test_hostile_numbers_are_refused(offset: int, form: str, value: float, reason: str) -> None:
    data = bytearray(gain_map())
    struct.pack_into(form, data, offset, value)
    with pytest.raises(ValueError, match=reason):
        parse_gain_map(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        entries = parse(data)
    except ValueError:
        return
    assert sum(16 + len(parameters) for _, parameters in entries) + 4 <= len(data)


@given(st.integers(0, 130), st.binary(min_size=1, max_size=8))
def test_a_damaged_map_is_finite_or_refused(offset: int, noise: bytes) -> None:
    data = bytearray(gain_map())
    data[offset : offset + len(noise)] = noise[: max(len(data) - offset, 0)]
    try:
        grid, _ = combine([parse_gain_map(bytes(data))], 32, 48, 1)
    except ValueError:
        return
    assert np.isfinite(grid).all()
    assert grid.min() > 0.0
