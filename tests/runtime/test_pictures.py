from __future__ import annotations

import io
import os
import stat
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from ispdsl.runtime import icc
from ispdsl.runtime.pictures import MAX_PIXELS, PictureError, orient, read_picture, write_picture
from ispdsl.runtime.spaces import RGB_SPACES

RNG = np.random.default_rng(7)
PHOTO = RNG.random((3, 37, 52)).astype(np.float32)
GREY = PHOTO[:1]


@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize(("suffix", "bits"), [(".png", 8), (".png", 16), (".tif", 8), (".tiff", 16)])
def test_codes_come_back_to_half_a_step(tmp_path: Path, image: np.ndarray, suffix: str, bits: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, image, bits=bits)
    back, space = read_picture(path)
    assert space == "srgb"
    assert back.shape == image.shape
    assert np.abs(back - image).max() <= 0.5001 / (2**bits - 1)


def test_every_16_bit_code_survives_a_png(tmp_path: Path) -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    image = np.concatenate([codes, codes[:, ::-1], np.roll(codes, 257)]) / 65535
    write_picture(tmp_path / "a.png", image, bits=16)
    back, _ = read_picture(tmp_path / "a.png")
    assert np.array_equal(np.rint(back * 65535), np.rint(image * 65535))


def test_pillow_reads_our_png_and_its_size_and_bits(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", PHOTO)
    with Image.open(tmp_path / "a.png") as picture:
        picture.verify()
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(pixels, np.rint(PHOTO.transpose(1, 2, 0) * 255))
    write_picture(tmp_path / "b.png", GREY, bits=16)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), np.rint(GREY[0] * 65535))


@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["colour", "grey"])
def test_floats_keep_values_outside_the_unit_range(tmp_path: Path, image: np.ndarray) -> None:
    image = image * 9 - 3
    for name, bits in (("a.tif", 32), ("a.npy", None), ("a.pfm", None)):
        write_picture(tmp_path / name, image, space="linear_srgb", bits=bits)
    assert np.array_equal(read_picture(tmp_path / "a.tif")[0], image)
    assert np.array_equal(np.load(tmp_path / "a.npy"), image)
    kind, size, scale, body = (tmp_path / "a.pfm").read_bytes().split(b"\n", 3)
    assert (kind, size, scale) == (b"PF" if len(image) == 3 else b"Pf", b"52 37", b"-1.0")
    assert np.array_equal(np.frombuffer(body, "<f4").reshape(37, 52, -1)[::-1].transpose(2, 0, 1), image)


def test_integers_clip_and_round_to_nearest(tmp_path: Path) -> None:
    image = np.array([[[-0.2, 0.0, 100.49 / 255, 100.51 / 255, 1.0, 7.0]]])
    write_picture(tmp_path / "a.png", image)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 0, 100, 101, 255, 255]]


def test_jpeg_is_close_and_keeps_its_chroma(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64)
    image = np.stack(np.broadcast_arrays(ramp, ramp[:, None], 1 - ramp))
    write_picture(tmp_path / "a.jpg", image, quality=98)
    back, space = read_picture(tmp_path / "a.jpg")
    assert space == "srgb"
    assert np.abs(back - image).mean() < 0.006
    with Image.open(tmp_path / "a.jpg") as picture:
        assert JpegImagePlugin.get_sampling(picture) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_exif(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray((PHOTO * 255).astype(np.uint8).transpose(1, 2, 0))
    stored.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored))
    image = np.asarray(stored).transpose(2, 0, 1) / 255
    write_picture(tmp_path / "a.png", image, orientation=orientation)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), upright)
    stored.save(tmp_path / "b.tif", exif=stored.getexif())
    stored.save(tmp_path / "b.png", exif=stored.getexif())
    for name in ("b.tif", "b.png"):
        assert np.array_equal(np.rint(read_picture(tmp_path / name)[0] * 255).transpose(1, 2, 0), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_undo_themselves_but_for_quarter_turns(orientation: int) -> None:
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    assert np.array_equal(orient(orient(PHOTO, orientation), undo), PHOTO)


@pytest.mark.parametrize("space", sorted(RGB_SPACES))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_colour_space_travels(tmp_path: Path, space: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, PHOTO, space=space)
    assert read_picture(path)[1] == space
    write_picture(path, GREY, space=space)
    with Image.open(path) as picture:
        assert picture.info["icc_profile"] == icc.profile(space, 1)


def test_spaces_without_a_profile(tmp_path: Path) -> None:
    for space in ("camera", "xyz"):
        write_picture(tmp_path / "a.png", PHOTO, space=space)
        with Image.open(tmp_path / "a.png") as picture:
            assert "icc_profile" not in picture.info
    for space in ("pq", "hlg"):
        write_picture(tmp_path / "a.png", PHOTO, space=space, bits=16)
        assert read_picture(tmp_path / "a.png")[1] == space


def test_a_foreign_profile_is_converted(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "a.png", icc_profile=lab)
    assert read_picture(tmp_path / "a.png")[1] == "srgb"
    profile = bytearray(icc.profile("prophoto") or b"")
    at = profile.index(struct.pack(">i", round(1.8 * 65536)))
    profile[at : at + 4] = struct.pack(">i", round(2.4 * 65536))
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "a.png", icc_profile=bytes(profile))
    image, space = read_picture(tmp_path / "a.png")
    assert space == "srgb"
    expected = RGB_SPACES["srgb"].transfer.encode((90 / 255) ** 2.4)
    assert np.abs(image - expected).max() < 1.5 / 255


