"""Exports of settings: register codes, darktable's sidecars, and records from which a picture can be made again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ispdsl.errors import CompileError, PlanError
from ispdsl.executors.darktable_xmp import read_sidecar
from ispdsl.executors.faults import ExecutorError
from ispdsl.export import record
from ispdsl.export.faults import ExportError
from ispdsl.export.record import export_record
from ispdsl.export.registers import encoded, export_registers, through_composite
from ispdsl.export.source import Source, with_predicted
from ispdsl.export.xmp import export_xmp
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime import sidecar
from ispdsl.runtime.values import Settings
from tests.export import small

PIPELINES = Path(__file__).parents[2] / "pipelines"


def shipped(name: str, **settings: object) -> Source:
    graph = build(load(PIPELINES / f"{name}.isp"))
    return Source(graph, Settings.of(graph).update(settings))


def test_codes_words_and_what_is_lost_are_those_of_the_declared_format(tmp_path: Path):
    source = small.source(tmp_path, small.CODED, {"coded.ev": -1.3, "coded.amount": 0.5})
    found = export_registers(source, tmp_path / "r.json")
    ev, amount = found.registers
    assert (ev.code, ev.bits, ev.decoded) == (-21, 256 - 21, -1.3125)  # s3.4: steps of 1/16
    assert (ev.place, ev.step, ev.first, ev.last) == ("0x100[11:4]", 1 / 16, -64, 64)
    assert ev.error == pytest.approx(-0.0125)
    assert (amount.code, amount.error) == (8, 0)
    assert found.words == {0x100: (0xF0FF0, (256 - 21) << 4 | 8 << 16)}
    assert found.left_out == ("coded.bias",)
    assert found.exact == 1
    assert found.largest_error == pytest.approx(0.2)
    assert found.settings["coded.ev"] == -1.3125
    read = json.loads((tmp_path / "r.json").read_text())
    assert [each["code"] for each in read["registers"]] == [-21, 8]
    assert read["words"][0]["written"] == "0x100: 0x00080eb0 of 0x000f0ff0"


def test_a_table_of_registers_has_a_line_for_each(tmp_path: Path):
    found = export_registers(shipped("hardware_isp", **{"isp.gain_00": 1.901}), tmp_path / "r.csv")
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    assert (rows[0]["address"], rows[0]["code"]) == ("isp.gain_00", "487")
    assert {int(row["word"]) for row in rows} == set(found.words)
    assert found.exact == 31


def test_a_value_without_a_code_and_a_pipeline_without_registers_are_refused(tmp_path: Path):
    with pytest.raises(PlanError, match="chain declares no registers"):
        encoded(small.source(tmp_path, small.CHAIN).graph, small.source(tmp_path, small.CHAIN).settings)
    again = "out = image -> coded -> coded as again"  # the same places, for two settings
    clash = small.CODED.replace("out = image -> coded", again)
    source = small.source(tmp_path, clash)
    with pytest.raises(CompileError, match=r"coded\.ev and again\.ev share bits"):
        encoded(source.graph, source.settings)


def test_codes_are_told_by_their_picture_where_there_is_a_raw(tmp_path: Path):
    source = small.source(tmp_path, small.CODED, {"coded.ev": -1.3})
    assert through_composite(source, encoded(source.graph, source.settings)) is None
    text = small.RAW.replace("from tone import exposure, contrast", "from tone import contrast")
    stage = small.CODED.partition("pipeline")[0].replace("linear_srgb", "S")
    text = text.partition("pipeline")[0] + stage + "pipeline" + text.partition("pipeline")[2]
    text = text.replace("-> exposure(ev = baseline_exposure)", "-> coded")
    frame, settings = small.frame(tmp_path), {"coded.ev": -1.3}
    source, _ = with_predicted(small.source(tmp_path, text, settings, frame=frame, trust=("tests",)))
    near = through_composite(source, encoded(source.graph, source.settings))
    assert near is not None
    assert 0 < near.largest < 0.05


def test_an_xmp_says_the_settings(tmp_path: Path):
    source, _ = with_predicted(
        Source(
            (plain := shipped("darktable", **{"sigmoid.contrast": 1.8, "sharpen.amount": 0.7})).graph,
            plain.settings,
            small.frame(tmp_path),
        )
    )
    edit = export_xmp(source, tmp_path / "a.xmp")
    assert 0 < edit.largest < 1e-6
    assert edit.settings["sigmoid.contrast"] == pytest.approx(1.8)
    assert set(edit.modules) <= set(read_sidecar(tmp_path / "a.xmp"))


def test_an_xmp_without_what_it_needs_is_refused(tmp_path: Path):
    with pytest.raises(PlanError, match="chain has no executor"):
        export_xmp(small.source(tmp_path, small.CHAIN), tmp_path / "a.xmp")
    with pytest.raises(ExportError, match="it needs black_level") as caught:
        export_xmp(shipped("darktable"), tmp_path / "a.xmp")
    assert "--raw RAW" in (caught.value.hint or "")
    assert not (tmp_path / "a.xmp").exists()


def test_a_record_makes_the_picture_again(tmp_path: Path):
    frame = small.frame(tmp_path)
    source, _ = with_predicted(small.source(tmp_path, small.RAW, {"contrast.amount": 40}, frame=frame))
    found = export_record(source, tmp_path / "a.json")
    assert found.closeness is not None
    assert found.closeness.largest == 0
    read = json.loads((tmp_path / "a.json").read_text())
    assert read["frame"]["sha256"] == frame.source.sha256
    assert read["pipeline_sha256"] == source.graph.sha256
    assert read["settings"]["contrast.amount"]["from"] == "set"
    assert read["settings"]["exposure.ev"]["from"] == "metadata baseline_exposure"
    assert read["settings"]["saturation.amount"] == {
        "value": "120%",
        "unit": "%",
        "from": "the pipeline",
        "canonical": 1.2,
    }
    assert {"ispdsl", "torch", "python"} <= set(read["versions"])
    (tmp_path / "preset.isp.json").write_text(json.dumps(read["preset"]))
    again = sidecar.load(tmp_path / "preset.isp.json").apply(Settings.of(source.graph))
    assert again["contrast.amount"] == 40


def test_a_record_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = small.source(tmp_path, small.CHAIN, {"contrast.amount": 40})
    real = record.record_of

    def wrong(*given: object) -> dict[str, object]:
        content = real(*given)  # type: ignore[arg-type]
        content["preset"]["settings"]["contrast.amount"] = "41%"
        return content

    monkeypatch.setattr(record, "record_of", wrong)
    with pytest.raises(ExportError, match=r"contrast\.amount is 40.*the file says 41"):
        export_record(source, tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


def test_a_record_of_a_real_thing_has_its_text_and_settings(tmp_path: Path):
    found = export_record(shipped("hardware_isp"), tmp_path / "a.json")
    assert found.closeness is None
    assert len(found.content["settings"]) == 32
    source = shipped("hardware_isp")
    wild = Settings(source.graph.name, "", source.graph.slots, {"isp.gain_00": 99.0})
    with pytest.raises(ExecutorError, match="outside the range"):
        encoded(source.graph, wild)
