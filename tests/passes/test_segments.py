"""What lies between watched values, and the graph with one call for several nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ispdsl.errors import PlanError
from ispdsl.graph import Graph, rebuilt, verify
from ispdsl.ir.model import Footprint, Value
from ispdsl.passes.segments import Segment, collapse, cut, segments, watched
from ispdsl.passes.single import constants, declaration
from ispdsl.plan import flattened
from tests import doubled


def flat(text: str, folder: Path):
    return flattened(doubled.written(folder, text))


def footprint(graph: Graph, address: str) -> Footprint:
    found = graph.call(address).footprint
    assert found is not None
    return found


def test_photo_finish_has_a_segment_for_every_tap_and_the_output():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    assert list(watched(graph)) == [
        *("mosaic", "demosaiced", "exposed", "toned", "balanced"),
        *("saturated", "detailed", "graded", "contrasted", "display"),
    ]
    found = segments(graph)
    assert found[0] == Segment(
        "demosaiced", ("black_white", "white_balance", "clip_white", "demosaic"), ("mosaic",), ("demosaiced",)
    )
    assert found[2] == Segment("tone_map", ("tone_map",), ("exposed",), ("toned",))
    assert [each.address for each in found[1:]] == [
        *("exposure", "tone_map", "colour_balance", "saturation"),
        *("texture", "look_table", "contrast", "srgb"),
    ]


def test_the_whole_is_one_segment_with_its_statistics_inside():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    (whole,) = segments(graph, whole=True)
    assert (whole.address, whole.reads, whole.gives) == ("display", ("mosaic",), ("display",))
    assert whole.nodes == tuple(call.address for call in graph.calls)
    collapsed = collapse(graph, [whole])
    assert [call.address for call in collapsed.calls] == ["display"]
    assert not collapsed.taps
    assert footprint(collapsed, "display").kind == "global"


def test_a_collapsed_call_takes_what_its_nodes_take_from_outside():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    collapsed = collapse(graph, segments(graph))
    call = collapsed.call("demosaiced")
    assert dict(call.parameters) == {"demosaic_method": "demosaic.method"}
    assert [meta.name for meta in call.signature.metas] == ["black_level", "white_level", "as_shot_neutral"]
    assert str(call.signature.inputs[0].type) == "raw<rggb, u16>"
    assert footprint(collapsed, "demosaiced").radius == footprint(graph, "demosaic").radius
    assert collapsed.call("exposure").inputs == {"image": Value(node="demosaiced", port="out")}
    assert collapsed.taps["demosaiced"] == Value(node="demosaiced", port="out")
    assert [slot.address for slot in collapsed.slots] == [slot.address for slot in graph.slots]
    drives = {slot.address: slot.drives for slot in collapsed.slots}
    assert drives["demosaic.method"] == (("demosaiced", "demosaic_method"),)
    assert constants(graph, "demosaiced", call_nodes(graph, "demosaiced")) == {
        **{"black_white_offset": 0.0, "white_balance_red": 1.0, "white_balance_blue": 1.0, "clip_white_level": 1.0}
    }


def call_nodes(graph, address: str) -> tuple[str, ...]:
    return next(each.nodes for each in segments(graph) if each.address == address)


def test_only_chosen_segments_collapse_and_single_nodes_stay_as_they_are(tmp_path: Path):
    graph = flat(doubled.CHAIN, tmp_path)
    found = {each.address: each for each in segments(graph)}
    assert found["coloured"].nodes == ("contrast", "saturation")
    collapsed = collapse(graph, [found["coloured"], found["exposure"]])
    assert [call.address for call in collapsed.calls] == ["exposure", "coloured", "contrast_2"]
    assert collapsed.call("exposure") == graph.call("exposure")
    assert footprint(collapsed, "coloured").kind == "pointwise"
    assert verify(collapsed) is collapsed


BRANCHES = """
from tone import exposure, contrast
from colour import saturation
from exposure_mix import mix

