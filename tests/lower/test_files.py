"""Imports: where they are looked for, what they bring, and what may lie there instead of a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ispdsl.diagnostics import IspError
from ispdsl.lower.imports import MAX_DEPTH
from ispdsl.lower.loader import empty_library, load, load_report
from ispdsl.lower.search import installed_stdlib
from tests.lower.texts import GAIN, pipeline

GAINED = "out = image -> gain"


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """The files in a folder; the path of the first."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / next(iter(files))


def gain_of(module_name: str) -> str:
    return GAIN.replace("my_isp.tone", module_name)


def target(path: Path) -> str:
    """The program of the only stage that a file uses."""
    (stage,) = load(path).stages.values()
    return stage.signature.implementations[0].target


def codes(path: Path) -> list[str]:
    return [d.code for d in load_report(path)[1].diagnostics]


# ---- where they are looked for -------------------------------------------------------------------------------


def test_the_search_goes_from_beside_to_the_project_to_the_installed_library(tmp_path: Path) -> None:
    main = {"work/deep/main.isp": "from tone import gain\n" + pipeline(GAINED)}
    beside = {"work/deep/tone.isp": gain_of("beside")}
    nearest = {"work/stdlib/tone.isp": gain_of("nearest")}
    farther = {"stdlib/tone.isp": gain_of("farther")}
    assert target(written(tmp_path / "a", main | beside | nearest | farther)) == "beside:gain"
    assert target(written(tmp_path / "b", main | nearest | farther)) == "nearest:gain"
    assert target(written(tmp_path / "c", main | farther)) == "farther:gain"
    path = written(tmp_path / "d", {"main.isp": "from tone import exposure\n" + pipeline("out = image -> exposure")})
    assert (installed_stdlib() / "tone.isp").is_file()
    assert target(path) == "ispdsl.programs.tone:exposure"


def test_a_dotted_name_is_a_path(tmp_path: Path) -> None:
    main = {"main.isp": "from looks.warm import gain\n" + pipeline(GAINED), "looks/warm.isp": gain_of("warm")}
    assert target(written(tmp_path, main)) == "warm:gain"


def test_quotes_name_a_path_and_never_the_library(tmp_path: Path) -> None:
    main = {
        "in/main.isp": 'from "../other/tone.isp" import gain\n' + pipeline(GAINED),
        "other/tone.isp": gain_of("other"),
    }
    assert target(written(tmp_path, main)) == "other:gain"
    assert codes(written(tmp_path / "x", {"main.isp": 'from "tone.isp" import exposure\n'})) == ["E207"]


def test_a_file_of_a_standard_name_may_import_the_standard_one(tmp_path: Path) -> None:
    text = "from tone import exposure\n" + pipeline("out = image -> exposure")
    assert codes(written(tmp_path, {"tone.isp": text})) == []


# ---- what they bring -----------------------------------------------------------------------------------------


