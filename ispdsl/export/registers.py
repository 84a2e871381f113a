"""Settings as the codes of registers: where each goes, and what is left of it when it is read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from ispdsl.backends.blackbox import declared
from ispdsl.errors import NoProgramError, PlanError
from ispdsl.executors import bank
from ispdsl.executors.kinds import REGISTERS
from ispdsl.export.closeness import Closeness, of_outputs
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.source import Source, call_of, composite_of, rendered, value_of
from ispdsl.graph import Graph
from ispdsl.ir.params import Register
from ispdsl.ir.units import convert
from ispdsl.passes.inline import inline
from ispdsl.runtime.faces import codes, finite, from_code
from ispdsl.runtime.values import Settings

SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Coded:
    """One register at a setting.

    Attributes:
        address: of the setting, as ``isp.gain_00``.
        unit: of `value`, `decoded`, `error` and `step`: the setting's.
        value: as it was set; `decoded`: what the code says; `error`: how far that is off.
        place: word and bits, as ``0x100[11:0]``; `word`, `high`, `low`: the same as numbers.
        format: as ``u4.8``; `step`: between two codes.
        code: signed where the format is; `bits`: the same as it lies in the field.
        first, last: the codes of the declared range.
    """

    address: str
    unit: str
    value: float
    decoded: float
    error: float
    place: str
    word: int
    high: int
    low: int
    format: str
    step: float
    code: int
    bits: int
    first: int
    last: int


@dataclass(frozen=True)
class Bank:
    """All registers of a pipeline at its settings.

    Attributes:
        registers: in the order of the text.
        words: by address, mask and bits of what is set of each word of 32 bits.
        left_out: settings that are in no register.
        settings: what the codes say, as settings again.
    """

    registers: tuple[Coded, ...]
    words: Mapping[int, tuple[int, int]]
    left_out: tuple[str, ...]
    settings: Settings

    @property
    def largest_error(self) -> float:
        """The largest share of a step that a setting lost; at most a half."""
        return max((abs(each.error) / each.step for each in self.registers), default=0.0)

    @property
    def exact(self) -> int:
        """How many settings came back as they were."""
        return sum(each.error == 0 for each in self.registers)


def register_fields(graph: Graph) -> tuple[bank.Field, ...]:
    """The fields of all registers of a pipeline that a setting drives.

    Raises:
        PlanError: it declares none.
        CompileError: two share bits, or one lies in the middle of a word.
    """
    if any(each.kind == "executor" and each.target in REGISTERS for each in graph.implementations):
        return bank.fields(declared(graph))
    flat = inline(graph)
    slots = {slot.address: slot for slot in flat.slots}
    found = [
        bank.field_of(f"stage {call.signature.name}", each, slots[call.parameters[each.name]])
        for call in flat.calls
        for each in call.signature.parameters
        if isinstance(each, Register)
    ]
    if not found:
        hint = "declare one in a stage: register gain @ 0x100[11:0] : u4.8 in 0..15.9 = 1"
        raise PlanError(f"{graph.name} declares no registers", hint)
    return bank.apart(found, graph.name)


def encoded(graph: Graph, settings: Settings) -> Bank:
    """The registers of a pipeline at settings, each decoded again.

    Raises:
        PlanError, CompileError: as `register_fields`.
        ExecutorError: SETTINGS, a value has no code.
        ExportError: what a word says is not what was set, to half a step.
    """
    fields = register_fields(graph)
    values = {field.address: value_of(settings, settings.slot(field.address)) for field in fields}
    missing = next((address for address, value in values.items() if value is None), None)
    if missing is not None:
        raise ExportError(f"{missing} starts at metadata, which only a raw file has", "give --raw RAW, or set it")
    words = bank.wanted(fields, {address: value for address, value in values.items() if value is not None}, {})
    registers = tuple(_coded(field, finite(values[field.address]), words) for field in fields)
    known = {field.address for field in fields}
    others = (slot.address for slot in graph.slots if not slot.fixed and not slot.structural)
    decoded = {each.address: each.decoded for each in registers if not settings.slot(each.address).fixed}
    left_out = tuple(address for address in others if address not in known)
    return Bank(registers, words, left_out, settings.update(decoded))


def _coded(field: bank.Field, value: float, words: Mapping[int, tuple[int, int]]) -> Coded:
    """One register, read back from the word that it went into."""
    place, register = field.register.field, field.register
    bits = (words[field.word][1] & field.mask) >> place.low
    code = bits - (1 << place.high - place.low + 1) if place.format.signed and bits >> place.high - place.low else bits
    exact = Fraction(finite(from_code(register, code)))
    decoded = convert(float(exact), register.unit, field.unit)
    step = abs(convert(float(place.format.step), register.unit, field.unit))
    error = decoded - value
    first, last = codes(register)
    if first < code < last and abs(error) > step / 2 * (1 + 1e-9) + 1e-12 * abs(value):
        said = f"{field.address} at {field.place} is {value:g}{field.unit}, and its code {code} says {decoded:g}"
        raise ExportError(said, "please report this with the pipeline")
    return Coded(
        address=field.address,
        unit=field.unit,
        value=value,
        decoded=decoded,
        error=error,
        place=field.place,
        word=field.word,
        high=place.high,
        low=place.low,
        format=str(place.format),
        step=step,
        code=code,
        bits=bits,
        first=first,
        last=last,
    )


def export_registers(source: Source, path: Path) -> Bank:
    """Write the registers of a pipeline at its settings, as .json or .csv, and read the file back.

    Raises:
        PlanError, CompileError, ExecutorError, ExportError: as `encoded`; the file does not say what was meant.
        OSError: it cannot be written.
    """
    found = encoded(source.graph, source.settings)
    text = as_csv(found) if path.suffix == ".csv" else as_json(found, source)
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8")
        if _read(draft) != {each.address: each.code for each in found.registers}:
            raise ExportError("the file does not say the codes that were meant", "please report this with the pipeline")
    return found


def as_json(found: Bank, source: Source) -> str:
    """The registers as JSON, with the words that they make."""
    words = [
        {"address": address, "mask": mask, "bits": bits, "written": f"{address:#x}: {bits:#010x} of {mask:#010x}"}
        for address, (mask, bits) in sorted(found.words.items())
    ]
    content: dict[str, Any] = {
        "pipeline": source.graph.name,
        "pipeline_sha256": source.graph.sha256,
        "registers": [asdict(each) for each in found.registers],
        "words": words,
        "left_out": list(found.left_out),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_csv(found: Bank) -> str:
    """The registers as a table, a line for each."""
    stream = io.StringIO()
    rows = [asdict(each) for each in found.registers]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _read(path: Path) -> dict[str, int]:
    """The codes of a file by the address of their settings."""
    text = path.read_text(encoding="utf-8")
    rows: list[dict[str, Any]]
    rows = list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else json.loads(text)["registers"]
    return {row["address"]: int(row["code"]) for row in rows}


def through_composite(source: Source, found: Bank) -> Closeness | None:
    """How far the picture by the codes is from that by the settings; None without a raw, or where programs are missing.

    Raises:
        PlanError, CompileError, RunError: as the composite.
    """
    if source.frame is None:
        return None
    try:
        composite = composite_of(source)
    except NoProgramError:
        return None
    coded = replace(source, settings=found.settings.resolved(source.frame.metadata))
    wanted = rendered(composite, call_of(source, composite), source.seed)
    return of_outputs(rendered(composite, call_of(coded, composite), source.seed), wanted, composite.plan.graph.outputs)
