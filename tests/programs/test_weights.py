"""Files of weights are checked before they are used, and read again when they change."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from ispdsl.errors import RunError
from ispdsl.programs.weights import Shapes, read_weights

SHAPES: Shapes = (("one.weight", (2, 3)), ("one.bias", (2,)))


def good() -> dict[str, np.ndarray]:
    return {"one.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "one.bias": np.ones(2, np.float32)}


def test_gives_what_the_file_holds(tmp_path: Path) -> None:
    save_file(good(), tmp_path / "w.safetensors")
    found = read_weights(str(tmp_path / "w.safetensors"), SHAPES)
    assert found.keys() == good().keys()
    for name, array in good().items():
        np.testing.assert_array_equal(found[name], array)


def test_a_relative_path_starts_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, value in (("here", 1.0), ("there", 2.0)):
        (tmp_path / folder).mkdir()
        save_file({**good(), "one.bias": np.full(2, value, np.float32)}, tmp_path / folder / "w.safetensors")
    for folder, value in (("here", 1.0), ("there", 2.0)):
        monkeypatch.chdir(tmp_path / folder)
        assert read_weights("w.safetensors", SHAPES)["one.bias"][0] == value


def test_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(good(), path)
    first = read_weights(str(path), SHAPES)
    assert read_weights(str(path), SHAPES) is first
    save_file({**good(), "one.bias": np.full(2, 7, np.float32)}, path)
    os.utime(path, ns=(1, 1))
    assert read_weights(str(path), SHAPES)["one.bias"][0] == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole safetensors file"),
        (b"PK\x03\x04 a pickle in an archive", "no whole safetensors file"),
        (save(good())[:-4], "no whole safetensors file"),
        (struct.pack("<Q", 2**62) + b"{}", "no whole safetensors file"),
        (struct.pack("<Q", 2) + b"[]", "no whole safetensors file"),
        (save({"one.weight": good()["one.weight"]}), "has no tensor 'one.bias'"),
        (save({**good(), "two": np.ones(1, np.float32)}), "has an unknown tensor 'two'"),
        (save({**good(), "one.bias": np.ones(3, np.float32)}), r"one.bias has the shape \(3,\), not \(2,\)"),
        (save({**good(), "one.bias": np.ones(2, np.int32)}), "one.bias is of int32"),
        (save({**good(), "one.bias": np.array([1, np.nan], np.float32)}), "not finite"),
        (save({**good(), "one.bias": np.array([1, np.inf], np.float16)}), "not finite"),
        (bytes(3 << 20), "3145728 bytes, where this network takes no more than"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(RunError, match=message):
        read_weights(str(tmp_path / "w.safetensors"), SHAPES)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.safetensors", "cannot be read: No such file.*starts at the current folder"),
        (".", "no regular file"),
        ("/dev/zero", "no regular file"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_says_what_is_wrong_with_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=message):
        read_weights(path, SHAPES)
