"""The page of `make reproduce-frontend` says what was measured, and whether what was wanted holds."""

from __future__ import annotations

from typing import Any

from benchmarks.reproduce.frontend.page import LONG, ahead, page, scores


def answer(short: float, long: float) -> dict[str, Any]:
    def level(gain: float) -> dict[str, list[float]]:
        return {"demosaic": [20.0, 30.0], "demosaic and denoise": [21.0, 31.0], "front end": [20.0 + gain, 30.0 + gain]}

    return {
        "pictures": ["a", "b"], "parameters": 9, "training_seconds": 2.0, "seconds": 3.0,
        "scores": {"shot noise 0.001": level(short - 1), "shot noise 0.01": level(short + 1), LONG: level(long)},
    }  # fmt: skip


def text(*answers: dict[str, Any]) -> str:
    size = {"width": 4, "depth": 2, "steps": 7, "together": 3, "side": 16}
    known = {"size": size, "tested": 32, "denoisers": 9, "machine": {"torch": "2"}}
    return page({**known, "answers": list(answers)})


def test_the_table_has_means_and_gains_and_the_verdict_does_not_flatter() -> None:
    good = text(answer(5.5, -0.25), answer(5.5, -0.25))
    assert "| shot noise 0.001 | 25.00 | 26.00 | 29.50 | +4.50 (+4.50..+4.50) | +3.50 (+3.50..+3.50) |" in good
    assert "it is +5.50 (+5.50..+5.50) dB, so this holds" in good
    assert "it is -0.25 (-0.25..-0.25) dB, so this holds" in good
    bad = text(answer(4.5, -0.75))
    assert "it is +4.50 (+4.50..+4.50) dB, so this does not hold" in bad
    assert "it is -0.75 (-0.75..-0.75) dB, so this does not hold" in bad
    assert ahead([answer(3.0, 0.0)], ["shot noise 0.001", "shot noise 0.01"]).value == 3.0
    assert scores([answer(3.0, 0.0)], LONG, "demosaic").tolist() == [20.0, 30.0]
