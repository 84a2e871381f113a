"""The parameter struct of a darktable module, as the ``executor`` line of its stage states it field by field.

A field is ``TYPE NAME [= EXPRESSION]``, in the order of the struct, without gaps: ``f32 exposure = ev``,
``i32 mode = 0``, ``u8[512] filename = 0``, ``f32 red = gain / as_shot_neutral[0]``, ``i32 method = method {ppg: 0, rcd:
5}``. Without an expression the field takes the parameter of its own name. An expression is a number or a name,
multiplied and divided by further ones; names are parameters of the stage, in their declared units, and what its
``meta`` lines bring. Codes in braces say what each option of a choice is.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.ir.model import Implementation, Signature
from ispdsl.ir.params import Array, Choice, Parameter, Table, Toggle
from ispdsl.runtime.frame import Metadata
from ispdsl.runtime.slots import PhysicalValue

FORMATS = {"f32": "f", "i32": "i", "u32": "I", "u16": "H", "u8": "B"}
"""Types of fields, as `struct` has them; all little-endian."""

_NAME = r"[A-Za-z_]\w*"
_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|nan)"
_TERM = rf"(?:{_NUMBER}|{_NAME}(?:\[\d+(?:\s*,\s*\d+)*\])?)"
_FIELD = re.compile(
    rf"\s*(?P<type>\w+)(?:\[(?P<count>\d+)\])?\s+(?P<name>{_NAME})"
    rf"(?:\s*=\s*(?P<terms>{_TERM}(?:\s*[*/]\s*{_TERM})*)\s*(?:\{{(?P<codes>[^{{}}]*)\}})?)?\s*"
)
_CODE = re.compile(r"\s*(\w+)\s*:\s*(-?\d+)\s*")
Numbers = NDArray[np.float64]

MAX_BYTES = 65536
"""The longest struct; darktable's own stay below 8 KiB."""


@dataclass(frozen=True)
class Term:
    """A factor or, inverted, a divisor: a number, or an element of a parameter or of metadata."""

    name: str | None
    number: float = 1.0
    index: tuple[int, ...] = ()
    inverted: bool = False


@dataclass(frozen=True)
class Field:
    """One field: its type as `struct` has it, how many of it, darktable's name, and where its value comes from."""

    format: str
    count: int
    name: str
    terms: tuple[Term, ...]
    codes: Mapping[str, int]


@dataclass(frozen=True)
class Module:
    """A darktable module as a stage states it: operation, version and fields of its struct, and what switches it.

    `enabled` names the toggle of the stage that switches the module, where there is one.
    """

    operation: str
    version: int
    fields: tuple[Field, ...]
    parameters: Mapping[str, Parameter]
    where: str
    enabled: str | None = None

    @property
    def layout(self) -> struct.Struct:
        """The struct, little-endian and without gaps."""
        return struct.Struct("<" + "".join(f"{field.count}{field.format}" for field in self.fields))


@dataclass(frozen=True)
class Entry:
    """A module with its parameters, as a history holds it."""

    operation: str
    version: int
    params: bytes
    enabled: bool = True


# ---- from text ----------------------------------------------------------------------------------------------


def read_module(signature: Signature, implementation: Implementation) -> Module:
    """The module that a stage's ``executor darktable("operation", version = N, fields = [...])`` states.

    Raises:
        CompileError: something of the line is wrong, or a parameter of the stage reaches no field.
    """
    where = f"{implementation.location}: executor darktable of {signature.name}"
    given = dict(implementation.arguments)
    operation, version = given.pop("0", None), given.pop("version", None)
    lines, enabled = given.pop("fields", None), given.pop("enabled", None)
    form = 'write darktable("exposure", version = 6, fields = ["i32 mode = 0", "f32 black", "f32 exposure = ev", ...])'
    if given:
        raise CompileError(f"{where}: {next(iter(given))} means nothing here", form)
    if not isinstance(operation, str) or not re.fullmatch(r"[a-z0-9_]{1,20}", operation):
        raise CompileError(f"{where}: it does not name darktable's operation", form)
    if not isinstance(version, float | int) or version != int(version) or not 1 <= version < 1000:
        raise CompileError(f"{where}: it does not state the version of the struct as a whole number", form)
    if not isinstance(lines, tuple) or not lines:
        raise CompileError(f"{where}: it does not state the fields of the struct", form)
    parameters = {each.name: each for each in signature.parameters}
    metas = {each.name for each in signature.metas}
    fields = tuple(_field(line, parameters, metas, where) for line in lines)
    if enabled is not None and not isinstance(parameters.get(str(enabled)), Toggle):
        raise CompileError(f"{where}: enabled = {enabled} names no toggle of the stage", "write toggle enabled = on")
    module = Module(operation, int(version), fields, parameters, where, None if enabled is None else str(enabled))
    if module.layout.size > MAX_BYTES:
        raise CompileError(f"{where}: the struct has {module.layout.size} bytes", f"at most {MAX_BYTES} are taken")
    _check_all_bound(module)
    return module


