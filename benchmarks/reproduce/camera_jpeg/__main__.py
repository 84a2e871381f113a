"""Find the sliders of `photo_finish` that come nearest to what cameras made of their own raws.

Every JPEG below the folder whose name begins as that of a raw there is taken for the camera's picture of it; it has to
be found on the raw by registration, or is left out. What was found is rendered in full and compared on the JPEG's own
grid, and so is the default rendering; as the cameras' sharpening and noise reduction are no sliders, on the coarse grid
of the search as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import ispdsl
from benchmarks.reproduce.approximation.raws import NO_RAWS
from ispdsl.comparison.pair import compare
from ispdsl.graph import Graph
from ispdsl.optimise.aligned import Aligned, align
from ispdsl.optimise.registration import Placement, RegistrationError, register, sketch
from ispdsl.runtime.frame import Frame, RawError
from ispdsl.runtime.pictures import read_picture
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings

ROOT = Path(__file__).parents[3]
PIPELINE = ROOT / "pipelines" / "photo_finish.isp"
SEEDS = 10
JPEGS = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Match:
    """How near a rendering is to a JPEG: means over all pixels and cells, and PSNR in dB.

    Attributes:
        ciede2000, psnr: on the JPEG's own grid.
        coarse: CIEDE2000 on the coarse grid.
    """

    ciede2000: float
    psnr: float
    coarse: float


@dataclass(frozen=True)
class Trial:
    """One search: its seed, the calls it took, what it found, and how near that is."""

    seed: int
    calls: int
    settings: dict[str, Any]
    found: Match


@dataclass(frozen=True, eq=False)
class Couple:
    """A raw with its camera's JPEG, and where it lies."""

    raw: Path
    jpeg: Path
    frame: Frame
    fine: Aligned
    coarse: Aligned
    placement: Placement


