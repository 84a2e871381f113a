"""The trust figure on disk: JSON beside the doubles that it is about. Nothing in it is code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
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

FORMAT = 2
LARGEST = 1 << 26

DOUBLES = "*.safetensors"

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
    doubles: dict[str, str]


def save(trust: Trust, folder: Path) -> Path:
    """Write the figure into the folder of the doubles, at once or not at all.

    Raises:
        PictureError: the file cannot be written.
    """
    content = _File(
        format=FORMAT,
        knobs=list(trust.domain.knobs),
        constants={address: _plain(value) for address, value in trust.domain.constants.items()},
        points=_rows(trust.domain.points),
        types={name: str(type_) for name, type_ in trust.domain.types.items()},
        figures={name: _written(figure) for name, figure in trust.figures.items()},
        calibration={name: asdict(found) for name, found in trust.calibration.items()},
        fitted=sorted(trust.fitted),
        doubles=dict(trust.doubles),
    )
    path = folder / NAME
    atomic_write(path, content.model_dump_json().encode())
    return path


def trust(folder: Path) -> Trust:
    """The trust figure of the doubles in a folder, or in ``doubles/default`` of a run.

    Raises:
        TrustError: there is none yet, its file is damaged, or the doubles were trained since it was fitted.
    """
    path = place(folder)
    if path is None:
        raise TrustError(f"the doubles in {folder} have no trust figure", "`ispdsl evaluate RUN RAW...` fits one")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        found = _File.model_validate_json(path.read_bytes())
        if found.format != FORMAT:
            raise ValueError(f"its format is {found.format}, and this version reads {FORMAT}")
        figure = _read(found)
    except (OSError, ValueError, LookupError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        hint = "`ispdsl evaluate RUN RAW...` writes it anew"
        raise TrustError(f"{path} is no trust figure: {first}", hint) from error
    return _current(figure, path.parent)


def place(folder: Path) -> Path | None:
    """The file of the trust figure of a folder of doubles, or of a run's default ones; None where there is none."""
    places = (folder / NAME, folder / "doubles" / "default" / NAME)
    return next((each for each in places if each.is_file()), None)


def hashes(folder: Path, members: Iterable[Path] = ()) -> dict[str, str]:
    """SHA-256 of the doubles of a folder by address, and of further members of their ensemble as ``1/ADDRESS``."""
    found = {path.stem: _sha256(path) for path in sorted(folder.glob(DOUBLES))}
    for number, member in enumerate(members, 1):
        found |= {f"{number}/{path.stem}": _sha256(path) for path in sorted(member.glob(DOUBLES))}
    return found


def members(folder: Path) -> tuple[Path, ...]:
    """Folders of the further members of an ensemble: ``default.1``, ``default.2`` and so on beside ``default``."""
    found = folder.resolve().parent.glob(f"{folder.resolve().name}.*")
    numbered = {int(path.suffix[1:]): path for path in found if re.fullmatch(r"\.[1-9]\d{0,3}", path.suffix)}
    count = next(number for number in range(1, len(numbered) + 2) if number not in numbered)
    return tuple(numbered[number] for number in range(1, count))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _current(figure: Trust, folder: Path) -> Trust:
    """The figure, if the doubles are those that it was fitted to; without its ensemble where that has changed.

    Raises:
        TrustError: they are others.
    """
    now = hashes(folder, members(folder))
    changed = sorted(name for name, _ in figure.doubles.items() ^ now.items())
    own = [name for name in dict.fromkeys(changed) if "/" not in name]
    if own:
        more = f" and {len(own) - 1} more" if len(own) > 1 else ""
        message = f"the trust figure in {folder} is of other doubles: {own[0]}{more} changed since it was fitted"
        raise TrustError(message, "`ispdsl evaluate RUN RAW...` fits one to these")
    return replace(figure, ensemble=None) if changed else figure


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
    return Trust(
        domain,
        figures["blind"],
        figures.get("seen"),
        calibration,
        frozenset(found.fitted),
        ensemble=figures.get("ensemble"),
        doubles=found.doubles,
    )


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
