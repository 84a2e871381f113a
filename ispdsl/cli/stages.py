"""`ispdsl stages`: what the standard library offers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ispdsl.cli.boundary import CommandError, guarded
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import shipped
from ispdsl.cli.options import Json
from ispdsl.diagnostics import nearest

if TYPE_CHECKING:
    from ispdsl.ir.model import Module, Signature


def complete_stage(incomplete: str) -> list[str]:
    """Names of standard stages that begin so."""
    from ispdsl.lower.standard import standard_names

    names = standard_names((shipped("stdlib"),))
    return sorted(name for name in names if name.startswith(incomplete))


@guarded
def stages(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A stage, as malvar or demosaic.malvar, or a file or folder of stages, as tone or darktable.",
            autocompletion=complete_stage,
        ),
    ] = None,
    parameters: Annotated[bool, typer.Option("--parameters", help="List the parameters of all stages too.")] = False,
    as_json: Json = False,
) -> None:
    """List the standard stages, or those of one file with their parameters, or describe one."""
    from ispdsl.render.signature import describe, listing

    found = dict(standard())
    inside = {key: signature for key, signature in found.items() if f"{key.rpartition('.')[0]}.".startswith(f"{name}.")}
    if name is None or (inside and not any(signature.name == name for signature in found.values())):
        listed = inside or found
        if as_json:
            emit(json.dumps([_summary(*item) for item in listed.items()], indent=2))
            return
        emit(listing(listed, parameters or bool(inside)))
        more = "" if parameters or inside else ", --parameters lists what sets them"
        note(f"{len(listed)} stages; `ispdsl stages NAME` describes one{more}")
        return
    chosen = {key: signature for key, signature in found.items() if name in (key, signature.name)}
    if not chosen:
        files = {key.rpartition(".")[0] for key in found}
        near = nearest(name, [*found, *sorted(files), *(signature.name for signature in found.values())])
        raise CommandError(
            f"there is no stage {name}", f"did you mean {near}?" if near else "`ispdsl stages` lists them all"
        )
    plain = {key: signature for key, signature in chosen.items() if key.count(".") == 1}
    if plain:  # one of a real thing is meant only by its whole name
        others = [key for key in chosen if key not in plain]
        if others:
            note(f"note: {', '.join(others)} {'is' if len(others) == 1 else 'are'} of a real thing")
        chosen = plain
    for key, signature in chosen.items():
        emit(json.dumps(_summary(key, signature), indent=2) if as_json else describe(key, signature))


def standard() -> Iterator[tuple[str, Signature]]:
    """Every signature of the standard library by the name that it is imported under, ``demosaic.malvar``.

    Raises:
        IspError: a file of the library is broken.
    """
    from ispdsl.lower.loader import load

    folder = shipped("stdlib")
    for path in sorted(folder.rglob("*.isp"), key=lambda path: (path.parent != folder, path)):
        origin = ".".join(path.relative_to(folder).with_suffix("").parts)
        for signature in _own(load(path), path):
            yield f"{origin}.{signature.name}", signature


def _own(module: Module, path: Path) -> list[Signature]:
    """What a file declares itself, in the order of its text."""
    everything = [each.signature for each in (*module.stages.values(), *module.pipelines.values())]
    return sorted((s for s in everything if s.location.file == module.file), key=lambda s: s.location.start)


def _summary(key: str, signature: Signature) -> dict[str, Any]:
    """The signature as plain values, without the places where it was written."""
    from ispdsl.render.signature import identity_points, source_of

    facts = {"import": key, "source": source_of(signature.doc), "identity": identity_points(signature)}
    return {**facts, **_without_places(signature.model_dump(mode="json"))}


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(inner) for key, inner in value.items() if key not in ("location", "key")}
    return [_without_places(inner) for inner in value] if isinstance(value, list) else value
