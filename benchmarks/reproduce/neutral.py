"""How far a neutral rendering is from LibRaw's, in CIEDE2000: `make reproduce-neutral DATA=folder`.

`pipelines/photo_finish.isp` with every slider where it does nothing, and bilinear demosaicking, against LibRaw with the
same demosaicking and white balance, in linear sRGB and without brightening. What is left is the colour: black and white
levels, white balance, and the matrix between the two illuminants. colour-science computes the differences.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import colour
import numpy as np
import rawpy
import torch
from numpy.typing import NDArray

import ispdsl
from ispdsl.darkroom import develop
from ispdsl.ir.types import BAYER
from ispdsl.runtime.frame import Frame, RawError
from ispdsl.synthetic import SyntheticRaw, encode_dng, sample_photo, synthesise, write_dng

ROOT = Path(__file__).parents[2]

NEUTRAL = {
    "exposure.ev": "0ev",
    "tone_map.highlights": "0%",
    "tone_map.shadows": "0%",
    "saturation.amount": "100%",
    "texture.amount": "0%",
    "look_table.amount": "0%",
    "contrast.amount": "0%",
    "demosaic.method": "bilinear",
    "colour_balance.adaptation": "camera",
}
"""LibRaw takes a file's matrix for daylight and balances camera colours; so does `adaptation` = camera."""

MARGIN = 2
"""Rim, in px, that is not compared: there every program interpolates in its own way."""

BESIDE_RAWS = (".txt", ".json", ".npz", ".md")
"""Suffixes of what lies beside raws in a folder and is none."""

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Comparison:
    """CIEDE2000 between two renderings of one raw, over all pixels that were compared."""

    file: str
    sha256: str
    camera: str
    type: str
    width: int
    height: int
    mean: float
    p95: float
    max: float
    mean_bradford: float
    """The mean with both illuminants' matrices and Bradford adaptation, as the DNG specification has it."""
    seconds: float
    """What our rendering took, without reading the file."""


def compare(path: Path, name: str | None = None, largest: int | None = None, every: int = 1) -> Comparison:
    """Render a raw here and with LibRaw.

    Args:
        path: a raw file.
        name: what to call it; its file name where that is left out.
        largest: side of the square in the middle that is compared; everything where that is left out.
        every: compare each pixel in so many rows and columns; an odd number meets all sites of the CFA.

    Raises:
        RawError: the file cannot be read.
    """
    frame = ispdsl.read(path)
    top, left, height, width = middle(frame.size, largest)
    begun = time.perf_counter()
    ours = neutral(frame.crop(top, left, height, width))
    seconds = time.perf_counter() - begun
    theirs = libraw(path, frame)
    if theirs.shape[:2] != frame.size:
        raise RawError(f"{path}: LibRaw's picture is of another size, {theirs.shape[1]} x {theirs.shape[0]}")
    inside = np.s_[MARGIN : height - MARGIN : every, MARGIN : width - MARGIN : every]
    theirs = theirs[top : top + height, left : left + width][inside]
    found = differences(ours[inside], theirs)
    by_specification = neutral(frame.crop(top, left, height, width), adaptation="bradford")
    return Comparison(
        file=name or path.name,
        sha256=frame.source.sha256,
        camera=_camera(frame),
        type=str(frame.type),
        width=width,
        height=height,
        mean=round(float(found.mean()), 4),
        p95=round(float(np.percentile(found, 95)), 4),
        max=round(float(found.max()), 4),
        mean_bradford=round(float(differences(by_specification[inside], theirs).mean()), 4),
        seconds=round(seconds, 3),
    )


def _camera(frame: Frame) -> str:
    """Make and model; many models begin with their make."""
    make, model = frame.source.make, frame.source.model
    return model if make and model.startswith(make) else f"{make} {model}".strip()


def middle(size: tuple[int, int], largest: int | None) -> tuple[int, int, int, int]:
    """Top, left, height and width of the middle of a frame."""
    height, width = (min(side, largest or side) for side in size)
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def neutral(frame: Frame, adaptation: str = NEUTRAL["colour_balance.adaptation"]) -> Image:
    """Our neutral rendering as linear sRGB `(H, W, 3)`."""
    graph = ispdsl.build(ispdsl.load(str(ROOT / "pipelines" / "photo_finish.isp")))
    settings = ispdsl.Settings.of(graph).update({**NEUTRAL, "colour_balance.adaptation": adaptation})
    display = develop(graph, frame, settings).outputs["display"].image
    return colour.cctf_decoding(display.transpose(1, 2, 0).astype(np.float64), function="sRGB")


def libraw(path: Path, frame: Frame) -> Image:
    """LibRaw's rendering of a file as linear sRGB `(H, W, 3)`, with the white balance of `frame`.

    LibRaw can only guess at mosaics without a header: it is shown a DNG with the samples and metadata of `frame`.
    """
    data = io.BytesIO(as_dng(frame) if frame.source.decoder == "headerless" else path.read_bytes())
    red, green, blue = 1 / np.asarray(frame.metadata["as_shot_neutral"])
    with rawpy.imread(data) as raw:
        codes = raw.postprocess(
            user_wb=[red, green, blue, green],
            demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR,
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=16,
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            user_flip=0,
        )
    return codes.astype(np.float64) / 65535


