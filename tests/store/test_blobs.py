"""Samples as files: all that they hold comes back, and nothing that is not theirs is believed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ispdsl.store import blobs
from ispdsl.store.blobs import decode, encode, path_of, put_blob, read_blob, read_some
from ispdsl.store.errors import StoreError
from ispdsl.store.sample import Sample
from tests.store.made import files_below, made, sample_of


def test_everything_of_a_sample_comes_back(tmp_path: Path) -> None:
    run, sample = made(tmp_path / "run"), sample_of(5)
    stored = put_blob(run.path, sample)
    found = read_blob(run.path, stored.digest)
    assert list(found.images) == ["image", "out"]
    for name, image in sample.images.items():
        np.testing.assert_array_equal(found.images[name], image)
        assert found.images[name].dtype == np.float32
    assert found.metadata["iso"] == 100.0
    assert isinstance(found.metadata["iso"], float)
    gain_map, black_level = found.metadata["gain_map"], found.metadata["black_level"]
    assert isinstance(gain_map, np.ndarray)
    assert gain_map.shape == (4, 2, 3)
    np.testing.assert_array_equal(black_level, np.arange(4.0))
    for name in ("settings", "type", "raw", "part", "seconds", "extra"):
        assert getattr(found, name) == getattr(sample, name)


def test_the_name_of_a_blob_is_the_hash_of_its_content(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    path = run.path / "blobs" / stored.digest[:2] / f"{stored.digest}.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stored.digest
    assert path.stat().st_size == stored.bytes
    assert put_blob(run.path, sample_of(1)) == stored
    assert put_blob(run.path, sample_of(2)) != stored
    assert files_below(run.path / "drafts") == set()


def test_values_beyond_the_range_and_views_of_arrays_are_kept() -> None:
    sample = sample_of(1)
    image = np.array([[[-0.5, np.inf], [1e30, np.nan]]], np.float32)
    turned = np.arange(12, dtype=np.float32).reshape(1, 3, 4).transpose(0, 2, 1)
    found = decode(encode(type(sample)({"a": image, "b": turned}, {}, {}, "", "", (0, 0, 2, 2))))
    np.testing.assert_array_equal(found.images["a"], image)
    np.testing.assert_array_equal(found.images["b"], turned)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0, "U16"),
        (65535, "U16"),
        (65536, "F32"),
        (-1, "F32"),
        (-0.0, "F32"),
        (0.5, "F32"),
        (np.nan, "F32"),
        (np.inf, "F32"),
    ],
)
def test_codes_are_kept_in_16_bits_and_nothing_else_is(value: float, kept: str) -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    image[0, 2, 1] = value  # not in the first row
    data = encode(Sample({"mosaic": image}, {}, {"iso": 1.0}, "", "", (0, 0, 4, 4)))
    (length,) = struct.unpack("<Q", data[:8])
    told = json.loads(data[8 : 8 + length])["images/mosaic"]
    assert told["dtype"] == kept
    found = decode(data).images["mosaic"]
    assert found.dtype == np.float32
    assert found.tobytes() == image.tobytes()


def test_blobs_are_what_safetensors_writes_but_for_the_order() -> None:
    sample = sample_of(3)
    arrays = safetensors.numpy.load(encode(sample))
    np.testing.assert_array_equal(arrays["images/out"], sample.images["out"])
    assert arrays["images/image"].dtype == np.uint16
    assert arrays["metadata/iso"].shape == ()


def test_a_changed_bit_is_found_and_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    path = path_of(run.path, stored.digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=f"{stored.digest}.safetensors is damaged"):
        read_blob(run.path, stored.digest)
    put_blob(run.path, sample_of(1))
    assert read_blob(run.path, stored.digest).raw == "a.dng", "written again it is whole again"


def test_some_images_are_read_without_the_others(tmp_path: Path) -> None:
    run, sample = made(tmp_path / "run"), sample_of(1)
    stored = put_blob(run.path, sample)
    found = read_some(run.path, stored.digest, ["out", "there is none"])
    assert list(found.images) == ["out"]
    np.testing.assert_array_equal(found.images["out"], sample.images["out"])
    np.testing.assert_equal(dict(found.metadata), dict(sample.metadata))
    assert (found.settings, found.part, found.raw) == (sample.settings, sample.part, sample.raw)
    assert read_some(run.path, stored.digest, []).images == {}
    path = path_of(run.path, stored.digest)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(StoreError, match="lies beyond its end"):
        read_some(run.path, stored.digest, sample.images)


def test_a_missing_blob_a_link_and_a_device_are_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    path = path_of(run.path, stored.digest)
    elsewhere = path.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is missing"):
        read_blob(run.path, stored.digest)
    path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="it is a link"):
        read_blob(run.path, stored.digest)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="no regular file"):
        read_blob(run.path, stored.digest)


@pytest.mark.parametrize("digest", ["", "../../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_the_name_of_a_blob_leads_nowhere_else(tmp_path: Path, digest: str) -> None:
    with pytest.raises(StoreError, match="not the name of a blob"):
        path_of(tmp_path, digest)


def header(text: str | bytes, length: int | None = None) -> bytes:
    """A file with that header and no data."""
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data) if length is None else length) + data


class Evil:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("unpickled",)


GOOD_NOTE = {"settings": {}, "type": "", "raw": "", "part": [0, 0, 1, 1], "seconds": 0.0, "extra": {}}
IMAGE = {"images/a": np.zeros((1, 2, 2), np.float32)}


def noted(note: object, arrays: dict[str, np.ndarray] = IMAGE) -> bytes:
    return safetensors.numpy.save(arrays, {"sample": json.dumps(note)})


HOSTILE = {
    "nothing": b"",
    "shorter than a length": b"\1\2\3",
    "a pickle": pickle.dumps(Evil()),
    "a header longer than the file": header("{}", 1 << 62),
    "a header that is no JSON": header("{,}"),
    "a header that is no UTF-8": header(b"\xff\xfe{}"),
    "a header that is a list": header("[]"),
    "a header nested too deeply": header('{"a":' * 100_000),
    "a tensor beyond the file": header(
        json.dumps(
            {
                "__metadata__": {"sample": json.dumps(GOOD_NOTE)},
                "images/a": {"dtype": "F32", "shape": [1, 1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]},
            }
        )
    ),
    "no note": safetensors.numpy.save(IMAGE),
    "a note that is no object": noted([1]),
    "a note nested too deeply": safetensors.numpy.save(IMAGE, {"sample": "[" * 100_000}),
    "a part of three numbers": noted({**GOOD_NOTE, "part": [0, 0, 1]}),
    "something unknown in the note": noted({**GOOD_NOTE, "run": "rm"}),
    "an image of float64": noted(GOOD_NOTE, {"images/a": np.zeros((1, 2, 2))}),
    "an image of two dimensions": noted(GOOD_NOTE, {"images/a": np.zeros((2, 2), np.float32)}),
    "a tensor that is neither image nor metadata": noted(GOOD_NOTE, {"weights": np.zeros((1, 2, 2), np.float32)}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_blobs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    run, data = made(tmp_path / "run"), HOSTILE[kind]
    digest = hashlib.sha256(data).hexdigest()
    path = path_of(run.path, digest)
    path.parent.mkdir()
    path.write_bytes(data)
    for read in (read_blob, lambda folder, digest: read_some(folder, digest, ["a"])):
        with pytest.raises(StoreError, match=digest) as caught:
            read(run.path, digest)
        assert "it is no safetensors file" in caught.value.message or "it holds no sample" in caught.value.message
    assert not (tmp_path / "unpickled").exists()


def test_a_good_blob_made_by_hand_is_read() -> None:
    assert decode(noted(GOOD_NOTE)).part == (0, 0, 1, 1)


def test_a_blob_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    monkeypatch.setattr(blobs, "LARGEST", stored.bytes - 1)
    with pytest.raises(StoreError, match="more than"):
        read_blob(run.path, stored.digest)
