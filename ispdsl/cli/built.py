"""`ispdsl run FILE.pt2 RAW`: a raw developed by a package that `ispdsl build` made."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.collisions import Use, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import emit, note
from ispdsl.cli.settings import choose
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.backends.built import Built
    from ispdsl.cli.developing import Work
    from ispdsl.darkroom import Development
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings

SUFFIX = ".pt2"


@dataclass(frozen=True)
class Given:
    """What a package is run on: a raw with its description, where settings come from, and the part of the raw."""

    raw: Path
    describe: Path | None
    presets: list[Path]
    values: list[tuple[str, str]]
    beside: Path | None
    """The raw's own settings."""
    crop: tuple[int, int, int, int] | None


def run_package(package: Path, given: Given, work: Work, trust_package: bool, as_json: bool) -> None:
    """Load a package, develop a raw by it and write the picture.

    Raises:
        FileError: the package is missing, damaged, not trusted, or of another machine.
        CommandError: the frame does not fit it, or an output lies on an input.
    """
    from ispdsl.backends.built import load_built
    from ispdsl.cli.developing import write
    from ispdsl.cli.raws import cropped, read_quietly
    from ispdsl.darkroom import output_paths

    built = load_built(package, trust=trust_package)
    chosen = choose(built, given.beside, given.presets, given.values)
    pictures = output_paths([port.name for port in built.record.outputs], work.output)
    outputs = [Use("the picture" if path == work.output else f"output {name}", path) for name, path in pictures.items()]
    outputs += [Use("the saved settings", work.sidecar)] if work.sidecar else []
    read = inputs_of_raw(given.raw, given.describe, given.beside, given.presets)
    refuse_collisions((Use("the package", package), *read, *tables_of(chosen)), outputs)
    frame = read_quietly(given.raw, given.describe)
    frame = cropped(frame, given.crop) if given.crop else frame
    for text in frame.notes:
        note(f"note: {clean(text)}")
    before = time.perf_counter()
    development = developed(built, frame, chosen)
    seconds = time.perf_counter() - before
    written = write(development, work)
    if as_json:
        files = {kind: [str(path) for path in paths] for kind, paths in written.items()}
        emit(json.dumps({"pipeline": built.name, "package": str(package), "seconds": seconds, **files}, indent=2))
        return
    for paths in written.values():
        for path in paths:
            emit(clean(str(path)))
    height, width = next(iter(development.outputs.values())).image.shape[1:]
    note(f"{width} x {height} px developed by {clean(built.name)} in {seconds:.2f} s")


def developed(built: Built, frame: Frame, settings: Settings) -> Development:
    """Run a package on a raw; twice where it reads statistics of the frame before, as `develop` does.

    Raises:
        CommandError: the package takes other frames.
        SettingsError: a starting value is missing from the frame.
        RunError: metadata is missing, or a setting is part of the code.
    """
    from ispdsl.backends.vector import tensors as settings_tensors
    from ispdsl.darkroom import Development, Picture, tensors
    from ispdsl.ir.types import Type

    record = built.record
    _check_frame(record.images[0].type if len(record.images) == 1 else "", frame, record.pipeline)
    settings = settings.resolved(frame.metadata)
    device = record.machine.device
    image, metadata = tensors(frame)
    image, metadata = image.to(device), {name: value.to(device) for name, value in metadata.items()}
    values = {address: value for address, value in settings_tensors(settings).items() if _is_given(built, address)}
    rendering = built(image, values, metadata)
    if built.feeds_back:
        rendering = built(image, values, metadata, rendering.statistics)
    types = {port.name: Type.parse(port.type) for port in record.outputs}
    outputs = {name: Picture(value.cpu().numpy(), types[name]) for name, value in rendering.outputs.items()}
    statistics = {name: value.cpu().numpy() for name, value in rendering.statistics.items()}
    return Development(frame, settings, outputs, {}, statistics)


def _is_given(built: Built, address: str) -> bool:
    """Whether a setting is one that the package has to be told, or to refuse."""
    slot = next(slot for slot in built.slots if slot.address == address)
    return bool(slot.drives) and not slot.fixed


def _check_frame(wanted: str, frame: Frame, pipeline: str) -> None:
    """Refuse a frame that the package was not built for.

    Raises:
        CommandError: it takes other images, or another CFA.
    """
    from ispdsl.ir.types import Type

    type_ = Type.parse(wanted) if wanted else None
    if type_ is None or type_.name != "raw":
        raise CommandError(
            f"this package of {pipeline} takes {wanted or 'several images'}, and a raw file is one mosaic"
        )
    if str(type_.args[0]) != frame.cfa:
        message = f"this package of {pipeline} was built for the CFA {type_.args[0]}, and the frame's is {frame.cfa}"
        raise CommandError(message, f"build one with --cfa {frame.cfa}")


def refuse_others(given: Mapping[str, object], hint: str) -> None:
    """Refuse options that say what is compiled or how it runs.

    Raises:
        CommandError: one was given.
    """
    for option, value in given.items():
        if value:
            raise CommandError(f"{option} does not go with a package, whose code is made", hint)
