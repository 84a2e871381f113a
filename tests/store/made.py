"""Small runs and samples to test with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ispdsl.store.runs import PipelineHead, RawHead, Run, RunHead, Sample, create

HEAD = RunHead(
    created="2026-01-02T03:04:05+00:00",
    pipeline=PipelineHead(file="photo_finish", name="photo_finish", sha256="a" * 64),
    real="composite, ispdsl 0.1.0",
    types={"image": "raw<rggb, u16>"},
    watched=("image", "out"),
    raws=(RawHead(name="a.dng", path="/photos/a.dng", sha256="b" * 64),),
    design={"kind": "latin", "side": 8},
    count=10,
    seed=3,
)


def made(path: Path) -> Run:
    """A new run."""
    return create(path, HEAD)


def key_of(number: int | str) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def sample_of(number: int, side: int = 8) -> Sample:
    """A sample that tells its number by every value of its first image."""
    return Sample(
        images={
            "image": np.full((1, side, side), number, np.float32),
            "out": np.random.default_rng(number).random((3, side, side), np.float32),
        },
        settings={"exposure.ev": f"{number}ev", "tone.curve": [0.0, 0.5, 1.0], "look.name": "velvet", "look.on": True},
        metadata={"iso": 100.0, "black_level": np.arange(4.0), "gain_map": np.ones((4, 2, 3))},
        type="raw<rggb, u16>",
        raw="a.dng",
        part=(2 * number, 0, side, side),
        seconds=0.25,
        extra={"of": "tone"},
    )


def files_below(folder: Path) -> set[str]:
    """Every file in a folder, by its path in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
