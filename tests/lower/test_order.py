"""The order of a pipeline's nodes: by what they read, whatever the order of the text."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.ir.model import Pipeline
from tests.lower.texts import GAIN, METER, SPLIT, codes, lowered, nodes, pipeline, the_pipeline, told

STATEMENTS = (
    "stat levels = meter() of bright",
    "bright = image -> gain(amount = 150%) -> tap brightened",
    "y, c = split(bright)",
    "joined = join(y, c)",
    "adapted = joined -> adapt(levels = levels)",
    "again = adapted",
    "stat later = meter() as meter_later of previous again",
    "out = again -> adapt(levels = later) as adapt_later -> gain as last",
)


def without_places(value: Pipeline) -> object:
    """What a pipeline is, apart from where it is written and in which order."""
    found = value.model_dump(exclude={"signature"})
    found["nodes"] = {node.name: node.model_dump() for node in value.nodes}

    def stripped(part: object) -> object:
        if isinstance(part, dict):
            return {key: stripped(inner) for key, inner in part.items() if key != "location"}
        return part

    return stripped(found)


@cache
def as_written() -> object:
    return without_places(the_pipeline(lowered(METER, GAIN, SPLIT, pipeline(*STATEMENTS))))


@given(st.permutations(STATEMENTS))
def test_the_order_of_the_text_says_nothing(statements: list[str]) -> None:
    found = the_pipeline(lowered(METER, GAIN, SPLIT, pipeline(*statements)))
    assert without_places(found) == as_written()
    seen: set[str] = set()
    for node in found.nodes:
        reads = {v.node for v in (*node.inputs.values(), *node.needs.values()) if v.node is not None}
        assert node.previous or reads <= seen, f"{node.name} stands before what it reads"
        seen.add(node.name)


def test_independent_nodes_stay_in_the_order_of_the_text() -> None:
    text = pipeline("b = image -> gain as second", "a = image -> gain as first", "out = a", "rest = b -> tap seen")
    assert list(nodes(lowered(GAIN, text))) == ["second", "first"]


def test_names_stand_for_values() -> None:
    module = lowered(GAIN, pipeline("again = image", "bright = again -> gain -> tap seen", "out = bright"))
    found = the_pipeline(module)
    assert {name: str(value) for name, value in found.names.items()} == {
        "image": "image",
        "again": "image",
        "seen": "gain.out",
        "bright": "gain.out",
        "out": "gain.out",
    }
    assert {name: str(value) for name, value in found.taps.items()} == {"seen": "gain.out"}
    assert {name: str(value) for name, value in found.results.items()} == {"out": "gain.out"}


def test_a_statistic_of_the_frame_before_may_close_a_loop() -> None:
    module = lowered(METER, pipeline("stat levels = meter() of previous out", "out = image -> adapt(levels = levels)"))
    found = nodes(module)
    assert list(found) == ["levels", "adapt"]
    assert (found["levels"].statistic, found["levels"].previous) == (True, True)
    assert str(found["levels"].inputs["image"]) == "adapt.out"
    assert str(found["adapt"].needs["levels"]) == "levels.out"


def test_a_statistic_of_this_frame_may_not() -> None:
    text = pipeline("stat levels = meter() of out", "out = image -> adapt(levels = levels)")
    found = told(METER, text)
    assert [d.code for d in found] == ["E501"]
    assert "levels" in found[0].message
    assert "out" in found[0].message


@pytest.mark.parametrize("call", ["join() of previous image", "join(image) of previous image"])
def test_a_statistic_of_the_frame_before_reads_one_image(call: str) -> None:
    assert codes(SPLIT, pipeline(f"stat s = {call}", "out = image")) == ["E311"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("out = out",), ["E501"]),
        (("out = a", "a = b", "b = a"), ["E501"]),
        (("out = image", "out = image -> gain"), ["E206"]),
        (("out = image -> tap image",), ["E206"]),
        (("a, b = image -> gain", "out = image"), ["E312"]),
        (("out = image -> gain -> gain",), ["E206"]),
        (("out = image -> gain as a -> gain as a",), ["E206"]),
        (("out = nothing",), ["E202"]),
        (("rest = image -> tap seen",), ["E214"]),
    ],
)
def test_wrong_flows(lines: tuple[str, ...], found: list[str]) -> None:
    assert codes(GAIN, pipeline(*lines)) == found


def test_a_cycle_names_what_goes_round() -> None:
    found = told(pipeline(*(f"v{n} = v{(n + 1) % 20}" for n in range(20)), "out = v0"))
    assert [d.code for d in found] == ["E501"]
    assert len(found[0].message) < 200


# ---- recursion ---------------------------------------------------------------------------------------------


def calls(**graph: str) -> list[str]:
    """Which of pipelines are said to call themselves; each calls those named by the letters behind it."""
    texts = []
    for name, called in graph.items():
        lines = [f"v{n} = image -> {callee} as n{n} -> tap t{n}" for n, callee in enumerate(called)]
        texts.append(pipeline(*lines, "out = image", signature=f"{name}(image: rgb<S, f32>) -> (out: rgb<S, f32>)"))
    found = told(*texts)
    assert {d.code for d in found} <= {"E213"}
    return sorted(d.message.split()[1] for d in found)


def test_recursion() -> None:
    assert calls(a="b", b="cc", c="") == []
    assert calls(a="a") == ["a"]
    assert calls(a="b", b="c", c="ab") == ["a", "b", "c"]
    assert calls(a="bc", b="b", c="d", d="") == ["b"]
    # c lies between two circles and is in neither
    assert calls(a="bc", b="a", c="d", d="e", e="d") == ["a", "b", "d", "e"]


# ---- what is unused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("meta iso: real", "out = image"), ["W604"]),
        (("needs levels: vector<16>", "out = image"), ["W605"]),
        (("stat levels = meter() of image", "out = image"), ["W605"]),
        (("slider strength in 0..1 = 0", "out = image"), ["W603"]),
        (("matrix m[3, 3] = identity", "out = image"), ["W603"]),
        (("spare = image -> gain", "out = image"), ["W602"]),
        (("spare = image -> gain -> tap seen", "out = image"), []),
        (("spare = image -> gain", "out = spare"), []),
        (("stat levels = meter() of previous out", "out = image -> adapt(levels = levels)"), []),
        (("spare = image -> unknown", "out = image", "meta iso: real"), ["E201"]),  # what it would read is not known
    ],
)
def test_unused(lines: tuple[str, ...], found: list[str]) -> None:
    assert codes(GAIN, METER, pipeline(*lines)) == found


def test_an_unused_input() -> None:
    two = "p(image: rgb<S, f32>, other: rgb<S, f32>) -> (out: rgb<S, f32>)"
    assert codes(pipeline("out = image", signature=two)) == ["W602"]
