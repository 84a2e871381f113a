from __future__ import annotations

from dataclasses import replace

import pytest

from ispdsl.calls import Given
from ispdsl.errors import PlanError
from ispdsl.graph import build, parameters, rebuilt, verify
from ispdsl.ir.model import Value
from tests import modules as m


def test_build_orders_calls_and_binds_values():
    graph = build(m.finishing())
    assert [call.address for call in graph.calls] == ["exposure", "level", "denoise", "adapt", "nothing", "small"]
    assert graph.call("adapt").inputs == {"image": Value(node="denoise", port="result")}
    assert graph.call("adapt").needs == {"level": Value(node="level", port="out")}
    assert graph.network.edges["denoise", "adapt"]["ports"] == ("result",)
    assert str(graph.type_of(Value(node="level", port="out"))) == "vector<3>"
    assert str(graph.type_of(Value(node=None, port="linear"))) == "rgb<S, f32>"


def test_the_address_table_is_whole_before_sub_pipelines_are_opened():
    table = parameters(build(m.finishing()))
    addresses = [slot.address for slot in table]
    assert addresses == m.ADDRESSES
    slots = {slot.address: slot for slot in table}
    assert slots["adaptation"].drives == (("adapt", "amount"),)
    assert (slots["exposure.ev"].start, slots["exposure.ev"].fixed, slots["exposure.ev"].free) == (0.3, False, True)
    assert slots["denoise.strength"].drives == (("denoise.soft", "strength"),)
    assert slots["nothing.ev"].fixed
    assert not slots["nothing.ev"].free
    assert slots["small.shape"].static
    assert not slots["small.shape"].free


def test_metadata_is_bound_or_constant():
    graph = build(m.finishing())
    assert graph.call("exposure").metas == {"bias": Given(meta="baseline_exposure")}
    assert graph.call("nothing").metas == {"bias": Given(value=0.0)}
    assert [meta.name for meta in graph.metas] == ["baseline_exposure"]


def test_metadata_without_default_is_asked_from_the_frame():
    white = m.stage("white", {"image": m.RGB}, {"out": m.RGB}, "p:q", metas=[m.meta("as_shot_neutral", "vector<3>")])
    main = m.pipeline(
        "main", {"a": m.RGB}, {"b": m.RGB}, [m.node("white", "white", {"image": "a"})], {"b": "white.out"}
    )
    graph = build(m.module(white, main))
    assert graph.call("white").metas == {"as_shot_neutral": Given(meta="as_shot_neutral")}
    assert [meta.name for meta in graph.metas] == ["as_shot_neutral"]


def test_a_parameter_bound_to_metadata_starts_there_and_stays_free():
    tint = m.stage("tint", {"image": m.RGB}, {"out": m.RGB}, "p:q", m.slider("amount", (0.0, 100.0), 5.0, "%"))
    main = m.pipeline(
        "main",
        {"a": m.RGB},
        {"b": m.RGB},
        [m.node("tint", "tint", {"image": "a"}, parameters={"amount": "$shot_tint"})],
        {"b": "tint.out"},
        metas=[m.meta("shot_tint", "real", 0.25)],
    )
    (slot,) = build(m.module(tint, main)).slots
    assert (slot.start_meta, slot.start, slot.free) == ("shot_tint", 25.0, True)


def test_a_size_is_static_also_where_a_pipeline_parameter_drives_it():
    bins = m.slider("bins", (2.0, 256.0), 16.0, structural=True)
    histogram = m.stage("histogram", {"image": m.RGB}, {"out": "vector<bins>"}, "p:q", bins)
    main = m.pipeline(
        "main",
        {"a": m.RGB},
        {"b": "vector<16>"},
        [m.node("histogram", "histogram", {"image": "a"}, {"out": "vector<16>"}, parameters={"bins": "@count"})],
        {"b": "histogram.out"},
        m.slider("count", (2.0, 256.0), 16.0),
    )
    (slot,) = build(m.module(histogram, main)).slots
    assert slot.static
    assert not slot.free


def test_a_pipeline_is_chosen_by_name_or_key():
    module = m.finishing()
    assert build(module, "clean").name == "clean"
    assert build(module, "test.isp:clean").name == "clean"
    with pytest.raises(PlanError, match="did you mean clean"):
        build(module, "claen")


def test_the_hash_follows_the_texts_and_the_pipeline():
    module = m.finishing()
    edited = module.model_copy(update={"files": {"test.isp": "1" * 64}})
    moved = module.model_copy(update={"files": {"elsewhere/test.isp": "0" * 64}})
    assert build(module).sha256 == build(moved).sha256
    assert len({build(module).sha256, build(edited).sha256, build(module, "clean").sha256}) == 3


def with_inputs(**inputs: str):
    graph = build(m.finishing())
    changed = {name: m.value(text) for name, text in inputs.items()}
    calls = [call if call.address != "exposure" else replace(call, inputs=changed) for call in graph.calls]
    return rebuilt(graph, calls)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": "adapt.out"}, "go round in a circle"),
        ({}, "exposure gets no image"),
        ({"image": "ghost.out"}, "ghost"),
        ({"image": "small.other"}, "refers to small.other, which does not exist"),
        ({"image": "nowhere"}, "refers to nowhere"),
    ],
)
def test_verify_refuses_a_broken_graph(inputs, message):
    with pytest.raises(PlanError, match=message):
        verify(with_inputs(**inputs))


def test_a_statistic_of_the_frame_before_makes_no_circle():
    main = m.pipeline(
        "main",
        {"a": m.RGB},
        {"b": m.RGB},
        [
            m.node("adapt", "adapt", {"image": "a"}, needs={"level": "level.out"}),
            m.node("level", "mean", {"image": "adapt.out"}, {"out": "vector<3>"}, statistic=True, previous=True),
        ],
        {"b": "adapt.out"},
    )
    graph = verify(build(m.module(m.ADAPT, m.MEAN, main)))
    assert [call.address for call in graph.calls] == ["adapt", "level"]
    assert graph.network.edges["level", "adapt"]["previous"]


def test_metadata_that_only_a_sub_pipeline_asks_for_is_asked_from_the_frame():
    white = m.stage("white", {"image": m.RGB}, {"out": m.RGB}, "p:q", metas=[m.meta("as_shot_neutral", "vector<3>")])
    ports = ({"a": m.RGB}, {"b": m.RGB})
    inner = m.pipeline("inner", *ports, [m.node("white", "white", {"image": "a"})], {"b": "white.out"})
    main = m.pipeline("main", *ports, [m.node("one", "inner", {"a": "a"}, {"b": m.RGB})], {"b": "one.b"})
    assert [meta.name for meta in build(m.module(white, inner, main)).metas] == ["as_shot_neutral"]