def fixed_entry(operation: str, version: int, lines: Iterable[str]) -> Entry:
    """An entry of constants alone, from fields as an ``executor`` line has them."""
    fields = tuple(_field(line, {}, set(), f"darktable's {operation}") for line in lines)
    return pack(Module(operation, version, fields, {}, operation), {}, {})


def _field(line: str, parameters: Mapping[str, Parameter], metas: set[str], where: str) -> Field:
    match = _FIELD.fullmatch(line)
    if not match:
        hint = "write TYPE NAME or TYPE NAME = VALUE, such as f32 exposure = ev or i32 mode = mode {manual: 0, auto: 1}"
        raise CompileError(f"{where}: {line!r} is no field", hint)
    if match["type"] not in FORMATS:
        raise CompileError(f"{where}: {line!r} has an unknown type", f"it is one of {', '.join(FORMATS)}")
    terms = _terms(match["terms"] or match["name"])
    for term in terms:
        if term.name is not None and term.name not in parameters and term.name not in metas:
            near = nearest(term.name, [*parameters, *metas])
            hint = f"did you mean {near}?" if near else "declare it in the stage, or write a number"
            raise CompileError(f"{where}: {line!r} names {term.name}, which the stage does not have", hint)
        if term.name is not None:
            _check_index(term, parameters.get(term.name), line, where)
    moved = [term for term in terms if term.name in parameters]
    if len(moved) > 1 or any(term.inverted for term in moved):
        hint = "use one parameter a field, as a factor: what is packed must also be read back"
        raise CompileError(f"{where}: {line!r} cannot be undone", hint)
    count = int(match["count"] or 1)
    if not 1 <= count <= MAX_BYTES:
        raise CompileError(f"{where}: {line!r} repeats {count} times", f"write 1 to {MAX_BYTES}")
    codes = _codes(match["codes"], moved[0].name if moved else None, parameters, line, where)
    return Field(FORMATS[match["type"]], count, match["name"], terms, codes)


def _terms(text: str) -> tuple[Term, ...]:
    pieces = re.split(r"\s*([*/])\s*", text.strip())
    found: list[Term] = []
    for operator, piece in zip(["*", *pieces[1::2]], pieces[::2], strict=True):
        if re.fullmatch(_NUMBER, piece):
            found.append(Term(None, float(piece), (), operator == "/"))
        else:
            name, _, rest = piece.partition("[")
            index = tuple(int(digits) for digits in re.findall(r"\d+", rest))
            found.append(Term(name, 1.0, index, operator == "/"))
    return tuple(found)


def _check_index(term: Term, parameter: Parameter | None, line: str, where: str) -> None:
    """Elements of tables must exist, and tables are taken by element; metadata is checked when it is there."""
    if parameter is None:
        return
    shape = parameter.shape if isinstance(parameter, Table) else ()
    if len(term.index) != len(shape) or any(i >= n for i, n in zip(term.index, shape, strict=False)):
        wanted = f"[{', '.join(str(n - 1) for n in shape)}] is its last element" if shape else "it is a single value"
        raise CompileError(f"{where}: {line!r} does not name an element of {term.name}", wanted)


