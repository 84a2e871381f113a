"""Metadata as cameras write it, and statistics that agree with the image."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.settings import numbers
from ispdsl.ir.model import Meta
from ispdsl.ir.params import Array
from ispdsl.ir.units import canonical

Strategy = st.SearchStrategy[Any]

XYZ_TO_CAMERA = ((0.84, -0.29, -0.07), (-0.41, 1.23, 0.2), (-0.06, 0.17, 0.6))
"""A camera's matrix such as DNG's ColorMatrix: XYZ to its own colours."""


def between(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of a range, its middle and its ends favoured."""
    return numbers((low + (high - low) / 2, low, high), ((low, high),))


def vector(size: int, low: float, high: float) -> Strategy:
    """``(size,)``, all elements within a range."""
    return st.lists(between(low, high), min_size=size, max_size=size).map(_tensor)


def _tensor(value: Any) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _eye(rows: int, columns: int) -> Tensor:
    return torch.eye(rows, columns, dtype=torch.float64)


def _noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Uniform on -0.5..0.5."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5


def _neutral() -> Strategy:
    return st.tuples(between(0.3, 1), between(0.3, 1)).map(lambda two: _tensor([two[0], 1.0, two[1]]))


def _camera() -> Strategy:
    return st.integers(0, 9).map(lambda seed: _tensor(XYZ_TO_CAMERA) + 0.05 * seed * _noise((3, 3), seed))


def _gain_map() -> Strategy:
    sizes = st.tuples(st.just(4), st.integers(2, 3), st.integers(2, 3), st.integers(0, 99))
    return sizes.map(lambda each: 1 + 1.5 * (_noise(each[:3], each[3]) + 0.5) * (each[3] > 0))


def _noise_profile() -> Strategy:
    return st.tuples(between(1e-5, 1e-2), between(1e-8, 1e-3)).map(_tensor)


KNOWN: dict[str, Strategy] = {
    "as_shot_neutral": _neutral(),
    "neutral": _neutral(),
    "colour_matrix_1": _camera(),
    "colour_matrix_2": _camera(),
    "gain_map": _gain_map(),
    "noise_profile": _noise_profile(),
    "iso": between(25, 102400),
    "exposure_time": between(1e-5, 30),
    "f_number": between(1, 22),
    "baseline_exposure": between(-2, 2),
    "illuminant_1": between(2700, 3000),
    "illuminant_2": between(6000, 7000),
    "as_shot_temperature": between(2200, 12000),
    "as_shot_tint": between(-50, 50),
}
"""Values by the names that frames provide."""

BY_UNIT: dict[str, tuple[float, float]] = {"ev": (-2, 2), "K": (2200, 12000), "px": (0, 5), "nit": (50, 10000)}


def metadata(meta: Meta, codes: float) -> Strategy:
    """Legal values of metadata in canonical units; `codes` is the largest code of the image that they go with."""
    usual = _usual(meta, codes)
    return usual if meta.default is None else st.just(default(meta)) | usual


def _usual(meta: Meta, codes: float) -> Strategy:
    if meta.name == "black_level":
        return vector(4, 0, codes / 16)
    if meta.name == "white_level":
        return between(codes / 2, codes)
    if meta.name in KNOWN:
        return KNOWN[meta.name]
    arguments = meta.type.args
    match meta.type.name:
        case "real":
            low, high = BY_UNIT.get(str(arguments[0]) if arguments else "", (0.1, 2))
            return between(low, high)
        case "vector":
            return vector(int(arguments[0]), 0.25, 2)
        case "matrix":
            rows, columns = (int(size) for size in arguments)
            return st.integers(0, 9).map(
                lambda seed: _eye(rows, columns) + 0.2 * (seed > 0) * _noise((rows, columns), seed)
            )
        case "grid":
            return _gain_map()
        case _:
            return st.just("")


def default(meta: Meta) -> Any:
    """The declared default as programs receive it."""
    value = meta.default
    if isinstance(value, Array):
        found = torch.tensor(value.values, dtype=torch.float64).reshape(value.shape)
        sizes = tuple(size for size in meta.type.args if isinstance(size, int))
        return found.expand(sizes).clone() if sizes else found
    if isinstance(value, float | int):
        number = canonical(float(value), str(meta.type.args[0]) if meta.type.name == "real" and meta.type.args else "")
        sizes = tuple(size for size in meta.type.args if isinstance(size, int))
        return torch.full(sizes, number, dtype=torch.float64) if sizes else number
    return value
