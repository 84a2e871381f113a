"""What `ispdsl style` is given: pictures of a style, a network that looks at them, raws, and how the pipeline runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, ExitCode
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, tables_of
from ispdsl.cli.console import note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.means import looked_at, means_of
from ispdsl.cli.options import Backend
from ispdsl.cli.progress import Step
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.references import told_apart
from ispdsl.cli.train import Device
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.cli.means import Means
    from ispdsl.graph import Graph
    from ispdsl.learned.scenes import Means as Ways
    from ispdsl.learned.scenes import Scene
    from ispdsl.learned.style import Style
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Of pictures that are looked for in a folder."""


class Features(StrEnum):
    """Whose features the Gram matrices are of."""

    GABOR = "gabor"
    RESNET = "resnet"
    VGG = "vgg"


StylePictures = Annotated[
    list[Path],
    typer.Option("--style", metavar="PICTURE|FOLDER", help="Finished pictures of the style. May be repeated."),
]

FeaturesOption = Annotated[
    Features,
    typer.Option(
        "--features",
        help="Whose features are compared: a fixed bank of Gabor filters, a ResNet-20 for CIFAR, or VGG-19.",
    ),
]

WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="For --features resnet or vgg: the state dict of the network."),
]

LumaOption = Annotated[
    float, typer.Option("--luma", metavar="W", min=0, help="Weight of the histogram of luma; Gram matrices have 1.")
]

ChromaOption = Annotated[
    float, typer.Option("--chroma", metavar="W", min=0, help="Weight of the histogram of colour differences.")
]

PullOption = Annotated[
    float, typer.Option("--pull", metavar="W", min=0, help="How strongly settings are held at where they begin.")
]

SideOption = Annotated[
    int, typer.Option("--side", metavar="PX", min=32, max=1024, help="Of what is rendered to find settings.")
]

OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="ADDRESS", help="What is free, patterns too; default: every free number. May be repeated."
    ),
]

HardOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hard", metavar="ADDRESS", help="Search all that is legal of this one, not the soft range. May be repeated."
    ),
]

DeviceOption = Annotated[Device, typer.Option("--device", help="Where it is computed.")]

SheetOption = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="A picture: every raw at its start and in the style, and the style."),
]


@dataclass(frozen=True, eq=False)
class Example:
    """A picture of the style: its file, the hash of that, and the picture ``(3, H, W)``, sRGB in 0..1, small."""

    path: Path
    sha256: str
    picture: NDArray[np.float32]


@dataclass(frozen=True)
class Wanted:
    """What is compared, as the command line has it."""

    features: Features
    weights: Path | None
    luma: float
    chroma: float
    pull: float

    def __post_init__(self) -> None:
        if (self.features is Features.GABOR) != (self.weights is None):
            if self.weights is None:
                hint = "--weights FILE (docs/style.md), or --features gabor, which needs none"
                raise CommandError(f"--features {self.features.value} needs the weights of a network", hint)
            raise CommandError("--weights is for --features resnet or vgg", "add one of them, or leave it out")
        if not self.luma + self.chroma < float("inf") or not self.pull < float("inf"):
            raise CommandError("--luma, --chroma and --pull are finite numbers", "write for example --luma 1")

    def style(self, examples: Sequence[Example], side: int, device: Device) -> Style:
        """The statistics of examples as a goal, on a device.

        Raises:
            RunError: a file of weights is none, or is of another network.
            CommandError: the pictures are too small for the network.
        """
        from ispdsl.learned.style import Style, target_of
        from ispdsl.vision.gabor import GaborBank
        from ispdsl.vision.resnet import load_resnet
        from ispdsl.vision.vgg import load_vgg19

        if self.weights is None:
            network = GaborBank()
        else:
            network = (load_resnet if self.features is Features.RESNET else load_vgg19)(self.weights)
        try:
            target = target_of([each.picture for each in examples], network, side)
        except ValueError as error:
            raise CommandError(str(error), "give larger pictures, or --side") from error
        return Style(target, network, self.luma, self.chroma, self.pull).to(device.value)

    def told(self) -> dict[str, Any]:
        """For the card."""
        digest = None if self.weights is None else hashlib.sha256(self.weights.read_bytes()).hexdigest()
        of = {"luma": self.luma, "chroma": self.chroma, "pull": self.pull}
        return {"features": self.features.value, "weights_sha256": digest, **of}


