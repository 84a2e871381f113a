"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ispdsl.vision.intervals import of_mean

HEAD = """# Dark raws for networks that look

Made by `make reproduce-tasks DATA=folder`. Labelled photographs become raws of scenes with {stops:g} stops of light
less than their exposure needs (`benchmarks/reproduce/tasks/raws.py`: linear light, one camera's inverse colours and
white balance, a Bayer mosaic, Poisson-Gaussian noise of variance {shot:g} x + {read:g}, 14 bits). A pipeline of
{free} sliders (`benchmarks/reproduce/tasks/machine_vision.isp`) makes pictures of them, and a network with published
weights, which never change, looks at the pictures.

- `clean`: the photographs themselves, as a bound.
- `default`: the pipeline's own settings. Files of raws do not say how dark a scene was.
- `brightened`: the one slider `brightness` set such that the mean luma of {probed} training pictures is that of the
  clean photographs, which nobody has whose scene is dark; all else at its default.
- `by hand`: the same, and noise reduction at half strength for luma and full strength for colour.
- `tuned`: from `brightened`, all sliders together by Adam on the network's loss through the pipeline
  (`ispdsl.optimise.batched`), on training pictures only; one answer for all pictures.

Scores are of pictures that nothing was set by. Each seed draws its own split and noise. Intervals hold 95 %: over seeds
by the bootstrap of the seeds' scores, within a seed by the bootstrap of its pictures, of differences with both ways on
the same pictures. Seeds share pictures, so that intervals over seeds are of splits and noise, not of other pictures.

With `--sheet FILE` the command also draws photographs beside what was made of their dark raws.
"""

Answers = Sequence[Mapping[str, Any]]


def page(result: Mapping[str, Any]) -> str:
    """All cases that were measured."""
    from benchmarks.reproduce.tasks.play import PROBED
    from benchmarks.reproduce.tasks.raws import NOISE, STOPS

    free = max((len(each["answers"][0]["settings"]["tuned"]) for each in result["cases"].values()), default=0)
    lines = [HEAD.format(stops=STOPS, shot=NOISE[0], read=NOISE[1], free=free, probed=PROBED)]
    for name, found in result["cases"].items():
        lines += _case(name, found)
    return "\n".join(lines).rstrip() + "\n"


def _case(name: str, found: Mapping[str, Any]) -> list[str]:
    answers: Answers = found["answers"]
    first, machine = answers[0], found["machine"]
    return [
        f"## {found['title']}",
        "",
        f"{found['about']} Case `{name}`: {len(answers)} seeds, {first['train']} pictures to tune on, {first['test']} "
        f"others to score, {found['steps']} steps of Adam at rate {found['rate']:g} on batches of {found['together']}, "
        f"{np.median([one['tuning_seconds'] for one in answers]):.0f} s for a tuning (median); {machine['cores']} "
        f"cores, torch {machine['torch']}, {found['seconds']:.0f} s in all.",
        "",
        *_scores(found["score"], answers),
        "",
        verdict(answers),
        "",
        *_seeds(answers),
        "",
        *_settings(answers),
        "",
    ]


def _scores(score: str, answers: Answers) -> list[str]:
    rows = [
        f"| way | {score}, mean of seeds | interval over seeds | tuned is ahead by | ahead in seeds |",
        "|---" * 5 + "|",
    ]
    for way in first_ways(answers):
        mean, low, high = of_mean(np.array([one["scores"][way][0] for one in answers]))
        row = f"| {way} | **{mean:.3f}** | {low:.3f} to {high:.3f} |"
        if way in answers[0]["gains"]:
            gains = np.array([one["gains"][way][0] for one in answers])
            ahead, least, most = of_mean(gains)
            row += f" {ahead:+.3f} ({least:+.3f} to {most:+.3f}) | {int((gains > 0).sum())} of {len(answers)} |"
        else:
            row += " - | - |"
        rows.append(row)
    return rows


def first_ways(answers: Answers) -> list[str]:
    """The ways, in order; `clean` first."""
    return list(answers[0]["scores"])


def verdict(answers: Answers) -> str:
    """Whether tuned is ahead of the default and of brightening, and how surely, in a sentence."""
    said: list[str] = []
    for way in answers[0]["gains"]:
        low = of_mean(np.array([one["gains"][way][0] for one in answers])).low
        sure = sum(one["gains"][way][1] > 0 for one in answers)
        word = "ahead of" if low > 0 else "not surely ahead of"
        said.append(f"{word} `{way}` (over its pictures the interval lies above 0 in {sure} of {len(answers)} seeds)")
    return f"Tuned is {'; '.join(said)}."


def _seeds(answers: Answers) -> list[str]:
    ways = first_ways(answers)
    rows = ["| seed | " + " | ".join(ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for one in answers:
        cells = (f"{value:.3f} ({low:.3f}-{high:.3f})" for value, low, high in one["scores"].values())
        rows.append(f"| {one['seed']} | " + " | ".join(cells) + " |")
    return rows


def _settings(answers: Answers) -> list[str]:
    rows = ["| slider | default | brightened | tuned, median | lowest | highest |", "|---" * 6 + "|"]
    default, bright, tuned = (medians(answers, way) for way in ("default", "brightened", "tuned"))
    for name, value in tuned.items():
        seen = [one["settings"]["tuned"][name] for one in answers]
        rows.append(
            f"| `{name}` | {default[name]:.3g} | {bright[name]:.3g} | {value:.3g} | {min(seen):.3g} | {max(seen):.3g} |"
        )
    return rows


def medians(answers: Answers, way: str) -> dict[str, float]:
    """The median over the seeds of every slider, in its unit."""
    names = answers[0]["settings"][way]
    return {name: float(np.median([one["settings"][way][name] for one in answers])) for name in names}
