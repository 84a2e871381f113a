"""`ispdsl predict run`: the settings of each raw by a predictor, and what is made of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.beforehand import check_folder, check_output, check_trust
from ispdsl.cli.boundary import CommandError, writing
from ispdsl.cli.collisions import SETTINGS, Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.means import looked_at
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.predict_train import as_sensor
from ispdsl.cli.progress import progress
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.references import check_once, read_reference, reference_files, told_apart
from ispdsl.cli.regress_report import numbered
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    from ispdsl.darkroom import Development
    from ispdsl.graph import Graph
    from ispdsl.learned.prediction import Prediction
    from ispdsl.learned.prediction_file import Opened
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


PREDICTOR = "predictor"
"""What a sidecar's frame names where a predictor gave the settings."""


@dataclass(frozen=True)
class Asked:
    """All that the command line says."""

    file: str
    pipeline: str | None
    raws: tuple[Path, ...]
    predictor: Path
    output: Path | None
    suffix: str
    sidecars: Path | None
    attention: Path | None
    references: Path | None
    mean: bool
    presets: tuple[Path, ...]
    values: tuple[tuple[str, str], ...]
    describe: Path | None
    trust: tuple[str, ...]
    plain: bool


@dataclass(frozen=True, eq=False)
class Answered:
    """What came of a raw.

    Attributes:
        name: of the raw.
        prediction: with its settings as they are used, refined ones too.
        seconds: that the network took.
        notes: for people.
        psnr: against its reference, before and after least squares; None without.
        written: files.
    """

    name: str
    prediction: Prediction
    seconds: float
    notes: tuple[str, ...]
    psnr: tuple[float, float] | None = None
    written: tuple[Path, ...] = ()


def perform(asked: Asked, as_json: bool) -> None:
    """Predict, write and say.

    Raises:
        CommandError, UserError: something that is given cannot be used.
    """
    from ispdsl.learned.prediction_file import open_predictor

    graph = build_graph(asked.file, asked.pipeline, inline=False)
    looked_at(graph)
    check_trust(asked.trust)
    chosen = choose(graph, None, asked.presets, list(asked.values))
    _check_places(graph, asked, chosen)
    opened = open_predictor(asked.predictor, graph)
    keep_pages()
    answers: list[Answered] = []
    names = [clean(name) for name in told_apart(asked.raws)]
    with progress(asked.plain) as bar:
        shared = _mean(opened, chosen, asked) if asked.mean else None
        for place, (raw, name) in enumerate(zip(asked.raws, names, strict=True)):
            bar(place, len(asked.raws), name)
            answers.append(_one(graph, opened, chosen, asked, place, raw, name, shared))
    for answer in answers:
        for text in answer.notes:
            note(f"note: {answer.name}: {clean(text)}")
    emit(json.dumps([_values(opened, each) for each in answers], indent=2) if as_json else _table(opened, answers))
    for path in [path for answer in answers for path in answer.written]:
        if not as_json:
            emit(clean(str(path)))


def _check_places(graph: Graph, asked: Asked, chosen: Settings) -> None:
    """See that all can be written, and nothing over what is read.

    Raises:
        CommandError: it cannot.
    """
    for folder in (asked.output, asked.sidecars):
        if folder is not None:
            check_folder(folder)
    if asked.attention is not None:
        check_output(asked.attention, None)
    check_once(told_apart(asked.raws))
    uses = [*inputs_of(graph, find_pipeline(asked.file)), *tables_of(chosen), Use("the predictor", asked.predictor)]
    written: list[Use] = []
    for place, raw in enumerate(asked.raws):
        uses += inputs_of_raw(raw, asked.describe, _sidecar(asked, raw), asked.presets)
        sidecar, picture, attention = _sidecar(asked, raw), _picture(asked, raw), _attention(asked, place)
        written += [Use(SETTINGS, sidecar)] if sidecar else []
        written += [Use("the picture", picture)] if picture else []
        written += [Use("the picture of attention", attention)] if attention else []
    if asked.references is not None:
        uses += [Use("a reference", path) for path in reference_files(asked.references, asked.raws)]
    refuse_collisions(uses, written)
    for raw in asked.raws:
        _check_by_hand(raw, _sidecar(asked, raw))


def _check_by_hand(raw: Path, sidecar: Path | None) -> None:
    """See that no settings are lost that a person made, and tell whose are not read.

    Raises:
        CommandError: the sidecar to be written is there, and of no predictor.
    """
    from ispdsl.runtime.sidecar import path_of

    if sidecar is not None and sidecar.exists() and not _predicted(sidecar):
        what = f"{sidecar} holds settings that no predictor gave, and that would be lost"
        raise CommandError(what, "move it away, or name another folder: --sidecars FOLDER")
    beside = path_of(raw)
    if beside.is_file() and not _predicted(beside):
        note(f"settings of {clean(str(beside))} are not read: all are predicted; --preset FILE takes those of a file")


def _predicted(sidecar: Path) -> bool:
    """Whether a sidecar says that a predictor gave its settings."""
    from ispdsl.runtime.sidecar import load
    from ispdsl.runtime.values import SettingsError

    try:
        return PREDICTOR in load(sidecar).frame
    except SettingsError:
        return False


def _sidecar(asked: Asked, raw: Path) -> Path | None:
    return None if asked.sidecars is None else asked.sidecars / f"{raw.name}.isp.json"


