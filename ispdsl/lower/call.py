"""One call: its images, settings, metadata and statistics bound to the callee's signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ispdsl.diagnostics import Label, nearest
from ispdsl.ir import params as ip
from ispdsl.ir.model import Binding, Meta, Need, Node, Port, Signature, Value
from ispdsl.ir.types import Type
from ispdsl.lower.quantity import describe, inside
from ispdsl.lower.scope import Declared, Sink, counted, listed, meant
from ispdsl.lower.settings import bind_constant, bind_parameter_name
from ispdsl.lower.signature import Context, meta_value
from ispdsl.lower.types import match, substitute
from ispdsl.source import Span
from ispdsl.syntax import tree as t


@dataclass(frozen=True)
class Typed:
    """A value of the graph with its type; the type is None when what makes it is wrong, and already reported."""

    value: Value
    type: Type | None


@dataclass(frozen=True)
class Feed:
    """An image handed to a call, and where that is written."""

    typed: Typed
    span: Span


@dataclass
class Caller:
    """The pipeline in which calls are lowered: its own signature, and the values known so far."""

    context: Context
    signature: Signature
    broken: frozenset[str]
    """What the text declares wrongly: nothing is said about that twice."""
    values: dict[str, Typed]
    used: set[str] = field(default_factory=set[str])
    """Names of values, parameters and metas that something read."""

    @property
    def sink(self) -> Sink:
        """Where to complain."""
        return self.context.sink


@dataclass(frozen=True)
class Site:
    """A call in the text: the node's name, the callee, and whether it is a statistic."""

    name: str
    call: t.Call
    callee: Declared
    statistic: bool = False
    previous: bool = False


def lower_call(site: Site, feeds: Sequence[Feed], caller: Caller) -> Node | None:
    """The node of a call; None when its images do not fit (reported). A wrong argument costs only itself."""
    signature = site.callee.signature
    arguments, missed = _named(site, caller.sink)
    structural = {p.name: int(p.default) for p in signature.parameters if isinstance(p, ip.Slider) and p.structural}
    parameters = {
        p.name: binding
        for p in signature.parameters
        if p.name in arguments and (binding := _parameter(p, arguments[p.name], caller, site, structural))
    }
    metas = {
        m.name: value
        for m in signature.metas
        if m.name not in missed and (value := _meta(m, arguments.get(m.name), site, caller))
    }
    bound: dict[str, str | int] = dict(structural)
    fits = site.previous or _match_images(site, feeds, bound, caller)
    needs = {
        n.name: None if n.name in missed else _need(n, arguments.get(n.name), site, bound, caller)
        for n in signature.needs
    }
    if not fits or None in needs.values():
        return None
    return Node(
        name=site.name,
        callee=signature.key,
        inputs={port.name: feed.typed.value for port, feed in zip(signature.inputs, feeds, strict=False)},
        needs={name: value for name, value in needs.items() if value},
        parameters=parameters,
        metas=metas,
        types={name: value for name, value in bound.items() if name not in structural},
        outputs={port.name: substitute(port.type, bound) for port in signature.outputs},
        statistic=site.statistic,
        previous=site.previous,
        location=caller.sink.place(site.call.span),
    )


def _named(site: Site, sink: Sink) -> tuple[dict[str, t.Argument], set[str]]:
    """The arguments given by name, those that the callee knows; and the names that mistyped ones were meant to be."""
    signature, known = site.callee.signature, site.callee.known
    found: dict[str, t.Argument] = {}
    missed: set[str] = set()
    for argument in site.call.arguments:
        if argument.name is None:
            continue
        name = argument.name.text
        if name in found:
            sink.add(
                "E215", f"{name} is given twice", argument.span, related=[sink.label(found[name].span, "first here")]
            )
        elif name in known:
            found[name] = argument
        elif name in {port.name for port in signature.inputs}:
            message = f"{name} is an image of {signature.name}: images are given by position"
            hint = f"write the images alone, in order: {signature.name}({', '.join(p.name for p in signature.inputs)})"
            sink.add("E203", message, argument.span, hint=hint)
        elif name not in site.callee.broken and not site.callee.incomplete:
            related = [site.callee.label(signature.location, f"{signature.name} is declared here")]
            near = nearest(name, [n for n in known if n not in found]) if not sink.full else None
            missed |= {near} if near else set()
            hint = f"did you mean {near}?" if near else f"it takes {listed(known)}"
            message = f"{signature.name} has no parameter {name}"
            sink.add("E203", message, argument.name.span, related=related, hint=hint)
    return found, missed - found.keys()


