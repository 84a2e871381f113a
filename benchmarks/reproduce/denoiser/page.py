"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.reproduce.denoiser.photographs import NOISE, PART, SIDE, TESTED, TUNED
from benchmarks.reproduce.denoiser.play import reached

WANTED = 3.0
"""How far in dB it is above the program's defaults on pictures not seen."""

Answers = Sequence[Mapping[str, Any]]


def page(result: Mapping[str, Any]) -> str:
    """The page."""
    answers, ours, rival = result["answers"], result["ours"], result["rival"]
    low, high = NOISE
    lines = [
        "# A denoiser tuned for noisy photographs",
        "",
        "Made by `make reproduce-denoiser DATA=folder`. The denoiser is a program of its own, ffmpeg's `bm3d` (block "
        "matching and 3-D filtering), run by",
        "`executor command` once a call: [denoiser.isp](../../benchmarks/reproduce/denoiser/denoiser.isp). Free are "
        "three numbers, four whole numbers and three names;",
        "every search begins at the program's defaults. A seed draws parts of "
        f"{PART} x {PART} px of {TUNED} training raws, which are tuned on side by side in one picture, parts of",
        f"{SIDE} x {SIDE} px of {TESTED} other raws, which are tested on, and Gaussian noise in sRGB of {low:g} to "
        f"{high:g} codes of 8 bits, equal for all of them.",
        "Photographs are neutral renderings, made small by means over squares, and so clean. No raw that is "
        "tested on is of a shot that is tuned on.",
        "",
        f"`composite` is `ispdsl tune --choices --searcher composite --calls {ours}`: a model of pictures. `cma-es` is "
        f"pycma with integers, {rival} calls. All calls are of the program; no other",
        "is made, for training or choosing.",
        "",
        *verdict(answers, ours, rival),
        "",
        f"| seed | noise | defaults | composite, {ours} | cma-es, {ours} | cma-es, {rival} | calls of composite to "
        f"cma-es's {rival} | calls of cma-es to composite's {ours} | unseen: defaults | composite | cma-es | "
        "seconds | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in answers:
        one, other = each["players"]["composite"], each["players"]["cma-es"]
        lines.append(
            f"| {each['seed']} | {each['noise']:.1f} | {one['path'][0]:.2f} | {one['path'][-1]:.2f} | "
            f"{other['path'][min(ours, other['calls']) - 1]:.2f} | {other['path'][-1]:.2f} | "
            f"{told(needed(each)[0], ours)} | {told(needed(each)[1], rival)} | {np.mean(each['unseen_before']):.2f} | "
            f"**{np.mean(one['unseen']):.2f}** | {np.mean(other['unseen']):.2f} | {one['seconds']:.0f} | "
            f"{other['seconds']:.0f} |"
        )
    lines += [
        "",
        "PSNR in dB, of the picture that is tuned on and the mean over those that are not seen. *Never* is within the "
        "calls that a search had. The seconds are those of both searches, the",
        "model's own time included.",
        "",
        "## What was found",
        "",
        *found(answers),
        "",
        f"{answers[0]['players']['composite']['program']} as the executor names it. {machine(result)}",
    ]
    return "\n".join(lines) + "\n"


def verdict(answers: Answers, ours: int, rival: int) -> list[str]:
    """What it comes to, in two sentences."""
    gains = [gain(each) for each in answers]
    first, second = zip(*(needed(each) for each in answers), strict=True)
    won = [calls for calls in first if calls is not None]
    good = sum(each >= WANTED for each in gains)
    tuned = [each["players"]["composite"]["path"][-1] - each["players"]["cma-es"]["path"][-1] for each in answers]
    dearer = sum(calls is None or calls > ours for calls in second)
    median = f", with {np.median(won):g} calls in the median of these" if won else ""
    return [
        f"**On pictures not seen, what `composite` found is {np.median(gains):.2f} dB above the program's defaults in "
        f"the median, {min(gains):.2f} dB at least; {WANTED:g} dB or more on {good} of {len(gains)} seeds.**",
        "",
        f"**For what `composite` ends with after {ours} calls, CMA-ES needs more of them on {dearer} of {len(second)} "
        f"seeds**; it gets there within its {rival} calls on {sum(calls is not None for calls in second)}.",
        f"`composite` reaches the score that CMA-ES ends with after {rival} calls on {len(won)} of {len(first)} seeds"
        f"{median}.",
        "After all calls `composite` is "
        f"{np.median(tuned):+.2f} dB against it in the median, {min(tuned):+.2f} dB at worst.",
    ]


def gain(answer: Mapping[str, Any], player: str = "composite") -> float:
    """How far in dB it is above the defaults, the mean over pictures not seen."""
    return float(np.mean(answer["players"][player]["unseen"]) - np.mean(answer["unseen_before"]))


def needed(answer: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Calls that each needed for the score that the other ends with; None where it never had it."""
    one, other = (answer["players"][name]["path"] for name in ("composite", "cma-es"))
    return reached(one, other[-1]), reached(other, one[-1])


def told(calls: int | None, most: int) -> str:
    """Calls, or that so many were not enough."""
    return f"never in {most}" if calls is None else str(calls)


def found(answers: Answers) -> list[str]:
    """A table of settings."""
    addresses = list(answers[0]["players"]["composite"]["settings"])
    short = [f"`{address.partition('.')[2] or address}`" for address in addresses]
    lines = [f"| seed | by | {' | '.join(short)} |", "|---" * (len(short) + 2) + "|"]
    for each in answers:
        for name, player in each["players"].items():
            values = " | ".join(player["settings"][address] for address in addresses)
            lines.append(f"| {each['seed']} | {name} | {values} |")
    return lines


def machine(result: Mapping[str, Any]) -> str:
    """Where it was measured, and how long it took."""
    known = result["machine"]
    return (
        f"Python {known['python']}, numpy {known['numpy']}, scipy {known['scipy']}, cma {known['cma']}; "
        f"{result['jobs']} of {known['cores']} cores, {result['seconds']:.0f} s of searching."
    )