def as_dng(frame: Frame) -> bytes:
    """A DNG of a Bayer frame. Codes are doubled where a black level lies between two."""
    black = np.asarray(frame.metadata["black_level"])
    scale = 1 if (black == black.round()).all() else 2
    first, second, third, fourth = (round(float(level) * scale) for level in black)
    raw = SyntheticRaw(
        mosaic=frame.image.astype(np.uint16) * np.uint16(scale),
        truth=np.zeros((3, 1, 1), np.float32),
        cfa=frame.cfa,
        black=(first, second, third, fourth),
        white=round(float(frame.metadata["white_level"]) * scale),
        colour_matrix=np.asarray(frame.metadata["colour_matrix_2"]),
        as_shot_neutral=np.asarray(frame.metadata["as_shot_neutral"]),
        baseline_exposure=0.0,
        noise_profile=None,
        gain_map=None,
    )
    return encode_dng(raw)


def differences(one: Image, other: Image) -> NDArray[np.float32]:
    """CIEDE2000 of every pixel of two images `(H, W, 3)` in linear sRGB."""
    parts = range(0, len(one), 256)  # colour-science needs some hundred bytes a pixel
    found = [colour.delta_E(lab(one[row : row + 256]), lab(other[row : row + 256]), method="CIE 2000") for row in parts]
    return np.concatenate(found).astype(np.float32)


def lab(linear: Image) -> Image:
    """CIE L*a*b* under D65 of linear sRGB."""
    srgb = colour.RGB_COLOURSPACES["sRGB"]
    return colour.XYZ_to_Lab(linear @ srgb.matrix_RGB_to_XYZ.T, srgb.whitepoint)


def raw_files(folder: Path) -> list[Path]:
    """Every file under a folder that may be a raw."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix not in BESIDE_RAWS)


def synthetic(folder: Path, seeds: Sequence[int]) -> Iterator[Comparison]:
    """One synthetic raw for each seed, in the four phases of the CFA by turns."""
    for index, seed in enumerate(seeds):
        cfa = BAYER[index % len(BAYER)]
        path = folder / f"synthetic_{cfa}_seed{seed}.dng"
        write_dng(path, synthesise(sample_photo("motorcycle", 512), seed=seed, cfa=cfa))
        yield compare(path)


def measure(folder: Path | None, seeds: Sequence[int]) -> dict[str, object]:
    """All comparisons, what could not be read and why, and what they were made with."""
    with tempfile.TemporaryDirectory() as scratch:
        found = list(synthetic(Path(scratch), seeds))
    refused: dict[str, str] = {}
    for path in raw_files(folder) if folder else ():
        name = str(path.relative_to(folder)) if folder else path.name
        try:
            found.append(compare(path, name))
        except RawError as error:
            refused[name] = error.message.replace(str(path), path.name)
    programs = ("ispdsl", "torch", "numpy", "rawpy", "colour-science")
    libraw_version = ".".join(map(str, rawpy.libraw_version))
    return {
        "measure": "CIEDE2000 between neutral photo_finish and LibRaw, every pixel but a rim of 2",
        "settings": NEUTRAL,
        "seeds": list(seeds),
        "versions": {
            "python": platform.python_version(),
            "LibRaw": libraw_version,
            **{program: version(program) for program in programs},
        },
        "threads": torch.get_num_threads(),
        "comparisons": [asdict(one) for one in found],
        "refused": refused,
    }


def table(found: dict[str, object]) -> str:
    """The comparisons as a Markdown page."""
    comparisons, refused, versions = found["comparisons"], found["refused"], found["versions"]
    assert isinstance(comparisons, list)
    assert isinstance(refused, dict)
    assert isinstance(versions, dict)
    rows = [
        f"| {one['file']} | {one['camera']} | `{one['type']}` | {one['width']} x {one['height']} "
        f"| {one['mean']:.3f} | {one['p95']:.3f} | {one['max']:.2f} | {one['mean_bradford']:.3f} "
        f"| {one['seconds']:.1f} |"
        for one in comparisons
    ]
    worst = max(comparisons, key=lambda one: one["mean"])
    lines = [
        "# Neutral rendering against LibRaw",
        "",
        "CIEDE2000 between `pipelines/photo_finish.isp` with neutral sliders and LibRaw: both with bilinear",
        "demosaicking, the same white balance and matrix, linear sRGB, no brightening; every pixel but a rim of 2.",
        "By default `colour_balance` does more than LibRaw: it interpolates between a DNG's two illuminants and",
        "adapts by Bradford; the column *DNG* is the mean with that.",
        "Frames without a header were shown to LibRaw as DNGs. Made by `make reproduce-neutral DATA=folder`.",
        "",
        f"{len(comparisons)} raws; the largest mean is **{worst['mean']:.3f}** ({worst['file']}).",
        "",
        "| raw | camera | type | size | mean | 95 % | largest | DNG | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        *(["Not rendered:", "", *(f"- {why}" for why in refused.values()), ""] if refused else []),
        "Versions: " + ", ".join(f"{program} {number}" for program, number in versions.items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write `neutral.json` and `neutral.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        help="a folder of raws, searched through, or one that holds them in raw/; without it, synthetic raws only",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reproduce", help="where the results go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3], help="of the synthetic raws")
    given = parser.parse_args()
    data = given.data / "raw" if given.data and (given.data / "raw").is_dir() else given.data
    found = measure(data, given.seeds)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "neutral.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    (given.output / "neutral.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
