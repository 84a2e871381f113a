"""How far doubles are from the real things: `make reproduce-approximation [DATA=folder] [TARGETS="photo_finish ..."]`.

For every target: at most ten megapixels of raws are sampled at random settings, doubles are trained for so many minutes
on all cores, and both are asked for 100 random settings on raws that no double has seen. Everything is done by the
commands that users have, and every command stands in the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.reproduce.approximation import raws
from benchmarks.reproduce.approximation.page import page
from benchmarks.reproduce.approximation.targets import ROOT, TARGETS, Target, Variant, target

OUTPUT = ROOT / "docs" / "reproduce"
NAME = "approximation"


@dataclass
class Log:
    """The commands that were run, and what they took."""

    commands: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def run(self, *words: str) -> str:
        """Run an `ispdsl` command; what it says on stderr goes through.

        Raises:
            SystemExit: it failed.
        """
        print("ispdsl", *words, file=sys.stderr, flush=True)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ispdsl", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
        self.commands.append({"command": ["ispdsl", *words], "seconds": round(time.perf_counter() - begun, 1)})
        # 4: a few samples failed, which the run keeps and the report counts
        if done.returncode not in (0, 4):
            raise SystemExit(f"ispdsl {words[0]} ended with {done.returncode}")
        return done.stdout


def measure(
    each: Target, data: Path, work: Path, minutes: Sequence[float] | None, settings: int, seed: int
) -> dict[str, Any]:
    """Sample, train and evaluate one target; `minutes` of training instead of those of the variants."""
    begun = time.perf_counter()
    log = Log()
    chosen = raws.choose(data, most=raws.MOST)
    training = raws.write(chosen.training[: raws.MOST - each.charts], work / "training", one_matrix=each.one_matrix)
    testing = raws.write(chosen.testing, work / "testing", one_matrix=each.one_matrix)
    for number in range(each.charts):  # written anew, to the same bytes
        like = training[number * max(len(training) // each.charts, 1) % len(training)]
        chart = work / "training" / f"chart_{number}.dng"
        log.run("chart", str(like), "-o", str(chart), "--seed", str(seed + number))
        training.append(chart)
    run = work / "run"
    resumed = ["--resume"] if (run / "run.json").is_file() else []
    held = ["--hold-out", training[0].name] if len(training) > 1 else []
    allowed = ["--allow-exec"] if each.backend not in ("composite", "libraw") else []
    with beside(each):
        log.run(
            "sample", str(each.pipeline), *map(str, training), "-o", str(run), "--count", str(each.count),
            "--backend", each.backend, *held, "--seed", str(seed), *each.sample, *each.trust, *allowed, *resumed,
        )  # fmt: skip
        trained = {
            f"{variant.name}-{limit:g}": _trained(log, run, each, variant, limit, seed)
            for variant in each.variants
            for limit in minutes or variant.minutes
        }
        words = [word for name in trained for word in ("--variant", name)]
        answer = log.run(
            "evaluate", str(run), *map(str, testing), *words, "--settings", str(settings), "--seed", str(seed + 1),
            *each.trust, *allowed, "--json",
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
        "variants": [_summary(one, trained[one["name"]], each) for one in report["variants"]],
        "commands": [_plain(entry, work) for entry in log.commands],
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _trained(log: Log, run: Path, each: Target, variant: Variant, limit: float, seed: int) -> dict[str, Any]:
    """Train a variant for so many minutes; what a kept run has is not trained again."""
    name = f"{variant.name}-{limit:g}"
    known = run / "training" / f"{name}.json"
    if known.is_file():
        found = json.loads(known.read_text(encoding="utf-8"))
        log.commands.append(found["command"])
        return {**found["trained"], "variant": variant}
    skip = [] if "--whole" in variant.train else each.skip
    words = ["--variant", name, "--minutes", f"{limit:g}", "--seed", str(seed)]
    begun = time.perf_counter()
    told = json.loads(log.run("train", str(run), *words, *variant.train, *skip, *each.trust, "--json"))
    trained = {"minutes": limit, "wall_seconds": round(time.perf_counter() - begun, 1), "told": told}
    known.write_text(json.dumps({"trained": trained, "command": log.commands[-1]}), encoding="utf-8")
    return {**trained, "variant": variant}


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


@contextmanager
def beside(each: Target) -> Generator[None]:
    """Run what the target needs beside it."""
    if not each.served:
        yield
        return
    process = subprocess.Popen([sys.executable, *each.served], cwd=ROOT)
    try:
        time.sleep(2.0)
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(each.served)} ended with {process.returncode}")
        yield
    finally:
        process.terminate()
        process.wait()


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
        result["targets"][name] = {**found, "seed": given.seed, "settings": given.settings, "machine": machine()}
        result["targets"] = {one.name: result["targets"][one.name] for one in TARGETS if one.name in result["targets"]}
        given.output.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (given.output / f"{NAME}.md").write_text(page(result), encoding="utf-8")
    print(known)


def machine() -> dict[str, Any]:
    """Where and with which versions it was measured."""
    packages = ("ispdsl", "torch", "numpy", "scipy", "rawpy")
    return {
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        **{package: version(package) for package in packages},
    }


if __name__ == "__main__":
    main()
