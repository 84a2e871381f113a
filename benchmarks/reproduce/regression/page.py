"""The result as a page and as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.regression.play import ADAM_STEPS, LEVEL, SIDE
from ispdsl.evaluation.plots import BLUE, FAINT, INK, ORANGE, Axes, Sheet

HEAD = f"""# The settings behind a picture

Made by `make reproduce-regression DATA=folder`. The real thing makes pictures of parts of {SIDE} px of raws that no
double has seen, at hidden settings drawn evenly from the ranges that the doubles were trained on; every player begins
at the pipeline's own settings and looks within the same soft ranges. PSNR is that of the picture that the *real thing*
makes of what was found, in dB (peak 1; 100 is where the search stops). One question for each seed; a part whose
picture has no structure (an overexposed window) is passed over for the next raw's.

- `grey box`: `ispdsl regress` with doubles: the residual of the real thing, the derivatives of its doubles.
- `doubles alone`: the same search on the doubles, which then are believed; one real call.
- `programs`: `ispdsl regress` through the exact programs.
- `cma-es`, `tpe`, `bayesian`: the real thing alone, as `ispdsl.optimise.searchers` has them.

![PSNR against real calls](regression.png)
"""

COLOURS = {
    "grey box": BLUE,
    "doubles alone": (120, 170, 60),
    "cma-es": ORANGE,
    "tpe": (150, 90, 170),
    "bayesian": (190, 60, 80),
}
Floats = NDArray[np.float64]


def page(result: Mapping[str, Any]) -> str:
    """All cases that were measured."""
    lines = [HEAD]
    for name, found in result["cases"].items():
        lines += _case(name, found)
    return "\n".join(lines).rstrip() + "\n"


def _case(name: str, found: Mapping[str, Any]) -> list[str]:
    players = found["players"]
    before = [one["before"] for one in next(iter(players.values()))]
    lines = [
        f"## {found['title']}",
        "",
        f"Case `{name}`: {len(found['seeds'])} seeds on {len(found['raws'])} files, {len(found['free'])} free "
        f"numbers, at the start {np.median(before):.1f} dB (median); {found['machine']['cores']} cores, "
        f"{found['seconds']:.0f} s of searches.",
        "",
    ]
    if "adam" in players:
        return [*lines, *_against_adam(found), ""]
    rival_calls = [calls for calls in (5, 10, 15, 25, 50, 100, 200) if calls <= found["rivals_calls"]]
    lines += [
        "| player | wanted | median | worst | real calls | " + " | ".join(f"at {n}" for n in rival_calls) + " |",
        "|---" * (5 + len(rival_calls)) + "|",
    ]
    for player, answers in players.items():
        psnr = [one["psnr"] for one in answers]
        calls = [one["calls"] for one in answers]
        wanted = found["wanted"].get(player)
        curve = median_path(answers, found["rivals_calls"])
        cells = " | ".join(f"{curve[n - 1]:.1f}" for n in rival_calls)
        lines.append(
            f"| {player} | {'-' if wanted is None else f'{wanted:.1f}'} | **{np.median(psnr):.1f}** | {min(psnr):.1f} "
            f"| {np.median(calls):.0f} (at most {max(calls)}) | {cells} |"
        )
    lines += ["", "At N: the median over the seeds of the best so far after N real calls.", ""]
    return [*lines, _ahead(found), ""]


def _ahead(found: Mapping[str, Any]) -> str:
    """Whether the grey box is ahead of each rival at every number of calls."""
    most = found["rivals_calls"]
    ours = median_path(found["players"]["grey box"], most)
    said: list[str] = []
    for player, answers in found["players"].items():
        if player in ("grey box", "doubles alone"):
            continue
        behind = np.flatnonzero(ours <= median_path(answers, most)) + 1
        where = "at every number of calls" if not behind.size else f"but not at {_some(behind)}"
        said.append(f"ahead of {player} {where}")
    return f"The median of the grey box is {'; '.join(said)} up to {most}."


def _some(numbers: NDArray[np.int64]) -> str:
    shown = ", ".join(str(each) for each in numbers[:8])
    return f"{shown} and {numbers.size - 8} more" if numbers.size > 8 else shown


def _against_adam(found: Mapping[str, Any]) -> list[str]:
    rows = ["| seed | least squares | calls | seconds | Adam's best | rate | level | Adam's seconds to it | ratio |"]
    rows += ["|---" * 9 + "|"]
    ratios: list[float] = []
    for ours, adam in zip(found["players"]["programs"], found["players"]["adam"], strict=True):
        level = min(LEVEL, ours["psnr"])
        reached = [to for to in (first_at(run, level) for run in adam["runs"].values()) if to is not None]
        longest = max(run[-1][0] for run in adam["runs"].values())
        spent = min(reached, default=longest)
        ratios.append(spent / ours["seconds"])
        more = "" if reached else "> "
        rows.append(
            f"| {ours['seed']} | {ours['psnr']:.1f} | {ours['calls']} + {ours['renders']} | {ours['seconds']:.2f} "
            f"| {adam['psnr']:.1f} | {adam['rate']:g} | {level:.0f} | {more}{spent:.1f} | {more}{ratios[-1]:.1f} |"
        )
    ours = found["players"]["programs"]
    psnr = [one["psnr"] for one in ours]
    never = sum(_never(*pair) for pair in zip(ours, found["players"]["adam"], strict=True))
    return [
        f"Least squares: median **{np.median(psnr):.1f} dB** (wanted {found['wanted']['programs']:.0f}), worst "
        f"{min(psnr):.1f}, in at most {max(one['calls'] for one in ours)} steps, starts included in the seconds. Adam "
        f"(reverse mode, same programs, same process, the best of {len(found['players']['adam'][0]['runs'])} learning "
        f"rates for each seed, {ADAM_STEPS} steps at most) takes **{np.median(ratios):.1f} times** as long to the same "
        f"level (median; {never} of {len(ratios)} never got there, and count with all their steps).",
        "",
        *rows,
        "",
        "Calls: of the programs by the search, and by its starts.",
    ]


def _never(ours: Mapping[str, Any], adam: Mapping[str, Any]) -> bool:
    level = min(LEVEL, ours["psnr"])
    return all(first_at(run, level) is None for run in adam["runs"].values())


def first_at(run: Sequence[Sequence[float]], level: float) -> float | None:
    """Seconds until a run of (seconds, PSNR) reached a level; None where it never did."""
    return next((seconds for seconds, psnr in run if psnr >= level), None)


def median_path(answers: Sequence[Mapping[str, Any]], calls: int) -> Floats:
    """Median over the seeds of the best PSNR so far, after each call ``(calls,)``; a search that ended stays there."""
    paths = np.full((len(answers), calls), -np.inf)
    for row, one in zip(paths, answers, strict=True):
        path = one["path"][:calls]
        row[: len(path)] = np.maximum.accumulate(path)
        row[len(path) :] = max(path)
    return np.median(paths, axis=0)


def plot(path: Path, result: Mapping[str, Any]) -> None:
    """Curves of the median against real calls, a panel for each case with rivals; calls on a logarithmic scale."""
    shown = {name: found for name, found in result["cases"].items() if "grey box" in found["players"]}
    if not shown:
        return
    sheet = Sheet(860, 300 * len(shown) + 20)
    for index, found in enumerate(shown.values()):
        most = found["rivals_calls"]
        curves = {player: median_path(answers, most) for player, answers in found["players"].items()}
        top = 300 * index
        high = 10 * np.ceil(max(curve.max() for curve in curves.values()) / 10)
        low = 10 * np.floor(min(curve.min() for curve in curves.values()) / 10)
        axes = Axes(sheet, (66, top + 50, 640, top + 250), (0.0, float(np.log10(most))), (float(low), float(high)))
        axes.rule(f"{found['title']} (dB)")
        for calls in (1, 2, 5, 10, 20, 50, 100, 200):
            if calls <= most:
                x, _ = axes.at(float(np.log10(calls)), low)
                sheet.text((x, axes.box[3] + 16), str(calls), "ms", FAINT, 11)
        sheet.text((axes.box[2], axes.box[3] + 34), "real calls", "rs", FAINT, 11)
        for place, (player, curve) in enumerate(curves.items()):
            points = [axes.at(float(np.log10(n)), float(curve[n - 1])) for n in range(1, most + 1)]
            colour = COLOURS.get(player, INK)
            sheet.line(points, colour, 2.4 if player == "grey box" else 1.6)
            y = axes.box[1] + 14 + 20 * place
            sheet.line([(664, y - 4), (690, y - 4)], colour, 2.4)
            sheet.text((698, y), f"{player}: {curve[-1]:.1f} dB", size=12)
    sheet.save(path)
