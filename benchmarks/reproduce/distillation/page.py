"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.reproduce.distillation.play import LESSONS, OWN, PUBLISHED, RATES, STEPS, TOGETHER
from benchmarks.reproduce.folds import Answers, asked, gain, score

WAYS = ("teacher", "isp and network", "untouched", *LESSONS)
BEST = "distilled, layers"

WANTED = ((BEST, "labels", 0.03), (BEST, "predicted labels", 0.03), (BEST, "isp and network", -0.015))
"""Of one way before another, at least."""

ASKED = (
    ("distilled", "labels", None),
    ("distilled, mixed", "labels", None),
    (BEST, "paper", None),
)

TEACHERS = {
    PUBLISHED: "ResNet-20 with published weights",
    OWN: "a small classifier that has seen the fold's training photographs alone",
}

HEAD = """# Classifiers of raws without an ISP

Made by `make reproduce-distillation DATA=folder`. After Schwartz, Bronstein and Giryes, "ISP Distillation" (2021): a
teacher sees pictures, a student with the teacher's weights sees the mosaic, filled bilinearly, each colour brought to
the mean and spread that the teacher knows. Photographs of CIFAR-10, {train} to learn from.

- `teacher`: on its pictures. `isp and network`: the teacher's network behind a pipeline that makes pictures of what
  the student sees, all of its sliders tuned for that network's loss on the training images ({isp} steps of Adam).
- `untouched`: the student before it learns. `labels`: on true labels. `predicted labels`: on the teacher's first
  choice, which is what the paper's tables 2 and 3 (whole ISP, short exposures) hold distillation to.
- `paper`: 0.9 of predicted labels and 0.1 of the teacher's probabilities at temperature 4, as the paper prints it.
- `distilled`: the teacher's probabilities alone, with no label. `distilled, mixed`: the same, and half of each batch
  are mixtures of two images, which nobody could label. `distilled, layers`: besides, what the teacher's layers see,
  place by place (Romero et al. 2015), which the paper does not have.

All of them learn for {student} steps of Adam on batches of {together} (rates {published:g} and {own:g} for the two
teachers), on mirrored and shifted images that keep the phase of the mosaic; noise that is simulated after the teacher
has looked is drawn anew in each step.

**The published teacher has seen these photographs**, test ones too, with their labels: they are of the split that it
was trained on. Its own score is next to 100 % for that reason, its students begin with weights that have seen them,
and the tables with that teacher are to be read for agreement. The second teacher is a small classifier which has
learned the fold's training photographs alone ({teacher} steps): nothing of its tables has seen a test photograph.

Intervals hold 95 %: *over photographs* by the bootstrap of photographs, each with the mean over seeds of what came of
it; *over folds* by the bootstrap of the scores of all folds and seeds. Differences are of the same photographs and
the same noise. Seconds for an image are medians on {timed} images at once on one device; operations are those of
convolutions and matrix products, so that the pipeline has none.
"""


def page(result: Mapping[str, Any]) -> str:
    """All tables that were measured."""
    from benchmarks.reproduce.distillation.play import TIMED

    train = max((found["train"] for found in result["tables"].values()), default=0)
    lines = [
        HEAD.format(train=train, together=TOGETHER, published=RATES[PUBLISHED], own=RATES[OWN], timed=TIMED, **STEPS)
    ]
    for found in result["tables"].values():
        lines += _table(found)
    return "\n".join(lines)


def summary(answers: Answers) -> dict[str, Any]:
    """Scores, agreements and differences with their intervals, of the answers of all folds and seeds."""
    return {
        **asked(answers),
        "ways": {
            way: {
                "told": score(answers, way),
                "agreed": score(answers, way, "agreed"),
                "seconds": round(float(np.median([one["seconds"].get(way, 0.0) for one in answers])), 1),
            }
            for way in WAYS
        },
        "gains": [
            {"of": of, "wanted": wanted, **gain(answers, way, other, of)}
            for of in ("told", "agreed")
            for way, other, wanted in (*WANTED, *ASKED)
        ],
        "compute": {
            name: float(np.median([one["compute"][name] for one in answers])) for name in answers[0]["compute"]
        },
    }


def _table(found: Mapping[str, Any]) -> list[str]:
    machine, cost = found["machine"], found["compute"]
    isp, own = 1e3 * cost["isp_and_network_seconds"], 1e3 * cost["student_seconds"]
    lines = [
        f"## {found['title']}: {TEACHERS[found['teacher']]}",
        "",
        f"{found['about']} {len(found['seeds'])} seeds, {found['folds']} folds in all, {found['photographs']} "
        f"photographs scored; {machine['device']}, {machine['cores']} cores, torch {machine['torch']}.",
        "",
        "| way | told right | over photographs | agrees with the teacher | over photographs | seconds to train |",
        "|---" * 6 + "|",
    ]
    for way, of in found["ways"].items():
        (value, low, high), (agreed, least, most) = (of[name]["photographs"] for name in ("told", "agreed"))
        lines.append(
            f"| {way} | **{value:.1%}** | {low:.1%} to {high:.1%} | **{agreed:.1%}** | {least:.1%} to {most:.1%} | "
            f"{of['seconds']:.0f} |"
        )
    lines += ["", "| ahead | of | in | points | over photographs | over folds | wanted |", "|---" * 7 + "|"]
    for each in found["gains"]:
        (value, low, high), (_, least, most) = (
            [100 * number for number in each[of]] for of in ("photographs", "folds")
        )
        lines.append(
            f"| {each['way']} | {each['over']} | {'told right' if each['of'] == 'told' else 'agreement'} | "
            f"**{value:+.1f}** | {low:+.1f} to {high:+.1f} | {least:+.1f} to {most:+.1f} | {_verdict(each, value)} |"
        )
    lines += [
        "",
        f"An image takes {isp:.2f} ms through the pipeline and its network and {own:.2f} ms by the student, "
        f"{isp / own:.1f} times less; the network's {cost['network_flops'] / 1e6:.1f} million operations are "
        f"{cost['student_flops'] / 1e6:.1f} million in the student.",
        "",
    ]
    return lines


def _verdict(each: Mapping[str, Any], points: float) -> str:
    if each["wanted"] is None:
        return "-"
    wanted = 100 * each["wanted"]
    return f"{wanted:+g}: {'yes' if points >= wanted else '**no**'}"
