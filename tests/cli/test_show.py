"""`ispdsl tree`, `ir`, `graph`: every layer prints, wrong files give a report, output goes where it should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Invoke


def test_tree(invoke: Invoke, good: Path) -> None:
    text = invoke("tree", good).stdout
    assert text.startswith("File  [1:1-")
    assert "    name: Name twice  [2:7-2:12]\n" in text
    assert json.loads(invoke("tree", good, "--json").stdout)["node"] == "File"


def test_tree_of_a_broken_file_is_a_report(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "broken.isp"
    path.write_text("stage ( {")
    result = invoke("tree", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[E1" in result.stderr
    assert json.loads(invoke("tree", path, "--json").stderr)[0]["severity"] == "error"


def test_ir_and_its_schema(invoke: Invoke, good: Path) -> None:
    module = json.loads(invoke("ir", good).stdout)
    assert module["main"].endswith(":main")
    schema = json.loads(invoke("ir", "--schema").stdout)
    assert set(module) <= set(schema["properties"])
    assert invoke("ir").exit_code == 2


def test_a_pipeline_that_comes_with_ispdsl_needs_no_path(invoke: Invoke) -> None:
    assert json.loads(invoke("ir", "photo_finish").stdout)["main"].endswith(":photo_finish")
    result = invoke("ir", "photo_finnish")
    assert result.exit_code == 3
    assert "did you mean photo_finish?" in result.stderr


def test_a_graph_is_drawn(invoke: Invoke, good: Path) -> None:
    root = ElementTree.fromstring(invoke("graph", good, "--format", "svg").stdout)
    titles = [
        element.text for element in root.iter("{http://www.w3.org/2000/svg}text") if element.get("class") == "title"
    ]
    assert titles == ["image", "twice", "out"]


def test_statistics_taps_and_feedback_are_drawn(invoke: Invoke) -> None:
    drawn = invoke("graph", "photo_finish", "--format", "svg").stdout
    assert '<g class="statistic">' in drawn
    pipelines = json.loads(invoke("ir", "photo_finish").stdout)["pipelines"]
    (pipeline,) = pipelines.values()
    assert drawn.count('<g class="tap">') == len(pipeline["taps"]) > 4
    assert 'class="edge previous"' in invoke("graph", "low_light", "--format", "svg", "--inline").stdout


def test_sub_pipelines_are_opened_on_request(invoke: Invoke) -> None:
    closed, opened = (invoke("graph", "low_light", "--format", "svg", *words).stdout for words in ([], ["--inline"]))
    assert '<g class="pipeline">' in closed
    assert '<g class="pipeline">' not in opened
    assert "denoise.luma_nr" in opened


@pytest.mark.parametrize("words", [["--pipeline", "mian"], ["-p", "mian"]])
def test_an_unknown_pipeline_is_an_error(invoke: Invoke, good: Path, words: list[str]) -> None:
    result = invoke("graph", good, "--format", "svg", *words)
    assert result.exit_code == 2
    assert "did you mean main?" in result.stderr


def test_output_goes_to_a_file(invoke: Invoke, good: Path, tmp_path: Path) -> None:
    target = tmp_path / "graph.svg"
    result = invoke("graph", good, "--format", "svg", "--output", target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_text().startswith("<svg")
    failed = invoke("graph", good, "--format", "svg", "-o", tmp_path / "none" / "graph.svg")
    assert failed.exit_code == 5
    assert "cannot write" in failed.stderr


@pytest.mark.parametrize(("form", "begins"), [("mermaid", "flowchart"), ("dot", 'digraph "main"'), ("json", "{")])
def test_a_graph_is_text_in_every_form(invoke: Invoke, good: Path, form: str, begins: str) -> None:
    assert invoke("graph", good, "--format", form).stdout.startswith(begins)
    assert json.loads(invoke("graph", good, "--json").stdout)["name"] == "main"


def test_plan(invoke: Invoke, good: Path) -> None:
    text = invoke("plan", good).stdout
    assert text.startswith("main: image: rgb<camera, f32> -> out: rgb<camera, f32>\n")
    (step,) = json.loads(invoke("plan", good, "--json").stdout)["steps"]
    assert (step["node"], step["implementation"]) == ("twice", "program ispdsl.programs.tone:exposure")
    assert "raw<bggr, u16>" in invoke("plan", "camera", "--cfa", "bggr").stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--cfa", "cmyg"], 2, "cmyg"),
        (["--impl", "demosaic=proxxy"], 2, "cannot run as proxxy"),
        (["--impl", "demosaic"], 2, "is not of the form"),
    ],
)
def test_what_cannot_be_planned_is_said(invoke: Invoke, words: list[str], code: int, says: str) -> None:
    result = invoke("plan", "camera", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr


def test_every_parameter_is_listed_with_what_it_may_be(invoke: Invoke) -> None:
    lines = invoke("plan", "photo_finish", "--parameters").stdout.splitlines()
    cells = {line.split()[0]: re.split(r"  +", line) for line in lines}
    assert cells["address"][1:] == ["kind", "hard range", "soft range", "unit", "start"]
    start = "from metadata baseline_exposure, else 0ev"
    assert cells["exposure.ev"][1:] == ["slider", "-18ev..18ev", "-4ev..4ev", "ev", start, "free"]
    methods = "{bilinear, malvar, menon, ahd, ratio_corrected}"
    assert cells["demosaic.method"][1:] == ["choice", methods, "menon", "static"]
    assert cells["hist.bins"][-1] == "static, a size"
    assert cells["contrast.pivot"][-1] == "fixed"
    rows = {row["address"]: row for row in json.loads(invoke("plan", "photo_finish", "--json").stdout)["parameters"]}
    assert set(rows) == set(cells) - {"address"}
    assert rows["exposure.ev"] == {
        "address": "exposure.ev",
        "kind": "slider",
        "hard": [-18, 18],
        "soft": [-4, 4],
        "options": None,
        "shape": None,
        "unit": "ev",
        "start": "0ev",
        "start_metadata": "baseline_exposure",
        "role": "free",
    }
    assert rows["demosaic.method"]["options"] == ["bilinear", "malvar", "menon", "ahd", "ratio_corrected"]


def test_the_columns_of_a_plan_are_explained(invoke: Invoke) -> None:
    lines = invoke("plan", "camera").stdout.splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["reach", "run", "frees"]
