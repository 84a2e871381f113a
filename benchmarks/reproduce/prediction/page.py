"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.prediction.cases import CASES, FREE, Case
from benchmarks.reproduce.prediction.play import TUNED, WAYS, WIDTH
from ispdsl.vision.intervals import RESAMPLES, SURE, Interval

HEAD = """# Settings for each picture

Made by `make reproduce-prediction DATA=folder`. A network looks at a raw and gives {free} sliders of
`benchmarks/reproduce/tasks/machine_vision.isp` for it ([prediction.md](../prediction.md); Qin et al., "Attention-aware
Learning for Hyperparameter Prediction in Image Processing Pipelines", ECCV 2022). Nothing tells it the conditions under
which a raw was taken.

- `default`: the pipeline's own settings.
- `fixed`: the best that were found for all pictures together, by {tuned} steps of Adam on batches of the same training
  pictures (`ispdsl.optimise.batched`).
- `mean`: the mean of what `multi` predicts for the training pictures, as one setting for all.
- `none`, `self`, `single`, `multi`: each picture's own settings by a network of width {width} that begins at `fixed`,
  with the mean over places; self-attention between places and their mean; one map of attention for all settings; a
  map each.

Scores are of pictures that nothing was learnt from. Differences are of the same pictures. Intervals hold 95 %, by the
bootstrap of seeds and, within each drawn seed, of pictures.
"""

Answers = Sequence[Mapping[str, Any]]

AGAINST = (("multi", "fixed"), ("multi", "mean"), ("none", "fixed"), ("multi", "none"), ("multi", "single"),
           ("multi", "self"))  # fmt: skip
"""Who is held to whom."""


def page(result: Mapping[str, Any]) -> str:
    """All cases that were measured."""
    lines = [HEAD.format(free=len(FREE), tuned=TUNED, width=WIDTH)]
    known = {case.name: case for case in CASES}
    for name, answers in result["cases"].items():
        lines += _case(known[name], answers)
    lines += ["## What holds", "", *(f"- {each}" for each in claims(result)), ""]
    large, machine = result["large"], result["machine"]
    height, width = large["size"]
    lines += [
        "## Seconds",
        "",
        f"A raw of {width} x {height} px ({large['file']}), read already, at half size through the network of five "
        f"levels: {large['seconds']:.2f} s on {large['threads']} threads (median of {large['times']}), of which each "
        f"thread computed {large['processor_seconds_a_thread']:.2f} s.",
        "",
        f"{machine['device']}, {machine['cores']} cores, torch {machine['torch']}; {result['seconds']:.0f} s in all.",
    ]
    return "\n".join(lines)


def _case(case: Case, answers: Answers) -> list[str]:
    rows = [f"| way | {case.score} | interval | each seed | s of training, median |", "|---" * 5 + "|"]
    for way in WAYS:
        value, low, high = interval(answers, way)
        each = ", ".join(f"{np.mean(one['scores'][way]):.3f}" for one in answers)
        spent = [one["seconds"][way] for one in answers if way in one["seconds"]]
        rows.append(f"| {way} | **{value:.3f}** | {low:.3f} to {high:.3f} | {each} | {_median(spent)} |")
    more = ["| | is ahead by | interval | in seeds |", "|---" * 4 + "|"]
    for one, other in AGAINST:
        value, low, high = interval(answers, one, other)
        ahead = sum(np.mean(each["scores"][one]) > np.mean(each["scores"][other]) for each in answers)
        more.append(f"| {one} over {other} | {value:+.3f} | {low:+.3f} to {high:+.3f} | {ahead} of {len(answers)} |")
    count = len(answers[0]["scores"]["fixed"])
    return [
        f"## {case.title}",
        "",
        f"{case.about} Case `{case.name}`: {len(answers)} seeds, {answers[0]['trained_on']} raws to learn from, "
        f"{count} to score, {case.steps} steps of RMSprop at rate {case.rate:g} on batches of {case.together}, "
        f"{case.levels} levels.",
        "",
        *rows,
        "",
        *more,
        "",
    ]


def claims(result: Mapping[str, Any]) -> list[str]:
    """What was to be shown, and whether it was."""
    found: list[str] = []
    for name, answers in result["cases"].items():
        for text, pairs in (
            ("settings of its own for each picture are ahead of the best for all and of their own mean", AGAINST[:2]),
            ("a map for each setting is ahead of no attention and of one map for all", (AGAINST[3], AGAINST[4])),
        ):
            misses = [f"`{other}`" for one, other in pairs if interval(answers, one, other).low <= 0]
            verdict = "yes, beyond the interval" if not misses else f"not surely: not beyond {' and '.join(misses)}"
            found.append(f"`{name}`: {text}: {verdict}.")
    return found


def interval(answers: Answers, way: str, other: str | None = None) -> Interval:
    """The mean score of a way, or how far it is ahead of another, with its interval over seeds and pictures."""
    values = [_scores(one, way) - (0.0 if other is None else _scores(one, other)) for one in answers]
    rng = np.random.default_rng(0)
    pictures = np.stack([each[rng.integers(0, len(each), (RESAMPLES, len(each)))].mean(1) for each in values])
    seeds = rng.integers(0, len(values), (RESAMPLES, len(values)))
    drawn = pictures[seeds, np.arange(RESAMPLES)[:, None]].mean(1)
    low, high = np.quantile(drawn, [(1 - SURE) / 2, (1 + SURE) / 2])
    return Interval(float(np.mean([each.mean() for each in values])), float(low), float(high))


def _scores(answer: Mapping[str, Any], way: str) -> NDArray[np.float64]:
    return np.array(answer["scores"][way], np.float64)


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.0f}" if values else "-"
