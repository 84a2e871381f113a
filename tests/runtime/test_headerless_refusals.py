"""A mosaic without a header is never guessed at: its description is there and right, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ispdsl.runtime.frame import RawError
from ispdsl.runtime.rawfile import read


def mosaic(folder: Path) -> Path:
    path = folder / "a.raw"
    path.write_bytes(bytes(768 * 512 * 2))
    return path


def test_without_a_description(tmp_path: Path) -> None:
    with pytest.raises(RawError, match="without a header") as caught:
        read(mosaic(tmp_path))
    assert "a.raw.json" in caught.value.hint


@pytest.mark.parametrize("beside", [True, False])
def test_with_half_a_description(tmp_path: Path, beside: bool) -> None:
    path = mosaic(tmp_path)
    description = tmp_path / ("a.raw.json" if beside else "other.json")
    description.write_text(json.dumps({"dtype": "u16le", "w": 768, "h": 512}))
    with pytest.raises(RawError, match="cfa is missing"):
        read(path, None if beside else str(description))


@pytest.mark.parametrize("cfa", ["xtrans", "linear", "rgbg", 3])
def test_another_pattern_than_bayer_is_refused_with_the_way_out(tmp_path: Path, cfa: object) -> None:
    path = mosaic(tmp_path)
    description = {"dtype": "u16le", "w": 768, "h": 512, "cfa": cfa}
    (tmp_path / "a.raw.json").write_text(json.dumps(description))
    with pytest.raises(
        RawError, match=f"cfa {cfa!r} cannot be read: without a header only 2x2 Bayer mosaics"
    ) as caught:
        read(path)
    assert "LinearRaw DNG" in caught.value.hint
    assert "keys" not in caught.value.hint


def test_a_wrong_pattern_beside_a_wrong_key_lists_the_keys(tmp_path: Path) -> None:
    path = mosaic(tmp_path)
    (tmp_path / "a.raw.json").write_text(json.dumps({"dtype": "u16le", "w": 768, "hh": 512, "cfa": "xtrans"}))
    with pytest.raises(RawError, match=r"only 2x2 Bayer.*unknown key 'hh'") as caught:
        read(path)
    assert "these keys: bits, black" in caught.value.hint
