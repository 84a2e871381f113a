"""What `ispdsl regress` is given: raws, their pictures, and where on the raws these lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.beforehand import check_output
from ispdsl.cli.boundary import CommandError
from ispdsl.cli.collisions import SETTINGS, Use
from ispdsl.cli.console import note
from ispdsl.cli.means import looked_at
from ispdsl.cli.raws import cropped
from ispdsl.cli.regress_report import placed
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ispdsl.graph import Graph
    from ispdsl.ir.model import Port
    from ispdsl.optimise.aligned import Aligned
    from ispdsl.optimise.registration import Placement
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings
    from ispdsl.runtime.vector import Vector

    Floats = NDArray[np.float32]
    Place = tuple[int, int, int, int]

UNDONE = {6: 8, 8: 6}
"""Orientations that do not undo themselves."""


SHOWN = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""What a sheet may be."""

LEAST = 64
"""Cells of the common grid below which a picture says too little."""


@dataclass(frozen=True, eq=False)
class Sought:
    """Numbers that are free, and the addresses of those that each picture has for itself."""

    vector: Vector
    own: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Given:
    """A raw, the picture of it as the sensor lay, and where its search begins.

    `rim` is the border that a cut out of a target has. A registered picture is `aligned`, and `wanted` is on its grid.
    """

    raw: Path
    target: Path
    frame: Frame
    settings: Settings
    wanted: Floats
    rim: int = 0
    placement: Placement | None = None
    aligned: Aligned | None = None


def check_files(output: Path | None, sheet: Path | None) -> None:
    """See that the pictures can be written before anything is rendered.

    Raises:
        CommandError: one cannot.
    """
    for path in (output, sheet):
        if path is not None:
            check_output(path, None)
    if sheet is not None and sheet.suffix.lower() not in SHOWN:
        raise CommandError(f"--sheet {sheet} is no picture to look at", f"name one of {', '.join(SHOWN)}")


def outputs_of(pictures: Sequence[Path], sheet: Path | None) -> list[Use]:
    """All files that are written."""
    from ispdsl.runtime.sidecar import path_of

    uses = [use for path in pictures for use in (Use("the picture", path), Use(SETTINGS, path_of(path)))]
    return [*uses, *([Use("the picture of the differences", sheet)] if sheet else [])]


def asked_of(raw: Path, target: Path, further: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Raws and their pictures.

    Raises:
        CommandError: a raw is without its picture, or shares it with another.
    """
    if len(further) % 2:
        raise CommandError(f"{further[-1]} has no picture", "name raws and pictures by turns: RAW TARGET RAW TARGET")
    asked = [(raw, target), *zip(further[::2], further[1::2], strict=True)]
    owners: dict[Path, Path] = {}
    for one, picture in asked:
        other = owners.setdefault(picture.absolute(), one)
        if other.absolute() != one.absolute():
            raise CommandError(f"{picture} is given as the picture of {other} and of {one}", "give each raw its own")
    return asked


def free_of(settings: Settings, only: Sequence[str] | None, own: Sequence[str]) -> Sought:
    """What is free, of the settings of the first picture.

    Args:
        settings: where the search begins for it.
        only: addresses or patterns of what is free; nothing for every free number.
        own: addresses or patterns of what is each picture's own, which is free as well.

    Raises:
        SettingsError: an address is unknown or cannot be free.
    """
    from ispdsl.runtime.vector import Vector

    mine = tuple(slot.address for slot in Vector.of(settings, "unit", own).slots)
    return Sought(Vector.of(settings, "unit", [*only, *mine] if only else None), mine)


def check_border(given: Sequence[Given], border: int) -> None:
    """See that a border leaves something of each picture.

    Raises:
        CommandError: of one nothing is left.
    """
    for each in given:
        height, width = each.wanted.shape[1:]
        if min(height, width) <= 2 * border:
            message = f"{each.target}: a border of {border} px leaves nothing of {width} x {height} px"
            raise CommandError(message, "look at a larger part, or leave out less")


def given_of(
    raw: Path,
    target: Path,
    frame: Frame,
    settings: Settings,
    part: Place | None,
    registers: bool | None,
    graph: Graph,
) -> Given:
    """A raw and its picture, registered where that is asked for.

    Raises:
        PictureError: the picture cannot be read.
        CommandError: it is in another colour space, or does not fit.
    """
    import numpy as np

    from ispdsl.passes.inline import inline
    from ispdsl.runtime.pictures import orient
    from ispdsl.sampling.parts import border_of

    image = _picture(target, looked_at(graph))
    for text in frame.notes:
        note(f"note: {clean(text)}")
    looked = cropped(frame, part) if part else frame
    start = settings.resolved(frame.metadata)
    turned = orient(image, UNDONE.get(frame.orientation, frame.orientation))
    size = turned.shape[1:]
    if registers or (registers is None and size not in (frame.size, looked.size)):
        return _registered(raw, target, frame, looked, start, image, part or (0, 0, *frame.size))
    if part is not None and size == frame.size != looked.size:
        top, left, height, width = part
        turned = turned[:, top : top + height, left : left + width]
        return Given(raw, target, looked, start, np.ascontiguousarray(turned), border_of(inline(graph)))
    if size != looked.size:
        what = "raw" if part is None else "part of the raw"
        sizes = f"{size[1]} x {size[0]} px, and the {what} {looked.size[1]} x {looked.size[0]}"
        hint = "give a picture of the whole raw, or of its --crop, or leave out --no-register"
        raise CommandError(f"{target} is {sizes}, as the sensor lay", hint)
    return Given(raw, target, looked, start, np.ascontiguousarray(turned))


def _picture(path: Path, port: Port) -> Floats:
    """A target as its file has it, white 1.

    Raises:
        PictureError: it cannot be read.
        CommandError: it is in another colour space, or holds what is no number.
    """
    import numpy as np

    from ispdsl.runtime.pictures import read_picture

    image, space = read_picture(path)
    own = str(port.type.args[0])
    if image.shape[0] != 3:
        raise CommandError(f"{path} is grey, and {port.name} is in colour", "give a picture in colour")
    if space != own:
        raise CommandError(
            f"{path} is in {space}, and {port.name} is in {own}", f"convert it to {own} with its profile"
        )
    if not np.isfinite(image).all():
        raise CommandError(f"{path} holds numbers that are not finite", "give a picture without them")
    return image


def _registered(
    raw: Path, target: Path, frame: Frame, looked: Frame, settings: Settings, image: Floats, part: Place
) -> Given:
    """A picture that was found on its raw.

    Raises:
        CommandError: it is not of this raw, or hardly any of it on the part that is looked at.
    """
    from ispdsl.optimise.aligned import align
    from ispdsl.optimise.registration import RegistrationError, register, sketch

    try:
        placement = register(image, sketch(frame)).on(2)
    except RegistrationError as error:
        raise CommandError(f"{target}: {error.message}", error.hint) from error
    aligned = align(image, placement, part)
    if aligned.looked_at.sum() < LEAST:
        raise CommandError(f"{target} shows hardly anything of the part", "look at another --crop")
    note(f"{clean(str(target))}: {placed(placement, frame)}")
    return Given(raw, target, looked, settings, aligned.target, 0, placement, aligned)
