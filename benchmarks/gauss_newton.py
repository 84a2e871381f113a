"""What a step of least squares costs beside a gradient: `python -m benchmarks.gauss_newton --json FILE`.

Eight stages, fourteen numbers that are free, a picture of a megapixel. By turns in one process: the gradient in reverse
mode by plain torch and by inductor, the Jacobian in forward mode by torch (`jacfwd`), and the whole system of normal
equations, J^T J and J^T r, by the program of `ispdsl.backends.system`. Ratios are medians over turns of each by the
gradient of inductor; the system is compared with that of the Jacobian.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.backends.front import front_of
from ispdsl.backends.system.fused import Bound, pixels_of, recorded
from ispdsl.backends.vector import tensors, unit_to_settings
from ispdsl.cli.memory import keep_pages
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

PIPELINE = Path(__file__).parent / "chain.isp"

FREE = (
    *("exposure.ev", "colour_matrix.coefficients", "saturation.amount"),
    *("hable.white", "contrast.amount", "gamma.gamma"),
)
"""Fourteen numbers: the matrix has nine."""

METADATA = {
    "as_shot_neutral": [0.5, 1.0, 0.6],
    "as_shot_temperature": 5200.0,
    "as_shot_tint": 3.0,
    "colour_matrix_1": [[0.9, -0.2, -0.1], [-0.4, 1.3, 0.1], [-0.05, 0.2, 0.6]],
    "colour_matrix_2": [[0.8, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.05, 0.2, 0.5]],
    "illuminant_1": 2856.0,
    "illuminant_2": 6504.0,
}
"""Of a camera that does not exist."""

Picture = Callable[[Tensor], Tensor]


def scene(size: int) -> tuple[Picture, Tensor, Tensor, Callable[[], Bound]]:
    """The picture as a function of a point, the target, a point, and what makes the program of the system."""
    graph = ispdsl.build(ispdsl.load(PIPELINE))
    composite = compile(graph, taps=())
    settings = Settings.of(graph).resolved(METADATA)
    vector, held = Vector.of(settings, "unit", list(FREE)), tensors(settings)
    metadata = {name: torch.tensor(value) for name, value in METADATA.items()}
    image = 0.01 + 0.2 * torch.rand(3, size, size, generator=torch.Generator().manual_seed(0)) ** 2

    def picture(x: Tensor) -> Tensor:
        return composite(image, {**held, **unit_to_settings(vector, x)}, metadata).image

    point = torch.tensor(vector.to_vector(settings), dtype=torch.float64)
    with torch.no_grad():
        target = picture(point + 0.002)

    def program() -> Bound:
        front = front_of(composite, image, held, metadata, FREE)
        assert front is not None, "all stages look at the pixel alone"
        made = recorded(front, vector, held, metadata)
        return made.over(pixels_of(front, np.arange(size * size)), target.flatten(-2).numpy())

    return picture, target, point, program


def seconds(work: Callable[[], object]) -> float:
    """Of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def works(picture: Picture, target: Tensor, point: Tensor, sums: Bound, inductor: bool) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""

    def loss(x: Tensor) -> Tensor:
        return (picture(x) - target).square().sum()

    def gradient(of: Callable[[Tensor], Tensor]) -> Tensor:
        x = point.clone().requires_grad_()
        return torch.autograd.grad(of(x), x)[0]

    made: dict[str, Callable[[], Any]] = {"reverse, eager": lambda: gradient(loss)}
    if inductor:
        compiled = torch.compile(loss)
        made["reverse, inductor"] = lambda: gradient(compiled)
    made["jacfwd"] = lambda: torch.func.jacfwd(picture)(point)
    made["system"] = lambda: sums.at(point.numpy())
    return made


def agreement(picture: Picture, target: Tensor, point: Tensor, sums: Bound) -> dict[str, float]:
    """How far the system is from that of torch's Jacobian, as parts."""
    slopes = torch.func.jacfwd(picture)(point).reshape(-1, point.numel()).double().numpy()
    with torch.no_grad():
        apart = (picture(point) - target).flatten().double().numpy()
    normal, slope, cost = sums.at(point.numpy())
    wanted, pull = slopes.T @ slopes, slopes.T @ apart
    return {
        "normal": float(np.linalg.norm(normal - wanted) / np.linalg.norm(wanted)),
        "slope": float(np.linalg.norm(slope - pull) / np.linalg.norm(pull)),
        "cost": float(abs(cost / (apart @ apart) - 1)),
    }


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="pixels across")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--json", type=Path, help="write what was found here too")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_pages()
    inductor = shutil.which("g++") is not None
    if not inductor:
        print("there is no g++, which inductor needs: it is left out")
    picture, target, point, program = scene(given.size)
    begun, spent = time.perf_counter(), time.process_time()
    sums = program()
    compiling = {"wall_s": time.perf_counter() - begun, "cpu_s": time.process_time() - spent}
    measured = works(picture, target, point, sums, inductor)
    for work in measured.values():
        work()
        work()
    turns = [{name: seconds(work) for name, work in measured.items()} for _ in range(given.turns)]
    median = {name: statistics.median(turn[name] for turn in turns) for name in measured}
    base = "reverse, inductor" if inductor else "reverse, eager"
    ratios = {name: statistics.median(turn[name] / turn[base] for turn in turns) for name in measured}
    found: dict[str, Any] = {
        "size": given.size,
        "free": point.numel(),
        "threads": given.threads,
        "base": base,
        "seconds": median,
        "least_seconds": {name: min(turn[name] for turn in turns) for name in measured},
        "ratios": ratios,
        "compiling": compiling,
        "apart_from_torch": agreement(picture, target, point, sums),
        "versions": {"halide": version("halide"), "torch": version("torch")},
    }
    for name in measured:
        print(f"{name:18} {1e3 * median[name]:8.1f} ms   {ratios[name]:6.2f} of {base}")
    print(f"the program is compiled in {compiling['wall_s']:.1f} s ({compiling['cpu_s']:.1f} s of a core)")
    print("apart from torch: " + ", ".join(f"{name} {value:.1e}" for name, value in found["apart_from_torch"].items()))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
