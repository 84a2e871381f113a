"""What was measured as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

from ispdsl.bench.measure import Field, Measured, Outcome
from ispdsl.bench.stages import StageTime
from ispdsl.bench.turns import Spread

PACKAGES = ("torch", "numpy", "rawpy", "kornia", "opencv-python-headless", "colour-demosaicing", "halide")
"""Whose versions times hang on."""


def heading(found: Measured, processor: str) -> str:
    """What was measured, and on what; two lines."""
    height, width = found.forward.size
    threads = found.job.threads
    megapixels = f"{height * width / 1e6:.2f}".rstrip("0").rstrip(".")
    return (
        f"{found.pipeline} on {found.raw}: {height} x {width} px, {megapixels} MP\n"
        f"{processor}, {threads} {'thread' if threads == 1 else 'threads'}"
    )


def table(found: Measured, processor: str) -> str:
    """Everything, for people."""
    cold = any(each.cold is not None for each in found.forward.outcomes)
    head = f"{heading(found, processor)}\n"
    parts = [head, _field("from raw to picture", found.forward, cold)]
    if found.gradient is not None:
        rows, columns = found.gradient.size
        title = f"gradient of a mean square to all free numbers, on {rows} x {columns} px"
        parts.append(_field(title, found.gradient, cold=False))
    if found.stages:
        parts.append(_stages(found.stages))
    width = max(len(each.name) for each in found.forward.outcomes)
    parts.append("\n".join(f"{each.name.ljust(width)}  {each.does}" for each in found.forward.measured) + "\n")
    absent = {each.name: each for part in (found.forward, found.gradient) if part for each in part.outcomes}
    lines = [f"missing {each.name}: {each.missing}" for each in absent.values() if each.missing]
    failed = dict.fromkeys(
        f"failed {each.name}: {each.failed}"
        for part in (found.forward, found.gradient)
        if part
        for each in part.outcomes
        if each.failed
    )
    parts.append("\n".join([*lines, *failed]) + "\n" if lines or failed else "")
    return "\n".join(filter(None, parts))


def _field(title: str, field: Field, cold: bool) -> str:
    reference = field.reference
    if reference is None:
        return f"{title}: nobody took part\n"
    columns = ["", "ms", "quartiles", "MP/s", f"x {reference.name}", "spread"]
    rows = [[*columns, *(("cold start s", "peak MiB", "for it MiB") if cold else ())]]
    for each in field.measured:
        times, relative = each.spread, field.ratio(each)
        row = [
            each.name,
            f"{1e3 * times.median:.1f}",
            f"{1e3 * times.low:.1f}..{1e3 * times.high:.1f}",
            f"{field.rate(each):.1f}",
            f"{relative.median:.2f}",
            f"{relative.low:.2f}..{relative.high:.2f}",
        ]
        rows.append([*row, *(_cold(each) if cold else ())])
    rounds = len(reference.seconds)
    return f"{title}, medians of {rounds} {'round' if rounds == 1 else 'rounds'} by turns\n{_aligned(rows)}\n"


def _cold(outcome: Outcome) -> tuple[str, str, str]:
    """Seconds from nothing to a picture; memory of the process at most, and what came on top while it developed."""
    if outcome.cold is None:
        return "", "", ""
    answer = outcome.cold.answer
    return (
        f"{outcome.cold.seconds:.1f}",
        f"{answer.peak / 2**20:.0f}",
        f"{(answer.peak - answer.before) / 2**20:.0f}",
    )


def _stages(stages: Sequence[StageTime]) -> str:
    rows = [["", "stage", "ms/MP", "MP/s", "with gradient ms/MP", "MP/s"]]
    for each in stages:
        cells = [f(each.pixels / 1e6, part.median) for part in (each.forward, each.gradient) for f in (_per, _rate)]
        rows.append([each.node, each.stage, *cells])
    megapixels = stages[0].pixels / 1e6
    return f"stages in plain torch, on {megapixels:.2f} MP\n{_aligned(rows, left=2)}\n"


def _per(megapixels: float, seconds: float) -> str:
    return f"{1e3 * seconds / megapixels:.2f}"


def _rate(megapixels: float, seconds: float) -> str:
    return f"{megapixels / max(seconds, 1e-9):.1f}"


def _aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns, the first ones to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def content(found: Measured, processor: str) -> dict[str, Any]:
    """Everything, for programs: seconds of every round, bytes, megapixels a second."""
    return {
        "pipeline": found.pipeline,
        "raw": found.raw,
        "machine": {"processor": processor, "threads": found.job.threads, "others_busy": found.busy},
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "forward": _content(found.forward),
        "gradient": None if found.gradient is None else _content(found.gradient),
        "stages": [
            {
                "node": each.node,
                "stage": each.stage,
                "pixels": each.pixels,
                "forward": asdict(each.forward),
                "gradient": asdict(each.gradient),
            }
            for each in found.stages
        ],
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _content(field: Field) -> dict[str, Any]:
    reference = field.reference
    return {
        "size": list(field.size),
        "reference": None if reference is None else reference.name,
        "contenders": [_outcome(field, each) for each in field.outcomes],
    }


def _outcome(field: Field, outcome: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {"name": outcome.name, "does": outcome.does}
    if outcome.missing or outcome.failed:
        said |= {"missing": outcome.missing, "failed": outcome.failed}
    if not outcome.seconds:
        return said
    relative: Spread = field.ratio(outcome)
    cold = None if outcome.cold is None else outcome.cold.model_dump()
    return {
        **said,
        "seconds": list(outcome.seconds),
        "median": outcome.spread.median,
        "megapixels_a_second": field.rate(outcome),
        "times_reference": asdict(relative),
        "cold": cold,
    }
