"""Pages of joint training and of distillation: scores, differences, and whether what was wanted holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.distillation import page as distillation
from benchmarks.reproduce.folds import gain, of_photographs, score
from benchmarks.reproduce.joint import page as joint

MACHINE = {"device": "x", "cores": 2, "torch": "2"}


def digits(part: float, count: int = 40) -> str:
    return "".join("1" if place < part * count else "0" for place in range(count))


def answer(seed: int, parts: dict[str, float], **more: Any) -> dict[str, Any]:
    told = {way: digits(part) for way, part in parts.items()}
    return {"seed": seed, "train": 9, "test": list(range(40)), "told": told, "seconds": {}, **more}


def test_photographs_are_means_over_seeds() -> None:
    one = {"test": [5, 3], "told": {"a": "10", "b": "00"}}
    other = {"test": [3, 5], "told": {"a": "11", "b": "00"}}
    assert of_photographs([one, other], "a").tolist() == [0.5, 1.0]
    assert score([one, other], "a")["scores"] == [0.5, 1.0]
    found = gain([one, other], "a", "b")
    assert found["photographs"][0] == found["folds"][0] == 0.75


def test_the_page_of_joint_training_says_what_does_not_hold() -> None:
    parts = dict.fromkeys(joint.WAYS, 0.3) | {"frozen, learned": 0.5, "frozen, predicted": 0.525, "frozen, none": 0.1}
    light = {"missing": np.linspace(2.0, 5.0, 40).tolist()}
    answers = [answer(seed, parts, settings={"gamma.gamma": 1.0 + seed}, **light) for seed in (0, 1)]
    found = joint.summary(answers)
    assert found["settings"]["gamma.gamma"] == [1.0, 1.5, 2.0]
    table = {"title": "T", "about": "A.", "seconds": 1.0, "machine": MACHINE, **found}
    text = joint.page({"tables": {"t": table}})
    assert "| frozen, learned | frozen, none | **+40.0** | " in text
    assert "15: yes |" in text
    assert "| frozen, predicted | frozen, learned | **+2.5** | " in text
    assert "5: **no** |" in text
    # `digits` tells the first images right: those that lack the least light.
    assert [each["frozen, learned"] for each in found["light"]] == pytest.approx([1.0, 7 / 13, 0.0], abs=1e-4)
    assert "| 4.0 to 5.0 | 28 | 0.0% | 0.0% | 0.0% | 0.0% |" in text
    assert "guide" not in text.split("## T")[1]
    row = {"none": 0.12, "joint": 0.3, "training_seconds": 9.0}
    guide = {"guide_sha256": "f" * 64, "machine": MACHINE, "answers": [{"guide": row, "here": row}]}
    assert "| the guide | 12.0% | **30.0%** | 9 |" in joint.page({"tables": {"t": table}, "guide": guide})


def test_the_page_of_distillation_has_both_scores() -> None:
    parts = dict.fromkeys(distillation.WAYS, 0.5) | {"labels": 0.4, distillation.BEST: 0.475}
    cost = {"isp_and_network_seconds": 0.004, "student_seconds": 0.001, "network_flops": 2e6, "student_flops": 2e6}
    agreed = {way: digits(part / 2) for way, part in parts.items()}
    found = distillation.summary([answer(seed, parts, agreed=agreed, compute=cost) for seed in (0, 1)])
    table = {"title": "T", "about": "A.", "teacher": "own", "seconds": 1.0, "machine": MACHINE, **found}
    text = distillation.page({"tables": {"t": table}})
    assert f"| {distillation.BEST} | labels | told right | **+7.5** | " in text
    assert "+3: yes |" in text
    assert "-1.5: **no** |" in text
    assert "4.0 times less" in text
    assert np.isclose(found["ways"]["labels"]["agreed"]["photographs"][0], 0.2)
