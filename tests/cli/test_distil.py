"""`ispdsl distil`: raws in, a student out that is scored again from its file; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ispdsl.vision.small_cnn import SmallCNN
from tests.cli.conftest import Invoke

PIPELINE = Path(__file__).parents[2] / "pipelines" / "learned_isp.isp"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Noisy mosaics of two classes, and a teacher's weights."""
    folder = Path(tmp_path_factory.mktemp("raws"))
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    signal = 0.2 + 0.5 * labels[:, None, None] + 0.05 * rng.standard_normal((24, 16, 16))
    codes = (512 + 15871 * signal.clip(0, 1)).astype(np.uint16)
    levels = {"black_level": np.full(4, 512.0), "white_level": np.float64(16383)}
    colours = {"colour_matrix_1": np.eye(3), "colour_matrix_2": np.eye(3), "as_shot_neutral": np.ones(3)}
    light = {"illuminant_1": 2856.0, "illuminant_2": 6504.0, "as_shot_temperature": 5000.0, "as_shot_tint": 0.0}
    held: dict[str, Any] = {"images": codes, "labels": labels, "cfa": "rggb", **levels, **colours, **light}
    np.savez(folder / "raws.npz", **held)
    torch.manual_seed(0)
    torch.save(SmallCNN(2).state_dict(), folder / "teacher.pt")
    return folder / "raws.npz", folder / "teacher.pt"


def words(given: tuple[Path, Path]) -> tuple[str | Path, ...]:
    raws, weights = given
    network = ("--network", "small-cnn", "--classes", "2", "--batch", "8", "--side", "8")
    return ("distil", PIPELINE, raws, "-p", "learned_isp", "--weights", weights, *network)


def test_a_student_is_taught_written_and_scored(given: tuple[Path, Path], tmp_path: Path, invoke: Invoke) -> None:
    student = tmp_path / "student.safetensors"
    more = ("--steps", "3", "--mixed", "0.5", "--features", "1", "--stops", "2", "--noise", "4e-4,1e-7", "--json")
    result = invoke(*words(given), *more, "-o", student)
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert set(said["after"]) == {"agreement", "student", "teacher"}
    saved = said["compute"]
    filling = 2 * (8 * 8) * 8 * (4 * 3 * 3)  # at each cell, eight missing samples from four planes of 3x3
    assert saved["student_flops"] == saved["network_flops"] + filling > filling
    again = invoke(*words(given), "--student", student, "--stops", "2", "--noise", "4e-4,1e-7", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["student"] == said["after"]


def test_people_are_told_what_is_saved(given: tuple[Path, Path], invoke: Invoke) -> None:
    result = invoke(*words(given), "--steps", "1", "--freeze-first", "1")
    assert result.exit_code == 0, result.stderr
    assert "student agrees with teacher" in result.stdout
    assert "ms by the student" in result.stdout
    assert "the student is not kept: -o FILE" in result.stderr


def test_the_noise_of_the_file_is_used(given: tuple[Path, Path], invoke: Invoke, tmp_path: Path) -> None:
    with np.load(given[0]) as held:
        np.savez(tmp_path / "raws.npz", **dict(held), noise_profile=np.array([4e-4, 1e-7]))
    result = invoke(*words((tmp_path / "raws.npz", given[1])), "--steps", "1", "--stops", "2", "--json")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--stops", "2"), "--noise S,O"),
        (("--stops", "2", "--noise", "much"), "as --stops 3"),
        (("--noise", "1,1"), "--noise is for --stops"),
        (("--freeze-first", "9"), "cannot be frozen"),
        (("--temperature", "0"), "--temperature 0"),
        (("--temperature", "nan"), "--temperature nan"),
        (("--stops", "2", "--noise", "1,nan"), "no such s and o"),
        (("--side", "100000000"), "--side"),
        (("--student", "a.safetensors", "-o", "b.safetensors"), "leave one of them out"),
        (("-o", "student.pt"), "cannot be a student"),
        (("-p", "learned"), "(N, H, W, 3) pictures"),
    ],
)
def test_what_is_wrong_is_said(given: tuple[Path, Path], invoke: Invoke, more: tuple[str, ...], said: str) -> None:
    result = invoke(*words(given), "--steps", "1", *more)
    assert result.exit_code not in (0, 70), result.stderr
    assert said in result.stderr
