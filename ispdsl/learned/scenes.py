"""Raws at a working size, in batches, for networks that choose settings by looking at a raw.

Statistics of a picture need few pixels. A raw is made small as a mosaic still, by the mean of sites of one colour, so
that the whole pipeline runs on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.still import with_still_steps
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.backends.vector import unit_to_settings
from ispdsl.comparison.pair import peak_of
from ispdsl.darkroom import mosaic_input
from ispdsl.graph import Graph
from ispdsl.optimise.box import Box
from ispdsl.optimise.gradients import upright
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

WORKING = 160
"""Px of the longer side of what is rendered to find settings."""

SEEN = 64
"""Px of both sides of what a network sees of a raw."""


@dataclass(frozen=True, eq=False)
class Means:
    """How the pipeline runs: implementations by node, doubles, and whose programs may run."""

    impl: Mapping[str, str] | None = None
    doubles: Doubles | None = None
    trust: Collection[str] = ()
    allow_exec: bool = False


@dataclass(frozen=True, eq=False)
class Scene:
    """A raw that settings are wanted for.

    Attributes:
        name: of its file.
        frame: small.
        settings: where it begins, resolved by its own metadata.
        box: of what is free, around its own start.
        seen: ``(3, SEEN, SEEN)``: what a network sees of it, linear, of equal planes where it is grey, 1 is white.
    """

    name: str
    frame: Frame
    settings: Settings
    box: Box
    seen: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shoot:
    """Scenes of one kind and size, which are rendered together.

    Attributes:
        names: of the scenes.
        vector: what is free, in the unit face.
        composite: compiled for them.
        images: ``(N, C, H, W)``, sensor codes.
        metadata: by name, ``(N, ...)``.
        held: settings that are not free, canonical, numbers ``(N, ...)``.
        low, width: the box of each, ``(N, P)``, in the unit face.
        start: of each, in its box, ``(N, P)``, 0..1.
        seen: ``(N, 3, SEEN, SEEN)``.
        black, white: codes, ``(N, 1, 1, 1)``.
        peak: the value of white in the picture.
        orientation: EXIF's.
    """

    names: tuple[str, ...]
    vector: Vector
    composite: Composite
    images: Tensor
    metadata: Mapping[str, Tensor]
    held: Mapping[str, Any]
    low: Tensor
    width: Tensor
    start: Tensor
    seen: Tensor
    black: Tensor
    white: Tensor
    peak: float
    orientation: int

    def __len__(self) -> int:
        return len(self.names)

    def pictures(self, z: Tensor, some: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
        """Finished pictures ``(B, 3, H, W)``, upright, 1 for white; gradients pass to the settings.

        Args:
            z: ``(B, P)``, settings in the box of each scene.
            some: ``(B,)``, numbers of the scenes; default: all.
            gain: ``(B,)``, what the light of each is multiplied by; default: 1.

        Raises:
            RunError: a program fails.
        """
        index = torch.arange(len(self), device=self.images.device) if some is None else some
        image = self.images[index]
        if gain is not None:
            light = gain[:, None, None, None] * (image - self.black[index])
            image = torch.minimum(light + self.black[index], self.white[index])
        unit = (self.low[index] + z * self.width[index]).clamp(0, 1)
        values = {**_chosen(self.held, index), **unit_to_settings(self.vector, unit)}
        metadata = _chosen(self.metadata, index)
        rendering = self.composite(image, values, metadata)
        if self.composite.feeds_back:  # a still is what a camera settles on
            rendering = self.composite(image, values, metadata, rendering.statistics)
        picture = rendering.image / self.peak
        if self.orientation == 1:
            return picture
        return torch.stack([upright(one, self.orientation) for one in picture])

    def still(self) -> Shoot:
        """The same for a search of settings: what lies before everything free is computed once.

        What it renders is all scenes, at no gain.
        """
        values = {**self.held, **unit_to_settings(self.vector, (self.low + self.start * self.width).clamp(0, 1))}
        addresses = [slot.address for slot in self.vector.slots]
        return replace(self, composite=with_still_steps(self.composite, self.images, values, self.metadata, addresses))


def scene(
    name: str,
    frame: Frame,
    chosen: Settings,
    free: Sequence[str] | None = None,
    side: int = WORKING,
    hard: Sequence[str] = (),
) -> Scene:
    """A raw made ready.

    Args:
        name: of its file.
        frame: as it was read.
        chosen: where it begins; what waits for metadata takes it from the frame.
        free: addresses; default: every free number.
        side: px of the longer side that it is made small to.
        hard: addresses, or patterns, whose whole legal range is searched; of the others, the soft range.

    Raises:
        SettingsError: metadata of a start is missing, or an address cannot be free.
    """
    settings = chosen.resolved(frame.metadata)
    small = shrunk(frame, side)
    whole = {slot.address for slot in Vector.of(settings, only=hard).slots} if hard else ()
    return Scene(name, small, settings, Box.around(Vector.of(settings, only=free), settings, whole), seen(small))


def shoots(graph: Graph, scenes: Sequence[Scene], means: Means, device: str = "cpu") -> list[Shoot]:
    """Scenes in as few batches as their kinds and sizes allow; the order within a batch is that of the scenes.

    Raises:
        PlanError, CompileError: the pipeline takes no such raw, or does not run as `means` say.
    """
    alike: dict[tuple[object, ...], list[Scene]] = {}
    compiled: dict[str, Composite] = {}
    wanted = {meta.name for meta in graph.metas}
    for each in scenes:
        shapes = tuple((name, np.shape(each.frame.metadata[name])) for name in sorted(wanted & {*each.frame.metadata}))
        key = (str(each.frame.type), each.frame.image.shape, each.frame.orientation, shapes)
        alike.setdefault(key, []).append(each)
    made: list[Shoot] = []
    for some in alike.values():
        kind = some[0].frame.type
        if str(kind) not in compiled:
            composite = compile(
                graph, types=match(graph, {mosaic_input(graph): kind}), impl=means.impl, taps=(), trust=means.trust,
                allow_exec=means.allow_exec, doubles=means.doubles,
            )  # fmt: skip
            compiled[str(kind)] = composite.to(device).requires_grad_(False)
        made.append(_shoot(graph, compiled[str(kind)], some, wanted, device))
    return made


def _shoot(graph: Graph, composite: Composite, some: Sequence[Scene], wanted: set[str], device: str) -> Shoot:
    vector = some[0].box.vector
    free = {slot.address for slot in vector.slots}
    given = [settings_tensors(each.settings) for each in some]

    def stacked(values: Sequence[Any]) -> Tensor:
        return torch.stack([torch.as_tensor(np.asarray(value)).float() for value in values]).to(device)

    held: dict[str, Any] = {}
    for address, value in given[0].items():
        if address not in free:
            held[address] = stacked([one[address] for one in given]) if isinstance(value, Tensor) else value
    first = some[0].frame
    return Shoot(
        tuple(each.name for each in some),
        vector,
        composite,
        stacked([each.frame.image for each in some]),
        {name: stacked([each.frame.metadata[name] for each in some]) for name in wanted & {*first.metadata}},
        held,
        stacked([each.box.low for each in some]),
        stacked([each.box.width for each in some]),
        stacked([each.box.place(vector.to_vector(each.settings)).clip(0, 1) for each in some]),
        stacked([each.seen for each in some]),
        stacked([np.mean(each.frame.metadata["black_level"]) for each in some])[:, None, None, None],
        stacked([each.frame.metadata["white_level"] for each in some])[:, None, None, None],
        float(peak_of(graph.outputs[0].type, first.metadata)),
        first.orientation,
    )


def _chosen(values: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
    return {name: value[index] if isinstance(value, Tensor) else value for name, value in values.items()}


def shrunk(frame: Frame, side: int) -> Frame:
    """A frame whose longer side has about `side` px: the mean of as many sites of one colour as there are too many.

    Samples become fractions of codes. What is left over at the right and below is cut off.
    """
    step = max(1, round(max(frame.size) / side))
    sites = 1 if frame.cfa == "linear" else 2
    planes, rows, columns = (frame.image.shape[0], *(size // (sites * step) for size in frame.size))
    if step == 1 or not rows or not columns:
        return frame
    kept = frame.image[:, : rows * step * sites, : columns * step * sites].astype(np.float32)
    split = kept.reshape(planes, rows, step, sites, columns, step, sites)
    image = split.mean(axis=(2, 5)).reshape(planes, rows * sites, columns * sites)
    return replace(frame, image=image, source=replace(frame.source, whole=False))


def seen(frame: Frame) -> NDArray[np.float32]:
    """What a network sees of a raw: red, green, blue in 64 x 64 px, linear, divided by the as-shot neutral.

    Black is 0, the white level 1, and where a plane is more than that after the division it is 1: so all three are
    equal where the scene is grey.
    """
    black = np.asarray(frame.metadata["black_level"], np.float32)
    white = np.float32(frame.metadata["white_level"])
    neutral = np.asarray(frame.metadata["as_shot_neutral"], np.float32)
    image = frame.image.astype(np.float32)
    if frame.cfa == "linear":
        planes = [(image[place] - black[place]) / (white - black[place]) for place in range(3)]
    else:
        found: dict[str, list[NDArray[np.float32]]] = {"r": [], "g": [], "b": []}
        rows, columns = (size // 2 * 2 for size in frame.size)
        for place, colour in enumerate(frame.cfa):
            sites = image[0, place // 2 : rows : 2, place % 2 : columns : 2]
            found[colour].append((sites - black[place]) / (white - black[place]))
        planes = [np.mean(found[colour], axis=0) for colour in "rgb"]
    light = torch.from_numpy(np.stack(planes) / neutral[:, None, None]).clamp(0, 1)
    return F.interpolate(light[None], size=(SEEN, SEEN), mode="area")[0].numpy()
