"""What `ispdsl export` did: each form made, and told as JSON has it and as people read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ispdsl.cli.export_given import Form, Wanted, grid_of

if TYPE_CHECKING:
    from ispdsl.export.closeness import Closeness
    from ispdsl.export.pt2 import Trial
    from ispdsl.export.source import Source

POOR = 50.0
"""dB below which a table of linear colours is worth an encoded one."""


def file_values(wanted: Wanted) -> dict[str, Any]:
    """The file that was written: its name, form, size and hash."""
    content = wanted.output.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"file": str(wanted.output), "to": wanted.form.value, "bytes": len(content), "sha256": digest}


def _module(source: Source, wanted: Wanted) -> dict[str, Any]:
    from ispdsl.export.onnx import export_onnx
    from ispdsl.export.pt2 import LEAST, export_pt2
    from ispdsl.export.record import record_of

    least = LEAST if wanted.at_least is None else wanted.at_least
    make = export_onnx if wanted.form is Form.ONNX else export_pt2
    record = json.dumps(record_of(source), ensure_ascii=False)
    trial = make(
        source, wanted.output, free=wanted.free, free_metadata=wanted.free_metadata, least=least, record=record
    )
    return _trial(source, trial)


def _trial(source: Source, trial: Trial) -> dict[str, Any]:
    inputs = trial.traced.inputs
    return {
        "images": {port.name: str(port.type) for port in source.graph.inputs if port.type.is_image},
        "outputs": {port.name: str(port.type) for port in source.graph.outputs},
        "settings": {name: list(value.shape) for name, value in inputs.settings.items()},
        "metadata": {name: list(value.shape) for name, value in inputs.metadata.items()},
        "sides": dict(trial.traced.sides),
        "why_fixed": trial.traced.why,
        "tried": [list(size) for size in trial.sizes],
        **_near(trial.closeness),
    }


def _near(found: Closeness) -> dict[str, Any]:
    return {"closeness": found.values(), "near": str(found)}


def _registers(source: Source, wanted: Wanted) -> dict[str, Any]:
    from dataclasses import asdict

    from ispdsl.export.registers import export_registers, through_composite

    found = export_registers(source, wanted.output)
    near = through_composite(source, found)
    report: dict[str, Any] = {
        "registers": [asdict(each) for each in found.registers],
        "words": {f"{address:#x}": [mask, bits] for address, (mask, bits) in sorted(found.words.items())},
        "left_out": list(found.left_out),
        "exact": found.exact,
        "largest_error_in_steps": found.largest_error,
    }
    return {**report, **(_near(near) if near else {"closeness": None, "near": None})}


def _xmp(source: Source, wanted: Wanted) -> dict[str, Any]:
    from ispdsl.export.xmp import export_xmp

    found = export_xmp(source, wanted.output)
    return {
        "modules": list(found.modules),
        "settings": len(found.settings),
        "largest_difference": found.largest,
        "worst": found.worst,
    }


def _cube(source: Source, wanted: Wanted) -> dict[str, Any]:
    from ispdsl.export.cube import export_cube

    found = export_cube(source, wanted.output, grid_of(wanted), wanted.of, wanted.at_least)
    return {
        "inside": list(found.tail.nodes),
        "before": list(found.tail.before),
        "stopped": found.tail.stopped,
        "takes": str(found.tail.type),
        "gives": str(found.tail.graph.outputs[0].type),
        "points": found.grid.points,
        "domain": [found.grid.low, found.grid.high],
        "encoding": found.grid.encoding,
        "random": found.random.values(),
        "near_random": str(found.random),
        "picture": found.picture.values() if found.picture else None,
        "near_picture": str(found.picture) if found.picture else None,
        "outside": found.outside,
    }


def _json(source: Source, wanted: Wanted) -> dict[str, Any]:
    from ispdsl.export.record import export_record

    found = export_record(source, wanted.output)
    settings, graph = found.content["settings"], found.content["graph"]
    told: dict[str, Any] = {"settings": len(settings), "nodes": len(graph["nodes"])}
    return {**told, **(_near(found.closeness) if found.closeness else {"closeness": None, "near": None})}


MAKERS: dict[Form, Callable[[Source, Wanted], dict[str, Any]]] = {
    Form.PT2: _module,
    Form.ONNX: _module,
    Form.REGISTERS: _registers,
    Form.XMP: _xmp,
    Form.CUBE: _cube,
    Form.JSON: _json,
}


# ---- for people --------------------------------------------------------------------------------------------------


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report, line by line."""
    yield report["file"]
    yield from TELLERS[Form(report["to"])](report)


def _module_lines(report: dict[str, Any]) -> Iterator[str]:
    sides = ", ".join(f"{side} {value}" for side, value in report["sides"].items())
    images = ", ".join(f"{name} {type_}" for name, type_ in report["images"].items())
    yield f"takes: {images}; {sides}"
    if report["why_fixed"]:
        yield f"of this size alone: {report['why_fixed']}"
    for kind in ("settings", "metadata"):
        names = ", ".join(report[kind])
        yield f"{kind}: inputs: {names}" if names else f"{kind}: held inside"
    tried = ", ".join(f"{height} x {width}" for height, width in report["tried"])
    yield f"against the composite: {report['near']} ({tried})"


def _register_lines(report: dict[str, Any]) -> Iterator[str]:
    registers = report["registers"]
    width = max((len(each["address"]) for each in registers), default=0)
    for each in registers:
        lost = f", {each['error']:+.3g} off" if each["error"] else ""
        yield (
            f"  {each['address']:{width}}  {each['place']:<14} {each['format']:<7} code {each['code']}"
            f" = {each['decoded']:g}{each['unit']}{lost}"
        )
    lost = report["largest_error_in_steps"]
    yield f"read back: {report['exact']} of {len(registers)} as set, {lost:.2g} steps off at most"
    if report["left_out"]:
        yield f"in no register: {', '.join(report['left_out'])}"
    if report["near"]:
        yield f"the picture by the codes: {report['near']}"


def _xmp_lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"modules: {', '.join(report['modules'])}"
    worst = f" ({report['worst']})" if report["worst"] else ""
    yield f"read back: {report['settings']} settings, {report['largest_difference']:.2g} off at most{worst}"


def _cube_lines(report: dict[str, Any]) -> Iterator[str]:
    low, high = report["domain"]
    yield f"in the table: {', '.join(report['inside'])}"
    yield f"before it: {', '.join(report['before']) or 'nothing'}"
    if report["stopped"]:
        yield f"it begins there: {report['stopped']}"
    written = "as they are" if report["encoding"] == "linear" else "encoded by the sRGB curve"
    yield f"takes: {report['takes']} from {low:g} to {high:g}, {written}; gives {report['gives']}"
    yield f"on random colours: {report['near_random']}"
    if report["near_picture"]:
        yield f"on the raw's pixels: {report['near_picture']}; {report['outside']:.2%} lie outside of the domain"
    measured = report["picture"] or report["random"]
    if report["encoding"] == "linear" and (measured["psnr"] or POOR) < POOR:
        yield "dark colours lie in few points of the table: --encoding srgb puts more there"


def _json_lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"{report['settings']} settings, {report['nodes']} nodes"
    yield f"developed from the file: {report['near']}" if report["near"] else "read back: the same settings"


TELLERS: dict[Form, Callable[[dict[str, Any]], Iterator[str]]] = {
    Form.PT2: _module_lines,
    Form.ONNX: _module_lines,
    Form.REGISTERS: _register_lines,
    Form.XMP: _xmp_lines,
    Form.CUBE: _cube_lines,
    Form.JSON: _json_lines,
}
