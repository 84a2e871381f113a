"""Run directories: made once, opened as what they are, and what is put into them stays."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ispdsl.store import runs
from ispdsl.store.blobs import Stored, path_of
from ispdsl.store.errors import StoreError
from ispdsl.store.runs import (
    Entry,
    RawHead,
    acknowledge,
    acknowledge_all,
    create,
    done_keys,
    fail,
    failures,
    forget,
    get,
    held,
    open_run,
    place,
    put,
    put_blob,
    rows,
    samples,
)
from tests.store.made import HEAD, files_below, key_of, made, sample_of


def test_what_is_put_is_there_in_the_order_of_numbers(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    for number in (2, 0, 1):
        assert put(run, sample_of(number), key_of(number), number)
    again = open_run(tmp_path / "run")
    assert again == run
    assert [row.number for row in rows(again)] == [0, 1, 2]
    assert done_keys(again) == {key_of(number) for number in range(3)}
    assert [sample.images["image"][0, 0, 0] for sample in samples(again)] == [0.0, 1.0, 2.0]
    first = rows(again)[0]
    assert first.seconds == 0.25
    assert first.bytes == path_of(run.path, first.blob).stat().st_size
    np.testing.assert_array_equal(get(again, first.blob).images["out"], sample_of(0).images["out"])


def test_a_key_is_kept_once(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    assert put(run, sample_of(1), key_of(1), 1)
    before = rows(run)
    assert not put(run, sample_of(2), key_of(1), 2)
    assert rows(run) == before
    assert len(files_below(run.path / "blobs")) == 1, "the second was not even written"
    late = put_blob(run.path, sample_of(3))
    assert not acknowledge(run, key_of(1), 3, late, 0.0)
    assert rows(run) == before


def test_a_blob_that_is_gone_is_not_acknowledged(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(1))
    path_of(run.path, stored.digest).unlink()
    with pytest.raises(StoreError, match="not there any more"):
        acknowledge(run, key_of(1), 1, stored, 0.0)
    with pytest.raises(StoreError, match="not the name of a blob"):
        acknowledge(run, key_of(1), 1, Stored("../../run.json", 1), 0.0)
    assert rows(run) == []


@pytest.mark.parametrize("key", ["", "a/b", "ü", "a" * 201, "a\n"])
def test_a_key_is_a_plain_word(tmp_path: Path, key: str) -> None:
    run = made(tmp_path / "run")
    with pytest.raises(StoreError, match="is not a key"):
        put(run, sample_of(1), key, 1)


def test_failures_are_kept_until_a_later_try_gives_the_sample(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    fail(run, key_of(1), 1, "crash", "it crashed")
    fail(run, key_of(1), 1, "hang", "it hung")
    fail(run, key_of(2), 2, "crash", "it crashed")
    assert [(each.number, each.fault, each.message) for each in failures(run)] == [
        (1, "hang", "it hung"),
        (2, "crash", "it crashed"),
    ]
    assert put(run, sample_of(1), key_of(1), 1)
    assert [each.number for each in failures(run)] == [2]
    fail(run, key_of(1), 1, "crash", "another process came too late")
    assert [each.number for each in failures(run)] == [2]


def test_what_is_forgotten_can_be_put_again(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(1), key_of(1), 1)
    assert forget(run, [key_of(1), key_of(1), key_of(2)]) == 1
    assert rows(run) == []
    assert put(run, sample_of(1), key_of(1), 1)


def test_a_run_is_not_made_over_another(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    with pytest.raises(StoreError, match="holds a run already"):
        create(run.path, HEAD)
    put(run, sample_of(1), key_of(1), 1)
    with pytest.raises(StoreError, match="holds a run already"):
        create(run.path, HEAD)
    (run.path / "run.json").unlink()
    with pytest.raises(StoreError, match="holds a run already"):
        create(run.path, HEAD)
    assert len(files_below(run.path / "blobs")) == 1


def test_a_run_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    (run.path / "run.json").unlink()
    with pytest.raises(StoreError, match="is no run"):
        open_run(run.path)
    assert create(run.path, HEAD) == open_run(run.path)
    (run.path / "run.json").unlink()
    (run.path / "ledger.sqlite").write_bytes(b"")
    assert create(run.path, HEAD) == open_run(run.path)


def test_the_ledger_is_safe_against_power_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAL and synchronous=FULL: each commit is synced before it is believed."""
    run = made(tmp_path / "run")
    with closing(sqlite3.connect(run.path / "ledger.sqlite")) as base:
        assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with runs.changing(run.path) as base:
        assert base.execute("PRAGMA synchronous").fetchone() == (2,)
        assert base.execute("PRAGMA busy_timeout").fetchone()[0] >= 10_000
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink()
        steps.append("sync folder" if name.is_dir() else f"sync {name.suffix}")
        sync(handle)

    def replaced(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.suffix} {target.suffix}")
        return replace(path, target)

    put_blob(run.path, sample_of(1))  # so that its folder is there
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    put_blob(run.path, sample_of(1))
    assert steps == ["sync .tmp", "rename .tmp .safetensors", "sync folder"]


