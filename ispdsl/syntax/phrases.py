"""Each part of the tree as a text, comments apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ispdsl.syntax import tree
from ispdsl.syntax.layout import Group, Text, Words, flat


@dataclass(frozen=True)
class Row:
    """A statement: its keyword, cells that are aligned with those of neighbours of its kind, and what follows."""

    keyword: str
    cells: tuple[str, ...]
    rest: Text


# ---- values, types, calls --------------------------------------------------------------------------------


def value(node: tree.Value) -> Text:
    """A value."""
    match node:
        case tree.String():
            return (f'"{node.text}"',)
        case tree.ListValue():
            leaves = not any(isinstance(item, tree.ListValue) for item in node.items)
            return (Group("[", tuple(map(value, node.items)), "]", fill=leaves),)
        case _:
            return (node.text,)


def _range(node: tree.Range) -> Text:
    return (*value(node.low), "..", *value(node.high))


def type_(node: tree.TypeExpression) -> str:
    """A type."""
    return node.name.text + (f"<{', '.join(arg.text for arg in node.args)}>" if node.args else "")


def port(node: tree.Port) -> Text:
    """A port with its type."""
    return (f"{node.name.text}: " if node.name else "", type_(node.type))


def _argument(node: tree.Argument) -> Text:
    name = f"{node.name.text} = " if node.name else ""
    return (name, "fixed " if node.fixed else "", *value(node.value))


def call(node: tree.Call) -> Text:
    """A call, or the bare name of a stage."""
    arguments: Text = (Group("(", tuple(map(_argument, node.arguments)), ")"),) if node.parentheses else ()
    return (node.name.text, *arguments, f" as {node.alias.text}" if node.alias else "")


def step(node: tree.Call | tree.Tap | tree.Name) -> Text:
    """A head or a step of a chain, without its arrow."""
    match node:
        case tree.Name():
            return (node.text,)
        case tree.Tap():
            return (f"tap {node.name.text}",)
        case tree.Call():
            return call(node)


def _listed(names: Sequence[tree.Name]) -> tuple[str, ...]:
    return tuple(name.text + ("," if index + 1 < len(names) else "") for index, name in enumerate(names))


def targets(node: tree.Flow) -> str:
    """What a flow gives names to."""
    return ", ".join(name.text for name in node.targets)


# ---- declarations and imports ------------------------------------------------------------------------------


def signature(node: tree.Declaration) -> Text:
    """A declaration up to its opening brace."""
    inputs = Group("(", tuple(map(port, node.inputs)), ")")
    outputs: Text = (Group("(", tuple(map(port, node.outputs)), ")"),)
    if len(node.outputs) == 1 and node.outputs[0].name is None:
        outputs = port(node.outputs[0])
    return (f"{node.kind} {node.name.text}", inputs, " -> ", *outputs, " {")


def import_(node: tree.Import) -> Row:
    """An import; the names of the files are aligned."""
    return Row("from", (flat(value(node.origin)),), ("import ", Words(_listed(node.names))))


# ---- what a stage or pipeline holds ----------------------------------------------------------------------------


def row(node: tree.Item) -> Row:
    """A statement but for a chain of several lines."""
    match node:
        case tree.Flow():
            return _flow(node)
        case tree.Meta() | tree.Needs() | tree.Stat():
            return _input(node)
        case tree.Program():
            return Row("program", (), value(node.target))
        case tree.Proxy():
            return Row("proxy", (), call(node.call))
        case tree.Executor():
            return Row("executor", (), call(node.call))
        case tree.Predictor():
            return Row("predictor", (), value(node.path))
        case tree.Property():
            return Row("property", (), (Words(_property(node)),))
        case _:
            return _parameter(node)


def _parameter(node: tree.Parameter) -> Row:
    name = node.name.text
    default: Text = ("= ", node.default.text) if isinstance(node.default, tree.Name) else ("= ", *value(node.default))
    match node:
        case tree.Slider():
            return Row("slider", (name,), (*_within("in", node.hard), *_within("soft", node.soft), *default))
        case tree.Register():
            place = f"@ {node.place.address.text}[{_bits(node.place)}]"
            limits = (*_within("in", node.hard), *_within("soft", node.soft))
            return Row("register", (name, place), (f": {node.format.text} ", *limits, *default))
        case tree.Choice():
            options = Group("{", tuple((option.text,) for option in node.options), "}", trailing_comma=False, fill=True)
            return Row("choice", (name,), ("in ", options, " ", *default))
        case tree.Toggle():
            return Row("toggle", (name,), default)
        case tree.Table():
            shape = ", ".join(size.text for size in node.shape)
            return Row(node.kind, (f"{name}[{shape}]",), (*_within("in", node.hard), *default))


def _within(word: str, limits: tree.Range | None) -> Text:
    return (f"{word} ", *_range(limits), " ") if limits else ()


def _bits(place: tree.Place) -> str:
    return place.high.text if place.high.text == place.low.text else f"{place.high.text}:{place.low.text}"


def _input(node: tree.Meta | tree.Needs | tree.Stat) -> Row:
    match node:
        case tree.Needs():
            return Row("needs", (f"{node.name.text}:",), (type_(node.type),))
        case tree.Meta(default=None):
            return Row("meta", (f"{node.name.text}:",), (type_(node.type),))
        case tree.Meta():
            default: Text = ("= ", *value(node.default)) if node.default else ()
            return Row("meta", (f"{node.name.text}:", type_(node.type)), default)
        case tree.Stat():
            of = f" of {'previous ' if node.previous else ''}{node.of.text}"
            return Row("stat", (node.name.text,), ("= ", *call(node.call), of))


LINKS = {"round_trips": "with", "equivalent": "to"}
"""Words that lead to the names of a property; optional in the text, always printed."""


def _property(node: tree.Property) -> tuple[str, ...]:
    words = [node.name.text, *([LINKS[node.name.text]] if node.name.text in LINKS else []), *_listed(node.names)]
    words += [flat(_range(node.range))] if node.range else []
    words += [node.degree.text] if node.degree else []
    words += ["in", *_listed(node.inside)] if node.inside else []
    for index, comparison in enumerate(node.when):
        right = flat(value(comparison.right))
        words += ["and" if index else "when", f"{comparison.left.text} {comparison.operator} {right}"]
    words += ["within", flat(value(node.within))] if node.within else []
    return tuple(words)


def _flow(node: tree.Flow) -> Row:
    """A chain on one line; the heads of such chains are aligned with each other."""
    if not node.steps:
        return Row("", (targets(node),), ("= ", *step(node.head)))
    steps = tuple(part for each in node.steps for part in ("-> ", *step(each), " "))[:-1]
    if isinstance(node.head, tree.Name):
        return Row("", (targets(node), f"= {node.head.text}"), steps)
    return Row("", (targets(node),), ("= ", *step(node.head), " ", *steps))
