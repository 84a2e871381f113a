"""Where imports are looked for: beside the file, in the project's `stdlib/`, in the installed one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ispdsl.syntax.tree import Import, Name


@cache
def installed_stdlib() -> Path:
    """The folder of the standard stages: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "stdlib"
    return inside if inside.is_dir() else package.parent / "stdlib"


def project_stdlib(file: Path) -> Path | None:
    """The nearest `stdlib/` folder in or above the folder of a file."""
    for folder in file.resolve().parents:
        candidate = folder / "stdlib"
        if candidate.is_dir():
            return candidate
    return None


def standard_folders(file: Path | None) -> tuple[Path, ...]:
    """The project's and the installed `stdlib/`, the same one once."""
    found = [project_stdlib(file) if file else None, installed_stdlib()]
    return tuple(dict.fromkeys(folder.resolve() for folder in found if folder))


def candidates(import_: Import, file: Path | None) -> Iterator[Path]:
    """Paths at which an import may lie, in order."""
    beside = file.parent if file else Path.cwd()
    if isinstance(import_.origin, Name):
        relative = Path(*import_.origin.text.split(".")).with_suffix(".isp")
        for folder in (beside, *standard_folders(file)):
            yield folder / relative
    else:
        yield beside / import_.origin.text


def display_name(path: Path, beside: Path | None) -> str:
    """How a file is called in diagnostics and in the IR: the same on every machine wherever it can be."""
    resolved = path.resolve()
    for folder in standard_folders(beside):
        if resolved.is_relative_to(folder):
            return (Path("stdlib") / resolved.relative_to(folder)).as_posix()
    for root in (Path.cwd(), beside.resolve().parent if beside else Path.cwd()):
        if resolved.is_relative_to(root):
            return resolved.relative_to(root).as_posix()
    return resolved.as_posix()
