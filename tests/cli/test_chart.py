"""`ispdsl chart` makes a raw, and never over the one that it reads."""

from __future__ import annotations

import json
from pathlib import Path

import ispdsl
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.cli.conftest import Invoke


def test_a_chart_is_a_raw(invoke: Invoke, tmp_path: Path) -> None:
    raw, chart = tmp_path / "raw.dng", tmp_path / "charts" / "chart.dng"
    write_dng(raw, synthesise(sample_photo("motorcycle", 64), seed=1, cfa="gbrg"))
    result = invoke("chart", raw, "-o", chart, "--size", "64", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"chart": str(chart), "cfa": "gbrg", "size": [64, 64], "seed": 0}
    assert (ispdsl.read(chart).cfa, ispdsl.read(chart).size) == ("gbrg", (64, 64))


def test_the_raw_is_not_written_over(invoke: Invoke, tmp_path: Path) -> None:
    raw = tmp_path / "raw.dng"
    write_dng(raw, synthesise(sample_photo("motorcycle", 64), seed=1))
    before = raw.read_bytes()
    result = invoke("chart", raw, "-o", raw)
    assert result.exit_code == 2
    assert "is the raw, and the chart would overwrite it" in result.stderr
    assert raw.read_bytes() == before


def test_what_is_no_dng_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("chart", tmp_path / "raw.dng", "-o", tmp_path / "chart.png").exit_code == 2
