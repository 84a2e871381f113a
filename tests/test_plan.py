"""Plans: what runs, in what order, and how it prints. `ISPDSL_GOLDEN=write` rewrites the golden files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ispdsl.errors import PlanError
from ispdsl.graph import build
from ispdsl.graph_text import to_dot, to_json, to_mermaid
from ispdsl.plan import Step, plan
from tests import modules as m

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("ISPDSL_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def made():
    return plan(build(m.finishing()), types={"S": "linear_srgb"})


def test_the_plan_prints_as_a_table(made):
    golden("finishing.plan.txt", str(made))


def test_the_plan_prints_as_json(made):
    golden("finishing.plan.json", made.to_json())
    assert [step["node"] for step in json.loads(made.to_json())["steps"]] == [step.node for step in made.steps]


@pytest.mark.parametrize(("suffix", "draw"), [("mmd", to_mermaid), ("dot", to_dot), ("json", to_json)])
def test_the_graph_prints(suffix, draw):
    golden(f"finishing.graph.{suffix}", draw(build(m.finishing())))


def test_names_are_escaped():
    evil = '"]; <script>`#\n\\'
    call = m.node(evil, "exposure", {"image": "a"})
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, [call], {"b": f"{evil}.out"}, taps={evil: f"{evil}.out"})
    graph = build(m.module(m.EXPOSURE, main))
    mermaid, dot = to_mermaid(graph), to_dot(graph)
    assert "&quot;]; &lt;script&gt;&#96;&num; \\" in mermaid
    assert "<script>" not in mermaid
    assert '\\"]; <script>`# \\\\' in dot
    assert "script" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", dot)
    assert json.loads(to_json(graph))["nodes"][0]["address"] == evil


def steps(made) -> dict[str, Step]:
    return {step.node: step for step in made.steps}


def test_reach_adds_up_from_the_outputs(made):
    found = steps(made)
    assert found["adapt"].reach == 0
    assert found["denoise.lift"].reach == 0
    assert found["denoise.soft"].reach == 5
    assert found["exposure"].reach == "all"
    assert found["level"].reach == "all"
    assert found["small"].reach == 5


def chain(*radii: int | None):
    stages, nodes, last = [], [], "a"
    for index, radius in enumerate(radii):
        stages.append(m.stage(f"s{index}", {"image": m.RGB}, {"out": m.RGB}, "p:q", radius=radius))
        nodes.append(m.node(f"n{index}", f"s{index}", {"image": last}))
        last = f"n{index}.out"
    return plan(build(m.module(*stages, m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, nodes, {"b": last}))))


def test_reach_is_a_sum_along_a_chain():
    assert [step.reach for step in chain(2, 0, 3).steps] == [5, 3, 3]
    assert [step.reach for step in chain(2, None, 3).steps] == ["all", "all", 3]


def test_reach_takes_the_widest_way():
    wide = m.stage("wide", {"image": m.RGB}, {"out": m.RGB}, "p:q", radius=4)
    narrow = m.stage("narrow", {"image": m.RGB}, {"out": m.RGB}, "p:q", radius=1)
    join = m.stage("join", {"image": m.RGB, "other": m.RGB}, {"out": m.RGB}, "p:q")
    start = m.stage("start", {"image": m.RGB}, {"out": m.RGB}, "p:q")
    for first, second in (("wide", "narrow"), ("narrow", "wide")):
        nodes = [
            m.node("start", "start", {"image": "a"}),
            m.node(first, first, {"image": "start.out"}),
            m.node(second, second, {"image": "start.out"}),
            m.node("join", "join", {"image": "wide.out", "other": "narrow.out"}),
        ]
        main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, nodes, {"b": "join.out"})
        made = plan(build(m.module(start, wide, narrow, join, main)))
        assert steps(made)["start"].reach == 4


def test_a_statistic_looks_everywhere_even_when_its_own_footprint_is_small():
    local = m.stage("mean", {"image": m.RGB}, {"out": "vector<3>"}, "p:q", radius=1)
    nodes = [
        m.node("level", "mean", {"image": "a"}, {"out": "vector<3>"}, statistic=True),
        m.node("adapt", "adapt", {"image": "a"}, needs={"level": "level.out"}),
    ]
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, nodes, {"b": "adapt.out"})
    assert steps(plan(build(m.module(local, m.ADAPT, main))))["level"].reach == "all"


def test_runs_of_pointwise_steps_are_labelled():
    assert [step.group for step in chain(0, 0, 2, 0, 1, 0, 0, 0).steps] == [
        "pointwise 1",
        "pointwise 1",
        None,
        None,
        None,
        "pointwise 2",
        "pointwise 2",
        "pointwise 2",
    ]


def test_values_are_freed_after_their_last_reader(made):
    found = steps(made)
    assert found["denoise.lift"].frees == ()
    assert found["adapt"].frees == ("denoise.lift.out",)
    assert found["small"].frees == ("linear",)
    lean = plan(build(m.finishing()), taps=[])
    assert steps(lean)["denoise.soft"].frees == ("exposure.out",)
    assert steps(lean)["denoise.lift"].frees == ("denoise.soft.out",)
    everything = {value for step in lean.steps for value in step.frees}
    assert "level.out" not in everything
    assert "adapt.out" not in everything


def test_free_and_held_parameters(made):
    found = steps(made)
    assert found["denoise.soft"].free == ("denoise.strength",)
    assert found["denoise.soft"].held == ("denoise.soft.radius", "denoise.soft.shape")
    assert found["exposure"].metadata == ("baseline_exposure",)


def test_a_node_without_a_program_is_refused():
    black_box = m.stage("isp", {"image": m.RGB}, {"out": m.RGB}, None, others=[("executor", "tcp")])
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, [m.node("isp", "isp", {"image": "a"})], {"b": "isp.out"})
    with pytest.raises(PlanError, match=r"node isp calls stage isp .* has no program: it has executor tcp"):
        plan(build(m.module(black_box, main)))


def test_planning_imports_no_torch():
    code = "import sys, ispdsl.plan, ispdsl.graph_text, ispdsl.runtime.sidecar; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
