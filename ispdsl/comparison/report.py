"""A comparison as a table for people and as values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ispdsl.comparison.pair import Figures, Pair

HEADER = ("", "type", "PSNR", "SSIM", "CIEDE2000 mean, 95 %, max", "largest difference")
PLANES = {
    "rgb": ("red", "green", "blue"),
    "chroma": ("blue difference", "red difference"),
    "raw": ("red", "green", "blue"),
}


def table(pairs: Sequence[Pair], names: tuple[str, str]) -> str:
    """A line for every tap and output, and below it what the user should know of it.

    Args:
        pairs: what was compared.
        names: of the backends.
    """
    rows = [HEADER, *(_row(pair) for pair in pairs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines: list[str] = []
    for row, pair in zip(rows, (None, *pairs), strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if pair is not None:
            lines += [f"  {text}" for text in (pair.note, pair.refused and f"not compared: {pair.refused}") if text]
    seen = dict.fromkeys(f"{pair.figures.peak:g}" for pair in pairs if pair.figures)
    peaks = ", ".join(f"{peak} for {_of_peak(pairs, peak)}" if len(seen) > 1 else peak for peak in seen)
    first, second = names
    return "\n".join((*lines, f"first: {first}, second: {second}; peak: {peaks or 'none'}"))


def _of_peak(pairs: Sequence[Pair], peak: str) -> str:
    return ", ".join(pair.name for pair in pairs if pair.figures and f"{pair.figures.peak:g}" == peak)


def _row(pair: Pair) -> tuple[str, ...]:
    name = pair.name if pair.kind == "tap" else f"{pair.name} (output)"
    found = pair.figures
    if found is None:
        return (name, str(pair.type), *("-" for _ in HEADER[2:]))
    colours, place = found.ciede2000, found.largest
    return (
        name,
        str(pair.type),
        "equal" if found.equal else f"{found.psnr:.2f} dB",
        "-" if found.ssim is None else f"{found.ssim:.5f}",
        f"{colours.mean:.3f}, {colours.percentile_95:.3f}, {colours.largest:.3f}" if colours else "-",
        "0" if found.equal else f"{place.difference:.4g} at {_place(pair, found)}",
    )


def _place(pair: Pair, found: Figures) -> str:
    place = found.largest
    assert pair.images is not None
    named = PLANES.get(pair.type.name, ()) if len(pair.images[0]) > 1 else ()
    where = f"row {place.row}, column {place.column}" + (f", {named[place.plane]}" if named else "")
    return f"{where}: {place.first:.6g}, {place.second:.6g}"


def values(pair: Pair) -> dict[str, Any]:
    """What was found, for `json.dumps`; what has no number is null, so the PSNR of equal images."""
    shown: dict[str, Any] = {"name": pair.name, "kind": pair.kind, "type": str(pair.type), "note": pair.note or None}
    shown["refused"] = pair.refused or None
    found = pair.figures
    if found is None or pair.images is None:
        return shown
    place = found.largest
    return {
        **shown,
        "size": list(pair.images[0].shape[1:]),
        "equal": found.equal,
        "peak": found.peak,
        "psnr": None if found.equal else found.psnr,
        "ssim": found.ssim,
        "ciede2000": asdict(found.ciede2000) if found.ciede2000 else None,
        "largest": asdict(place),
    }
