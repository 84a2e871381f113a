"""The guide's own code beside ours, on the same photographs and one after the other on the same machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reproduce.cifar import photographs, splits
from benchmarks.reproduce.joint.process import TRAIN, ask
from benchmarks.reproduce.record import kept, machine, sha256

HERE = Path(__file__).parent
TABLE, FOLD = "dark-pictures", 0
CORES = 1
"""That both are held to: ours uses one thread, and JAX as many as it is given."""


def beside(guide: Path, python: Path, data: Path, work: Path, seeds: int) -> dict[str, Any]:
    """What the guide and we come to, seed by seed, for the first fold of each.

    Args:
        guide: somebody's copy of the guide.
        python: where its packages are.
        data: folder with the photographs.
        work: keeps the answers.
        seeds: how many.

    Raises:
        RuntimeError: the guide did not run to its end.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[:CORES]))
    try:
        answers = [_seed(guide, python, data, work, seed) for seed in range(seeds)]
    finally:
        os.sched_setaffinity(0, cores)
    return {"guide_sha256": sha256(guide), "answers": answers, "machine": {**machine(), "cores": CORES}}


def _seed(guide: Path, python: Path, data: Path, work: Path, seed: int) -> dict[str, Any]:
    theirs = kept(work / "guide", str(seed), lambda: _guide(guide, python, data, work, seed))
    found = ask(TABLE, data, work / "beside", seed, FOLD, "cpu")
    told, seconds = found["told"], found["seconds"]
    ours = {way: told[f"retrained, {way}"].count("1") / len(told["clean"]) for way in ("none", "joint")}
    spent = seconds["clean"] + seconds["retrained, joint"]
    print(f"guide, seed {seed}: {theirs['joint']:.1%} in {theirs['training_seconds']:.0f} s; "
          f"here {ours['joint']:.1%} in {spent:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    return {"seed": seed, "guide": theirs, "here": {**ours, "training_seconds": round(spent, 1)}}


def _guide(guide: Path, python: Path, data: Path, work: Path, seed: int) -> dict[str, Any]:
    """One run of the guide."""
    images, labels = photographs(data)
    train, test = list(splits(len(images), TRAIN, seed))[FOLD]
    codes = (images.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    split, out = work / "guide" / f"split-{seed}.npz", work / "guide" / f"answer-{seed}.json"
    split.parent.mkdir(parents=True, exist_ok=True)
    known = labels.numpy().astype(np.uint8)
    np.savez(split, train_images=codes[train], train_labels=known[train], test_images=codes[test],
             test_labels=known[test])  # fmt: skip
    command = [str(python), str(HERE / "guide.py"), str(guide), str(split), str(seed), str(out)]
    free = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, env=free, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"the guide ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return json.loads(out.read_text(encoding="utf-8"))


def lines(result: Mapping[str, Any]) -> list[str]:
    """The part of the page."""
    answers = result["answers"]

    def mean(who: str, what: str) -> float:
        return statistics.fmean(each[who][what] for each in answers)

    ratios = [each["guide"]["training_seconds"] / each["here"]["training_seconds"] for each in answers]
    known = result["machine"]
    return [
        "## The guide's own code",
        "",
        "`make reproduce-joint GUIDE=02_learned_isp_guide.py GUIDE_PYTHON=python` runs a copy of the guide (datarax, "
        f"MIT; SHA-256 {result['guide_sha256'][:12]}) in a Python that has its packages, at its long setting and its "
        "own schedule, on the photographs of the first fold of each seed, and then ours. It darkens by its own draw. "
        f"{len(answers)} seeds of {TRAIN} photographs to learn from, both held to one core ({known['device']}).",
        "",
        "| | told right, no ISP | told right, ISP and classifier together | seconds to train |",
        "|---|---|---|---|",
        *(
            f"| {name} | {mean(who, 'none'):.1%} | **{mean(who, 'joint'):.1%}** | {mean(who, 'training_seconds'):.0f} |"
            for who, name in (("guide", "the guide"), ("here", "`ispdsl`"))
        ),
        "",
        f"The guide takes {statistics.median(ratios):.1f} times as long (by seed "
        f"{', '.join(f'{each:.1f}' for each in ratios)}). Its classifier begins at random, also while it is frozen; "
        "ours has learned clean photographs, which is counted. Its column without an ISP is of the same classifier "
        "with the pipeline taken away, ours of one that was trained anew on dark photographs.",
        "",
    ]  # fmt: skip
