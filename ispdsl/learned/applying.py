"""The `predictor` line of a pipeline at work: what nobody set by hand comes from its predictor."""

from __future__ import annotations

from pathlib import Path

from ispdsl.graph import Graph
from ispdsl.learned.ground import scene_of
from ispdsl.learned.prediction import Prediction, predict
from ispdsl.learned.prediction_file import Opened, departures, open_predictor
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings


def told(opened: Opened, frame: Frame, settings: Settings) -> tuple[Prediction, tuple[str, ...]]:
    """What a predictor says of a frame, and what is to be noted of it.

    What it gives and somebody has set stays as it was set; so does all that it does not give.

    Args:
        opened: for the pipeline of these settings.
        frame: the raw.
        settings: of the pipeline, resolved or not.

    Raises:
        SettingsError: a value starts at metadata that the frame does not have.
    """
    own = opened.begun(settings).resolved(frame.metadata)
    scene = scene_of(frame, opened.aim, own)
    found = predict(opened.network, opened.aim, scene, own)
    kept = {address: value for address, value in settings.changed.items() if address in opened.aim.addresses}
    settings = found.settings.update(kept) if kept else found.settings
    return Prediction(found.point, settings, found.attention, found.local), tuple(departures(opened.card, own))


def developed_settings(graph: Graph, frame: Frame, settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a frame by the `predictor` line of a pipeline, and what is to be noted.

    Raises:
        CompileError: the file of the line is missing, damaged, or of another pipeline.
        SettingsError: a value starts at metadata that the frame does not have.
    """
    assert graph.predictor is not None, "it has such a line"
    path = Path(graph.predictor.folder) / graph.predictor.path
    opened = open_predictor(path, graph)
    if set(opened.aim.addresses) <= set(settings.changed):
        return settings, ()
    prediction, notes = told(opened, frame, settings)
    given = [address for address in opened.aim.addresses if address not in settings.changed]
    return prediction.settings, (f"by {graph.predictor.path}: {', '.join(given)}", *notes)
