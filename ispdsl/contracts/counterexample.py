"""A violation as people read it: an ``.isp`` call, the values that went in and came out, and a picture beside it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.engine import Verdict
from ispdsl.contracts.strategies import substitute
from ispdsl.contracts.subject import Subject
from ispdsl.ir.units import UNITS, canonical
from ispdsl.lower.search import installed_stdlib
from ispdsl.runtime.png import encode_png

FEW = 48
"""Numbers that are printed in full; more are kept in the file beside."""

TILE = 160
"""Side of an image in the picture, in px."""

FOLDER = Path("counterexamples")
"""Where counterexamples are kept, unless told otherwise."""


@dataclass(frozen=True)
class Counterexample:
    """The smallest call found that breaks a line.

    `call` is a pipeline in the language; `images` what goes in, in words; `found` and `wanted` what came out and what
    should have, where numbers show it.
    """

    message: str
    call: str
    images: dict[str, str]
    settings: dict[str, Any]
    numbers: dict[str, list[Any]]


def counterexample(verdict: Verdict) -> Counterexample:
    """What broke the line of a verdict.

    Raises:
        ValueError: nothing did.
    """
    if verdict.violation is None:
        raise ValueError(f"{verdict.line} holds")
    case, shown = verdict.violation.case, verdict.violation.shown
    numbers = {**case.images, **shown}
    return Counterexample(
        message=verdict.violation.message,
        call=call(verdict.subject, case),
        images={name: described(case, name) for name in case.images},
        settings={name: _plain(value) for name, value in case.arguments.items()},
        numbers={name: _rounded(value) for name, value in numbers.items() if value.numel() <= FEW},
    )


def described(case: Case, name: str) -> str:
    """What an image shows; of one that a checker made, its size and whether it is flat."""
    if name in case.pictures:
        return str(case.pictures[name])
    image = case.images[name]
    low, high = float(image.min()), float(image.max())
    size = f"{image.shape[-2]} x {image.shape[-1]}"
    return f"flat of {low:g}, {size}" if low == high else f"{low:g} to {high:g}, {size}"


def call(subject: Subject, case: Case) -> str:
    """The call as a pipeline in the language."""
    signature = subject.signature
    ports = ", ".join(f"{port.name}: {substitute(port.type, case.types)}" for port in subject.inputs)
    results = [substitute(port.type, case.types) for port in subject.outputs]
    result = ", ".join(f"{port.name}: {type_}" for port, type_ in zip(subject.outputs, results, strict=True))
    units = {p.name: str(getattr(p, "unit", "")) for p in signature.parameters}
    units |= {m.name: str(m.type.args[0]) if m.type.name == "real" and m.type.args else "" for m in signature.metas}
    needs = {need.name: need.type for need in subject.needs}
    given = [port.name for port in subject.inputs[1:]]
    given += [f"{n} = {written(v, units.get(n, ''))}" for n, v in case.arguments.items() if n not in needs and v != ""]
    given += [f"{name} = {name}" for name in needs]
    targets = ", ".join(port.name for port in subject.outputs)
    lines = [
        f"from {_origin(signature.location.file)} import {subject.name}",
        "",
        *(f"# {name}: {described(case, name)}" for name in case.images),
        f"pipeline counterexample({ports}) -> ({result}) {{",
        *(f"  needs {name}: {type_}" for name, type_ in needs.items()),
        f"  {targets} = {subject.inputs[0].name} -> {subject.name}({', '.join(given)})",
        "}",
    ]
    return "\n".join(lines)


def _origin(file: str) -> str:
    """How a file is imported: standard ones by name, others by path."""
    if file.startswith("stdlib/") and (installed_stdlib().parent / file).is_file():
        return file.removeprefix("stdlib/").removesuffix(".isp").replace("/", ".")
    return f'"{file}"'


def written(value: Any, unit: str) -> str:
    """A value as the language writes it, in its declared unit."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, Tensor) and value.dim():
        if value.numel() > FEW:
            return "[]" if not value.numel() else "identity"
        return _nested(value, unit)
    return f"{_shortest(float(value), unit)}{unit}"


def _shortest(number: float, unit: str) -> str:
    """The fewest digits in the declared unit that are read back as the canonical number."""
    declared = float(Fraction(number) / UNITS[unit].scale)
    texts = (f"{declared:.{digits}g}" for digits in range(6, 17))
    return next((text for text in texts if canonical(float(text), unit) == number), repr(declared).removesuffix(".0"))


def _nested(value: Tensor, unit: str) -> str:
    if not value.dim():
        return written(float(value), unit)
    return f"[{', '.join(_nested(each, unit) for each in value)}]"


