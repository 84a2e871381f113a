from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ispdsl.runtime.camera_colour import LINEAR_SRGB_TO_XYZ
from ispdsl.runtime.description import RawDescription, describe, load_description
from ispdsl.runtime.frame import Frame, FrameSource, RawError
from ispdsl.runtime.headerless import read_headerless
from ispdsl.runtime.rawfile import read

SOURCE = FrameSource("mosaic.raw", "", "", "", "headerless")
CODES = np.random.default_rng(3).integers(0, 1024, (6, 8), dtype=np.uint16)
PLAIN = {"w": 8, "h": 6, "cfa": "GRBG", "dtype": "u16le", "bits": 10, "black": 64, "white": 1000}


def frame(data: bytes, **values: object) -> Frame:
    return read_headerless(data, describe(values, "test"), SOURCE)


def packed(codes: np.ndarray, dtype: str) -> bytes:
    """The plainest possible packing, as a check on the unpacking."""
    if dtype == "u8":
        return codes.astype(np.uint8).tobytes()
    if dtype in ("u16le", "u16be"):
        return codes.astype("<u2" if dtype == "u16le" else ">u2").tobytes()
    group, shift = (4, 2) if dtype == "mipi_raw10" else (2, 4)
    out = bytearray()
    for row in codes.tolist():
        for start in range(0, len(row), group):
            samples = row[start : start + group]
            out += bytes(sample >> shift for sample in samples)
            out.append(sum((sample & ((1 << shift) - 1)) << (shift * i) for i, sample in enumerate(samples)))
    return bytes(out)


PACKINGS = {"u8": 8, "u16le": 16, "u16be": 16, "mipi_raw10": 10, "mipi_raw12": 12}


@given(st.data(), st.sampled_from(sorted(PACKINGS)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 5))
def test_every_packing_is_read_back(data: st.DataObject, dtype: str, head: int, tail: int, pad: int) -> None:
    bits = PACKINGS[dtype]
    codes = data.draw(arrays.arrays(np.uint16, (4, 8), elements=st.integers(0, (1 << bits) - 1)))
    row = 8 * bits // 8
    rows = np.frombuffer(packed(codes, dtype), np.uint8).reshape(4, row)
    body = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xA5).tobytes()
    found = frame(
        b"h" * head + body + b"t" * tail,
        width=8,
        height=4,
        cfa="rggb",
        dtype=dtype,
        header_bytes=head,
        trailing_bytes=tail,
        stride_bytes=row + pad,
        wb_rgb=[2, 1, 1.5],
    )
    np.testing.assert_array_equal(found.image[0], codes)
    assert found.image.dtype == (np.uint8 if dtype == "u8" else np.uint16)
    assert str(found.type) == f"raw<rggb, u{bits}>"


def test_levels_balance_and_phase() -> None:
    found = frame(packed(CODES, "u16le"), **PLAIN, wb_rgb=[2.0, 1.0, 1.6], orientation=6)
    assert str(found.type) == "raw<grbg, u10>"
    assert found.orientation == 6
    np.testing.assert_array_equal(found.metadata["black_level"], [64] * 4)
    assert found.metadata["white_level"] == 1000
    np.testing.assert_allclose(found.metadata["as_shot_neutral"], [0.5, 1.0, 0.625])
    assert found.metadata["as_shot_temperature"] == pytest.approx(6504, abs=5)
    assert found.notes == ("no colour matrix given: balanced camera colours taken for linear sRGB",)


def test_what_is_not_said_is_noted() -> None:
    notes = " | ".join(frame(packed(CODES, "u16le"), width=8, height=6, cfa="rggb", dtype="u16le").notes)
    for what in ("black level", "white level", "white balance", "colour matrix"):
        assert what in notes


