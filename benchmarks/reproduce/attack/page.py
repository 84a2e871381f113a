"""docs/reproduce/attack.md from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ispdsl.vision.intervals import Interval, of_mean

WRONG, KEPT = 0.02, 0.03
"""What is wanted: accuracy under S1 below this, and under S2 within so much of no attack."""


def accuracy(answers: Sequence[Mapping[str, Any]], attack: str, settings: str) -> Interval:
    """Of all seeds' pictures."""
    told = [right for each in answers for right in each["told"][attack][settings]]
    return of_mean(np.array(told, np.float64))


def page(result: Mapping[str, Any]) -> str:
    """The page."""
    lines = [
        "# Adversarial photo-finishing",
        "",
        "Written by `make reproduce-attack`; do not edit. See [attack.md](../attack.md).",
        "",
        f"Photographs of CIFAR-10 at twice their size are the raws of a synthetic camera, {result['side']} x "
        f"{result['side']} samples of 14 bits, {result['stops']:g} stop short of light. ResNet-20 looks at means of "
        "2 x 2 px. A change is bounded by its length: 0.3 of a raw of 224 x 224 samples (Tseng et al. 2022, section "
        "9), "
        f"which is {result['bound']:.4f} of one of this size, black to white being 1; it is rounded to whole codes "
        f"within the bound. {result['steps']} steps. Under S1 a loss of {result['enough']:g} nats is enough: the rest "
        "of the change makes the classifier sure under S2; the paper has *no end*. "
        f"{result['seeds']} seeds of {result['count']} pictures; intervals "
        "are of 95 %, by the bootstrap over pictures.",
    ]
    for case in result["cases"]:
        answers = case["answers"]
        names = list(answers[0]["told"]["no attack"])
        lines += ["", f"## {case['name']}", "", case["about"], "", f"| accuracy, % | {' | '.join(names)} |"]
        lines.append(f"|---|{'---|' * len(names)}")
        for attack in answers[0]["told"]:
            cells = [_shown(accuracy(answers, attack, name)) for name in names]
            lines.append(f"| {attack} | {' | '.join(cells)} |")
        lines += ["", _verdict(answers), "", f"{case['seconds']:.0f} s."]
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    return "\n".join([*lines, "", f"Measured with {machine}."])


def _shown(found: Interval) -> str:
    return f"{100 * found.value:.1f} ({100 * found.low:.1f}..{100 * found.high:.1f})"


def _verdict(answers: Sequence[Mapping[str, Any]]) -> str:
    """Whether what is wanted holds."""
    under = accuracy(answers, "sparing S2", "S1").value
    lost = accuracy(answers, "no attack", "S2").value - accuracy(answers, "sparing S2", "S2").value
    apart = f"{100 * abs(lost):.1f} points {'lower' if lost > 0 else 'higher'}"
    return (
        f"Wanted under S1: below {100 * WRONG:g} %; it is {100 * under:.1f} %, so this {_holds(under < WRONG)}. Wanted "
        f"under S2: no more than {100 * KEPT:g} points lower than without; it is {apart}, so this "
        f"{_holds(lost <= KEPT)}."
    )


def _holds(true: bool) -> str:
    return "holds" if true else "does not hold"
