"""Every standard stage is whole: doc with a source, what runs it, contract with one footprint, units where due."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ispdsl.ir.model import Stage
from ispdsl.lower.loader import load

FOLDER = Path(__file__).parent.parent / "stdlib"
STAGES = {
    stage.signature.key: stage
    for path in sorted(FOLDER.rglob("*.isp"))
    for stage in load(path).stages.values()
    if stage.signature.location.file == f"stdlib/{path.relative_to(FOLDER).as_posix()}"
}
REAL = ("stdlib/darktable/", "stdlib/libraw/")
"""Folders of stages that stand for those of a real thing."""

FOOTPRINTS = {"pointwise", "local", "global"}

NO_IDENTITY = {
    "stdlib/noise.isp:anscombe_inverse": "a conversion: between light and stabilised numbers, in either form",
    "stdlib/denoise.isp:guided_upsample": "it always filters; its types are equal, the sizes of its images are not",
}
"""Stages of equal types that leave no image alone at any setting, and why."""


def test_all_files_are_there() -> None:
    assert len(STAGES) >= 60
    assert {key.partition(":")[0] for key in STAGES} == {
        f"stdlib/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.rglob("*.isp")
    }


@pytest.mark.parametrize("key", STAGES)
def test_a_stage_is_whole(key: str) -> None:
    stage: Stage = STAGES[key]
    signature = stage.signature
    names = [line.name for line in signature.properties]
    assert len(signature.doc) > 10
    assert len(names) >= 3
    assert len(FOOTPRINTS & set(names)) == 1
    kinds = {each.kind for each in signature.implementations}
    assert ("executor" if signature.location.file.startswith(REAL) else "program") in kinds
    for parameter in signature.parameters:
        if parameter.kind == "slider":
            assert parameter.hard[0] <= parameter.soft[0] < parameter.soft[1] <= parameter.hard[1]


def _rests(stage: Stage) -> bool:
    """Whether a setting is stated at which it gives back its image."""
    return any(line.name == "identity" and line.when for line in stage.signature.properties)


def _owes_a_rest(stage: Stage) -> bool:
    """Whether it gives what it takes, and has settings: the first images in, all images out."""
    signature = stage.signature
    given = [port.type for port in signature.outputs]
    return given == [port.type for port in signature.inputs][: len(given)] and bool(signature.parameters)


@pytest.mark.parametrize("key", [key for key, stage in STAGES.items() if _owes_a_rest(stage)])
def test_what_keeps_its_type_has_a_setting_at_rest(key: str) -> None:
    assert _rests(STAGES[key]) != (key in NO_IDENTITY)


def test_all_exceptions_are_stages() -> None:
    assert all(_owes_a_rest(STAGES[key]) for key in NO_IDENTITY)


@pytest.mark.parametrize("key", STAGES)
def test_a_stage_names_its_source(key: str) -> None:
    lines = STAGES[key].signature.doc.splitlines()
    assert [line for line in lines if re.fullmatch(r"Source: \S.{8,}", line)]


@pytest.mark.parametrize("key", STAGES)
def test_sliders_say_what_they_count(key: str) -> None:
    """By a unit, a comment on the line or before it, or by name in the doc of the stage."""
    signature = STAGES[key].signature
    text = (FOLDER.parent / signature.location.file).read_text(encoding="utf-8").splitlines()
    for slider in (each for each in signature.parameters if each.kind == "slider"):
        said = "#" in text[slider.location.line - 1] or re.search(rf"\b{slider.name}\b", signature.doc)
        assert slider.unit or slider.doc or said, slider.name


@pytest.mark.parametrize("key", [key for key, stage in STAGES.items() if "identity" in str(stage.signature.properties)])
def test_identity_points_name_parameters_that_exist(key: str) -> None:
    signature = STAGES[key].signature
    known = {each.name for each in (*signature.inputs, *signature.parameters, *signature.metas, *signature.needs)}
    conditions = [c for line in signature.properties if line.name == "identity" for c in line.when]
    assert conditions
    assert {c.left for c in conditions} <= known