def test_a_module_holds_what_it_uses_and_the_hashes_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = GAIN.replace("stage gain", "stage unused")
    files = {
        "main.isp": "from a import twice\n" + pipeline("out = image -> twice"),
        "a.isp": "from b import gain\n"
        + pipeline("out = image -> gain -> gain as again", signature="twice(image: rgb<S, f32>) -> (out: rgb<S, f32>)"),
        "b.isp": GAIN + unused,
    }
    path = written(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    module = load(path)
    assert set(module.files) == {"main.isp", "a.isp", "b.isp"}
    assert set(module.stages) == {"b.isp:gain"}
    assert set(module.pipelines) == {"main.isp:p", "a.isp:twice"}
    assert module.main == "main.isp:p"
    assert str(tmp_path) not in module.model_dump_json()


def test_the_main_pipeline_is_named_as_the_file_or_the_last(tmp_path: Path) -> None:
    names = ("first", "develop", "last")
    text = "".join(
        pipeline("out = image", signature=f"{name}(image: rgb<S, f32>) -> (out: rgb<S, f32>)") for name in names
    )
    assert str(load(written(tmp_path, {"develop.isp": text})).main).endswith("develop.isp:develop")
    assert str(load(written(tmp_path, {"other.isp": text})).main).endswith("other.isp:last")
    assert load(written(tmp_path, {"stages.isp": GAIN})).main is None


def test_errors_of_an_import_are_told_once_and_have_no_consequences(tmp_path: Path) -> None:
    files = {
        "main.isp": "from a import gain\nfrom b import lift\n" + pipeline("out = image -> gain(amount = 1%) -> lift"),
        "a.isp": "from c import broken\n" + GAIN,
        "b.isp": "from c import broken\n" + GAIN.replace("stage gain", "stage lift"),
        "c.isp": GAIN.replace("= 100%", "= 500%").replace("stage gain", "stage broken"),
    }
    with pytest.raises(IspError) as caught:
        load(written(tmp_path, files))
    assert [(d.code, Path(d.primary.source.name).name) for d in caught.value.report.errors] == [("E405", "c.isp")]


def test_names_that_the_parser_could_not_read_are_not_missed(tmp_path: Path) -> None:
    files = {
        "main.isp": "from a import gain, lift\n" + pipeline("out = image -> gain(amount = 1%, more = 2) -> lift"),
        "a.isp": GAIN.replace("program", "slider more in 0..4\n  program") + "lift(image: rgb<S, f32>) {\n}\n",
    }
    found = load_report(written(tmp_path, files))[1].diagnostics
    assert {Path(d.primary.source.name).name for d in found} == {"a.isp"}


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_circles_of_imports(length: int, tmp_path: Path) -> None:
    files = {
        f"f{n}.isp": f"from f{(n + 1) % length} import g{(n + 1) % length}\n" + GAIN.replace("gain(", f"g{n}(")
        for n in range(length)
    }
    path = written(tmp_path, files)
    found = load_report(path)[1].errors
    assert [d.code for d in found] == ["E209"]
    assert Path(found[0].primary.source.name).name == f"f{length - 1}.isp"


def test_imports_are_not_nested_without_end(tmp_path: Path) -> None:
    files = {f"f{n}.isp": f"from f{n + 1} import g{n + 1}\n" + GAIN.replace("gain(", f"g{n}(") for n in range(200)}
    found = load_report(written(tmp_path, files))[1].errors
    assert [d.code for d in found] == ["E209"]
    assert Path(found[0].primary.source.name).name == f"f{MAX_DEPTH}.isp"


# ---- what may lie there ----------------------------------------------------------------------------------------


@pytest.fixture
def soon() -> Iterator[None]:
    """Ends a test that waits for what never comes."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("soon")
def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.isp")  # opening it would wait for a writer
    (tmp_path / "folder.isp").mkdir()
    (tmp_path / "nowhere.isp").symlink_to("nothing")
    (tmp_path / "loop.isp").symlink_to("loop.isp")
    (tmp_path / "device.isp").symlink_to("/dev/zero")
    names = ("pipe", "folder", "nowhere", "loop", "device")
    path = written(tmp_path, {"main.isp": "".join(f"from {name} import x_{name}\n" for name in names)})
    found = load_report(path)[1].errors
    assert [d.code for d in found] == ["E207"] * len(names)


@pytest.mark.usefixtures("soon")
def test_a_library_may_hold_things_that_are_no_files(tmp_path: Path) -> None:
    path = written(tmp_path, {"main.isp": pipeline("out = image -> unknown"), "stdlib/good.isp": GAIN})
    os.mkfifo(tmp_path / "stdlib" / "pipe.isp")
    (tmp_path / "stdlib" / "folder.isp").mkdir()
    assert codes(path) == ["E201"]  # the names of the library were asked for a hint


@pytest.mark.parametrize(
    ("content", "code"), [(b"\x00\xff\xfe" * 1000, "E101"), (b"#" * (1 << 21), "E102"), (b"\x00" * 100, "E107")]
)
def test_an_import_of_something_else(content: bytes, code: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"main.isp": "from other import gain\n" + pipeline(GAINED)})
    (tmp_path / "other.isp").write_bytes(content)
    assert set(codes(path)) == {code}


@pytest.mark.parametrize("name", ["a" * 256, "b.c" * 80, "x" * 250])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    assert codes(written(tmp_path, {"main.isp": f"from {name} import gain\n"})) == ["E207"]
    assert codes(written(tmp_path, {"main.isp": f'from "{name}.isp" import gain\n'})) == ["E207"]


def test_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    for name in (".", "missing.isp"):
        with pytest.raises(OSError, match=r"directory|No such file"):
            load_report(tmp_path / name)


def test_an_unreadable_import_is_told_at_each_that_asks(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    path = written(tmp_path, {"main.isp": "from secret import gain\n", "secret.isp": GAIN})
    (tmp_path / "secret.isp").chmod(0)
    assert codes(path) == ["E207"]


# ---- a library of many files -------------------------------------------------------------------------------------


def test_files_that_share_a_library_come_out_as_alone(tmp_path: Path) -> None:
    files = {
        "main.isp": "from a import gain\n" + pipeline(GAINED),
        "a.isp": GAIN,
        "other.isp": "from a import gain\nfrom wrong import gain as\n" + pipeline(GAINED),
        "circle.isp": "from back import gain\n" + GAIN,
        "back.isp": "from circle import gain\n" + GAIN.replace("gain(", "lift("),
        "wrong.isp": GAIN.replace("= 100%", "= 500%"),
    }
    written(tmp_path, files)
    library = empty_library()
    for name in ("main.isp", "a.isp", "other.isp", "wrong.isp", "circle.isp"):
        assert load_report(tmp_path / name, library) == load_report(tmp_path / name)


def test_a_library_reads_each_file_once(tmp_path: Path) -> None:
    written(tmp_path, {"main.isp": "from a import gain\n" + pipeline(GAINED), "a.isp": GAIN})
    library = empty_library()
    load_report(tmp_path / "main.isp", library)
    (tmp_path / "a.isp").unlink()
    assert load_report(tmp_path / "a.isp", library)[0] is not None
