"""The page of `make reproduce-approximation` says what was measured, and nothing else."""

from __future__ import annotations

from typing import Any

from benchmarks.reproduce.approximation.page import page

STAGES = [
    {"value": "exposed", "network": "pointwise", "weights": 10, "own": 60.25, "chain": 50.5},
    {"value": "display", "network": "program", "weights": 0, "own": None, "chain": 41.125},
]


def variant(name: str, minutes: float, mean: float, **more: Any) -> dict[str, Any]:
    return {
        "name": f"{name}-{minutes:g}",
        "kind": name,
        "minutes": minutes,
        "training_seconds": 301.4,
        "queries": 100,
        "mean": mean,
        "median": 42.0,
        "low": 33.0,
        "worst": 21.5,
        "ssim": 0.98765,
        "ciede2000": 0.5,
        "wanted": None,
        "trust_rank": {"blind": 0.9, "seen": 0.95},
        "stages": STAGES,
        "doubles": [],
        **more,
    }


def result(*variants: dict[str, Any]) -> dict[str, Any]:
    target = {
        "title": "Photo finishing",
        "real": "composite, ispdsl 0.1.0",
        "renders": 360,
        "training_raws": ["a.dng", "b.dng"],
        "charts": 2,
        "testing_raws": ["c.dng"],
        "variants": list(variants),
        "seconds": 700.0,
        "seed": 0,
        "settings": 100,
        "varied": {"exposure.ev": "-1ev..1ev"},
        "programs": ["balanced", "exposure"],
        "machine": {"cores": 2},
    }
    return {"targets": {"photo_finish": target}}


def test_every_variant_has_its_row_with_what_was_wanted() -> None:
    found = page(result(variant("stages", 5.0, 41.125, wanted=35.3), variant("unet", 5.0, 20.0, stages=[])))
    assert "| stages | 5 | 301 | **41.12** | 35.3 | 42.00 | 33.00 | 21.50 | 0.9877 | 0.50 | 0.90, 0.95 |" in found
    assert "| unet | 5 | 301 | **20.00** | - |" in found
    assert "360 renders of parts of 2 raws and 2 charts, 100 settings on 1 unseen files, seed 0, 2 cores" in found


def test_stages_stand_beside_each_other() -> None:
    found = page(result(variant("stages", 5.0, 41.125), variant("srcnn", 5.0, 20.0, trust_rank={})))
    assert "| `exposed` | pointwise, 60.25, 50.50 | pointwise, 60.25, 50.50 |" in found
    assert "Varied over other ranges than the soft ones: `exposure.ev` -1ev..1ev." in found
    assert "Known formulas, which stay programs: `balanced`, `exposure`." in found
    assert "| `display` | program, -, 41.12 |" in found
