"""Raws of known scenes and the shipped pipelines, for tests of the whole way from text and raw to picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import tensors
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from ispdsl.synthetic.samples import resize

PIPELINES = Path(__file__).parents[1] / "pipelines"
FREE = {"photo_finish": 9, "camera": 25, "low_light": 11, "learned_isp": 37}
"""The shipped pipelines, and how many numbers each leaves free."""

Leaves = dict[str, Tensor]


@cache
def graph(name: str) -> Graph:
    return build(load(PIPELINES / f"{name}.isp"))


@cache
def composite(name: str, cfa: str = "rggb", taps: tuple[str, ...] | None = None) -> Composite:
    return compile(graph(name), cfa=cfa, taps=taps)


def smooth_photo(size: int, detail: int = 24) -> NDArray[np.float32]:
    """A photograph without detail finer than `size / detail` px, which any demosaic sees through."""
    return resize(sample_photo("coffee", detail), size)


def synthetic_frame(
    folder: Path, photo: NDArray[Any] | None = None, orientation: int = 1, seed: int = 4, **choices: Any
) -> Frame:
    """A photograph taken by the synthetic camera, written as a DNG and read like any other."""
    scene = sample_photo("astronaut", 72) if photo is None else photo
    path = folder / f"synthetic_{len(list(folder.iterdir()))}.dng"
    write_dng(path, synthesise(scene, seed=seed, **choices), orientation=orientation)
    return read(path)


def exact(frame: Frame) -> tuple[Tensor, Leaves]:
    """A frame's image and metadata in float64."""
    image, metadata = tensors(frame)
    return image.double(), {name: value.double() for name, value in metadata.items()}


def start(made: Composite, metadata: Mapping[str, Any]) -> Leaves:
    """Where all free parameters start, as fresh leaves that ask for a gradient."""
    return {key: value.requires_grad_() for key, value in made.start(metadata).items() if isinstance(value, Tensor)}


def moved(name: str, frame: Frame, seed: int = 0, share: float = 0.06) -> Leaves:
    """Every free parameter a little way from its start to somewhere in its soft range, as float64."""
    vector = Vector.of(Settings.of(graph(name)).resolved(frame.metadata), "physical")
    low, high = np.array(vector.soft_bounds).T
    begin = np.array(vector.to_vector(vector.settings))
    goal = np.random.default_rng(seed).uniform(low, high)
    found = settings_tensors(vector.from_vector(list(begin + share * (goal - begin))))
    return {slot.address: torch.as_tensor(found[slot.address]) for slot in vector.slots}


def weighted(outputs: Mapping[str, Tensor], count: int = 1) -> Tensor:
    """`count` sums of all output samples under random weights, the same ones each time: `(count,)`."""
    generator = torch.Generator().manual_seed(0)
    sums = [
        (torch.rand(count, *image.shape, generator=generator, dtype=image.dtype) * image).flatten(1).mean(1)
        for image in outputs.values()
    ]
    return torch.stack(sums).sum(0)


def without_gradient(made: Composite, image: Tensor, metadata: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the gradient of each free number at the start, by address; empty where nothing is."""
    leaves = start(made, metadata)
    assert set(leaves) == {slot.address for slot in made.slots if slot.free}
    total = weighted(made(image, leaves, metadata).outputs).sum()
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    wrong: dict[str, str] = {}
    for address, gradient in zip(leaves, gradients, strict=True):
        if not torch.isfinite(gradient).all():
            wrong[address] = "not finite"
        elif (gradient == 0).any():
            wrong[address] = f"zero at {(gradient == 0).nonzero().tolist()}"
    return wrong
