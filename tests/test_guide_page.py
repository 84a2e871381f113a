"""The guide beside ours: each seed's photographs go to both, and the page says who took how long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.joint import beside
from benchmarks.reproduce.joint.beside import lines

GUIDE = """# %% [markdown]
# %%
import json, sys
"""


def answer(seed: int, guide: float, here: float) -> dict[str, Any]:
    return {
        "seed": seed,
        "guide": {"none": 0.4, "joint": 0.5, "training_seconds": guide},
        "here": {"none": 0.55, "joint": 0.625, "training_seconds": here},
    }


def test_the_page_has_means_and_the_ratio_of_the_times() -> None:
    result = {
        "guide_sha256": "0123456789abcdef",
        "answers": [answer(0, 300.0, 100.0), answer(1, 300.0, 50.0), answer(2, 100.0, 50.0)],
        "machine": {"device": "x86_64"},
    }
    said = "\n".join(lines(result))
    assert "| the guide | 40.0% | **50.0%** | 233 |" in said
    assert "| `ispdsl` | 55.0% | **62.5%** | 67 |" in said
    assert "takes 3.0 times as long (by seed 3.0, 6.0, 2.0)" in said
    assert "SHA-256 0123456789ab)" in said


def test_the_guide_is_given_the_photographs_of_the_fold_and_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that only writes down what it was given stands in for the one with the guide's packages."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2100, 32, 32, 3), np.uint8), np.arange(2100) % 10
    (tmp_path / "vision" / "cifar10").mkdir(parents=True)
    np.savez(tmp_path / "vision" / "cifar10" / "all.npz", images=images, labels=labels)
    monkeypatch.setattr(beside, "ask", lambda *_: {
        "told": {"clean": "11", "retrained, none": "10", "retrained, joint": "11"},
        "seconds": {"clean": 2.0, "retrained, joint": 3.0},
    })  # fmt: skip
    python = tmp_path / "python"
    told = json.dumps({"none": 0.1, "joint": 0.2, "training_seconds": 10.0})
    python.write_text(f"#!/bin/sh\necho '{told}' > $5\n")
    python.chmod(0o755)
    guide = tmp_path / "guide.py"
    guide.write_text(GUIDE)
    found = beside.beside(guide, python, tmp_path, tmp_path / "work", 1)
    assert found["answers"] == [
        {"seed": 0, "guide": json.loads(told), "here": {"none": 0.5, "joint": 1.0, "training_seconds": 5.0}}
    ]
    with np.load(tmp_path / "work" / "guide" / "split-0.npz") as split:
        assert split["train_images"].shape == (2000, 32, 32, 3)
        place = int(np.flatnonzero((images == split["test_images"][0]).all((1, 2, 3)))[0])
        assert split["test_labels"][0] == labels[place]
    python.write_text("#!/bin/sh\necho no module named datarax >&2\nexit 1\n")
    with pytest.raises(RuntimeError, match="ended with 1: no module named datarax"):
        beside.beside(guide, python, tmp_path, tmp_path / "other", 1)
