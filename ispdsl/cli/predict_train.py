"""`ispdsl predict train`: what is read and checked, the training, and what is said of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispdsl.cli.addresses import check_addresses
from ispdsl.cli.beforehand import check_trust
from ispdsl.cli.boundary import CommandError, ExitCode, as_usage
from ispdsl.cli.collisions import Use, inputs_of, inputs_of_raw, refuse_collisions, tables_of
from ispdsl.cli.console import emit, note
from ispdsl.cli.files import find_pipeline
from ispdsl.cli.held_out import learnt_from
from ispdsl.cli.means import looked_at
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import pairs
from ispdsl.cli.progress import progress, say_replaced, say_where_it_begins
from ispdsl.cli.raws import read_quietly
from ispdsl.cli.references import UNDONE, read_reference, reference_files, told_apart
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph, check_implementations
from ispdsl.cli.train import Device
from ispdsl.cli.tune_given import Metric
from ispdsl.render.characters import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ispdsl.graph import Graph
    from ispdsl.learned.fit import Told
    from ispdsl.learned.ground import Ground
    from ispdsl.learned.prediction import Lesson, Look
    from ispdsl.learned.predictor import Predictor
    from ispdsl.runtime.frame import Frame
    from ispdsl.runtime.values import Settings


@dataclass(frozen=True)
class Wanted:
    """All that the command line says."""

    file: str
    pipeline: str | None
    raws: tuple[Path, ...]
    held_out: tuple[Path, ...]
    output: Path
    references: Path | None
    metric: Metric
    task: str | None
    only: tuple[str, ...] | None
    choices: bool
    presets: tuple[Path, ...]
    values: tuple[tuple[str, str], ...]
    network: Mapping[str, Any]
    steps: int
    rate: float
    together: int
    side: int | None
    seed: int
    resume: bool
    device: Device
    describe: Path | None
    impl: tuple[str, ...]
    doubles: Path | None
    trust: tuple[str, ...]
    plain: bool

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training is kept."""
        return self.output.with_suffix(".training")


def perform(wanted: Wanted, as_json: bool) -> None:
    """Train, write the predictor, and say how good it is.

    Raises:
        CommandError, UserError: something that is given cannot be used.
    """
    graph = build_graph(wanted.file, wanted.pipeline, inline=False)
    looked_at(graph)
    wanted = replace(wanted, raws=learnt_from(wanted.raws, wanted.held_out))
    impl = dict(pairs(list(wanted.impl), "--impl", "STAGE=KIND"))
    check_implementations(graph, impl, wanted.doubles)
    check_trust(wanted.trust)
    check_device(wanted.device)
    chosen = choose(graph, None, wanted.presets, list(wanted.values))
    check_addresses(graph, chosen, wanted.only or ())
    _check_files(graph, wanted, chosen)
    say_where_it_begins(wanted.checkpoint, wanted.resume)
    say_replaced(wanted.output)
    frames = _frames((*wanted.raws, *wanted.held_out), wanted.describe)
    keep_pages()
    _train(graph, chosen, wanted, frames, impl, as_json)


def check_device(device: Device) -> None:
    """Refuse a device that is not there.

    Raises:
        CommandError: it is not.
    """
    if device is Device.CUDA:
        import torch

        if not torch.cuda.is_available():
            raise CommandError("there is no CUDA device", "train on --device cpu", ExitCode.EXECUTOR)


def _check_files(graph: Graph, wanted: Wanted, chosen: Settings) -> None:
    if wanted.output.suffix != ".safetensors" or not wanted.output.parent.is_dir():
        hint = "name a .safetensors file in a folder that is there"
        raise CommandError(f"{wanted.output} cannot be a predictor", hint)
    raws = (*wanted.raws, *wanted.held_out)
    uses = [*inputs_of(graph, find_pipeline(wanted.file)), *tables_of(chosen)]
    for raw in raws:
        uses += inputs_of_raw(raw, wanted.describe, None, wanted.presets)
    if wanted.references is not None:
        uses += [Use("a reference", path) for path in reference_files(wanted.references, raws)]
    refuse_collisions(uses, [Use("the predictor", wanted.output), Use("the checkpoint", wanted.checkpoint)])


def _frames(raws: Sequence[Path], describe: Path | None) -> list[Frame]:
    found: list[Frame] = []
    for raw, name in zip(raws, told_apart(raws), strict=True):
        frame = read_quietly(raw, describe)
        for text in frame.notes:
            note(f"note: {clean(name)}: {clean(text)}")
        found.append(frame)
    return found


