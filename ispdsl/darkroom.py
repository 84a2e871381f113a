"""From a raw file to a finished photograph: load, read, compile, run, write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ispdsl.backends.blackbox import COMPOSITE, check_backend, declared, opened, request
from ispdsl.errors import PlanError
from ispdsl.executors.model import Answer, Declared
from ispdsl.graph import Graph
from ispdsl.ir.model import Value
from ispdsl.ir.types import INTEGER_STORAGE, Type
from ispdsl.passes.select import match
from ispdsl.runtime.contact_sheet import contact_sheet, to_display
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient, write_picture
from ispdsl.runtime.sidecar import Sidecar
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from ispdsl.backends.composite import Composite
    from ispdsl.backends.doubles import Doubles
    from ispdsl.backends.tiles import Tiling

Engine = Literal["torch", "halide"]

Progress = Callable[[int, int, str], None]
"""Called before every step with its number from 0, how many there are, and the node's address."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image with its type: `(C, H, W)` float32, not yet turned upright."""

    image: NDArray[np.float32]
    type: Type

    @property
    def light(self) -> NDArray[np.float32]:
        """The image with 1 for white: codes of an integer storage over the largest code; a mosaic stays as it is."""
        codes = INTEGER_STORAGE.fullmatch(str(self.type.args[-1])) if self.type.name != "raw" else None
        return self.image / np.float32(2 ** int(codes[1]) - 1) if codes else self.image

    @property
    def space(self) -> str:
        """The colour space of the values; of a mosaic its type, for whoever shows it."""
        return str(self.type) if self.type.name == "raw" else str(self.type.args[0])


@dataclass(frozen=True, eq=False)
class Development:
    """A developed frame: what the pipeline put out, what its taps saw, and the settings that made it."""

    frame: Frame
    settings: Settings
    outputs: Mapping[str, Picture]
    taps: Mapping[str, Picture]
    statistics: Mapping[str, NDArray[np.float32]]
    notes: tuple[str, ...] = ()
    """What the real thing has to say, such as a border that it cut off."""
    made_by: str = ""
    """Name and version of the real thing; empty for the composite."""
    doubles: tuple[str, ...] = ()
    """Addresses of the doubles that ran."""


def develop(
    graph: Graph,
    frame: Frame,
    settings: Settings | None = None,
    *,
    taps: Iterable[str] | None = (),
    impl: Mapping[str, str] | None = None,
    trust: Iterable[str] = (),
    progress: Progress | None = None,
    backend: str = COMPOSITE,
    allow_exec: bool = False,
    doubles: Doubles | None = None,
    tiling: Tiling | None = None,
    engine: Engine = "torch",
) -> Development:
    """Run a pipeline on a raw frame.

    What a `predictor` line gives and `settings` do not set comes from that network.

    A pipeline that reads statistics of the frame before runs twice, as if that frame had been the same: a still is
    what a camera settles on.

    Args:
        graph: a pipeline with one mosaic among its inputs, of any CFA or of the frame's.
        frame: the raw, as `ispdsl.read` gives it.
        settings: from `Settings.of(graph)`; what waits for metadata takes it from the frame.
        taps: names of the taps to keep; None for all.
        impl: implementation by node address where it is not the program.
        trust: packages besides ispdsl whose programs may be imported.
        progress: called before every step.
        backend: ``composite`` runs the stages' programs; ``command``, ``libraw``, ``darktable`` or ``registers`` the
            real thing of the pipeline's executor line.
        allow_exec: run the programs and devices that the text names, whoever wrote it.
        doubles: trained networks in the places of stages, as `ispdsl.backends.composite.compile` takes them. Where
            settings leave what they were trained on, `notes` says so.
        tiling: how large frames are cut into tiles; None for the usual way.
        engine: what runs the programs: ``torch`` at once, or ``halide``, which compiles them for this frame first.

    Raises:
        PlanError: the pipeline takes no such frame, or has no executor of this kind.
        SettingsError: a starting value is missing from the frame.
        CompileError, RunError: a program is missing, fails or gives what is not finite; metadata is missing; the
            predictor is missing or of another pipeline.
        ExecutorError: the real thing is not allowed, not there, or failed.
    """
    settings, notes = settings or Settings.of(graph), ()
    if graph.predictor is not None:
        settings, notes = _predicted(graph, frame, settings, progress)
    if backend != COMPOSITE:
        found = _develop_real(graph, frame, settings, taps, progress, backend, allow_exec)
    else:
        found = _develop_composite(
            graph, frame, settings, taps, impl, trust, progress, allow_exec, doubles, tiling, engine
        )
    return replace(found, notes=(*notes, *found.notes)) if notes else found


