"""Every standard stage is whole: doc with a source, program, contract with one footprint, units on what has them."""

from __future__ import annotations

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
FOOTPRINTS = {"pointwise", "local", "global"}


def test_all_files_are_there() -> None:
    assert len(STAGES) >= 35
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
    assert [each.target.partition(":")[0] for each in signature.implementations if each.kind == "program"]
    for parameter in signature.parameters:
        if parameter.kind == "slider":
            assert parameter.hard[0] <= parameter.soft[0] < parameter.soft[1] <= parameter.hard[1]


@pytest.mark.parametrize("key", [key for key, stage in STAGES.items() if "identity" in str(stage.signature.properties)])
def test_identity_points_name_parameters_that_exist(key: str) -> None:
    signature = STAGES[key].signature
    known = {each.name for each in (*signature.inputs, *signature.parameters, *signature.metas, *signature.needs)}
    conditions = [c for line in signature.properties if line.name == "identity" for c in line.when]
    assert conditions
    assert {c.left for c in conditions} <= known
