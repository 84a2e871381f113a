"""Cold, warm and steady times of a pipeline uncompiled, by inductor and built ahead: `python -m benchmarks.compiled`.

Start-up is that of whole processes, each way in one of its own: cold with an empty cache of inductor, warm with the
one that the cold process filled. Steady times are of calls in turns in one process. Prints JSON; `-o` keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ispdsl.backends.arguments import Arguments

EIGHT = """
from tone   import exposure, contrast, gamma
from colour import colour_matrix, saturation, desaturation, srgb

## Eight pointwise stages.
pipeline eight(image: rgb<linear_srgb, f32>) -> (display: rgb<srgb, unit>) {
  display = image
    -> exposure(ev = 0.3ev) -> colour_matrix -> saturation(amount = 110%) -> contrast(amount = 20%)
    -> desaturation -> gamma -> exposure(ev = -0.1ev) as trim -> srgb
}
"""

WAYS = ("plain", "inductor", "ahead")


def pipeline_of(name: str, folder: Path) -> Path:
    """The file of a pipeline: ``eight``, one of those that come with ispdsl, or a path."""
    if name == "eight":
        path = folder / "eight.isp"
        path.write_text(EIGHT)
        return path
    shipped = Path(__file__).parents[1] / "pipelines" / f"{name}.isp"
    return shipped if shipped.is_file() else Path(name)


def composite_of(path: Path) -> Any:
    """The composite of a file, for an RGGB mosaic where it takes one, without taps."""
    import ispdsl

    graph = ispdsl.build(ispdsl.load(path))
    raw = any(port.type.name == "raw" for port in graph.inputs)
    return ispdsl.compile(graph, cfa="rggb" if raw else None, taps=())


def call_of(path: Path, sides: tuple[int, int]) -> tuple[Any, Arguments]:
    """The composite of a file, and a call of it."""
    from ispdsl.backends.examples import example

    composite = composite_of(path)
    return composite, example(composite, sides)


def way_of(way: str, composite: Any, given: Arguments, package: Path) -> Callable[[], Any]:
    """A function of one call in one of the ways; its modules are imported here, since a user waits for them."""
    settings = {**given.settings, **given.choices}
    if way == "ahead":
        from ispdsl.backends.built import load_built

        built = load_built(package)
        return lambda: built(given.images, given.settings, given.metadata, given.previous)
    if way == "inductor":
        from ispdsl.backends.inductor import inductor

        composite = inductor(composite)
    return lambda: composite(given.images, settings, given.metadata, given.previous)


def started(way: str, path: Path, package: Path, sides: tuple[int, int]) -> dict[str, float]:
    """Seconds until a way is ready, for the first picture and for the second one; asked of a child."""
    import torch

    with torch.no_grad():
        composite, given = call_of(path, sides)
        before = time.perf_counter()
        call = way_of(way, composite, given, package)
        ready = time.perf_counter()
        call()
        first = time.perf_counter()
        call()
    return {"ready": ready - before, "first": first - ready, "second": time.perf_counter() - first}


def child(way: str, path: Path, package: Path, sides: tuple[int, int], cache: Path) -> dict[str, float]:
    """Run `started` in a process of its own; with the seconds of all of it and of importing torch."""
    words = [sys.executable, "-m", "benchmarks.compiled", "--child", way, "--pipeline", str(path)]
    words += ["--package", str(package), "--size", *map(str, sides)]
    before = time.perf_counter()
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(cache)}
    )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"whole": time.perf_counter() - before}


def steady(path: Path, package: Path, sides: tuple[int, int], rounds: int) -> dict[str, dict[str, float]]:
    """Median and quartiles of seconds a call, of calls in turns: forward, and forward with backward."""
    import torch

    composite, given = call_of(path, sides)
    runs = {way: way_of(way, composite, given, package) for way in WAYS}
    kinds: dict[str, Callable[[], Any]] = {f"{way} forward": call for way, call in runs.items()}

    def with_gradients(way: str) -> Callable[[], Any]:
        def both() -> None:
            for value in given.settings.values():
                value.requires_grad_()
            runs[way]().image.mean().backward()
            for value in given.settings.values():
                value.requires_grad_(False)

        return both

    kinds |= {f"{way} forward and backward": with_gradients(way) for way in ("plain", "inductor")}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 2):
        for name, call in kinds.items():
            before = time.perf_counter()
            with torch.set_grad_enabled(name.endswith("backward")):
                call()
            if turn > 1:
                seconds[name].append(time.perf_counter() - before)
    found: dict[str, dict[str, float]] = {}
    for name, each in seconds.items():
        low, middle, high = statistics.quantiles(each, n=4)
        found[name] = {"median": middle, "low": low, "high": high}
    return found


def measured(name: str, sides: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Everything of one pipeline at one size."""
    import torch

    from ispdsl.backends.ahead import build

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        path, package = pipeline_of(name, folder), folder / "built.pt2"
        composite = composite_of(path)
        made = build(composite, package)
        starts = {
            "plain": child("plain", path, package, sides, folder / "none"),
            "inductor cold": child("inductor", path, package, sides, folder / "cache"),
            "inductor warm": child("inductor", path, package, sides, folder / "cache"),
            "ahead": child("ahead", path, package, sides, folder / "none"),
        }
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "cache")
        return {
            "pipeline": name,
            "steps": len(composite.steps),
            "size": sides,
            "build": made.record.seconds,
            "errors": made.record.errors,
            "start": starts,
            "steady": steady(path, package, sides, rounds),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "isa": made.record.machine.isa,
            "system": platform.platform(),
            "load": os.getloadavg()[0],
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", action="append", help="eight, a shipped pipeline or a file; may be repeated")
    parser.add_argument("--size", nargs=2, type=int, default=(1024, 1024), metavar=("H", "W"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--package", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sides = (given.size[0], given.size[1])
    if given.child:
        print(json.dumps(started(given.child, Path(given.pipeline[0]), given.package, sides)))
        return
    found = [measured(name, sides, given.rounds) for name in given.pipeline or ["eight", "photo_finish"]]
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
