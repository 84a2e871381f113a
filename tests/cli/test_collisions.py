"""No output of `ispdsl run` lies on an input or on another output; what is there stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.collisions import SETTINGS, Use, refuse_collisions
from ispdsl.cli.files import shipped
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

SIDECAR = json.dumps({"ispdsl": "1", "settings": {}})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a raw, a pipeline, an import, a description and notes of someone."""
    monkeypatch.chdir(tmp_path)
    write_demo_raw(tmp_path / "v.dng", size=64)
    (tmp_path / "v.tif").write_bytes((tmp_path / "v.dng").read_bytes())
    text = (shipped("pipelines") / "camera.isp").read_text()
    (tmp_path / "v.isp").write_text(text)
    (tmp_path / "v.dng.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.json").symlink_to("v.dng")
    (tmp_path / "hard.json").hardlink_to("v.dng")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--save-settings", "v.dng"], "v.dng is the raw, and the saved settings would overwrite it"),
        (["--save-settings", "./x/../v.dng"], "is the raw"),
        (["--save-settings", "link.json"], "is the raw"),
        (["--save-settings", "hard.json"], "is the raw"),
        (["--save-settings", "v.isp"], "v.isp is the pipeline"),
        (["--save-settings", "v.dng.json"], "is the description of the raw"),
        (["--save-settings", "v.png"], "v.png would be both the picture and the saved settings"),
        (["--save-settings", "notes.txt"], "exists and is no sidecar"),
        (["--taps", ".", "--save-settings", "out.isp.json", "-o", "TAP"], "would be both the picture and tap"),
    ],
)
def test_nothing_is_overwritten(invoke: Invoke, folder: Path, words: list[str], says: str) -> None:
    (folder / "x").mkdir()
    taps = json.loads(invoke("plan", "photo_finish", "--json").stdout)["taps"]
    pipeline = "photo_finish" if "TAP" in words else "v.isp"
    words = [f"{next(iter(taps))}.png" if word == "TAP" else word for word in words]
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    result = invoke("run", pipeline, "v.dng", *([] if "-o" in words else ["-o", "v.png"]), *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_the_picture_does_not_replace_the_raw(invoke: Invoke, folder: Path) -> None:
    result = invoke("run", "v.isp", "v.tif", "-o", "v.tif")
    assert result.exit_code == 2
    assert "v.tif is the raw, and the picture would overwrite it" in result.stderr
    assert (folder / "v.tif").read_bytes() == (folder / "v.dng").read_bytes()


def test_a_drawing_does_not_replace_its_pipeline(invoke: Invoke, folder: Path) -> None:
    before = (folder / "v.isp").read_text()
    assert invoke("graph", "v.isp", "-o", "v.isp").exit_code == 2
    assert (folder / "v.isp").read_text() == before


def test_settings_may_replace_settings(invoke: Invoke, folder: Path) -> None:
    side, preset = folder / "v.dng.isp.json", folder / "p.json"
    for path in (side, preset):
        path.write_text(SIDECAR)
    given = ("run", "v.isp", "v.dng", "-o", "v.png", "--preset", preset)
    for path in (side, preset):
        result = invoke(*given, "--save-settings", path)
        assert result.exit_code == 0, result.stderr
        assert json.loads(path.read_text())["pipeline"] == "camera"


def test_tables_and_imports_are_inputs() -> None:
    from ispdsl.cli.collisions import inputs_of
    from ispdsl.cli.show import build_graph

    file = shipped("pipelines") / "photo_finish.isp"
    found = {use.path.resolve() for use in inputs_of(build_graph(str(file), None, False), file)}
    assert {file, shipped("stdlib") / "tone.isp", shipped("stdlib") / "looks" / "soft_film.cube"} <= found


def test_two_outputs_need_two_places(tmp_path: Path) -> None:
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    refuse_collisions([], [Use("the picture", a), Use(SETTINGS, b)])
    with pytest.raises(CommandError, match="both the picture and output preview"):
        refuse_collisions([], [Use("the picture", a), Use("output preview", a)])
