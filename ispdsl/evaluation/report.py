"""The report of an evaluation: tables and words for people, the same as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ispdsl.evaluation.features import FACTS
from ispdsl.evaluation.measure import Chain, Query
from ispdsl.evaluation.scores import BEST, Summary, is_light, summary
from ispdsl.evaluation.sensitivity import Sensitivity
from ispdsl.evaluation.trust import FEWEST, SHARE, WEAK, Calibration

FORMAT = 1
SHOWN = 5
"""Parameters that the table of a report has."""


@dataclass(frozen=True)
class Stage:
    """One watched value of a chain: what gives it, and how far it is off.

    Attributes:
        value: name of the watched value; `type` its type.
        address: of the call that gives it; empty where programs do, undoubled.
        network, parameters: kind and number of weights of its double.
        own: on the real input; `chain` on what the doubles before it gave.
    """

    value: str
    type: str
    address: str
    network: str
    parameters: int
    own: Summary | None
    chain: Summary | None


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Everything that was found of one variant.

    Attributes:
        name: of the variant.
        stages: in the order of the pipeline.
        main: the watched name of the first output.
        queries: what was measured.
        sensitivities: of the chain's first output, by parameter; the most telling first.
        own: of each double on the real input, by watched value, against its own parameters.
        calibration: of the trust figure that was fitted to these queries, on settings that it had not seen; empty where
            there were too few.
        before: of a trust figure that was there already, on these queries.
    """

    name: str
    stages: tuple[Stage, ...]
    main: str
    queries: Sequence[Query]
    sensitivities: tuple[Sensitivity, ...]
    own: Mapping[str, tuple[Sensitivity, ...]] = field(default_factory=dict[str, tuple[Sensitivity, ...]])
    calibration: Mapping[str, Calibration] = field(default_factory=dict[str, Calibration])
    before: Mapping[str, Calibration] = field(default_factory=dict[str, Calibration])

    @property
    def chain(self) -> Summary:
        """Of the first output, all doubles in a row."""
        return summary(query.chain[self.main] for query in self.queries)


def stages(chain: Chain, weights: Mapping[str, int], queries: Sequence[Query]) -> tuple[Stage, ...]:
    """The table of stages, from the queries.

    Args:
        chain: the variant.
        weights: number of weights of each double, by address.
        queries: at least one.
    """
    makers = {name: address for address, card in chain.cards.items() for name in card.watched[1]}
    found: list[Stage] = []
    for name in chain.values:
        address = makers.get(name, "")
        own = [query.own[name] for query in queries if name in query.own]
        along = [query.chain[name] for query in queries if name in query.chain]
        network = chain.cards[address].network if address else ""
        found.append(
            Stage(
                name,
                str(chain.types[name]),
                address,
                network,
                weights.get(address, 0),
                summary(own) if own else None,
                summary(along) if along else None,
            )
        )
    return tuple(found)


# ---- for people ------------------------------------------------------------------------------------------