def check_hard(graph: Graph, chosen: Settings, only: Sequence[str] | None, hard: Sequence[str]) -> None:
    """Refuse ranges of what is not free.

    Raises:
        CommandError: something gives the value of an address, or `only` leaves it out.
        SettingsError: an address is unknown, or cannot be free.
    """
    from ispdsl.cli.addresses import check_addresses
    from ispdsl.runtime.vector import Vector

    check_addresses(graph, chosen, hard, numbers=True)
    free = {slot.address for slot in Vector.of(chosen, only=only or None).slots}
    held = [slot.address for slot in Vector.of(chosen, only=hard).slots if slot.address not in free] if hard else []
    if held:
        raise CommandError(f"--hard {held[0]} is not free: --only leaves it out", "name it with --only too")


def check_device(device: Device) -> None:
    """Refuse a device that is not there.

    Raises:
        CommandError: it is not.
    """
    if device is Device.CUDA:
        import torch

        if not torch.cuda.is_available():
            raise CommandError("there is no CUDA device", "leave out --device cuda", ExitCode.EXECUTOR)


def files_of(given: Sequence[Path]) -> list[Path]:
    """Pictures, and those in folders by name.

    Raises:
        CommandError: one is not there, or a folder holds none.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES and each.is_file())
            if not inside:
                hint = f"of a style are files of {', '.join(SUFFIXES)}"
                raise CommandError(f"--style {path}: there is no picture in the folder", hint, ExitCode.UNREADABLE)
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            hint = "name a picture, or a folder of them"
            raise CommandError(f"--style {path}: there is no such file", hint, ExitCode.UNREADABLE)
    return list(dict.fromkeys(found))


def examples_of(given: Sequence[Path], side: int, bar: Step) -> list[Example]:
    """Pictures of a style, small, in sRGB.

    Raises:
        CommandError: a file is not there.
        PictureError: one cannot be read.
    """
    from ispdsl.runtime.contact_sheet import shrink, to_display
    from ispdsl.runtime.pictures import read_picture

    files, found = files_of(given), list[Example]()
    for number, path in enumerate(files):
        bar(number, len(files), "pictures of the style")
        picture, space = read_picture(path)
        small = shrink(picture, side) if max(picture.shape[1:]) > side else picture
        found.append(Example(path, hashlib.sha256(path.read_bytes()).hexdigest(), to_display(small, space)))
    return found


def ways_of(
    graph: Graph, impl: list[str] | None, doubles: Path | None, trust: Sequence[str] | None
) -> tuple[Means, Ways]:
    """How the pipeline runs, as the command line has it: for files, and for settings.

    Raises:
        CommandError: a word names nothing that there is, or the pipeline gives no picture in sRGB.
    """
    from ispdsl.learned.scenes import Means as Ways

    means = means_of(graph, Backend.COMPOSITE, doubles, impl, trust, False)
    space = str(looked_at(graph).type.args[0])
    if space != "srgb":
        hint = "end it with a conversion to srgb"
        raise CommandError(f"{graph.name} gives a picture in {space}, and a style is of pictures in srgb", hint)
    return means, Ways(means.impl, means.doubles, means.trust)


def inputs_read(
    graph: Graph, file: str, chosen: Settings, raws: Sequence[Path], presets: Sequence[Path], describe: Path | None,
    others: Mapping[str, Sequence[Path | None]],
) -> list[Use]:  # fmt: skip
    """All files that are read; `others` by what they are."""
    uses = [*inputs_of(graph, find_pipeline(file)), *tables_of(chosen)]
    for raw in raws:
        uses += inputs_of_raw(raw, describe, None, presets)
    return [*uses, *(Use(role, path) for role, paths in others.items() for path in paths if path is not None)]


def frames_of(raws: Sequence[Path], describe: Path | None, bar: Step) -> Iterator[tuple[str, Frame]]:
    """Raws and their names, one after the other: many large ones do not fit into memory together.

    Raises:
        RawError: one cannot be read.
    """
    for number, (name, raw) in enumerate(zip(told_apart(raws), raws, strict=True)):
        bar(number, len(raws), clean(name))
        frame = read_quietly(raw, describe)
        for text in frame.notes:
            note(f"note: {clean(name)}: {clean(text)}")
        yield name, frame


def scenes_of(
    raws: Sequence[Path],
    describe: Path | None,
    chosen: Settings,
    only: Sequence[str] | None,
    side: int,
    bar: Step,
    hard: Sequence[str] = (),
) -> list[Scene]:
    """Raws made ready.

    Raises:
        RawError: one cannot be read.
        SettingsError: metadata of a start is missing, or an address cannot be free.
    """
    from ispdsl.learned.scenes import scene

    return [scene(name, frame, chosen, only, side, hard) for name, frame in frames_of(raws, describe, bar)]
