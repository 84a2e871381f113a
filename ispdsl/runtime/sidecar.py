"""The sidecar ``photo.dng.isp.json``: settings kept beside a photograph, or as a preset for any.

::

    {"ispdsl": "1", "pipeline": "photo_finish", "pipeline_sha256": "...",
     "settings": {"exposure.ev": "0.7ev", "saturation.amount": "110%"}, "frame": {"file": "photo.dng"}}
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ispdsl.diagnostics import nearest
from ispdsl.ir.params import FileReference
from ispdsl.runtime.reading import file_reference, plain
from ispdsl.runtime.slots import Slot
from ispdsl.runtime.values import Problem, Settings, SettingsError

VERSION = "1"
LARGEST = 1 << 24
"""Bytes of a sidecar that are read."""

KEYS = ("ispdsl", "pipeline", "pipeline_sha256", "settings", "frame")


@dataclass(frozen=True)
class Sidecar:
    """The content of a sidecar. `settings` may be partial; `folder` is where its files are looked for."""

    settings: Mapping[str, Any]
    pipeline: str | None = None
    pipeline_sha256: str | None = None
    frame: Mapping[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None

    @staticmethod
    def of(settings: Settings, frame: Mapping[str, Any] | None = None, *, complete: bool = False) -> Sidecar:
        """What was set; with `complete` every adjustable value, so that a changed default changes no picture."""
        slots = {slot.address: slot for slot in settings.slots if not slot.fixed and not slot.structural}
        addresses = slots if complete else [address for address in slots if address in settings.changed]
        values = {address: settings[address] for address in addresses}
        written = {
            address: plain(slots[address].declaration, value) for address, value in values.items() if value is not None
        }
        return Sidecar(written, settings.name, settings.sha256, frame or {})

    def apply(self, settings: Settings) -> Settings:
        """The settings with those of the sidecar.

        Raises:
            SettingsError: with all that is wrong: unknown addresses, illegal values, files that are missing or changed.
        """
        return apply(settings, [self])


def apply(settings: Settings, sidecars: Iterable[Sidecar]) -> Settings:
    """The settings with those of several sidecars in turn; a later one wins.

    Raises:
        SettingsError: with all that is wrong in any of them.
    """
    problems: list[Problem] = []
    for sidecar in sidecars:
        slots = {slot.address: slot for slot in settings.slots}
        values: dict[str, object] = {}
        for address, value in sidecar.settings.items():
            try:
                slot = slots.get(address)
                values[address] = _file(value, slot, sidecar.folder) if isinstance(value, dict) and slot else value
            except ValueError as error:
                problems.append(Problem(address, str(error)))
        try:
            settings = settings.update(values)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(*problems)
    return settings


def _file(written: dict[str, Any], slot: Slot, folder: Path | None) -> FileReference:
    """The table file that a sidecar names: the pipeline's own where the hashes agree, else one beside the sidecar."""
    name, digest = written.get("file"), written.get("sha256")
    if (
        not isinstance(name, str)
        or not (digest is None or isinstance(digest, str))
        or set(written) - {"file", "sha256"}
    ):
        raise ValueError('a file is written {"file": "look.cube", "sha256": "..."}')
    if isinstance(slot.start, FileReference) and digest == slot.start.sha256:
        return slot.start
    if folder is None:
        raise ValueError(f"{name} is looked for beside the sidecar, which was not read from a file")
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\0" in name:
        raise ValueError(f"{name!r} must lie in the folder of the sidecar")
    found = file_reference(name, folder)
    if digest not in (None, found.sha256):
        raise ValueError(f"{name} is not the file that it was: its SHA-256 has changed")
    return found


def path_of(photograph: Path) -> Path:
    """Where the sidecar of a photograph lies: ``photo.dng.isp.json``."""
    return photograph.with_name(photograph.name + ".isp.json")


def save(sidecar: Sidecar, path: Path) -> None:
    """Write a sidecar at once or not at all: a reader sees the old content or the new.

    Raises:
        OSError: the folder cannot be written to.
    """
    content = {
        "ispdsl": VERSION,
        "pipeline": sidecar.pipeline,
        "pipeline_sha256": sidecar.pipeline_sha256,
        "settings": dict(sidecar.settings),
        "frame": dict(sidecar.frame),
    }
    text = _encodable(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _encodable(text: str) -> str:
    """JSON with the surrogates gone that stand for bytes of a file's name (PEP 383): UTF-8 read as such, else escaped.

    Python gives names so that are not of the locale's encoding: every name beyond ASCII under ``LC_ALL=C``.
    """

    def readable(match: re.Match[str]) -> str:
        try:
            return match[0].encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError:
            return match[0].encode("ascii", "backslashreplace").decode("ascii").replace("\\", "\\\\")

    return re.sub("[\ud800-\udfff]+", readable, text)


def load(path: Path) -> Sidecar:
    """Read a sidecar or preset.

    Raises:
        SettingsError: it cannot be read, is no sidecar, or is of another version.
    """
    if path.exists() and not path.is_file():
        raise SettingsError(Problem(str(path), "is no regular file"))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise SettingsError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    return parse(content, str(path), path.parent)


def parse(content: bytes, name: str, folder: Path | None = None) -> Sidecar:
    """A sidecar from its bytes; `name` is what errors call it.

    Raises:
        SettingsError: it is no sidecar, or of another version.
    """
    if len(content) > LARGEST:
        raise SettingsError(Problem(name, f"is larger than {LARGEST >> 20} MiB"))
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise SettingsError(Problem(name, "is nested too deeply")) from error
    except ValueError as error:
        raise SettingsError(Problem(name, f"is no sidecar: {str(error)[:200]}")) from error
    wrong = _wrong(found)
    if wrong:
        raise SettingsError(*(Problem(name, message, hint) for message, hint in wrong))
    return Sidecar(
        found.get("settings", {}), found.get("pipeline"), found.get("pipeline_sha256"), found.get("frame", {}), folder
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} stands there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _wrong(found: Any) -> list[tuple[str, str | None]]:
    """What keeps JSON data from being a sidecar."""
    if not isinstance(found, dict):
        return [("is no sidecar: it holds no object", None)]
    if "ispdsl" not in found:
        hint = "`ispdsl run --save-settings FILE` writes one"
        return [(f'is no sidecar: the key "ispdsl": "{VERSION}" is missing', hint)]
    if found["ispdsl"] != VERSION:
        return [(f'is no sidecar of version {VERSION}: "ispdsl" is {str(found["ispdsl"])[:20]}', None)]
    wrong: list[tuple[str, str | None]] = []
    for key in found:
        if key not in KEYS:
            near = nearest(key, KEYS)
            wrong.append((f"has an unknown key {key[:80]!r}", f"did you mean {near}?" if near else None))
    for key in ("settings", "frame"):
        if not isinstance(found.get(key, {}), dict):
            wrong.append((f"its {key} are no object", None))
    for key in ("pipeline", "pipeline_sha256"):
        if not isinstance(found.get(key), str | None):
            wrong.append((f"its {key} is no text", None))
    return wrong
