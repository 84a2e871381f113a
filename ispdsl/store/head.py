"""The head of a run, ``run.json``: what is sampled, of what, on which raws, by which design."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from ispdsl.ir.model import Frozen

FORMAT = 1

Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""SHA-256 in hexadecimal, or nothing where it is not known."""


def plain_name(name: str) -> str:
    """The name itself, where it can be the name of a file in a folder and of nothing outside.

    Raises:
        ValueError: it cannot.
    """
    whole = PurePosixPath(name).name == name and PureWindowsPath(name).name == name
    if not whole or name in ("", ".", "..") or not name.isprintable() or len(name.encode()) > 255:
        raise ValueError(f"{name!r} is not the plain name of a file")
    return name


PlainName = Annotated[str, AfterValidator(plain_name)]


class PipelineHead(Frozen, frozen=True):
    """The pipeline that was sampled.

    Attributes:
        file: path of its text, or the name of one that comes with ispdsl.
        name: of the pipeline in it.
        sha256: of its graph.
        texts_sha256: of all texts that it is made of, imports included.
    """

    file: str
    name: str
    sha256: Digest
    texts_sha256: Digest = ""


class RawHead(Frozen, frozen=True):
    """A raw that parts are cut from.

    Attributes:
        name: of the file; samples name their raw so, thus no two raws of a run share one.
        path: where it lay.
        sha256: of the file, or of what was read of it.
        role: what its samples are for, such as ``training``, ``validation`` or ``test``.
    """

    name: PlainName
    path: str
    sha256: Digest
    role: str = "training"


class RunHead(Frozen, frozen=True):
    """What a run is of. It is written once and never changes.

    Attributes:
        format: of the run directory.
        kind: what the run holds.
        created: ISO 8601, UTC.
        pipeline: what was sampled.
        backend: what runs it: ``composite``, ``libraw``, ``darktable`` ...
        real: name and version of the real thing, such as ``darktable 4.2.1`` or ``composite, ispdsl 0.1.0``.
        types: of the pipeline's inputs by name, their CFA bound: ``raw<rggb, u16>``.
        watched: names of the values that each sample holds an image of.
        raws: what parts are cut from.
        design: how the settings and parts were drawn: kind, ranges, sizes ...
        count: samples that the design has.
        seed: of the design.
        versions: of ispdsl and the libraries below it, by name.
        command: that made the run, word by word.
    """

    format: int = FORMAT
    kind: Literal["samples"] = "samples"
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    pipeline: PipelineHead
    backend: str = "composite"
    real: str = ""
    types: dict[str, str] = Field(default_factory=dict[str, str])
    watched: tuple[str, ...] = ()
    raws: Annotated[tuple[RawHead, ...], AfterValidator(lambda raws: _distinct(raws))] = ()
    design: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    count: Annotated[int, Field(ge=0)] = 0
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict[str, str])
    command: tuple[str, ...] = ()


def _distinct(raws: tuple[RawHead, ...]) -> tuple[RawHead, ...]:
    twice = _first_twice(raw.name for raw in raws)
    if twice is not None:
        raise ValueError(f"two raws are named {twice}")
    return raws


def _first_twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
