"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ispdsl.vision.intervals import Interval, of_mean

HEAD = """# Raws in the style of other pictures

Made by `make reproduce-style DATA=folder`. Each seed draws photographs anew: {style} make the style, raws of
{train} others train an encoder, raws of {test} others, two of them of real cameras, are finished and measured. The
style's pictures are photographs at a preset of `{pipeline}`, then with a curve of each plane and a vignette that
the pipeline does not have (`benchmarks/reproduce/style/looks.py`). Raws of photographs come from a synthetic camera
with noise; the encoder never sees what they look like when finished. Settings are searched in their soft ranges, but
for those that a look says lie beyond (`--hard`).

- `default`: the pipeline's own settings.
- `run`: the encoder, trained {steps} steps on batches of {together} raws ({training:.0f} s, median), looks at the
  raw once and says all settings.
- `fit`: no encoder; {tried} points are tried for each raw, and Adam goes {descent} steps down from the best
  ({one:.1f} s a raw, median).
- `style itself`: half of the style's pictures, measured against the other half: pictures of one style differ in
  what they show, and nearer than this nobody needs to come.

Distances are the L2 norm of the difference of statistics, as a part of the norm of the style's: of the histogram of
luma ({bins} bins), of both colour differences ({chroma} x {chroma}), of Gram matrices of the Gabor bank that both
ways go by, and of a ResNet-20 that neither has seen. *Of the set*: the mean statistics of all finished pictures
against the style's. *Of each*: every picture against the style's mean, and the mean of that. Everything is {side}
px long. Intervals hold 95 % over {seeds} seeds by the bootstrap; seeds share photographs.

With `--sheet FILE` the command also draws raws beside what was made of them and the style; it shows other people's
photographs and is not kept here.
"""

SAID = {
    "luma": "luma histogram",
    "chroma": "colour histogram",
    "gram": "Gram, Gabor",
    "gram_resnet": "Gram, ResNet-20 (unseen)",
}

Answers = Sequence[Mapping[str, Any]]


def page(result: Mapping[str, Any]) -> str:
    """All looks, and the sequences."""
    from ispdsl.learned.style_losses import CHROMA_BINS, LUMA_BINS

    seeds = result["seeds"]
    every = [each for seed in seeds for each in seed.values()]
    head = HEAD.format(
        **{key: result[key] for key in ("pipeline", "steps", "together", "tried", "descent", "side")},
        style=every[0]["style"],
        train=every[0]["train"],
        test=len(every[0]["test"]),
        training=np.median([each["seconds"]["training"] for each in every]),
        one=np.median([each["seconds"]["fit_of_one"] for each in every]),
        bins=LUMA_BINS,
        chroma=CHROMA_BINS,
        seeds=len(seeds),
    )
    machine = result["machine"]
    lines = [head, verdict(seeds), ""]
    for name in seeds[0]:
        lines += _look([seed[name] for seed in seeds])
    lines += _sequences(seeds)
    lines.append(
        f"{machine['cores']} cores, {machine['device']}, torch {machine['torch']}, ispdsl {machine['ispdsl']}; "
        f"{result['seconds']:.0f} s in all."
    )
    return "\n".join(lines)


def fallen(answers: Answers, way: str, term: str, of: str) -> Interval:
    """The part by which a distance has fallen against default settings, over seeds."""
    return of_mean(np.array([1 - _mean(one["scores"][way][term][of]) / _default(one, term, of) for one in answers]))


def _default(one: Mapping[str, Any], term: str, of: str) -> float:
    return _mean(one["scores"]["default"][term][of])


def _mean(values: float | Sequence[float]) -> float:
    return float(np.mean(values))


def verdict(seeds: Answers) -> str:
    """Where distances have fallen by half, and where not."""
    said: list[str] = []
    for way in ("run", "fit"):
        for of, of_what in (("of_all", "of the set"), ("of_each", "of each")):
            short = [
                f"{SAID[term]} of `{name}` ({100 * found.value:.0f} %)"
                for name in seeds[0]
                for term in SAID
                if (found := fallen([seed[name] for seed in seeds], way, term, of)).value < 0.5
            ]
            total = len(seeds[0]) * len(SAID)
            but = f"; less: {', '.join(short)}" if short else ""
            said.append(f"- `{way}`, distances {of_what}: {total - len(short)} of {total} fell by half or more{but}.")
    return "\n".join(["The goal is that distances fall by half against default settings:", "", *said])


def _look(answers: Answers) -> list[str]:
    beyond = " and ".join(f"`{address}`" for address in answers[0]["hard"])
    rows = [
        f"## {answers[0]['title']}",
        "",
        *([f"Searched in all that is legal: {beyond}.", ""] if beyond else []),
        "| distance | default | run | fit | style itself | run: fallen by | fit: fallen by |",
        "|---" * 7 + "|",
    ]
    for of, of_what in (("of_all", "of the set"), ("of_each", "of each")):
        for term, name in SAID.items():
            cells = [_over([one["scores"][way][term][of] for one in answers]) for way in ("default", "run", "fit")]
            cells.append(_over([one["floor"][term][of] for one in answers]))
            for way in ("run", "fit"):
                part = fallen(answers, way, term, of)
                cells.append(f"**{100 * part.value:.0f} %** ({100 * part.low:.0f} to {100 * part.high:.0f})")
            rows.append(f"| {name}, {of_what} | " + " | ".join(cells) + " |")
    ways = ("default", "run", "fit")
    rows += ["", "Medians of settings over raws and seeds:", "", "| | " + " | ".join(ways) + " |", "|---" * 4 + "|"]
    for address in answers[0]["settings"]["run"]:
        numbers = [np.median([one["settings"][way][address] for one in answers]) for way in ways]
        rows.append(f"| `{address}` | " + " | ".join(f"{number:.4g}" for number in numbers) + " |")
    return [*rows, ""]


def _over(values: Sequence[float | Sequence[float]]) -> str:
    return f"{np.mean([_mean(each) for each in values]):.3f}"


def _sequences(seeds: Answers) -> list[str]:
    lines = [
        "## Sequences of thirty frames",
        "",
        "Flicker is the mean size of second differences from frame to frame: of settings as parts of the "
        "ranges searched, of the mean luma and colour of the finished frames in codes of 8 bits. *Own* is the same "
        "with the settings of the first frame throughout: what the scene and the noise do by themselves. The burst is "
        "a scene that does not move; the pan moves over a photograph while the light falls by two stops and comes "
        "back. Means over looks and seeds, with intervals over seeds. *Missed* is how far settings between key "
        "frames are from those that the frame itself would have had.",
        "",
        "| sequence | settings from | flicker of settings | luma | own | colour | own | missed |",
        "|---" * 8 + "|",
    ]
    for name in ("burst", "pan"):
        for way in ("every frame", "linear", "monotone"):

            def over(key: str, name: str = name, way: str = way, form: str = ".3f") -> str:
                found = [np.mean([look["sequences"][name][way][key] for look in seed.values()]) for seed in seeds]
                mean, low, high = of_mean(np.array(found, np.float64))
                return f"{mean:{form}} ({low:{form}} to {high:{form}})"

            missed = np.mean([look["sequences"][name]["between"] for seed in seeds for look in seed.values()])
            label = way if way == "every frame" else f"key frames, {way}"
            cells = [
                over("settings", form=".5f"),
                *(over(each) for each in ("luma", "own_luma", "chroma", "own_chroma")),
            ]
            lines.append(
                f"| {name} | {label} | {' | '.join(cells)} | {'-' if way == 'every frame' else f'{missed:.4f}'} |"
            )
    return [*lines, ""]
