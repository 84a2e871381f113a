"""References for raws: pictures of the same names, as large as what is rendered of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.optimise.tasks.task import Picture
    from ispdsl.runtime.frame import Frame

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")

UNDONE = {6: 8, 8: 6}
"""Orientations that do not undo themselves."""

Place = tuple[int, int, int, int]


def told_apart(raws: Sequence[Path]) -> list[str]:
    """A name for each raw: that of its file, with as many of its folders as tell it from the others."""
    all_parts = [Path(os.path.normpath(raw.absolute())).parts[1:] for raw in raws]
    return ["/".join(_shortest(parts, [each for each in all_parts if each != parts])) for parts in all_parts]


def check_once(names: Sequence[str]) -> None:
    """See that files can be told apart, where each has settings of its own.

    Raises:
        CommandError: one is given twice.
    """
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise CommandError(f"{twice} is given twice", "give it once")


def _shortest(parts: Sequence[str], others: Sequence[Sequence[str]]) -> Sequence[str]:
    """As many names from the end of a path as no other path ends with; all of them where there is no such number."""
    counts = range(1, len(parts) + 1)
    return next((parts[-n:] for n in counts if all(other[-n:] != parts[-n:] for other in others)), parts)


def reference_files(given: Path, raws: Sequence[Path]) -> list[Path]:
    """The picture of each raw: the file itself where there is one raw, or that of its name in a folder.

    Of raws of one name in several folders, the pictures are told apart by the same folders: ``wanted/day/a.png`` for
    ``day/a.dng``.

    Raises:
        CommandError: there is no such file or folder, it has no picture of a raw or several, or one picture is that of
            several raws.
    """
    if given.is_file() and len(raws) == 1:
        return [given]
    if not given.is_dir():
        what = "a folder with a picture of each raw" if len(raws) > 1 else "a picture, or a folder that holds it"
        why = f"it is one picture, and there are {len(raws)} raws" if given.is_file() else "there is no such folder"
        raise CommandError(f"--references {given}: {why}", f"name {what}")
    found: list[Path] = []
    owners: dict[Path, Path] = {}
    for raw, name in zip(raws, told_apart(raws), strict=True):
        picture = _picture_of(raw, given / Path(name).parent, given)
        other = owners.setdefault(picture, raw)
        if other != raw:
            both = f"{given} has one picture, {picture.name}, of both {other} and {raw}"
            raise CommandError(both, f"give each its own: {other.name}{picture.suffix}, {raw.name}{picture.suffix}")
        found.append(picture)
    return found


def _picture_of(raw: Path, folder: Path, given: Path) -> Path:
    """The one picture of a raw's name in a folder.

    Raises:
        CommandError: there is none, or there are several.
    """
    there = [each for each in sorted(folder.iterdir()) if each.suffix.lower() in PICTURES] if folder.is_dir() else []
    by_name = [each for each in there if each.stem.lower() == raw.name.lower()]
    fits = by_name or [each for each in there if each.stem.lower() == raw.stem.lower()]
    if len(fits) == 1:
        return fits[0]
    said = "holds no picture" if not fits else f"holds {', '.join(each.name for each in fits)}"
    if folder == given:
        raise CommandError(f"{given} {said} of {raw.name}", f"it should be called {raw.stem}.png, .tif or .jpg")
    hint = f"other raws are called {raw.name} too: put its picture there, as {folder / raw.stem}.png, .tif or .jpg"
    raise CommandError(f"{folder} {said} of {raw}", hint)


def read_reference(path: Path, space: str, whole: Frame, part: Place | None) -> Picture:
    """A reference, upright, 1 for white; of a picture of the whole raw, the part.

    Args:
        path: the file.
        space: that it has to be in.
        whole: the raw as it was read.
        part: top, left, height and width of the part that is rendered, as the sensor lay.

    Raises:
        PictureError: it cannot be read.
        CommandError: it is in another space, of another size, or has numbers that are not finite.
    """
    import numpy as np

    from ispdsl.runtime.pictures import orient, read_picture

    image, own = read_picture(path)
    name = clean(str(path))
    if image.shape[0] != 3:
        raise CommandError(f"{name} is grey", "give a picture in colour")
    if own != space:
        raise CommandError(f"{name} is in {own}, and the pipeline's picture in {space}", f"convert it to {space}")
    if not np.isfinite(image).all():
        raise CommandError(f"{name} holds numbers that are not finite", "give a picture without them")
    lying = orient(image, UNDONE.get(whole.orientation, whole.orientation))
    size = whole.size if part is None else part[2:]
    if part is not None and lying.shape[1:] == whole.size != size:
        top, left, height, width = part
        lying = lying[:, top : top + height, left : left + width]
    if lying.shape[1:] != size:
        sizes = f"{lying.shape[2]} x {lying.shape[1]} px, and what is rendered {size[1]} x {size[0]}"
        raise CommandError(f"{name} is {sizes}, as the sensor lay", "give a picture of the whole raw, or of its --crop")
    return np.ascontiguousarray(orient(lying, whole.orientation))
