"""The files behind a file: found, read and lowered once, however many import them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ispdsl.diagnostics import Diagnostic, nearest
from ispdsl.ir.cube import CubeError
from ispdsl.ir.model import Pipeline, Stage
from ispdsl.ir.params import FileReference
from ispdsl.lower.scope import Declared, Hint, Sink, listed, meant
from ispdsl.lower.search import candidates, display_name, is_file, named_folders, real
from ispdsl.lower.standard import standard_files
from ispdsl.source import Source, Span
from ispdsl.syntax import tree as t
from ispdsl.syntax.parser import load_source

MAX_DEPTH = 32
"""Imports of imports, at most."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A lowered file: what it declares, and the files that it imports."""

    source: Source
    digest: str
    """SHA-256 of the text."""
    callables: Mapping[str, Declared]
    """What the file itself declares, by name."""
    stages: Mapping[str, Stage]
    pipelines: Mapping[str, Pipeline]
    """Its own, by key."""
    imports: tuple[Loaded, ...]
    diagnostics: tuple[Diagnostic, ...]
    """Those of the file itself."""
    whole: bool
    """Whether every declaration could be read."""

    def closure(self) -> list[Loaded]:
        """The file and all that it imports, directly and through others, each once."""
        found: dict[int, Loaded] = {}
        waiting: list[Loaded] = [self]
        while waiting:
            loaded = waiting.pop()
            if id(loaded) not in found:
                found[id(loaded)] = loaded
                waiting.extend(reversed(loaded.imports))
        return list(found.values())


Read = Loaded | Diagnostic | OSError
"""A file; or what is wrong with its text, so that none of it was understood; or why it cannot be read."""

Lower = Callable[[Source, "Library"], Loaded]


@dataclass
class Library:
    """The files of a run, each read and lowered once by `lower`; `open` are those being lowered, to find circles."""

    lower: Lower
    loaded: dict[tuple[Path, str], Read] = field(default_factory=dict[tuple[Path, str], "Read"])
    """What has been read, by path and shown name."""
    places: dict[tuple[Path, str, bool], tuple[Path, str] | None] = field(
        default_factory=dict[tuple[Path, str, bool], "tuple[Path, str] | None"]
    )
    """Where an import leads, by the importing file and what is written there."""
    open: list[Path] = field(default_factory=list[Path])
    tables: dict[tuple[Path, str], FileReference | CubeError] = field(
        default_factory=dict[tuple[Path, str], "FileReference | CubeError"]
    )
    """The tables' files that have been read, as `Files` keeps them."""


def lower_path(path: Path, name: str, library: Library) -> Read:
    """The lowered file at a path that is free of links, or why there is none."""
    known = library.loaded.get((path, name))
    if known is not None:
        return known
    try:
        read = load_source(path, name)
    except OSError as error:
        found: Read = error
    else:
        if isinstance(read, Source):
            library.open.append(path)
            try:
                found = library.lower(read, library)
            finally:
                library.open.pop()
        else:
            found = read
    library.loaded[path, name] = found
    return found


def imported_names(
    tree: t.File, source: Source, standard: tuple[Path, ...], library: Library, sink: Sink
) -> tuple[dict[str, Declared], tuple[Loaded, ...]]:
    """The imported declarations by name, and the files that they come from; `standard` are the standard folders."""
    names: dict[str, Declared] = {}
    first: dict[str, Span] = {}
    files: dict[str, Loaded] = {}
    for import_ in tree.imports:
        loaded = _open(import_, source, standard, library, sink)
        for name in import_.names:
            if name.text in first:
                related = [sink.label(first[name.text], "first here")]
                sink.add("E204", f"{name.text} is imported twice", name.span, related=related, hint="import it once")
                continue
            first[name.text] = name.span
            if loaded is None:
                continue
            found = loaded.callables.get(name.text)
            if found:
                names[name.text] = found
            elif loaded.whole:  # else it may be what the parser could not read
                hint = meant(name.text, loaded.callables, f"it has {listed(sorted(loaded.callables))}")
                sink.add("E208", f"{loaded.source.name} has no {name.text}", name.span, hint=hint)
        if loaded:
            files[loaded.source.name] = loaded
    return names, tuple(files.values())


def _open(import_: t.Import, source: Source, standard: tuple[Path, ...], library: Library, sink: Sink) -> Loaded | None:
    """The file behind an import; reported when it cannot be had."""
    origin, span = import_.origin, import_.origin.span
    if isinstance(origin, t.String) and (not origin.text.endswith(".isp") or origin.text.startswith("/")):
        named = not any(sign in origin.text for sign in "/\\.") and origin.text
        hint = f'write "{origin.text}.isp", or without quotes for a standard file' if named else 'as "common/raw.isp"'
        sink.add("E207", "an import in quotes is the path of a .isp file beside this one", span, hint=hint)
        return None
    place = _place(import_, source, standard, library)
    if place is None:
        sink.add("E207", f"no file for import {origin.text}", span, hint=_nowhere(import_, source, standard))
        return None
    path, name = place
    if path in library.open:
        circle = [*(step.name for step in library.open[library.open.index(path) :]), path.name]
        message = f"imports run in a circle: {' -> '.join(circle)}" if circle[2:] else f"{path.name} imports itself"
        sink.add("E209", message, span, hint="move what both need into a third file")
        return None
    if len(library.open) > MAX_DEPTH and place not in library.loaded:
        sink.add("E209", f"imports are nested more than {MAX_DEPTH} deep", span)
        return None
    found = lower_path(path, name, library)
    if isinstance(found, Loaded):
        return found
    if isinstance(found, Diagnostic):
        sink.found.append(found)
        sink.errors += 1
    else:
        sink.add("E207", f"{path.name} cannot be read: {found.strerror}", span)
    return None


def _place(import_: t.Import, source: Source, standard: tuple[Path, ...], library: Library) -> tuple[Path, str] | None:
    """The path and shown name of the file that an import means."""
    origin = import_.origin
    here = real(source.path) if source.path else None
    key = (here or Path(), origin.text, isinstance(origin, t.String))
    if key not in library.places:
        paths = [real(path) for path in candidates(import_, source.path, standard) if "\0" not in str(path)]
        # A file that bears the name of a standard one may import it: it means itself only where there is no other.
        path = next((p for p in paths if p != here and is_file(p)), here if here in paths else None)
        library.places[key] = (path, display_name(path, source.path)) if path else None
    return library.places[key]


def _nowhere(import_: t.Import, source: Source, standard: tuple[Path, ...]) -> Hint:
    """How to mend an import that leads nowhere."""
    text = import_.origin.text
    if isinstance(import_.origin, t.Name) and text.endswith(".isp"):
        return f'write: from {text.removesuffix(".isp")} import ..., or the path in quotes: from "{text}" import ...'

    def look() -> str:
        near = nearest(text, standard_files(standard))
        folders = [path.parent for path in candidates(import_, source.path, standard)]
        return f"did you mean {near}?" if near else f"looked in {named_folders(folders)}"

    return look