# ---- images and statistics -----------------------------------------------------------------------------


def _match_images(site: Site, feeds: Sequence[Feed], bound: dict[str, str | int], caller: Caller) -> bool:
    signature = site.callee.signature
    if len(signature.inputs) != len(site.callee.tree.inputs) or site.callee.incomplete:
        return False  # an input of the callee is wrong itself, and reported there
    if len(feeds) != len(signature.inputs):
        names = {port.name for port in signature.inputs}
        if not any(argument.name and argument.name.text in names for argument in site.call.arguments):
            report_count(site, len(feeds), caller.sink)  # of an image given by name there was talk before
        return False
    results = [match_feed(port, feed, bound, site, caller) for port, feed in zip(signature.inputs, feeds, strict=True)]
    return all(results)


def report_count(site: Site, given: int, sink: Sink) -> None:
    """Say that a call has too few or too many images."""
    signature = site.callee.signature
    wanted = ", ".join(f"{port.name}: {port.type}" for port in signature.inputs)
    verb = "is" if given == 1 else "are"
    sink.add(
        "E311",
        f"{signature.name} takes {counted(len(signature.inputs), 'image')}, {given} {verb} given",
        site.call.span,
        related=[site.callee.label(signature.location, "declared here")],
        hint=f"it takes ({wanted}); -> feeds the first, further ones stand in the parentheses",
    )


def match_feed(port: Port, feed: Feed, bound: dict[str, str | int], site: Site, caller: Caller) -> bool:
    """Check one image against its port; a mismatch is reported at the feed."""
    if feed.typed.type is None:
        return False
    mismatch = match(port.type, feed.typed.type, bound)
    if mismatch is None:
        return True
    related = [site.callee.label(port.location, f"{port.name}: {port.type}")]
    call = site.call
    if not call.span.start <= feed.span.start < call.span.end:
        related.insert(0, caller.sink.label(call.name.span, f"takes {port.type}"))
    message = f"{site.callee.signature.name}: {mismatch.reason}"
    caller.sink.add(
        mismatch.code, message, feed.span, f"this is {feed.typed.type}", related=related, hint=mismatch.hint
    )
    return False


def _need(
    need: Need, argument: t.Argument | None, site: Site, bound: dict[str, str | int], caller: Caller
) -> Value | None:
    sink, signature, name = caller.sink, site.callee.signature, need.name
    related = [site.callee.label(need.location, "needed here")]

    def hint() -> str:
        known = ((n, typed.type) for n, typed in caller.values.items() if typed.type and not typed.type.is_image)
        fitting = next((n for n, type_ in known if match(need.type, type_, dict(bound)) is None), None)
        return f"write {name} = {fitting}" if fitting else f"declare one of this type: stat {name} = STAGE() of VALUE"

    if argument is None:
        message = f"{signature.name} needs the statistic {name}: {need.type}"
        sink.add("E420", message, site.call.span, related=related, hint=hint)
        return None
    _refuse_fixed(argument, "a statistic", sink)
    if not isinstance(argument.value, t.Name):
        message = f"{name} must be a statistic, not {describe(argument.value)}"
        sink.add("E314", message, argument.value.span, related=related, hint=hint)
        return None
    given = read_value(argument.value, caller)
    if given is None or given.type is None:
        return None
    mismatch = match(need.type, given.type, bound)
    if mismatch:
        span = argument.value.span
        sink.add("E314", f"{name}: {mismatch.reason}", span, f"this is {given.type}", related=related, hint=hint)
        return None
    return given.value


