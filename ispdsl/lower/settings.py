"""What a call gives a parameter: a constant, or one of the pipeline's own parameters or metadata."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ispdsl.diagnostics import Label
from ispdsl.ir import params as ip
from ispdsl.ir.model import Binding, Meta, Signature
from ispdsl.ir.types import Type
from ispdsl.ir.units import UNITS, canonical
from ispdsl.lower.parameters import truth
from ispdsl.lower.quantity import describe, inside, number
from ispdsl.lower.scope import Sink, listed, meant
from ispdsl.lower.signature import Context
from ispdsl.lower.tables import numbers_of, table_value
from ispdsl.syntax import tree as t


def bind_constant(
    declared: ip.Parameter, argument: t.Argument, related: Sequence[Label], context: Context
) -> Binding | None:
    """A constant of the parameter's kind, unit and range; what is wrong with it is reported, and None."""
    sink, value, name = context.sink, argument.value, declared.name
    found: ip.TableValue | bool | str | None
    match declared:
        case ip.Slider() | ip.Register():
            found = _number(declared, value, related, sink)
        case ip.Choice():
            # Names that are no option went to `bind_parameter_name`.
            found = value.text if isinstance(value, t.Name) else None
            hint = f"options: {listed(declared.options)}"
            if found is None:
                message = f"{name} is a choice, so it cannot be {describe(value)}"
                sink.add("E407", message, value.span, related=related, hint=hint)
        case ip.Toggle():
            found = truth(value, sink, name)
        case ip.Table():
            found = table_value(value, declared.kind, declared.shape, declared.unit, sink, context.files, name)
            outside = [] if found is None or declared.hard is None else numbers_of(found)
            wrong = [x for x in outside if declared.hard and not inside(x, declared.hard)]
            if wrong:
                sink.add("E406", f"{name} holds {wrong[0]:g}, outside its range", value.span, related=related)
                return None
    if found is None:
        return None
    return Binding(source="literal", value=found, fixed=argument.fixed, location=sink.place(argument.span))


def _number(declared: ip.Slider | ip.Register, value: t.Value, related: Sequence[Label], sink: Sink) -> float | None:
    found = number(value, declared.unit, sink, declared.name)
    if found is None:
        return None
    if not inside(found, declared.hard):
        low, high = (f"{end:g}{declared.unit}" for end in declared.hard)
        message = f"{declared.name} must lie in {low}..{high}"
        sink.add("E406", message, value.span, "outside", related=related)
        return None
    if isinstance(declared, ip.Register) and Fraction(found) % declared.field.format.step:
        step = declared.field.format.step
        near = float(round(Fraction(found) / step) * step)
        message = f"{declared.name}: {found!r} is not a code of {declared.field.format}; the nearest is {near!r}"
        sink.add("W607", message, value.span, related=related, hint=f"write {near!r}")
        return near
    return found


def bind_parameter_name(
    declared: ip.Parameter,
    argument: t.Argument,
    related: Sequence[Label],
    own: Signature,
    broken: frozenset[str],
    sink: Sink,
) -> Binding | None:
    """A name given to a parameter: one of the pipeline's parameters drives it, one of its metas starts it."""
    value = argument.value
    assert isinstance(value, t.Name)
    parameter = next((p for p in own.parameters if p.name == value.text), None)
    meta = next((m for m in own.metas if m.name == value.text), None)
    place = sink.place(argument.span)
    if parameter:
        if not _drives(parameter, declared, value, related, sink):
            return None
        if argument.fixed:
            sink.add(
                "E425",
                f"{value.text} drives {declared.name}, so it cannot be fixed here",
                argument.span,
                related=related,
            )
            return None
        return Binding(source="parameter", name=value.text, location=place)
    if meta:
        if not _starts(meta, declared):
            message = f"{declared.name} is {_kind(declared)}, the metadata {value.text} is {meta.type}"
            sink.add("E423", message, value.span, related=related)
            return None
        return Binding(source="meta", name=value.text, fixed=argument.fixed, location=place)
    if isinstance(declared, ip.Choice):
        hint = meant(value.text, declared.options, f"options: {listed(declared.options)}")
        sink.add("E408", f"{value.text} is not an option of {declared.name}", value.span, related=related, hint=hint)
        return None
    if value.text in broken:
        return None
    names = [p.name for p in own.parameters] + [m.name for m in own.metas]
    names += ["identity"] if isinstance(declared, ip.Table) else []
    hint = meant(value.text, names, f"{declared.name} is {_kind(declared)}")
    sink.add(
        "E202",
        f"{declared.name} cannot be {value.text}: no parameter or metadata here is called so",
        value.span,
        related=related,
        hint=hint,
    )
    return None


def _drives(
    parameter: ip.Parameter, declared: ip.Parameter, value: t.Name, related: Sequence[Label], sink: Sink
) -> bool:
    if isinstance(parameter, ip.Slider | ip.Register) and isinstance(declared, ip.Slider | ip.Register):
        if UNITS[parameter.unit].dimension != UNITS[declared.unit].dimension:
            given, wanted = parameter.unit or "plain numbers", declared.unit or "plain numbers"
            message = f"{value.text} of this pipeline is in {given}, {declared.name} of the stage in {wanted}"
            low, high = (f"{end:g}{declared.unit}" for end in declared.hard)
            hint = f"declare {value.text} in {wanted}, with a range inside {low}..{high}"
            sink.add("E402", message, value.span, related=related, hint=hint)
            return False
        ends = [canonical(end, parameter.unit) for end in parameter.hard]
        legal = [canonical(end, declared.unit) for end in declared.hard]
        if not legal[0] <= ends[0] <= ends[1] <= legal[1]:
            low, high = (f"{end:g}{declared.unit}" for end in declared.hard)
            message = f"the range of {value.text} is wider than that of {declared.name}, {low}..{high}"
            sink.add("E422", message, value.span, related=related, hint=f"give {value.text} a range inside it")
            return False
        return True
    same_kind = parameter.kind == declared.kind
    if isinstance(parameter, ip.Choice) and isinstance(declared, ip.Choice):
        same_kind = set(parameter.options) <= set(declared.options)
    if isinstance(parameter, ip.Table) and isinstance(declared, ip.Table):
        same_kind = same_kind and parameter.shape == declared.shape
    if not same_kind:
        sink.add(
            "E423",
            f"{declared.name} is {_kind(declared)}, {value.text} is {_kind(parameter)}",
            value.span,
            related=related,
        )
    return same_kind


def _starts(meta: Meta, declared: ip.Parameter) -> bool:
    match declared:
        case ip.Slider() | ip.Register():
            unit = str(meta.type.args[0]) if meta.type.args else ""
            return meta.type.name == "real" and UNITS[unit].dimension == UNITS[declared.unit].dimension
        case ip.Table():
            return meta.type == Type(name="matrix" if declared.kind == "matrix" else "vector", args=declared.shape)
        case _:
            return False


def _kind(parameter: ip.Parameter) -> str:
    match parameter:
        case ip.Choice():
            return f"a choice of {listed(parameter.options)}"
        case ip.Table():
            return f"a {parameter.kind} of {' x '.join(map(str, parameter.shape))}"
        case _:
            return f"a {parameter.kind}"
