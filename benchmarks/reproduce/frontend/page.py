"""docs/reproduce/frontend.md from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ispdsl.vision.intervals import Interval, of_mean

LONG = "long exposure"
DEFAULT, DENOISED, LEARNED = "demosaic", "demosaic and denoise", "front end"
WANTED, LOST = 5.0, 0.5
"""What is wanted, in dB: more than the demosaic on noisy exposures, and no more less on clean ones."""


def scores(answers: Sequence[Mapping[str, Any]], level: str, way: str) -> NDArray[np.float64]:
    """PSNR of all pictures of all seeds."""
    return np.array([value for each in answers for value in each["scores"][level][way]], np.float64)


def ahead(answers: Sequence[Mapping[str, Any]], levels: Sequence[str], way: str = DEFAULT) -> Interval:
    """How far the front end is ahead of a way, over these levels; a picture is drawn with all its levels."""
    gains = [scores(answers, level, LEARNED) - scores(answers, level, way) for level in levels]
    return of_mean(np.mean(gains, axis=0))


def page(result: Mapping[str, Any]) -> str:
    """The page."""
    answers, size = result["answers"], result["size"]
    levels = list(answers[0]["scores"])
    short = [level for level in levels if level != LONG]
    lines = [
        "# A front end trained through photo finishing",
        "",
        "Written by `make reproduce-frontend`; do not edit. See [frontend.md](../frontend.md).",
        "",
        "A network in the place of the demosaic of `pipelines/photo_finish.isp` is trained through the rest of it on "
        "photographs of BSDS500 (train) as the synthetic camera sees them, and judged by "
        f"{len(answers[0]['pictures'])} photographs of Kodak's that it never saw (the middle {result['tested']} px). "
        "What counts is PSNR after finishing, against the finished truth. "
        f"The U-Net has {size['width']} channels at half size, {size['depth']} sizes and {answers[0]['parameters']} "
        "numbers; "
        f"{size['steps']} steps of {size['together']} patches of {size['side']} px. The denoiser is the standard "
        "library's, behind the finished picture; its settings are the best of "
        f"{result['denoisers']} on training pictures, for each noise level by itself. {len(answers)} seeds of weights, "
        "cameras and noise; intervals are of 95 %, by the bootstrap over pictures and seeds.",
        "",
        f"| PSNR, dB | {DEFAULT} | {DENOISED} | {LEARNED} | ahead of the demosaic | ahead of the denoiser |",
        "|---|---|---|---|---|---|",
    ]
    for level in levels:
        means = " | ".join(f"{scores(answers, level, way).mean():.2f}" for way in (DEFAULT, DENOISED, LEARNED))
        gains = " | ".join(_shown(ahead(answers, [level], way)) for way in (DEFAULT, DENOISED))
        lines.append(f"| {level} | {means} | {gains} |")
    lines += ["", _verdict(ahead(answers, short), ahead(answers, [LONG])), ""]
    trained = sum(each["training_seconds"] for each in answers) / len(answers)
    total = sum(each["seconds"] for each in answers)
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    lines.append(f"Training took {trained:.0f} s a seed, everything {total:.0f} s. Measured with {machine}.")
    return "\n".join(lines)


def _shown(found: Interval) -> str:
    return f"{found.value:+.2f} ({found.low:+.2f}..{found.high:+.2f})"


def _verdict(short: Interval, long: Interval) -> str:
    """Whether what is wanted holds."""
    return (
        f"Wanted on short exposures: {WANTED:g} dB ahead of the demosaic, over all levels; it is {_shown(short)} dB, "
        f"so this {_holds(short.value >= WANTED)}. Wanted on long ones: no more than {LOST:g} dB behind; it is "
        f"{_shown(long)} dB, so this {_holds(long.value >= -LOST)}."
    )


def _holds(true: bool) -> str:
    return "holds" if true else "does not hold"
