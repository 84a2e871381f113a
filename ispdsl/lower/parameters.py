"""Parameter declarations to IR: ranges, units, defaults, registers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ispdsl.ir import params as ir
from ispdsl.ir.types import Type
from ispdsl.lower import tables
from ispdsl.lower.quantity import declared_unit, describe, inside, interval, number
from ispdsl.lower.scope import Sink, counted, listed, meant, text_of
from ispdsl.source import Span
from ispdsl.syntax.tree import Choice, Name, Number, Parameter, Register, Slider, Table, Toggle, Value

ON = frozenset({"on", "true", "yes"})
OFF = frozenset({"off", "false", "no"})


def lower_parameter(tree: Parameter, sink: Sink, files: tables.Files) -> ir.Parameter | None:
    """One parameter; what is wrong with it is reported, and None."""
    match tree:
        case Slider():
            return _slider(tree, sink)
        case Register():
            return _register(tree, sink)
        case Choice():
            return _choice(tree, sink)
        case Toggle():
            return _toggle(tree, sink)
        case Table():
            return tables.lower_table(tree, sink, files)


def _slider(tree: Slider, sink: Sink) -> ir.Slider | None:
    what = f"slider {tree.name.text}"
    unit = declared_unit(tree.hard, tree.default, sink)
    hard = interval(tree.hard, unit, sink, f"the range of {what}")
    soft = interval(tree.soft, unit, sink, f"the soft range of {what}") if tree.soft else hard
    default = number(tree.default, unit, sink, f"the default of {what}")
    if hard is None or soft is None or default is None:
        return None
    if unit == "K" and hard[0] <= 0:
        sink.add("E403", f"the range of {what} must lie above 0 K", tree.hard.span)
        return None
    if _soft_leaves(soft, hard, tree, what, sink):
        return None
    if not inside(default, hard):
        _default_outside(tree.default.span, tree.hard.span, what, sink)
        return None
    return ir.Slider(
        name=tree.name.text,
        unit=unit,
        hard=hard,
        soft=soft,
        default=default,
        doc=text_of(tree.doc),
        location=sink.place(tree.span),
    )


def _soft_leaves(
    soft: tuple[float, float], hard: tuple[float, float], tree: Slider | Register, what: str, sink: Sink
) -> bool:
    """Whether the soft range, where one is written, leaves the hard range; said to the user."""
    if not tree.soft or not tree.hard or (inside(soft[0], hard) and inside(soft[1], hard)):
        return False
    sink.add(
        "E404",
        f"the soft range of {what} leaves its hard range",
        tree.soft.span,
        "searched",
        related=[sink.label(tree.hard.span, "legal")],
    )
    return True


def _default_outside(default: Span, range_: Span, what: str, sink: Sink) -> None:
    sink.add("E405", f"the default of {what} is outside its range", default, related=[sink.label(range_, "the range")])


def _register(tree: Register, sink: Sink) -> ir.Register | None:
    what = f"register {tree.name.text}"
    format_ = ir.FixedPoint.parse(tree.format.text)
    if format_ is None:
        hint = (
            "u8 holds whole numbers, u4.8 has 4 integer and 8 fraction bits, s4.8 a sign bit besides; 32 bits at most"
        )
        sink.add("E410", f"{tree.format.text} is not a number format", tree.format.span, hint=hint)
        return None
    field = _bit_field(tree, format_, sink)
    unit = declared_unit(tree.hard, tree.default, sink)
    codes = tuple(float(code * format_.step) for code in format_.codes)
    full = (codes[0], codes[1])
    hard = interval(tree.hard, unit, sink, f"the range of {what}") if tree.hard else full
    soft = interval(tree.soft, unit, sink, f"the soft range of {what}") if tree.soft else hard
    default = number(tree.default, unit, sink, f"the default of {what}")
    if field is None or hard is None or soft is None or default is None:
        return None
    if tree.hard and not (inside(hard[0], full) and inside(hard[1], full)):
        sink.add(
            "E413",
            f"{format_} cannot hold the range of {what}: it ends at {full[0]:g} and {full[1]:g}",
            tree.hard.span,
            related=[sink.label(tree.format.span, f"{format_.width} bits")],
        )
        return None
    if _soft_leaves(soft, hard, tree, what, sink):
        return None
    if not inside(default, hard):
        _default_outside(tree.default.span, tree.hard.span if tree.hard else tree.format.span, what, sink)
        return None
    if Fraction(default) % format_.step:
        code = round(Fraction(default) / format_.step)
        near = float(code * format_.step)
        message = f"the default of {what} is not a code of {format_}; the nearest is {near!r} (code {code})"
        sink.add("W607", message, tree.default.span, hint=f"write {near!r}")
        default = near
    return ir.Register(
        name=tree.name.text,
        unit=unit,
        field=field,
        hard=hard,
        soft=soft,
        default=default,
        doc=text_of(tree.doc),
        location=sink.place(tree.span),
    )


def _bit_field(tree: Register, format_: ir.FixedPoint, sink: Sink) -> ir.BitField | None:
    place = tree.place
    numbers = (place.address, place.high, place.low)
    if not all(n.is_integer and not n.unit and n.value >= 0 for n in numbers) or place.address.value >= 2**64:
        sink.add(
            "E411",
            "address and bits must be whole numbers from 0 on",
            place.span,
            hint="write for example @ 0x100[11:0]",
        )
        return None
    high, low = int(place.high.value), int(place.low.value)
    if high < low or high > 31:
        sink.add(
            "E411",
            f"bits {high}:{low} do not lie in a 32-bit word, high bit first",
            place.span,
            hint="write for example [11:0]",
        )
        return None
    if high - low + 1 != format_.width:
        sink.add(
            "E411",
            f"{format_} has {format_.width} bits, the field {high}:{low} has {high - low + 1}",
            place.span,
            f"{high - low + 1} bits",
            related=[sink.label(tree.format.span, f"{format_.width} bits")],
            hint=f"write [{low + format_.width - 1}:{low}]" if low + format_.width <= 32 else None,
        )
        return None
    return ir.BitField(address=int(place.address.value), high=high, low=low, format=format_)


def check_overlaps(trees: Sequence[Parameter], lowered: Sequence[ir.Parameter], sink: Sink) -> None:
    """Report registers that share bits. Addresses count bytes, and words are little-endian."""
    spans = {tree.name.text: tree.span for tree in trees}
    fields: list[tuple[int, int, str]] = []
    for parameter in lowered:
        if isinstance(parameter, ir.Register):
            base = parameter.field.address * 8
            fields.append((base + parameter.field.low, base + parameter.field.high, parameter.name))
    fields.sort()
    reach: tuple[int, str] | None = None  # the field that ends last among those before
    for low, high, name in fields:
        if reach and reach[0] >= low:
            related = [sink.label(spans[reach[1]], f"{reach[1]} is here")]
            bits = counted(min(high, reach[0]) - low + 1, "bit")
            shared = f"both use {bits} from bit {low % 8} of byte {low // 8:#x} on"
            sink.add("E412", f"register {name} overlaps register {reach[1]}", spans[name], shared, related=related)
        reach = max(reach, (high, name)) if reach else (high, name)


def _choice(tree: Choice, sink: Sink) -> ir.Choice | None:
    seen: dict[str, Name] = {}
    for option in tree.options:
        if option.text in seen:
            sink.add(
                "E409",
                f"option {option.text} stands twice in choice {tree.name.text}",
                option.span,
                related=[sink.label(seen[option.text].span, "first here")],
            )
        seen.setdefault(option.text, option)
    if tree.default.text not in seen:
        hint = meant(tree.default.text, seen, f"options: {listed(seen)}")
        sink.add(
            "E408", f"{tree.default.text} is not an option of choice {tree.name.text}", tree.default.span, hint=hint
        )
        return None
    return ir.Choice(
        name=tree.name.text,
        options=tuple(seen),
        default=tree.default.text,
        doc=text_of(tree.doc),
        location=sink.place(tree.span),
    )


def truth(value: Value, sink: Sink, what: str) -> bool | None:
    """``on`` / ``off`` (also true, false, yes, no, 1, 0)."""
    if isinstance(value, Name) and value.text in ON | OFF:
        return value.text in ON
    if isinstance(value, Number) and not value.unit and value.value in (0, 1):
        return bool(value.value)
    sink.add("E407", f"{what} must be on or off, not {describe(value)}", value.span)
    return None


def _toggle(tree: Toggle, sink: Sink) -> ir.Toggle | None:
    default = truth(tree.default, sink, f"toggle {tree.name.text}")
    if default is None:
        return None
    return ir.Toggle(name=tree.name.text, default=default, doc=text_of(tree.doc), location=sink.place(tree.span))


def mark_structural(parameters: Sequence[ir.Parameter], types: Sequence[Type]) -> tuple[ir.Parameter, ...]:
    """Mark the sliders that a type names: they decide a size, so they are whole numbers and never free."""
    names = {argument for type_ in types for argument in type_.args}
    return tuple(
        p.model_copy(update={"structural": True}) if isinstance(p, ir.Slider) and p.name in names else p
        for p in parameters
    )
