"""What `ispdsl regress` says, writes and draws of its answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import writing
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.cli.means import Means
    from ispdsl.cli.regress_given import Given
    from ispdsl.comparison.pair import Pair
    from ispdsl.graph import Graph
    from ispdsl.ir.model import Port
    from ispdsl.optimise.certainty import Confusion, Estimate
    from ispdsl.optimise.registration import Placement
    from ispdsl.optimise.regression import Regression, Rendered
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

    Floats = NDArray[np.float32]
    Both = tuple[Pair, Pair]

PARTS, LINES = 4, 5
"""Of what the pictures cannot tell, as much as people read; --json has all of it."""

DRAWN = 4
"""Pictures on a sheet, at most: each takes two rows."""

TURNS = {
    1: "",
    2: "mirrored, ",
    3: "turned by 180 degrees, ",
    4: "mirrored upside down, ",
    5: "mirrored and turned by 270 degrees, ",
    6: "turned by 90 degrees, ",
    7: "mirrored and turned by 90 degrees, ",
    8: "turned by 270 degrees, ",
}
"""What an EXIF orientation has done, clockwise."""


def numbered(path: Path, count: int) -> list[Path]:
    """Names for so many files: the first is `path`, a further one ``name.2.suffix``."""
    return [path, *(path.with_suffix(f".{number}{path.suffix}") for number in range(2, count + 1))]


def compared(port: Port, frame: Frame, found: Rendered, wanted: Floats, border: int) -> Both:
    """Start and answer against the target."""
    from ispdsl.comparison.pair import compare

    sides = {"start": found.before, "found": found.picture}
    one, two = (
        compare(name, "output", port.type, (picture, wanted), frame.metadata, border) for name, picture in sides.items()
    )
    return one, two


def write(output: Path, port: Port, frame: Frame, settings: Settings, picture: Floats) -> None:
    """The picture, and beside it the settings that make it."""
    from ispdsl.darkroom import Development, sidecar_of
    from ispdsl.runtime.pictures import write_picture
    from ispdsl.runtime.sidecar import path_of, save

    write_picture(output, picture, space=str(port.type.args[0]), orientation=frame.orientation)
    with writing(path_of(output)):
        save(sidecar_of(Development(frame, settings, {}, {}, {})), path_of(output))


def draw(sheet: Path, shown: Sequence[Both], frames: Sequence[Frame]) -> None:
    """Start, target, found and their differences, of the first few pictures, upright."""
    from ispdsl.comparison.sheet import difference_sheet
    from ispdsl.runtime.pictures import orient

    rows: list[Pair] = []
    for number, (both, frame) in enumerate(list(zip(shown, frames, strict=True))[:DRAWN], 1):
        for pair in both:
            assert pair.images is not None, "it was searched for"
            one, two = (orient(image, frame.orientation) for image in pair.images)
            name = pair.name if len(shown) == 1 else f"{number}, {pair.name}"
            rows.append(replace(pair, name=name, images=(one, two)))
    difference_sheet(sheet, rows, ("rendered", "target"))


def placed(placement: Placement, frame: Frame) -> str:
    """Where on its raw a picture was found."""
    down, across = placement.scale
    height, width = placement.size
    rows, columns = frame.size
    what = f"{TURNS[placement.orientation]}{width} x {height} px at a scale of {2 / (down + across):.4g}"
    horizontal = f"{placement.left:.1f} to {placement.right:.1f} px across"
    vertical = f"{placement.top:.1f} to {placement.bottom:.1f} down"
    where = f"from {horizontal} and {vertical} (correlation {placement.correlation:.2f})"
    return f"found on the raw ({columns} x {rows}), {what}, {where}"


# ---- tables ------------------------------------------------------------------------------------------------


def told(
    found: Regression,
    shown: Sequence[Both],
    version: str,
    means: Means,
    searcher: str | None,
    graph: Graph,
    given: Sequence[Given],
    as_json: bool,
) -> str:
    """The answer: JSON for programs, or a table."""
    if not as_json:
        return table(found, shown, version or "the pipeline's own programs", [each.target for each in given])
    return as_values(found, shown, version or means.backend.value, searcher, graph, given)


def table(found: Regression, shown: Sequence[Both], real: str, targets: Sequence[Path]) -> str:
    """For people."""
    blind = {each.parts[0][0] for each in found.confusions}
    rows = [("", "start", "found", "+-", ""), *(_row(each, each.name in blind) for each in found.estimates)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for both, target in zip(shown, targets, strict=True):
        name = f"{clean(str(target))}, " if len(shown) > 1 else ""
        lines += [f"{name}{pair.name}: {_figures(pair)} as rendered by {clean(real)}" for pair in both]
    if len(shown) > 1:
        lines += [_means([both[side] for both in shown]) for side in (0, 1)]
    if found.believed is not None:
        lines.append(f"what showed the way took what was found to be at {found.believed:.2f} dB")
    cannot = "the picture cannot tell" if len(shown) == 1 else "the pictures cannot tell"
    lines += [f"{cannot}: {_words(each)}" for each in found.confusions[:LINES]]
    if len(found.confusions) > LINES:
        lines.append(f"and {len(found.confusions) - LINES} more; --json names them")
    return "\n".join((*lines, f"it ended as {found.why}"))


def _figures(pair: Pair) -> str:
    figures = pair.figures
    assert figures is not None, "it was searched for"
    colours = f", CIEDE2000 {figures.ciede2000.mean:.3f}" if figures.ciede2000 else ""
    return "equal" if figures.equal else f"PSNR {figures.psnr:.2f} dB{colours}"


def _means(pairs: Sequence[Pair]) -> str:
    """The mean over pictures; of equal ones the PSNR is taken for 200 dB."""
    figures = [pair.figures for pair in pairs if pair.figures is not None]
    psnr = sum(min(each.psnr, 200.0) for each in figures) / len(figures)
    colours = [each.ciede2000.mean for each in figures if each.ciede2000 is not None]
    mean = f", CIEDE2000 {sum(colours) / len(colours):.3f}" if colours else ""
    return f"mean of {len(pairs)} pictures, {pairs[0].name}: PSNR {psnr:.2f} dB{mean}"


def _row(each: Estimate, blind: bool) -> tuple[str, ...]:
    error = "-" if each.error is None else f"{each.error:.2g}"
    unit = each.unit if each.unit != "1" else ""
    remarks = ["at the end of its range"] * each.at_end + ["the picture can hardly tell"] * blind
    return each.name, f"{each.start:.6g}{unit}", f"{each.found:.6g}{unit}", error, ", ".join(remarks)


def _words(each: Confusion) -> str:
    """``a up with b down (0.1 codes)``."""
    moves = [f"{name} {'up' if part > 0 else 'down'}" for name, part in each.parts[:PARTS]]
    moves += [f"{len(each.parts) - PARTS} more"] if len(each.parts) > PARTS else []
    return f"{' with '.join(moves)} (a tenth of the ranges changes it by {255 * each.change:.2f} codes of 8 bits, RMS)"


def as_values(
    found: Regression,
    shown: Sequence[Both],
    real: str,
    searcher: str | None,
    graph: Graph,
    given: Sequence[Given],
) -> str:
    """For programs: JSON."""
    values: dict[str, Any] = {
        "pipeline": graph.name,
        "pipeline_sha256": graph.sha256,
        "real_thing": real,
        "settings": _settings(found.settings),
        "estimates": [
            {"name": each.name, "unit": each.unit, "start": each.start, "found": each.found, "error": each.error}
            | {"at_end": each.at_end}
            for each in found.estimates
        ],
        "confusions": [{"parts": dict(each.parts), "change": each.change} for each in found.confusions],
        "psnr": found.psnr,
        "psnr_before": found.psnr_before,
        "believed": found.believed,
        "pictures": [_picture(*each) for each in zip(found.views, shown, given, strict=True)],
        "calls": found.calls,
        "renders": found.renders,
        "searcher": searcher,
        "path": [None if math.isnan(each) else each for each in found.path],
        "why": found.why,
    }
    return json.dumps(values, indent=2)


def _picture(found: Rendered, shown: Both, given: Given) -> dict[str, Any]:
    from ispdsl.comparison.report import values

    frame, placement = given.frame, given.placement
    return {
        "frame": {"file": frame.source.path, "sha256": frame.source.sha256},
        "target": str(given.target),
        "settings": _settings(found.settings),
        "psnr": found.psnr,
        "psnr_before": found.psnr_before,
        "placement": None if placement is None else {**vars(placement), "scale": placement.scale},
        "results": [values(pair) for pair in shown],
    }


def _settings(settings: Settings) -> dict[str, Any]:
    from ispdsl.runtime.sidecar import Sidecar

    return dict(Sidecar.of(settings, {}, complete=True).settings)
