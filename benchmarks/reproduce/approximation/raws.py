"""Which parts of which raws doubles learn from, and which they are tested on.

The folder may hold anything. Every raw that `ispdsl.read` reads is found, and cut into regions of one megapixel, as in
Neural Photo-Finishing (Tseng et al., SIGGRAPH Asia 2022): at most ten to learn from. Files that say the same of camera,
white balance, levels and exposure count as one *shot*, so that crops and other versions of a picture are never on
both sides. Shots go to training and testing by turns, the largest first. Equal folders give equal choices.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

import ispdsl
from ispdsl.executors.formats_raw import encode_dng
from ispdsl.ir.types import BAYER, Type
from ispdsl.runtime.frame import Frame, RawError, shifted_cfa

SIDE = 1024
"""Height and width of a region: one megapixel."""

SMALLEST = 256
"""Raws that are smaller either way are left out."""

MOST = 10
"""Regions to learn from, and regions to test on."""

NO_RAWS = frozenset(
    ".bin .csv .cube .enc .gif .gz .html .ipynb .jpeg .jpg .json .licence .license .log .md .npy .npz .onnx .pdf .png "
    ".pt .pth .py .safetensors .svg .tar .th .tsv .txt .webp .xml .xmp .yaml .yml .zip".split()
)
"""Suffixes of what lies beside raws and is none: such files are passed over without a word."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo one, are spread evenly."""

Place = tuple[int, int, int, int]
Shot = tuple[object, ...]


@dataclass(frozen=True)
class Region:
    """A part of a raw: its name below the folder, and top, left, height and width in pixels of the raw."""

    path: Path
    name: str
    place: Place
    cfa: str
    camera: str

    @property
    def title(self) -> str:
        """A name for a file of the region: that of the raw, and where in it."""
        flat = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in self.name)
        return f"{flat}_{self.place[0]}_{self.place[1]}"

    def read(self) -> Frame:
        """The region as a frame.

        Raises:
            RawError: the file cannot be read any more.
        """
        return ispdsl.read(self.path).crop(*self.place)