def table(found: Sequence[Evaluated]) -> str:
    """The stages of every variant as lines of text, and below each what the chain comes to."""
    header = ("value", "double", "weights", "own", "worst", "chain", "5 %", "worst", "SSIM", "CIEDE2000")
    lines: list[str] = []
    for each in found:
        rows = [header, *(_cells(stage) for stage in each.stages)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines += [f"{each.name}: PSNR in dB of {len(each.queries)} queries"]
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines += [f"  {sentence(each)}", ""]
    return "\n".join(lines).rstrip()


def sentence(each: Evaluated) -> str:
    """What the chain comes to, in a line or two."""
    chain = each.chain
    words = f"chain: mean {chain.mean:.2f} dB, median {chain.median:.2f}, 5 % quantile {chain.low:.2f}"
    words += f", worst {chain.worst:.2f}"
    told = each.calibration.get("blind")
    if told:
        words += f"; trust: rank correlation {told.rank:.2f}"
        further = {"seen": "with taps", "ensemble": "with the ensemble"}
        known = [
            f"{what} {each.calibration[name].rank:.2f}" for name, what in further.items() if name in each.calibration
        ]
        words += f" ({', '.join(known)})" if known else ""
        if max(one.rank for one in each.calibration.values()) < WEAK:
            words += ", too little to go by"
    elif len(each.queries) < FEWEST:
        words += f"; no trust figure fitted, which takes {FEWEST} queries"
    return words


def _cells(stage: Stage) -> tuple[str, ...]:
    own, chain = stage.own, stage.chain
    return (
        stage.value,
        stage.network or "program",
        str(stage.parameters) if stage.network else "-",
        _decibel(own and own.mean),
        _decibel(own and own.worst),
        _decibel(chain and chain.mean),
        _decibel(chain and chain.low),
        _decibel(chain and chain.worst),
        _number(chain and chain.ssim, 4),
        _number(chain and chain.ciede2000, 2),
    )


def _decibel(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < BEST else "equal"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def markdown(
    head: Mapping[str, Any], found: Sequence[Evaluated], pictures: Mapping[str, Mapping[str, str]], again: Sequence[str]
) -> str:
    """The report.

    Args:
        head: what was evaluated: ``run``, ``pipeline``, ``real``, ``raws`` and how samples were chosen, in words.
        found: the variants.
        pictures: names of files by variant and by ``stages``, ``sensitivity``, ``trust`` and ``worst``.
        again: command lines that render the worst queries with the real thing.
    """
    lines = [f"# How far the doubles of {head['pipeline']} are off", ""]
    lines += [f"- {name}: {value}" for name, value in head.items()]
    lines += ["", *_comparison(found)]
    for each in found:
        lines += [f"## Variant `{each.name}`", "", f"{sentence(each)[:1].upper()}{sentence(each)[1:]}.", ""]
        lines += [*_stage_table(each), "", *_shown(pictures.get(each.name, {}), "stages", "Stages"), *_notes(each)]
        lines += _parameters(each, pictures.get(each.name, {}))
        lines += _trust(each, pictures.get(each.name, {}))
        lines += _worst(each, pictures.get(each.name, {}))
    if again:
        lines += ["The worst queries, rendered again by the real thing:", "", "```", *again, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _comparison(found: Sequence[Evaluated]) -> list[str]:
    if len(found) < 2:
        return []
    lines = ["## Side by side", "", "| variant | weights | mean | median | 5 % | worst | SSIM | CIEDE2000 |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for each in sorted(found, key=lambda each: -each.chain.mean):
        chain = each.chain
        weights = sum({stage.address: stage.parameters for stage in each.stages}.values())
        lines.append(
            f"| `{each.name}` | {weights} | {chain.mean:.2f} | {chain.median:.2f} | {chain.low:.2f} "
            f"| {chain.worst:.2f} | {_number(chain.ssim, 4)} | {_number(chain.ciede2000, 2)} |"
        )
    return [*lines, "", "PSNR of the first output, accumulated along the chain, in dB.", ""]


def _stage_table(each: Evaluated) -> list[str]:
    lines = ["| value | double | weights | own | own, worst | chain | chain, sRGB | 5 % | worst | SSIM | CIEDE2000 |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|---|")
    for stage in each.stages:
        value, double, weights, own, own_worst, chain, low, worst, ssim, colour = _cells(stage)
        coded = _decibel(stage.chain and stage.chain.coded)
        lines.append(
            f"| `{value}` | {double} | {weights} | {own} | {own_worst} | {chain} | {coded} | {low} | {worst} "
            f"| {ssim} | {colour} |"
        )
    return lines


def _notes(each: Evaluated) -> list[str]:
    lines = [
        "Own: the double on what the real stage before it gave. Chain: every double on what the double before it gave. "
        "Means are of the PSNRs of the queries, in dB; the peak is the largest code of the type, and of floats 1 = "
        f"white. `equal`, and all above {BEST:g} dB, counts as {BEST:g} dB."
    ]
    if any(is_light(type_) for type_ in map(_type, each.stages)):
        lines[0] += (
            " Taps of scene-linear light have values above 1, and their PSNR still has the peak 1; the column `chain, "
            "sRGB` is that of the same values clipped to 0..1 and coded by sRGB's curve, which is closer to what is "
            "seen."
        )
    return [*lines, ""]


def _type(stage: Stage) -> Any:
    from ispdsl.ir.types import Type

    return Type.parse(stage.type)


def _parameters(each: Evaluated, pictures: Mapping[str, str]) -> list[str]:
    if not each.sensitivities:
        return []
    first = each.sensitivities[0]
    lines = ["### Where in the ranges it is bad", ""]
    known = [piece for piece in first.bins if piece.count]
    if first.explained > 0 and known:
        bad = min(known, key=lambda piece: piece.mean)
        lines += [
            f"`{first.address}` says most about the error ({first.explained:.0%} of its variance in dB); it is worst "
            f"where it is {bad.label}: {bad.mean:.2f} dB in the mean.",
            "",
        ]
    lines += ["| parameter | of the error | best piece | mean | worst piece | mean | worst query |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += map(_pieces, each.sensitivities[:SHOWN])
    return [*lines, "", *_shown(pictures, "sensitivity", "Error against each parameter"), *_own(each)]


def _own(each: Evaluated) -> list[str]:
    """Which of its own parameters each double is bad at."""
    found = [(name, one) for name, those in each.own.items() for one in those[:2]]
    if not found:
        return []
    lines = ["Each double on the real input, against its own parameters (the two that say most):", ""]
    lines += ["| value | parameter | of the error | best piece | mean | worst piece | mean | worst query |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    return [*lines, *(f"| `{name}` {_pieces(one)}" for name, one in found), ""]


def _pieces(one: Sensitivity) -> str:
    """The cells of one parameter: where the error is least and where it is most."""
    pieces = sorted((piece for piece in one.bins if piece.count), key=lambda piece: piece.mean)
    best, worst = pieces[-1], pieces[0]
    lowest = min(piece.worst for piece in pieces)
    return (
        f"| `{one.address}` | {one.explained:.0%} | {best.label} | {best.mean:.2f} | {worst.label} | {worst.mean:.2f} "
        f"| {lowest:.2f} |"
    )


def _trust(each: Evaluated, pictures: Mapping[str, str]) -> list[str]:
    if not each.calibration and not each.before:
        return []
    lines = ["### How far its own estimate can be believed", ""]
    rows = [("this evaluation, by parts left out", each.calibration), ("the figure that was there before", each.before)]
    lines += ["| checked on | knows | queries | rank correlation | inside the interval | off by (median) |"]
    lines += ["|---|---|---|---|---|---|"]
    knows = {
        "blind": "settings and input",
        "seen": "also what the doubles made",
        "ensemble": "also how far the members of the ensemble are apart",
    }
    for what, calibrations in rows:
        lines += [
            f"| {what} | {knows[name]} | {one.count} | {one.rank:.2f} | {one.coverage:.0%} | {one.off:.2f} dB |"
            for name, one in calibrations.items()
        ]
    words = "Spearman's rank correlation of expected and true PSNR, on settings that the figure was not fitted to; the"
    return [*lines, "", f"{words} interval is meant to hold {SHARE:.0%}.", "", *_shown(pictures, "trust", "Trust")]


def _worst(each: Evaluated, pictures: Mapping[str, str]) -> list[str]:
    if "worst" not in pictures:
        return []
    return ["### Worst and typical", "", *_shown(pictures, "worst", "Real, doubles, ten times the difference")]


def _shown(pictures: Mapping[str, str], name: str, title: str) -> list[str]:
    return [f"![{title}]({pictures[name]})", ""] if name in pictures else []


# ---- for programs ----------------------------------------------------------------------------------------


def values(head: Mapping[str, Any], found: Sequence[Evaluated]) -> dict[str, Any]:
    """Everything for `json.dumps`; what is no number is null."""
    shown = {"format": FORMAT, **{name.replace(" ", "_"): value for name, value in head.items()}}
    shown["variants"] = [_values(each) for each in found]
    return _finite(shown)


def _values(each: Evaluated) -> dict[str, Any]:
    return {
        "name": each.name,
        "main": each.main,
        "chain": asdict(each.chain),
        "stages": [asdict(stage) for stage in each.stages],
        "parameters": [_sensitivity(one) for one in each.sensitivities],
        "own_parameters": {name: [_sensitivity(one) for one in those] for name, those in each.own.items()},
        "trust": {
            "fitted": {name: asdict(one) for name, one in each.calibration.items()},
            "before": {name: asdict(one) for name, one in each.before.items()},
        },
        "queries": [_query(query, each.main) for query in each.queries],
    }


def _sensitivity(one: Sensitivity) -> dict[str, Any]:
    return {"address": one.address, "explained": one.explained, "bins": [asdict(piece) for piece in one.bins]}


def _query(query: Query, main: str) -> dict[str, Any]:
    return {
        "number": query.number,
        "raw": query.raw,
        "part": list(query.part),
        "psnr": query.chain[main].psnr,
        "settings": dict(query.settings),
        "own": {name: asdict(score) for name, score in query.own.items()},
        "chain": {name: asdict(score) for name, score in query.chain.items()},
        "input": dict(zip(FACTS, query.image.tolist(), strict=True)),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
