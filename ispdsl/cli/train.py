"""`ispdsl train`: from the samples of a run to doubles of its stages."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, guarded
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.options import Json
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.store.runs import Run
    from ispdsl.training.command import Training
    from ispdsl.training.options import Options


FEW = 100
"""Steps after which hardly any double is of use."""


class Loss(StrEnum):
    """What is made small."""

    L1 = "l1"
    L1_GRADIENT = "l1+gradient"
    L2 = "l2"
    PERCEPTUAL = "perceptual"


class Device(StrEnum):
    """Where networks are trained."""

    CPU = "cpu"
    CUDA = "cuda"


@guarded
def train(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, as `ispdsl sample` makes it.")],
    stages: Annotated[
        list[str] | None, typer.Option("--stage", metavar="NAME", help="Train this stage only. May be repeated.")
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="STAGE", help="This stage stays a program. May be repeated."),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="One double of the whole pipeline.")] = False,
    variant: Annotated[str, typer.Option("--variant", metavar="NAME", help="Name of the set of doubles.")] = "default",
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="[STAGE=]KIND",
            help="pointwise, bank, coring, areawise, unet, camera, srcnn, residual; as areawise(width=16). Repeatable.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", min=0.01, help="For all together; default: 5.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="Of each; instead of time.")] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", min=1, help="Pixels or patches of a step.")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", metavar="R", help="The highest learning rate.")] = None,
    loss: Annotated[Loss | None, typer.Option("--loss", help="What is made small; default: what suits.")] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of weights and draws.")] = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes of a thread; default: one a core.")
    ] = None,
    ensemble: Annotated[int, typer.Option("--ensemble", metavar="K", min=1, help="Doubles of each stage.")] = 1,
    hold_out: Annotated[
        list[str] | None, typer.Option("--hold-out", metavar="RAW", help="Judge by this raw. May be repeated.")
    ] = None,
    fine_tune: Annotated[
        float, typer.Option("--fine-tune", metavar="MINUTES", min=0.0, help="Of all, for training them in a row.")
    ] = 0.0,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", metavar="FILE", help="The text that was sampled, where it has moved.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier training stopped.")] = False,
    device: Annotated[Device, typer.Option("--device", help="Where networks are trained.")] = Device.CPU,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")] = False,
    trust: Annotated[
        list[str] | None, typer.Option("--trust", metavar="PACKAGE", help="Run programs of this package as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train doubles of the stages of a run, and write them into it with their cards."""
    begun = time.monotonic()
    if minutes is not None and steps is not None:
        raise CommandError("--minutes and --steps exclude each other", "leave one of them out")
    if fine_tune and minutes is not None and fine_tune >= minutes:
        raise CommandError(f"--fine-tune {fine_tune:g} leaves nothing of --minutes {minutes:g}", "give it a part")
    if rate is not None and not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.01")
    check_trust(trust or [])
    check_device(device)

    from ispdsl.store.runs import open_run
    from ispdsl.training.options import Options
    from ispdsl.training.stages import read_network

    run = open_run(folder)
    options = Options(
        file=_pipeline(run, pipeline),
        variant=variant,
        whole=whole,
        stages=tuple(stages or ()),
        skip=tuple(skip or ()),
        networks=dict(read_network(text) for text in networks or ()),
        minutes=minutes,
        steps=steps,
        batch=batch,
        rate=rate,
        loss=None if loss is None else loss.value,
        seed=seed,
        jobs=jobs or len(os.sched_getaffinity(0)),
        ensemble=ensemble,
        hold_out=tuple(hold_out or ()),
        fine_tune=fine_tune,
        resume=resume,
        device=device.value,
        bf16=bf16,
        trust=tuple(trust or ()),
    )
    _train(run, options, begun, as_json)


