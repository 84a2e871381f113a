"""What a caller must know of a stage or pipeline, as people read it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from fractions import Fraction

from ispdsl.ir.model import Condition, Meta, Port, Property, Signature
from ispdsl.ir.params import Array, Choice, FileReference, Parameter, Register, Slider, Toggle
from ispdsl.ir.units import UNITS
from ispdsl.syntax.phrases import LINKS

_SENTENCE_END = re.compile(r"(?<!\bsec)(?<!\beq)(?<!\bfig)(?<!\bal)(?<!\be\.g)(?<!\bi\.e)[.:;](?:\s|$)", re.IGNORECASE)
"""The end of a sentence or of its first part; the stop of an abbreviation is none."""
_SOURCE = re.compile(r"^Source: *(.*)", re.MULTILINE | re.DOTALL)
"""The last part of a doc."""
WIDEST = 120
NARROWEST_DOC = 40
"""Columns that a doc beside its parameter needs at least; with fewer it stands below."""


def listing(found: Mapping[str, Signature], parameters: bool = True) -> str:
    """Every stage in a line, with `parameters` also their ranges, units and defaults, grouped by file."""
    size = max((len(signature.name) for signature in found.values()), default=0)
    lines: list[str] = []
    origin = None
    for key, signature in found.items():
        if (file := key.rpartition(".")[0]) != origin:
            lines += [*([""] if origin else []), f"from {file} import"]
            origin = file
        lines.append(f"  {signature.name:<{size}}  {gist(signature.doc, WIDEST - size - 4)}".rstrip())
        rows = [(p.name, p.kind, f"{_range(p)} = {default(p)}") for p in signature.parameters if parameters]
        lines += [f"{'':{size + 4}}{row.strip()}" for row in _table(rows)]
    return "\n".join(lines)


def gist(doc: str, width: int = 100) -> str:
    """The first sentence of a doc, in so many columns: the stop after an abbreviation ends none."""
    return textwrap.shorten(_SENTENCE_END.split(doc)[0], width, placeholder=" …")


def describe(key: str, signature: Signature) -> str:
    """All that a caller must know of a stage."""
    heads = [f"{key}{_ports(signature.inputs)} -> {_result(signature)}", _SOURCE.sub("", signature.doc).strip()]
    facts = [
        ("source", source_of(signature.doc)),
        *(("identity", each or "always") for each in identity_points(signature)),
    ]
    rows = [(p.name, p.kind, _range(p), f"= {default(p)}", p.doc) for p in signature.parameters]
    metas = [
        (m.name, "meta", str(m.type), "" if m.default is None else f"= {_shown(m.default, _unit(m))}", m.doc)
        for m in signature.metas
    ]
    needs = [(n.name, "needs", str(n.type), "", n.doc) for n in signature.needs]
    said = _documented([fact for fact in facts if fact[1]])
    table = _documented([*rows, *metas, *needs])
    runs = [f"  {each.kind} {each.target}" for each in signature.implementations]
    contract = [f"  property {property_text(each, signature)}" for each in signature.properties]
    return "\n\n".join(filter(None, [*heads, *("\n".join(part) for part in (said, table, runs, contract))]))


def _unit(meta: Meta) -> str:
    return str(meta.type.args[0]) if meta.type.name == "real" and meta.type.args else ""


def _ports(ports: tuple[Port, ...]) -> str:
    return f"({', '.join(f'{port.name}: {port.type}' for port in ports)})"


def _result(signature: Signature) -> str:
    ports = signature.outputs
    return str(ports[0].type) if len(ports) == 1 and ports[0].name == "out" else _ports(ports)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"  {' '.join(line.splitlines())}".rstrip() for line in lines]


def _range(parameter: Parameter) -> str:
    """The legal values, and those that a search tries where they are fewer."""
    match parameter:
        case Choice():
            return "{" + ", ".join(parameter.options) + "}"
        case Toggle():
            return "on or off"
        case Slider() | Register():
            hard = interval(parameter.hard, parameter.unit)
            where = ""
            if isinstance(parameter, Register):
                field = parameter.field
                where = f"@ {field.address:#x}[{field.high}:{field.low}] {field.format} "
            soft = "" if parameter.soft == parameter.hard else f" soft {interval(parameter.soft, parameter.unit)}"
            return f"{where}{hard}{soft}"
        case _:
            shape = "[" + ", ".join(map(str, parameter.shape)) + "]"
            return f"{shape} in {interval(parameter.hard, parameter.unit)}" if parameter.hard else shape


def _documented(rows: list[tuple[str, ...]]) -> list[str]:
    """As `_table`, with the docs in the last column wrapped, or below where there is no room for them."""
    lines: list[str] = []
    heads = _table([row[:-1] for row in rows])
    column = max(map(len, heads), default=0) + 2
    column = column if column <= WIDEST - NARROWEST_DOC else 6
    for head, row in zip(heads, rows, strict=True):
        doc = textwrap.wrap(row[-1], WIDEST - column)
        if doc and len(head) < column:
            head = f"{head:<{column}}{doc.pop(0)}"
        lines += [head, *(" " * column + line for line in doc)]
    return lines


def interval(ends: tuple[float, float], unit: str) -> str:
    """A range as it is written in a file."""
    return f"{ends[0]:g}{unit}..{ends[1]:g}{unit}"


def default(parameter: Parameter, value: object = None) -> str:
    """The default of a parameter, or another value of it, as it is written in a file."""
    unit = "" if isinstance(parameter, Choice | Toggle) else parameter.unit
    return _shown(parameter.default if value is None else value, unit)


def _shown(value: object, unit: str = "") -> str:
    """A value as it is written in a file."""
    match value:
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{value:g}{unit}"
        case Array():
            return (
                "["
                + ", ".join(f"{number:g}" for number in value.values[:4])
                + (", …]" if len(value.values) > 4 else "]")
            )
        case FileReference():
            return f'"{value.path}"'
        case _:
            return str(value)


def source_of(doc: str) -> str:
    """The paper or standard behind a stage: what follows ``Source:`` in its doc; empty where nothing does."""
    found = _SOURCE.search(doc)
    return " ".join(found[1].split()) if found else ""


def identity_points(signature: Signature) -> list[str]:
    """The settings at which a stage changes nothing, as its contract states them."""
    return [
        property_text(each, signature).removeprefix("identity").strip()
        for each in signature.properties
        if each.name == "identity"
    ]


def property_text(each: Property, signature: Signature) -> str:
    """What stands behind the word ``property``, numbers in the units of their declarations."""
    names = ", ".join(name.rpartition(":")[2] for name in each.names)
    parts = [each.name, LINKS.get(each.name, ""), names, interval(each.range, "") if each.range else ""]
    parts += [f"{each.degree:g}" if each.degree is not None else ""]
    parts += [f"in {', '.join(each.inside)}" if each.inside else ""]
    when = " and ".join(_condition(condition, signature) for condition in each.when)
    parts += [f"when {when}" if when else ""]
    parts += [f"within {each.within:g}{each.within_unit}" if each.within is not None else ""]
    return " ".join(filter(None, parts))


def _condition(condition: Condition, signature: Signature) -> str:
    units = {p.name: p.unit for p in signature.parameters if not isinstance(p, Choice | Toggle)}
    units |= {meta.name: _unit(meta) for meta in signature.metas}
    unit, right = units.get(condition.left, ""), condition.right
    if isinstance(right, float):
        right = float(Fraction(right) / UNITS[unit].scale)
    return f"{condition.left} {condition.operator} {_shown(right, unit)}"
