"""Executor lines: what they may be told, where they lie, and the stages that they make needless to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ispdsl.ir.model import Implementation
from ispdsl.lower.loader import load_report

TEXT = """stage sharpen(image: rgb<srgb, unit>) -> rgb<srgb, unit> {
  slider amount in 0..4 = 1
}
pipeline whole(image: rgb<srgb, unit>) -> (out: rgb<srgb, unit>) {
  EXECUTOR
  out = image -> sharpen
}
"""


def codes(folder: Path, executor: str) -> list[str]:
    path = folder / "whole.isp"
    path.write_text(TEXT.replace("EXECUTOR", executor))
    return [each.code for each in load_report(path)[1].diagnostics]


def test_a_stage_that_a_real_thing_runs_with_its_pipeline_needs_nothing_of_its_own(tmp_path: Path):
    assert codes(tmp_path, "") == ["W606"]
    assert codes(tmp_path, "executor libraw()") == []


def test_an_executor_is_told_texts_numbers_and_names(tmp_path: Path):
    assert codes(tmp_path, 'executor command("a", arguments = ["b", "{image}"], n = [1, 2], form = png, s = 3)') == []
    module = load_report(tmp_path / "whole.isp")[0]
    assert module is not None
    (found,) = module.pipelines["whole.isp:whole"].signature.implementations
    assert found.folder == str(tmp_path)
    assert "folder" not in found.model_dump()
    assert found.arguments["arguments"] == ("b", "{image}")
    assert (found.arguments["0"], found.arguments["form"], found.arguments["s"]) == ("a", "png", 3.0)
    assert Implementation.model_validate_json(found.model_dump_json()) == found.model_copy(update={"folder": ""})


@pytest.mark.parametrize("other", ["1", "name", "[1]"])
def test_a_list_of_texts_holds_nothing_else(tmp_path: Path, other: str):
    assert codes(tmp_path, f'executor command(arguments = ["a", {other}])') == ["E407"]