@dataclass(frozen=True)
class Chosen:
    """Regions to learn from, regions to test on, what was left out and why, and what could not be done as wished."""

    training: tuple[Region, ...]
    testing: tuple[Region, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Raw:
    """A file of the folder, without its samples."""

    path: Path
    name: str
    size: tuple[int, int]
    cfa: str
    camera: str
    shot: Shot


def choose(folder: Path, cfa: str | None = "rggb", most: int = MOST, side: int = SIDE) -> Chosen:
    """Choose regions of the raws below a folder.

    Args:
        folder: searched through; raws without a header count where a description lies beside them.
        cfa: how every region's mosaic shall begin, reached by starting one row or column later; a raw without a mosaic
            is left out. None takes every raw as it begins.
        most: regions to learn from, and regions to test on.
        side: height and width of a region in px, even; smaller raws are taken whole.

    Raises:
        RawError: there is no such folder, or it does not hold two regions.
    """
    if not folder.is_dir():
        raise RawError(f"there is no folder {folder}", "give a folder of raws: DATA=folder, or set ISPDSL_DATA")
    skipped: list[tuple[str, str]] = []
    sides, notes = _sides(list(_readable(folder, cfa, skipped)), cfa, side)
    training, testing = (tuple(islice(_by_turns(each), most)) for each in sides)
    if not training or not testing:
        why = "".join(f"\n  {name}: {reason}" for name, reason in skipped)
        raise RawError(f"{folder} holds too few raws to learn from some and test on others{why}", "add raw files")
    return Chosen(training, testing, tuple(skipped), notes)


def _readable(folder: Path, cfa: str | None, skipped: list[tuple[str, str]]) -> Iterator[_Raw]:
    """The raws of a folder in the order of their names; of the others, why not."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.suffix.lower() in NO_RAWS or path.name.startswith(".") or not path.suffix:
            continue
        try:
            frame = ispdsl.read(path)
        except RawError as error:
            skipped.append((name, error.message.replace(str(path), path.name).splitlines()[0]))
            continue
        if cfa is not None and frame.cfa not in BAYER:
            skipped.append((name, f"{path.name} is no mosaic"))
        elif min(frame.size) < SMALLEST:
            skipped.append((name, f"{path.name} has {frame.size[1]} x {frame.size[0]} pixels, fewer than {SMALLEST}"))
        else:
            camera = f"{frame.source.make} {frame.source.model}".strip()
            yield _Raw(path, name, frame.size, frame.cfa, camera, _shot(frame))


def _shot(frame: Frame) -> Shot:
    """What the versions and crops of one picture have in common."""
    known = frame.metadata
    names = ("as_shot_neutral", "colour_matrix_2", "white_level", "iso", "exposure_time", "f_number")
    numbers = np.concatenate([np.ravel(known.get(name, 0.0)) for name in names])
    return frame.source.make, frame.source.model, *np.round(numbers, 4).tolist()


Sides = tuple[list[list[Region]], list[list[Region]]]
"""For training and for testing: the regions of each shot, in the order in which they are taken."""


def _sides(raws: Sequence[_Raw], cfa: str | None, side: int) -> tuple[Sides, tuple[str, ...]]:
    """Shots by turns, the largest first; where there is one alone its files, where there is one file its halves."""
    largest = sorted(raws, key=lambda raw: (-raw.size[0] * raw.size[1], raw.camera, raw.name))
    shots: dict[Shot, list[list[Region]]] = {}
    for raw in largest:
        shots.setdefault(raw.shot, []).append(tiles(raw, cfa, side))
    found = [list(_by_turns(files)) for files in shots.values()]
    if len(found) > 1 or not found:
        return (found[0::2], found[1::2]), ()
    (files,) = shots.values()
    if len(files) > 1:
        note = "all raws say the same of camera, light and exposure: they are taken for different pictures"
        return (files[0::2], files[1::2]), (note,)
    (whole,) = files
    note = "there is one raw only: its upper part is learned from, what lies below is tested on"
    upper = sorted(region.place for region in whole)[: (len(whole) + 1) // 2]
    halves = [[region for region in whole if (region.place in upper) == wanted] for wanted in (True, False)]
    return ([halves[0]], [halves[1]]), (note,)


def tiles(raw: _Raw, cfa: str | None, side: int) -> list[Region]:
    """The regions of a raw side by side, in an order that spreads any first few of them over the picture."""
    down, right = next((i, j) for i in (0, 1) for j in (0, 1) if cfa is None or shifted_cfa(raw.cfa, i, j) == cfa)
    rows, columns = _spans(raw.size[0] - down, side), _spans(raw.size[1] - right, side)
    places = [(down + top, right + left, height, width) for top, height in rows for left, width in columns]
    order = sorted(range(len(places)), key=lambda index: index * GOLDEN % 1.0)
    return [Region(raw.path, raw.name, places[index], cfa or raw.cfa, raw.camera) for index in order]


def _spans(size: int, side: int) -> list[tuple[int, int]]:
    """Even starts and lengths of as many regions as fit along an axis, spread over it."""
    length, count = min(side, size // 2 * 2), max(size // side, 1)
    starts = np.linspace(0, size - length, count) // 2 * 2
    return [(int(start), length) for start in starts]


def _by_turns(groups: Iterable[Sequence[Region]]) -> Iterator[Region]:
    """The first of each group, then the second of each, and so on."""
    return (region for row in zip_longest(*groups) for region in row if region is not None)


def write(regions: Iterable[Region], folder: Path, one_matrix: bool = False) -> list[Path]:
    """Write regions as DNG files, which any raw program opens.

    A DNG holds whole black levels, so codes are doubled where one lies between two. With `one_matrix` the colour matrix
    for daylight stands for both illuminants: every program has its own way to choose between two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for region in regions:
        frame = whole_levels(region.read())
        if one_matrix:
            known = frame.metadata
            daylight = {"colour_matrix_1": known["colour_matrix_2"], "illuminant_1": known["illuminant_2"]}
            frame = replace(frame, metadata={**known, **daylight})
        path = folder / f"{region.title}.dng"
        (data,) = encode_dng(path.name, frame.image.astype(np.uint16), frame.type, frame).values()
        path.write_bytes(data)
        written.append(path)
    return written


def whole_levels(frame: Frame) -> Frame:
    """The frame with whole black levels: its codes and levels are doubled where one is none."""
    black = np.asarray(frame.metadata["black_level"])
    if (black == black.round()).all():
        return frame
    white = float(frame.metadata["white_level"])
    metadata = {**frame.metadata, "black_level": (2 * black).round(), "white_level": 2 * white}
    image = frame.image.astype(np.uint16) * np.uint16(2)
    return replace(frame, image=image, type=Type(name="raw", args=(frame.cfa, "u16")), metadata=metadata)


def main() -> None:
    """Say what is chosen, and write it where a folder is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="a folder; default: ISPDSL_DATA"
    )
    parser.add_argument("--cfa", choices=[*BAYER, "any"], default="rggb", help="how every region begins")
    parser.add_argument("--output", type=Path, help="write the regions below this folder, as DNGs")
    parser.add_argument("--one-matrix", action="store_true", help="one colour matrix in each of them")
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, or set ISPDSL_DATA")
    chosen = choose(Path(given.data), None if given.cfa == "any" else given.cfa)
    for role, regions in (("training", chosen.training), ("testing", chosen.testing)):
        for region in regions:
            top, left, height, width = region.place
            print(f"{role:8}  {region.name}  {width} x {height} at {left}, {top}  {region.camera or 'camera unknown'}")
        if given.output:
            write(regions, given.output / role, given.one_matrix)
    for line in (*(f"skipped   {name}: {why}" for name, why in chosen.skipped), *chosen.notes):
        print(line)


if __name__ == "__main__":
    main()
