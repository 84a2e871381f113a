"""Finding `.isp` files and writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from ispdsl.cli.boundary import CommandError, ExitCode, writing
from ispdsl.diagnostics import nearest

PACKAGE = Path(__file__).resolve().parent.parent


def shipped(folder: str) -> Path:
    """`stdlib` or `pipelines`: beside the modules when installed, one folder up in a clone."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def shipped_pipelines() -> list[str]:
    """Names of the pipelines that come with ispdsl."""
    return sorted(path.stem for path in shipped("pipelines").glob("*.isp"))


def find_pipeline(argument: str) -> Path:
    """The file that an argument means: a path, or the name of a pipeline that comes with ispdsl.

    Raises:
        CommandError: there is neither.
    """
    path = Path(argument)
    if path.is_file():
        return path
    if argument in shipped_pipelines():
        return shipped("pipelines") / f"{argument}.isp"
    if path.is_dir():
        raise CommandError(f"{argument} is a folder", "name a .isp file in it", ExitCode.UNREADABLE)
    near = nearest(argument, shipped_pipelines()) if path.suffix != ".isp" else _near_file(path)
    raise CommandError(
        f"cannot read {argument}: there is no such file", near and f"did you mean {near}?", ExitCode.UNREADABLE
    )


def isp_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files themselves, and every `.isp` file under the folders, in order; hidden folders are left out.

    Raises:
        CommandError: a path does not exist.
    """
    for path in paths:
        if not path.exists():
            near = _near_file(path)
            hint = f"did you mean {near}?" if near else None
            raise CommandError(f"cannot read {path}: there is no such file", hint, ExitCode.UNREADABLE)
        if not path.is_dir():
            yield path
            continue
        for folder, inner, names in os.walk(path):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            yield from (Path(folder) / name for name in sorted(names) if name.endswith(".isp"))


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, keeping its permissions; a link is followed, not replaced.

    Raises:
        CommandError: it cannot be written; then the old file is untouched.
    """
    with writing(path):
        target = path.resolve()
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with draft.open("x", encoding="utf-8", newline="\n") as stream:
                if target.exists():
                    os.fchmod(stream.fileno(), target.stat().st_mode & 0o7777)
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def _near_file(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".isp"]
    except OSError:
        return None
    near = nearest(path.name, names)
    return str(path.parent / near) if near else None
