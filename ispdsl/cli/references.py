"""References for raws: pictures of the same names, as large as what is rendered of them."""

from __future__ import annotations

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


def reference_files(given: Path, raws: Sequence[Path]) -> list[Path]:
    """The picture of each raw: the file itself where there is one raw, or that of its name in a folder.

    Raises:
        CommandError: there is no such file or folder, or it has no picture of a raw, or two.
    """
    if given.is_file() and len(raws) == 1:
        return [given]
    if not given.is_dir():
        what = "a folder with a picture of each raw" if len(raws) > 1 else "a picture, or a folder that holds it"
        raise CommandError(f"--references {given}: there is no such folder", f"name {what}")
    found: list[Path] = []
    for raw in raws:
        names = {raw.name.lower(), raw.stem.lower()}
        there = [each for each in sorted(given.iterdir()) if each.suffix.lower() in PICTURES]
        fits = [each for each in there if each.stem.lower() in names]
        if len(fits) != 1:
            said = "holds no picture" if not fits else f"holds {', '.join(each.name for each in fits)}"
            raise CommandError(f"{given} {said} of {raw.name}", f"it should be called {raw.stem}.png, .tif or .jpg")
        found += fits
    return found


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
