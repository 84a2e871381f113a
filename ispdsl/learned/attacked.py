"""An attack on raw files: each raw is changed through the composite, written as a DNG, and looked at for real."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.blackbox import COMPOSITE
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.comparison.pair import peak_of
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.executors.formats_raw import encode_dng
from ispdsl.graph import Graph
from ispdsl.learned.attack import ENOUGH, STEPS, Bound, Look, attack
from ispdsl.learned.fit import Told
from ispdsl.learned.looks import Classifier, looked
from ispdsl.optimise.real import Develop, developer
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame, RawError
from ispdsl.runtime.pictures import atomic_write, orient
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Picture = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture ``(3, H, W)``, upright, 1 for white; the class that is told, and how sure that is."""

    picture: Picture
    told: int
    confidence: float


@dataclass(frozen=True, eq=False)
class Case:
    """What became of one raw.

    Attributes:
        label: class that counts as right.
        size, bound: of the change, in units of black to white, in the norm of the bound.
        largest: change of any sample, in codes.
        change: of the codes ``(C, H, W)``.
        before, after: what the real thing makes of the raw, by the name of the settings.
    """

    label: int
    size: float
    bound: float
    largest: float
    change: Picture
    before: Mapping[str, Seen]
    after: Mapping[str, Seen]


@dataclass(frozen=True, eq=False)
class Ways:
    """What renders, and what looks.

    Attributes:
        graph: the pipeline.
        compiled: the composite with gradients for frames like this one.
        develop: the real thing.
        classifier: that looks.
        settings: by name, the attacked ones first; the second, where there are any, are spared.
        device: where the composite runs.
    """

    graph: Graph
    compiled: Callable[[Frame], Composite]
    develop: Develop
    classifier: Classifier
    settings: Mapping[str, Settings]
    device: str = "cpu"


