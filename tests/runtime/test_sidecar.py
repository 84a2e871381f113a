from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.runtime import sidecar
from ispdsl.runtime.sidecar import Sidecar, load, parse, path_of, save
from ispdsl.runtime.values import SettingsError
from tests.runtime.test_values import kinds


def good(**settings) -> bytes:
    return json.dumps({"ispdsl": "1", "settings": settings}).encode()


def test_what_is_saved_loads_to_the_same_settings(tmp_path: Path):
    path = path_of(tmp_path / "photo.dng")
    assert path.name == "photo.dng.isp.json"
    settings = kinds().update({"k.amount": 0.1, "k.points": [0, 0.3, 1], "k.shape": "cross", "k.on": True})
    save(Sidecar.of(settings, {"file": "photo.dng"}), path)
    again = load(path)
    assert again.apply(kinds()) == settings
    assert (again.pipeline, again.pipeline_sha256) == ("main", settings.sha256)
    assert again.frame == {"file": "photo.dng"}
    content = json.loads(path.read_text())
    assert content["ispdsl"] == "1"
    assert content["settings"]["k.amount"] == "0.1%"


def test_a_complete_sidecar_holds_every_adjustable_value():
    settings = kinds(temperature="$shot").resolved({"shot": 5000.0})
    assert Sidecar.of(settings).settings == {}
    full = Sidecar.of(settings, complete=True).settings
    assert full["k.temperature"] == "5000K"
    assert full["k.strength"] == 1.0
    assert "k.held" not in full
    assert "k.bins" not in full


def test_saving_replaces_at_once_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.isp.json"
    save(Sidecar({"k.amount": 1}), path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(sidecar.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(Sidecar({"k.amount": 2}), path)
    assert load(path).settings == {"k.amount": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.isp.json"]


def test_presets_are_layered_and_all_errors_come_at_once():
    presets = [parse(good(**{"k.amount": 5}), "a"), parse(good(**{"k.amount": 6, "k.shape": "cross"}), "b")]
    settings = sidecar.apply(kinds(), presets)
    assert (settings["k.amount"], settings["k.shape"]) == (6.0, "cross")
    wrong = [parse(good(**{"k.amont": 5}), "a"), parse(good(**{"k.strength": 9, "k.shape": {}}), "b")]
    with pytest.raises(SettingsError, match=r"did you mean k\.amount") as caught:
        sidecar.apply(kinds(), wrong)
    assert {problem.address for problem in caught.value.problems} == {"k.amont", "k.strength", "k.shape"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no sidecar"),
        (b"\xff\xfe", "is no sidecar"),
        (b"[1]", "holds no object"),
        (b"{}", 'the key "ispdsl": "1" is missing'),
        (b'{"ispdsl": "2"}', "of version 1"),
        (b'{"ispdsl": "1", "setings": {}}', "did you mean settings"),
        (b'{"ispdsl": "1", "settings": []}', "its settings are no object"),
        (b'{"ispdsl": "1", "pipeline": 3}', "its pipeline is no text"),
        (b'{"ispdsl": "1", "settings": {"a": 1, "a": 2}}', "'a' stands there twice"),
        (b'{"ispdsl": "1", "settings": {"a": NaN}}', "NaN is no number"),
        (b'{"ispdsl": "1", "settings": {"a": -Infinity}}', "-Infinity is no number"),
        (b'{"ispdsl": "1", "settings": {"a": ' + b"9" * 5000 + b"}}", "is no sidecar"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (sidecar.LARGEST + 1), "is larger than 16 MiB"),
    ],
)
def test_hostile_content_is_refused(content, message):
    with pytest.raises(SettingsError, match=message):
        parse(content, "evil.isp.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_value_gives_settings_or_a_settings_error(value):
    content = json.dumps({"ispdsl": "1", "settings": {"k.amount": value, "k.points": value}}).encode()
    with suppress(SettingsError):
        assert parse(content, "any").apply(kinds()).changed


def test_infinity_by_overflow_is_refused():
    with pytest.raises(SettingsError, match="not finite"):
        parse(b'{"ispdsl": "1", "settings": {"k.amount": 1e999}}', "x").apply(kinds())


def test_a_file_that_is_missing_is_reported(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.isp.json")


def test_a_table_file_lies_beside_the_sidecar_and_keeps_its_hash(tmp_path: Path):
    (tmp_path / "warm.cube").write_text("LUT_3D_SIZE 2\n")
    settings = kinds().set("k.look", "warm.cube", tmp_path)
    save(Sidecar.of(settings), tmp_path / "a.isp.json")
    assert load(tmp_path / "a.isp.json").apply(kinds())["k.look"] == settings["k.look"]
    (tmp_path / "warm.cube").write_text("LUT_3D_SIZE 3\n")
    with pytest.raises(SettingsError, match="SHA-256 has changed"):
        load(tmp_path / "a.isp.json").apply(kinds())


@pytest.mark.parametrize("name", ["/etc/warm.cube", "../warm.cube", "a\0b"])
def test_a_sidecar_names_no_file_outside_its_folder(tmp_path: Path, name: str):
    content = good(**{"k.look": {"file": name, "sha256": hashlib.sha256(b"").hexdigest()}})
    with pytest.raises(SettingsError, match="must lie in the folder"):
        parse(content, "x", tmp_path).apply(kinds())
    (tmp_path / "warm.cube").write_text("")
    with pytest.raises(SettingsError, match="is no table"):
        parse(good(**{"k.look": "warm.cube"}), "x", tmp_path).apply(kinds())


def test_bytes_of_names_are_written_as_text(tmp_path: Path):
    path = tmp_path / "a.isp.json"
    name = "für".encode().decode("ascii", "surrogateescape")
    save(Sidecar({}, frame={"file": name, "other": "\udcf6!"}), path)
    assert load(path).frame == {"file": "für", "other": "\\udcf6!"}
