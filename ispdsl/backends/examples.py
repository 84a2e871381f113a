"""Calls of a composite to trace or to try it with: made-up scenes, and the metadata of a camera that could be."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ispdsl.backends.arguments import Arguments, arguments, read_metadata
from ispdsl.backends.composite import Composite
from ispdsl.errors import CompileError
from ispdsl.ir.model import Meta
from ispdsl.ir.params import Register, Slider, Table
from ispdsl.ir.types import INTEGER_STORAGE, Type
from ispdsl.ir.units import canonical

GRID = (4, 3, 5)
"""Planes, rows and columns of the grids of metadata that are traced; packages take any rows and columns."""

CAMERA = ((0.71, -0.19, -0.07), (-0.43, 1.24, 0.21), (-0.09, 0.19, 0.61))
"""XYZ to camera RGB of a camera that does not exist and could."""

BLACK, WHITE = 512.0, 16383.0
"""Codes of black and white of that camera."""

KNOWN = {
    "as_shot_neutral": (0.52, 1.0, 0.64),
    "as_shot_temperature": 5200.0,
    "as_shot_tint": 4.0,
    "baseline_exposure": 0.25,
    "black_level": BLACK,
    "illuminant_1": 2856.0,
    "illuminant_2": 6504.0,
    "white_level": WHITE,
}
"""Metadata of that camera by name; what is not here is 1."""


def example(composite: Composite, size: tuple[int, int], device: str = "cpu", seed: int = 0) -> Arguments:
    """A call to trace or to try: a smooth scene with some noise, settings at their start, metadata of a likely camera.

    Raises:
        CompileError: the pipeline reads text of the frame.
    """
    graph = composite.plan.graph
    images = {port.name: _scene(port.type, size, seed).to(device) for port in graph.inputs if port.type.is_image}
    read = read_metadata(composite) | {slot.start_meta for slot in graph.slots if slot.drives and slot.start_meta}
    metadata = {meta.name: _likely(meta).to(device) for meta in graph.metas if meta.name in read}
    given = arguments(composite, images, None, metadata)
    if not composite.feeds_back:
        return given
    before = composite.grey_before(given.images, {**given.settings, **given.choices}, given.metadata)
    return replace(given, previous=before)


def _scene(type_: Type, size: tuple[int, int], seed: int) -> Tensor:
    """A scene ``(C, H, W)`` of waves with 2 % of noise, in the codes of its type."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (torch.linspace(0, 1, side) for side in size)
    rows = rows[:, None]
    waves = [
        (torch.sin(9 * rows + plane) * torch.cos(7 * columns - plane) + 1) * (0.1 + 0.15 * (rows + columns))
        for plane in range(type_.planes)
    ]
    noisy = torch.stack(waves) * (1 + 0.02 * torch.randn(type_.planes, *size, generator=generator))
    storage = INTEGER_STORAGE.fullmatch(str(type_.args[-1]))
    if storage is None:
        return noisy.clamp(0.002, 1)
    black, white = (BLACK, WHITE) if type_.name == "raw" else (0.0, 2.0 ** int(storage[1]) - 1)
    return (black + noisy.clamp(0.002, 1) * (white - black)).round()


def _likely(meta: Meta) -> Tensor:
    """Numbers of the shape of a value of metadata, such as a camera writes them."""
    sizes = tuple(each for each in meta.type.args if isinstance(each, int))
    if meta.type.name == "grid":
        return torch.linspace(1, 1.5, math.prod(GRID)).reshape(GRID)
    if meta.type.name == "text":
        raise CompileError(f"the pipeline reads the text {meta.name} of the frame, which a package cannot")
    if meta.type.name == "matrix":
        return torch.tensor(CAMERA) if sizes == (3, 3) else torch.eye(*sizes)
    found = torch.tensor(KNOWN.get(meta.name, 1.0))
    return found.expand(sizes).contiguous() if found.dim() == 0 else found


def moved(composite: Composite, given: Arguments) -> dict[str, Tensor]:
    """Numbers a tenth of the way from where they are to the middle of what is legal."""
    slots = {slot.address: slot for slot in composite.slots}
    moved: dict[str, Tensor] = {}
    for address, value in given.settings.items():
        declaration = slots[address].declaration
        assert isinstance(declaration, Slider | Register | Table), "numbers"
        low, high = (canonical(end, declaration.unit) for end in declaration.hard or (math.inf, math.inf))
        moved[address] = value + 0.1 * ((low + high) / 2 - value) if math.isfinite(low + high) else value
    return moved


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, in shares of 1 or of the largest of `other` if that is more.

    Infinite where one is not finite, or the shapes differ.
    """
    if one.shape != other.shape:
        return math.inf
    apart = (one - other).abs().max() if one.numel() else torch.zeros(())
    share = float(apart / other.abs().max().clamp(min=1)) if one.numel() else 0.0
    return share if math.isfinite(share) else math.inf