def _predicted(
    graph: Graph, frame: Frame, settings: Settings, progress: Progress | None
) -> tuple[Settings, tuple[str, ...]]:
    """The settings with those that the pipeline's predictor gives and nobody has set, and what is to be noted."""
    from ispdsl.learned.applying import developed_settings

    if progress:
        progress(0, 1, "predicting settings")
    return developed_settings(graph, frame, settings)


def _develop_real(
    graph: Graph,
    frame: Frame,
    settings: Settings,
    taps: Iterable[str] | None,
    progress: Progress | None,
    backend: str,
    allow_exec: bool,
) -> Development:
    check_backend(graph, backend)
    mosaic = mosaic_input(graph)
    found = declared(graph, match(graph, {mosaic: frame.type}))
    call = request(found, frame, settings, taps)
    if progress:
        progress(0, 1, f"{found.name} by {backend}")
    with opened(found, allow_exec) as executor:
        return developed_by(found, frame, settings, executor.run(call), executor.version)


def developed_by(found: Declared, frame: Frame, settings: Settings, answer: Answer, version: str) -> Development:
    """What a real thing made of a frame; `version` is its own."""
    types = {port.name: port.type for port in found.outputs}
    watched = {name: _type_of(found, value) for name, value in found.taps.items()}
    return Development(
        frame,
        settings.resolved(frame.metadata),
        {name: Picture(image, types[name]) for name, image in answer.outputs.items()},
        {name: Picture(image, watched[name]) for name, image in answer.taps.items()},
        {},
        answer.notes,
        version,
    )


def _type_of(found: Declared, value: Value) -> Type:
    """The type of what a tap watches."""
    if value.node is None:
        return next(port.type for port in found.inputs if port.name == value.port)
    return next(node.outputs[value.port] for node in found.nodes if node.address == value.node)


def _develop_composite(
    graph: Graph,
    frame: Frame,
    settings: Settings,
    taps: Iterable[str] | None,
    impl: Mapping[str, str] | None,
    trust: Iterable[str],
    progress: Progress | None,
    allow_exec: bool,
    doubles: Doubles | None,
    tiling: Tiling | None,
    engine: Engine,
) -> Development:
    import torch

    from ispdsl.backends.composite import compile
    from ispdsl.backends.render import render
    from ispdsl.backends.vector import tensors as settings_tensors

    settings = settings.resolved(frame.metadata)
    variables = match(graph, {mosaic_input(graph): frame.type})
    composite = compile(
        graph,
        types=variables,
        impl=impl or {},
        taps=taps,
        trust=tuple(trust),
        allow_exec=allow_exec,
        doubles=doubles,
    )
    if progress:
        composite.on_step(progress)
    values = settings_tensors(settings)
    image = torch.from_numpy(np.require(frame.image, requirements="W"))
    if engine == "halide":
        from ispdsl.backends.halide.rendering import rendered

        rendering = rendered(composite, image, values, _metadata(frame))
    else:
        rendering = render(composite, image, values, _metadata(frame), tiling)
    flat = composite.plan.graph
    outputs = {port.name: Picture(_array(rendering.outputs[port.name]), port.type) for port in flat.outputs}
    kept = {name: Picture(_array(tap), flat.type_of(flat.taps[name])) for name, tap in rendering.taps.items()}
    statistics = {name: _array(value) for name, value in rendering.statistics.items()}
    notes, ran = _notes(composite, values, frame), tuple(composite.cards)
    return Development(frame, settings, outputs, kept, statistics, notes, doubles=ran)


def _notes(composite: Composite, settings: Mapping[str, Any], frame: Frame) -> tuple[str, ...]:
    """Where settings or frame leave what the doubles of a composite were trained on."""
    if not composite.doubles:
        return ()
    from ispdsl.backends.doubles import outside

    graph = composite.plan.graph
    return tuple(outside(graph, composite.cards, settings, frame.metadata))