def _train(
    graph: Graph, chosen: Settings, wanted: Wanted, frames: list[Frame], impl: Mapping[str, str], as_json: bool
) -> None:
    import torch

    from ispdsl.learned.aim import Aim
    from ispdsl.learned.ground import ground_of, scene_of
    from ispdsl.learned.prediction import Lesson, recipe, train
    from ispdsl.learned.prediction_file import identity, save
    from ispdsl.learned.predictor import Predictor

    aim = Aim.of([chosen.resolved(frame.metadata) for frame in frames], wanted.only, wanted.choices)
    ground = ground_of(
        graph, chosen, aim, frames,
        trust=_of_programs(graph, wanted), impl=impl, doubles=wanted.doubles, device=wanted.device.value,
    )  # fmt: skip
    scenes = [scene_of(frame, aim, chosen) for frame in frames]
    count = len(wanted.raws)
    looks = _looks(graph, wanted, frames)
    lesson = Lesson(scenes[:count], looks[0])
    held_out = Lesson(scenes[count:], looks[1]) if wanted.held_out else None
    torch.manual_seed(wanted.seed)
    network = Predictor(aim.size, **wanted.network)
    about = json.dumps([identity(graph), dict(wanted.network), aim.ranges, [each.content_hash for each in frames]])
    how = recipe(wanted.steps, wanted.rate, wanted.seed, about)
    begun = time.perf_counter()
    with progress(wanted.plain) as bar:

        def told(at: Told) -> None:
            bar(at.step, at.steps, f"loss {at.loss:.4g}")

        fitted = train(
            network, ground, lesson, how, held_out, together=wanted.together, side=wanted.side, told=told,
            kept=wanted.checkpoint, resume=wanted.resume,
        )  # fmt: skip
    scores = {f"trained on, {way}": value for way, value in _scores(network, ground, lesson, wanted).items()}
    if held_out is not None:
        scores |= {f"held out, {way}": value for way, value in _scores(network, ground, held_out, wanted).items()}
    files = [
        {"file": raw.name, "hash": frame.content_hash, "held_out": place >= count}
        for place, (raw, frame) in enumerate(zip((*wanted.raws, *wanted.held_out), frames, strict=True))
    ]
    training = {
        "task": wanted.task or f"match, {wanted.metric.value}",
        "steps": wanted.steps,
        "rate": wanted.rate,
        "together": wanted.together,
        "side": wanted.side,
        "seed": wanted.seed,
        "device": wanted.device.value,
        "seconds": round(fitted.seconds, 1),
        "torch": torch.__version__,
    }
    save(wanted.output, network, aim, graph, chosen, data={"raws": files}, training=training, scores=scores)
    wanted.checkpoint.unlink(missing_ok=True)
    _say(wanted, aim.addresses, scores, training, begun, as_json)


def _of_programs(graph: Graph, wanted: Wanted) -> tuple[str, ...]:
    """Trusted packages but that of the task alone: a composite refuses trust that no program of it uses."""
    stages = graph.module.stages.values()
    targets = [each.target for stage in stages for each in stage.signature.implementations if each.kind == "program"]
    used = {target.partition(":")[0].partition(".")[0] for target in targets}
    task = (wanted.task or "").partition(":")[0].partition(".")[0]
    return tuple(each for each in wanted.trust if each in used or each != task)


def _looks(graph: Graph, wanted: Wanted, frames: Sequence[Frame]) -> tuple[Look, Look]:
    """The loss of the raws that are trained on, and of those held out.

    Raises:
        CommandError: a reference is missing or does not fit, or the metric or function is not for this.
    """
    import torch

    from ispdsl.errors import CompileError
    from ispdsl.learned.prediction_looks import matching, of_user
    from ispdsl.optimise.rendering import views

    raws = (*wanted.raws, *wanted.held_out)
    names = list(map(clean, told_apart(raws)))
    count = len(wanted.raws)
    parts = (slice(count), slice(count, None))
    if wanted.task is not None:
        task, turned = wanted.task, [frame.orientation for frame in frames]
        try:
            first, second = (of_user(task, names[some], turned[some], wanted.trust) for some in parts)
        except CompileError as error:
            raise as_usage(error) from error
        return first, second
    assert wanted.references is not None, "one of them is given"
    if wanted.metric is Metric.FEATURES:
        raise CommandError("--metric features is for `ispdsl tune`", "write a --task function that uses a network")
    space = str(graph.outputs[0].type.args[0])
    pictures: list[Tensor] = [
        torch.from_numpy(as_sensor(read_reference(path, space, frame, None), frame))
        for path, frame in zip(reference_files(wanted.references, raws), frames, strict=True)
    ]
    seen = views(graph, frames, names)
    try:
        first, second = (matching(pictures[some], seen[some], wanted.metric.value) for some in parts)
    except ValueError as error:
        raise CommandError(str(error)) from error
    return first, second


def as_sensor(picture: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """An upright picture as the sensor lay."""
    from ispdsl.runtime.pictures import orient

    return orient(picture, UNDONE.get(frame.orientation, frame.orientation)).copy()


def _scores(network: Predictor, ground: Ground, lesson: Lesson, wanted: Wanted) -> dict[str, float]:
    """The mean loss at the starts, at what is predicted, and at the mean of that."""
    import numpy as np

    from ispdsl.learned.prediction import as_begun, by_network, loss_of, points_of, the_same

    own = by_network(network, ground.device)
    mean = ground.aim.averaged(points_of(own, lesson, wanted.side))
    ways = {"as begun": as_begun, "predicted": own, "mean of predictions": the_same(np.asarray(mean))}
    return {way: loss_of(each, ground, lesson, wanted.together, wanted.side) for way, each in ways.items()}


def _say(
    wanted: Wanted, addresses: Sequence[str], scores: Mapping[str, float], training: Mapping[str, Any], begun: float,
    as_json: bool,
) -> None:  # fmt: skip
    if as_json:
        known = {"file": str(wanted.output), "predicted": addresses, "scores": scores, "training": training}
        emit(json.dumps(known, indent=2))
        return
    import math

    width = max(map(len, scores))
    for way, value in scores.items():
        psnr = (
            "" if wanted.task or wanted.metric is not Metric.PSNR else f"  {-10 * math.log10(max(value, 1e-20)):.2f} dB"
        )
        emit(f"{way:<{width}}  loss {value:.6g}{psnr}")
    emit(clean(str(wanted.output)))
    note(f"{len(addresses)} settings of {len(wanted.raws)} raws learnt in {time.perf_counter() - begun:.1f} s")
    if not wanted.held_out:
        note("nothing was held out: --held-out RAW says how good it is on raws that it has not seen")
