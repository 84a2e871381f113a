"""A page for every property of a contract (`ispdsl explain property monotone`), as text and as markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from ispdsl.catalogue.page import Page
from ispdsl.catalogue.properties_algebra import ALGEBRA
from ispdsl.catalogue.properties_places import PLACES
from ispdsl.catalogue.properties_values import IMPLIED, VALUES

PAGES: dict[str, Page] = {page.name: page for page in (*ALGEBRA, *PLACES, *VALUES, IMPLIED)}
"""All pages by the property's name, and `implied`."""

WIDTH = 100
"""Columns of a page in a terminal."""

LINE = 120
"""Columns of the markdown."""


def plain(page: Page) -> str:
    """The page for a terminal of WIDTH columns."""
    head = f"property {page.name}: {page.title}" if page.usage else f"{page.name}: {page.title}"
    blocks = [textwrap.fill(head, WIDTH)]
    blocks += [textwrap.indent(page.usage, "    ")] if page.usage else []
    blocks += [textwrap.fill(paragraph, WIDTH) for paragraph in page.meaning.split("\n\n")]
    blocks += ["\n".join(_rows(page.parts))] if page.parts else []
    blocks += ["\n".join(_rows(_facts(page)))]
    blocks += [_example("In the standard library", _table(page.seen))] if page.seen else []
    blocks += [_example("Right", page.right), _example(f"Wrong ({page.code})", _wrong(page))]
    return "\n\n".join(blocks)


def markdown(pages: Iterable[Page]) -> str:
    """The section "The vocabulary" of docs/contracts.md, a subsection a page."""
    return "\n\n".join(["## The vocabulary", *map(_subsection, pages)]) + "\n"


def _subsection(page: Page) -> str:
    listed = [_item(f"`{name}`: {text}") for name, text in page.parts]
    blocks = [f"### {page.name}", textwrap.fill(f"In short: {page.title}.", LINE)]
    blocks += [_fence(page.usage)] if page.usage else []
    blocks += [textwrap.fill(paragraph, LINE) for paragraph in page.meaning.split("\n\n")]
    blocks += ["\n".join(listed)] if listed else []
    blocks += ["\n".join(_item(f"**{name}** {text}") for name, text in _facts(page))]
    blocks += ["In the standard library:", _fence(_table(page.seen))] if page.seen else []
    blocks += ["Right:", _fence(page.right), f"Wrong ({page.code}):", _fence(_wrong(page))]
    return "\n\n".join(blocks)


def _facts(page: Page) -> tuple[tuple[str, str], ...]:
    return ("Tried on:", page.tried), ("Tolerance:", page.tolerance), ("Catches:", page.catches)


def _rows(rows: tuple[tuple[str, str], ...]) -> list[str]:
    """Names with their texts beside them, wrapped under each other; a name too long for its column stands above."""
    size = min(16, max(len(name) for name, _ in rows))
    lines: list[str] = []
    for name, text in rows:
        lead = f"  {name:<{size}}  "
        if len(name) > size:
            lines.append(f"  {name}")
            lead = " " * (size + 4)
        lines.append(textwrap.fill(text, WIDTH, initial_indent=lead, subsequent_indent=" " * (size + 4)))
    return lines


def _wrong(page: Page) -> str:
    return textwrap.dedent(f"  {page.wrong}")


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    size = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{size}}  {text}" for name, text in rows)


def _example(title: str, text: str) -> str:
    return f"{title}:\n\n{textwrap.indent(text.rstrip(), '    ')}"


def _item(text: str) -> str:
    return textwrap.fill(text, LINE, initial_indent="- ", subsequent_indent="  ")


def _fence(text: str) -> str:
    return f"```\n{text.rstrip()}\n```"
