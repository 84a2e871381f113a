"""How far doubles are from the real things: `make reproduce-approximation [DATA=folder] [TARGETS="photo_finish ..."]`.

For every target: at most ten megapixels of raws are sampled at random settings, doubles are trained for so many minutes
on all cores, and both are asked for 100 random settings on raws that no double has seen. Everything is done by the
commands that users have, and every command stands in the result.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation import raws
from benchmarks.reproduce.approximation.doubles import Log, beside, sampled, trained
from benchmarks.reproduce.approximation.page import page
from benchmarks.reproduce.approximation.targets import ROOT, TARGETS, Target, target
from benchmarks.reproduce.record import machine

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "approximation"
PACKAGES = ("ispdsl", "torch", "numpy", "scipy", "rawpy")
"""Whose versions the result depends on."""


def measure(
    each: Target, data: Path, work: Path, minutes: Sequence[float] | None, settings: int, seed: int
) -> dict[str, Any]:
    """Sample, train and evaluate one target; `minutes` of training instead of those of the variants."""
    begun = time.perf_counter()
    log = Log()
    made = sampled(log, each, data, work, seed)
    chosen, run = made.chosen, made.run
    with beside(each):
        doubled = {
            f"{variant.name}-{limit:g}": trained(log, run, each, variant, limit, seed)
            for variant in each.variants
            for limit in minutes or variant.minutes
        }
        words = [word for name in doubled for word in ("--variant", name)]
        answer = log.run(
            "evaluate", str(run), *map(str, made.testing), *words, "--settings", str(settings), "--seed", str(seed + 1),
            *each.trust, *each.allowed, "--json",
        )  # fmt: skip
    report = json.loads(answer)
    return {
        "title": each.title,
        "pipeline": each.pipeline.relative_to(ROOT).as_posix(),
        "real": report["real_thing"],
        "renders": each.count,
        "varied": dict(each.vary),
        "programs": list(each.programs),
        "training_raws": [region.name for region in chosen.training[: raws.MOST - each.charts]],
        "charts": each.charts,
        "testing_raws": sorted({region.name for region in chosen.testing}),
        "skipped": [list(each) for each in chosen.skipped],
        "variants": [_summary(one, doubled[one["name"]], each) for one in report["variants"]],
        "commands": [_plain(entry, work) for entry in log.commands],
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _summary(found: dict[str, Any], trained: dict[str, Any], each: Target) -> dict[str, Any]:
    """What the result says of one variant."""
    limit, variant = trained["minutes"], trained["variant"]
    keep = ("mean", "median", "low", "worst", "ssim", "ciede2000")
    rows = [
        {
            "value": stage["value"],
            "network": stage["network"] or "program",
            "weights": stage["parameters"],
            "own": stage["own"] and stage["own"]["mean"],
            "chain": stage["chain"] and stage["chain"]["mean"],
        }
        for stage in found["stages"]
    ]
    trust = found["trust"]["fitted"]
    return {
        "name": found["name"],
        "kind": variant.name,
        "minutes": limit,
        "training_seconds": trained["wall_seconds"],
        "queries": found["chain"]["count"],
        **{name: found["chain"][name] for name in keep},
        "wanted": dict(variant.wanted).get(limit),
        "trust_rank": {name: one["rank"] for name, one in trust.items()},
        "stages": rows,
        "doubles": [{key: one[key] for key in one if key != "file"} for one in trained["told"]["doubles"]],
    }


def _plain(entry: dict[str, Any], work: Path) -> dict[str, Any]:
    """A command without the folder of this machine."""
    words = [word.replace(str(work), "WORK").replace(f"{ROOT}/", "") for word in entry["command"]]
    return {**entry, "command": words}


def main() -> None:
    """Measure, and write docs/reproduce/approximation.{json,md}; targets that are not measured keep what they had."""
    parser = argparse.ArgumentParser(prog="approximation", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ISPDSL_DATA"), help="raws; default: ISPDSL_DATA")
    parser.add_argument("--target", action="append", choices=[each.name for each in TARGETS], help="default: all")
    parser.add_argument("--minutes", type=float, action="append", help="of training, for a shorter trial")
    parser.add_argument("--settings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep runs in this folder, and go on with those that are there")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    if given.data is None:
        parser.error("where are raws? --data FOLDER, make DATA=FOLDER, or set ISPDSL_DATA")
    known = given.output / f"{NAME}.json"
    result: dict[str, Any] = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {"targets": {}}
    for name in given.target or [each.name for each in TARGETS]:
        each = target(name)
        with tempfile.TemporaryDirectory() as temporary:
            work = (given.work or Path(temporary)).absolute() / name
            found = measure(each, given.data, work, given.minutes, given.settings, given.seed)
        result["targets"][name] = {
            **found,
            "seed": given.seed,
            "settings": given.settings,
            "machine": machine(packages=PACKAGES),
        }
        result["targets"] = {one.name: result["targets"][one.name] for one in TARGETS if one.name in result["targets"]}
        given.output.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    print(known)


if __name__ == "__main__":
    main()
