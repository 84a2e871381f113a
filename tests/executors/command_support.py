"""Wiring programs by text in tests of the `command` executor."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ispdsl
from ispdsl.backends import blackbox
from ispdsl.errors import CompileError
from ispdsl.executors import command
from ispdsl.executors.command import Command
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.model import Answer, Declared, Limits, Request
from ispdsl.graph import build
from ispdsl.ir.types import Type
from ispdsl.runtime.frame import Frame, FrameSource

RGB = Type.parse("rgb<srgb, unit>")

STAGE = """
stage wired(image: {input}) -> {output} {{
  slider ev in -5ev..5ev = 0.5ev
  executor command({line})
}}
"""


def declared(tmp_path: Path, text: str, name: str | None = None, cfa: str = "rggb") -> Declared:
    """What a text says: of its pipeline, or of the stage `name`."""
    path = tmp_path / "wired.isp"
    path.write_text(text)
    module = ispdsl.load(path)
    if name is None:
        graph = build(module)
        types = {"C": cfa} if "<C," in text else {}
        return blackbox.declared(graph, types)
    stage = next(stage for stage in module.stages.values() if stage.signature.name == name)
    return blackbox.declared_stage(stage.signature, "0" * 64)


def wired(
    tmp_path: Path, line: str, given: str = "rgb<srgb, unit>", gives: str | None = None, limits: Limits | None = None
) -> Command:
    """A stage with one image in and one out, run by an executor line."""
    text = STAGE.format(input=given, output=gives or given, line=line)
    return command.open_executor(declared(tmp_path, text, "wired"), limits or Limits(seconds=30), 0)


def run(executor: Command, image: np.ndarray, frame: Frame | None = None, **settings: Any) -> Answer:
    """One call with starting values for what is not given; addresses have ``__`` for their dots."""
    values: dict[str, Any] = {slot.address: slot.start for slot in executor.declared.slots}
    values |= {name.replace("__", "."): value for name, value in settings.items()}
    name = executor.declared.inputs[0].name
    taps = tuple(executor.declared.taps)
    return executor.run(Request({name: image.astype(np.float32)}, values, frame, taps))


def picture(height: int = 6, width: int = 8, planes: int = 3, top: int = 65535) -> np.ndarray:
    """Random values of ``unit`` that `top` codes hold exactly."""
    rng = np.random.default_rng(7)
    return (rng.integers(0, top + 1, (planes, height, width)) / np.float32(top)).astype(np.float32)


def raw_frame(height: int = 48, width: int = 64, cfa: str = "rggb", linear: bool = False) -> Frame:
    """A frame with levels, colours and gains of its own."""
    rng = np.random.default_rng(3)
    planes = 3 if linear else 1
    gains = 1 + rng.random((4, 3, 5)) / 4 if not linear else np.ones((4, 2, 2))
    matrix = np.array([[0.9, -0.3, -0.1], [-0.4, 1.2, 0.2], [-0.05, 0.2, 0.6]])
    return Frame(
        image=rng.integers(300, 16000, (planes, height, width)).astype(np.uint16),
        type=Type.parse(f"raw<{'linear' if linear else cfa}, u14>"),
        metadata={
            "black_level": np.array([256.25, 255.5, 257.0, 256.0]) if not linear else np.full(4, 256.25),
            "white_level": 16000.0,
            "as_shot_neutral": np.array([0.4871, 1.0, 0.6213]),
            "as_shot_temperature": 5200.0,
            "as_shot_tint": 3.0,
            "colour_matrix_1": matrix + 0.01,
            "colour_matrix_2": matrix,
            "illuminant_1": 2850.0,
            "illuminant_2": 6500.0,
            "baseline_exposure": 0.25,
            "gain_map": gains.astype(np.float32).astype(np.float64),
            "noise_profile": np.array([1e-4, 2e-6]),
            "iso": 200.0,
            "exposure_time": 1 / 60,
            "f_number": 2.8,
        },
        orientation=6,
        source=FrameSource("nowhere.dng", "0" * 64, "", "", "none", whole=False),
    )


def need(program: str, package: str) -> str:
    """The path of a program; the test is skipped where it is not installed."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: apt install {package}")
    return path


COPY = 'arguments = ["cp", "{image}", "{result}"], '
PYTHON = f'"{sys.executable}", "-I"'


ALL = """
stage all(image: rgb<srgb, f32>) -> rgb<srgb, f32> {
  slider ev in -5ev..5ev = 0.1ev
  slider amount in 0%..200% = 50%
  choice method in {plain, fancy} = fancy
  toggle clip = off
  matrix m[2, 2] = [[1, 2], [3, 4]]
  curve c[3] = identity
  executor command(arguments = [LINE], image = npy, result = npy, settings = json)
}
"""
"""A stage with a parameter of every kind; LINE stands for its arguments."""


def script(tmp_path: Path, text: str, name: str = "it.py") -> str:
    """A program beside the text, as arguments that run it."""
    (tmp_path / name).write_text(text)
    return f'{PYTHON}, "{{beside/{name}}}"'


def refused(tmp_path: Path, line: str, **types: Any) -> CompileError:
    with pytest.raises(CompileError) as error:
        wired(tmp_path, line, **types)
    return error.value


def fault(tmp_path: Path, line: str, image: np.ndarray | None = None, **types: Any) -> ExecutorError:
    executor = wired(tmp_path, line, **types)
    with pytest.raises(ExecutorError) as error:
        run(executor, picture() if image is None else image)
    return error.value
