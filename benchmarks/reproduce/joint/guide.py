"""Run somebody's copy of datarax's learned-ISP guide on given photographs, in the Python where its packages are.

python benchmarks/reproduce/joint/guide.py GUIDE.py SPLIT.npz SEED OUT.json

GUIDE.py is ``examples/advanced/differentiable/02_learned_isp_guide.py`` of https://github.com/avitai/datarax (MIT),
which needs ``pip install datarax matplotlib``. Nothing of it is kept here. It runs as it is written, cell by cell, but
for three things: its long run instead of its quick one, our photographs instead of a download, and no plots. Its seed
is ours. SPLIT.npz holds ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``, all uint8, pictures
``(N, 32, 32, 3)``.
"""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

CHANGES = (("QUICK_MODE = True", "QUICK_MODE = False"), ("nnx.Rngs(42)", "nnx.Rngs({seed})"))
"""Of the guide's text."""


def photographs(path: Path) -> types.ModuleType:
    """What stands in for ``tensorflow_datasets``: the split's photographs, whatever part of it is asked for."""
    held = dict(np.load(path))
    module = types.ModuleType("tensorflow_datasets")

    def load(name: str, split: str, **rest: Any) -> tuple[Any, Any]:
        part = split.partition("[")[0]
        return held[f"{part}_images"], held[f"{part}_labels"]

    module.load = load  # type: ignore[attr-defined]
    module.as_numpy = lambda data: data  # type: ignore[attr-defined]
    return module


def main() -> None:
    """Run it, and write its accuracies and seconds."""
    guide, split, seed, out = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    text = guide.read_text(encoding="utf-8")
    for old, new in CHANGES:
        if old not in text:
            sys.exit(f"{guide}: it has no {old!r}; this is another version of the guide")
        text = text.replace(old, new.format(seed=seed))
    sys.modules["tensorflow_datasets"] = photographs(split)
    space: dict[str, Any] = {"__name__": "guide"}
    module = types.ModuleType("guide")  # dataclasses look their module up
    module.__dict__.update(space)
    sys.modules["guide"] = module
    space = module.__dict__
    training = evaluation = 0.0
    begun = time.perf_counter()
    for cell in text.split("\n# %%"):
        if "plt.subplots" in cell or cell.startswith(" [markdown]"):
            continue
        started = time.perf_counter()
        exec(compile(cell.partition("\n")[2], str(guide), "exec"), space)
        spent = time.perf_counter() - started
        training += spent if "run_training(" in cell else 0.0
        evaluation += spent if "evaluate_detector(" in cell else 0.0
        if "learned_acc" in space:
            break
    answer = {
        "seed": seed,
        "none": float(space["no_isp_acc"]),
        "joint": float(space["learned_acc"]),
        "training_seconds": round(training, 1),
        "evaluation_seconds": round(evaluation, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    out.write_text(json.dumps(answer) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
