"""Settings as words of a register bank: which fields there are, what goes in each word, and whether it stayed there.

Bits that no field covers keep what the device has there: a word is read, its fields are replaced, and it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ispdsl.errors import CompileError
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import REGISTERS
from ispdsl.executors.model import Declared
from ispdsl.ir.params import Parameter, Register
from ispdsl.ir.units import convert
from ispdsl.runtime.faces import finite, from_code, to_code
from ispdsl.runtime.slots import PhysicalValue, Slot

MOST_KNOWN = 65536
"""How many conversions are remembered."""


@dataclass(frozen=True)
class Field:
    """A register's field: the setting at `address`, which is in `unit`, goes there."""

    address: str
    unit: str
    register: Register

    @property
    def word(self) -> int:
        return self.register.field.address

    @cached_property
    def mask(self) -> int:
        width = self.register.field.high - self.register.field.low + 1
        return (1 << width) - 1 << self.register.field.low

    @cached_property
    def place(self) -> str:
        """As the language writes it: ``0x100[11:0]``."""
        field = self.register.field
        bits = f"{field.high}:{field.low}" if field.high != field.low else f"{field.low}"
        return f"{field.address:#x}[{bits}]"

    def bits(self, value: PhysicalValue) -> int:
        """The bits of its word that a value in the setting's unit is.

        Raises:
            ExecutorError: SETTINGS, the register has no code for it.
        """
        try:
            number = convert(finite(value), self.unit, self.register.unit)
            code = to_code(self.register, number)
        except ValueError as error:
            said = f"{self.address} at {self.place}: {error}"
            raise ExecutorError(Fault.SETTINGS, said, "set it to what the register holds") from error
        assert isinstance(code, int), "a register has one code"
        return code << self.register.field.low & self.mask

    def said(self, word: int) -> str:
        """What the field says in a word: its code, and the number that it stands for."""
        field = self.register.field
        code = (word & self.mask) >> field.low
        if field.format.signed and code >> (field.high - field.low):
            code -= 1 << (field.high - field.low + 1)
        try:
            return f"{code} ({from_code(self.register, code)}{self.register.unit})"
        except ValueError:
            return f"{code}, outside its range"


def fields(declared: Declared) -> tuple[Field, ...]:
    """The fields behind all settings of a stage, or of the nodes of a pipeline.

    Raises:
        CompileError: a parameter is no register, its word is not aligned, or two of them share bits.
    """
    found: list[Field] = []
    if declared.kind == "stage":
        found += [field_of(declared.where, slot.declaration, slot) for slot in declared.slots]
    else:
        slots = {slot.address: slot for slot in declared.slots}
        for node in declared.nodes:
            if node.executor is None or node.executor.target not in REGISTERS:
                said = f"{declared.where}: the device does not run {node.address}, stage {node.signature.name}"
                raise CompileError(said, "it runs stages with an executor line of its own kind; run this one outside")
            for parameter in node.signature.parameters:
                found.append(field_of(declared.where, parameter, slots[node.parameters[parameter.name]]))
    return apart(found, declared.where)


def apart(found: Iterable[Field], where: str) -> tuple[Field, ...]:
    """The fields themselves, once no two of them share bits; `where` is what errors call the whole.

    Raises:
        CompileError: two do.
    """
    known = tuple(found)
    taken: dict[int, list[Field]] = {}
    for field in known:
        for other in taken.setdefault(field.word, []):
            if other.mask & field.mask:
                said = f"{where}: {other.address} and {field.address} share bits of {field.place}"
                raise CompileError(
                    said, "a register belongs to one node of the pipeline: give one of them another place"
                )
        taken[field.word].append(field)
    return known


def field_of(where: str, parameter: Parameter, slot: Slot) -> Field:
    """The field behind a parameter that the setting of `slot` drives.

    Raises:
        CompileError: it is no register, or its word is not aligned.
    """
    if not isinstance(parameter, Register):
        said = f"{where}: {parameter.name} is a {parameter.kind}, and the device has registers alone"
        hint = f"write register {parameter.name} @ 0x100[7:0] : u8 = 0, with its own address and format"
        raise CompileError(said, hint)
    if parameter.field.address % 4:
        said = f"{where}: {parameter.name} lies at {parameter.field.address:#x}, in the middle of a word"
        raise CompileError(said, "an address counts bytes, and a word of 32 bits has four")
    return Field(slot.address, slot.unit, parameter)


def wanted(
    bank: Sequence[Field], settings: Mapping[str, PhysicalValue], known: dict[tuple[str, float], int]
) -> dict[int, tuple[int, int]]:
    """Mask and bits of every word that has fields, by its address.

    Args:
        bank: the fields.
        settings: values by address.
        known: bits by address and value, filled as they are found: exact conversion takes longer than the link does.

    Raises:
        ExecutorError: SETTINGS, a value is missing or has no code.
    """
    words: dict[int, tuple[int, int]] = {}
    for field in bank:
        if field.address not in settings:
            raise ExecutorError(Fault.SETTINGS, f"{field.address} at {field.place} has no value", "set it")
        value = settings[field.address]
        key = (field.place, value) if isinstance(value, float) else None
        found = known.get(key) if key else None
        if found is None:
            found = field.bits(value)
            if key and len(known) < MOST_KNOWN:
                known[key] = found
        mask, bits = words.get(field.word, (0, 0))
        words[field.word] = mask | field.mask, bits | found
    return words


def verify(bank: Sequence[Field], written: Mapping[int, int], read: Mapping[int, int], where: str, when: str) -> None:
    """Make sure that the words are what was written.

    Raises:
        ExecutorError: READBACK, naming the first field that differs, or the word where no field does.
    """
    for address, word in written.items():
        if read[address] == word:
            continue
        hint = "see whether someone else writes to the device, or whether it lost power"
        here = (field for field in bank if field.word == address)
        differs = next((field for field in here if (word ^ read[address]) & field.mask), None)
        if differs is None:
            said = f"{where}: word {address:#x} {when} reads {read[address]:#010x}; {word:#010x} was written"
        else:
            now, then = differs.said(read[address]), differs.said(word)
            said = f"{where}: {differs.address} at {differs.place} {when} reads {now}; {then} was written"
        raise ExecutorError(Fault.READBACK, said, hint, command=(where,))
