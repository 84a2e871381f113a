"""Results are looked at before they are believed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ispdsl.executors.belief import believed, own_file
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.ir.types import Type

UNIT = Type.parse("rgb<srgb, unit>")
CODES = Type.parse("raw<rggb, u12>")


def file_fault(path: Path, folder: Path, since: float = 0.0) -> tuple[Fault, str]:
    with pytest.raises(ExecutorError) as caught:
        own_file(path, folder, since, ("program", "result"))
    assert caught.value.command == ("program", "result")
    return caught.value.fault, f"{caught.value.message}; {caught.value.hint}"


def image_fault(image: Any, type_: Type, shape: tuple[int, int] | None = None) -> tuple[Fault, str]:
    with pytest.raises(ExecutorError) as caught:
        believed(image, type_, shape, "output final of develop", ("program",))
    assert caught.value.message.startswith("output final of develop ")
    return caught.value.fault, f"{caught.value.message}; {caught.value.hint}"


def test_a_file_of_its_own_is_taken(tmp_path: Path) -> None:
    since = time.time()
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "result").write_text("x")
    assert own_file(inner / "result", tmp_path, since) == inner / "result"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "result_01.tif").write_text("x")
    assert file_fault(tmp_path / "result.tif", tmp_path) == (
        Fault.MISSING,
        "the result result.tif is not there, though the program ended well; it left result_01.tif",
    )
    assert "it left nothing" in file_fault(tmp_path / "a", tmp_path / "b")[1]


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "result").touch()
    assert file_fault(tmp_path / "result", tmp_path)[0] is Fault.MISSING


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("other"),
        lambda path: path.hardlink_to(path.parent / "other"),
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
    ],
    ids=["link out", "link inside", "hard link", "folder", "pipe"],
)
def test_what_is_no_file_of_its_own(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "other").write_text("x")
    make(tmp_path / "result")
    assert file_fault(tmp_path / "result", tmp_path)[0] is Fault.FOREIGN


def test_a_file_outside(tmp_path: Path) -> None:
    folder = tmp_path / "call"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "way out").symlink_to(tmp_path)
    assert file_fault(folder / "../secret", folder)[0] is Fault.FOREIGN
    assert file_fault(folder / "way out/secret", folder)[0] is Fault.FOREIGN


def test_a_file_from_before(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("x")
    now = time.time()
    os.utime(path, (now, now - 5))
    fault, message = file_fault(path, tmp_path, now)
    assert fault is Fault.STALE
    assert "5 s older" in message
    os.utime(path, (now, now))
    assert own_file(path, tmp_path, now) == path


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "uint16", "int32"])
def test_numbers_are_kept(dtype: str) -> None:
    image = np.arange(12).reshape(1, 3, 4).astype(dtype)
    found = believed(image, CODES, (3, 4), "it")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(12).reshape(1, 3, 4))
    assert found.flags.c_contiguous


def test_free_numbers_are_free() -> None:
    image = np.array([-5.0, 0.0, 7e9], np.float32).reshape(3, 1, 1)
    np.testing.assert_array_equal(believed(image, Type.parse("rgb<camera, f32>"), None, "it"), image)


def test_rounding_at_the_ends_is_kept_and_not_clipped() -> None:
    image = np.full((3, 2, 2), 1 + 5e-7, np.float32)
    assert believed(image, UNIT, (2, 2), "it").max() > 1
    assert image_fault(image + np.float32(1e-5), UNIT)[0] is Fault.VALUES
    assert image_fault(-image, UNIT)[0] is Fault.VALUES


@pytest.mark.parametrize("shape", [(1, 4, 6), (4, 6), (4, 6, 3), (1, 3, 4, 6), (3, 4, 0), (3, 6, 4)])
def test_another_shape(shape: tuple[int, ...]) -> None:
    assert image_fault(np.zeros(shape, np.float32), UNIT, (4, 6))[0] is Fault.SHAPE


def test_any_size_where_none_is_asked_for() -> None:
    assert believed(np.zeros((3, 5, 7)), UNIT, None, "it").shape == (3, 5, 7)
    assert believed(np.zeros((3, 5, 7)), Type.parse("raw<linear, u12>"), None, "it").shape == (3, 5, 7)


@pytest.mark.parametrize("dtype", ["complex64", "bool", "S3", "O", "M8[s]"])
def test_what_is_no_real_number(dtype: str) -> None:
    assert image_fault(np.zeros((3, 2, 2), dtype), UNIT)[0] is Fault.SHAPE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(bad: float) -> None:
    image = np.zeros((3, 2, 2), np.float32)
    image[1, 1, 0] = bad
    for type_ in (UNIT, Type.parse("rgb<camera, f32>")):
        fault, message = image_fault(image, type_)
        assert fault is Fault.VALUES
        assert "1 values of 12" in message


def test_what_is_beyond_float32_is_not_finite() -> None:
    assert image_fault(np.full((3, 1, 1), 1e300), Type.parse("rgb<camera, f32>"))[0] is Fault.VALUES


@pytest.mark.parametrize(("value", "storage"), [(4096, "u12"), (-1, "u12"), (0.5, "u12"), (2, "u1"), (70000, "f16")])
def test_what_a_storage_does_not_hold(value: float, storage: str) -> None:
    image = np.full((1, 2, 2), value)
    assert image_fault(image, Type.parse(f"raw<rggb, {storage}>"))[0] is Fault.VALUES
    fits = {"u12": 4095, "u1": 1, "f16": 65504}[storage]
    assert believed(np.full((1, 2, 2), fits), Type.parse(f"raw<rggb, {storage}>"), None, "it").max() == fits
