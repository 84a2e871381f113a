"""`ispdsl frontend train`: a network in the place of a pipeline's demosaic, trained through what follows it."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_output, check_trust
from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.collisions import Use, inputs_of, refuse_collisions, tables_of
from ispdsl.cli.console import Colour, emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.frontend_sheet import write_sheet
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import ColourOption, Describe, Json, PipelineFile, PipelineName, Trust
from ispdsl.cli.progress import progress, say_replaced, say_where_it_begins
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.references import PICTURES
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.train import Device, check_device
from ispdsl.cli.tuned import aligned
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.learned.fit import Fitted, Recipe, Told
    from ispdsl.learned.frontend import Finishing
    from ispdsl.learned.short_and_long import Scene
    from ispdsl.proxies.double import Double

MOST_HELD_OUT = 6
"""Scenes that judge while training."""


@dataclass(frozen=True, eq=False)
class Split:
    """Scenes to train on, and scenes that judge."""

    train: Sequence[Scene]
    held_out: Sequence[Scene]


@guarded
def train(
    file: PipelineFile,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Photographs and folders of them; or folders of raws, a burst each."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The front end: .safetensors.")],
    finishing: Annotated[
        list[Path] | None,
        typer.Option("--finishing", metavar="PRESET", help="Settings that it is trained through. May be repeated."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PICTURE", help="Held-out scenes, without and with the front end.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="ADDRESS", help="The demosaic; default: the only one.")
    ] = None,
    width: Annotated[int, typer.Option("--width", min=4, metavar="N", help="Channels of the U-Net.")] = 24,
    depth: Annotated[int, typer.Option("--depth", min=1, max=8, metavar="N", help="Its sizes.")] = 3,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of training.")] = 3000,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="The highest learning rate.")] = 2e-3,
    together: Annotated[int, typer.Option("--together", min=1, metavar="N", help="Patches of a step.")] = 8,
    side: Annotated[int, typer.Option("--side", min=16, metavar="PX", help="Of a patch; even.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of weights, cameras, noise and draws.")] = 0,
    pipeline: PipelineName = None,
    describe: Describe = None,
    device: Annotated[Device, typer.Option("--device", help="Where it is trained.")] = Device.CPU,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier training stopped.")] = False,
    trust: Trust = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Train a network that demosaics and denoises at once, through the finishing that follows.

    It begins as the pipeline's own demosaic. The file is a double: `ispdsl run --doubles FILE` renders with it.
    """
    if output.suffix != ".safetensors" or not output.parent.is_dir():
        raise CommandError(f"{output} cannot be a front end", "name a .safetensors file in a folder that is there")
    if not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.002")
    if sheet is not None:
        check_output(sheet, None)
    check_device(device)
    check_trust(trust or [])
    graph = build_graph(file, pipeline, inline=False)
    settings = choose(graph, None, finishing or [], [])
    files = _files(sources)
    uses = [Use("a picture", each) for each in (*files, *(finishing or []))]
    kept = output.with_suffix(".training")
    refuse_collisions([*uses, *inputs_of(graph, find_pipeline(file)), *tables_of(settings)],
                      [Use("the front end", output), Use("the checkpoint", kept),
                       *([Use("the sheet", sheet)] if sheet else [])])  # fmt: skip
    say_where_it_begins(kept, resume)
    say_replaced(output)
    keep_pages()
    begun = time.perf_counter()
    from ispdsl.learned.fit import Recipe
    from ispdsl.learned.frontend import WARM, untrained
    from ispdsl.learned.frontend import finishing as through
    from ispdsl.learned.frontend import train as fitted
    from ispdsl.proxies.double import save
    from ispdsl.runtime.sidecar import Sidecar

    scenes = _scenes(sources, describe, seed)
    split = _split(scenes, seed)
    if sheet is not None and not split.held_out:
        raise CommandError("--sheet shows scenes that are held out, and there are none", "give more than one scene")
    double = untrained(graph, settings, stage, width, depth, seed).to(device.value)
    held = dict(Sidecar.of(settings).settings)
    about = hashlib.sha256(json.dumps([graph.sha256, held, _known(files), width, depth], sort_keys=True).encode())
    recipe = Recipe(
        steps, rate, warm=min(WARM, steps // 10), clip=1.0, seed=seed, about=f"{about.hexdigest()} {together} {side}"
    )
    with redirect_stdout(sys.stderr), progress(colour is Colour.NEVER) as bar:
        passes = through(graph, settings, double, scenes[0], tuple(trust or ()), device.value)

        def told(now: Told) -> None:
            bar(now.step, now.steps, f"{now.score:.2f} dB" if now.score is not None else "training")

        found = fitted(
            double, passes, split.train, split.held_out, recipe, together=together, side=side, told=told, kept=kept,
            resume=resume,
        )  # fmt: skip
        scores = _scores(passes, split)
    _describe(double, files, split, found, recipe, scores, {"finishing": held, "device": device.value})
    save(double, output)
    kept.unlink(missing_ok=True)
    if sheet is not None:
        write_sheet(sheet, passes, split.held_out)
    said = {"file": str(output), "stage": double.card.task.name, "steps": steps, "train": len(split.train),
            "held_out": len(split.held_out), "scores": scores, "seconds": round(found.seconds, 1)}  # fmt: skip
    emit(json.dumps(said, indent=2) if as_json else _table(output, double, split, scores))
    note(f"{steps} steps in {time.perf_counter() - begun:.1f} s")


def _files(sources: Sequence[Path]) -> list[Path]:
    """All files that the sources are, or have in them; what tells of images is left out.

    Raises:
        CommandError: one is not there, or a folder is empty, or has photographs beside raws.
    """
    from ispdsl.runtime.notes import is_note

    found: list[Path] = []
    for source in sources:
        inside = sorted(each for each in source.iterdir() if each.is_file()) if source.is_dir() else [source]
        own = [each for each in inside if not is_note(each)]
        if not own or not source.exists():
            raise CommandError(f"{source} holds no images" if source.is_dir() else f"{source} is not there")
        raws = [each for each in own if each.suffix.lower() not in PICTURES]
        if 0 < len(raws) < len(own):
            photographs = len(own) - len(raws)
            what = f"{source} holds {photographs} photographs, and {len(raws)} other files such as {raws[0].name}"
            hint = "photographs and bursts are not trained on together: give them folders of their own"
            raise CommandError(what, hint)
        found += own
    return found


def _known(files: Sequence[Path]) -> list[dict[str, str]]:
    return [{"name": each.name, "sha256": hashlib.sha256(each.read_bytes()).hexdigest()} for each in files]


def _scenes(sources: Sequence[Path], describe: Path | None, seed: int) -> list[Scene]:
    """Photographs, or bursts.

    Raises:
        CommandError: both are given, or bursts of several CFAs, or a single file is no picture.
        RunError: the frames of a burst do not belong together.
    """
    from ispdsl.learned.short_and_long import burst, photographed
    from ispdsl.runtime.pictures import read_picture

    pictures: list[Path] = []
    found: list[Scene] = []
    for source in sources:
        own = _files([source])
        if own[0].suffix.lower() in PICTURES:
            pictures += own
        elif source.is_dir():
            found.append(burst([read_quietly(each, describe) for each in own], source.name))
        else:
            raise CommandError(f"{source} is no picture", "give photographs, or a folder of raws for each burst")
    if pictures and found:
        raise CommandError("photographs and bursts are not trained on together", "leave one of them out")
    if len({scene.cfa for scene in found}) > 1:
        raise CommandError("the bursts are of several CFAs", "train on those of one camera")
    for place, path in enumerate(pictures):
        photo, space = read_picture(path)
        if space != "srgb" or len(photo) != 3:
            raise CommandError(f"{path} is no photograph in sRGB: {space}, {len(photo)} planes", "convert it to sRGB")
        found.append(photographed(photo.clip(0, 1), path.name, seed * 1_000_003 + place))
    return found


def _split(scenes: Sequence[Scene], seed: int) -> Split:
    """One scene of ten, at most `MOST_HELD_OUT`, judges; none where there is one alone."""
    import numpy as np

    order = [scenes[place] for place in np.random.default_rng(seed).permutation(len(scenes))]
    count = min(MOST_HELD_OUT, max(1, len(order) // 10)) if len(order) > 1 else 0
    return Split(order[count:], order[:count])


def _scores(through: Finishing, split: Split) -> dict[str, dict[str, float]]:
    """Mean PSNR after finishing of the held-out scenes by their noise, with the demosaic and with the front end."""
    from ispdsl.learned.frontend import CEILING, JUDGED, JUDGED_SIDE, cut, score

    found: dict[str, dict[str, float]] = {}
    scenes = [cut(scene, JUDGED_SIDE) for scene in split.held_out]
    for profile in JUDGED if scenes else ():
        name = "long" if profile is None else f"shot noise {profile[0]:g}"
        ways = {"demosaic": through.plain, "front end": through.learned}
        found[name] = {
            way: round(sum(min(score(made, through, each, profile), CEILING) for each in scenes) / len(scenes), 3)
            for way, made in ways.items()
        }
    return found


def _describe(
    double: Double, files: Sequence[Path], split: Split, found: Fitted, recipe: Recipe,
    scores: dict[str, dict[str, float]], more: dict[str, Any],
) -> None:  # fmt: skip
    """Write on the card what it was trained on, how, and how good it is."""
    from importlib.metadata import version

    means = [each["front end"] for each in scores.values()]
    training = {
        "loss": "l1 after finishing", "steps": recipe.steps, "rate": recipe.rate, "seed": recipe.seed,
        "seconds": round(found.seconds, 1), "torch": version("torch"), **more,
    }  # fmt: skip
    data = {
        "scenes": len(split.train), "held_out": [each.name for each in split.held_out], "raws": _known(files)
    }  # fmt: skip
    error = {"psnr": sum(means) / len(means)} if means else {}
    double.card = double.card.model_copy(update={"data": data, "training": training, "error": error})


def _table(output: Path, double: Double, split: Split, scores: dict[str, dict[str, float]]) -> str:
    rows = [("after finishing", "demosaic", "front end")]
    rows += [(name, *(f"{value:.2f} dB" for value in each.values())) for name, each in scores.items()]
    lines = aligned(rows) if scores else ["nothing held out: give more than one scene to see how good it is"]
    scenes = f"{len(split.train)} scenes, judged by {len(split.held_out)} others"
    return "\n".join([*lines, f"{clean(str(output))}: in the place of {clean(double.card.task.name)}, of {scenes}"])
