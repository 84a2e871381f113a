"""`ispdsl export`: every form from the command line, what it says of it, and what it refuses."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
import torch

from ispdsl.export import packages
from ispdsl.runtime.cube import read_cube
from tests.cli.conftest import Invoke
from tests.export import small


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "lit.isp"
    path.write_text(small.LIT)
    return path


def test_a_pt2_is_written_tried_and_reported(invoke: Invoke, chain: Path):
    out = chain.parent / "out.pt2"
    words = ("export", chain, "--to", "pt2", "-o", out, "--size", "20x24", "--free", "--set", "contrast.amount=30%")
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert set(report["settings"]) == {"exposure.ev", "contrast.amount", "contrast.pivot"}
    assert report["closeness"]["largest"] < 1e-6
    assert report["tried"] == [[20, 24], [10, 12]] or report["tried"] == [[20, 24]]
    torch.export.load(out, extra_files=(files := {"ispdsl.json": ""}))
    held = json.loads(files["ispdsl.json"])
    assert held["settings"]["contrast.amount"]["value"] == "30%"
    said = invoke(*words).stdout
    assert said.splitlines()[0] == str(out)
    assert "settings: inputs: exposure.ev, contrast.amount, contrast.pivot" in said
    assert "against the composite: " in said


def test_a_table_is_written_with_settings_and_sidecars_of_the_raw(invoke: Invoke, tmp_path: Path):
    raw, file, out = small.raw(tmp_path), tmp_path / "small.isp", tmp_path / "out.cube"
    file.write_text(small.RAW)
    words = ("export", file, "--to", "cube", "-o", out, "--raw", raw, "--lut-size", "5", "--domain", "0..2")
    plain = json.loads(invoke(*words, "--json").stdout)
    assert plain["inside"] == ["exposure", "saturation", "contrast"]
    assert plain["domain"] == [0.0, 2.0]
    before = out.read_text()
    content = {"ispdsl": "1", "pipeline": "small", "settings": {"saturation.amount": "0%"}}
    (tmp_path / "small.dng.isp.json").write_text(json.dumps(content))
    result = invoke(*words)
    assert result.exit_code == 0, result.stderr
    assert "settings of " in result.stderr
    assert out.read_text() != before
    assert "before it: black_white, white_balance, demosaic\n" in result.stdout
    assert "on the raw's pixels: at most " in result.stdout
    invoke(*words, "--no-sidecar")
    assert out.read_text() == before


def test_a_table_without_a_raw_needs_no_cfa(invoke: Invoke, tmp_path: Path):
    out = tmp_path / "out.cube"
    result = invoke("export", "photo_finish", "--to", "cube", "-o", out, "--encoding", "srgb", "--lut-size", "9")
    assert result.exit_code == 0, result.stderr
    assert "in the table: look_table, contrast, srgb\n" in result.stdout
    assert read_cube(out).shape == (9, 9, 9, 3)


def test_registers_xmp_and_json_are_written(invoke: Invoke, tmp_path: Path):
    raw = small.raw(tmp_path)
    result = invoke("export", "hardware_isp", "--to", "registers", "-o", tmp_path / "r.csv", "--set", "isp.gain_00=1.9")
    assert result.exit_code == 0, result.stderr
    assert "isp.gain_00" in result.stdout
    assert "read back: 31 of 32 as set, 0.4 steps off at most" in result.stdout
    result = invoke("export", "darktable", "--to", "xmp", "-o", tmp_path / "a.xmp", "--raw", raw, "--json")
    assert json.loads(result.stdout)["largest_difference"] < 1e-6
    result = invoke("export", "darktable", "--to", "xmp", "-o", tmp_path / "a.xmp", "--raw", raw)
    assert (result.exit_code, "may hold an edit" in result.stderr) == (5, True)
    result = invoke("export", "hardware_isp", "--to", "json", "-o", tmp_path / "a.json", "--raw", raw)
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "a.json").read_text())["frame"]["file"] == "small.dng"


def test_what_does_not_go_together_is_refused_before_the_work(invoke: Invoke, chain: Path):
    folder = chain.parent

    def refused(message: str, code: int, *words: object) -> None:
        result = invoke("export", chain, *map(str, words))
        assert result.exit_code == code, result.stderr
        assert message in result.stderr

    refused("--to pt2 writes .pt2", 2, "--to", "pt2", "-o", folder / "a.onnx")
    refused("is tried on an image", 2, "--to", "pt2", "-o", folder / "a.pt2")
    refused("--free is not for --to cube", 2, "--to", "cube", "-o", folder / "a.cube", "--free")
    refused("--lut-size is not for --to json", 2, "--to", "json", "-o", folder / "a.json", "--lut-size", "9")
    refused("is no LOW..HIGH", 2, "--to", "cube", "-o", folder / "a.cube", "--domain", "1")
    refused("300 points an axis", 2, "--to", "cube", "-o", folder / "a.cube", "--lut-size", "300")
    refused("--crop is for a raw", 2, "--to", "json", "-o", folder / "a.json", "--crop", "0,0,8,8")
    refused("lit declares no registers", 2, "--to", "registers", "-o", folder / "a.json")
    refused("lit has no executor", 2, "--to", "xmp", "-o", folder / "a.xmp")
    refused("has no parameter", 2, "--to", "json", "-o", folder / "a.json", "--set", "contrast.amout=3%")
    refused("there is no folder", 5, "--to", "json", "-o", folder / "none" / "a.json")
    preset = folder / "look.json"
    preset.write_text(json.dumps({"ispdsl": "1", "settings": {"contrast.amount": "30%"}}))
    refused("is a preset, and the export would overwrite it", 2, "--to", "json", "-o", preset, "--preset", preset)
    assert sorted(path.name for path in folder.iterdir()) == ["lit.isp", "look.json"]


def test_onnx_without_its_packages_is_refused_with_the_line_that_installs_them(
    invoke: Invoke, chain: Path, monkeypatch: pytest.MonkeyPatch
):
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "onnx" else real(name))
    result = invoke("export", chain, "--to", "onnx", "-o", chain.parent / "a.onnx", "--size", "8x8")
    assert result.exit_code == 4
    assert "pip install 'ispdsl[export]'" in result.stderr


def test_a_table_that_is_not_good_enough_is_not_written(invoke: Invoke, chain: Path):
    out = chain.parent / "a.cube"
    result = invoke("export", chain, "--to", "cube", "-o", out, "--lut-size", "3", "--at-least", "150")
    assert result.exit_code == 4
    assert "150 dB are asked for" in result.stderr
    assert not out.exists()
