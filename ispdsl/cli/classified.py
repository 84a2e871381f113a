"""What the commands that train classifiers share: images, devices, presets, progress, and how scores are said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, ExitCode
from ispdsl.cli.progress import Step, say_replaced, say_where_it_begins
from ispdsl.cli.raws import cropped, parse_crop, read_quietly
from ispdsl.cli.train import Device

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.composite import Composite
    from ispdsl.graph import Graph
    from ispdsl.learned.fit import Told
    from ispdsl.learned.read_images import Images
    from ispdsl.runtime.frame import Frame

NetworkName = Annotated[
    str,
    typer.Option(
        "--network", metavar="NAME", help="What looks: small-cnn, resnet20, or module:function of a trusted package."
    ),
]

HeldOut = Annotated[
    float,
    typer.Option("--held-out", metavar="PART", min=0.001, max=0.999, help="Of the images, for scores."),
]

Side = Annotated[
    int | None, typer.Option("--side", min=8, max=4096, metavar="N", help="Px of the pictures that the network sees.")
]

Batch = Annotated[int, typer.Option("--batch", min=2, metavar="N", help="Images of a step.")]

Checkpoints = Annotated[
    Path | None, typer.Option("--checkpoints", metavar="FOLDER", help="Keep here how far it is, for --resume.")
]

Resume = Annotated[bool, typer.Option("--resume", help="Go on with --checkpoints.")]

DeviceOption = Annotated[Device, typer.Option("--device", help="Where it is trained.")]


def check_device(device: Device) -> None:
    """Refuse a device that is not there.

    Raises:
        CommandError: it is not.
    """
    import torch

    if device is Device.CUDA and not torch.cuda.is_available():
        raise CommandError("there is no CUDA device", "train on --device cpu", ExitCode.EXECUTOR)


def check_checkpoints(folder: Path | None, resume: bool) -> None:
    """Refuse to go on from nowhere, or to write over a training that nobody wants to go on with.

    Raises:
        CommandError: so it is.
    """
    if resume and folder is None:
        raise CommandError("--resume goes on with checkpoints", "name their folder: --checkpoints FOLDER")
    if folder is not None and not resume and folder.is_dir() and any(folder.glob("*.safetensors")):
        raise CommandError(f"{folder} holds checkpoints already", "go on with --resume, or name another folder")
    if folder is not None:
        say_where_it_begins(folder, resume)


def check_written(path: Path | None, suffix: str, what: str) -> None:
    """See before the work that a file can be written.

    Raises:
        CommandError: its folder is not there, or it ends otherwise.
    """
    if path is not None and (path.suffix != suffix or not path.parent.is_dir()):
        raise CommandError(f"{path} cannot be {what}", f"name a {suffix} file in a folder that is there")
    if path is not None:
        say_replaced(path)


def images_of(path: Path, graph: Graph, side: int | None, crop: str | None, describe: Path | None = None) -> Images:
    """The images of a command line, and how they are read.

    Raises:
        CommandError: the part is none, or reaches beyond a raw.
        RunError, RawError: as `read_images`.
    """
    from ispdsl.learned.read_images import read_images

    part = parse_crop(crop) if crop else None

    def read(file: Path) -> Frame:
        frame = read_quietly(file, describe)
        return frame if part is None else cropped(frame, part)

    return read_images(path, graph, side, read)


def compiled(graph: Graph, images: Images, trust: tuple[str, ...]) -> Composite:
    """The pipeline for the images.

    Raises:
        PlanError: it takes no such images, or gives no picture in sRGB.
    """
    from ispdsl.backends.composite import compile
    from ispdsl.errors import PlanError
    from ispdsl.ir.types import Type
    from ispdsl.passes.select import match

    port = next(each for each in graph.inputs if each.type.is_image)
    if images.cfa is not None:
        composite = compile(graph, cfa=images.cfa, taps=(), trust=trust)
    else:
        found = match(graph, {port.name: Type(name="rgb", args=("srgb", port.type.args[-1]))})
        composite = compile(graph, types=found, taps=(), trust=trust)
    made = composite.plan.graph.outputs[0].type
    if made.name != "rgb" or made.args[0] != "srgb":
        raise PlanError(f"{graph.name} gives {made}, and networks look at rgb<srgb>", "end it with srgb")
    return composite


def said(step: Step, what: str) -> Any:
    """Shows how a training is, as its `told`."""

    def told(state: Told) -> None:
        step(state.step, state.steps, f"{what} {state.loss:.3f}")

    return told


def scored(right: Tensor) -> dict[str, float]:
    """A part of images with its interval over them: as JSON has it."""
    from ispdsl.vision.intervals import of_mean

    value, low, high = of_mean(right.numpy())
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def percent(score: dict[str, float]) -> str:
    """As `scored`, for people."""
    return f"{score['value']:6.1%}  ({score['low']:.1%} to {score['high']:.1%})"
