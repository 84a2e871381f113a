"""The page of `make reproduce-attack` says what was measured, and whether what was wanted holds."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.reproduce.attack.cases import CASES
from benchmarks.reproduce.attack.page import accuracy, page
from benchmarks.reproduce.attack.play import SIDE, tiled, untiled
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.values import Settings


def answer(right: float, spared: float) -> dict[str, Any]:
    def told(share: float) -> list[bool]:
        return [place < 100 * share for place in range(100)]

    return {
        "told": {
            "no attack": {"S1": told(0.9), "S2": told(0.95)},
            "sparing S2": {"S1": told(right), "S2": told(spared)},
        }
    }


def text(*answers: dict[str, Any]) -> str:
    case = {"name": "photo_finish", "about": "About.", "answers": list(answers), "seconds": 3.0}
    known = {"side": 64, "stops": 1.0, "count": 100, "steps": 9, "seeds": len(answers), "bound": 0.0857,
             "enough": 8.0}  # fmt: skip
    return page({**known, "machine": {"torch": "2"}, "cases": [case]})


def test_the_table_has_accuracies_and_the_verdict_does_not_flatter() -> None:
    good = text(answer(0.0, 0.96), answer(0.02, 0.94))
    assert "| no attack | 90.0 (" in good
    assert "| sparing S2 | 1.0 (" in good
    assert "it is 1.0 %, so this holds" in good
    assert "it is 0.0 points higher, so this holds" in good
    bad = text(answer(0.02, 0.9))
    assert "it is 2.0 %, so this does not hold" in bad
    assert "it is 5.0 points lower, so this does not hold" in bad
    assert accuracy([answer(0.0, 0.5), answer(0.5, 0.5)], "sparing S2", "S1").value == 0.25


def test_what_lies_side_by_side_is_taken_apart_again() -> None:
    codes = torch.arange(4 * SIDE * SIDE).reshape(4, 1, SIDE, SIDE).remainder(60000)
    sheet = tiled(codes)
    assert sheet.shape == (1, 2 * SIDE, 2 * SIDE)
    assert sheet[0, 0, SIDE] == codes[1, 0, 0, 0]
    again = untiled(torch.from_numpy(sheet.astype(int)).expand(3, -1, -1))
    assert torch.equal(again[:, :1], codes)


def test_every_case_names_settings_that_its_pipelines_have() -> None:
    for case in CASES:
        known = [(case.pipeline, case.settings), *([case.real] if case.real else [])]
        for path, settings in known:
            assert list(settings) == list(case.settings)
            assert list(settings)[:2] == ["S1", "S2"]
            for values in settings.values():
                Settings.of(build(load(path))).update(values)