def check_device(device: Device) -> None:
    """Refuse a device that is not there.

    Raises:
        CommandError: it is not.
    """
    if device is Device.CUDA:
        import torch

        if not torch.cuda.is_available():
            raise CommandError("there is no CUDA device", "train on --device cpu", ExitCode.EXECUTOR)


def _pipeline(run: Run, given: str | None) -> Path:
    """The text that was sampled.

    Raises:
        CommandError: it is not where it was.
    """
    if given is not None:
        return find_pipeline(given)
    file = Path(run.head.pipeline.file)
    if file.is_file():
        return file
    try:
        return find_pipeline(file.stem)  # of another installation: its hash says whether it is the same
    except CommandError as error:
        hint = "name its text with --pipeline FILE"
        raise CommandError(f"the pipeline of {run.path} was {file}, which is not there", hint, error.code) from error


def _train(run: Run, options: Options, begun: float, as_json: bool) -> None:
    from ispdsl.training.command import jobs_of, train_run
    from ispdsl.training.distributed import joined
    from ispdsl.training.stages import ground_of
    from ispdsl.training.terminal import shown

    with joined(options.device) as group:
        jobs = jobs_of(ground_of(run, options.file, options.whole, options.trust), options)
        if group.writes and not options.resume:
            _say_replaced(run, options, [job.name for job in jobs])
        with shown([(job.name, job.network.kind) for job in jobs] if group.writes else []) as heard:
            training = train_run(run, options, heard, begun=begun, group=group)
        if group.writes:
            _say(run, training, as_json)
    if any(outcome.error for outcome in training.outcomes):
        raise typer.Exit(ExitCode.EXECUTOR)


def _say_replaced(run: Run, options: Options, names: Sequence[str]) -> None:
    """Doubles that are there already are trained anew; whoever wants to keep them stops now."""
    folder = run.path / "doubles" / options.variant
    there = [name for name in names if (folder / f"{name}.safetensors").is_file()]
    if there:
        note(f"{clean(', '.join(there))} of variant {options.variant}: to be replaced; --variant NAME keeps both")


def _say(run: Run, training: Training, as_json: bool) -> None:
    """What became of every double."""
    if as_json:
        emit(json.dumps(_told(run, training), indent=2))
        return
    width = max(len(outcome.name) for outcome in training.outcomes)
    for outcome in training.outcomes:
        if outcome.error is not None:
            note(f"error: {clean(outcome.name)}: {clean(outcome.error)}")
            if outcome.hint:
                note(f"  hint: {clean(outcome.hint)}")
            continue
        good = "nothing held out" if outcome.psnr is None else f"{outcome.psnr:6.2f} dB held out"
        about = f"{outcome.kind:<10}{outcome.steps:>7} steps{outcome.seconds:>8.1f} s"
        emit(f"{clean(outcome.name):<{width}}  {about}  {good}  {clean(str(outcome.path))}")
    hasty = [outcome.name for outcome in training.outcomes if outcome.error is None and outcome.steps < FEW]
    if hasty:
        note(f"fewer than {FEW} steps: {clean(', '.join(hasty))}; give them more --minutes")
    if training.tuned is not None:
        tuned = training.tuned
        note(f"in a row: {tuned.before:.2f} dB, fine-tuned {tuned.after:.2f} dB, {tuned.steps} steps")
    note(f"{sum(outcome.error is None for outcome in training.outcomes)} doubles in {training.seconds:.1f} s")


def _told(run: Run, training: Training) -> dict[str, Any]:
    tuned = training.tuned
    return {
        "run": str(run.path),
        "seconds": round(training.seconds, 2),
        "doubles": [
            {
                "name": outcome.name,
                "network": outcome.kind,
                "file": None if outcome.path is None else str(outcome.path),
                "steps": outcome.steps,
                "seconds": outcome.seconds,
                "psnr": outcome.psnr,
                "error": outcome.error,
            }
            for outcome in training.outcomes
        ],
        "chain": None if tuned is None else {"before": tuned.before, "after": tuned.after, "steps": tuned.steps},
    }
