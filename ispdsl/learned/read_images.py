"""Labelled images from a file or a folder, as a pipeline takes them.

A ``.npz`` file holds ``images``: ``(N, H, W, 3)`` pictures, uint8 or uint16 codes or floats in 0..1, or ``(N, H, W)``
mosaics in sensor codes; ``labels`` ``(N,)``, where they are known; for mosaics ``cfa``, and metadata of all of them
under their names. A folder holds a folder for each class, or images that nobody has labelled: pictures, or raw files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.errors import FileError, RunError
from ispdsl.graph import Graph
from ispdsl.ir.types import BAYER
from ispdsl.learned.labelled import Labelled
from ispdsl.runtime.frame import Frame, Metadata
from ispdsl.runtime.notes import is_note

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SENSOR = {"black_level", "white_level", "noise_profile"}
"""Metadata that is of use whether the pipeline reads it or not."""

UNKNOWN = -1
"""The label of what nobody has labelled."""


@dataclass(frozen=True, eq=False)
class Images:
    """What was read.

    Attributes:
        data: images and labels.
        classes: their names, by label.
        cfa: of mosaics; None for pictures.
        first: metadata of the first image, at which settings start that start at metadata.
        names: of the images.
    """

    data: Labelled
    classes: tuple[str, ...]
    cfa: str | None
    first: Metadata
    names: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Whether every image has a label."""
        return bool((self.data.labels >= 0).all())


def read_images(
    path: Path, graph: Graph, side: int | None = None, read: Callable[[Path], Frame] | None = None
) -> Images:
    """The images under a path for a pipeline.

    Args:
        path: a ``.npz`` file, or a folder.
        graph: takes one image, a mosaic or a picture.
        side: px that picture files are brought to; None where all have one size.
        read: reads a raw file; `ispdsl.read` by default.

    Raises:
        RunError: the pipeline takes more or fewer images than one.
        FileError: there are none, they differ in size, are not what the pipeline takes, or labels do not fit.
        RawError: a raw cannot be read.
    """
    ports = [port for port in graph.inputs if port.type.is_image]
    if len(ports) != 1:
        raise RunError(f"{graph.name} takes {len(ports)} images", "choose a pipeline of one with --pipeline")
    mosaics = ports[0].type.name == "raw"
    wanted = {meta.name for meta in graph.metas}
    if path.is_dir():
        return _folder_of_raws(path, wanted, read) if mosaics else _folder_of_pictures(path, side)
    if path.suffix != ".npz" or not path.is_file():
        raise FileError(f"{path}: neither a folder nor a .npz file", "name a folder with a folder for each class")
    return _archive(path, mosaics, wanted)


def _archive(path: Path, mosaics: bool, wanted: set[str]) -> Images:
    held = _opened(path)
    if "images" not in held:
        raise FileError(
            f"{path} holds no images, only {', '.join(held) or 'nothing'}", "write np.savez(..., images=...)"
        )
    images = held["images"]
    shape = "(N, H, W) mosaics" if mosaics else "(N, H, W, 3) pictures"
    if images.ndim != (3 if mosaics else 4) or not len(images) or (not mosaics and images.shape[-1] != 3):
        raise FileError(
            f"{path}: images are {images.shape}, and the pipeline takes {shape}",
            "choose another pipeline of the file with --pipeline, or give it those",
        )
    if images.dtype.kind not in "uif" or not np.isfinite(images).all():
        raise FileError(f"{path}: images of {images.dtype} that are no finite numbers", "mend or leave out the image")
    if mosaics:
        found, cfa = torch.from_numpy(images.astype(np.float32))[:, None], str(held.get("cfa", ""))
        if cfa not in BAYER:
            raise FileError(f"{path}: mosaics need their cfa, and it is {cfa!r}", f"one of {', '.join(BAYER)}")
    else:
        scale = np.iinfo(images.dtype).max if images.dtype.kind == "u" else 1.0
        found, cfa = torch.from_numpy((images / scale).astype(np.float32)).permute(0, 3, 1, 2).contiguous(), None
    classes, labels = _labels(path, held, len(images))
    first = {name: held[name].astype(np.float64) for name in (wanted | SENSOR) & held.keys()}
    metadata = {name: torch.from_numpy(value).float() for name, value in first.items() if name in wanted}
    names = tuple(f"{path.name}[{place}]" for place in range(len(images)))
    return Images(Labelled(found, labels, metadata), classes, cfa, first, names)


def _opened(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive}
    except Exception as error:  # zip and numpy fail in many ways
        raise FileError(f"{path} cannot be read: {str(error).splitlines()[0]}", "write it with np.savez") from None


