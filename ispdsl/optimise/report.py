"""The report of a search: a page of HTML with its pictures beside it, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ispdsl.optimise.engine import Found
from ispdsl.optimise.morris import Effect
from ispdsl.optimise.plots import Shown, plot_convergence, plot_effects, plot_parallel, plot_paths
from ispdsl.optimise.space import Space
from ispdsl.runtime.pictures import atomic_write

NAME = "report.html"

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262e; max-width: 62em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .9em .2em 0; text-align: left }
th { border-bottom: 1px solid #e4e6ea } td.number { font-variant-numeric: tabular-nums }
img { max-width: 100%; display: block; margin: 1.2em 0 }
"""


def write_report(
    folder: Path,
    title: str,
    runs: Mapping[str, Sequence[Found]],
    space: Space,
    *,
    told: Mapping[str, str],
    settings: Sequence[tuple[str, str, str]] = (),
    effects: Sequence[Effect] = (),
    pictures: Sequence[tuple[str, Path]] = (),
    unit: str = "score",
    shown: Shown = lambda score: score,
) -> Path:
    """Write a report into a folder, which is made where it is not there.

    Args:
        folder: where ``report.html`` and its pictures go.
        title: of the page.
        runs: by searcher; the first run of the first is the one whose calls are shown.
        space: that was searched.
        told: facts, in the order in which they are listed.
        settings: name, start and found, as people read them.
        effects: how much each number matters, where that was measured.
        pictures: title and file of further pictures in the folder, as of before and after.
        unit: of what is shown of a score.
        shown: what to show of a score.

    Returns:
        The page.

    Raises:
        ValueError: there is no search.
        PictureError: something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot_convergence(folder / "convergence.png", runs, f"Convergence ({unit})", shown)
    found = next(each for several in runs.values() for each in several if each.evaluations)
    plot_paths(folder / "paths.png", found, space, "Where it looked, call by call")
    plot_parallel(folder / "parallel.png", found, space, "All calls")
    drawn = [("Convergence", "convergence.png"), ("Paths", "paths.png"), ("Parallel coordinates", "parallel.png")]
    if effects:
        plot_effects(folder / "effects.png", effects, "How much each setting matters")
        drawn.append(("Sensitivity", "effects.png"))
    drawn = [*((name, path.name) for name, path in pictures), *drawn]
    tables = [("Settings", ("setting", "start", "found"), settings)] if settings else []
    return write_page(folder, title, told, tables, drawn)


def write_page(
    folder: Path,
    title: str,
    told: Mapping[str, str],
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
    pictures: Sequence[tuple[str, str]],
) -> Path:
    """Write the page of a report; what is in it is text, whatever it looks like.

    Args:
        folder: where it goes.
        title: of the page.
        told: facts, in the order in which they are listed.
        tables: title, head and rows of each.
        pictures: title, and the name of the file in the folder.

    Raises:
        PictureError: it cannot be written.
    """
    body = [f"<h1>{escape(title)}</h1>", _table(("", ""), told.items())]
    for name, head, rows in tables:
        body += [f"<h2>{escape(name)}</h2>", _table(head, rows)]
    for name, file in pictures:
        body += [f"<h2>{escape(name)}</h2>", f'<img src="{escape(file)}" alt="{escape(name)}">']
    head = [f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>']
    page = ["<!doctype html>", *head, "<body>", *body, "</body></html>", ""]
    atomic_write(folder / NAME, "\n".join(page).encode())
    return folder / NAME


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what people wrote into it is text and no markup."""
    lines = ["<table>"]
    if any(head):
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    for row in rows:
        lines.append("<tr>" + "".join(f'<td class="number">{escape(cell)}</td>' for cell in row) + "</tr>")
    return "\n".join([*lines, "</table>"])
