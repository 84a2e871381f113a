"""`ispdsl predict`: a network that gives every raw its own settings, trained and used."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.console import Colour
from ispdsl.cli.options import (
    ColourOption,
    Describe,
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    Presets,
    PresetsOfStart,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.train import Device
from ispdsl.cli.tune_given import Metric


class Attends(StrEnum):
    """What decides how much a place counts."""

    MULTI = "multi"
    SINGLE = "single"
    SELF = "self"
    NONE = "none"


class Picture(StrEnum):
    """What pictures are written as."""

    JPG = "jpg"
    PNG = "png"
    TIF = "tif"


Raws = Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files.")]

References = Annotated[
    Path | None,
    typer.Option("--references", metavar="FOLDER", help="A folder of pictures of the raws' names, or one picture."),
]


@guarded
def train(
    file: PipelineFile,
    raws: Raws,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The predictor: a .safetensors file.")],
    references: References = None,
    metric: Annotated[Metric, typer.Option("--metric", help="With --references: what is made small.")] = Metric.PSNR,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="MODULE:FUNCTION", help="Instead of --references: a loss that torch differentiates."
        ),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="RAW", help="Judge by this raw, and learn nothing of it. May be repeated."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ADDRESS",
            help="What is predicted, patterns and choices too; default: every free number. May be repeated.",
        ),
    ] = None,
    choices: Annotated[bool, typer.Option("--choices", help="Choices and switches are predicted as well.")] = False,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    attention: Annotated[Attends, typer.Option("--attention", help="How places of a raw are weighed.")] = Attends.MULTI,
    width: Annotated[
        int, typer.Option("--width", min=1, max=128, metavar="N", help="Channels of the first level.")
    ] = 8,
    levels: Annotated[
        int,
        typer.Option("--levels", min=2, max=7, metavar="N", help="Times that the picture is halved; small ones: 3."),
    ] = 5,
    reduced: Annotated[
        int, typer.Option("--reduced", min=1, max=64, metavar="N", help="Look at means of N x N px, for large raws.")
    ] = 1,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of the training.")] = 600,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="Of learning, until half of it is done.")] = 5e-4,
    together: Annotated[int, typer.Option("--together", min=1, metavar="N", help="Raws of a step.")] = 8,
    side: Annotated[
        int | None,
        typer.Option(
            "--side", min=2, metavar="PX", help="Train on squares of this side; default: 256, with --task all."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of weights and draws.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier training stopped.")] = False,
    device: Annotated[Device, typer.Option("--device", help="Where it is trained.")] = Device.CPU,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Train a network that gives every raw its own settings, through the pipeline into a loss on its pictures."""
    from ispdsl.cli.predict_train import Wanted, perform

    if (references is None) == (task is None):
        raise CommandError("what is it trained for?", "give either --references FOLDER or --task MODULE:FUNCTION")
    if not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.001")
    if side is not None and side % 2:
        raise CommandError(f"--side {side} would part the sites of a mosaic", f"give an even number, as {side + 1}")
    wanted = Wanted(
        file=file,
        pipeline=pipeline,
        raws=tuple(raws),
        held_out=tuple(held_out or ()),
        output=output,
        references=references,
        metric=metric,
        task=task,
        only=None if only is None else tuple(only),
        choices=choices,
        presets=tuple(presets or ()),
        values=tuple(pairs(settings, "--set", "ADDRESS=VALUE")),
        network={"width": width, "levels": levels, "attention": attention.value, "reduced": reduced},
        steps=steps,
        rate=rate,
        together=together,
        side=side if side is not None or task is not None else 256,
        seed=seed,
        resume=resume,
        device=device,
        describe=describe,
        impl=tuple(impl or ()),
        doubles=doubles,
        trust=tuple(trust or ()),
        plain=colour is Colour.NEVER,
    )
    perform(wanted, as_json)


@guarded
def run(
    file: PipelineFile,
    raws: Raws,
    predictor: Annotated[
        Path, typer.Option("--predictor", metavar="FILE", help="What `ispdsl predict train` wrote for this pipeline.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Develop the raws, and write them here.")
    ] = None,
    form: Annotated[Picture, typer.Option("--format", help="What pictures are written as.")] = Picture.JPG,
    sidecars: Annotated[
        Path | None,
        typer.Option("--sidecars", metavar="FOLDER", help="Write the settings of each raw here, as RAW.isp.json."),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(
            "--attention",
            metavar="FILE",
            help="A picture of what each setting was read from; of the second raw FILE has .2 before its suffix.",
        ),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Go on by least squares, to the raws' pictures in --references.")
    ] = False,
    references: References = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Give all raws the mean of what is predicted for them, to compare.")
    ] = False,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: Presets = None,
    describe: Describe = None,
    trust: Trust = None,
    as_json: Json = False,
    colour: ColourOption = Colour.AUTO,
) -> None:
    """Give raws the settings that a trained network predicts for each, and develop them."""
    from ispdsl.cli.predict_run import Asked, perform

    if refine != (references is not None):
        raise CommandError("--refine and --references go together", "give both, or none")
    if refine and mean:
        raise CommandError("--refine and --mean exclude each other", "leave one of them out")
    asked = Asked(
        file=file,
        pipeline=pipeline,
        raws=tuple(raws),
        predictor=predictor,
        output=output,
        suffix=f".{form.value}",
        sidecars=sidecars,
        attention=attention,
        references=references,
        mean=mean,
        presets=tuple(presets or ()),
        values=tuple(pairs(settings, "--set", "ADDRESS=VALUE")),
        describe=describe,
        trust=tuple(trust or ()),
        plain=colour is Colour.NEVER,
    )
    perform(asked, as_json)
