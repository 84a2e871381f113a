"""What the sweep over sizes found, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Found = Mapping[str, Any]
"""What `ispdsl bench --json` says of a size, or ``failed`` and why."""

HEAD = """\
# {pipeline}: megapixels a second against the size of the image

Made by `python -m benchmarks.speed`: medians of rounds in which the contenders of a size run by turns; behind each, how
many times as long it takes as the first contender, of the same rounds. [speed.md](../../docs/speed.md) says what is
timed.

{processor}, {threads} threads; other programs kept up to {busiest:.2f} cores busy; {versions}.
"""


def page(found: Mapping[str, Found], pipeline: str) -> str:
    """A table with a row for each contender and a column for each size in megapixels; of which machine and versions."""
    done = {size: result for size, result in found.items() if "failed" not in result}
    names = dict.fromkeys(each["name"] for result in done.values() for each in result["forward"]["contenders"])
    one = next(iter(done.values()))
    head = HEAD.format(
        pipeline=pipeline,
        processor=one["machine"]["processor"],
        threads=one["machine"]["threads"],
        busiest=max(result["machine"]["others_busy"] or 0.0 for result in done.values()),
        versions=", ".join(f"{name} {version}" for name, version in one["versions"].items() if version),
    )
    lines = [
        f"| contender | {' | '.join(f'{size} MP' for size in done)} |",
        "|---" * (len(done) + 1) + "|",
        *(f"| `{name}` | {' | '.join(_cell(result, name) for result in done.values())} |" for name in names),
    ]
    lines += [f"\n{size} MP failed: {result['failed']}." for size, result in found.items() if "failed" in result]
    lines += [f"\nAt {size} MP each ran beside the first one alone." for size in done if done[size].get("in_pairs")]
    return "\n".join((head, *lines, ""))


def _cell(result: Found, name: str) -> str:
    row: Found = next((each for each in result["forward"]["contenders"] if each["name"] == name), {})
    if "megapixels_a_second" not in row:
        return "-"
    times = row.get("times_reference")
    return f"{row['megapixels_a_second']:.3g} ({times['median'] if times else 1.0:.3g})"
