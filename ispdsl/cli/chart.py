"""`ispdsl chart`: a raw of colour patches as a camera would have taken it, to sample the real thing with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import CommandError, guarded, writing
from ispdsl.cli.collisions import Use, refuse_collisions
from ispdsl.cli.console import emit
from ispdsl.cli.options import Json
from ispdsl.cli.raws import read_quietly
from ispdsl.render.characters import clean


@guarded
def chart(
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="A raw of the camera: its levels and colours are used.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DNG", help="Where the chart goes.")],
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the colours.")] = 0,
    size: Annotated[int, typer.Option("--size", min=16, metavar="PX", help="Height and width.")] = 1024,
    describe: Annotated[
        Path | None, typer.Option("--describe", metavar="JSON", help="The description of a mosaic without a header.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a raw of flat patches: colours that photographs seldom hold, with the metadata of a camera's raw.

    Doubles that have seen one or two charts beside photographs are right about colours that they would otherwise have
    to guess.
    """
    from ispdsl.executors.formats_raw import encode_dng
    from ispdsl.sampling.chart_raw import chart_raw

    if output.suffix.lower() != ".dng":
        raise CommandError(f"{output} is no DNG", "name it CHART.dng")
    refuse_collisions([Use("the raw", raw)], [Use("the chart", output)])
    frame = chart_raw(read_quietly(raw, describe), seed, size)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        for name, content in encode_dng(output.name, frame.image, frame.type, frame).items():
            (output.parent / name).write_bytes(content)
    told = {"chart": str(output), "cfa": frame.cfa, "size": list(frame.size), "seed": seed}
    emit(json.dumps(told) if as_json else clean(str(output)))
