"""What the standard library offers, for hints and lists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ispdsl.source import Source
from ispdsl.syntax.parser import load_source, parse


@cache
def standard_files(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Names under which the standard files are imported."""
    return tuple(dict.fromkeys(_name(path, folder) for folder in folders for path in _files(folder)))


@cache
def standard_names(folders: tuple[Path, ...]) -> Mapping[str, str]:
    """The standard stages and pipelines by name, with the file of each."""
    found: dict[str, str] = {}
    for folder in folders:
        for path in _files(folder):
            try:
                source = load_source(path, path.name)
            except OSError:
                continue  # whoever imports it is told
            if isinstance(source, Source):
                for declaration in parse(source).tree.declarations:
                    found.setdefault(declaration.name.text, _name(path, folder))
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.isp") if path.is_file())


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
