"""The page of `make reproduce-functions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.reproduce.functions.cases import CALLS, FUNCTIONS, NOISE, SHIFT, SIZE, Function
from ispdsl.optimise.searchers import SEARCHERS

OURS = "surrogate"
PUBLISHED = ("proxies", "BayesOpt", "HyperOpt", "Powell", "Nelder-Mead")
Runs = Sequence[dict[str, Any]]


def page(runs: Runs) -> str:
    """All runs as a Markdown page."""
    lines = [
        f"# Searchers on noisy functions of {SIZE} numbers",
        "",
        "Made by `make reproduce-functions`. All searchers make equally many calls of the same noisy function and know",
        "nothing of it: none of them is given a start. The figure is the **true** value, without noise, at the point",
        "that a searcher recommends at its end: mean and standard deviation over seeds. 0 is the optimum.",
        "",
        f"Noise is Gaussian, its standard deviation {NOISE:.0%} of the function's maximum over its domain, with the",
        "optimum where it is. Domains: "
        + ", ".join(f"{each.name} ±{each.half:g}" for each in FUNCTIONS)
        + f". Shifted: each coordinate of the optimum is drawn evenly from the middle {SHIFT:.0%} of the domain, anew",
        "for each seed; the maximum over the domain is then larger than the centred one's, and so is the noise.",
        "",
        "*luckiest* is the true value where the answer was lowest. Searchers that name no point are judged by it.",
        "",
        f"Published: Tseng et al. 2019, figure 6 (centred; number of evaluations not stated): {', '.join(PUBLISHED)}.",
        "",
        "![Where searchers look](functions.png)",
    ]
    for variant, title in (("centre", "Optimum at the centre"), ("shifted", "Optimum shifted at random")):
        own = [run for run in runs if run["variant"] == variant]
        if own:
            lines += ["", f"## {title}, {' / '.join(sorted({str(run['calls']) for run in own}))} calls", ""]
            lines += _table(own, variant)
    lines += ["", "## What it takes", "", *_cost(runs)]
    machines = sorted({", ".join(f"{key} {value}" for key, value in run["machine"].items()) for run in runs})
    return "\n".join([*lines, "", *(f"Measured with {each}." for each in machines)]) + "\n"


def _table(runs: Runs, variant: str) -> list[str]:
    names = [name for name in SEARCHERS if any(run["searcher"] == name for run in runs)]
    lines = [
        "| searcher | seeds | " + " | ".join(each.name for each in FUNCTIONS) + " |",
        "|---|---|" + "---|" * len(FUNCTIONS),
    ]
    best = {each.name: _best(runs, each, names) for each in FUNCTIONS}
    for name in names:
        own = [run for run in runs if run["searcher"] == name]
        for kind in ("recommended", "luckiest"):
            if kind == "luckiest" and all(run["recommended"] == run["luckiest"] for run in own):
                continue
            cells = [_cell(own, each, kind, (name, kind) == best[each.name]) for each in FUNCTIONS]
            counts = {sum(run["function"] == each.name for run in own) for each in FUNCTIONS} - {0}
            seeds = "-".join(str(count) for count in sorted({min(counts), max(counts)}))
            label = f"`{name}`" if kind == "recommended" else f"`{name}`, luckiest"
            lines.append(f"| {label} | {seeds} | " + " | ".join(cells) + " |")
    for index, name in enumerate(PUBLISHED):
        cells = " | ".join(f"{each.published[index]:.2f}" for each in FUNCTIONS)
        lines.append(f"| Tseng et al. 2019: {name} | | {cells} |")
    return [*lines, "", *(_verdict(runs, each, names, variant) for each in FUNCTIONS)]


def _values(runs: Runs, function: Function, searcher: str, kind: str) -> list[float]:
    return [run[kind] for run in runs if (run["function"], run["searcher"]) == (function.name, searcher)]


def _best(runs: Runs, function: Function, names: Sequence[str]) -> tuple[str, str]:
    """Who has the lowest mean: searcher, and by which of its points."""
    means = {
        (name, kind): float(np.mean(values))
        for name in names
        for kind in ("recommended", "luckiest")
        if (values := _values(runs, function, name, kind))
    }
    return min(means, key=lambda each: means[each], default=("", ""))


def _cell(runs: Runs, function: Function, kind: str, best: bool) -> str:
    values = [run[kind] for run in runs if run["function"] == function.name]
    if not values:
        return "-"
    mean, spread = _number(float(np.mean(values))), _number(float(np.std(values)))
    return f"**{mean}** ± {spread}" if best else f"{mean} ± {spread}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.2f}"


def _verdict(runs: Runs, function: Function, names: Sequence[str], variant: str) -> str:
    """What the surrogate, by the point that it recommends, is below of: what was published, and who ran here."""
    ours = _values(runs, function, OURS, "recommended")
    if not ours:
        return f"- {function.name}: not measured with `{OURS}`."
    mean = float(np.mean(ours))
    beside = "below" if mean < min(function.published) else "NOT below"
    where = "" if variant == "centre" else " (which are of centred optima)"
    rivals = [name for name in names if name != OURS and _values(runs, function, name, "recommended")]
    kinds = ("recommended", "luckiest")
    better = [
        name for name in rivals if min(np.mean(_values(runs, function, name, kind)) for kind in kinds) <= mean
    ]  # by either of their points
    absent = [name for name in SEARCHERS if name not in (*rivals, OURS)]
    said = f"**behind `{'`, `'.join(better)}`**" if better else "below every other searcher measured here"
    missing = f" (not measured: {', '.join(absent)})" if absent else ""
    return f"- {function.name}: `{OURS}` is {beside} all that was published{where}; {said}{missing}."


def _cost(runs: Runs) -> list[str]:
    lines = [
        "| searcher | " + " | ".join(f"{variant}, {calls} calls" for variant, calls in CALLS.items()) + " |",
        "|---|" + "---|" * len(CALLS),
    ]
    for name in SEARCHERS:
        cells: list[str] = []
        for variant in CALLS:
            seconds = [run["processor_seconds"] for run in runs if (run["searcher"], run["variant"]) == (name, variant)]
            cells.append(f"{np.mean(seconds):.1f}" if seconds else "-")
        if set(cells) != {"-"}:
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return ["Seconds of processor time of a run, of the searcher itself.", "", *lines]
