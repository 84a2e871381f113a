"""Where imports are looked for: beside the file, in the project's `stdlib/`, in the installed one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    for folder in real(file).parents:
        candidate = folder / "stdlib"
        if candidate.is_dir():
            return candidate
    return None


def standard_folders(file: Path | None) -> tuple[Path, ...]:
    """The project's and the installed `stdlib/`, the same one once."""
    found = [project_stdlib(file) if file else None, installed_stdlib()]
    return tuple(dict.fromkeys(real(folder) for folder in found if folder))


def candidates(import_: Import, file: Path | None, standard: Iterable[Path]) -> Iterator[Path]:
    """Paths at which an import may lie, in order; `standard` are the standard folders of the file."""
    beside = file.parent if file else Path.cwd()
    if isinstance(import_.origin, Name):
        relative = Path(*import_.origin.text.split(".")).with_suffix(".isp")
        for folder in (beside, *standard):
            yield folder / relative
    else:
        yield beside / import_.origin.text


def real(path: Path) -> Path:
    """`path` without links; one that goes in circles stays as it is."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def is_file(path: Path) -> bool:
    """Whether a regular file lies there. Devices and pipes are none: reading them might not end."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def named_folders(folders: Iterable[Path]) -> str:
    """Folders as a hint names them: those below the current one relative to it, each once."""
    here = Path.cwd()
    shown = (real(folder) for folder in folders)
    return ", ".join(dict.fromkeys(str(f.relative_to(here) if f.is_relative_to(here) else f) for f in shown))


def display_name(path: Path, beside: Path | None) -> str:
    """How a file is called in diagnostics and in the IR: the same on every machine wherever it can be."""
    resolved = real(path)
    for folder in standard_folders(beside):
        if resolved.is_relative_to(folder):
            return (Path("stdlib") / resolved.relative_to(folder)).as_posix()
    for root in (Path.cwd(), real(beside).parent if beside else Path.cwd()):
        if resolved.is_relative_to(root):
            return resolved.relative_to(root).as_posix()
    return resolved.as_posix()
