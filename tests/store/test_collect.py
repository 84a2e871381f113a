"""Tidying up: what nobody acknowledged goes after a minute, everything else stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ispdsl.store.blobs import path_of
from ispdsl.store.collect import Collected, damaged, gc, runs_below
from ispdsl.store.runs import acknowledge, forget, put, put_blob, rows
from tests.store.made import files_below, key_of, made, sample_of


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_only_orphans_older_than_a_minute_go(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(0), key_of(0), 0)
    kept = aged(path_of(run.path, rows(run)[0].blob), 3600)
    young = aged(path_of(run.path, put_blob(run.path, sample_of(1)).digest), 50)
    old = aged(path_of(run.path, put_blob(run.path, sample_of(2)).digest), 70)
    drafts = [run.path / "drafts" / name for name in (".young.tmp", ".old.tmp")]
    for path, seconds in zip(drafts, (50, 70), strict=True):
        path.write_bytes(b"half")
        aged(path, seconds)
    foreign = run.path / "blobs" / "notes.txt"
    foreign.write_text("somebody's own")
    aged(foreign, 3600)
    size = old.stat().st_size
    assert gc(run) == Collected(2, size + 4)
    assert all(path.exists() for path in (kept, young, drafts[0], foreign))
    assert not old.exists()
    assert not drafts[1].exists()
    assert gc(run) == Collected(0, 0)


def test_what_is_written_again_is_young_again(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    aged(path_of(run.path, stored.digest), 3600)
    assert put_blob(run.path, sample_of(1)) == stored
    assert gc(run) == Collected(0, 0)
    assert acknowledge(run, key_of(1), 1, stored, 0.0)


def test_nothing_outside_of_the_run_is_collected(tmp_path: Path) -> None:
    run, other = made(tmp_path / "run"), made(tmp_path / "other")
    path = aged(path_of(other.path, put_blob(other.path, sample_of(1)).digest), 3600)
    (run.path / "blobs" / path.parent.name).symlink_to(path.parent)
    assert gc(run) == Collected(0, 0)
    assert path.exists()


def test_more_orphans_than_are_looked_at_at_once(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    for number in range(300):
        aged(run.path / "drafts" / f".{number}.tmp", 3600) if (run.path / "drafts" / f".{number}.tmp").write_bytes(
            b"x"
        ) else None
    assert gc(run) == Collected(300, 300)


def test_what_is_damaged_is_named_and_can_be_made_again(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    for number in range(4):
        put(run, sample_of(number), key_of(number), number)
    paths = [path_of(run.path, row.blob) for row in rows(run)]
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    paths[3].unlink()
    found = list(damaged(run))
    assert [row.number for row, _ in found] == [1, 3]
    assert [why.split("/")[-1] for _, why in found] == [
        f"{paths[1].name} is damaged: its content is not what its name says",
        f"{paths[3].name} is missing",
    ]
    assert forget(run, [row.key for row, _ in found]) == 2
    assert put(run, sample_of(1), key_of(1), 1)
    assert put(run, sample_of(3), key_of(3), 3)
    assert list(damaged(run)) == []


def test_runs_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/deep/run", "b/inside", ".hidden/run"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        made(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert runs_below(tmp_path) == [tmp_path / "a/deep/run", tmp_path / "b"]
    assert runs_below(tmp_path / "b") == [tmp_path / "b"]
    assert files_below(tmp_path / "a") >= {"deep/run/run.json"}
