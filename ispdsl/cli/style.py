"""`ispdsl style`: raws finished in the style of other pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ispdsl.cli import style_told
from ispdsl.cli.addresses import check_addresses
from ispdsl.cli.beforehand import check_folder, check_output
from ispdsl.cli.boundary import CommandError, guarded, writing
from ispdsl.cli.collisions import SETTINGS, Use, refuse_collisions
from ispdsl.cli.console import emit, note
from ispdsl.cli.held_out import learnt_from
from ispdsl.cli.memory import keep_pages
from ispdsl.cli.options import (
    Describe,
    DoublesOption,
    Implementations,
    Json,
    PipelineFile,
    PipelineName,
    PresetsOfStart,
    RawFile,
    SeedOfSearch,
    Trust,
    Values,
    pairs,
)
from ispdsl.cli.progress import progress, say_replaced, say_where_it_begins
from ispdsl.cli.settings import choose
from ispdsl.cli.show import build_graph
from ispdsl.cli.style_given import (
    ChromaOption,
    DeviceOption,
    Features,
    FeaturesOption,
    HardOption,
    LumaOption,
    OnlyOption,
    PullOption,
    SheetOption,
    SideOption,
    StylePictures,
    Wanted,
    WeightsOption,
    check_device,
    check_hard,
    examples_of,
    files_of,
    inputs_read,
    scenes_of,
    ways_of,
)
from ispdsl.cli.train import Device
from ispdsl.render.characters import clean

SIDE = 160
"""Px of the longer side of what is rendered to find settings."""


@guarded
def train(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files to train on; no pictures of them.")],
    styles: StylePictures,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The network: .safetensors.")],
    features: FeaturesOption = Features.GABOR,
    weights: WeightsOption = None,
    luma: LumaOption = 1.0,
    chroma: ChromaOption = 1.0,
    pull: PullOption = 0.02,
    only: OnlyOption = None,
    hard: HardOption = None,
    held_out: Annotated[
        list[Path] | None, typer.Option("--held-out", metavar="RAW", help="Judge by this raw. May be repeated.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Of the optimiser.")] = 400,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="The highest learning rate.")] = 2e-3,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Raws of a step.")] = 8,
    stops: Annotated[
        float, typer.Option("--stops", metavar="EV", min=0, max=4, help="Raws are lit up to so much more or less.")
    ] = 1.0,
    side: SideOption = SIDE,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    seed: SeedOfSearch = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier training stopped.")] = False,
    device: DeviceOption = Device.CPU,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Train a network that looks at a raw and chooses the settings with which it comes out in a style."""
    begun = time.monotonic()
    if not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.002")
    if output.suffix != ".safetensors" or not output.parent.is_dir():
        raise CommandError(f"{output} cannot be a network", "name a .safetensors file in a folder that is there")
    check_device(device)
    wanted = Wanted(features, weights, luma, chroma, pull)
    graph = build_graph(file, pipeline, inline=False)
    _, ways = ways_of(graph, impl, doubles, trust)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    check_addresses(graph, chosen, only or [], numbers=True)
    check_hard(graph, chosen, only, hard or [])
    judges, kept = held_out or [], output.with_suffix(".checkpoint")
    raws = list(learnt_from(raws, judges))
    say_where_it_begins(kept, resume)
    say_replaced(output)
    others = {"a picture of the style": files_of(styles), "the weights": [weights]}
    read = inputs_read(graph, file, chosen, [*raws, *judges], presets or [], describe, others)
    refuse_collisions(read, [Use("the network", output), Use("the checkpoint", kept)])
    keep_pages()

    from ispdsl.learned.fit import Recipe
    from ispdsl.learned.scenes import shoots
    from ispdsl.learned.style_training import Job, learn

    with progress() as bar:
        examples = examples_of(styles, side, bar)
        scenes = scenes_of([*raws, *judges], describe, chosen, only, side, bar, hard or [])
        style = wanted.style(examples, side, device)
        shot = shoots(graph, scenes[: len(raws)], ways, device.value)
        judged = shoots(graph, scenes[len(raws) :], ways, device.value)
        recipe = Recipe(steps, rate, clip=1.0, seed=seed)
        job = Job(graph, chosen, style, shot, judged, recipe, batch, stops)
        about = {"raws": style_told.raws_of(scenes), "held_out": list(map(str, judges)), "style": [
            {"file": each.path.name, "sha256": each.sha256} for each in examples
        ]}  # fmt: skip
        card = learn(
            job, output, kept, resume, about=about,
            wanted=wanted.told() | {"side": side, "hard": hard or [], "device": device.value},
            told=lambda each: bar(each.step, each.steps, f"loss {each.loss:.3f}"),
        )  # fmt: skip
    scores, seconds = card.scores, time.monotonic() - begun
    if as_json:
        emit(json.dumps({"file": str(output), **card.model_dump(), "seconds": round(seconds, 2)}, indent=2))
        return
    who = "held out" if judges else "trained on"
    emit(f"style loss of raws {who}: {scores['before']:.3f} at their start, {scores['after']:.3f} as it sets them")
    emit(clean(str(output)))
    if scores["after"] >= scores["before"]:
        note("note: it is of no use: settings as they begin are nearer to the style; give it more --steps or raws")
    note(f"{len(raws)} raws, {len(examples)} pictures of the style, {steps} steps, {seconds:.1f} s")


