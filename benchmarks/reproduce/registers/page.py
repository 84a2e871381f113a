"""The result as a page and as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ispdsl.evaluation.plots import BLUE, FAINT, ORANGE, Axes, Sheet, ticks

ALLOWED = 0.3
"""dB below CMA-ES that an answer may be."""

COLOURS = {"differences": BLUE, "cma-es": ORANGE}


def page(result: Mapping[str, Any]) -> str:
    """The page."""
    answers, ours, rival = result["answers"], result["ours"], result["rival"]
    behind = [each["players"]["cma-es"]["psnr"] - each["players"]["differences"]["psnr"] for each in answers]
    good = sum(gap <= ALLOWED for gap in behind)
    lines = [
        "# The 32 registers of the simulated processor",
        "",
        "Made by `make reproduce-registers DATA=folder`. For each seed a part of "
        f"{result['side']} x {result['side']} px of a raw, hidden codes drawn evenly from the soft ranges of",
        "[hardware_isp.isp](../../pipelines/hardware_isp.isp), and the picture that the device makes with them. Both "
        "players begin at the same codes, the worst of eight",
        "draws. `differences` is `ispdsl tune --task match` on the real thing: least squares with differences over "
        f"codes, {ours} renders at most.",
        f"`cma-es` is pycma with {rival} renders. What is found are register codes; the PSNR is that of a device "
        "served over TCP with them, in dB; 200 where it is the same to the bit.",
        "",
        f"**{good} of {len(answers)} seeds end within {ALLOWED} dB of CMA-ES or above it** "
        f"(the median is {-np.median(behind):+.1f} dB against it, the worst {-max(behind):+.1f} dB).",
        "",
        "![PSNR against renders](registers.png)",
        "",
        f"| seed | raw | start | differences, {ours} | codes found | seconds | cma-es, {ours} | cma-es, {rival} | "
        "seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in answers:
        one, other = each["players"]["differences"], each["players"]["cma-es"]
        early = dict(map(tuple, other["path"]))[ours]
        lines.append(
            f"| {each['seed']} | {each['raw']} | {each['before']:.1f} | {one.get('served_psnr', one['psnr']):.2f} | "
            f"{one['equal_codes']} of 32 | {one['seconds']:.0f} | {early:.2f} | "
            f"{other.get('served_psnr', other['psnr']):.2f} | {other['seconds']:.0f} |"
        )
    lines += [
        "",
        f"{result['machine']['cores']} cores. What CMA-ES found is not searched again where this result has it of the "
        "same raw and codes; `python -m",
        "benchmarks.reproduce.registers --anew` does.",
    ]
    return "\n".join(lines) + "\n"


def plot(path: Path, result: Mapping[str, Any]) -> None:
    """Median PSNR against renders, each seed a thin line."""
    sheet = Sheet(760, 420)
    sheet.text((20, 30), "PSNR of the best so far in dB, against renders: medians, and every seed", size=15)
    paths = {name: [each["players"][name]["path"] for each in result["answers"]] for name in COLOURS}
    levels = [level for ones in paths.values() for one in ones for _, level in one]
    most = max(moment for ones in paths.values() for one in ones for moment, _ in one)
    least = min(moment for ones in paths.values() for one in ones for moment, _ in one)
    axes = Axes(sheet, (70, 66, 730, 370), (math.log10(least), math.log10(most)), (min(levels) - 1, max(levels) + 1))
    axes.rule("")
    for value in ticks(*axes.x):
        if abs(value - round(value)) < 1e-9:
            sheet.text((axes.at(value, axes.y[0])[0], 388), f"{10 ** round(value):g}", "ms", FAINT, 11)
    sheet.text((730, 408), "renders", "rs", FAINT, 12)
    for place, (name, colour) in enumerate(COLOURS.items()):
        pale = (colour[0] // 3 + 170, colour[1] // 3 + 170, colour[2] // 3 + 170)
        for one in paths[name]:
            sheet.line([axes.at(math.log10(moment), level) for moment, level in one], pale)
        middle = np.median([[level for _, level in one] for one in paths[name]], axis=0)
        moments = [moment for moment, _ in paths[name][0]]
        line = [axes.at(math.log10(moment), float(level)) for moment, level in zip(moments, middle, strict=True)]
        sheet.line(line, colour, 2.4)
        sheet.text((80 + 130 * place, 56), name, colour=colour)
    sheet.save(path)
