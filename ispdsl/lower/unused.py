"""Warnings for what is declared and never read: a value, a parameter, metadata, an import."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ispdsl.ir.model import Node, Value
from ispdsl.lower.scope import Sink
from ispdsl.syntax import tree as t

if TYPE_CHECKING:
    from ispdsl.lower.call import Typed


def report_unused(
    tree: t.Declaration, nodes: Sequence[Node], values: Mapping[str, Typed], used: set[str], sink: Sink
) -> None:
    """Report the names of a pipeline that nothing reads. A tap is read by whoever watches, a result by the caller."""
    for port in tree.inputs:
        if port.name and port.name.text not in used:
            sink.add(
                "W602",
                f"the input {port.name.text} is never used",
                port.name.span,
                hint="remove it, or feed it to a stage",
            )
    read = _read_values(nodes) | {typed.value for name, typed in values.items() if name in used}
    for item in tree.items:
        match item:
            case t.Flow():
                for target in item.targets:
                    typed = values.get(target.text)
                    if target.text not in used and (typed is None or typed.value not in read):
                        sink.add(
                            "W602", f"the value {target.text} is never used", target.span, hint="remove it, or tap it"
                        )
            case t.Stat():
                if item.name.text not in used:
                    sink.add("W605", f"the statistic {item.name.text} is never used", item.name.span)
            case t.Meta():
                if item.name.text not in used:
                    sink.add("W604", f"the metadata {item.name.text} is never used", item.name.span)
            case t.Needs():
                if item.name.text not in used:
                    sink.add("W605", f"the statistic {item.name.text} is needed, but never used", item.name.span)
            case t.Slider() | t.Register() | t.Choice() | t.Toggle() | t.Table():
                if item.name.text not in used:
                    hint = "give it to a stage: NAME = " + item.name.text
                    sink.add("W603", f"the parameter {item.name.text} drives nothing", item.name.span, hint=hint)
            case _:
                pass


def report_unused_imports(tree: t.File, imported: Collection[str], sink: Sink) -> None:
    """Report the imported names that nothing of a file calls or speaks of."""
    used: set[str] = set()
    for declaration in tree.declarations:
        for item in declaration.items:
            match item:
                case t.Flow():
                    used |= {step.name.text for step in (item.head, *item.steps) if isinstance(step, t.Call)}
                case t.Stat():
                    used.add(item.call.name.text)
                case t.Property():
                    used |= {name.text for name in item.names}
                case _:
                    pass
    for import_ in tree.imports:
        for name in import_.names:
            if name.text in imported and name.text not in used:
                sink.add("W601", f"{name.text} is imported and never used", name.span, hint="remove it")


def _read_values(nodes: Sequence[Node]) -> set[Value]:
    return {value for node in nodes for value in (*node.inputs.values(), *node.needs.values())}
