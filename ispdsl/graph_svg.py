"""Graphs drawn as SVG in layers from top to bottom, without any other program.

The method of Sugiyama, Tagawa and Toda (1981), in the steps of Gansner et al. (1993): every node gets a layer by
longest path, edges that skip layers are cut by waypoints, barycentre sweeps order each layer, and each layer is then
laid out as near to the medians of its neighbours as the distances between boxes allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate, pairwise
from statistics import median

LAYER_GAP = 46.0
SIDE_GAP = 26.0
MARGIN = 24.0
PORT_GAP = 22.0
LOOP = 60.0
WEIGHTS = {"statistic": 0.1, "tap": 0.02}
SWEEPS = 12
LETTER = 7.3
SMALL_LETTER = 6.1

STYLE = """
  svg { background: #ffffff; color: #1f2328 }
  text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
  text { fill: currentColor }
  .title { font-size: 13px; font-weight: 600 }
  .detail { font-size: 11px; fill-opacity: 0.68 }
  .label { font-size: 10.5px; fill-opacity: 0.75 }
  .halo { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; stroke-linejoin: round }
  rect { stroke-width: 1.25; fill: #f6f8fa; stroke: #8c959f }
  .input rect, .output rect { fill: #ddf4ff; stroke: #54aeff }
  .statistic rect { fill: #fff8c5; stroke: #d4a72c }
  .tap rect { fill: #dafbe1; stroke: #4ac26b }
  .pipeline rect { fill: #fbefff; stroke: #c297ff }
  .edge { fill: none; stroke: #6e7781; stroke-width: 1.4 }
  .edge.statistic { stroke: #bf8700; stroke-dasharray: 5 3 }
  .edge.previous { stroke: #bf8700; stroke-dasharray: 1.5 3.5; stroke-linecap: round }
  marker path { fill: #6e7781 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3 }
    .halo { stroke: #0d1117 }
    rect { fill: #161b22; stroke: #484f58 }
    .input rect, .output rect { fill: #0c2d4d; stroke: #1f6feb }
    .statistic rect { fill: #341a00; stroke: #9e6a03 }
    .tap rect { fill: #04260f; stroke: #238636 }
    .pipeline rect { fill: #26114a; stroke: #8957e5 }
    .edge { stroke: #8b949e }
    marker path { fill: #8b949e }
  }
"""

MARKER = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0.5 L7.5 4 L0 7.5 z"/></marker></defs>'
)


@dataclass(frozen=True)
class Box:
    """A node: its name, a line below it, and a kind that sets its colour.

    Kinds: ``input``, ``output``, ``stage``, ``pipeline``, ``statistic``, ``tap``.
    """

    id: str
    title: str
    detail: str = ""
    kind: str = "stage"

    @property
    def width(self) -> float:
        """Estimated from the number of letters: nothing here measures fonts."""
        return max(84.0, LETTER * len(self.title) + 28, SMALL_LETTER * len(self.detail) + 24)

    @property
    def height(self) -> float:
        """One or two lines."""
        return 44.0 if self.detail else 30.0


@dataclass(frozen=True)
class Arrow:
    """An edge with words beside it; kinds ``image``, ``statistic``, ``previous`` (of the frame before, drawn aside)."""

    source: str
    target: str
    label: str = ""
    kind: str = "image"


@dataclass(eq=False)
class _Slot:
    """A place in a layer: a box, or a waypoint of a long arrow (then `box` is None); `x` and `y` are its centre."""

    box: Box | None
    layer: int
    above: list[_Slot] = field(default_factory=list["_Slot"])
    below: list[_Slot] = field(default_factory=list["_Slot"])
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return self.box.width if self.box else 10.0

    @property
    def height(self) -> float:
        return self.box.height if self.box else 0.0

    @property
    def weight(self) -> float:
        """How much it insists on its place: long arrows run straight, taps and statistics stand aside."""
        return WEIGHTS.get(self.box.kind, 1.0) if self.box else 4.0


Route = list[_Slot]


def draw(boxes: Sequence[Box], arrows: Sequence[Arrow], title: str = "") -> str:
    """An SVG document of a graph.

    Args:
        boxes: nodes with unique ids.
        arrows: edges between them. Those that are not ``previous`` must make no cycle.
        title: accessible name of the picture.

    Raises:
        ValueError: the arrows make a cycle, or name no box.
    """
    known = {box.id for box in boxes}
    for arrow in arrows:
        if not {arrow.source, arrow.target} <= known:
            raise ValueError(f"the arrow from {arrow.source} to {arrow.target} joins boxes that do not exist")
    forward = [arrow for arrow in arrows if arrow.kind != "previous"]
    depth = _depths(boxes, forward)
    slots = {box.id: _Slot(box, depth[box.id]) for box in boxes}
    routes = [(arrow, _route(slots[arrow.source], slots[arrow.target])) for arrow in forward]
    layers: list[list[_Slot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for slot in dict.fromkeys([*slots.values(), *(slot for _, route in routes for slot in route)]):
        layers[slot.layer].append(slot)
    _order(layers)
    _place(layers)
    feedback = [(arrow, slots[arrow.source], slots[arrow.target]) for arrow in arrows if arrow.kind == "previous"]
    return _document(layers, routes, feedback, title)


# ---- layers ------------------------------------------------------------------------------------------------


def _depths(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> dict[str, int]:
    """The layer of every box: longest path from a source; sources themselves come as late as they can."""
    before = {box.id: {arrow.source for arrow in arrows if arrow.target == box.id} for box in boxes}
    after = {box.id: {arrow.target for arrow in arrows if arrow.source == box.id} for box in boxes}
    depth: dict[str, int] = {}
    waiting = {id: len(sources) for id, sources in before.items()}
    ready = [id for id, count in waiting.items() if not count]
    for id in ready:
        depth[id] = max((depth[source] + 1 for source in before[id]), default=0)
        for target in after[id]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if len(depth) < len(before):
        raise ValueError("the arrows make a cycle")
    late = {id: min(depth[target] for target in after[id]) - 1 for id in before if after[id] and not before[id]}
    return {**depth, **late}


def _route(source: _Slot, target: _Slot) -> Route:
    """The slots that an arrow passes, one in each layer, linked to each other."""
    route = [source, *(_Slot(None, layer) for layer in range(source.layer + 1, target.layer)), target]
    for upper, lower in pairwise(route):
        upper.below.append(lower)
        lower.above.append(upper)
    return route


def _order(layers: list[list[_Slot]]) -> None:
    """Sort each layer by the mean place of its neighbours, down and up in turn; keep the order that crosses least."""
    best, crossings = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        if not crossings:
            break
        down = sweep % 2 == 0
        for still, moving in pairwise(layers if down else layers[::-1]):
            place = {slot: index for index, slot in enumerate(still)}
            wanted = {
                slot: _mean([place[n] for n in (slot.above if down else slot.below)], index)
                for index, slot in enumerate(moving)
            }
            moving.sort(key=wanted.__getitem__)
        if (found := _crossings(layers)) < crossings:
            best, crossings = [list(layer) for layer in layers], found
    layers[:] = best


def _mean(places: list[int], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _crossings(layers: list[list[_Slot]]) -> int:
    """How many pairs of edges between neighbouring layers cross."""
    count = 0
    for upper, lower in pairwise(layers):
        place = {slot: index for index, slot in enumerate(lower)}
        ends = [place[end] for slot in upper for end in sorted(slot.below, key=place.__getitem__)]
        count += sum(left > right for index, left in enumerate(ends) for right in ends[index + 1 :])
    return count


# ---- coordinates ----------------------------------------------------------------------------------------------


def _place(layers: list[list[_Slot]]) -> None:
    """Give every slot its centre: each layer in turn as near to the medians of its neighbours as the boxes allow."""
    top = 0.0
    for layer in layers:
        height = max(slot.height for slot in layer)
        for slot in layer:
            slot.y = top + height / 2
        _settle(layer, [0.0] * len(layer))
        top += height + LAYER_GAP
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            _settle(layer, [_wish(slot, slot.above if down else slot.below) for slot in layer])


def _wish(slot: _Slot, neighbours: list[_Slot]) -> float:
    """The median of the neighbours that weigh most; without any, where it is."""
    heaviest = max((neighbour.weight for neighbour in neighbours), default=0.0)
    places = [neighbour.x for neighbour in neighbours if neighbour.weight >= min(heaviest, 1.0)]
    return median(places) if places else slot.x


def _spread(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (weighted least squares) that keep order and at least these distances.

    Less the distances that they must keep, places in order are a non-decreasing sequence: isotonic regression by
    pooling adjacent violators.
    """
    offsets = list(accumulate(distances, initial=0.0))
    pools: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, size = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, other_total, other_size = pools.pop()
            mean = (mean * total + other * other_total) / (total + other_total)
            total, size = total + other_total, size + other_size
        pools.append((mean, total, size))
    free = [mean for mean, _, size in pools for _ in range(size)]
    return [place + offset for place, offset in zip(free, offsets, strict=True)]


def _settle(layer: list[_Slot], wanted: list[float]) -> None:
    """Move the slots of a layer to where they want to be, side by side."""
    distances = [(left.width + right.width) / 2 + SIDE_GAP for left, right in pairwise(layer)]
    for slot, x in zip(layer, _spread(wanted, [slot.weight for slot in layer], distances), strict=True):
        slot.x = x


# ---- the document -----------------------------------------------------------------------------------------------


Feedback = tuple[Arrow, _Slot, _Slot]


@dataclass(frozen=True)
class _Ends:
    """Where an arrow leaves its box and enters the other; on which side of its head its words stand, in which row."""

    leaves: float
    enters: float
    left: bool
    row: int


def _document(
    layers: list[list[_Slot]], routes: list[tuple[Arrow, Route]], feedback: list[Feedback], title: str
) -> str:
    everything = [slot for layer in layers for slot in layer]
    ends = _ends(routes)
    words = [
        (end.enters - 6 - length, end.enters) if end.left else (end.enters, end.enters + 6 + length)
        for (arrow, _), end in zip(routes, ends, strict=True)
        if (length := SMALL_LETTER * len(arrow.label))
    ]
    sides = [*words, *((slot.x - slot.width / 2, slot.x + slot.width / 2) for slot in everything)]
    left = min((side[0] for side in sides), default=0.0) - MARGIN
    right = max((side[1] for side in sides), default=0.0) + MARGIN + (LOOP if feedback else 0.0)
    height = max((slot.y + slot.height / 2 for slot in everything), default=0.0) + 2 * MARGIN
    view = f"{left:.1f} {-MARGIN:.1f} {right - left:.1f} {height:.1f}"
    size = f'viewBox="{view}" width="{right - left:.0f}" height="{height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">']
    parts += [f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", MARKER]
    parts += [_arrow(arrow, route, end) for (arrow, route), end in zip(routes, ends, strict=True)]
    parts += [_loop(arrow, source, target, right - LOOP) for arrow, source, target in feedback]
    parts += [_box(slot.box, slot) for slot in everything if slot.box]
    parts += [_label(arrow, route, end) for (arrow, route), end in zip(routes, ends, strict=True) if arrow.label]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ends(routes: list[tuple[Arrow, Route]]) -> list[_Ends]:
    """Where arrows leave and enter: as straight as they can, side by side.

    The words of the first of several that enter stand on the left, of the others on the right; those of a single one
    stand away from what else leaves the same box, or else on the side that it does not come from.
    """
    leaves, enters = [0.0] * len(routes), [0.0] * len(routes)
    sides = [(False, 0)] * len(routes)
    for places, near, far in ((leaves, 0, 1), (enters, -1, -2)):
        groups: dict[_Slot, list[int]] = {}
        for index, (_, route) in enumerate(routes):
            groups.setdefault(route[near], []).append(index)
        for slot, group in groups.items():
            group.sort(key=lambda index: routes[index][1][far].x)
            others = [routes[index][1][far] for index in group]
            reach = slot.width / 2 - 14
            step = min(PORT_GAP, 2 * reach / len(group))
            left, right = slot.x - reach, slot.x + reach - step * (len(group) - 1)
            wanted = [min(max(other.x, left + n * step), right + n * step) for n, other in enumerate(others)]
            ports = _spread(wanted, [other.weight for other in others], [step] * (len(group) - 1))
            for number, (index, port) in enumerate(zip(group, ports, strict=True)):
                places[index] = port
                aside = number == 0 if len(group) > 1 else _crowded_right(slot, others[0])
                sides[index] = (aside, 0 if aside else (len(group) - 1 - number) % 3)
    return [_Ends(leave, enter, *side) for leave, enter, side in zip(leaves, enters, sides, strict=True)]


def _crowded_right(slot: _Slot, source: _Slot) -> bool:
    """Whether more arrows pass on the right of a slot than on its left."""
    siblings = [other.x for other in source.below if other is not slot]
    return (sum(siblings) / len(siblings) > slot.x) if siblings else source.x > slot.x + 8


def _arrow(arrow: Arrow, route: Route, ends: _Ends) -> str:
    points = [(ends.leaves, route[0].y + route[0].height / 2)]
    points += [(slot.x, slot.y) for slot in route[1:-1]]
    points += [(ends.enters, route[-1].y - route[-1].height / 2 - 2)]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (y1 - y0) / 2
        path += f" C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
    return f'<path class="edge {escape(arrow.kind)}" d="{path}" marker-end="url(#head)"/>'


def _loop(arrow: Arrow, source: _Slot, target: _Slot, edge: float) -> str:
    """What is carried over to the next frame: below a layer, or out on the right, up or down, and in again."""
    if source.layer == target.layer:
        x0, x1 = source.x, target.x
        y0, y1 = (slot.y + slot.height / 2 for slot in (source, target))
        low = max(y0, y1) + LAYER_GAP
        path = f"M{x0:.1f} {y0:.1f} C{x0:.1f} {low:.1f} {x1:.1f} {low:.1f} {x1:.1f} {y1 + 2:.1f}"
    else:
        x0, x1 = (slot.x + slot.width / 2 for slot in (source, target))
        bend = edge + LOOP / 2
        path = (
            f"M{x0:.1f} {source.y:.1f} C{bend:.1f} {source.y:.1f} {bend:.1f} {target.y:.1f} {x1 + 2:.1f} {target.y:.1f}"
        )
    return f'<path class="edge previous" d="{path}" marker-end="url(#head)"><title>{escape(arrow.label)}</title></path>'


def _box(box: Box, slot: _Slot) -> str:
    x, y = slot.x - slot.width / 2, slot.y - slot.height / 2
    radius = slot.height / 2 if box.kind in ("input", "output") else 7
    size = f'width="{slot.width:.1f}" height="{slot.height:.1f}" rx="{radius:.1f}"'
    words = _line("title", slot.x, slot.y + (-2 if box.detail else 4.5), box.title)
    words += _line("detail", slot.x, slot.y + 14, box.detail) if box.detail else ""
    return f'<g class="{escape(box.kind)}"><rect x="{x:.1f}" y="{y:.1f}" {size}/>{words}</g>'


def _line(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{style}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _label(arrow: Arrow, route: Route, ends: _Ends) -> str:
    """The words of an arrow, just above its head."""
    y = route[-1].y - route[-1].height / 2 - 14 - 11 * ends.row
    x, anchor = (ends.enters - 6, "end") if ends.left else (ends.enters + 6, "start")
    return _line("label halo", x, y, arrow.label, anchor)
