"""Inline, prune, identity, select: each on one small pipeline that has everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ispdsl.errors import PlanError
from ispdsl.graph import build
from ispdsl.ir.model import Value
from ispdsl.ir.types import Type
from ispdsl.passes.identity import identity
from ispdsl.passes.inline import inline
from ispdsl.passes.prune import prune
from ispdsl.passes.select import for_cfa, match, select, specialise, type_variables
from tests import modules as m


def addresses(graph) -> list[str]:
    return [call.address for call in graph.calls]


# ---- inline -------------------------------------------------------------------------------------------------


def test_inline_flattens_and_leaves_its_input_alone():
    graph = build(m.finishing())
    flat = inline(graph)
    assert addresses(flat) == ["exposure", "level", "denoise.soft", "denoise.lift", "adapt", "nothing", "small"]
    assert "denoise" in addresses(graph)
    assert flat.call("adapt").inputs == {"image": Value(node="denoise.lift", port="out")}
    assert flat.call("denoise.soft").inputs == {"image": Value(node="exposure", port="out")}


def test_inline_gives_every_parameter_one_address_in_the_order_of_the_graph():
    flat = inline(build(m.finishing()))
    assert [slot.address for slot in flat.slots] == m.ADDRESSES
    slots = {slot.address: slot for slot in flat.slots}
    assert slots["denoise.strength"].drives == (("denoise.soft", "strength"),)
    assert slots["denoise.strength"].start == 0.35
    assert slots["denoise.soft.radius"].fixed


def test_inline_renames_taps_and_names_and_binds_type_variables():
    flat = inline(build(m.finishing()))
    assert flat.taps["denoise.softened"] == Value(node="denoise.soft", port="out")
    assert flat.names["denoise.image"] == Value(node="exposure", port="out")
    assert flat.call("denoise.soft").types == {"S": "S"}
    assert str(flat.call("denoise.soft").outputs["out"]) == "rgb<S, f32>"


def nested(depth: int) -> tuple[m.Pipeline, ...]:
    """Pipelines that each call the one before twice over, the first of them `exposure`."""
    made = []
    for level in range(depth):
        callee, port = ("exposure", "out") if level == 0 else (f"level{level - 1}", "result")
        rgb = {port: "rgb<S, f32>"}
        parameters = {"ev": "@ev"} if level == 0 else {"ev": 1.0} if level == 1 else {}
        first = m.node("one", callee, {"image": "image"}, rgb, parameters=parameters, types={"S": "S"})
        second = m.node("two", callee, {"image": f"one.{port}"}, rgb, parameters=parameters, types={"S": "S"})
        own = [m.slider("ev", (-18.0, 18.0), unit="ev")] if level == 0 else []
        ports = ({"image": "rgb<S, f32>"}, {"result": "rgb<S, f32>"})
        made.append(m.pipeline(f"level{level}", *ports, [first, second], {"result": f"two.{port}"}, *own))
    return tuple(made)


def test_inline_goes_down_any_number_of_levels():
    flat = inline(build(m.module(m.EXPOSURE, *nested(3))))
    assert addresses(flat)[:3] == ["one.one.one", "one.one.two", "one.two.one"]
    assert len(addresses(flat)) == 8
    assert flat.results == {"result": Value(node="two.two.two", port="out")}
    assert [slot.address for slot in flat.slots] == ["one.one.ev", "one.two.ev", "two.one.ev", "two.two.ev"]
    assert flat.slots[0].drives == (("one.one.one", "ev"), ("one.one.two", "ev"))


def test_pipelines_that_multiply_are_refused_at_once():
    with pytest.raises(PlanError, match="more than 10000 calls"):
        build(m.module(m.EXPOSURE, *nested(40)))


def test_inline_follows_a_sub_pipeline_that_gives_its_input_back():
    through = m.pipeline("through", {"image": m.RGB}, {"same": m.RGB}, [], {"same": "image"})
    main = m.pipeline(
        "main",
        {"a": m.RGB},
        {"b": m.RGB},
        [m.node("one", "through", {"image": "a"}, {"same": m.RGB}, types={"S": "S"})],
        {"b": "one.same"},
    )
    assert inline(build(m.module(through, main))).results == {"b": Value(node=None, port="a")}


def test_inline_hands_metadata_down():
    inner = m.pipeline(
        "inner",
        {"image": m.RGB},
        {"result": m.RGB},
        [m.node("lift", "exposure", {"image": "image"}, parameters={"ev": "$start"}, metas={"bias": "$start"})],
        {"result": "lift.out"},
        metas=[m.meta("start", "real<ev>", 0.5)],
    )

    def main(given):
        call = m.node("inner", "inner", {"image": "a"}, {"result": m.RGB}, metas=given)
        metas = [m.meta("shot", "real<ev>", 0.25)]
        return m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, [call], {"b": "inner.result"}, metas=metas)

    def flat(given):
        graph = inline(build(m.module(m.EXPOSURE, inner, main(given))))
        return graph.slots[0], graph.call("inner.lift").metas["bias"]

    slot, bias = flat({"start": "$shot"})
    assert (slot.start_meta, slot.start, bias.meta) == ("shot", 0.25, "shot")
    slot, bias = flat({"start": 2.0})
    assert (slot.start_meta, slot.start, bias.value) == (None, 2.0, 2.0)
    slot, bias = flat({})
    assert (slot.start_meta, slot.start, bias.value) == (None, 0.5, 0.5)


# ---- prune --------------------------------------------------------------------------------------------------


def test_prune_drops_what_nothing_needs_and_keeps_addresses():
    graph = inline(build(m.finishing()))
    only = replace(graph, results={"display": graph.results["display"]}, outputs=graph.outputs[:1])
    pruned = prune(only, taps=["exposed"])
    assert "small" not in addresses(pruned)
    assert "level" in addresses(pruned)
    assert dict(pruned.taps) == {"exposed": Value(node="exposure", port="out")}
    slot = next(slot for slot in pruned.slots if slot.address == "small.strength")
    assert slot.drives == ()
    assert not slot.free


def test_prune_keeps_a_tap_of_what_no_output_needs():
    side = m.pipeline(
        "side",
        {"a": m.RGB},
        {"b": m.RGB},
        [m.node("main", "exposure", {"image": "a"}), m.node("aside", "exposure", {"image": "a"})],
        {"b": "main.out"},
        taps={"watched": "aside.out"},
        names={"aside": "aside.out"},
    )
    graph = build(m.module(m.EXPOSURE, side))
    assert addresses(prune(graph)) == ["main", "aside"]
    assert addresses(prune(graph, taps=[])) == ["main"]
    assert addresses(prune(graph, taps=["aside"])) == ["main", "aside"]
    with pytest.raises(PlanError, match="did you mean watched"):
        prune(graph, taps=["wached"])


def test_prune_keeps_the_statistic_of_the_frame_before():
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
    assert addresses(prune(build(m.module(m.ADAPT, m.MEAN, main)))) == ["adapt", "level"]


# ---- identity -----------------------------------------------------------------------------------------------


def test_identity_drops_a_node_fixed_at_its_identity_point():
    graph = inline(build(m.finishing()))
    smaller = identity(graph)
    assert "nothing" in addresses(graph)
    assert "nothing" not in addresses(smaller)
    assert smaller.results["display"] == Value(node="adapt", port="out")
    assert smaller.taps["adapted"] == Value(node="adapt", port="out")


def lone(parameters=None, metas=None, out="rgb<camera, f32>", stage=m.EXPOSURE, given="rgb<camera, f32>"):
    call = m.node("one", stage.signature.name, {"image": "a"}, {"out": out}, parameters=parameters, metas=metas)
    top = [m.meta("shot", "real<ev>", 0.0)]
    main = m.pipeline("main", {"a": given}, {"b": out}, [call], {"b": "one.out"}, m.slider("p", unit="ev"), metas=top)
    return addresses(identity(build(m.module(stage, main))))


@pytest.mark.parametrize(
    ("case", "dropped"),
    [
        ({"parameters": {"ev": (0.0,)}}, True),
        ({"parameters": {"ev": 0.0}}, False),
        ({"parameters": {"ev": (0.1,)}}, False),
        ({"parameters": {"ev": "@p"}}, False),
        ({"parameters": {"ev": ("$shot",)}}, False),
        ({"parameters": {"ev": (0.0,)}, "metas": {"bias": "$shot"}}, False),
        ({"parameters": {"ev": (0.0,)}, "metas": {"bias": 0.5}}, False),
        ({"parameters": {"ev": (0.0,)}, "given": "rgb<camera, unit>"}, False),
    ],
)
def test_identity_needs_fixed_literals_and_the_same_type(case, dropped):
    assert lone(**case) == ([] if dropped else ["one"])


@pytest.mark.parametrize(
    ("declaration", "condition", "given", "dropped"),
    [
        (m.table("curve", "x", (3,)), "identity", "identity", True),
        (m.table("curve", "x", (3,)), "identity", 1.0, False),
        (m.table("curve", "x", (3,)), 1.0, m.array(1.0, 1.0, 2.0), False),
        (m.table("curve", "x", (3,)), 1.0, m.array(1.0, 1.0, 1.0), True),
        (m.choice("x", "off", "on"), "off", "off", True),
        (m.choice("x", "off", "on"), "off", "on", False),
        (m.toggle("x"), False, False, True),
        (m.toggle("x"), False, True, False),
        (m.slider("x", (0.0, 200.0), 100.0, "%"), 1.1, 110.0, True),
    ],
)
def test_identity_reads_every_kind_of_condition(declaration, condition, given, dropped):
    stage = m.stage(
        "plain", {"image": m.RGB}, {"out": m.RGB}, "p:q", declaration, properties=[m.identity_when(x=condition)]
    )
    assert lone(parameters={"x": (given,)}, stage=stage) == ([] if dropped else ["one"])


# ---- select -------------------------------------------------------------------------------------------------

MOSAIC = m.stage("demosaic", {"mosaic": "raw<C, u12>"}, {"out": "rgb<camera, f32>"}, "p:q", radius=2)


def developing(layout: str = "raw<C, u12>"):
    call = m.node("demosaic", "demosaic", {"mosaic": "mosaic"}, types={"C": layout[4:].split(",")[0]})
    main = m.pipeline("main", {"mosaic": layout}, {"b": "rgb<camera, f32>"}, [call], {"b": "demosaic.out"})
    return build(m.module(MOSAIC, main))


def test_specialise_binds_the_cfa():
    graph = developing()
    assert type_variables(graph) == ("C",)
    bound = specialise(graph, {"C": "gbrg"})
    assert str(bound.inputs[0].type) == "raw<gbrg, u12>"
    assert bound.call("demosaic").types == {"C": "gbrg"}
    assert type_variables(bound) == ()
    assert str(graph.inputs[0].type) == "raw<C, u12>"


@pytest.mark.parametrize(
    ("variables", "message"), [({"D": "rggb"}, "no type variable D"), ({"C": "rgbw"}, "rgbw is no CFA")]
)
def test_specialise_refuses(variables, message):
    with pytest.raises(PlanError, match=message):
        specialise(developing(), variables)


def test_match_finds_the_variables_from_the_type_of_a_frame():
    assert match(developing(), {"mosaic": Type.parse("raw<bggr, u10>")}) == {"C": "bggr"}
    for given in ("raw<bggr, u14>", "rgb<camera, f32>"):
        with pytest.raises(PlanError, match="takes mosaic: raw<C, u12>, and was given"):
            match(developing(), {"mosaic": Type.parse(given)})
    with pytest.raises(PlanError, match="has no input file"):
        match(developing(), {"file": Type.parse("raw<bggr, u10>")})


def test_for_cfa_fits_the_input():
    assert for_cfa(developing(), "grbg") == {"C": "grbg"}
    assert for_cfa(developing("raw<rggb, u12>"), "rggb") == {}
    with pytest.raises(PlanError, match="the frame's CFA is bggr"):
        for_cfa(developing("raw<rggb, u12>"), "bggr")
    with pytest.raises(PlanError, match="xtrans is no CFA"):
        for_cfa(developing(), "xtrans")


def chosen(stage, **choice):
    call = m.node("one", stage.signature.name, {"image": "a"})
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, [call], {"b": "one.out"})
    implementation = select(build(m.module(stage, main)), choice).call("one").implementation
    assert implementation is not None
    return implementation


def offering(program, *others):
    return m.stage("s", {"image": m.RGB}, {"out": m.RGB}, program, others=others)


def test_select_takes_the_program():
    assert chosen(offering("p:q", ("proxy", "unet"))).target == "p:q"
    assert chosen(offering("p:q"), one="program").target == "p:q"
    assert chosen(offering("p:q", ("program", "p:r")), one="p:r").target == "p:r"


@pytest.mark.parametrize(
    ("stage", "choice", "message"),
    [
        (offering(None, ("executor", "tcp")), {}, r"node one .* has no program: it has executor tcp"),
        (offering(None), {}, "no implementation at all"),
        (offering("p:q", ("proxy", "unet")), {"one": "proxy"}, "cannot run as proxy.*--impl one=program"),
        (offering("p:q"), {"ome": "program"}, "no node ome; did you mean one"),
    ],
)
def test_select_says_what_a_node_has(stage, choice, message):
    with pytest.raises(PlanError, match=message):
        chosen(stage, **choice)
