"""`ispdsl runs`: what is in a run directory, going on with it, tidying it up, and exporting it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from ispdsl.proxies.card import Card
from ispdsl.store.blobs import path_of
from ispdsl.store.export import read_shard
from ispdsl.store.runs import Run, fail, forget, open_run, put, put_blob, rows
from tests.cli.conftest import Invoke
from tests.cli.test_run_backend import file, raw
from tests.store.made import HEAD, files_below, key_of, made, sample_of

__all__ = ["file", "raw"]

CARD = {
    "task": {"name": "tone", "inputs": [], "outputs": [], "footprint": {"kind": "pointwise"}},
    "nodes": ["tone"],
    "watched": [["image"], ["out"]],
    "network": "pointwise",
    "error": {"psnr": 41.5},
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of three samples and three failures."""
    run = made(tmp_path / "runs" / "first")
    for number in range(3):
        put(run, sample_of(number), key_of(number), number)
    for number, fault in ((3, "crash"), (4, "hang"), (5, "crash")):
        fail(run, key_of(number), number, fault, f"number {number} failed")
    return run


def test_runs_are_listed(invoke: Invoke, run: Run, tmp_path: Path) -> None:
    broken = made(tmp_path / "runs" / "second")
    (broken.path / "ledger.sqlite").unlink()
    result = invoke("runs", "ls", tmp_path)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{run.path}  photo_finish by composite, ispdsl 0.1.0: 3 of 10 samples, 3 failed, ")
    assert second.startswith(f"{broken.path}  ")
    assert "ledger.sqlite is missing" in second
    listed = json.loads(invoke("runs", "ls", tmp_path, "--json").stdout)
    assert [each["path"] for each in listed] == [str(run.path), str(broken.path)]
    assert (listed[0]["samples"], listed[0]["count"], listed[0]["failed"]) == (3, 10, 3)
    assert listed[0]["bytes"] == sum(row.bytes for row in rows(run))
    empty = invoke("runs", "ls", run.path / "blobs")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "there is no run" in empty.stderr
    assert invoke("runs", "ls", tmp_path / "nowhere").exit_code == 3


def test_a_run_is_shown(invoke: Invoke, run: Run) -> None:
    doubles = run.path / "doubles" / "unet"
    doubles.mkdir(parents=True)
    (doubles / "tone.safetensors").write_bytes(b"")
    (doubles / "tone.json").write_text(Card.model_validate(CARD).model_dump_json())
    (doubles / "bare.safetensors").write_bytes(b"")
    result = invoke("runs", "show", run.path)
    assert result.exit_code == 0, result.stderr
    for line in (
        "  pipeline  photo_finish of photo_finish",
        "  design    kind latin, side 8, seed 3",
        "  watched   image, out",
        "  raw       a.dng (training)",
        "  failed    2 by crash: number 3 failed",
        "  failed    1 by hang: number 4 failed",
        "  double    tone (unet), pointwise: psnr 41.5",
    ):
        assert line in result.stdout.splitlines()
    assert "bare (unet)" in result.stdout
    told = json.loads(invoke("runs", "show", run.path, "--json").stdout)
    assert told["head"] == HEAD.model_dump(mode="json")
    assert told["failures"]["crash"] == {"count": 2, "example": "number 3 failed"}
    assert {each["name"]: each.get("error") for each in told["doubles"]} == {"tone": {"psnr": 41.5}, "bare": None}
    assert "damaged" not in told


