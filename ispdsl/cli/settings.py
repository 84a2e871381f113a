"""Where the settings of a run come from: the raw's own sidecar, presets, the command line; later ones win."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError, ExitCode, reading
from ispdsl.cli.console import note
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.runtime.sidecar import Sidecar
    from ispdsl.runtime.slots import Adjustable
    from ispdsl.runtime.values import Settings


def choose(graph: Adjustable, beside: Path | None, presets: Iterable[Path], values: list[tuple[str, str]]) -> Settings:
    """The settings of the raw's own sidecar, then of presets, then of the command line; later ones win.

    Raises:
        CommandError: with everything that is wrong in a file of settings.
        SettingsError: with everything that is wrong in the command line.
    """
    from ispdsl.runtime.values import Settings, SettingsError

    layers = [("its own settings", "--no-sidecar ignores them", beside, own) for own in _own(graph, beside)]
    layers += [("a preset", "leave out this --preset", path, _load(path, None)) for path in presets]
    settings, wrong, hints = Settings.of(graph), list[str](), dict[str, None]()
    for what, way_out, path, layer in layers:
        if layer.pipeline == graph.name and layer.pipeline_sha256 not in (None, graph.sha256):
            note(f"note: {clean(str(path))} was saved with another version of {graph.name}; the picture may differ")
        try:
            settings = layer.apply(settings)
        except SettingsError as error:
            wrong += [f"{path}, {what}: {problem}" for problem in error.problems]
            hints[f"mend {path}, or {way_out}" if path != beside else f"mend {path}; {way_out}"] = None
    if wrong:
        raise CommandError("\n".join(wrong), "\n".join(hints))
    return settings.update(dict(values), Path.cwd())


def _own(graph: Adjustable, beside: Path | None) -> list[Sidecar]:
    """The sidecar of the raw, where there is one and it is of this pipeline."""
    if beside is None or not beside.is_file():
        return []
    own = _load(beside, "--no-sidecar ignores it")
    if own.pipeline in (None, graph.name):
        note(f"settings of {clean(str(beside))} apply; --no-sidecar ignores them")
        return [own]
    note(f"{clean(str(beside))} is of pipeline {clean(str(own.pipeline))} and does not apply")
    return []


def _load(path: Path, hint: str | None) -> Sidecar:
    """A sidecar or preset.

    Raises:
        CommandError: it cannot be read, or is none.
    """
    from ispdsl.runtime.sidecar import load
    from ispdsl.runtime.values import SettingsError

    if path.exists() and not path.is_file():
        raise CommandError(f"cannot read {path}: it is no regular file", hint, ExitCode.UNREADABLE)
    with reading(path), path.open("rb"):
        try:
            return load(path)
        except SettingsError as error:
            raise CommandError(error.message, error.hint or hint, ExitCode.UNREADABLE) from error
