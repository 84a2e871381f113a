"""PNGs written in strips by several threads are what one thread would write, and what others read."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ispdsl.runtime import strips
from ispdsl.runtime.png import combined, encode_png


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (37, 5, 1), (150, 31, 3)])
def test_strips_are_one_picture(
    kind: type[np.uint8 | np.uint16], shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels: Any = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape).astype(kind)
    plain = encode_png(pixels, None)
    monkeypatch.setattr(strips, "BYTES", 7 * pixels[:1].nbytes)
    cut = encode_png(pixels, None)
    assert cut.count(b"IDAT") == -(-shape[0] // 7) + 1
    if shape[2] == 3 and kind is np.uint16:
        return  # Pillow reads eight bits of such a picture
    for data in (plain, cut):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))).reshape(shape), pixels)


def test_the_stream_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(2).integers(0, 65535, (40, 9, 3)).astype(np.uint16)
    monkeypatch.setattr(strips, "BYTES", 500)
    data, at, stream = encode_png(pixels, None), 8, b""
    while at < len(data):
        length, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        stream += data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(40, -1)
    assert (lines[:, 0] == 2).all()
    found = np.cumsum(lines[:, 1:], axis=0, dtype=np.uint8).view(">u2").reshape(pixels.shape)
    assert np.array_equal(found, pixels)


def test_checksums_are_combined() -> None:
    rng = np.random.default_rng(3)
    for first, second in ((0, 5), (7, 0), (70_000, 200_000)):
        one, two = rng.bytes(first), rng.bytes(second)
        assert combined(zlib.adler32(one), zlib.adler32(two), second) == zlib.adler32(one + two)


def test_threads_take_strips_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "BYTES", 10)
    found = strips.in_strips(lambda rows: (rows.start, rows.stop), 7, 5)
    assert found == [(0, 2), (2, 4), (4, 6), (6, 7)]
