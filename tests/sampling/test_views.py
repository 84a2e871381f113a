"""What of a pipeline is watched while it is sampled."""

from __future__ import annotations

from pathlib import Path

from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.passes.segments import segments, watched
from ispdsl.plan import prepared
from ispdsl.sampling.views import flat_of

TEXT = """
stage recover(image: rgb<S, f32>) -> rgb<S, f32> {
  choice mode in {clip, blend} = clip
  program "ispdsl.programs.tone:exposure"
  property identity when mode == clip
}

stage brighten(image: rgb<S, f32>) -> rgb<S, f32> {
  slider gain in 0..4 soft 0.5..2 = 1
  program "ispdsl.programs.tone:exposure"
}

pipeline box(image: rgb<camera, f32>) -> (out: rgb<camera, f32>) {
  executor command(arguments = ["box", "{image}", "{result}"], image = npy, result = npy)
  out = image -> brighten -> tap brightened -> recover(mode = fixed clip) -> tap recovered -> brighten as last
}
"""


def test_a_stage_that_does_nothing_is_no_stage_of_a_real_thing_either(tmp_path: Path) -> None:
    path = tmp_path / "box.isp"
    path.write_text(TEXT)
    graph = build(load(path), "box")
    flat = flat_of(graph, {}, None, "command")
    assert tuple(watched(flat)) == ("image", "brightened", "out")
    assert [each.address for each in segments(flat)] == ["brighten", "last"]
    assert watched(flat) == watched(prepared(graph, {})), "doubles are placed in the same graph"