def mosaic_input(graph: Graph) -> str:
    """Name of the input that takes the raw.

    Raises:
        PlanError: the pipeline takes no mosaic, or several images.
    """
    images = [port for port in graph.inputs if port.type.is_image]
    if len(images) == 1 and images[0].type.name == "raw":
        return images[0].name
    takes = ", ".join(f"{port.name}: {port.type}" for port in graph.inputs)
    raise PlanError(f"{graph.name} takes ({takes}), and a raw file is one mosaic", "choose another with --pipeline")


def tensors(frame: Frame) -> tuple[Tensor, dict[str, Tensor]]:
    """A frame as the composite takes it: the image as float32 codes `(C, H, W)`, and its metadata by name."""
    import torch

    return torch.from_numpy(frame.image.astype(np.float32)), _metadata(frame)


def _metadata(frame: Frame) -> dict[str, Tensor]:
    import torch

    return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in frame.metadata.items()}


def _array(value: Any) -> NDArray[np.float32]:
    return value.detach().to("cpu").float().numpy()


# ---- writing ---------------------------------------------------------------------------------------------


def output_paths(names: Collection[str], path: Path) -> dict[str, Path]:
    """Where outputs go: the first to `path`, a further one beside it as ``name.output.suffix``."""
    further = (path.with_suffix(f".{name}{path.suffix}") for name in names)
    return {name: target if index else path for index, (name, target) in enumerate(zip(names, further, strict=True))}


def tap_paths(names: Iterable[str], folder: Path, suffix: str) -> dict[str, Path]:
    """Where taps go: each into `folder` under its own name."""
    return {name: folder / f"{name}{suffix}" for name in names}


def save_outputs(development: Development, path: Path, bits: int | None = None) -> list[Path]:
    """Write the outputs upright: the first to `path`, a further one beside it as ``name.output.suffix``.

    Integer codes become pictures with the largest code for white; ``.npy`` keeps the codes.

    Raises:
        PictureError: the format is unknown or the file cannot be written.
    """
    targets = output_paths(development.outputs, path)
    for name, picture in development.outputs.items():
        orientation = development.frame.orientation
        image = picture.image if targets[name].suffix.lower() == ".npy" else picture.light
        write_picture(targets[name], image, space=picture.space, orientation=orientation, bits=bits)
    return list(targets.values())


def save_taps(development: Development, folder: Path, suffix: str = ".png") -> list[Path]:
    """Write every tap upright into `folder`: ``.png`` and ``.jpg`` to look at, ``.tif`` and ``.npy`` the very values.

    Raises:
        PictureError: the format is unknown or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    orientation = development.frame.orientation
    targets = tap_paths(development.taps, folder, suffix)
    for name, picture in development.taps.items():
        target, image = targets[name], _planes(picture.image if suffix == ".npy" else picture.light)
        if suffix in (".png", ".jpg", ".jpeg"):
            write_picture(target, to_display(image, picture.space), orientation=orientation)
        else:
            bits = 32 if suffix in (".tif", ".tiff") else None
            write_picture(target, image, space=picture.space, orientation=orientation, bits=bits)
    return list(targets.values())


def _planes(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chroma has two planes, which no picture format has: a third of zeros joins them."""
    return np.concatenate([image, np.zeros_like(image[:1])]) if image.shape[0] == 2 else image


def save_sheet(development: Development, path: Path) -> None:
    """Write a contact sheet of the taps and outputs.

    Raises:
        PictureError: the file cannot be written.
    """
    pictures = [*development.taps.items(), *development.outputs.items()]
    orientation = development.frame.orientation
    contact_sheet(path, [(name, orient(_planes(p.light), orientation), p.space) for name, p in pictures])


def sidecar_of(development: Development) -> Sidecar:
    """The settings in full with what they were used on, to keep beside the photograph."""
    source = development.frame.source
    frame = {"file": Path(source.path).name, "sha256": source.sha256, "make": source.make, "model": source.model}
    return Sidecar.of(development.settings, {**frame, "decoder": source.decoder}, complete=True)