def _damaged(text: str) -> str:
    return json.dumps({**json.loads(HEAD.model_dump_json()), **json.loads(text)})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "run.json is damaged"),
        ("[" * 100_000, "run.json is damaged"),
        ("[]", "the whole"),
        (_damaged('{"format": 99}'), "is of format 99"),
        (_damaged('{"surprise": 1}'), "surprise"),
        (_damaged('{"count": -1}'), "count"),
        (_damaged('{"pipeline": {"file": "a", "name": "b", "sha256": "c"}}'), "pipeline.sha256"),
        (_damaged('{"raws": [{"name": "../a", "path": "", "sha256": ""}]}'), "raws.0.name"),
    ],
)
def test_a_damaged_head_is_named(tmp_path: Path, text: str, why: str) -> None:
    run = made(tmp_path / "run")
    (run.path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"run\.json") as caught:
        open_run(run.path)
    assert why in caught.value.message


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/a", "..\\a", "a\0b", "a\nb", "a" * 256])
def test_no_name_in_a_run_leads_outside(tmp_path: Path, name: str) -> None:
    run = made(tmp_path / "run")
    with pytest.raises(StoreError, match="not the plain name"):
        place(run, "doubles", name)
    with pytest.raises(ValidationError, match="not the plain name"):
        RawHead(name=name, path="", sha256="")
    assert place(run, "doubles", "default", "tone") == run.path / "doubles" / "default" / "tone"


def test_two_raws_of_a_run_have_two_names() -> None:
    raw = HEAD.raws[0].model_dump()
    with pytest.raises(ValidationError, match=r"two raws are named a\.dng"):
        type(HEAD).model_validate({**HEAD.model_dump(), "raws": [raw, raw]})


def test_a_run_with_links_to_elsewhere_is_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    (run.path / "blobs").rename(tmp_path / "blobs")
    with pytest.raises(StoreError, match="blobs is missing"):
        open_run(run.path)
    (run.path / "blobs").symlink_to(tmp_path / "blobs")
    with pytest.raises(StoreError, match="is a link"):
        open_run(run.path)


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    stored = put_blob(run.path, sample_of(0))
    with held(run.path):
        for number in range(40):
            acknowledge(run, key_of(number), number, stored, 0.0)
    path = run.path / "ledger.sqlite"
    whole = path.read_bytes()
    assert len(whole) > 3 * 4096
    path.write_bytes(whole[:4096] + b"\x5a" * 4096 + whole[8192:])
    with pytest.raises(StoreError, match=r"ledger\.sqlite is damaged"):
        open_run(run.path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"ledger\.sqlite is damaged"):
        open_run(run.path)
    path.unlink()
    with pytest.raises(StoreError, match=r"ledger\.sqlite is missing"):
        open_run(run.path)
    assert not path.exists(), "looking for it does not make one"
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE samples (x)")
    with pytest.raises(StoreError, match="is not the ledger of a run"):
        open_run(run.path)


@pytest.mark.parametrize("blob", ["../../../../etc/passwd", "z" * 64, None])
def test_a_row_that_was_meddled_with_is_named(tmp_path: Path, blob: str | None) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(1), key_of(1), 1)
    with closing(sqlite3.connect(run.path / "ledger.sqlite")) as base, base:
        base.execute("UPDATE samples SET blob = ?", (blob if blob is not None else b"\0",))
    with pytest.raises(StoreError, match=r"ledger\.sqlite is damaged: the row of the key"):
        list(samples(run))


def test_a_run_can_be_read_where_nobody_may_write(tmp_path: Path) -> None:
    """As from a disc, in a process without the rights of root."""
    run = made(tmp_path / "run")
    put(run, sample_of(1), key_of(1), 1)
    program = (
        "import os, sys; from pathlib import Path; from ispdsl.store.runs import *\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "run = open_run(Path(sys.argv[1]))\n"
        "print(len(list(samples(run))))\n"
        "try: fail(run, 'a', 1, 'crash', '')\n"
        "except StoreError as error: print(type(error).__name__, error.message)\n"
    )
    for folder in (run.path, *(path for path in run.path.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    for folder in (tmp_path, *tmp_path.parents[:3]) if os.getuid() == 0 else ():
        folder.chmod(folder.stat().st_mode | 0o055)
    try:
        words = [sys.executable, "-c", program, str(run.path)]
        found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    finally:
        for folder in (run.path, *(path for path in run.path.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "1"
    assert lines[1].startswith("DiskError cannot write")


def test_a_run_may_be_moved_and_handed_to_others(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(1), key_of(1), 1)
    assert pickle.loads(pickle.dumps(run)) == run
    moved = tmp_path / "a #? folder %20"
    shutil.move(run.path, moved)
    assert len(list(samples(open_run(moved)))) == 1


def _late(path: Path, number: int) -> None:
    try:
        put(open_run(path), sample_of(number), key_of(number), number)
    except StoreError as error:
        os._exit(7 if "forked from" in error.message else 1)
    os._exit(0)


def test_a_ledger_that_is_held_open_is_refused_after_a_fork(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    forked = multiprocessing.get_context("fork")
    with held(run.path), held(run.path):
        assert put(run, sample_of(0), key_of(0), 0)
        child = forked.Process(target=_late, args=(run.path, 1))
        child.start()
        child.join(30)
        assert child.exitcode == 7
        assert put(run, sample_of(2), key_of(2), 2)
    child = forked.Process(target=_late, args=(run.path, 3))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert [row.number for row in rows(run)] == [0, 2, 3]


def test_several_are_acknowledged_together_or_none(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    assert put(run, sample_of(1), key_of(1), 1)
    entries = [Entry(key_of(n), n, put_blob(run.path, sample_of(n)), 0.5) for n in (0, 1, 2)]
    assert acknowledge_all(run, entries) == [True, False, True]
    assert [row.number for row in rows(run)] == [0, 1, 2]
    more = [Entry(key_of(n), n, put_blob(run.path, sample_of(n)), 0.5) for n in (3, 4)]
    path_of(run.path, more[1].stored.digest).unlink()
    with pytest.raises(StoreError, match="not there any more"):
        acknowledge_all(run, more)
    assert [row.number for row in rows(run)] == [0, 1, 2], "not the first of them either"