def read_value(name: t.Name, caller: Caller) -> Typed | None:
    """The value of a name; an unknown one is reported."""
    caller.used.add(name.text)
    found = caller.values.get(name.text)
    if found is None:
        caller.sink.add("E202", f"unknown value {name.text}", name.span, hint=meant(name.text, caller.values))
    return found


# ---- settings and metadata -------------------------------------------------------------------------------


def _parameter(
    declared: ip.Parameter, argument: t.Argument, caller: Caller, site: Site, structural: dict[str, int]
) -> Binding | None:
    """What a call gives a parameter; None when that is wrong, so that the default stays."""
    related = [site.callee.label(declared.location, "declared here")]
    if declared.name in structural:
        _structural(declared, argument, related, caller, structural)
    if isinstance(argument.value, t.Name) and not _is_word(argument.value, declared):
        caller.used.add(argument.value.text)
        return bind_parameter_name(declared, argument, related, caller.signature, caller.broken, caller.sink)
    return bind_constant(declared, argument, related, caller.context)


def _structural(
    declared: ip.Parameter, argument: t.Argument, related: list[Label], caller: Caller, structural: dict[str, int]
) -> None:
    """A parameter that decides a size must be a plain whole number in the text."""
    value = argument.value
    if not isinstance(value, t.Number):
        message = f"{declared.name} decides a size, so it must be a number here"
        caller.sink.add("E418", message, value.span, related=related)
    elif not value.is_integer or value.unit:
        message = f"{declared.name} decides a size, so it must be a whole number"
        caller.sink.add("E418", message, value.span, related=related)
    elif isinstance(declared, ip.Slider) and inside(value.value, declared.hard):
        structural[declared.name] = int(value.value)


def _is_word(name: t.Name, declared: ip.Parameter) -> bool:
    """Whether a name is a value of the parameter itself: an option, on or off, identity."""
    match declared:
        case ip.Choice():
            return name.text in declared.options
        case ip.Toggle():
            return name.text in {"on", "off", "true", "false", "yes", "no"}
        case ip.Table():
            return name.text == "identity"
        case _:
            return False


def _meta(declared: Meta, argument: t.Argument | None, site: Site, caller: Caller) -> Binding | None:
    sink = caller.sink
    if argument is None:
        if declared.default is None and not sink.full:
            _report_missing(declared, site, caller)
        return None
    place = sink.place(argument.span)
    related = [site.callee.label(declared.location, "declared here")]
    _refuse_fixed(argument, "metadata", sink)
    value = argument.value
    if not isinstance(value, t.Name):
        constant = meta_value(value, declared.type, sink, declared.name)
        return None if constant is None else Binding(source="literal", value=constant, location=place)
    own_meta = next((m for m in caller.signature.metas if m.name == value.text), None)
    caller.used.add(value.text)
    if own_meta is None:
        if value.text not in caller.broken:
            hint = meant(
                value.text, [m.name for m in caller.signature.metas], f"declare: meta {value.text}: {declared.type}"
            )
            sink.add("E202", f"unknown metadata {value.text}", value.span, hint=hint)
        return None
    if own_meta.type != declared.type:
        related.append(sink.label(Span(own_meta.location.start, own_meta.location.end), f"{own_meta.type}"))
        message = (
            f"{site.callee.signature.name} takes {declared.name} as {declared.type}, "
            f"{value.text} of this pipeline is {own_meta.type}"
        )
        sink.add("E316", message, value.span, related=related)
        return None
    return Binding(source="meta", name=value.text, location=place)


def _report_missing(declared: Meta, site: Site, caller: Caller) -> None:
    own = [m.name for m in caller.signature.metas if m.type == declared.type]
    declare = f"declare it in the pipeline: meta {declared.name}: {declared.type}"
    hint = f"write {declared.name} = {own[0]}" if own else declare
    message = f"{site.callee.signature.name} needs the metadata {declared.name}: {declared.type}"
    related = [site.callee.label(declared.location, "declared here")]
    caller.sink.add("E419", message, site.call.span, related=related, hint=hint)


def _refuse_fixed(argument: t.Argument, what: str, sink: Sink) -> None:
    if argument.fixed:
        sink.add("E425", f"{what} is never free, so `fixed` says nothing here", argument.span, hint="leave `fixed` out")
