"""Files in and out: numbers keep their meaning, content decides, and damage is a typed error."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from ispdsl.executors import formats
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.formats import FORMS, read_image, write_image
from ispdsl.ir.types import Type
from ispdsl.runtime.png import chunk, encode_png
from tests.executors.command_support import picture, raw_frame

UNIT = Type.parse("rgb<srgb, unit>")
FREE = Type.parse("rgb<linear_srgb, f32>")
GREY = Type.parse("luma<srgb, unit>")
TWO = Type.parse("chroma<srgb, f32>")
CODES = Type.parse("rgb<srgb, u16>")


def there_and_back(tmp_path: Path, image: np.ndarray, type_: Type, form: str) -> np.ndarray:
    path = tmp_path / f"x{FORMS[form].suffix}"
    write_image(path, image.astype(np.float32), type_, form, None)
    return read_image(path, type_, form)


def faulty(path: Path, type_: Type, form: str) -> ExecutorError:
    with pytest.raises(ExecutorError) as error:
        read_image(path, type_, form)
    return error.value


# ---- there and back


@pytest.mark.parametrize("form", ["png8", "png16", "png", "tiff8", "tiff16", "tiff32", "tiff", "ppm8", "ppm16", "ppm"])
@pytest.mark.parametrize("type_", [UNIT, GREY], ids=str)
def test_unit_values_that_the_codes_hold_come_back_exactly(tmp_path: Path, form: str, type_: Type) -> None:
    image = picture(5, 7, type_.planes, 255 if form.endswith("8") else 65535)
    again = there_and_back(tmp_path, image, type_, form)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, image)


@pytest.mark.parametrize("form", ["tiff32", "tiff", "pfm", "npy"])
@pytest.mark.parametrize("type_", [FREE, Type.parse("luma<xyz, f32>"), TWO], ids=str)
def test_floats_come_back_bit_by_bit(tmp_path: Path, form: str, type_: Type) -> None:
    image = np.random.default_rng(1).normal(size=(type_.planes, 5, 7)).astype(np.float32) * 9
    if form == "pfm" and type_.planes == 2:
        with pytest.raises(ValueError, match="no image of 2 planes"):
            there_and_back(tmp_path, image, type_, form)
        return
    np.testing.assert_array_equal(there_and_back(tmp_path, image, type_, form), image)


@pytest.mark.parametrize("form", ["png16", "tiff16", "tiff32", "ppm16", "npy"])
def test_codes_are_kept_as_they_are(tmp_path: Path, form: str) -> None:
    image = np.random.default_rng(1).integers(0, 65536, (3, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(there_and_back(tmp_path, image, CODES, form), image)


@given(value=st.floats(0, 1, width=32), form=st.sampled_from(["png8", "png16", "tiff8", "tiff16", "ppm8", "ppm16"]))
def test_scaling_rounds_to_the_nearest_code(tmp_path_factory: pytest.TempPathFactory, value: float, form: str) -> None:
    image = np.full((3, 2, 2), value, np.float32)
    again = there_and_back(tmp_path_factory.getbasetemp(), image, UNIT, form)
    top = 255 if form.endswith("8") else 65535
    assert np.abs(again - image).max() <= 0.5 / top + 1e-7


@pytest.mark.parametrize("compression", ["deflate", "packbits", None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str | None, dtype: str) -> None:
    type_ = FREE if dtype == "float32" else UNIT
    pixels = (np.random.default_rng(2).random((6, 5, 3)) * (1 if dtype == "float32" else 255)).astype(dtype)
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as file:
        file.write(pixels, photometric="rgb", metadata=None, compression="zlib" if compression == "deflate" else None)
    (tmp_path / "x.tif").write_bytes(data.getvalue())
    scale = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    form = {"uint8": "tiff8", "uint16": "tiff16", "float32": "tiff32"}[dtype]
    found = read_image(tmp_path / "x.tif", type_, form)
    np.testing.assert_array_equal(found, np.moveaxis(pixels / np.float32(scale), -1, 0))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_what_pillow_compresses_is_read(tmp_path: Path, compression: str) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "x.tif", compression=compression)
    found = read_image(tmp_path / "x.tif", UNIT, "tiff8")
    np.testing.assert_array_equal(found, np.moveaxis(pixels / np.float32(255), -1, 0))


def test_a_tiff_with_planes_apart_is_read(tmp_path: Path) -> None:
    image = picture(5, 7)
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="rgb", planarconfig="separate", metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif", FREE, "tiff32"), image)


def test_both_byte_orders_of_pfm_are_read_from_the_bottom(tmp_path: Path) -> None:
    image = picture(5, 7)
    rows = np.moveaxis(image, 0, -1)[::-1]
    (tmp_path / "x.pfm").write_bytes(b"PF\n7 5\n1.0\n" + rows.astype(">f4").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "x.pfm", FREE, "pfm"), image)


@pytest.mark.parametrize("layout", ["CHW", "HWC", "by column"])
def test_arrays_of_either_layout_are_read(tmp_path: Path, layout: str) -> None:
    image = picture(5, 7)
    array = np.moveaxis(image, 0, -1) if layout == "HWC" else np.asfortranarray(image) if layout != "CHW" else image
    np.save(tmp_path / "x.npy", array)
    np.testing.assert_array_equal(read_image(tmp_path / "x.npy", FREE, "npy"), image)


def test_jpeg_is_read(tmp_path: Path) -> None:
    Pillow.new("RGB", (16, 8), (255, 0, 0)).save(tmp_path / "x.jpg", quality=95)
    found = read_image(tmp_path / "x.jpg", UNIT, "jpeg")
    assert found.shape == (3, 8, 16)
    np.testing.assert_allclose(found[:, 4, 4], [1, 0, 0], atol=0.02)


# ---- planes


def test_a_grey_png_is_grey_in_all_planes(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint16).reshape(6, 8, 1) * 1000
    (tmp_path / "x.png").write_bytes(encode_png(grey, None))
    found = read_image(tmp_path / "x.png", UNIT, "png16")
    np.testing.assert_array_equal(found, np.repeat(grey.transpose(2, 0, 1) / np.float32(65535), 3, axis=0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    Pillow.new("RGB", (4, 4), (0, 255, 0)).quantize(4).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", UNIT, "png8")[:, 0, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("form", ["png8", "tiff16"])
def test_an_alpha_plane_is_dropped_only_where_it_hides_nothing(tmp_path: Path, form: str, opaque: bool) -> None:
    path = tmp_path / f"x{FORMS[form].suffix}"
    top = 255 if form == "png8" else 65535
    pixels = np.full((6, 5, 4), top, np.uint8 if form == "png8" else np.uint16)
    pixels[2, 3, 3] = top if opaque else top - 1
    if form == "png8":
        Pillow.fromarray(pixels, "RGBA").save(path)
    else:
        tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    if opaque:
        assert read_image(path, UNIT, form).shape == (3, 6, 5)
    else:
        assert faulty(path, UNIT, form).fault is Fault.SHAPE


def test_another_number_of_planes_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((6, 5), np.uint8), metadata=None)
    error = faulty(tmp_path / "x.tif", UNIT, "tiff8")
    assert (error.fault, "has 1 planes, and rgb<srgb, unit> has 3" in error.message) == (Fault.SHAPE, True)


# ---- another depth, another file


def test_another_depth_says_which_form_it_is(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((6, 5, 3), np.uint8), photometric="rgb", metadata=None)
    error = faulty(tmp_path / "x.tif", UNIT, "tiff16")
    assert error.fault is Fault.SHAPE
    assert "samples of uint8" in error.message
    assert "write tiff8 or tiff" in str(error.hint)


def test_free_numbers_are_not_taken_from_integers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((6, 5, 3), np.uint16), photometric="rgb", metadata=None)
    assert faulty(tmp_path / "x.tif", FREE, "tiff").fault is Fault.SHAPE


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8), None))
    error = faulty(tmp_path / "x.tif", UNIT, "tiff8")
    assert (error.fault, error.message) == (Fault.GARBAGE, "x.tif, which should be tiff8, is PNG")
    assert error.hint == "write png8 or png16 or png instead of tiff8"


@pytest.mark.parametrize("data", [b"", b"usage: developer FILE\n", b"\0" * 64], ids=["empty", "text", "zeros"])
def test_what_is_no_picture_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.png").write_bytes(data)
    assert faulty(tmp_path / "x.png", UNIT, "png8").fault is Fault.GARBAGE


@pytest.mark.parametrize("form", ["png8", "png16", "tiff8", "tiff16", "tiff32", "ppm8", "ppm16", "pfm", "npy", "jpeg"])
def test_every_cut_and_every_wrong_byte_of_a_header_is_a_typed_error_or_a_picture(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x{FORMS[form].suffix}"
    if form == "jpeg":
        Pillow.new("RGB", (8, 6), (255, 0, 0)).save(path)
    else:
        write_image(path, picture(6, 8), UNIT, form, None)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    refusals = 0
    for trial in range(60):
        data = bytearray(whole)
        if trial % 2:
            del data[int(rng.integers(0, len(data))) :]
        else:
            data[int(rng.integers(0, min(len(data), 200)))] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            found = read_image(path, UNIT, form)
            assert found.dtype == np.float32
            assert found.shape[0] == 3
        except ExecutorError as error:
            refusals += error.fault in (Fault.GARBAGE, Fault.SHAPE)
    assert refusals >= 25


@pytest.mark.parametrize("form", ["png16", "tiff16", "tiff32"])
def test_colours_that_say_they_are_of_another_space_are_refused_unless_the_profile_is_not_true(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"x{FORMS[form].suffix}"
    image = picture()
    write_image(path, image, Type.parse("rgb<linear_srgb, unit>"), form, None)
    error = faulty(path, UNIT, form)
    assert (error.fault, "says that its colours are linear_srgb" in error.message) == (Fault.GARBAGE, True)
    np.testing.assert_array_equal(read_image(path, UNIT, form, profiled=False), image)
    np.testing.assert_array_equal(read_image(path, Type.parse("rgb<camera, unit>"), form), image)


# ---- sizes


def bomb(tmp_path: Path, container: str, side: int) -> Path:
    """A small file that claims `side` x `side` pixels."""
    path = tmp_path / f"bomb.{container}"
    if container == "png":
        header = side.to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
        path.write_bytes(data + chunk(b"IEND", b""))
    elif container == "npy":
        head = str({"descr": "<f4", "fortran_order": False, "shape": (3, side, side)}).ljust(117) + "\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
    elif container == "pfm":
        path.write_bytes(f"PF\n{side} {side}\n-1.0\n".encode())
    elif container == "ppm":
        path.write_bytes(f"P6 {side} {side} 255\n".encode())
    else:
        tifffile.imwrite(path, np.zeros((2, 2, 3), np.uint8), photometric="rgb", metadata=None)
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages.first.tags["ImageWidth"].overwrite(side)
            file.pages.first.tags["ImageLength"].overwrite(side)
    return path


@pytest.mark.parametrize(
    ("container", "form"), [("png", "png8"), ("npy", "npy"), ("pfm", "pfm"), ("ppm", "ppm8"), ("tif", "tiff8")]
)
def test_a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded(
    tmp_path: Path, container: str, form: str
) -> None:
    error = faulty(bomb(tmp_path, container, 60000), UNIT, form)
    assert error.fault is Fault.GARBAGE
    assert "60000 x 60000" in error.message


@pytest.mark.parametrize("form", ["png8", "tiff16", "ppm8", "pfm", "npy"])
def test_the_size_is_told_before_anything_is_decoded(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x{FORMS[form].suffix}"
    write_image(path, picture(6, 8), UNIT, form, None)
    path.write_bytes(path.read_bytes()[:-40])

    def sized(size: tuple[int, int]) -> None:
        raise ExecutorError(Fault.SHAPE, f"told {size}")

    with pytest.raises(ExecutorError, match=r"told \(6, 8\)"):
        read_image(path, UNIT, form, sized)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[{"a": 1}, None]], dtype=object), allow_pickle=True)
    assert faulty(tmp_path / "x.npy", UNIT, "npy").fault is Fault.GARBAGE


# ---- what cannot be written


@pytest.mark.parametrize(
    ("type_", "form", "why"),
    [
        (FREE, "png16", "png16 holds no f32"),
        (FREE, "tiff8", "tiff8 holds no f32"),
        (CODES, "png8", "png8 holds no u16"),
        (UNIT, "jpeg", "jpeg is read only"),
        (UNIT, "dng", "dng holds mosaics"),
        (TWO, "pfm", "no image of 2 planes"),
        (UNIT, "tif16", "did you mean tiff16?"),
        (UNIT, "xyz", "it is one of png8"),
    ],
    ids=str,
)
def test_a_form_that_cannot_hold_a_type_is_refused(tmp_path: Path, type_: Type, form: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("?", r"\?")):
        write_image(tmp_path / "x", np.zeros((type_.planes, 4, 4), np.float32), type_, form, None)


@pytest.mark.parametrize(("value", "type_"), [(1.5, UNIT), (-0.1, UNIT), (70000, CODES), (0.5, CODES), (np.nan, UNIT)])
def test_a_number_that_the_file_cannot_hold_is_refused_not_clipped(tmp_path: Path, value: float, type_: Type) -> None:
    with pytest.raises(ExecutorError) as error:
        write_image(tmp_path / "x.png", np.full((3, 4, 4), value, np.float32), type_, "png16", None)
    assert error.value.fault is Fault.VALUES


# ---- mosaics


@pytest.mark.parametrize("cfa", ["rggb", "bggr", "grbg", "gbrg"])
def test_libraw_reads_back_what_a_dng_was_given(tmp_path: Path, cfa: str) -> None:
    check_dng(tmp_path, raw_frame(cfa=cfa), 1e-9)


def test_libraw_reads_back_three_samples_a_site(tmp_path: Path) -> None:
    check_dng(tmp_path, raw_frame(linear=True), 1e-9)


def check_dng(tmp_path: Path, frame: formats.Frame, within: float) -> None:
    from ispdsl.runtime.rawfile import read

    path = tmp_path / "x.dng"
    write_image(path, frame.image.astype(np.float32), frame.type, "dng", frame)
    again = read(path)
    assert again.type == frame.type
    assert again.orientation == 1
    np.testing.assert_array_equal(again.image, frame.image)
    told = set(frame.metadata) - {"as_shot_temperature", "as_shot_tint"}  # follow from neutral and matrices
    for name in told:
        np.testing.assert_allclose(again.metadata[name], frame.metadata[name], rtol=within, atol=within, err_msg=name)
    np.testing.assert_array_equal(read_image(path, frame.type, "dng"), frame.image.astype(np.float32))


def test_a_mosaic_of_other_filters_is_refused(tmp_path: Path) -> None:
    frame = raw_frame(cfa="rggb")
    write_image(tmp_path / "x.dng", frame.image.astype(np.float32), frame.type, "dng", frame)
    assert faulty(tmp_path / "x.dng", Type.parse("raw<bggr, u14>"), "dng").fault is Fault.SHAPE


def test_a_dump_is_read_back_by_its_description(tmp_path: Path) -> None:
    from ispdsl.runtime.rawfile import read

    frame = raw_frame(cfa="gbrg")
    write_image(tmp_path / "x.raw", frame.image.astype(np.float32), frame.type, "raw", frame)
    again = read(tmp_path / "x.raw")
    np.testing.assert_array_equal(again.image, frame.image)
    assert again.type == frame.type
    for name in ("black_level", "white_level", "as_shot_neutral"):
        np.testing.assert_allclose(again.metadata[name], frame.metadata[name], rtol=1e-12)
    grey = json.loads((tmp_path / "x.raw.json").read_text())["ccm"]
    np.testing.assert_allclose(np.sum(grey, axis=1), 1)


def test_the_matrix_of_a_dump_renders_colours_as_the_frame_does(tmp_path: Path) -> None:
    from ispdsl.executors.formats_raw import _balanced_to_srgb
    from ispdsl.runtime.camera_colour import as_shot_metadata, model_of_ccm
    from ispdsl.runtime.whitepoint import xy_of

    wanted = np.array([[1.6, -0.5, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.4, 1.4]])
    neutral = np.array([0.5, 1.0, 0.6])
    colour, _ = as_shot_metadata(model_of_ccm(wanted, neutral, xy_of(4800.0, 7.0)), neutral)
    frame = raw_frame()
    known = {**frame.metadata, **colour}
    changed = formats.Frame(frame.image, frame.type, known, 1, frame.source)
    np.testing.assert_allclose(_balanced_to_srgb(changed, neutral), wanted, atol=1e-6)


@pytest.mark.parametrize("form", ["dng", "raw"])
def test_a_mosaic_without_its_frame_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(ExecutorError, match="there is none") as error:
        write_image(tmp_path / "x", np.zeros((1, 4, 4), np.float32), Type.parse("raw<rggb, u14>"), form, None)
    assert error.value.fault is Fault.SETTINGS


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["gopro/dng/hero6_GOPR0024.dng", "containers/lg_h815_linear_sample_1mp.dng"])
def test_crops_of_real_raws_go_through_dng(data: Path, tmp_path: Path, name: str) -> None:
    from ispdsl.runtime.rawfile import read

    frame = read(data / "raw" / name)
    check_dng(tmp_path, frame.crop(101, 202, 96, 128), 1e-6)
