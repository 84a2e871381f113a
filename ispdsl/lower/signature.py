"""A declaration's signature: ports, parameters, metadata, needs and implementations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ispdsl.ir import model as ir
from ispdsl.ir.params import Array
from ispdsl.ir.types import Type, is_variable
from ispdsl.lower.parameters import check_overlaps, lower_parameter, mark_structural
from ispdsl.lower.quantity import array, describe, number, unit_of
from ispdsl.lower.scope import Sink, check_name, text_of
from ispdsl.lower.tables import Files
from ispdsl.lower.types import lower_type
from ispdsl.source import Span
from ispdsl.syntax import tree as t

UNNAMED_RESULT = "out"

Argument = float | str | Array | tuple[str, ...]
"""What a proxy or executor line may be told: a number, a name or text, a list of numbers, a list of texts."""


@dataclass(frozen=True)
class Context:
    """Where signatures are lowered: the sink of their file, and where its tables lie."""

    sink: Sink
    files: Files


def lower_signature(tree: t.Declaration, context: Context) -> ir.Signature:
    """The signature of a stage or pipeline without its contract; wrong parts are reported and left out."""
    sink = context.sink
    _check_unique(tree, sink)
    sliders = {item.name.text: item for item in tree.items if isinstance(item, t.Slider)}
    trees = [item for item in tree.items if isinstance(item, t.Parameter)]
    inputs, outputs = _ports(tree.inputs, sink, sliders), _ports(tree.outputs, sink, sliders)
    for port in inputs:
        if not port.type.is_image:
            hint = (
                f"declare a setting by slider, the file's data by meta {port.name}: {port.type}, a statistic by needs"
            )
            place = Span(port.location.start, port.location.end)
            sink.add("E315", f"{port.name} is an input, but {port.type} is no image", place, hint=hint)
    parameters = [p for item in trees if (p := lower_parameter(item, sink, context.files))]
    check_overlaps(trees, parameters, sink)
    metas = tuple(m for item in tree.items if isinstance(item, t.Meta) and (m := _meta(item, sink, sliders)))
    needs = tuple(n for item in tree.items if isinstance(item, t.Needs) and (n := _need(item, sink, sliders)))
    _check_output_variables(tree, inputs, outputs, sink)
    return ir.Signature(
        name=tree.name.text,
        key=f"{sink.source.name}:{tree.name.text}",
        doc=text_of(tree.doc),
        inputs=inputs,
        outputs=outputs,
        parameters=mark_structural(parameters, [port.type for port in (*inputs, *outputs)]),
        metas=metas,
        needs=needs,
        implementations=_implementations(tree, context),
        location=sink.place(tree.name.span),
    )


def _check_unique(tree: t.Declaration, sink: Sink) -> None:
    """Inputs, parameters, metas and needs share one name space; outputs have their own."""
    named = [port.name for port in tree.inputs if port.name]
    named += [item.name for item in tree.items if isinstance(item, t.Part)]
    results = [port.name for port in tree.outputs if port.name]
    kinds = {port.name: "an image" for port in tree.inputs} | dict.fromkeys(results, "a result")
    for group in (named, results):
        first: dict[str, t.Name] = {}
        for name in group:
            if name.text in first:
                related = [sink.label(first[name.text].span, "first here")]
                sink.add("E205", f"{name.text} is declared twice in {tree.name.text}", name.span, related=related)
            check_name(name, kinds.get(name, "a parameter"), sink)
            first.setdefault(name.text, name)


def _ports(trees: Iterable[t.Port], sink: Sink, sliders: dict[str, t.Slider]) -> tuple[ir.Port, ...]:
    ports: list[ir.Port] = []
    for tree in trees:
        type_ = lower_type(tree.type, sink, sliders)
        if type_:
            name = tree.name.text if tree.name else UNNAMED_RESULT
            ports.append(ir.Port(name=name, type=type_, location=sink.place(tree.span)))
    return tuple(ports)


def _check_output_variables(
    tree: t.Declaration, inputs: tuple[ir.Port, ...], outputs: tuple[ir.Port, ...], sink: Sink
) -> None:
    if len(inputs) != len(tree.inputs):
        return  # an input that could not be read may have bound the variable
    known = {argument for port in inputs for argument in port.type.args}
    for port, port_tree in zip(outputs, tree.outputs, strict=False):
        for argument, argument_tree in zip(port.type.args, port_tree.type.args, strict=False):
            if is_variable(argument) and argument not in known:
                sink.add(
                    "E313",
                    f"the type variable {argument} of the result stands in no input, so nothing decides it",
                    argument_tree.span,
                    hint="use it in an input, or write what the result is",
                )


def _need(tree: t.Needs, sink: Sink, sliders: dict[str, t.Slider]) -> ir.Need | None:
    type_ = lower_type(tree.type, sink, sliders)
    if type_ is None:
        return None
    if type_.is_image or type_.name == "text":
        sink.add(
            "E315",
            f"{tree.name.text} is needed as a statistic, but {type_} is none",
            tree.type.span,
            hint="images are inputs",
        )
        return None
    return ir.Need(name=tree.name.text, type=type_, doc=text_of(tree.doc), location=sink.place(tree.span))


def _meta(tree: t.Meta, sink: Sink, sliders: dict[str, t.Slider]) -> ir.Meta | None:
    type_ = lower_type(tree.type, sink, sliders)
    if type_ is None:
        return None
    if type_.is_image:
        sink.add(
            "E315", f"{tree.name.text} is metadata, but {type_} is an image", tree.type.span, hint="images are inputs"
        )
        return None
    default = meta_value(tree.default, type_, sink, f"the default of meta {tree.name.text}") if tree.default else None
    if tree.default and default is None:
        return None
    return ir.Meta(
        name=tree.name.text, type=type_, default=default, doc=text_of(tree.doc), location=sink.place(tree.span)
    )


def meta_value(value: t.Value, type_: Type, sink: Sink, what: str) -> float | Array | str | None:
    """A constant of a metadata type, reported when it is not one."""
    if type_.name == "text":
        if isinstance(value, t.String):
            return value.text
        sink.add("E407", f"{what} must be a text in quotes, not {describe(value)}", value.span)
        return None
    unit = str(type_.args[0]) if type_.name == "real" and type_.args else ""
    if isinstance(value, t.Number) and type_.name in ("real", "grid"):
        return number(value, unit, sink, what)
    if not isinstance(value, t.ListValue) or type_.name == "real":
        wanted = "a number" if type_.name == "real" else "a list of numbers"
        sink.add("E407", f"{what} must be {wanted}, not {describe(value)}", value.span)
        return None
    found = array(value, unit, sink, what)
    wanted_shape = tuple(a for a in type_.args if isinstance(a, int))
    if found and len(wanted_shape) == len(type_.args) and type_.name != "grid" and found.shape != wanted_shape:
        given = " x ".join(map(str, found.shape))
        sink.add("E416", f"{what}: {type_} is asked for, the list is {given}", value.span)
        return None
    return found


def _implementations(tree: t.Declaration, context: Context) -> tuple[ir.Implementation, ...]:
    sink = context.sink
    folder = str(sink.source.path.parent) if sink.source.path else ""
    found: list[ir.Implementation] = []
    first: dict[str, t.Item] = {}
    for item in tree.items:
        match item:
            case t.Program():
                kind, target, arguments = "program", item.target.text, dict[str, Argument]()
                if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", target):
                    hint = 'write program "package.module:function"'
                    sink.add("E503", f"{target!r} does not name a Python function", item.target.span, hint=hint)
                    continue
            case t.Proxy():
                kind, target, arguments = "proxy", item.call.name.text, _arguments(item.call, sink)
            case t.Executor():
                kind, target, arguments = "executor", item.call.name.text, _arguments(item.call, sink)
            case _:
                continue
        if kind in first:
            related = [sink.label(first[kind].span, "first here")]
            sink.add("E504", f"{tree.name.text} has two {kind} lines", item.span, related=related, hint="keep one")
            continue
        first[kind] = item
        place = sink.place(item.span)
        found.append(ir.Implementation(kind=kind, target=target, arguments=arguments, location=place, folder=folder))
    return tuple(found)


def _arguments(call: t.Call, sink: Sink) -> dict[str, Argument]:
    """Arguments by name, those given by position under their number."""
    found: dict[str, Argument] = {}
    for index, argument in enumerate(call.arguments):
        name = argument.name.text if argument.name else str(index)
        if name in found:
            sink.add("E215", f"{name} is given twice", argument.span)
        match argument.value:
            case t.Number():
                value = number(argument.value, unit_of(argument.value, sink), sink, name)
            case t.ListValue(items=items) if any(isinstance(each, t.String) for each in items):
                value = _texts(argument.value, sink, name)
            case t.ListValue():
                value = array(argument.value, "", sink, name)
            case t.Name() | t.String():
                value = argument.value.text
        if value is not None:
            found[name] = value
    return found


def _texts(tree: t.ListValue, sink: Sink, name: str) -> tuple[str, ...] | None:
    """A list of texts: all of it, for an argument list with a gap would mean something else."""
    for each in tree.items:
        if not isinstance(each, t.String):
            hint = "put every element in quotes"
            sink.add("E407", f"{name}: {describe(each)} stands in a list of texts", each.span, hint=hint)
            return None
    return tuple(each.text for each in tree.items if isinstance(each, t.String))
