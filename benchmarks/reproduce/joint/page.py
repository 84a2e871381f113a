"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.reproduce.folds import Answers, asked, gain, score
from benchmarks.reproduce.joint import beside
from benchmarks.reproduce.joint.play import FROZEN, RATES, RETRAINED, STEPS, TOGETHER

WAYS = ("clean", *(f"frozen, {way}" for way in FROZEN), *(f"retrained, {way}" for way in RETRAINED))

WANTED = (
    ("frozen, learned", "frozen, none", 0.15),
    ("frozen, learned", "frozen, gamma 0.5", 0.05),
    ("frozen, predicted", "frozen, learned", 0.05),
)
"""Of one way before another, at least."""

ASKED = (
    ("frozen, learned", "frozen, by hand", 0.0),
    ("retrained, joint", "retrained, none", 0.0),
    ("retrained, joint", "frozen, predicted", 0.0),
)
"""Told as well."""

COMPARED = ("frozen, none", "frozen, learned", "frozen, predicted", "retrained, joint")
"""Told apart by the light that is missing."""

PARTS = 3
"""Of the range of missing light."""

HEAD = """# Settings and a classifier trained together

Made by `make reproduce-joint DATA=folder`. The protocol is that of datarax's guide "Learned ISP for Object
Detection", after AdaptiveISP (Wang et al., NeurIPS 2024): photographs of CIFAR-10, made dark, a pipeline with 37
numbers (colour matrix 9, desaturation 1, a tone curve of 16 points, gamma 1, sharpening 10) that starts at the
identity (`pipelines/learned_isp.isp`), and a small classifier (`ispdsl/vision/small_cnn.py`).

The classifier first learns {train} clean photographs ({clean} steps of AdamW on batches of {together}, mirrored and
shifted by up to 2 px); `clean` is how it tells clean photographs that it has not seen, the ceiling. Then, **frozen**:

- `none`: it sees what the pipeline makes at its start. `gamma 0.5`, `gain 5`, `by hand`: at settings that people
  choose.
- `learned`: the 37 numbers by Adam on its loss through the pipeline ({learned} steps at {rate:g} of the ranges).
- `predicted`: numbers for each image by a small network that looks at it (`ispdsl/learned/small_predictor.py`), which
  begins at `learned` ({predicted} steps).

And **retrained** on dark images, from its clean weights: with the pipeline at `none` or `gamma 0.5` ({retrained}
steps), or `joint`: first `learned`, then numbers and classifier together ({joint} steps, so that all have
{retrained}).

Each seed draws darkness, noise and an order; each fold trains on {train} photographs and is scored on the others, so
that every photograph is scored once a seed. Intervals hold 95 %: *over photographs* by the bootstrap of photographs,
each with the mean over seeds of what came of it; *over folds* by the bootstrap of the scores of all folds and seeds.
Folds share photographs, so that the latter is of splits, noise and weights. Differences are of the same photographs.
The two tables of raws differ in nothing but the range of missing light.
"""


def page(result: Mapping[str, Any]) -> str:
    """All tables that were measured."""
    trained = max((each["train"] for each in result["tables"].values()), default=0)
    head = HEAD.format(train=trained, together=TOGETHER, rate=RATES["learned"], **STEPS)
    lines = [head]
    for found in result["tables"].values():
        lines += _table(found)
    if "guide" in result:
        lines += beside.lines(result["guide"])
    return "\n".join(lines)


def summary(answers: Answers) -> dict[str, Any]:
    """Scores and differences with their intervals, of the answers of all folds and seeds."""
    return {
        **asked(answers),
        "ways": {
            way: {
                **score(answers, way),
                "seconds": round(float(np.median([one["seconds"].get(way, 0.0) for one in answers])), 1),
            }
            for way in WAYS
        },
        "gains": [{**gain(answers, way, other), "wanted": wanted} for way, other, wanted in (*WANTED, *ASKED)],
        "light": by_light(answers),
        "settings": {
            name: [
                round(float(edge), 4) for edge in np.quantile([one["settings"][name] for one in answers], (0, 0.5, 1))
            ]
            for name in answers[0]["settings"]
        },
    }


def by_light(answers: Answers) -> list[dict[str, Any]]:
    """What single settings and those of each image come to where little, more and most of the light is missing."""
    missing = np.concatenate([one["missing"] for one in answers])
    edges = np.linspace(missing.min(), missing.max(), PARTS + 1)
    part = np.clip(np.searchsorted(edges, missing, "right") - 1, 0, PARTS - 1)
    told = {way: np.array([int(each) for one in answers for each in one["told"][way]]) for way in COMPARED}
    return [
        {
            "stops": [round(float(edge), 2) for edge in edges[index : index + 2]],
            "images": int((part == index).sum()),
            **{way: round(float(right[part == index].mean()), 4) for way, right in told.items()},
        }
        for index in range(PARTS)
    ]


def _table(found: Mapping[str, Any]) -> list[str]:
    machine = found["machine"]
    lines = [
        f"## {found['title']}",
        "",
        f"{found['about']} {len(found['seeds'])} seeds, {found['folds']} folds in all, {found['photographs']} "
        f"photographs scored; {machine['device']}, {machine['cores']} cores, torch {machine['torch']}.",
        "",
        "| way | told right | over photographs | over folds | seconds to train |",
        "|---|---|---|---|---|",
    ]
    for way, of in found["ways"].items():
        (value, low, high), (_, least, most) = of["photographs"], of["folds"]
        lines.append(
            f"| {way} | **{value:.1%}** | {low:.1%} to {high:.1%} | {least:.1%} to {most:.1%} | {of['seconds']:.0f} |"
        )
    lines += ["", "| ahead | of | points | over photographs | over folds | wanted |", "|---" * 6 + "|"]
    for each in found["gains"]:
        (value, low, high), (_, least, most) = (
            [100 * number for number in each[of]] for of in ("photographs", "folds")
        )
        wanted = 100 * each["wanted"]
        verdict = "-" if not wanted else f"{wanted:g}: {'yes' if value >= wanted else '**no**'}"
        lines.append(
            f"| {each['way']} | {each['over']} | **{value:+.1f}** | {low:+.1f} to {high:+.1f} | "
            f"{least:+.1f} to {most:+.1f} | {verdict} |"
        )
    lines += _light(found["light"]) if "light" in found else []
    lines += ["", *_settings(found["settings"]), ""]
    return lines


def _light(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "",
        "| stops of light missing | images | " + " | ".join(COMPARED) + " |",
        "|---" * (2 + len(COMPARED)) + "|",
        *(
            f"| {each['stops'][0]:.1f} to {each['stops'][1]:.1f} | {each['images']} | "
            + " | ".join(f"{each[way]:.1%}" for way in COMPARED)
            + " |"
            for each in parts
        ),
    ]


def _settings(settings: Mapping[str, Sequence[float]]) -> list[str]:
    single = {name: value for name, value in settings.items() if "[" not in name}
    said = "; ".join(f"`{name}` {middle:g} ({low:g} to {high:g})" for name, (low, middle, high) in single.items())
    return [f"What `learned` found, the median over folds (lowest to highest): {said}. The tables are in the JSON."]