@contextmanager
def opened(
    graph: Graph,
    frames: Sequence[Frame],
    settings: Mapping[str, Settings],
    classifier: Classifier,
    backend: str = COMPOSITE,
    *,
    trust: Collection[str] = (),
    allow_exec: bool = False,
    doubles: Doubles | None = None,
    impl: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> Generator[Ways]:
    """What renders some raws and looks at them, open for any number of pictures.

    Args:
        graph: as built.
        frames: of which a composite is made with gradients; `doubles` and `impl` are for it.
        settings: by name, the attacked ones first, then those that are spared.
        classifier: that looks.
        backend: the real thing, as `ispdsl.optimise.real.developer` takes it.
        trust: packages besides ispdsl whose programs may run.
        allow_exec: run the programs and devices that the text names.
        doubles: trained networks in the places of stages, which show the way.
        impl: how a stage runs where it is not the program, of the composite.
        device: where the composite and the classifier run.

    Raises:
        PlanError, CompileError, ExecutorError: as `developer` and `compile`.
    """
    with ExitStack() as stack:
        ways: dict[str, Develop] = {}

        def develop(frame: Frame, wanted: Settings) -> Picture:
            kind = str(frame.type)
            if kind not in ways:  # a raw that was read from our own file may have another storage
                opening = developer(graph, frame.type, backend, trust=trust, allow_exec=allow_exec)
                ways[kind], _ = stack.enter_context(opening)
            return ways[kind](frame, wanted)

        composites = {
            str(frame.type): compile(
                graph, types=match(graph, {mosaic_input(graph): frame.type}), impl=impl or {}, taps=(),
                trust=tuple(trust), allow_exec=allow_exec, doubles=doubles,
            ).to(device)
            for frame in {str(frame.type): frame for frame in frames}.values()
        }  # fmt: skip
        yield Ways(graph, lambda frame: composites[str(frame.type)], develop, classifier, settings, device)


def check_codes(frame: Frame) -> None:
    """Refuse a raw that no DNG can hold.

    Raises:
        RawError: its samples are no whole codes.
    """
    if frame.image.dtype.kind != "u":
        raise RawError(f"{frame.source.path}: its samples are no whole codes", "attack a raw of integer samples")


def attack_raw(
    ways: Ways,
    frame: Frame,
    target: Path,
    bound: Bound,
    label: int | None = None,
    steps: int = STEPS,
    enough: float = ENOUGH,
    told: Callable[[Told], None] | None = None,
) -> Case:
    """Change a raw, write it as a DNG, read that again, and see what the real thing makes of both.

    Args:
        ways: what renders and looks.
        frame: the raw.
        target: the DNG to write.
        bound: of the change.
        label: the right class; None for what is told of the unchanged raw at the last of the settings.
        steps: of the ascent.
        enough: nats, as `attack` has it.
        told: called after each.

    Raises:
        RawError: the samples are no whole codes.
        RunError, ExecutorError: as the attack, the pipeline or the classifier.
        PictureError: the file cannot be written.
    """
    check_codes(frame)
    before = _seen(ways, frame)
    right = list(before.values())[-1].told if label is None else label
    against, *others = (_look(ways, frame, settings) for settings in ways.settings.values())
    image, metadata = _on(ways, frame)
    levels = metadata["black_level"], metadata["white_level"]
    truth = torch.tensor([right], device=image.device)
    found = attack(
        image[None], truth, against, others[0] if others else None, levels, bound, steps=steps, enough=enough, told=told
    )
    codes = found.raws[0].cpu().numpy()
    changed = _written(frame, codes, target)
    after = _seen(ways, changed)
    change = codes - frame.image.astype(np.float32)
    return Case(right, float(found.size), bound.size, float(np.abs(change).max()), change, before, after)


def _written(frame: Frame, codes: Picture, target: Path) -> Frame:
    """The frame as a DNG has it that holds these codes."""
    image = codes.astype(np.uint16)
    kind = frame.type.model_copy(update={"args": (frame.type.args[0], "u16")})
    (content,) = encode_dng(target.name, image, kind, replace(frame, image=image), frame.orientation).values()
    atomic_write(target, content)
    return read(target)


def _on(ways: Ways, frame: Frame) -> tuple[Tensor, dict[str, Tensor]]:
    image, metadata = tensors(frame)
    return image.to(ways.device), {name: value.to(ways.device) for name, value in metadata.items()}


def _look(ways: Ways, frame: Frame, settings: Settings) -> Look:
    held = settings_tensors(settings.resolved(frame.metadata))
    values = {name: each.to(ways.device) if isinstance(each, Tensor) else each for name, each in held.items()}
    peak = peak_of(ways.graph.outputs[0].type, frame.metadata)
    metadata = _on(ways, frame)[1]
    return looked(ways.compiled(frame), values, metadata, ways.classifier, frame.orientation, peak)


def _seen(ways: Ways, frame: Frame) -> dict[str, Seen]:
    """What the real thing makes of a raw at each of the settings, and what the classifier says of that."""
    peak = np.float32(peak_of(ways.graph.outputs[0].type, frame.metadata))
    found: dict[str, Seen] = {}
    for name, settings in ways.settings.items():
        picture = np.ascontiguousarray(orient(ways.develop(frame, settings) / peak, frame.orientation))
        with torch.no_grad():
            sure = ways.classifier(torch.from_numpy(picture)[None].to(ways.device)).double().softmax(1)[0]
        found[name] = Seen(picture, int(sure.argmax()), float(sure.max()))
    return found


def wrong_already(case: Case) -> bool:
    """Whether the raw was told wrong at the attacked settings before anything was changed."""
    return next(iter(case.before.values())).told != case.label


def succeeded(case: Case) -> bool:
    """Whether the changed raw is told wrong at the attacked settings, and right at those that are spared."""
    against, *others = case.after.values()
    return against.told != case.label and all(each.told == case.label for each in others)
