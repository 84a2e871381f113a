"""Which packages are loaded, and what is said of those that are not. None of these holds native code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from ispdsl.backends.built import load_built
from ispdsl.backends.package import (
    RECORD,
    Image,
    Number,
    Record,
    check_machine,
    known,
    record_of,
    remember,
    store,
    this_machine,
)
from ispdsl.errors import FileError


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def record(**more: Any) -> Record:
    whole: dict[str, Any] = {
        "ispdsl": "0",
        "machine": this_machine(),
        "compiler": "g++",
        "pipeline": "main",
        "sha256": "0" * 64,
        "slots": (),
        "images": (Image(name="image", type="rgb<camera, f32>", planes=3),),
        "size": None,
        "smallest": 2,
        "settings": (),
        "metadata": (),
        "previous": (),
        "outputs": (Image(name="out", type="rgb<camera, f32>", planes=3),),
        "taps": (),
        "statistics": (),
        "errors": {"out": 1e-7},
        "seconds": 1.0,
    }
    return Record(**(whole | more))


def package(path: Path, text: str | None = None, **more: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/extra/{RECORD}", record(**more).model_dump_json() if text is None else text)
    return path


def test_a_stranger_s_package_is_refused_unless_it_is_trusted(tmp_path: Path):
    path = package(tmp_path / "one.pt2")
    with pytest.raises(FileError, match=r"holds native code.*--trust-package"):
        load_built(path)
    with pytest.raises(FileError, match=r"cannot be loaded.*build it again"):
        load_built(path, trust=True)  # which goes as far as the native code that is not there


def test_one_s_own_package_is_known_until_it_changes(tmp_path: Path):
    path = package(tmp_path / "one.pt2")
    digest = remember(path, "main")
    assert [(each.sha256, each.file) for each in known()] == [(digest, str(path))]
    assert store().stat().st_mode & 0o077 == 0
    with pytest.raises(FileError, match="cannot be loaded"):
        load_built(path)
    moved = path.rename(tmp_path / "two.pt2")
    with pytest.raises(FileError, match="cannot be loaded"):
        load_built(moved)  # it is the content that is known
    package(moved, pipeline="other")
    with pytest.raises(FileError, match="holds native code"):
        load_built(moved)
    assert len({remember(package(path, seconds=second), "main") for second in (1.0, 2.0)}) == 2
    assert len(known()) == 1, "what was built over is forgotten"


def test_a_list_that_others_may_write_to_or_that_is_damaged_counts_for_nothing(tmp_path: Path):
    path = package(tmp_path / "one.pt2")
    remember(path, "main")
    store().chmod(0o622)
    with pytest.raises(FileError, match=r"others may write to .*chmod go-w"):
        load_built(path)
    store().chmod(0o600)
    store().write_text("{")
    with pytest.raises(FileError, match="is damaged; remove"):
        load_built(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torch": "1.0"}, "was built for torch 1.0, and this is"),
        ({"isa": "NEON"}, "was built for isa NEON"),
        ({"architecture": "sparc"}, "was built for architecture sparc"),
        ({"system": "Plan9"}, "was built for system Plan9"),
        ({"features": ("avx1024", "sse2")}, "a processor with avx1024"),
    ],
)
def test_another_machine_is_refused_before_anything_is_loaded(tmp_path: Path, change: dict[str, Any], message: str):
    path = package(tmp_path / "one.pt2", machine=this_machine().model_copy(update=change))
    with pytest.raises(FileError, match=message):
        load_built(path, trust=True)


def test_cuda_is_refused_without_a_device(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    built = this_machine().model_copy(update={"device": "cuda", "capability": "9.0"})
    with pytest.raises(FileError, match="there is no CUDA device"):
        check_machine(built, "one.pt2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not well formed"),
        ("[]", "not well formed"),
        ('{"format": 2}', "another version of ispdsl"),
        ('{"format": 1}', "not well formed"),
        ("[" * 100_000, "not well formed"),
    ],
)
def test_a_damaged_record_is_an_error(tmp_path: Path, text: str, message: str):
    with pytest.raises(FileError, match=message):
        record_of(package(tmp_path / "one.pt2", text))


def test_what_is_no_package_is_an_error(tmp_path: Path):
    plain = tmp_path / "plain.pt2"
    plain.write_bytes(b"no zip")
    with pytest.raises(FileError, match="damaged, or no package"):
        record_of(plain)
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("plain/version", "1")
    with pytest.raises(FileError, match="no package of ispdsl"):
        record_of(plain)
    with pytest.raises(FileError, match="there is no package"):
        record_of(tmp_path / "none.pt2")
    with pytest.raises(FileError, match="cannot be read"):
        load_built(tmp_path / "none.pt2")
    number = Number(name="gain.amount", shape=())
    with pytest.raises(FileError, match="no parameter gain"):
        record_of(package(plain, settings=(number,)))


def test_a_record_comes_back_as_it_was_written(tmp_path: Path):
    assert record_of(package(tmp_path / "one.pt2")) == record()