pipeline branches(image: rgb<camera, f32>) -> (out: rgb<camera, f32>, side: rgb<camera, f32>) {
  trunk = image -> exposure(ev = 1ev)
  bent  = trunk -> contrast -> tap left
  side  = trunk -> saturation
  out   = mix(bent, side)
}
"""
MIX = """
stage mix(a: rgb<S, f32>, b: rgb<S, f32>) -> rgb<S, f32> {
  slider share in 0..1 = 0.5
  property local within 3px
}
"""


def branches(folder: Path):
    (folder / "exposure_mix.isp").write_text(MIX)
    return flat(BRANCHES, folder)


def test_a_node_that_two_branches_need_is_in_both_segments(tmp_path: Path):
    graph = branches(tmp_path)
    found = {each.address: each for each in segments(graph)}
    left, side, out = found["left"], found["side"], found["mix"]
    assert left.nodes == ("exposure", "contrast")
    assert side.nodes == ("exposure", "saturation")
    assert out.reads == ("left", "side")
    both = collapse(graph, found.values())
    assert {call.address for call in both.calls} == {"left", "side", "mix"}
    assert both.results["side"] == Value(node="side", port="out")
    assert dict(both.call("left").parameters)["exposure_ev"] == "exposure.ev"
    one = collapse(graph, [left])
    assert {call.address for call in one.calls} == {"left", "exposure", "saturation", "mix"}
    whole = collapse(graph, segments(graph, whole=True))
    assert list(whole.call("out").outputs) == ["out", "side"]
    assert footprint(whole, "out").radius == 3
    assert dict(whole.call("out").inputs) == {"image": Value(node=None, port="image")}


UNSEEN = """
from statistics import histogram
from tone import exposure, tone_map

pipeline unseen(image: rgb<camera, f32>) -> (out: rgb<camera, f32>) {
  stat hist = histogram(channel = luma, bins = 256, low = fixed 0, high = fixed 1) of lit
  lit = image -> exposure(ev = 1ev)
  out = lit -> tone_map(hist = hist)
}
"""


def test_a_statistic_of_what_nobody_sees_is_inside_its_segment(tmp_path: Path):
    (found,) = segments(flat(UNSEEN, tmp_path))
    assert set(found.nodes) == {"exposure", "hist", "tone_map"}
    seen = UNSEEN.replace("image -> exposure(ev = 1ev)", "image -> exposure(ev = 1ev) -> tap lit_up")
    assert [each.nodes for each in segments(flat(seen, tmp_path))] == [("exposure",), ("tone_map",)]


def test_cut_keeps_a_call_and_the_statistics_that_it_needs():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    part = cut(graph, "tone_map")
    assert [call.address for call in part.calls] == ["hist", "tone_map"]
    assert [(port.name, str(port.type)) for port in part.inputs] == [("exposed", "rgb<camera, f32>")]
    assert list(part.results) == ["toned"]
    with pytest.raises(PlanError, match=r"reads .*which is not watched"):
        cut(graph, "demosaic")
    with pytest.raises(PlanError, match="no node tome_map"):
        cut(graph, "tome_map")


def test_a_value_is_watched_once_and_the_name_of_its_tap_wins():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    again = replace(graph, taps={**graph.taps, "finished": graph.results["display"], "same": graph.taps["toned"]})
    assert "display" not in watched(again)
    assert "same" not in watched(again)
    assert watched(again)["finished"] == graph.results["display"]
    clash = replace(graph, taps={"mosaic": graph.taps["toned"]})
    with pytest.raises(PlanError, match="two values named mosaic"):
        watched(clash)


def test_a_declaration_hash_knows_types_and_ranges_but_no_places_or_contract():
    graph = flattened(doubled.photo_finish(), cfa="rggb")
    call = graph.call("saturation")

    def changed(**more: object):
        return replace(call, signature=call.signature.model_copy(update=more))

    assert declaration(changed(properties=(), doc="other")) == declaration(call)
    wider = tuple(each.model_copy(update={"hard": (-9.0, 9.0)}) for each in call.signature.parameters)
    assert declaration(changed(parameters=wider)) != declaration(call)
    stage = graph.call("clip_white").signature
    other = stage.model_copy(update={"implementations": ()})
    calls = [replace(each, signature=other) if each.address == "clip_white" else each for each in graph.calls]
    first, second = (collapse(each, segments(each)).call("demosaiced") for each in (graph, rebuilt(graph, calls)))
    assert declaration(first) != declaration(second)
