"""Pictures of graphs: everything is there, nothing overlaps, arrows point down."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ispdsl.graph_svg import Arrow, Box, draw

SVG = "{http://www.w3.org/2000/svg}"


def rectangles(root: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of every box by its title."""
    found: dict[str, tuple[float, float, float, float]] = {}
    for group in root.iter(f"{SVG}g"):
        rect, title = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert rect is not None
        assert title is not None
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        found[title.text or ""] = (x, y, x + w, y + h)
    return found


graphs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.just([Box(str(i), f"n{i}", "detail" * (i % 3)) for i in range(n)]),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] < pair[1]), max_size=24
        ),
    )
)


@settings(max_examples=60, deadline=None)
@given(graphs)
def test_boxes_are_apart_and_arrows_point_down(graph: tuple[list[Box], list[tuple[int, int]]]) -> None:
    boxes, pairs = graph
    root = ElementTree.fromstring(draw(boxes, [Arrow(str(a), str(b), "f32") for a, b in pairs]))
    places = rectangles(root)
    assert set(places) == {box.title for box in boxes}
    for (l0, t0, r0, b0), (l1, t1, r1, b1) in combinations(places.values(), 2):
        assert r0 <= l1 or r1 <= l0 or b0 <= t1 or b1 <= t0
    for a, b in pairs:
        assert places[f"n{a}"][3] < places[f"n{b}"][1]
    edges = [path for path in root.iter(f"{SVG}path") if path.get("class", "").startswith("edge")]
    assert len(edges) == len(pairs)
    x, y, w, h = map(float, root.attrib["viewBox"].split())
    assert all(
        x <= left and y <= top and right <= x + w and bottom <= y + h for left, top, right, bottom in places.values()
    )


def test_a_chain_is_a_straight_line() -> None:
    boxes = [Box(str(i), "stage" * (i + 1)) for i in range(5)]
    root = ElementTree.fromstring(draw(boxes, [Arrow(str(i), str(i + 1)) for i in range(4)]))
    centres = {round((left + right) / 2, 1) for left, _, right, _ in rectangles(root).values()}
    assert max(centres) - min(centres) < 0.2


def test_crossings_are_undone() -> None:
    boxes = [Box(name, name) for name in "abcdef"]
    root = ElementTree.fromstring(draw(boxes, [Arrow("a", "f"), Arrow("b", "e"), Arrow("c", "d")]))
    places = rectangles(root)
    pairs = sorted((places[up][0], places[down][0]) for up, down in ("af", "be", "cd"))
    assert [down for _, down in pairs] == sorted(down for _, down in pairs)


def test_feedback_is_no_cycle_and_a_cycle_is_an_error() -> None:
    boxes = [Box("a", "a"), Box("b", "b")]
    drawn = draw(boxes, [Arrow("a", "b"), Arrow("b", "a", "vector<2>", "previous")])
    assert 'class="edge previous"' in drawn
    with pytest.raises(ValueError, match="cycle"):
        draw(boxes, [Arrow("a", "b"), Arrow("b", "a")])
    with pytest.raises(ValueError, match="do not exist"):
        draw(boxes, [Arrow("a", "z")])


def test_names_are_escaped_and_kinds_are_classes() -> None:
    drawn = draw([Box("a", "<script>&", "rgb<S, f32>", "input")], [], title="<t>")
    root = ElementTree.fromstring(drawn)
    assert "<script>" not in drawn
    assert "<script>&" in rectangles(root)
    assert re.search(r'<g class="input">', drawn)
    assert root.findtext(f"{SVG}title") == "<t>"


def test_an_empty_graph_is_a_picture() -> None:
    assert ElementTree.fromstring(draw([], [])).tag == f"{SVG}svg"
