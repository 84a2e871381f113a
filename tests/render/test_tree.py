"""Trees as outlines and as plain values."""

from __future__ import annotations

import json

from ispdsl.render.tree import outline, values
from ispdsl.source import Source
from ispdsl.syntax.parser import parse
from tests.render.test_human import hold_to

SOURCE = Source(
    "tree.isp",
    "from tone import exposure # why\n"
    "\n"
    "## Brighter.\n"
    "pipeline bright(image: rgb<S, f32>) -> (out: rgb<S, f32>) {\n"
    "  slider ev in -1ev..1ev = 0.5ev\n"
    "  stat level = mean(channel = luma) of previous image\n"
    "  out = image -> exposure(ev = fixed ev) as first -> tap seen\n"
    "  property identity when ev == 0ev\n"
    "}\n",
)


def test_outline() -> None:
    hold_to("tree.txt", outline(parse(SOURCE).tree, SOURCE))


def test_values() -> None:
    hold_to("tree.json", json.dumps(values(parse(SOURCE).tree, SOURCE), indent=1) + "\n")


def test_spans_are_places_in_the_text() -> None:
    (imported,) = values(parse(SOURCE).tree, SOURCE)["imports"]
    assert imported["node"] == "Import"
    assert imported["span"][:2] == [1, 1]
    assert imported["names"][0] == {"node": "Name", "text": "exposure", "span": [1, 18, 1, 26]}
