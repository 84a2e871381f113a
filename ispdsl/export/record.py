"""All that is needed to make a picture again: settings, graph, texts, versions and hashes, as JSON."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.composite import Composite
from ispdsl.backends.doubles import files
from ispdsl.errors import NoProgramError
from ispdsl.export.closeness import Closeness, of_outputs
from ispdsl.export.drafts import drafted
from ispdsl.export.faults import ExportError
from ispdsl.export.source import Source, call_of, composite_of, rendered
from ispdsl.graph_text import graph_values
from ispdsl.ir.params import FileReference
from ispdsl.passes.inline import inline
from ispdsl.runtime import faces
from ispdsl.runtime.reading import plain
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.slots import Slot
from ispdsl.runtime.values import Settings

VERSION = "1"
PACKAGES = ("ispdsl", "torch", "numpy", "kornia", "rawpy")


@dataclass(frozen=True)
class Recorded:
    """What was written, and how near a development from the file alone came; None where nothing was developed."""

    content: Mapping[str, Any]
    closeness: Closeness | None


def export_record(source: Source, path: Path) -> Recorded:
    """Write the record of a source as JSON, read it back, and develop from it where there is a raw and programs.

    Raises:
        ExportError: what was read back is not what was written, or develops into another picture.
        PlanError, CompileError, RunError: as the composite.
        OSError: it cannot be written.
    """
    composite = _composite(source)
    outputs = None
    if composite is not None and source.frame is not None:
        outputs = rendered(composite, call_of(source, composite), source.seed)
    content = record_of(source, composite, outputs)
    with drafted(path) as draft:
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        again = settings_of_record(draft, source)
        found = _closeness(source, composite, again, outputs)
    return Recorded(content, found)


def record_of(
    source: Source, composite: Composite | None = None, outputs: Mapping[str, NDArray[np.float32]] | None = None
) -> dict[str, Any]:
    """The record of a source.

    Args:
        source: the pipeline at its settings.
        composite: of it; without, the graph is told as the text has it.
        outputs: what it made of its frame: their hashes are told.
    """
    graph = composite.plan.graph if composite is not None else inline(source.graph)
    frame = source.frame
    content: dict[str, Any] = {
        "ispdsl_export": VERSION,
        "pipeline": source.graph.name,
        "pipeline_sha256": source.graph.sha256,
        "texts": dict(source.graph.module.files),
        "settings": {slot.address: _told(slot, source.settings) for slot in graph.slots},
        "preset": _preset(source),
        "graph": graph_values(graph),
        "doubles": _doubles(source, composite),
        "seed": source.seed,
        "versions": versions(),
    }
    if frame is not None:
        origin = frame.source
        content["frame"] = {
            "file": Path(origin.path).name,
            "sha256": origin.sha256,
            "make": origin.make,
            "model": origin.model,
            "decoder": origin.decoder,
            "type": str(frame.type),
            "size": list(frame.image.shape[-2:]),
            "metadata": {name: np.asarray(value).tolist() for name, value in frame.metadata.items()},
        }
    if outputs is not None:
        content["outputs"] = {
            name: {"shape": list(image.shape), "sha256": hashlib.sha256(image.tobytes()).hexdigest()}
            for name, image in outputs.items()
        }
    return content


def versions() -> dict[str, str]:
    """What computed: versions of Python, the packages and the machine."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def settings_of_record(path: Path, source: Source) -> Settings:
    """The settings of a record, held to the pipeline of a source.

    Raises:
        ExportError: the file tells other settings, or another pipeline.
    """
    read = json.loads(path.read_text(encoding="utf-8"))
    preset = read["preset"]
    tables = {address: value for address, value in source.settings.changed.items() if isinstance(value, FileReference)}
    strange = [name for name, value in tables.items() if preset["settings"][name]["sha256"] != value.sha256]
    if strange:
        raise ExportError(f"the file tells another table of {strange[0]}", "please report this with the pipeline")
    values = {address: value for address, value in preset["settings"].items() if address not in tables}
    sidecar = Sidecar(values, preset["pipeline"], preset["pipeline_sha256"])
    found = sidecar.apply(Settings.of(source.graph))
    found = replace(found, changed={**found.changed, **tables})
    frame = source.frame
    found = found if frame is None else found.resolved(frame.metadata)
    for slot in source.graph.slots:
        if found[slot.address] != source.settings[slot.address]:
            said = f"{slot.address} is {source.settings[slot.address]}, and the file says {found[slot.address]}"
            raise ExportError(said, "please report this with the pipeline")
    return found


def _composite(source: Source) -> Composite | None:
    """The composite, where all nodes have programs; a real thing's pipeline has none."""
    try:
        return composite_of(source)
    except NoProgramError:
        return None


def _preset(source: Source) -> dict[str, Any]:
    """A sidecar with every value, which `ispdsl run --preset` takes when it is a file of its own."""
    sidecar = Sidecar.of(source.settings, complete=True)
    return {
        "ispdsl": "1",
        "pipeline": sidecar.pipeline,
        "pipeline_sha256": sidecar.pipeline_sha256,
        "settings": dict(sidecar.settings),
    }


def _told(slot: Slot, settings: Settings) -> dict[str, Any]:
    """One setting: as it is written, in canonical units, and where it comes from."""
    value = settings[slot.address]
    if slot.address in settings.changed:
        origin = "set"
    elif slot.start_meta is not None and slot.address in settings.measured:
        origin = f"metadata {slot.start_meta}"
    else:
        origin = "the pipeline"
    if value is None:
        return {"value": None, "from": f"metadata {slot.start_meta}, which waits for a raw"}
    found: dict[str, Any] = {"value": plain(slot.declaration, value), "unit": slot.unit, "from": origin}
    if isinstance(value, float):
        found["canonical"] = faces.canonical(slot.declaration, value)
    if slot.fixed:
        found["fixed"] = True
    return found


def _doubles(source: Source, composite: Composite | None) -> dict[str, str]:
    """The doubles that run, by address: the SHA-256 of their files."""
    if source.doubles is None or composite is None:
        return {}
    used = composite.cards
    found = {address: path for address, path in files(source.doubles).items() if address in used}
    return {address: hashlib.sha256(path.read_bytes()).hexdigest() for address, path in found.items()}


def _closeness(
    source: Source,
    composite: Composite | None,
    settings: Settings,
    outputs: Mapping[str, NDArray[np.float32]] | None,
) -> Closeness | None:
    """Develop again at the settings of the file, and compare.

    Raises:
        ExportError: it is another picture.
    """
    if composite is None or outputs is None:
        return None
    again = rendered(composite, call_of(replace(source, settings=settings), composite), source.seed)
    found = of_outputs(again, outputs, composite.plan.graph.outputs)
    if found.largest > 0:
        hint = "its programs do not repeat themselves: see `property deterministic` of its stages"
        raise ExportError(f"the picture from the file is another one: {found}", hint)
    return found