def test_equal_pictures_are_equal_files_and_replace_what_was_there(tmp_path: Path) -> None:
    for suffix in (".png", ".tif", ".jpg"):
        first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        second.write_bytes(b"old")
        write_picture(first, PHOTO)
        write_picture(second, PHOTO)
        assert first.read_bytes() == second.read_bytes()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~mask
    assert len(list(tmp_path.iterdir())) == 6, "no temporary is left"


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PictureError, match="No space left"):
        write_picture(path, PHOTO)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    write_picture(tmp_path / "link.png", PHOTO)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").is_file()


def test_errors_say_how_to_mend(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    broken = PHOTO.copy()
    broken[0, :2, 0] = np.nan
    broken[1, 0, 0] = np.inf
    cases: list[tuple[str, np.ndarray, dict[str, Any], str, str]] = [
        ("a.webp", PHOTO, {}, "'.webp'", ".png, .tif"),
        ("a", PHOTO, {}, "''", ".png, .tif"),
        ("a.jpg", PHOTO, {"bits": 16}, "no 16 bits", "8"),
        ("a.png", broken, {}, f"3 of {PHOTO.size} values are not finite", "taps"),
        ("none/a.png", PHOTO, {}, "no folder", "make the folder"),
        ("folder.png", PHOTO, {}, "is a folder", "name a file"),
        ("a.jpg", np.zeros((1, 1, 70000)), {}, "cannot encode", ".png"),
    ]
    for name, image, options, message, hint in cases:
        with pytest.raises(PictureError) as caught:
            write_picture(tmp_path / name, image, **options)
        assert message in caught.value.message
        assert hint in caught.value.hint
    for shape in ((4, 5), (2, 4, 5), (3, 0, 5), (1, 3, 4, 5)):
        with pytest.raises(ValueError, match="an image is"):
            write_picture(tmp_path / "a.png", np.zeros(shape))
    with pytest.raises(ValueError, match="orientations are 1 to 8"):
        write_picture(tmp_path / "a.png", PHOTO, orientation=9)


def test_kinds_that_are_read_and_kinds_that_are_refused(tmp_path: Path) -> None:
    codes = (PHOTO * 255).astype(np.uint8).transpose(1, 2, 0)
    picture = Image.fromarray(codes)
    alpha = picture.convert("RGBA")
    alpha.putalpha(10)
    alpha.save(tmp_path / "a.png")
    assert np.array_equal(np.rint(read_picture(tmp_path / "a.png")[0] * 255), codes.transpose(2, 0, 1))
    picture.quantize(200).save(tmp_path / "p.png")
    assert read_picture(tmp_path / "p.png")[0].shape == PHOTO.shape
    picture.save(tmp_path / "l.tif", compression="tiff_lzw")
    assert np.array_equal(np.rint(read_picture(tmp_path / "l.tif")[0] * 255), codes.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "s.tif", codes.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    assert np.array_equal(np.rint(read_picture(tmp_path / "s.tif")[0] * 255), codes.transpose(2, 0, 1))
    picture.convert("CMYK").save(tmp_path / "c.jpg")
    (tmp_path / "t.png").write_text("hello")
    tifffile.imwrite(tmp_path / "i.tif", codes.astype(np.int32)[..., 0], photometric="minisblack")
    for name, message in (("c.jpg", "CMYK"), ("t.png", "cannot"), ("gone.png", "No such file"), ("i.tif", "int32")):
        with pytest.raises(PictureError, match=message) as caught:
            read_picture(tmp_path / name)
        assert caught.value.hint


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for side in (20_000, 12_000):
        layout = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n"
        for name, body in ((b"IHDR", layout), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")):
            data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        assert side * side > MAX_PIXELS
        (tmp_path / "a.png").write_bytes(data)
        with pytest.raises(PictureError, match="pixels"):
            read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_damaged_files_give_one_kind_of_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, PHOTO)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    errors: list[PictureError] = []
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 700), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        try:
            read_picture(path)
        except PictureError as error:
            errors.append(error)
    assert len(errors) > 20
    assert all(str(path) in error.message for error in errors)


@pytest.mark.bench
def test_twelve_megapixels_are_written_in_a_second_and_a_half(tmp_path: Path) -> None:
    image = np.clip(np.random.default_rng(0).normal(0.5, 0.01, (3, 3000, 4000)), 0, 1).astype(np.float32)
    start = time.perf_counter()
    write_picture(tmp_path / "a.png", image)
    assert time.perf_counter() - start < 1.5


def test_read_bytes_match_what_a_decoder_of_the_same_bytes_says(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray((PHOTO * 255).astype(np.uint8).transpose(1, 2, 0)).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    expected = np.asarray(Image.open(buffer)).transpose(2, 0, 1) / np.float32(255)
    assert np.allclose(read_picture(tmp_path / "a.jpg")[0], expected, atol=1e-7)
