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