@guarded
def run(
    file: PipelineFile,
    raws: Annotated[list[Path], typer.Argument(metavar="RAW...", help="Raw files; frames of a sequence in order.")],
    network: Annotated[
        Path, typer.Option("--style-file", metavar="FILE", help="A network that `ispdsl style train` wrote.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where pictures and settings go.")],
    key_frames: Annotated[
        int | None,
        typer.Option("--key-frames", metavar="K", min=1, help="The raws are a sequence: look at every K-th only."),
    ] = None,
    between: Annotated[
        style_told.Between, typer.Option("--between", help="With --key-frames: how settings go between.")
    ] = style_told.Between.MONOTONE,
    form: Annotated[
        style_told.Form, typer.Option("--format", help="Of the pictures; none for settings alone.")
    ] = style_told.Form.JPG,
    sheet: SheetOption = None,
    styles: Annotated[
        list[Path] | None,
        typer.Option("--style", metavar="PICTURE|FOLDER", help="For --sheet: pictures of the style to show."),
    ] = None,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    device: DeviceOption = Device.CPU,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Finish raws in a style that a network has learned; each gets a picture and its settings."""
    begun = time.monotonic()
    check_device(device)
    if styles and sheet is None:
        raise CommandError("--style shows pictures on a sheet", "add --sheet FILE, or leave it out")
    if key_frames is not None and len(raws) < 3:
        raise CommandError(f"--key-frames is for sequences, and there are {len(raws)} raws", "give three at least")
    check_folder(output)
    if sheet is not None:
        check_output(sheet, None)
    graph = build_graph(file, pipeline, inline=False)
    means, ways = ways_of(graph, impl, doubles, trust)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    names = style_told.names_of(raws)
    places = [style_told.places(output, name, form) for name in names]
    others = {"the network": [network], "a picture of the style": files_of(styles or [])}
    written = [Use("a picture", place.picture) for place in places if place.picture]
    written += [Use(SETTINGS, place.settings) for place in places]
    written += [] if sheet is None else [Use("the sheet", sheet)]
    refuse_collisions(inputs_read(graph, file, chosen, raws, presets or [], describe, others), written)
    keep_pages()

    from ispdsl.learned.style_training import chosen_by, ready, sequence

    with progress() as bar:
        asked = ready(graph, network, chosen, device.value)
        for text in asked.notes:
            note(f"note: {clean(text)}")
        scenes = scenes_of(raws, describe, asked.chosen, asked.free, asked.side, bar, asked.hard)
        found, measured = chosen_by(asked.encoder, scenes), None
        if key_frames is not None:
            found, measured = sequence(graph, scenes, found, ways, device.value, key_frames, between.value)
        style_told.write(graph, raws, describe, found, places, means, bar)
        if sheet is not None:
            examples = examples_of(styles or [], asked.side, bar)
            style_told.draw(sheet, graph, scenes, found, ways, device.value, examples)
    style_told.say_run(names, scenes, found, places, measured, sheet, as_json)
    note(f"{len(raws)} raws, {time.monotonic() - begun:.1f} s")


@guarded
def fit(
    file: PipelineFile,
    raw: RawFile,
    styles: StylePictures,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PRESET", help="The settings, for `ispdsl run --preset`.")
    ],
    features: FeaturesOption = Features.GABOR,
    weights: WeightsOption = None,
    luma: LumaOption = 1.0,
    chroma: ChromaOption = 1.0,
    pull: PullOption = 0.02,
    only: OnlyOption = None,
    hard: HardOption = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Of Adam.")] = 100,
    rate: Annotated[
        float, typer.Option("--rate", metavar="R", help="Of Adam, as a part of the ranges that are searched.")
    ] = 0.03,
    tried: Annotated[
        int, typer.Option("--tried", metavar="N", min=0, help="Points all over the ranges that are tried first.")
    ] = 16,
    side: SideOption = SIDE,
    sheet: SheetOption = None,
    pipeline: PipelineName = None,
    settings: Values = None,
    presets: PresetsOfStart = None,
    seed: SeedOfSearch = 0,
    device: DeviceOption = Device.CPU,
    describe: Describe = None,
    impl: Implementations = None,
    doubles: DoublesOption = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Find the settings with which one raw comes nearest to a style, with no network and no training."""
    begun = time.monotonic()
    if not 0 < rate < 1:
        raise CommandError(f"--rate {rate:g} is no learning rate", "it is between 0 and 1, as 0.03")
    if output.suffix != ".json" or not output.parent.is_dir():
        raise CommandError(f"{output} cannot be a preset", "name a .json file in a folder that is there")
    check_device(device)
    if sheet is not None:
        check_output(sheet, None)
    wanted = Wanted(features, weights, luma, chroma, pull)
    graph = build_graph(file, pipeline, inline=False)
    _, ways = ways_of(graph, impl, doubles, trust)
    chosen = choose(graph, None, presets or [], pairs(settings, "--set", "ADDRESS=VALUE"))
    check_addresses(graph, chosen, only or [], numbers=True)
    check_hard(graph, chosen, only, hard or [])
    others = {"a picture of the style": files_of(styles), "the weights": [weights]}
    written = [Use(SETTINGS, output), *([] if sheet is None else [Use("the sheet", sheet)])]
    refuse_collisions(inputs_read(graph, file, chosen, [raw], presets or [], describe, others), written)
    keep_pages()

    from ispdsl.learned.scenes import shoots
    from ispdsl.learned.style import fitted
    from ispdsl.runtime.sidecar import Sidecar, save

    with progress() as bar:
        examples = examples_of(styles, side, bar)
        scenes = scenes_of([raw], describe, chosen, only, side, bar, hard or [])
        style = wanted.style(examples, side, device)
        (shoot,) = shoots(graph, scenes, ways, device.value)
        answer = fitted(
            style, shoot, steps=steps, rate=rate, tried=tried, seed=seed,
            told=lambda step, loss: bar(step, steps + tried + 1, f"loss {loss:.3f}"),
        )  # fmt: skip
        found = scenes[0].box.settings(answer.points[0], scenes[0].settings)
        preset = Sidecar.of(found)
        with writing(output):
            save(preset, output)
        if sheet is not None:
            style_told.draw(sheet, graph, scenes, [found], ways, device.value, examples)
    before, after = float(answer.before[0]), float(answer.after[0])
    if as_json:
        told: dict[str, Any] = {"file": str(output), "settings": dict(preset.settings), "before": before}
        emit(json.dumps({**told, "after": after, "seconds": round(time.monotonic() - begun, 2)}, indent=2))
        return
    emit(style_told.table(scenes[0], found))
    emit(f"style loss: {before:.3f} at the start, {after:.3f} with what was found")
    for path in (output, sheet):
        if path is not None:
            emit(clean(str(path)))
    note(f"{len(examples)} pictures of the style, {steps} steps, {time.monotonic() - begun:.1f} s")
