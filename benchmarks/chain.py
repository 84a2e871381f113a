"""Eight stages that look at no neighbours, against C++: `python -m benchmarks.chain --json FILE`.

By turns in one process, on a picture of twelve megapixels: the pipeline `chain.isp` lowered to Halide, by inductor
where there is a C++ compiler, by plain torch, and as one loop of C++ over the pixels (`chain.cpp`) with
Halide's polynomials for powers, the four linear stages as one matrix, and every number known when it is compiled by
`g++ -O3 -march=native -ffast-math`. Ratios are medians over turns of each by the program of C++.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ispdsl
from benchmarks.gauss_newton import METADATA, PIPELINE
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors
from ispdsl.cli.memory import keep_pages
from ispdsl.programs import tone
from ispdsl.runtime.values import Settings

FLAGS = ("-std=c++20", "-O3", "-march=native", "-ffast-math", "-fPIC", "-pthread")

LINEAR = "mixed"
"""The tap after the linear stages."""

Work = Callable[[], Tensor]


def scene(height: int, width: int) -> tuple[Composite, Settings, Tensor]:
    """The pipeline with its settings, and a picture."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    settings = Settings.of(graph).resolved(METADATA)
    image = 0.01 + 0.2 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) ** 2
    return compile(graph, taps=()), settings, image


def matrix() -> Tensor:
    """What the linear stages do to red, green and blue, ``(3, 3)``, by asking them."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    settings = Settings.of(graph).resolved(METADATA)
    basis = torch.eye(3)[None, :, None, :]
    tapped = compile(graph, taps=(LINEAR,))(basis, tensors(settings), METADATA)
    return tapped.taps[LINEAR][0, :, 0, :]


def constants(settings: Settings) -> str:
    """The numbers of the settings and of the polynomials, as C++."""
    from ispdsl.backends.halide.powers import EXP2, LOG2

    def value(address: str) -> float:
        return float(tensors(settings)[address])

    a, b, c, d, e, f = (
        value(f"hable.{name}") for name in ("shoulder", "linear", "angle", "toe", "toe_numerator", "toe_denominator")
    )
    white = value("hable.white")
    top = (a * white * (1 - e / f) + b * (c - e / f)) / (white * (a * white + b) + d * f) * white
    named = {
        "HABLE_GAIN": 2 ** value("hable.ev"),
        "HABLE_A": a * (1 - e / f) / top,
        "HABLE_B": b * (c - e / f) / top,
        **{"HABLE_C": a, "HABLE_D": b, "HABLE_E": d * f},
        "PIVOT": value("contrast.pivot"),
        "BELOW": -0.5 / tone.CONTRAST_WIDTH_BELOW**2 / math.log(2),
        "ABOVE": -0.5 / tone.CONTRAST_WIDTH_ABOVE**2 / math.log(2),
        "CONTRAST": tone.CONTRAST_STRENGTH * value("contrast.amount"),
        "GAMMA": 0.5 * (value("gamma.gamma") - 1),
    }

    def row(numbers: Iterable[float]) -> str:
        return "{" + ", ".join(f"{number!r}f" for number in numbers) + "}"

    lines = [f"static const float {name} = {number!r}f;" for name, number in named.items()]
    lines += [f"static const float {name}[] = {row(numbers)};" for name, numbers in (("LOG2", LOG2), ("EXP2", EXP2))]
    rows = ", ".join(row(each) for each in matrix().tolist())
    return "\n".join([*lines, f"static const float MATRIX[3][3] = {{{rows}}};", ""])


def by_cpp(settings: Settings, image: Tensor, threads: int, folder: Path) -> Work:
    """The loop of C++ over the picture; its result is written to the same memory each time."""
    source, code, library = (folder / f"chain.{suffix}" for suffix in ("cpp", "o", "so"))
    source.write_text(constants(settings) + (Path(__file__).parent / "chain.cpp").read_text())
    subprocess.run(["g++", *FLAGS, "-c", str(source), "-o", str(code)], check=True)
    # Linked without -ffast-math, which would make all of the process take tiny numbers for 0.
    subprocess.run(["g++", "-shared", "-pthread", str(code), "-o", str(library)], check=True)
    function = ctypes.CDLL(str(library)).chain
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
    found = torch.empty_like(image)

    def work() -> Tensor:
        function(image.data_ptr(), found.data_ptr(), image[0, 0].numel(), threads)
        return found

    return work


def works(height: int, width: int, threads: int, folder: Path) -> dict[str, Work]:
    """What is measured, by name."""
    from ispdsl.backends.halide.compiled import lower

    composite, settings, image = scene(height, width)
    given = tensors(settings)
    program = lower(composite, given, METADATA, tuple(image.shape))
    metadata = {name: torch.tensor(value) for name, value in METADATA.items()}

    def eager() -> Tensor:
        with torch.no_grad():
            return composite(image, given, metadata).image

    return {
        "C++": by_cpp(settings, image, threads, folder),
        "Halide": lambda: program(image),
        "inductor": torch.compile(eager),
        "eager": eager,
    }


def seconds(work: Work) -> float:
    """Of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(3000, 4000), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="write what was found here too")
    given = parser.parse_args()
    os.environ["HL_NUM_THREADS"] = str(given.threads)
    torch.set_num_threads(given.threads)
    keep_pages()
    with tempfile.TemporaryDirectory() as folder:
        measured = works(given.size[0], given.size[1], given.threads, Path(folder))
        wanted = measured["eager"]().clone()
        apart = {name: float((work() - wanted).abs().max()) for name, work in measured.items()}
        turns = [{name: seconds(work) for name, work in measured.items()} for _ in range(given.turns)]
    median = {name: statistics.median(turn[name] for turn in turns) for name in measured}
    ratios = {name: statistics.median(turn[name] / turn["C++"] for turn in turns) for name in measured}
    found: dict[str, Any] = {
        "size": list(given.size),
        "threads": given.threads,
        "base": "C++",
        "seconds": median,
        "least_seconds": {name: min(turn[name] for turn in turns) for name in measured},
        "ratios": ratios,
        "apart_from_torch": apart,
        "versions": {"halide": version("halide"), "torch": version("torch")},
    }
    for name in measured:
        print(f"{name:10} {1e3 * median[name]:8.1f} ms   {ratios[name]:6.2f} of C++   {apart[name]:.1e} from torch")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