def _plain(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return _rounded(value) if value.numel() <= FEW else f"{' x '.join(map(str, value.shape))} numbers"


def _rounded(value: Tensor) -> Any:
    return np.round(value.detach().double().numpy(), 9).tolist()


def report(verdict: Verdict, folder: Path = FOLDER) -> str:
    """A line that does not hold, as people read it; its counterexample is saved where that is possible."""
    head = f"{verdict.line.location}: {verdict.subject.name}: {verdict.line}\n"
    if verdict.violation is None:
        return (
            f"{head}  untested for {verdict.implementation}: {verdict.reason or 'no legal call meets its conditions'}"
        )
    found = counterexample(verdict)
    kept, place = saved(verdict, folder)
    numbers = [f"  {name} = {value}" for name, value in found.numbers.items()]
    parts = [
        f"{head}  fails for {verdict.implementation}: {found.message}",
        *numbers,
        f"  saved in {place}" if kept else f"  not saved: {place}",
    ]
    return "\n".join([*parts, "", *(f"    {line}".rstrip() for line in found.call.splitlines())])


# ---- files ---------------------------------------------------------------------------------------------------


def saved(verdict: Verdict, folder: Path = FOLDER) -> tuple[bool, str]:
    """Whether `save` could keep it, and where, or why not: a full disk must not cost the finding."""
    try:
        return True, str(save(verdict, folder))
    except OSError as error:
        return False, f"cannot write {error.filename or folder}: {error.strerror or error}"


def save(verdict: Verdict, folder: Path = FOLDER) -> Path:
    """Keep a counterexample: ``call.isp``, every number in ``numbers.npz``, and a picture of all images.

    The folder's name says file, stage, line, property and implementation; an older one of the same name is replaced.

    Raises:
        OSError: it cannot be written.
    """
    found = counterexample(verdict)
    assert verdict.violation is not None, "there is a counterexample"
    case = verdict.violation.case
    where = verdict.line.location
    name = f"{Path(where.file).stem}-{verdict.subject.name}-{where.line}-{verdict.line.name}-{verdict.implementation}"
    place = folder / re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    place.mkdir(parents=True, exist_ok=True)
    head = f"# {verdict.line} ({verdict.line.location}) fails for {verdict.implementation}:\n# {found.message}\n"
    text = found.call
    file, path = verdict.line.location.file, verdict.subject.path
    if path is not None:
        text = text.replace(f'from "{file}"', f'from "{Path(os.path.relpath(path, place)).as_posix()}"', 1)
    (place / "call.isp").write_text(f"{head}{text}\n", encoding="utf-8")
    images = {**case.images, **{k: v for k, v in verdict.violation.shown.items() if v.dim() >= 3}}
    every = {**case.arguments, **case.images, **verdict.violation.shown}
    arrays = {name: np.asarray(value) for name, value in every.items() if isinstance(value, Tensor | float | int)}
    np.savez(place / "numbers.npz", allow_pickle=False, **arrays)
    for name, image in case.images.items():
        np.save(place / f"{name}.npy", image.detach().double().numpy(), allow_pickle=False)
    (place / "images.png").write_bytes(picture(list(images.values())))
    return place


def picture(images: list[Tensor]) -> bytes:
    """Images side by side as a PNG, each pixel enlarged, black and white at the ends of what they hold together."""
    planes = [_three(each.detach().double().numpy()) for each in images]
    low, high = min(0.0, *(float(p.min()) for p in planes)), max(1e-9, *(float(p.max()) for p in planes))
    tiles = [_enlarged((each - low) / (high - low)) for each in planes]
    height = max(tile.shape[0] for tile in tiles)
    padded = [np.pad(tile, ((0, height - tile.shape[0]), (0, 8), (0, 0)), constant_values=0.5) for tile in tiles]
    return encode_png((np.concatenate(padded, 1).clip(0, 1) * 255).round().astype(np.uint8), None)


def _three(image: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """``(3, H, W)`` of any image; chroma as red and blue."""
    image = np.nan_to_num(image.reshape(-1, *image.shape[-2:]), posinf=1e6, neginf=-1e6)
    if image.shape[0] == 2:
        return np.stack([image[1] + 0.5, np.full_like(image[0], 0.5), image[0] + 0.5])
    return np.broadcast_to(image[:1], (3, *image.shape[1:])) if image.shape[0] != 3 else image


def _enlarged(image: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    factor = max(1, TILE // max(image.shape[-2:]))
    return image.repeat(factor, -2).repeat(factor, -1).transpose(1, 2, 0)
