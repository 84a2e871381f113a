"""Let a double of what takes a mosaic know the frame's black and white level, whether the text hands them on or not.

An opaque processor gets the levels of each frame with the frame, so its text need not declare them. Without them the
codes of two cameras cannot be compared, and nothing that is learned from one holds for the other.
"""

from __future__ import annotations

from dataclasses import replace

from ispdsl.calls import Call, Given
from ispdsl.graph import Graph, rebuilt
from ispdsl.ir.location import Location
from ispdsl.ir.model import Meta
from ispdsl.ir.types import INTEGER_STORAGE, Type

LEVELS = {"black_level": Type(name="vector", args=(4,)), "white_level": Type(name="real")}
"""Metadata that every frame has."""


def levelled(graph: Graph, address: str) -> Graph:
    """The graph with the levels among the metadata of a call that takes codes of a mosaic and has none of them."""
    call = graph.call(address)
    if not _takes_codes(call):
        return graph
    place = call.signature.location
    missing = {
        name: type_
        for name, type_ in LEVELS.items()
        if not any(meta.name.endswith(name) for meta in call.signature.metas)
    }
    if not missing:
        return graph
    metas = [_meta(name, type_, place) for name, type_ in missing.items()]
    signature = call.signature.model_copy(update={"metas": (*call.signature.metas, *metas)})
    given = {**call.metas, **{name: Given(meta=name) for name in missing}}
    known = {meta.name for meta in graph.metas}
    calls = [
        replace(each, signature=signature, metas=given) if each.address == address else each for each in graph.calls
    ]
    return rebuilt(graph, calls, metas=(*graph.metas, *(meta for meta in metas if meta.name not in known)))


def _takes_codes(call: Call) -> bool:
    types = [port.type for port in call.signature.inputs]
    return any(each.name == "raw" and INTEGER_STORAGE.fullmatch(str(each.args[1])) for each in types)


def _meta(name: str, type_: Type, place: Location) -> Meta:
    return Meta(name=name, type=type_, location=place)