def _codes(
    text: str | None, name: str | None, parameters: Mapping[str, Parameter], line: str, where: str
) -> dict[str, int]:
    """What each option of a choice is in the struct: each option one code of its own."""
    choice = parameters.get(name) if name else None
    if not isinstance(choice, Choice):
        if text is not None:
            raise CompileError(f"{where}: {line!r} gives codes to something that is no choice", "leave the braces out")
        return {}
    matches = [_CODE.fullmatch(piece) for piece in (text or "").split(",")]
    codes = {match[1]: int(match[2]) for match in matches if match}
    if not all(matches) or set(codes) != set(choice.options) or len(set(codes.values())) != len(matches):
        hint = (
            f"write {{{', '.join(f'{option}: {i}' for i, option in enumerate(choice.options))}}} with darktable's codes"
        )
        raise CompileError(f"{where}: {line!r} does not give every option of {name} a code of its own", hint)
    return codes


def _check_all_bound(module: Module) -> None:
    """A setting that reaches no field would be a slider that does nothing."""
    used = {(term.name, term.index) for field in module.fields for term in field.terms}
    for name, parameter in module.parameters.items():
        if name == module.enabled:
            continue
        shape = parameter.shape if isinstance(parameter, Table) else ()
        if not all((name, index) in used for index in np.ndindex(*shape)):
            hint = "name it in a field, or take it out of the stage"
            raise CompileError(f"{module.where}: {name} of the stage reaches no field of the struct", hint)


# ---- to and from bytes --------------------------------------------------------------------------------------


