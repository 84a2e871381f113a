"""Megapixels a second against the size of the image: `python -m benchmarks.speed [--raw RAW]`.

Each size is measured by `ispdsl bench` in a process of its own, its contenders by turns. Where the system ends that
process, as for want of memory, each contender is measured beside the first one alone, every pair in its own process;
what fails then is written down as failed. Writes sizes.json, sizes.md and sizes.png into a folder. Without a raw, a
synthetic one is taken, of which larger ones are tiled.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.page import page
from ispdsl.bench.plot import plot_sizes
from ispdsl.bench.registry import CONTENDERS
from ispdsl.synthetic.samples import write_demo_raw

HERE = Path(__file__).parent
SIZES = (0.25, 1.0, 4.0, 12.0, 25.0, 50.0, 100.0)
"""Megapixels."""

LONGEST = 3600.0
"""Seconds that one size may take."""

KILLED = "the system ended it, as it does for want of memory"


def measured(command: Sequence[str]) -> dict[str, Any]:
    """What `ispdsl bench` says, or what went wrong with it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "ispdsl", "bench", *command, "--json"],
            capture_output=True,
            text=True,
            timeout=LONGEST,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {LONGEST:g} s"}
    if ended.returncode == -signal.SIGKILL:
        return {"failed": KILLED}
    if ended.returncode:
        return {"failed": (ended.stderr.strip() or f"exit status {ended.returncode}").splitlines()[-1]}
    return json.loads(ended.stdout)


def in_pairs(command: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """As `measured`, with each contender beside the first that can run in a process of their own."""
    found: dict[str, Any] = {}
    others: list[dict[str, Any]] = []
    for name in names:
        pair = measured([*command, "--against", name])
        if "failed" in pair:
            others.append({"name": name, "failed": pair["failed"]})
            continue
        found = found or pair
        others += [each for each in pair["forward"]["contenders"][1:] if each["name"] == name]
    if not found:
        return {"failed": KILLED}
    first = found["forward"]["contenders"][0]
    forward = {**found["forward"], "contenders": [first, *(each for each in others if each["name"] != first["name"])]}
    return {**found, "forward": forward, "in_pairs": True}


def rates(found: Mapping[str, Mapping[str, Any]], part: str) -> dict[str, dict[float, float]]:
    """Megapixels a second by contender and megapixels, of the forward passes or of the gradients."""
    shown: dict[str, dict[float, float]] = {}
    for result in found.values():
        field: Mapping[str, Any] = result.get(part) or {"contenders": ()}
        for each in field["contenders"]:
            if "megapixels_a_second" in each:
                size = field["size"][0] * field["size"][1] / 1e6
                shown.setdefault(each["name"], {})[size] = each["megapixels_a_second"]
    return shown


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--raw", type=Path, help="to cut and tile; default: a synthetic one")
    parser.add_argument("--pipeline", default=str(HERE / "small.isp"), help="a .isp file, or a shipped pipeline's name")
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES, metavar="MP")
    parser.add_argument("--against", action="append", default=[], metavar="NAME", help="as with ispdsl bench")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="for the contenders of one size, warming up not counted"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=HERE, metavar="FOLDER")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write the figures and their plot after every size."""
    given = parsed(words)
    given.output.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        raw = given.raw
        if raw is None:
            raw = Path(folder) / "synthetic.dng"
            write_demo_raw(raw)
        common = [
            given.pipeline,
            str(raw),
            "--no-cold",
            "--no-stages",
            "--no-gradients",
            "--seconds",
            str(given.seconds),
        ]
        common += ["--threads", str(given.threads)] if given.threads else []
        for size in given.sizes:
            command, named = [*common, "--size", str(size)], [f"--against={name}" for name in given.against]
            result = measured([*named, *command])
            if result.get("failed") == KILLED:
                names = given.against or [each.name for each in CONTENDERS]
                result = in_pairs(command, names)
            found[f"{size:g}"] = result
            (given.output / "sizes.json").write_text(json.dumps(found, indent=1) + "\n")
            print(f"{size:g} MP: {summary(found[f'{size:g}'])}", flush=True)
            shown = rates(found, "forward")
            if shown:
                (given.output / "sizes.md").write_text(page(found, Path(given.pipeline).stem))
                plot_sizes(given.output / "sizes.png", f"{Path(given.pipeline).stem}: speed against size", shown)


def summary(result: Mapping[str, Any]) -> str:
    """A line on one size."""
    if "failed" in result:
        return f"failed: {result['failed']}"
    told = [
        f"{each['name']} {each['megapixels_a_second']:.1f}" if "median" in each else f"{each['name']} -"
        for each in result["forward"]["contenders"]
    ]
    return "MP/s " + ", ".join(told)


if __name__ == "__main__":
    main()
