"""A full disk: it is said, nothing half-written is acknowledged, and what was there stays."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ispdsl.store.disk import write_durably
from ispdsl.store.errors import DiskError
from ispdsl.store.export import export_shards
from ispdsl.store.runs import create, open_run, put, rows, samples
from tests.store.made import HEAD, files_below, key_of, made, sample_of

ROOT = Path(__file__).parents[2]


CASES = [
    *(("write", code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)),
    *((step, errno.ENOSPC) for step in ("open", "fsync", "replace")),
]


@pytest.mark.parametrize(("step", "code"), CASES)
def test_a_blob_that_cannot_be_written_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(0), key_of(0), 0)
    before = files_below(run.path / "blobs")
    opened, half, written = os.open, os.write, []

    def fails(*_args: object) -> int:
        raise OSError(code, os.strerror(code))

    def some(handle: int, data: memoryview) -> int:
        """Half of it is written, and no more at the next call."""
        if written:
            fails()
        written.append(half(handle, data[: len(data) // 2]))
        return written[0]

    def unless_draft(path: Path, flags: int, mode: int = 0o777) -> int:
        return fails() if flags & os.O_EXCL else opened(path, flags, mode)

    where, what = {"open": (os, unless_draft), "write": (os, some), "fsync": (os, fails), "replace": (Path, fails)}[
        step
    ]
    with monkeypatch.context() as broken:
        broken.setattr(where, step, what)
        with pytest.raises(DiskError, match="cannot write") as caught:
            put(run, sample_of(1), key_of(1), 1)
    assert ("the disk is full" in caught.value.message) == (code != errno.EIO)
    assert [row.number for row in rows(open_run(run.path))] == [0]
    assert files_below(run.path / "blobs") == before
    assert files_below(run.path / "drafts") == set()
    assert put(run, sample_of(1), key_of(1), 1), "with room again it goes on"


def test_an_old_file_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "a", b"old")

    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskError, match="the disk is full"):
        write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert files_below(tmp_path) == {"a"}
    with pytest.raises(DiskError, match="the disk is full"):
        create(tmp_path / "run", HEAD)


def test_an_export_to_a_full_disk_has_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "run")
    put(run, sample_of(0), key_of(0), 0)

    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskError, match="the disk is full"):
        export_shards(run, tmp_path / "out")
    assert files_below(tmp_path / "out") == set()


LIMITED = """
import resource, sys
from contextlib import nullcontext
from pathlib import Path
from ispdsl.store.errors import DiskError
from ispdsl.store.runs import held, open_run, put
from tests.store.made import sample_of
run, side, hold = open_run(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3] == "held"
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
with held(run.path) if hold else nullcontext():
    for number in range(10_000):
        try:
            put(run, sample_of(number, side), f"{number}." + "k" * 150, number)
        except DiskError as error:
            print(f"full {error.message}")
            break
        print(f"kept {number}", flush=True)
"""


@pytest.mark.parametrize(("side", "hold", "where"), [(100, "", "blobs"), (2, "", "ledger"), (2, "held", "ledger")])
def test_no_file_may_grow(tmp_path: Path, side: int, hold: str, where: str) -> None:
    """A limit of the system itself: first a blob is too large, then the ledger and its log are."""
    run = made(tmp_path / "run")
    words = [sys.executable, "-c", LIMITED, str(run.path), str(side), hold]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    *kept, last = found.stdout.splitlines()
    assert last.startswith("full cannot write")
    assert where in last
    assert "disk is full" in last
    numbers = [int(line.removeprefix("kept ")) for line in kept]
    again = open_run(run.path)
    assert [row.number for row in rows(again)] == numbers
    assert [sample.images["image"][0, 0, 0] for sample in samples(again)] == numbers
    assert files_below(run.path / "drafts") == set()
    assert (len(numbers) > 0) == (where == "ledger")
    assert put(again, sample_of(1), "another", 1), "with room again it goes on"