def test_grey_world_over_unclipped_samples() -> None:
    codes = np.empty((16, 16))
    codes[0::2, 0::2], codes[0::2, 1::2], codes[1::2, 0::2], codes[1::2, 1::2] = 150, 300, 500, 300
    codes = codes.astype(np.uint16)
    codes[:4] = 1000  # clipped: without these the grey is not (100, 200, 400)
    data = packed(codes, "u16le")
    found = frame(data, width=16, height=16, cfa="rggb", dtype="u16le", bits=10, black=[50, 100, 100, 100], white=1000)
    # green 200/900, red 100/950, blue (site 3) 200/900, and site 2 is green: 400/900
    green = (200 / 900 + 400 / 900) / 2
    np.testing.assert_allclose(found.metadata["as_shot_neutral"], [100 / 950 / green, 1.0, 200 / 900 / green])


@pytest.mark.parametrize("illuminant", [None, 3400.0])
def test_the_matrix_is_met_at_the_as_shot_white(illuminant: float | None) -> None:
    ccm = np.array([[1.7, -0.6, -0.1], [-0.3, 1.5, -0.2], [0.0, -0.8, 1.8]])
    more = {} if illuminant is None else {"illuminant": illuminant}
    data = packed(CODES, "u16le")
    found = frame(data, **PLAIN, **more, wb_rgb=[2.0, 1.0, 1.6], ccm=ccm.tolist()).metadata
    scaled = frame(data, **PLAIN, **more, wb_rgb=[2.0, 1.0, 1.6], ccm_q10=(ccm * 1024).tolist()).metadata
    np.testing.assert_allclose(found["colour_matrix_1"], scaled["colour_matrix_1"])
    assert found["as_shot_temperature"] == pytest.approx(illuminant or 6505.8, abs=0.5)
    if illuminant is None:  # no adaptation between the light and sRGB's white
        to_xyz = np.linalg.inv(found["colour_matrix_1"]) @ np.diag(found["as_shot_neutral"])
        np.testing.assert_allclose(np.linalg.inv(LINEAR_SRGB_TO_XYZ) @ to_xyz, ccm, atol=1e-12)