def test_what_is_damaged_is_named_and_forgotten(invoke: Invoke, run: Run) -> None:
    assert "every sample reads back" in invoke("runs", "show", run.path, "--check").stdout
    path = path_of(run.path, rows(run)[1].blob)
    path.write_bytes(path.read_bytes()[:100])
    result = invoke("runs", "show", run.path, "--check")
    assert result.exit_code == 1
    assert f"sample 1: {path} is damaged" in result.stdout
    assert "gc --damaged" in result.stderr
    told = json.loads(invoke("runs", "show", run.path, "--check", "--json").stdout)
    assert [each["key"] for each in told["damaged"]] == [key_of(1)]
    tidied = json.loads(invoke("runs", "gc", run.path, "--damaged", "--json").stdout)
    assert tidied == {"files": 0, "bytes": 0, "forgotten": 1}, "the file itself is young"
    assert [row.number for row in rows(run)] == [0, 2]


def test_orphans_are_collected(invoke: Invoke, run: Run) -> None:
    orphan = path_of(run.path, put_blob(run.path, sample_of(9)).digest)
    size = orphan.stat().st_size
    assert invoke("runs", "gc", run.path).stdout == "0 files deleted, 0 bytes\n"
    long_ago = time.time() - 100
    os.utime(orphan, (long_ago, long_ago))
    assert json.loads(invoke("runs", "gc", run.path, "--json").stdout) == {"files": 1, "bytes": size, "forgotten": 0}
    assert not orphan.exists()
    assert len(files_below(run.path / "blobs")) == 3


def test_a_run_is_exported(invoke: Invoke, run: Run, tmp_path: Path) -> None:
    result = invoke("runs", "export", run.path, "-o", tmp_path / "out", "--per-shard", "2", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [len(list(read_shard(Path(shard)))) for shard in found["shards"]] == [2, 1]
    assert Path(found["index"]).is_file()
    again = invoke("runs", "export", run.path, "-o", tmp_path / "out")
    assert again.exit_code == 3
    assert "holds an export already" in again.stderr


@pytest.mark.parametrize("command", ["show", "gc", "resume"])
def test_a_folder_that_is_no_run_is_refused(invoke: Invoke, tmp_path: Path, command: str) -> None:
    result = invoke("runs", command, tmp_path, "--json")
    assert result.exit_code == 3
    assert "is no run" in json.loads(result.stderr)["error"]


def test_a_run_that_was_not_sampled_cannot_be_resumed(invoke: Invoke, run: Run) -> None:
    result = invoke("runs", "resume", run.path)
    assert result.exit_code == 2
    assert "was not made by `ispdsl sample`" in result.stderr


@pytest.mark.parametrize("words", [["--surprise"], ["--help"], ["--count", "many"]])
def test_a_recorded_command_that_is_none_is_told(invoke: Invoke, tmp_path: Path, words: list[str]) -> None:
    from ispdsl.store.runs import create

    run = create(tmp_path / "run", HEAD.model_copy(update={"command": ("ispdsl", "sample", *words)}))
    result = invoke("runs", "resume", run.path)
    assert result.exit_code == 2
    assert "does not know the command that made it" in result.stderr


def test_a_run_goes_on_from_anywhere_and_permissions_are_given_anew(
    invoke: Invoke, file: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(raw.parent)
    words = ["sample", str(file), raw.name, "-o", str(tmp_path / "deep" / "run"), "-n", "3", "--size", "16", "-j", "1"]
    words += ["--backend", "command", "--vary", "lift.gain=0.5..1", "--allow-exec"]
    monkeypatch.setattr(sys, "argv", ["ispdsl", *words])
    made = invoke(*words)
    assert made.exit_code == 0, made.stderr
    run = open_run(tmp_path / "deep" / "run")
    before = rows(run)
    assert len(before) == 3
    assert forget(run, [before[1].key]) == 1
    monkeypatch.chdir(tmp_path / "deep")
    denied = invoke("runs", "resume", "run")
    assert denied.exit_code == 4
    assert "--allow-exec" in denied.stderr
    assert len(rows(run)) == 2
    result = invoke("runs", "resume", "run", "--allow-exec", "-j", "2", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["made"], told["present"]) == (1, 2)
    assert [(row.key, row.blob) for row in rows(run)] == [(row.key, row.blob) for row in before]
