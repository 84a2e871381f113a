"""The result as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """# How far doubles are from the real things

Made by `make reproduce-approximation DATA=folder`. For each target at most ten one-megapixel parts of raws (charts of
colours among them, where it says so) are sampled at random settings over the soft ranges, but for those that are named;
doubles are trained for so many minutes on all cores together; then real thing and doubles are asked for random settings
on raws that no double has seen. PSNR is the mean over those queries, in dB, of the finished picture (peak 1): every
double works on what the double before it gave. `own`: a double on the real input of its stage. Trust: Spearman's rank
correlation of the expected and the true PSNR, on settings that the figure was not fitted to: of what knows settings and
raw alone, of what also knows what the doubles made of them, and of what also knows how far the two doubles are apart
that `pairs` trains of each stage within the same minutes. Wanted: the mean that the project asks for.

No double was trained on these queries, but kinds of networks, charts and minutes were chosen after seeing figures like
these on the same raws: on raws that nobody has looked at, expect somewhat less.
"""


def page(result: Mapping[str, Any]) -> str:
    """All targets that were measured."""
    lines = [HEAD]
    for name, found in result["targets"].items():
        lines += _target(name, found)
    return "\n".join(lines).rstrip() + "\n"


def _target(name: str, found: Mapping[str, Any]) -> list[str]:
    variants = found["variants"]
    lines = [f"## {found['title']}", ""]
    lines += [
        f"Target `{name}`: {found['real']}, {found['renders']} renders of parts of {len(found['training_raws'])} raws"
        f"{_charts(found['charts'])}, {found['settings']} settings on {len(found['testing_raws'])} unseen files, seed "
        f"{found['seed']}, {found['machine']['cores']} cores, {found['seconds']:.0f} s in all.",
        "",
        "| doubles | minutes | seconds of training | mean PSNR | wanted | median | 5 % | worst | SSIM | CIEDE2000 "
        "| trust |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in variants:
        lines.append(
            f"| {each['kind']} | {each['minutes']:g} | {each['training_seconds']:.0f} | **{each['mean']:.2f}** "
            f"| {_number(each['wanted'], 1)} | {each['median']:.2f} | {each['low']:.2f} | {each['worst']:.2f} "
            f"| {_number(each['ssim'], 4)} | {_number(each['ciede2000'], 2)} | {_ranks(each)} |"
        )
    lines += ["", *_stages(variants)]
    if found["varied"]:
        ranges = ", ".join(f"`{address}` {values}" for address, values in found["varied"].items())
        lines += [f"Varied over other ranges than the soft ones: {ranges}.", ""]
    if found["programs"]:
        names = ", ".join(f"`{name}`" for name in found["programs"])
        lines += [f"Known formulas, which stay programs: {names}.", ""]
    return lines


def _ranks(each: Mapping[str, Any]) -> str:
    found = each["trust_rank"]
    return ", ".join(f"{found[name]:.2f}" for name in ("blind", "seen", "ensemble") if name in found) or "-"


def _charts(count: int) -> str:
    return f" and {count} charts" if count else ""


def _stages(variants: list[dict[str, Any]]) -> list[str]:
    """Own and accumulated PSNR at every watched value, a column for each variant that has it."""
    staged = [each for each in variants if len(each["stages"]) > 1]
    if not staged:
        return []
    names = [row["value"] for row in staged[0]["stages"]]
    head = "| value | " + " | ".join(f"{each['name']}: double, own, chain" for each in staged) + " |"
    lines = [head, "|---" * (len(staged) + 1) + "|"]
    for name in names:
        cells: list[str] = []
        for each in staged:
            row = next((row for row in each["stages"] if row["value"] == name), None)
            cells.append("-" if row is None else f"{row['network']}, {_number(row['own'])}, {_number(row['chain'])}")
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
