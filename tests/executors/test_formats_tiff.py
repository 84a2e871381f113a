"""TIFFs that only libtiff unpacks, against what was packed and against the same picture unpacked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.formats import read_image, write_image
from ispdsl.ir.types import Type
from tests.executors.command_support import RGB, need, picture

GREY = Type.parse("luma<srgb, unit>")
FREE = Type.parse("luma<srgb, f32>")
PREDICTOR, ROWS = 317, 278


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_sixteen_bits_come_back_as_they_were_packed(tmp_path: Path, compression: str, predictor: int) -> None:
    image = picture(37, 23, 1)
    codes = np.rint(image[0] * 65535).astype(np.uint16)
    Pillow.fromarray(codes).save(tmp_path / "x.tif", compression=compression, tiffinfo={PREDICTOR: predictor, ROWS: 5})
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif", GREY, "tiff16"), image)


@pytest.mark.parametrize("predictor", [1, 3])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_floats_come_back_as_they_were_packed(tmp_path: Path, compression: str, predictor: int) -> None:
    image = np.random.default_rng(4).normal(size=(1, 37, 23)).astype(np.float32)
    Pillow.fromarray(image[0]).save(tmp_path / "x.tif", compression=compression, tiffinfo={PREDICTOR: predictor})
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif", FREE, "tiff32"), image)


def test_three_planes_that_imagemagick_packs(tmp_path: Path) -> None:
    program, image = need("convert-im6.q16", "imagemagick"), picture(37, 23)
    write_image(tmp_path / "plain.tif", image, RGB, "tiff16", None)
    for endian in ("lsb", "msb"):
        packed = ["plain.tif", "-endian", endian, "-depth", "16", "-compress", "LZW", "packed.tif"]
        subprocess.run([program, *packed], cwd=tmp_path, check=True, capture_output=True)
        np.testing.assert_array_equal(read_image(tmp_path / "packed.tif", RGB, "tiff16"), image)


def test_damage_is_a_typed_error_or_a_picture(tmp_path: Path) -> None:
    path, rng = tmp_path / "x.tif", np.random.default_rng(5)
    image = rng.normal(size=(37, 23)).astype(np.float32)
    Pillow.fromarray(image).save(path, compression="tiff_lzw", tiffinfo={PREDICTOR: 3})
    whole, refusals = path.read_bytes(), 0
    for trial in range(80):
        data = bytearray(whole)
        if trial % 2:
            del data[int(rng.integers(0, len(data))) :]
        else:
            data[int(rng.integers(0, len(data)))] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        try:
            assert read_image(path, FREE, "tiff32").shape[0] == 1
        except ExecutorError as error:
            refusals += error.fault in (Fault.GARBAGE, Fault.SHAPE)
    assert refusals >= 35
