"""`ispdsl sweep`: a picture for every point of a grid, a record, a sheet; it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Invoke
from tests.cli.test_run_backend import file, raw

__all__ = ["file", "raw"]


def test_every_point_has_a_picture_and_a_row(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    words = ("sweep", file, raw, "--vary", "lift.gain=0.5..1:3", "-o", tmp_path / "out", "--backend", "command")
    result = invoke(*words, "--allow-exec", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert [row["values"]["lift.gain"] for row in record["points"]] == ["0.5", "0.75", "1"]
    assert all((tmp_path / "out" / row["file"]).is_file() for row in record["points"])
    assert (tmp_path / "out" / "sheet.png").is_file()


def test_a_sweep_goes_on_where_it_stopped(invoke: Invoke, file: Path, raw: Path, tmp_path: Path) -> None:
    def words(values: str) -> tuple[object, ...]:
        return ("sweep", file, raw, "--vary", f"lift.gain={values}", "-o", tmp_path / "out", "--backend", "command")

    first = invoke(*words("1, 3"), "--allow-exec")
    assert first.exit_code == 4
    assert "the lens cap is on" in first.stderr
    assert invoke(*words("1, 2"), "--allow-exec").exit_code == 2
    kept = tmp_path / "out" / "lift.gain=1.png"
    before = kept.stat().st_mtime_ns
    again = invoke(*words("1, 2"), "--allow-exec", "--resume")
    assert again.exit_code == 0, again.stderr
    assert "1 of 2 points are there already" in again.stderr
    assert kept.stat().st_mtime_ns == before
    rows = json.loads((tmp_path / "out" / "sweep.json").read_text())["points"]
    assert [row["name"] for row in rows] == ["lift.gain=1", "lift.gain=2"]


def test_a_sweep_that_goes_on_with_another_setting_does_all_again(
    invoke: Invoke, file: Path, raw: Path, tmp_path: Path
) -> None:
    words = ("sweep", file, raw, "--vary", "lift.gain=1, 2", "-o", tmp_path / "out", "--backend", "command")
    assert invoke(*words, "--allow-exec").exit_code == 0
    again = invoke(*words, "--allow-exec", "--resume", "--set", "lift.lid=on")
    assert again.exit_code == 0, again.stderr
    assert "there already" not in again.stderr
    assert "2 developed" in again.stderr
    whole = invoke(*words, "--allow-exec", "--resume", "--set", "lift.lid=on")
    assert "2 of 2 points are there already" in whole.stderr