def couples(folder: Path, skipped: list[str]) -> Iterator[Couple]:
    """Raws with a JPEG whose name begins as theirs, of which registration says that they are of each other."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    jpegs = [path for path in files if path.suffix.lower() in JPEGS]
    for raw in files:
        mine = [path for path in jpegs if path.stem.lower().startswith(raw.stem.lower())]
        if not mine or not raw.suffix or raw.suffix.lower() in NO_RAWS:
            continue
        try:
            frame = ispdsl.read(raw)
        except RawError as error:
            skipped.append(f"{raw.name}: {error.message}")
            continue
        for jpeg in mine:
            picture = read_picture(jpeg)[0]
            try:
                placement = register(picture, sketch(frame)).on(2)
            except RegistrationError as error:
                skipped.append(f"{jpeg.name}: {error.message}")
                continue
            whole = (0, 0, *frame.size)
            fine = align(picture, placement, whole, cell=1.0, longest=None)
            yield Couple(raw, jpeg, frame, fine, align(picture, placement, whole), placement)


def near(graph: Graph, couple: Couple, settings: Settings) -> Match:
    """Render in full and compare."""
    picture = ispdsl.develop(graph, couple.frame, settings).outputs["display"].image
    type_ = graph.outputs[0].type
    figures = [
        compare("display", "output", type_, (each.grid.of(picture), each.target), couple.frame.metadata).figures
        for each in (couple.fine, couple.coarse)
    ]
    colours = [each.ciede2000 for each in figures if each is not None]
    assert figures[0] is not None
    assert colours[0] is not None
    assert colours[1] is not None
    return Match(colours[0].mean, figures[0].psnr, colours[1].mean)


def searched(couple: Couple, seed: int, sheet: Path | None) -> dict[str, Any]:
    """What `ispdsl regress` says."""
    words = [sys.executable, "-m", "ispdsl", "regress", PIPELINE, couple.raw, couple.jpeg, "--json", "--no-sidecar"]
    words += ["--seed", str(seed), *(["--sheet", sheet] if sheet else [])]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def measure(folder: Path, seeds: Sequence[int], sheets: Path) -> dict[str, Any]:
    """Every pair, from starts by every seed."""
    graph = ispdsl.build(ispdsl.load(str(PIPELINE)))
    skipped: list[str] = []
    pairs: list[dict[str, Any]] = []
    for couple in couples(folder, skipped):
        before = near(graph, couple, Settings.of(graph))
        trials: list[Trial] = []
        for seed in seeds:
            sheet = None if trials else sheets / f"{couple.jpeg.stem}.png"
            told = searched(couple, seed, sheet)
            found = Sidecar(told["settings"]).apply(Settings.of(graph))
            trials.append(Trial(seed, told["calls"], told["settings"], near(graph, couple, found)))
            print(f"{couple.jpeg.name}, seed {seed}: {trials[-1].found}", file=sys.stderr)
        pairs.append(
            {
                "raw": couple.raw.name,
                "jpeg": couple.jpeg.name,
                "placement": asdict(couple.placement),
                "before": asdict(before),
                "trials": [asdict(each) for each in trials],
            }
        )
    if not pairs:
        raise SystemExit(f"{folder} holds no raw with a JPEG of its name; name both alike\n" + "\n".join(skipped))
    return {
        "measure": "mean CIEDE2000 between photo_finish and the camera's own JPEG",
        "pairs": pairs,
        "skipped": skipped,
        "versions": {name: version(name) for name in ("ispdsl", "torch", "numpy", "rawpy")},
    }


def page(result: dict[str, Any]) -> str:
    """The pairs as Markdown."""
    lines = [
        "# Cameras' own JPEGs",
        "",
        "The sliders of `pipelines/photo_finish.isp` that come nearest to what a camera made of its own raw, found by",
        "`ispdsl regress`: mean CIEDE2000 on the JPEG's own grid, with the cameras' sharpening and noise in it, and on",
        "the grid of the search, which has cells of some pixels. Default: the rendering before anything is searched.",
        "Of the found ones the median over seeds of the starts, and the worst seed. The sliders were searched for on",
        "this very picture. Made by `make reproduce-camera-jpeg DATA=folder`.",
        "",
        "| JPEG | scale | seeds | default | found | worst | PSNR | default, coarse | found, coarse | calls |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in result["pairs"]:
        trials, before, place = each["trials"], each["before"], each["placement"]
        found = np.array([[trial["found"][name] for name in ("ciede2000", "psnr", "coarse")] for trial in trials])
        middle = np.median(found, axis=0)
        scale = place["size"][1] / (place["right"] - place["left"])
        lines.append(
            f"| {each['jpeg']} | {scale:.4f} | {len(trials)} | {before['ciede2000']:.2f} | **{middle[0]:.2f}** "
            f"| {found[:, 0].max():.2f} | {before['psnr']:.2f} to {middle[1]:.2f} | {before['coarse']:.2f} "
            f"| {middle[2]:.2f} | {np.median([trial['calls'] for trial in trials]):g} |"
        )
    lines += ["", *(f"- left out: {why}" for why in result["skipped"])]
    lines += ["Versions: " + ", ".join(f"{name} {number}" for name, number in result["versions"].items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write `camera_jpeg.json`, `camera_jpeg.md` and, where one is asked for, sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ISPDSL_DATA"), help="a folder; default: ISPDSL_DATA")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reproduce", help="where the results go")
    parser.add_argument("--sheets", type=Path, help="a folder for pictures of start, target and found")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many sets of starts")
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws and JPEGs? --data FOLDER, or set ISPDSL_DATA")
    with tempfile.TemporaryDirectory() as scratch:
        sheets = given.sheets or Path(scratch)
        sheets.mkdir(parents=True, exist_ok=True)
        result = measure(Path(given.data), range(given.seeds), sheets)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "camera_jpeg.json").write_text(json.dumps(result, indent=2) + "\n")
    (given.output / "camera_jpeg.md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
