"""`ispdsl explain`: a page for every diagnostic code and every property of a contract."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer

from ispdsl.catalogue import ENTRIES, Entry
from ispdsl.catalogue.properties import PAGES, plain
from ispdsl.catalogue.properties_values import IMPLIED
from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.console import emit, note
from ispdsl.cli.options import Json
from ispdsl.diagnostics import nearest
from ispdsl.render.characters import with_bytes_shown

Found = TypeVar("Found")


def complete_word(incomplete: str) -> list[str]:
    """Codes and properties that begin so."""
    return [word for word in ["property", *ENTRIES, *PAGES] if word.lower().startswith(incomplete.lower())]


@guarded
def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CODE | property NAME",
            help="A code such as E201, or a property of a contract; without it all codes are listed.",
            autocompletion=complete_word,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a diagnostic code, or a property of a contract."""
    match _completed(words or []):
        case []:
            _list({code: entry.title for code, entry in ENTRIES.items()}, as_json)
            note("`ispdsl explain CODE` shows a page; `ispdsl explain property` lists the properties of a contract")
        case ["property"]:
            _list({name: each.title for name, each in PAGES.items()}, as_json)
        case ["property", name]:
            found = _find(name, PAGES, "property")
            emit(json.dumps(asdict(found), indent=2) if as_json else plain(found))
        case [code]:
            entry = _find(code.upper() if code.upper() in ENTRIES else code, ENTRIES, "code")
            shown = {name: with_bytes_shown(text) for name, text in asdict(entry).items()}
            emit(json.dumps(shown, indent=2) if as_json else page(entry))
        case _:
            raise CommandError(
                "too many words", "write for example: ispdsl explain E201, or ispdsl explain property linear"
            )


def _completed(words: list[str]) -> list[str]:
    """The name of a property alone means that property; what is implied has one page for all of its names."""
    lower = [word.lower() for word in words]
    if lower and lower[-1] in dict(IMPLIED.parts):
        lower[-1] = IMPLIED.name
    if len(lower) == 1 and lower[0] in PAGES:
        return ["property", *lower]
    return lower if lower[:1] == ["property"] else words


def page(entry: Entry) -> str:
    """The page of a code: why it is wrong, a file that earns it, the same file mended."""
    paragraphs = [textwrap.fill(paragraph, 100) for paragraph in entry.why.split("\n\n")]
    examples = [
        f"{title}:\n\n{textwrap.indent(with_bytes_shown(text).strip(), '    ')}"
        for title, text in (("Wrong", entry.wrong), ("Right", entry.right))
    ]
    return "\n\n".join([f"{entry.code}: {entry.title}", *paragraphs, *examples])


def _list(titles: dict[str, str], as_json: bool) -> None:
    if as_json:
        emit(json.dumps(titles, indent=2))
        return
    size = max(map(len, titles), default=0)
    for name, title in titles.items():
        emit(f"{name:<{size}}  {title}")


def _find(name: str, known: dict[str, Found], what: str) -> Found:
    if name in known:
        return known[name]
    near = nearest(name, known)
    listing = "ispdsl explain property" if what == "property" else "ispdsl explain"
    raise CommandError(f"there is no {what} {name}", f"did you mean {near}?" if near else f"`{listing}` lists them all")
