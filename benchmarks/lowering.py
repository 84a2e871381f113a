"""Which shipped pipelines and stages Halide computes, and what it leaves to torch: `python -m benchmarks.lowering`.

Each pipeline is compiled for a small mosaic, with its settings where they start, and compared with the composite.
`--stages` takes every stage of a module of the standard library instead that turns a colour image into one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.halide.compiled import Compiled, lower
from ispdsl.errors import UserError
from ispdsl.graph import build
from ispdsl.lower.loader import load

ROOT = Path(__file__).parents[1]
SIZE = (32, 40)

METADATA: Mapping[str, Any] = {
    "black_level": [64.0] * 4,
    "white_level": 4095.0,
    "as_shot_neutral": [0.5, 1.0, 0.6],
    "as_shot_temperature": 5200.0,
    "as_shot_tint": 3.0,
    "colour_matrix_1": [[0.9, -0.2, -0.1], [-0.4, 1.3, 0.1], [-0.05, 0.2, 0.6]],
    "colour_matrix_2": [[0.8, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.05, 0.2, 0.5]],
    "illuminant_1": 2856.0,
    "illuminant_2": 6504.0,
}
"""Of a camera that does not exist."""

STAGE = """
from {module} import {name}

pipeline one(image: {taken}) -> (result: {given}) {{
  result = image -> {name}
}}
"""


def pipelines() -> Iterator[tuple[str, Composite, int]]:
    """Name, composite and planes of the image of the pipelines that the composite can run."""
    for path in sorted((ROOT / "pipelines").glob("*.isp")):
        try:
            yield path.stem, compile(build(load(path)), cfa="rggb", taps=()), 1
        except UserError as error:
            print(f"| {path.stem} | - | - | {error.message} |")


def compared(composite: Composite, planes: int) -> tuple[Compiled, float]:
    """A composite compiled, and its largest difference from torch."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, planes, *SIZE, generator=generator) ** 2
    if planes == 1:
        image = 64 + 3500 * image
    settings = composite.start(METADATA, torch.float32)
    compiled = lower(composite, settings, METADATA, tuple(image.shape))
    return compiled, float((compiled(image) - composite(image, settings, METADATA).image).abs().max())


def row(name: str, composite: Composite, planes: int) -> str:
    """A line of the table."""
    try:
        compiled, error = compared(composite, planes)
    except UserError as failure:
        return f"| {name} | no | - | {failure.message} |"
    if not compiled.left:
        return f"| {name} | in full | {error:.1e} | |"
    first = {each.where: each for each in reversed(compiled.left)}
    found = "; ".join(f"{each.where.split(',')[0].removeprefix('node ')}: {each.target}" for each in first.values())
    return f"| {name} | in part | {error:.1e} | {found} |"


def stages(module: str) -> Iterator[tuple[str, Composite, int]]:
    """The stages of a module of the standard library that turn a colour image into one."""
    for name, stage in load(ROOT / "stdlib" / f"{module}.isp").stages.items():
        signature = stage.signature
        if len(signature.inputs) != 1 or signature.needs or len(signature.outputs) != 1:
            continue
        if any(port.type.name != "rgb" for port in (*signature.inputs, *signature.outputs)):
            continue
        kinds = [str(port.type) for port in (*signature.inputs, *signature.outputs)]
        taken, given = (kind.replace("<S,", "<linear_srgb,").replace("<T,", "<linear_srgb,") for kind in kinds)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "one.isp"
            path.write_text(STAGE.format(module=module, name=name, taken=taken, given=given))
            try:
                made = compile(build(load(path)), taps=())
            except UserError as error:
                print(f"| {module}.{name} | not asked | - | {error.message} |")
                continue
        yield f"{module}.{name}", made, 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", metavar="MODULE", help="of stages of stdlib/MODULE.isp")
    arguments = parser.parse_args()
    print("| of | by Halide | largest error | left to torch: node and first operation |")
    print("|---|---|---|---|")
    for each in stages(arguments.stages) if arguments.stages else pipelines():
        print(row(*each), flush=True)


if __name__ == "__main__":
    main()
