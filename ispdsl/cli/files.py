"""Finding `.isp` files and writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ispdsl.cli.boundary import CommandError, ExitCode, writing
from ispdsl.diagnostics import nearest

PACKAGE = Path(__file__).resolve().parent.parent
OTHERS = {
    ".json": "settings, a description or a record",
    ".pt2": "a compiled package, which `ispdsl run` takes",
    ".cube": "a table of colours",
    ".safetensors": "a network",
    ".onnx": "a network",
    ".xmp": "settings of darktable",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".pfm"), "a picture"),
    **dict.fromkeys((".dng", ".nef", ".cr2", ".cr3", ".crw", ".arw", ".raf", ".rw2", ".orf", ".raw"), "a raw file"),
}
"""What files with other suffixes are, that are given in the place of a pipeline."""

STDIN = Path("-")
"""The name that stands for stdin."""


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
        refuse_other(path)
        return path
    if argument in shipped_pipelines():
        return shipped("pipelines") / f"{argument}.isp"
    if path.is_dir():
        raise CommandError(f"{argument} is a folder", "name a .isp file in it", ExitCode.UNREADABLE)
    if os.path.lexists(path):
        require_file(path)
    near = nearest(argument, shipped_pipelines()) if path.suffix != ".isp" else _near_file(path)
    raise CommandError(
        f"cannot read {argument}: there is no such file", near and f"did you mean {near}?", ExitCode.UNREADABLE
    )


def refuse_other(path: Path) -> None:
    """Say of a file that is something else than a text that it is none, instead of what is wrong with its first line.

    Raises:
        CommandError: its suffix says what it is.
    """
    kind = OTHERS.get(path.suffix.lower())
    if kind is not None:
        raise CommandError(
            f"{path} is no pipeline: {path.suffix} is {kind}", "name a text, such as isp.isp", ExitCode.UNREADABLE
        )


def check_place(output: Path) -> None:
    """Find out before the work whether there is a folder for its result.

    Raises:
        CommandError: there is none, or the result itself is one.
    """
    if output.is_dir():
        raise CommandError(f"cannot write {output}: it is a folder", "name a file in it", ExitCode.OUTPUT)
    if not output.parent.is_dir():
        message = f"cannot write {output}: there is no folder {output.parent}"
        raise CommandError(message, "make the folder first", ExitCode.OUTPUT)


def isp_files(paths: Iterable[Path]) -> list[Path]:
    """The files as they are named, and every `.isp` file under the folders, in order; hidden folders are left out.

    In a folder only what can be read as a file counts: no pipe, no device. A path that leads nowhere is handed on,
    for `require_file` to complain about.

    Raises:
        CommandError: there is nothing but folders, and no `.isp` file in them.
    """
    given = list(paths)
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        for folder, inner, names in os.walk(path):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            inside = (Path(folder) / name for name in sorted(names) if name.endswith(".isp"))
            found += [file for file in inside if file.is_file() or not file.exists()]
    if not found:
        names = ", ".join(map(str, given))
        raise CommandError(f"there are no .isp files in {names}", "name a file, or a folder that has some")
    return found


def require_file(path: Path) -> None:
    """Make sure that a path can be read as a file.

    Raises:
        CommandError: it does not exist, or reading it might never end.
    """
    if path.is_file():
        return
    if path.is_symlink() and not path.exists():
        raise CommandError(f"cannot read {path}: it is a link that leads nowhere", code=ExitCode.UNREADABLE)
    if path.exists():
        raise CommandError(f"cannot read {path}: it is no regular file", code=ExitCode.UNREADABLE)
    near = _near_file(path)
    hint = f"did you mean {near}?" if near else None
    raise CommandError(f"cannot read {path}: there is no such file", hint, ExitCode.UNREADABLE)


def named_or_shipped(path: Path) -> Path:
    """The path itself, or the pipeline that comes with ispdsl where only one of that name exists."""
    bare = not os.path.lexists(path) and str(path) in shipped_pipelines()
    return shipped("pipelines") / f"{path}.isp" if bare else path


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, keeping its permissions; a link is followed, not replaced.

    Raises:
        CommandError: it cannot be written; then the old file is untouched.
    """
    with writing(path):
        target = path.resolve()
        draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
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
