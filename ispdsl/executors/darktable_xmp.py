"""Histories in darktable's XMP sidecars: written for it to run, and read back from files that anybody may have sent.

A history is a list of modules with their parameter structs in hexadecimal, or deflated and in base 64 behind ``gz`` and
two digits. What a file may claim is bounded before it is believed: its size, the number of entries, the length of a
struct once inflated; documents with a DOCTYPE, and with it entities, are refused.
Source: darktable user manual, "sidecar files"; ISO 16684-1 for XMP
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from ispdsl.executors.darktable_fields import MAX_BYTES, Entry
from ispdsl.executors.faults import ExecutorError, Fault

NAMESPACE = "http://darktable.sf.net/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

ORDER = 2
"""Code of darktable's module order "v3.0", the one for raw files and the scene-referred workflow."""

MAX_FILE = 4 * 2**20
MAX_ENTRIES = 1000
MAX_TEXT = 4 * MAX_BYTES
"""The longest attribute: a struct of `MAX_BYTES` in hexadecimal has half of it."""


def encode_history(entries: Sequence[Entry]) -> bytes:
    """A sidecar that lets darktable run these modules and no others of the user's choosing.

    Blending is left to darktable's default, which is none. Modules that darktable switches on by itself must be among
    the entries, disabled, to stay off.
    """
    lines = [
        f"<rdf:li darktable:num={quoteattr(str(number))} darktable:operation={quoteattr(entry.operation)}"
        f' darktable:enabled="{int(entry.enabled)}" darktable:modversion="{entry.version}"'
        f' darktable:params="{entry.params.hex()}" darktable:multi_name="" darktable:multi_priority="0"/>'
        for number, entry in enumerate(entries)
    ]
    body = "\n     ".join(lines)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:darktable="{NAMESPACE}" darktable:xmp_version="5"
    darktable:raw_params="0" darktable:auto_presets_applied="1"
    darktable:history_end="{len(entries)}" darktable:iop_order_version="{ORDER}">
   <darktable:history>
    <rdf:Seq>
     {body}
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
""".encode()


def decode_history(data: bytes, name: str) -> dict[str, Entry]:
    """The modules of a sidecar as they stand at the end of its history, by operation; disabled ones too.

    Args:
        data: the file.
        name: of the file, for messages.

    Raises:
        ExecutorError: `GARBAGE` where it is no sidecar of darktable or claims too much; `SETTINGS` where it holds what
            no setting can say: masks and blending, several instances, another order of the modules.
    """
    elements = _elements(data, name)
    about = next((each for tag, each in elements if tag == f"{RDF} Description"), {})
    if f"{NAMESPACE} history_end" not in about:
        raise ExecutorError(Fault.GARBAGE, f"{name} holds no history of darktable", "give the .xmp beside a raw file")
    order = about.get(f"{NAMESPACE} iop_order_version", "")
    if order != str(ORDER) or about.get(f"{NAMESPACE} iop_order_list"):
        hint = "set module order v3.0 in darktable and save again"
        raise ExecutorError(Fault.SETTINGS, f"{name} has a module order of its own ({order or 'none stated'})", hint)
    lines = [each for tag, each in elements if tag == f"{RDF} li" and f"{NAMESPACE} operation" in each]
    if len(lines) > MAX_ENTRIES:
        raise ExecutorError(Fault.GARBAGE, f"{name} has {len(lines)} entries of history", f"the limit is {MAX_ENTRIES}")
    end = _whole(about[f"{NAMESPACE} history_end"], "history_end", name)
    found: dict[str, Entry] = {}
    for item in sorted((_Item.read(line, name) for line in lines), key=lambda each: each.number):
        if item.number < end:
            found[item.entry.operation] = item.entry
    return found


def read_sidecar(path: Path) -> dict[str, Entry]:
    """`decode_history` of a file.

    Raises:
        ExecutorError: as there; `MISSING` where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ExecutorError(Fault.MISSING, f"{path} cannot be read: {error.strerror}", "is the path right?") from None
    return decode_history(data, str(path))


# ---- reading ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    number: int
    entry: Entry

    @staticmethod
    def read(attributes: Mapping[str, str], name: str) -> _Item:
        """One line of a history, refused where a setting cannot say all of it."""

        def attribute(key: str, default: str | None = None) -> str:
            value = attributes.get(f"{NAMESPACE} {key}", default)
            if value is None:
                raise ExecutorError(Fault.GARBAGE, f"{name}: an entry of the history has no {key}")
            return value

        operation = attribute("operation")
        if not re.fullmatch(r"[a-z0-9_]{1,20}", operation):
            raise ExecutorError(Fault.GARBAGE, f"{name}: {operation[:40]!r} is no operation")
        if attribute("multi_priority", "0") != "0":
            hint = "delete the further instances in darktable"
            raise ExecutorError(Fault.SETTINGS, f"{name} has several instances of {operation}", hint)
        blending = attribute("blendop_params", "")
        if blending and _bytes(blending, name)[:4] != bytes(4):  # the first word of the struct: which masks there are
            hint = "switch blending off in darktable"
            raise ExecutorError(Fault.SETTINGS, f"{name} blends {operation} or masks it", hint)
        version = _whole(attribute("modversion"), "modversion", name)
        enabled = attribute("enabled") == "1"
        entry = Entry(operation, version, _bytes(attribute("params"), name), enabled)
        return _Item(_whole(attribute("num"), "num", name), entry)


def _elements(data: bytes, name: str) -> list[tuple[str, dict[str, str]]]:
    """All elements with their attributes, names with their namespaces in front."""
    if len(data) > MAX_FILE:
        raise ExecutorError(Fault.GARBAGE, f"{name} is larger than {MAX_FILE} bytes", "is it a sidecar?")
    found: list[tuple[str, dict[str, str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if any(len(value) > MAX_TEXT for value in attributes.values()):
            raise ExecutorError(Fault.GARBAGE, f"{name} has an attribute of more than {MAX_TEXT} characters")
        found.append((tag, attributes))

    def doctype(*_: object) -> None:
        raise ExecutorError(Fault.GARBAGE, f"{name} declares a DOCTYPE, which no sidecar needs", "take that line out")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ExecutorError(Fault.GARBAGE, f"{name} is no XML: {error}", "is it a sidecar of darktable?") from None
    return found


def _bytes(text: str, name: str) -> bytes:
    """A struct from hexadecimal, or from its deflated form."""
    try:
        if not re.match(r"gz\d\d", text):
            return bytes.fromhex(text)
        inflater = zlib.decompressobj()
        found = inflater.decompress(base64.b64decode(text[4:], validate=True), MAX_BYTES)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ExecutorError(Fault.GARBAGE, f"{name} has parameters that cannot be decoded: {error}") from None
    if not inflater.eof:
        raise ExecutorError(Fault.GARBAGE, f"{name} has parameters that are cut off or longer than {MAX_BYTES} bytes")
    return found


def _whole(text: str, what: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text):
        raise ExecutorError(Fault.GARBAGE, f"{name}: {what} is {text[:40]!r}, which is no number of darktable's")
    return int(text)
