"""The trust figure on disk: JSON beside the doubles that it is about. Nothing in it is code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ispdsl.evaluation.gaussian import Array, Process
from ispdsl.evaluation.trust import Calibration, Domain, Figure, Trust, TrustError
from ispdsl.ir.types import Type
from ispdsl.proxies.task import Knob
from ispdsl.runtime.pictures import atomic_write

NAME = "trust-figure.json"
"""No address has a hyphen, so it is the name of no double's card."""

FORMAT = 1
LARGEST = 1 << 26

Rows = list[list[float]]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Figure(_Closed):
    inputs: Rows
    values: list[float]
    groups: list[int]
    logarithms: list[float]
    centre: list[float]
    spread: list[float]
    offset: float
    unit: float
    scale: float


class _File(_Closed):
    format: int
    knobs: list[Knob]
    constants: dict[str, str | bool | float | list[float]]
    points: Rows
    types: dict[str, str]
    figures: dict[str, _Figure]
    calibration: dict[str, dict[str, float]]
    fitted: list[str]


def save(trust: Trust, folder: Path) -> Path:
    """Write the figure into the folder of the doubles, at once or not at all.

    Raises:
        PictureError: the file cannot be written.
    """
    figures = {"blind": trust.blind, **({"seen": trust.seen} if trust.seen else {})}
    content = _File(
        format=FORMAT,
        knobs=list(trust.domain.knobs),
        constants={address: _plain(value) for address, value in trust.domain.constants.items()},
        points=_rows(trust.domain.points),
        types={name: str(type_) for name, type_ in trust.domain.types.items()},
        figures={name: _written(figure) for name, figure in figures.items()},
        calibration={name: asdict(found) for name, found in trust.calibration.items()},
        fitted=sorted(trust.fitted),
    )
    path = folder / NAME
    atomic_write(path, content.model_dump_json().encode())
    return path


def trust(folder: Path) -> Trust:
    """The trust figure of the doubles in a folder, or in ``doubles/default`` of a run.

    Raises:
        TrustError: there is none yet, or its file is damaged.
    """
    places = (folder / NAME, folder / "doubles" / "default" / NAME)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise TrustError(f"the doubles in {folder} have no trust figure", "`ispdsl evaluate RUN` fits one")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        found = _File.model_validate_json(path.read_bytes())
        if found.format != FORMAT:
            raise ValueError(f"its format is {found.format}, and this version reads {FORMAT}")
        return _read(found)
    except (OSError, ValueError, LookupError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        hint = "`ispdsl evaluate RUN` writes it anew"
        raise TrustError(f"{path} is no trust figure: {first}", hint) from error


def _read(found: _File) -> Trust:
    knobs = tuple(found.knobs)
    types = {name: Type.parse(text) for name, text in found.types.items()}
    if "" not in types:
        raise ValueError("it does not say what goes in")
    points = np.array(found.points, np.float64).reshape(len(found.points), -1)
    constants = {
        address: np.array(value, np.float64) if isinstance(value, list) else value
        for address, value in found.constants.items()
    }
    figures = {name: _figure(figure) for name, figure in found.figures.items()}
    calibration = {
        name: Calibration(int(row["count"]), row["rank"], row["coverage"], row["off"])
        for name, row in found.calibration.items()
    }
    domain = Domain(knobs, constants, points, types)
    return Trust(domain, figures["blind"], figures.get("seen"), calibration, frozenset(found.fitted))


def _figure(found: _Figure) -> Figure:
    inputs, values = np.array(found.inputs, np.float64), np.array(found.values, np.float64)
    groups, logarithms = np.array(found.groups, np.intp), np.array(found.logarithms, np.float64)
    width, count = len(groups), int(groups.max()) + 1
    sizes = (inputs.shape, values.shape, logarithms.shape, len(found.centre), len(found.spread))
    if sizes != ((len(values), width), (len(values),), (2 * count + 2,), width, width):
        raise ValueError("its sizes do not agree")
    process = Process(
        inputs, values, groups, logarithms, np.array(found.centre), np.array(found.spread), found.offset, found.unit
    )
    return Figure(process, found.scale)


def _written(figure: Figure) -> _Figure:
    process = figure.process
    return _Figure(
        inputs=_rows(process.inputs),
        values=process.values.tolist(),
        groups=process.groups.tolist(),
        logarithms=process.logarithms.tolist(),
        centre=process.centre.tolist(),
        spread=process.spread.tolist(),
        offset=process.offset,
        unit=process.unit,
        scale=figure.scale,
    )


def _rows(table: Array) -> Rows:
    """To seven digits, which is what images are known to."""
    return [[float(f"{number:.7g}") for number in line] for line in table.tolist()]


def _plain(value: Any) -> str | bool | float | list[float]:
    if isinstance(value, str | bool):
        return value
    array = np.asarray(value, np.float64)
    return float(array) if array.ndim == 0 else array.reshape(-1).tolist()