def test_rows_that_tint_grey_are_scaled_and_noted() -> None:
    data = packed(CODES, "u16le")
    found = frame(data, **PLAIN, wb_rgb=[2, 1, 1.6], ccm=[[2.4, -1.2, 0], [0, 1, 0], [0, 0, 0.9]])
    expected = frame(data, **PLAIN, wb_rgb=[2, 1, 1.6], ccm=[[2, -1, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.metadata["colour_matrix_1"], expected.metadata["colour_matrix_1"])
    assert any("1.200, 1.000, 0.900" in note for note in found.notes)
    assert not expected.notes


def test_a_few_defects_beyond_the_bits_are_kept_and_many_refused() -> None:
    codes = np.full((32, 32), 500, np.uint16)
    codes[3, 4] = 65535
    values = {**PLAIN, "w": 32, "h": 32, "wb_rgb": [1, 1, 1]}
    found = frame(packed(codes, "u16le"), **values)
    assert found.image[0, 3, 4] == 65535
    assert str(found.type) == "raw<grbg, u16>"
    assert any("do not fit 10 bits" in note for note in found.notes)
    with pytest.raises(RawError, match="do not fit 10 bits"):
        frame(packed(codes, "u16be"), **values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h": 7}, "asks for 112 bytes, the file has 96"),
        ({"trailing_bytes": 1}, "asks for 97 bytes, the file has 96"),
        ({"stride_bytes": 15}, "takes 16 bytes, stride_bytes says 15"),
        ({"w": 9, "dtype": "mipi_raw10"}, "do not fill whole bytes"),
        ({"dtype": "u8", "bits": 8, "white": 255, "h": 6, "w": 15}, "asks for 90 bytes"),
        ({"dtype": "u8", "bits": 10}, "u8 holds no 10 bits"),
        ({"black": 1000}, "not above the black level"),
        ({"cfa": "rgbg"}, "cfa"),
        ({"cfa": None}, "cfa"),
        ({"blak": 3}, "did you mean 'black'"),
        ({"white": float("nan")}, "white"),
        ({"wb_rgb": [1, 0, 1]}, "wb_rgb"),
        ({"ccm": [[1, 0, 0], [0, 1, 0], [1, 0, 0]]}, "singular"),
        ({"ccm": [[1, 0, 0]] * 3, "ccm_q10": [[1, 0, 0]] * 3}, "not both"),
        ({"orientation": 9}, "orientation"),
        ({"dtype": None}, "lacks dtype"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(RawError, match=message):
        frame(packed(CODES, "u16le"), **{**PLAIN, **change})


@pytest.mark.parametrize("largest", [200, 1023])
@pytest.mark.parametrize("header", ["P5 8 6 {}\n", "P5\n# made by hand\n8 6\n# largest\n{}\n"])
def test_a_pgm_is_read_by_its_own_header(largest: int, header: str) -> None:
    codes = np.minimum(CODES, largest)
    data = header.format(largest).encode() + codes.astype("u1" if largest < 256 else ">u2").tobytes()
    found = frame(data, cfa="gbrg", black=5, wb_rgb=[1, 1, 1])
    np.testing.assert_array_equal(found.image[0], codes)
    assert found.metadata["white_level"] == largest
    assert str(found.type) == f"raw<gbrg, u{largest.bit_length()}>"


@pytest.mark.parametrize(
    ("data", "values", "message"),
    [
        (b"P5 8 6 1023\n" + bytes(95), {}, "asks for 108 bytes, the file has 107"),
        (b"P5 8 6 1023\n" + bytes(96), {"width": 9}, "the header says width 8, the description 9"),
        (b"P5 8 x 1023\n" + bytes(96), {}, "header is damaged"),
        (b"P5 8 6 0\n" + bytes(48), {}, "no mosaic"),
        (b"P5 99999999 99999999 255\n", {}, "asks for"),
    ],
)
def test_a_damaged_pgm(data: bytes, values: dict[str, object], message: str) -> None:
    with pytest.raises(RawError, match=message):
        frame(data, cfa="rggb", **values)


@given(st.binary(max_size=200), st.sampled_from(["u8", "u16le", "mipi_raw10"]))
def test_any_bytes_are_a_frame_or_a_raw_error(data: bytes, dtype: str) -> None:
    try:
        found = frame(data, width=8, height=4, cfa="rggb", dtype=dtype)
    except RawError:
        return
    assert found.image.shape == (1, 4, 8)
    assert all(np.isfinite(value).all() for value in found.metadata.values())


def test_descriptions_are_found_beside_the_file(tmp_path: Path) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(packed(CODES, "u16le"))
    with pytest.raises(RawError, match="without a header"):
        read(raw)
    (tmp_path / "frames.json").write_text(json.dumps({"a.raw": PLAIN}))
    assert read(raw).cfa == "grbg"
    (tmp_path / "a.raw.json").write_text(json.dumps({"something": "else"}))
    assert read(raw).cfa == "grbg"
    (tmp_path / "a.raw.json").write_text(json.dumps({**PLAIN, "cfa": "rggb"}))
    assert read(raw).cfa == "rggb"
    assert read(raw, {**PLAIN, "cfa": "bggr"}).cfa == "bggr"
    assert read(raw, tmp_path / "frames.json").cfa == "grbg"
    assert read(raw, RawDescription.model_validate({**PLAIN, "cfa": "gbrg"})).cfa == "gbrg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no valid JSON"),
        ("[" * 100000, "no valid JSON"),
        ("[]", "no description of 'a.raw'"),
        ('{"b.raw": {"cfa": "rggb"}}', "did you mean 'b.raw'"),
        ('{"a.raw": 3}', "the description"),
        ('{"cfa": "rggb", "w": 1}', "w: "),
        (" " * (1 << 20) + "{}", "longer"),
    ],
)
def test_a_wrong_description_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(RawError, match=message):
        load_description(path, "a.raw")


def test_a_missing_description_file(tmp_path: Path) -> None:
    with pytest.raises(RawError, match="No such file"):
        load_description(tmp_path / "none.json", "a.raw")