def pack(module: Module, settings: Mapping[str, PhysicalValue], metadata: Metadata) -> Entry:
    """The module's entry at these settings.

    Args:
        module: as the text states it.
        settings: by the names of the stage, in declared units.
        metadata: of the frame.

    Raises:
        ExecutorError: `SETTINGS` where a value is missing or does not fit its field.
    """
    values: list[float | int] = []
    for field in module.fields:
        found = _value(field, module, settings, metadata)
        if len(found) not in (1, field.count):
            message = f"{module.where}: {field.name} takes {field.count} values, not {len(found)}"
            raise ExecutorError(Fault.SETTINGS, message, "name an element, such as black_level[0]")
        values += found * (field.count // len(found))
    try:
        params = module.layout.pack(*values)
    except (struct.error, OverflowError) as error:
        raise ExecutorError(Fault.SETTINGS, f"{module.where}: a value does not fit its field: {error}") from None
    enabled = module.enabled is None or bool(settings[module.enabled])
    return Entry(module.operation, module.version, params, enabled)


def _value(
    field: Field, module: Module, settings: Mapping[str, PhysicalValue], metadata: Metadata
) -> list[float] | list[int]:
    """What a field holds: one value for all of its elements, or one each."""
    result = np.ones(1)
    for term in field.terms:
        factor = _factor(term, field, module, settings, metadata)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = result / factor if term.inverted else result * factor
    if field.format == "f":
        return [float(each) for each in result]
    if not np.isfinite(result).all():
        raise ExecutorError(Fault.SETTINGS, f"{module.where}: {field.name} is {result[0]:g}, and takes whole numbers")
    return [int(each) for each in np.rint(result)]


def _factor(
    term: Term, field: Field, module: Module, settings: Mapping[str, PhysicalValue], metadata: Metadata
) -> Numbers:
    if term.name is None:
        return np.asarray([term.number])
    parameter = module.parameters.get(term.name)
    if parameter is None:
        return _metadatum(term.name, term.index, metadata, module.where)
    value = settings[term.name]
    if field.codes:
        return np.asarray([float(field.codes[str(value)])])
    if isinstance(parameter, Table):
        return np.asarray([_table(value, parameter)[term.index]])
    if isinstance(value, bool | float | int):
        return np.asarray([float(value)])
    raise ExecutorError(Fault.SETTINGS, f"{module.where}: {term.name} is {value}, which is no number")


def _table(value: PhysicalValue, parameter: Table) -> Numbers:
    """All elements of a table; ``identity`` is a ramp or the unit matrix."""
    if value == "identity":
        rows, columns = (*parameter.shape, 1)[:2]
        return np.linspace(0.0, 1.0, rows) if parameter.kind == "curve" else np.eye(rows, columns)
    if isinstance(value, Array):
        return np.broadcast_to(np.asarray(value.values).reshape(value.shape), parameter.shape)
    if isinstance(value, float | int):
        return np.full(parameter.shape, float(value))
    raise ExecutorError(Fault.SETTINGS, f"{parameter.name} is kept in a file", "write its numbers into the settings")


def _metadatum(name: str, index: tuple[int, ...], metadata: Metadata, where: str) -> Numbers:
    if name not in metadata:
        hint = "run the pipeline on a raw file"
        raise ExecutorError(Fault.SETTINGS, f"{where}: it needs {name}, which is known of raw files alone", hint)
    value = np.asarray(metadata[name], dtype=np.float64)
    try:
        return np.atleast_1d(value[index]) if index else np.atleast_1d(value)
    except IndexError:
        raise ExecutorError(Fault.SETTINGS, f"{where}: {name} has no element {list(index)}") from None


def unpack(module: Module, entry: Entry, metadata: Metadata) -> dict[str, PhysicalValue]:
    """The stage's settings behind an entry, in declared units: what `pack` would make the entry of.

    Raises:
        ExecutorError: `VERSION` where the struct is of another version; `SETTINGS` where the entry says something that
            the stage has no setting for.
    """
    if entry.version != module.version or len(entry.params) != module.layout.size:
        message = (
            f"{module.operation} is of version {entry.version} with {len(entry.params)} bytes, "
            f"and the text states version {module.version} with {module.layout.size}"
        )
        raise ExecutorError(Fault.VERSION, message, "state the fields of that version, or save the edit with this one")
    values = iter(module.layout.unpack(entry.params))
    found: dict[str, PhysicalValue] = {}
    tables: dict[str, Numbers] = {}
    if module.enabled is not None:
        found[module.enabled] = entry.enabled
    for field in module.fields:
        held = [float(next(values)) for _ in range(field.count)]
        name, index = next(
            ((each.name, each.index) for each in field.terms if each.name in module.parameters), ("", ())
        )
        parameter = module.parameters.get(name or "")
        if name is None or parameter is None:
            _check_constant(field, module, held, metadata)
            continue
        value = _undone(field, module, held[0], metadata)
        if isinstance(parameter, Table):
            tables.setdefault(name, np.zeros(parameter.shape))[index] = value
            continue
        setting = _setting(field, parameter, value)
        if found.setdefault(name, setting) != setting:
            raise ExecutorError(Fault.SETTINGS, f"{module.operation}: {name} has two values in one struct")
    arrays = {name: Array(shape=table.shape, values=tuple(map(float, table.ravel()))) for name, table in tables.items()}
    return found | arrays


def _undone(field: Field, module: Module, held: float, metadata: Metadata) -> float:
    """The parameter behind a field: the shortest number whose float32 is the same, with its factors taken away."""
    value = float(np.format_float_scientific(np.float32(held), unique=True)) if field.format == "f" else held
    for term in field.terms:
        if term.name in module.parameters:
            continue
        factor = float(_factor(term, field, module, {}, metadata)[0])
        value = value * factor if term.inverted else value / factor
    return value


def _setting(field: Field, parameter: Parameter, value: float) -> PhysicalValue:
    if isinstance(parameter, Toggle):
        return bool(value)
    if not isinstance(parameter, Choice):
        return value
    option = next((name for name, code in field.codes.items() if code == value), None)
    if option is None:
        message = f"{field.name} is {value:g}, and {parameter.name} has no option of that code"
        raise ExecutorError(Fault.SETTINGS, message, f"the text knows {dict(field.codes)}")
    return option


def _check_constant(field: Field, module: Module, held: list[float], metadata: Metadata) -> None:
    """What the text holds constant must be so in the entry, else the pictures would differ."""
    wanted = _value(field, module, {}, metadata)
    layout = struct.Struct(f"<{field.count}{field.format}")
    stated = layout.unpack(layout.pack(*wanted * (field.count // len(wanted))))
    for have, want in zip(held, stated, strict=True):
        if have != want and not (math.isnan(have) and math.isnan(want)):
            message = f"{module.operation}: {field.name} is {have:g}, and the text holds it at {want:g}"
            raise ExecutorError(Fault.SETTINGS, message, f"declare a parameter for {field.name} in the stage")
