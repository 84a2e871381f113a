"""The tree of a file as an outline for people, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from ispdsl.render.characters import clean
from ispdsl.source import Source, Span
from ispdsl.syntax.tree import Name, Number, String


def outline(node: Any, source: Source) -> str:
    """One line for each node: the field that it fills, its kind, its words, where it begins and ends."""
    return "\n".join(_lines(node, "", 0, source)) + "\n"


def values(node: Any, source: Source) -> Any:
    """The tree as dictionaries and lists; `span` is ``[line, column, end line, end column]``, the end exclusive."""
    if isinstance(node, Span):
        return [*source.position(node.start), *source.position(node.end)]
    if isinstance(node, tuple):
        return [values(item, source) for item in node]
    if is_dataclass(node):
        inside = {field.name: values(getattr(node, field.name), source) for field in fields(node)}
        return {"node": type(node).__name__, **inside}
    return node


def _lines(node: Any, label: str, depth: int, source: Source) -> Iterator[str]:
    inside = [(field.name, getattr(node, field.name)) for field in fields(node) if field.name != "span"]
    words = [clean(node.text)] if isinstance(node, Name | Number | String) else []
    nested: list[tuple[str, Any]] = []
    for name, value in inside:
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            nested.extend((name, item) for item in value)
        elif is_dataclass(value):
            nested.append((name, value))
        elif not words and value not in (None, ()):
            words.append(f"{name}={value!r}")
    start, end = ("{}:{}".format(*source.position(offset)) for offset in (node.span.start, node.span.end))
    heading = " ".join([*([f"{label}:"] if label else []), type(node).__name__, *words])
    yield f"{'  ' * depth}{heading}  [{start}-{end}]"
    for name, value in nested:
        yield from _lines(value, name, depth + 1, source)