def _picture(asked: Asked, raw: Path) -> Path | None:
    return None if asked.output is None else asked.output / f"{raw.stem}{asked.suffix}"


def _attention(asked: Asked, place: int) -> Path | None:
    return None if asked.attention is None else numbered(asked.attention, len(asked.raws))[place]


def _mean(opened: Opened, chosen: Settings, asked: Asked) -> Settings:
    """The mean of what is predicted for all raws."""
    from ispdsl.learned.applying import told
    from ispdsl.learned.prediction import averaged

    found = [told(opened, read_quietly(raw, asked.describe), chosen)[0] for raw in asked.raws]
    return averaged(opened.aim, found, chosen)


def _one(
    graph: Graph, opened: Opened, chosen: Settings, asked: Asked, place: int, raw: Path, name: str,
    shared: Settings | None,
) -> Answered:  # fmt: skip
    """One raw: its settings, and whatever is written of it."""
    from dataclasses import replace

    from ispdsl.learned.applying import told

    frame = read_quietly(raw, asked.describe)
    begun = time.perf_counter()
    prediction, notes = told(opened, frame, chosen)
    seconds = time.perf_counter() - begun
    if shared is not None:
        kept = {address: shared[address] for address in opened.aim.addresses if address not in chosen.changed}
        prediction = replace(prediction, settings=prediction.settings.update(kept))
    psnr = None
    if asked.references is not None:
        settings, *psnr = _refined(graph, opened, frame, prediction, chosen, asked, raw)
        prediction = replace(prediction, settings=settings)
    development = _developed(graph, frame, prediction, asked)
    written = _write(opened, frame, prediction, development, asked, raw, place)
    return Answered(
        name, prediction, seconds, (*frame.notes, *notes), (psnr[0], psnr[1]) if psnr else None, tuple(written)
    )


def _refined(
    graph: Graph, opened: Opened, frame: Frame, prediction: Prediction, chosen: Settings, asked: Asked, raw: Path
) -> tuple[Settings, float, float]:
    """Settings by least squares, and the PSNR before and after."""
    from dataclasses import replace

    from ispdsl.learned.ground import ground_of, scene_of
    from ispdsl.learned.refining import refined

    assert asked.references is not None, "asked for"
    space = str(graph.outputs[0].type.args[0])
    path = reference_files(asked.references, asked.raws)[asked.raws.index(raw)]
    target = as_sensor(read_reference(path, space, frame, None), frame)
    parts = tuple(part for part in opened.aim.parts if part.slot.address not in chosen.changed)
    aim = replace(opened.aim, parts=parts)
    ground = ground_of(graph, chosen, aim, [frame], trust=asked.trust)
    found = refined(ground, scene_of(frame, aim, chosen), prediction.settings, target)
    return found.settings, found.psnr_before, found.psnr


def _developed(graph: Graph, frame: Frame, prediction: Prediction, asked: Asked) -> Development | None:
    """The picture, where somebody wants to see it."""
    from ispdsl.darkroom import develop

    if asked.output is None and asked.attention is None:
        return None
    return develop(graph, frame, prediction.settings, trust=asked.trust)


def _write(
    opened: Opened, frame: Frame, prediction: Prediction, development: Development | None, asked: Asked, raw: Path,
    place: int,
) -> list[Path]:  # fmt: skip
    from ispdsl.darkroom import save_outputs
    from ispdsl.learned.attention_picture import draw_attention
    from ispdsl.runtime.sidecar import Sidecar, save

    written: list[Path] = []
    sidecar, picture, attention = _sidecar(asked, raw), _picture(asked, raw), _attention(asked, place)
    if sidecar is not None:
        with writing(sidecar):
            about = {"file": raw.name, "sha256": frame.source.sha256, PREDICTOR: asked.predictor.name}
            save(Sidecar.of(prediction.settings, about, complete=True), sidecar)
        written.append(sidecar)
    if picture is not None and development is not None:
        written += save_outputs(development, picture)
    if attention is not None and development is not None:
        shown = next(iter(development.outputs.values()))
        draw_attention(attention, shown.light, shown.space, frame.orientation, opened.aim, prediction)
        written.append(attention)
    return written


def _values(opened: Opened, answer: Answered) -> dict[str, Any]:
    from ispdsl.runtime.sidecar import Sidecar

    settings = Sidecar.of(answer.prediction.settings, complete=True).settings
    return {
        "raw": answer.name,
        "settings": {address: settings[address] for address in opened.aim.addresses},
        "seconds": round(answer.seconds, 3),
        "psnr": None if answer.psnr is None else {"predicted": answer.psnr[0], "refined": answer.psnr[1]},
        "notes": list(answer.notes),
        "files": [str(path) for path in answer.written],
    }


def _table(opened: Opened, answers: Sequence[Answered]) -> str:
    """What is predicted: a row for each raw and setting."""
    from ispdsl.optimise.free import written

    lines: list[str] = []
    width = max(map(len, opened.aim.addresses))
    for answer in answers:
        better = "" if answer.psnr is None else f", {answer.psnr[0]:.2f} dB, refined {answer.psnr[1]:.2f} dB"
        lines.append(f"{answer.name}  ({answer.seconds:.2f} s{better})")
        settings = answer.prediction.settings
        lines += [f"  {a:<{width}}  {written(settings[a], settings.slot(a).unit)}" for a in opened.aim.addresses]
    return "\n".join(lines)
