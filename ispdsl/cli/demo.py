"""`ispdsl demo`: a photograph from a raw, with all its taps, on a machine that has neither raws nor a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import guarded, writing
from ispdsl.cli.collisions import inputs_of_raw
from ispdsl.cli.console import Colour, note
from ispdsl.cli.developing import Work, check_places, perform
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.options import ColourOption, Json
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.render.characters import clean

PIPELINE = "photo_finish"


@guarded
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to put everything.")] = Path(
        "out/demo"
    ),
    raw: Annotated[
        Path | None,
        typer.Option("--raw", metavar="FILE", help="A raw to develop; default: a synthetic camera's."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the synthetic camera.")] = 0,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Develop a raw with every tap, a contact sheet and a sidecar."""
    from ispdsl.runtime import sidecar
    from ispdsl.synthetic.samples import write_demo_raw

    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    if raw is None:
        raw = output / "demo.dng"
        note(f"a synthetic camera takes a photograph: {clean(str(raw))}")
        write_demo_raw(raw, seed=seed)
    graph = build_graph(PIPELINE, None, inline=False)
    picture = output / f"{raw.stem}.png"
    work = Work(
        picture,
        taps=output / "taps",
        sheet=output / "contact_sheet.png",
        sidecar=sidecar.path_of(picture),
        plain=colour is Colour.NEVER,
    )
    check_places(graph, find_pipeline(PIPELINE), inputs_of_raw(raw, None, None, ()), work)
    perform(graph, read_quietly(raw), choose(graph, None, [], []), work, seed, as_json)
