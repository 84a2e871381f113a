"""`ispdsl distil`: a classifier of raws, taught by one that looks at what a pipeline makes of them."""

from __future__ import annotations

import json
import math
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.classified import (
    Batch,
    Checkpoints,
    DeviceOption,
    HeldOut,
    NetworkName,
    Resume,
    Side,
    check_checkpoints,
    check_device,
    check_written,
    compiled,
    images_of,
    percent,
    said,
    scored,
)
from ispdsl.cli.console import emit, note
from ispdsl.cli.options import (
    Crop,
    Describe,
    Json,
    PipelineFile,
    PipelineName,
    PresetsOfStart,
    SeedOfSearch,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.progress import progress
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.train import Device
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.learned.distil import Sensed, Teacher
    from ispdsl.learned.labelled import Labelled
    from ispdsl.learned.read_images import Images
    from ispdsl.learned.student import Student

TIMED = 16
"""Images whose time is taken."""


class Labels(StrEnum):
    """Which labels the cross-entropy is to."""

    DATA = "data"
    TEACHER = "teacher"


@guarded
def distil(
    file: PipelineFile,
    images: Annotated[
        Path,
        typer.Argument(metavar="RAWS", help="Raw mosaics: a .npz, or a folder; labels are for scores, where known."),
    ],
    weights: Annotated[Path, typer.Option("--weights", metavar="FILE", help="Of the teacher.")],
    network: NetworkName = "resnet20",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The student, as .safetensors.")
    ] = None,
    student: Annotated[
        Path | None, typer.Option("--student", metavar="FILE", help="Train nothing: score this student.")
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", min=0, max=1, help="The weight of labels; the rest is the teacher's.")
    ] = 0.0,
    temperature: Annotated[float, typer.Option("--temperature", metavar="T", help="Of both softmaxes.")] = 4.0,
    labels: Annotated[
        Labels, typer.Option("--labels", help="What --alpha weighs: the data's, or the teacher's first choice.")
    ] = Labels.TEACHER,
    mixed: Annotated[
        float, typer.Option("--mixed", min=0, max=1, help="The part of images that are mixtures of two.")
    ] = 0.0,
    features: Annotated[
        float, typer.Option("--features", min=0, metavar="W", help="The weight of what the teacher's layers see.")
    ] = 0.0,
    freeze_first: Annotated[
        int, typer.Option("--freeze-first", min=0, metavar="N", help="Groups of layers that stay the teacher's.")
    ] = 0,
    freeze_last: Annotated[int, typer.Option("--freeze-last", min=0, metavar="N", help="The same, at the end.")] = 0,
    stops: Annotated[
        float | None, typer.Option("--stops", metavar="N", help="Stops of light that the student's raws lack.")
    ] = None,
    noise: Annotated[
        str | None, typer.Option("--noise", metavar="S,O", help="Of the sensor, variance s x + o; for --stops.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Of Adam.")] = 400,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="The highest learning rate.")] = 1e-3,
    classes: Annotated[int, typer.Option("--classes", min=2, help="That the teacher tells apart.")] = 10,
    side: Side = None,
    held_out: HeldOut = 0.2,
    batch: Batch = 64,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    crop: Crop = None,
    describe: Describe = None,
    checkpoints: Checkpoints = None,
    resume: Resume = False,
    device: DeviceOption = Device.CPU,
    seed: SeedOfSearch = 0,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Teach a classifier to look at raws without the pipeline, by one that looks at the pipeline's pictures.

    Prints how often both agree on held-out images, before and after; where labels are known, how many each tells right;
    and what is saved.
    """
    begun = time.perf_counter()
    if not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.001")
    if not 0 < temperature < math.inf or not features < math.inf:
        raise CommandError(f"--temperature {temperature:g}, --features {features:g}", "numbers above 0, as 4")
    if student is not None and output is not None:
        raise CommandError("--student trains nothing, and --output would hold nothing new", "leave one of them out")
    check_trust(trust or [])
    check_device(device)
    check_checkpoints(checkpoints, resume)
    check_written(output, ".safetensors", "a student")
    graph = build_graph(file, pipeline, inline=False)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))

    from ispdsl.learned.classifiers import classifier
    from ispdsl.learned.distil import Lesson, Teacher
    from ispdsl.learned.fit import Recipe
    from ispdsl.learned.labelled import Seen
    from ispdsl.learned.read_images import halves
    from ispdsl.learned.student_file import load_student

    allowed = tuple(trust or ())
    found = images_of(images, graph, None, crop, describe)
    if found.cfa is None:
        raise CommandError(f"{graph.name} takes pictures, and a student looks at raws", "choose a pipeline of a mosaic")
    if labels is Labels.DATA and alpha and not found.labelled:
        raise CommandError(f"--labels data: {images} has none of some images", "--labels teacher, or --alpha 0")
    sensed = _sensed(found, stops, noise)
    teacher = Teacher(compiled(graph, found, allowed), chosen, classifier(network, classes, weights, allowed), side)
    training, testing = (found.data.take(some).to(device.value) for some in halves(len(found.names), held_out, seed))
    learner = (
        _untouched(teacher.to(device.value), training, found, sensed, side)
        if student is None
        else load_student(student, allowed)
    ).to(device.value)
    values: dict[str, Any] = {"images": len(found.names), "held_out": len(testing.labels)}
    if student is None:
        learner.freeze(freeze_first, freeze_last)
        values["before"] = _scores(learner, teacher, testing, sensed, found.labelled)
        about = (
            f"{file} {images} {network} {weights} {side} {held_out} {crop} {settings} {presets} {batch} {stops} {noise}"
        )
        recipe = Recipe(steps, rate, seed=seed, about=f"{about} {freeze_first} {freeze_last}")
        lesson = Lesson(alpha, temperature, labels.value, mixed, features)
        seen = Seen(min(batch, len(training.labels)), tile=2)
        _teach(learner, teacher, training, (lesson, recipe, seen), sensed, checkpoints, resume)
    values["after" if student is None else "student"] = _scores(learner, teacher, testing, sensed, found.labelled)
    values["compute"] = _compute(learner, teacher, testing)
    values["seconds"] = round(time.perf_counter() - begun, 1)
    if output is not None:
        _write(output, learner, network, classes, found, graph, values)
    emit(json.dumps(values, indent=2) if as_json else _table(values))
    if output is not None and not as_json:
        emit(clean(str(output)))
    if student is None and output is None:
        note("the student is not kept: -o FILE writes it")
    note(f"{values['seconds']:.1f} s")


def _sensed(found: Images, stops: float | None, noise: str | None) -> Sensed | None:
    """What the student sees of a raw.

    Raises:
        CommandError: the noise is not of the form S,O, is not known, or is of no use.
    """
    import numpy as np

    from ispdsl.learned.exposure import Shorter

    if stops is None:
        if noise is not None:
            raise CommandError("--noise is for --stops", "add --stops N, or leave it out")
        return None
    known = found.first.get("noise_profile") if noise is None else np.array(noise.split(","))
    missing = [name for name in ("black_level", "white_level") if name not in found.first]
    if known is None or missing:
        what = "noise of the sensor" if known is None else missing[0]
        raise CommandError(f"--stops needs the {what}, which the raws do not have", "--noise S,O, as 4e-4,1e-7")
    try:
        shot, read = (float(each) for each in np.asarray(known).ravel())
        if not 0 <= shot < math.inf or not 0 <= read < math.inf:
            raise ValueError("the variance s x + o of noise has no such s and o")
        black, white = float(np.mean(found.first["black_level"])), float(found.first["white_level"])
        return Shorter(stops, (shot, read), black, white)
    except ValueError as error:
        raise CommandError(f"--stops {stops:g} --noise {noise}: {error}", "as --stops 3 --noise 4e-4,1e-7") from None


def _untouched(teacher: Teacher, training: Labelled, found: Images, sensed: Sensed | None, side: int | None) -> Student:
    """A student with the teacher's weights, whose raws have the levels of the teacher's pictures."""
    from ispdsl.learned.distil import begun

    assert found.cfa is not None, "of mosaics"
    return begun(teacher, training, found.cfa, side, sensed)


def _teach(
    learner: Student, teacher: Teacher, training: Labelled, how: Any, sensed: Sensed | None,
    checkpoints: Path | None, resume: bool,
) -> None:  # fmt: skip
    from ispdsl.learned.distil import distil as teach

    lesson, recipe, seen = how
    with progress() as step:
        teach(learner, teacher, training, lesson, recipe, seen, sensed, told=said(step, "student"),
              kept=None if checkpoints is None else checkpoints / "student.safetensors", resume=resume)  # fmt: skip


def _scores(
    learner: Student, teacher: Teacher, testing: Labelled, sensed: Sensed | None, labelled: bool
) -> dict[str, Any]:
    """Agreement with the teacher, and where labels are known what both tell right."""
    from ispdsl.learned.distil import logits_of, seen_by

    found = logits_of(seen_by(learner, sensed), testing).argmax(1)
    wanted = logits_of(teacher, testing).argmax(1)
    scores: dict[str, Any] = {"agreement": scored((found == wanted).double())}
    if labelled:
        labels = testing.labels.cpu()
        scores["student"] = scored((found == labels).double())
        scores["teacher"] = scored((wanted == labels).double())
    return scores


def _compute(learner: Student, teacher: Teacher, testing: Labelled) -> dict[str, float]:
    """What an image costs with the pipeline and without it."""
    from functools import partial

    import torch

    from ispdsl.learned.student_file import operations, seconds

    few = testing.take(torch.arange(min(TIMED, len(testing.labels))))
    isp = partial(teacher, metadata=few.metadata)
    return {
        "isp_and_network_seconds": seconds(isp, few.images),
        "student_seconds": seconds(learner, few.images),
        "network_flops": operations(teacher.network, teacher.pictures(few.images, few.metadata)),
        "student_flops": operations(learner, few.images),
    }


def _write(
    path: Path, learner: Student, network: str, classes: int, found: Images, graph: Any, values: dict[str, Any]
) -> None:
    from ispdsl.learned.card import Card
    from ispdsl.learned.weights import write

    card = Card(
        kind="student",
        arguments={"network": network, "classes": classes, "cfa": learner.cfa, "side": learner.side},
        pipeline=graph.name,
        pipeline_sha256=graph.sha256,
        data={"images": values["images"], "held_out": values["held_out"], "classes": list(found.classes)},
        training={"seconds": values["seconds"]},
        scores={name: score["value"] for name, score in values["after"].items()},
    )
    write(path, learner, card)


def _table(values: dict[str, Any]) -> str:
    lines = [f"{values['held_out']} of {values['images']} raws held out", ""]
    for when in ("before", "after", "student"):
        for name, score in values.get(when, {}).items():
            what = {"agreement": "student agrees with teacher", "student": "student is right"}.get(
                name, "teacher is right"
            )
            lines.append(f"{when:<8} {what:<28} {percent(score)}")
    cost = values["compute"]
    isp, own = 1e3 * cost["isp_and_network_seconds"], 1e3 * cost["student_seconds"]
    lines += ["", f"a raw takes {isp:.2f} ms through the pipeline and its network, {own:.2f} ms by the student"]
    return "\n".join(lines)
