"""A text that names programs, files or devices runs them only where somebody has allowed it: these, in this state.

What is remembered is a fingerprint of the texts, of the executor line and of the files beside them that it names.
Change any of them, and permission is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter

from ispdsl.executors import kinds
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Declared


class Permission(BaseModel, frozen=True, extra="forbid"):
    """That a text may use what it names: its fingerprint, the file that was trusted, name and executor line of the
    pipeline or stage in it, what that names, and since when (Unix time).
    """

    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    file: str
    name: str
    executor: str
    reaches: tuple[str, ...]
    since: float


STORED = TypeAdapter(list[Permission])
"""What the store holds."""


def inside(folder: Path, name: str) -> Path:
    """The path of a file that a text names, which must lie beside the text or below.

    Raises:
        ExecutorError: FOREIGN for a path that is absolute or leads out of the folder, by ``..`` or by a link.
    """

    def refused(why: str) -> ExecutorError:
        hint = f"put it beside the file that names it, in {folder} or below"
        return ExecutorError(Fault.FOREIGN, f"{name!r} {why}", hint)

    if not name or "\0" in name:
        raise refused("is no name of a file")
    if Path(name).is_absolute():
        raise refused("is an absolute path")
    home = folder.resolve()
    try:
        path = (home / name).resolve()
    except (OSError, RuntimeError) as error:
        raise refused("is a link that leads to itself") from error
    if home not in path.parents:
        raise refused("leads out of the folder")
    return path


def fingerprint(declared: Declared) -> str:
    """SHA-256 of all that decides what would run: the texts, the executor line, and the named files beside them."""
    line = declared.implementation
    parts: list[Any] = [
        declared.sha256,
        declared.name,
        line.kind,
        line.target,
        line.model_dump(mode="json")["arguments"],
    ]
    for node in declared.nodes:
        if node.executor is not None:
            parts.append([node.address, node.executor.target, node.executor.model_dump(mode="json")["arguments"]])
    parts += [[name, _content(declared.folder, name)] for name in sorted(kinds.reaches(declared))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_allowed(declared: Declared, allow: bool = False) -> None:
    """Make sure that what a text names may be started, read and talked to.

    Args:
        declared: what the text says.
        allow: whether the user has allowed it for this once.

    Raises:
        ExecutorError: DENIED, with all that would be started.
    """
    names = kinds.reaches(declared)
    if not names or allow or fingerprint(declared) in granted():
        return
    used = "\n".join(f"  {name}" for name in names)
    raise ExecutorError(
        Fault.DENIED,
        f"{declared.where} would use:\n{used}\nby {line_of(declared)}",
        "`ispdsl trust FILE`, with the file that you run, allows it for good; --allow-exec for this once",
        command=names,
    )


def line_of(declared: Declared) -> str:
    """The executor line as one would write it, so that the arguments of what it starts can be seen too."""
    line = declared.implementation
    words = [
        (f"{name} = " if not name.isdigit() else "") + json.dumps(value, ensure_ascii=False)
        for name, value in line.model_dump(mode="json")["arguments"].items()
    ]
    return f"executor {line.target}({', '.join(words)})"


# The store


def store() -> Path:
    """The file of permissions: ``ispdsl/trusted.json`` below XDG_STATE_HOME."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local/state"
    return base / "ispdsl/trusted.json"


def granted() -> dict[str, Permission]:
    """All permissions by fingerprint.

    Raises:
        ExecutorError: DENIED where the store cannot be read; it never grants more than it says.
    """
    path = store()
    try:
        found = STORED.validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # pydantic's is a ValueError
        hint = f"remove {path}; `ispdsl trust FILE` begins a new one"
        raise ExecutorError(Fault.DENIED, f"the list of trusted files {path} is damaged", hint) from error
    return {each.fingerprint: each for each in found}


def grant(file: Path, found: Sequence[Declared]) -> list[Permission]:
    """Remember that a file may use what it names, and forget what it was allowed before.

    Args:
        file: the file that the user trusts.
        found: everything real in it and in what it imports; what names nothing of its own needs no permission.
    """
    own = str(file.resolve())
    new = [
        Permission(
            fingerprint=fingerprint(each),
            file=own,
            name=each.name,
            executor=line_of(each),
            reaches=kinds.reaches(each),
            since=time.time(),
        )
        for each in found
        if kinds.reaches(each)
    ]
    _write([*(each for each in granted().values() if each.file != own), *new])
    return new


def revoke(file: Path) -> list[Permission]:
    """Forget what was allowed to a file; what it was."""
    everything = granted().values()
    gone = [each for each in everything if each.file == str(file.resolve())]
    if gone:
        _write([each for each in everything if each not in gone])
    return gone


def _write(permissions: list[Permission]) -> None:
    path = store()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(STORED.dump_json(permissions, indent=1))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _content(folder: Path, name: str) -> str:
    """Hash of a regular file beside the text; empty for what is none, or lies elsewhere and is not the text's own."""
    try:
        path = inside(folder, name)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except (ExecutorError, OSError):
        return ""