def _labels(path: Path, held: dict[str, NDArray[Any]], count: int) -> tuple[tuple[str, ...], Tensor]:
    if "labels" not in held:
        return (), torch.full((count,), UNKNOWN)
    labels = held["labels"]
    if labels.shape != (count,) or labels.dtype.kind not in "ui" or labels.min() < UNKNOWN:
        values = f", from {labels.min()}" if labels.size and labels.dtype.kind in "ui" else ""
        what = f"{path}: labels are {labels.dtype} {labels.shape}{values}"
        raise FileError(what, f"{count} whole numbers from 0, or -1 for what nobody has labelled")
    named: list[Any] = (held["classes"] if "classes" in held else np.arange(labels.max() + 1)).tolist()
    classes = tuple(map(str, named))
    if labels.max() >= len(classes):
        raise FileError(f"{path}: label {labels.max()} has no name among {len(classes)} classes")
    return classes, torch.from_numpy(labels.astype(np.int64))


def _files(path: Path) -> tuple[list[Path], tuple[str, ...], Tensor]:
    """The files of a folder, its classes, and their labels."""
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    sources = folders or [path]
    found = [[each for each in sorted(one.iterdir()) if each.is_file() and not is_note(each)] for one in sources]
    files = [file for some in found for file in some]
    if not files:
        raise FileError(f"{path} holds no images", "a folder for each class, with its images")
    empty = [folder.name for folder, some in zip(sources, found, strict=True) if not some]
    if empty:
        raise FileError(f"{path}: no images of the class {empty[0]}", "remove its folder, or fill it")
    labels = [label if folders else UNKNOWN for label, some in enumerate(found) for _ in some]
    return files, tuple(folder.name for folder in folders), torch.tensor(labels)


def _folder_of_pictures(path: Path, side: int | None) -> Images:
    from PIL import Image, ImageOps

    files, classes, labels = _files(path)
    pictures: list[NDArray[np.float32]] = []
    for file in files:
        if file.suffix.lower() not in PICTURES:
            raise FileError(f"{file} is no picture", f"the pipeline takes pictures: {', '.join(PICTURES)}")
        try:
            with Image.open(file) as opened:
                picture = ImageOps.exif_transpose(opened).convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise FileError(f"{file} cannot be read: {error}") from None
        fitted = picture if side is None else ImageOps.fit(picture, (side, side))
        pictures.append(np.asarray(fitted, np.float32).transpose(2, 0, 1) / np.float32(255))
    _check_sizes(files, pictures, "bring them to one with --side N")
    return Images(Labelled(torch.from_numpy(np.stack(pictures)), labels, {}), classes, None, {}, _names(files))


def _folder_of_raws(path: Path, wanted: set[str], read: Callable[[Path], Frame] | None) -> Images:
    from ispdsl.darkroom import tensors
    from ispdsl.runtime.rawfile import read as read_raw

    files, classes, labels = _files(path)
    picture = next((file for file in files if file.suffix.lower() in PICTURES), None)
    if picture is not None:
        raise FileError(f"{picture} is a picture, and the pipeline takes raws", "take the pictures out of the folder")
    frames = [(read or read_raw)(file) for file in files]
    _check_sizes(files, [frame.image for frame in frames], "take a part of each with --crop Y,X,H,W")
    other = next((file for file, frame in zip(files, frames, strict=True) if frame.cfa != frames[0].cfa), None)
    if other is not None:
        raise FileError(f"{other} has another colour filter array than {files[0]}", "train on one kind of camera")
    read_in = [tensors(frame) for frame in frames]
    known = wanted.intersection(*(metadata.keys() for _, metadata in read_in))
    known = {name for name in known if len({metadata[name].shape for _, metadata in read_in}) == 1}
    metadata = {name: torch.stack([of[name] for _, of in read_in]) for name in known}
    images = torch.stack([image for image, _ in read_in])
    data = Labelled(images, labels, metadata, frozenset(known))
    return Images(data, classes, frames[0].cfa, dict(frames[0].metadata), _names(files))


def _check_sizes(files: Sequence[Path], images: Sequence[NDArray[Any]], hint: str) -> None:
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            sizes = f"{image.shape[-1]} x {image.shape[-2]} px, {files[0].name} {images[0].shape[-1]} x "
            raise FileError(f"{file} is {sizes}{images[0].shape[-2]} px", hint)


def _names(files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(f"{file.parent.name}/{file.name}" for file in files)


def halves(count: int, part: float, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of images to train on and to hold out, drawn by a seed; at least one of each.

    Raises:
        RunError: there are not two images, or the part is not between 0 and 1.
    """
    if count < 2 or not 0 < part < 1:
        raise RunError(f"{count} images cannot be split with {part:g} held out", "give more images")
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    held = min(max(round(part * count), 1), count - 1)
    return order[held:], order[:held]
