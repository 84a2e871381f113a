"""Every parameter of every darktable stage: the text's settings and a struct packed by hand give the same bits."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.backends.blackbox import declared_stage
from ispdsl.executors.darktable import open_executor
from ispdsl.executors.model import Answer, Declared, Limits, Request
from ispdsl.ir.model import Signature
from ispdsl.lower.loader import load
from tests.executors.darktable_by_hand import COLOUR_IN, COLOUR_OUT, HANDS, bare, float_tiff, needs_darktable, pfm

STDLIB = Path(__file__).parents[2] / "stdlib" / "darktable"


@cache
def signature(key: str) -> Signature:
    """The stage of a key such as ``tone:exposure``."""
    file, _, name = key.partition(":")
    return next(s.signature for s in load(STDLIB / f"{file}.isp").stages.values() if s.signature.name == name)


def declared(key: str) -> Declared:
    """What the text says of it, for the space in which darktable works."""
    return declared_stage(signature(key), "", {"S": "linear_rec2020"})


def defaults(found: Declared) -> dict[str, Any]:
    """All settings at their defaults."""
    return {slot.address: slot.start for slot in found.slots}


def picture(height: int = 40, width: int = 48) -> NDArray[np.float32]:
    """Smooth colours with noise on top, some above white."""
    rows, columns = np.mgrid[0:height, 0:width] / np.float64(max(height, width))
    noise = np.random.default_rng(7).normal(0.0, 0.02, (3, height, width))
    planes = np.stack([0.02 + 1.1 * rows, 0.05 + 0.8 * columns, 0.9 - 0.6 * rows * columns])
    return np.clip(planes + noise, 0.001, None).astype(np.float32)


def values(key: str) -> list[tuple[str, Any]]:
    """Three settings of every parameter."""
    return [(name, value) for name, (_, three, _) in HANDS[key].moves.items() for value in three]


def check(key: str, cases: list[tuple[str, Any]], folder: Path) -> None:
    """Both ways, all cases in one start each, and at least as many different pictures as settings that must show."""
    image, found, hand = picture(), declared(key), HANDS[key]
    base = defaults(found)
    with closing(open_executor(found, Limits(), 0)) as executor:
        name = found.inputs[0].name
        answers = executor.run_many([Request({name: image}, {**base, which: value}) for which, value in cases])
    source = float_tiff(folder / "image.tif", image)
    histories = [[COLOUR_IN, hand.entry(**{which: value}), COLOUR_OUT] for which, value in cases]
    for case, answer, path in zip(cases, answers, bare(source, histories, folder), strict=True):
        assert isinstance(answer, Answer), (case, answer)
        assert np.array_equal(answer.outputs["out"], pfm(path)), case


@needs_darktable
@pytest.mark.parametrize(
    "key",
    [
        "tone:sigmoid",
        *(pytest.param(key, marks=pytest.mark.slow) for key in ("tone:colisa", "colour:velvia", "detail:sharpen")),
    ],
)
def test_a_parameter_gives_the_bits_of_a_struct_packed_by_hand(key: str, tmp_path: Path) -> None:
    check(key, values(key)[1::3], tmp_path)


@needs_darktable
@pytest.mark.slow
@pytest.mark.parametrize("key", HANDS)
def test_every_parameter_at_three_values_gives_the_bits_of_a_struct_packed_by_hand(key: str, tmp_path: Path) -> None:
    cases = values(key)
    for first in range(0, len(cases), 32):
        (tmp_path / str(first)).mkdir()
        check(key, cases[first : first + 32], tmp_path / str(first))


@pytest.mark.parametrize("key", HANDS)
def test_the_hand_knows_every_parameter(key: str) -> None:
    declared_names = {parameter.name for parameter in signature(key).parameters}
    assert declared_names - {"enabled", "mix"} == set(HANDS[key].moves)


@needs_darktable
@pytest.mark.slow
def test_a_matrix_goes_to_the_struct_row_by_row(tmp_path: Path) -> None:
    from ispdsl.ir.params import Array

    key, image = "colour:colour_calibration", picture()
    found, hand = declared(key), HANDS[key]
    rows = [0.8, 0.15, 0.05, 0.1, 0.85, 0.02, 0.03, 0.2, 0.7]
    with closing(open_executor(found, Limits(), 0)) as executor:
        settings = {**defaults(found), "mix": Array(shape=(3, 3), values=tuple(rows))}
        ours = executor.run(Request({"image": image}, settings)).outputs["out"]
    by_rows = (*rows[:3], 0, *rows[3:6], 0, *rows[6:], 0, *hand.defaults[12:])
    entry = type(hand)(hand.operation, hand.version, hand.format, by_rows).entry()
    (path,) = bare(float_tiff(tmp_path / "image.tif", image), [[COLOUR_IN, entry, COLOUR_OUT]], tmp_path)
    assert np.array_equal(ours, pfm(path))
    assert np.abs(ours - image).max() > 0.01
