"""What `ispdsl style` writes and says: pictures with their settings, a sheet, and how much a sequence flickers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.boundary import CommandError, writing
from ispdsl.cli.console import emit, note
from ispdsl.cli.progress import Step
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.references import check_once, told_apart
from ispdsl.cli.tuned import aligned
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.cli.means import Means
    from ispdsl.cli.style_given import Example
    from ispdsl.graph import Graph
    from ispdsl.learned.scenes import Means as Ways
    from ispdsl.learned.scenes import Scene
    from ispdsl.learned.sequences import Flicker
    from ispdsl.runtime.values import Settings

SHOWN = 24
"""Raws on a sheet, at most."""


class Between(StrEnum):
    """How settings go from one key frame to the next."""

    LINEAR = "linear"
    MONOTONE = "monotone"


class Form(StrEnum):
    """Of pictures."""

    JPG = "jpg"
    PNG = "png"
    TIF = "tif"
    NONE = "none"


@dataclass(frozen=True)
class Places:
    """Where what was found for a raw goes."""

    picture: Path | None
    settings: Path


def names_of(raws: Sequence[Path]) -> list[str]:
    """A name for each raw that no other has, without a suffix.

    Raises:
        CommandError: a raw is given twice, or two differ by their suffix alone.
    """
    names = told_apart(raws)
    check_once(names)
    found = [str(Path(name).with_suffix("")).replace("/", "-").replace("\\", "-") for name in names]
    for name in found:
        if found.count(name) > 1:
            raise CommandError(f"two raws would both become {name}", "finish them into two folders")
    return found


def places(folder: Path, name: str, form: Form) -> Places:
    """Where a picture and its settings go: settings beside the picture, or alone as a preset."""
    if form is Form.NONE:
        return Places(None, folder / f"{name}.isp.json")
    picture = folder / f"{name}.{form.value}"
    return Places(picture, folder / f"{picture.name}.isp.json")


def raws_of(scenes: Sequence[Scene]) -> list[dict[str, str]]:
    """Names and hashes of raws, for a card."""
    return [{"file": each.name, "sha256": each.frame.source.sha256} for each in scenes]


def write(
    graph: Graph, raws: Sequence[Path], describe: Path | None, found: Sequence[Settings],
    wanted: Sequence[Places], means: Means, bar: Step,
) -> None:  # fmt: skip
    """Develop every raw at its settings and write picture and settings; or the settings alone.

    Raises:
        RawError, PictureError: a file cannot be read or written.
        CommandError: settings cannot be written.
    """
    from ispdsl.darkroom import develop, save_outputs, sidecar_of
    from ispdsl.runtime.sidecar import Sidecar, save

    for number, (raw, settings, place) in enumerate(zip(raws, found, wanted, strict=True)):
        bar(number, len(raws), clean(raw.name))
        if place.picture is None:
            sidecar = Sidecar.of(settings, {"file": raw.name})
        else:
            frame = read_quietly(raw, describe)
            made = develop(graph, frame, settings, impl=means.impl, trust=means.trust, doubles=means.doubles)
            save_outputs(made, place.picture)
            sidecar = sidecar_of(made)
        with writing(place.settings):
            save(sidecar, place.settings)


def draw(
    sheet: Path, graph: Graph, scenes: Sequence[Scene], found: Sequence[Settings], ways: Ways, device: str,
    examples: Sequence[Example],
) -> None:  # fmt: skip
    """A row for each raw: at its start, in the style, and a picture of the style beside it where there is one.

    Raises:
        PictureError: it cannot be written.
    """
    from ispdsl.learned.style_training import rendered
    from ispdsl.runtime.contact_sheet import Tile, contact_sheet

    if len(scenes) > SHOWN:
        note(f"note: the sheet shows {SHOWN} of {len(scenes)} raws")
    some, theirs = list(scenes)[:SHOWN], list(found)[:SHOWN]
    before = rendered(graph, some, [each.settings for each in some], ways, device)
    after = rendered(graph, some, theirs, ways, device)
    tiles: list[Tile] = []
    for number, (each, one, two) in enumerate(zip(some, before, after, strict=True)):
        tiles += [(f"{clean(each.name)}: start", one, "srgb"), ("in the style", two, "srgb")]
        if examples:
            shown = examples[number % len(examples)]
            tiles.append((f"of the style: {clean(shown.path.name)}", shown.picture, "srgb"))
    contact_sheet(sheet, tiles, columns=3 if examples else 2)


def table(scene: Scene, found: Settings) -> str:
    """Every free setting of a raw before and after, as people read it."""
    rows = [("", "start", "found")]
    for slot in scene.box.vector.slots:
        before, after = (_written(each[slot.address], slot.unit) for each in (scene.settings, found))
        rows.append((slot.address, before, after))
    return "\n".join(aligned(rows))


def _written(value: Any, unit: str) -> str:
    from ispdsl.optimise.free import written

    return written(value, unit)


def say_run(
    names: Sequence[str], scenes: Sequence[Scene], found: Sequence[Settings], wanted: Sequence[Places],
    measured: Flicker | None, sheet: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """What was chosen for each raw and where it is."""
    if as_json:
        from ispdsl.runtime.sidecar import Sidecar

        raws = [
            {
                "name": name,
                "picture": None if place.picture is None else str(place.picture),
                "settings_file": str(place.settings),
                "settings": dict(Sidecar.of(settings).settings),
            }
            for name, settings, place in zip(names, found, wanted, strict=True)
        ]
        flicker = None if measured is None else asdict(measured)
        told = {"raws": raws, "flicker": flicker, "sheet": None if sheet is None else str(sheet)}
        emit(json.dumps(told, indent=2))
        return
    if len(scenes) == 1:
        emit(table(scenes[0], found[0]))
    for place in wanted:
        emit(clean(str(place.picture or place.settings)))
    if sheet is not None:
        emit(clean(str(sheet)))
    if measured is not None:
        emit(
            f"flicker, codes of 8 bits: luma {measured.luma:.3f}, colour {measured.chroma:.3f}; with the settings of "
            f"the first frame throughout {measured.own_luma:.3f} and {measured.own_chroma:.3f}"
        )
