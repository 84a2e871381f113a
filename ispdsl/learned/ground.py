"""What a predictor is trained through: the frozen composites of a pipeline, and the raws that it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, Rendering, compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.comparison.pair import peak_of
from ispdsl.darkroom import mosaic_input
from ispdsl.darkroom import tensors as frame_tensors
from ispdsl.errors import RunError
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.learned.aim import Aim
from ispdsl.learned.choosing import chosen_each
from ispdsl.learned.predictor import Predicted, Predictor, colours
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings

if TYPE_CHECKING:
    from ispdsl.backends.doubles import Doubles

Part = tuple[int, int, int, int]
"""Top, left, height and width."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A raw to learn from.

    Attributes:
        cfa: of its mosaic, ``linear`` for three planes.
        image: codes ``(C, H, W)``.
        metadata: of its file.
        start: where its settings lie without a prediction, ``(R,)``.
    """

    cfa: str
    image: Tensor
    metadata: Mapping[str, Tensor]
    start: Tensor

    def part(self, top: int, left: int, height: int, width: int) -> Scene:
        """A part of it. Offsets are even, so that the mosaic stays what it is; maps over the frame are cut likewise."""
        assert top % 2 == left % 2 == 0, "an odd offset is another mosaic"
        image = self.image[:, top : top + height, left : left + width]
        gains = self.metadata.get("gain_map")
        if gains is None:
            return replace(self, image=image)
        return replace(self, image=image, metadata={**self.metadata, "gain_map": self._cut(gains, (top, left), image)})

    def _cut(self, gains: Tensor, corner: tuple[int, int], image: Tensor) -> Tensor:
        from ispdsl.runtime.frame import window

        place = (*corner, image.shape[-2], image.shape[-1])
        size = (self.image.shape[-2], self.image.shape[-1])
        return torch.from_numpy(window(gains.double().numpy(), place, size)).to(gains)


@dataclass(frozen=True, eq=False)
class Ground:
    """A pipeline with frozen programs or doubles, and what of its settings is predicted.

    Attributes:
        composites: by the name of the mosaic.
        held: canonical values of what is not predicted and does not wait for metadata.
        aim: what is predicted.
        peak: what stands for white in what it gives.
        device: where it renders.
    """

    composites: Mapping[str, Composite]
    held: Mapping[str, Any]
    aim: Aim
    peak: float = 1.0
    device: str = "cpu"

    def rendered(self, scenes: Sequence[Scene], x: Tensor, temperature: float = 0.0) -> Tensor:
        """Pictures ``(B, C, H, W)``, 1 for white, of scenes of one mosaic and size at points ``(B, R)``.

        Raises:
            RunError: the scenes cannot be one batch, or as the composite.
        """
        images, metadata = batch_of(scenes, self.device)
        values, choices = self.aim.canonical(x.to(self.device), temperature)
        composite = self.composites[scenes[0].cfa]
        composite = chosen_each(composite, choices) if choices else composite
        settings = {**self.held, **values}
        found: Rendering = composite(images, settings, metadata)
        if composite.feeds_back:  # a still is what a camera settles on
            found = composite(images, settings, metadata, found.statistics)
        return found.image / self.peak if self.peak != 1 else found.image


def looked_at(network: Predictor, scenes: Sequence[Scene], device: str = "cpu") -> Predicted:
    """What a network says of scenes of one mosaic and size.

    Raises:
        RunError: the scenes cannot be one batch.
    """
    images, metadata = batch_of(scenes, device)
    start = torch.stack([scene.start for scene in scenes]).to(images)
    black, white = metadata.get("black_level"), metadata.get("white_level")
    planes = colours(images, scenes[0].cfa, black, white, network.arguments["reduced"])
    return network(planes.contiguous(memory_format=torch.channels_last), start)


def batch_of(scenes: Sequence[Scene], device: str = "cpu") -> tuple[Tensor, dict[str, Tensor]]:
    """Images ``(B, C, H, W)`` and metadata ``(B, ...)`` of scenes.

    Raises:
        RunError: their metadata differs in what there is, or in its shape.
    """
    names = [name for name in scenes[0].metadata if all(name in scene.metadata for scene in scenes)]
    found: dict[str, Tensor] = {}
    for name in names:
        values = [scene.metadata[name] for scene in scenes]
        if len({value.shape for value in values}) > 1:
            shapes = " and ".join(str(tuple(shape)) for shape in dict.fromkeys(value.shape for value in values))
            raise RunError(f"the raws' {name} has shapes {shapes}, which cannot be one batch", "use raws of one camera")
        found[name] = torch.stack(values).to(device)
    return torch.stack([scene.image for scene in scenes]).to(device), found


def ground_of(
    graph: Graph,
    settings: Settings,
    aim: Aim,
    frames: Sequence[Frame],
    *,
    trust: Sequence[str] = (),
    impl: Mapping[str, str] | None = None,
    doubles: Doubles | None = None,
    device: str = "cpu",
) -> Ground:
    """A pipeline ready to be trained through, for the mosaics of some frames.

    Args:
        graph: as built, with one mosaic among its inputs.
        settings: what is not predicted stays there; what starts at metadata is not resolved.
        aim: what is predicted.
        frames: of all mosaics that will come.
        trust: packages besides ispdsl whose programs may run.
        impl: how a stage runs where it is not the program.
        doubles: trained networks in the places of stages.
        device: ``cpu`` or ``cuda``.

    Raises:
        PlanError: the pipeline takes no such frame.
        CompileError: a program is missing, or as `ispdsl.backends.composite.compile`.
    """
    types: dict[str, Type] = {frame.cfa: frame.type for frame in frames}
    name = mosaic_input(graph)

    def compiled(type_: Type) -> Composite:
        found = compile(
            graph, types=match(graph, {name: type_}), taps=(), trust=tuple(trust), impl=impl or {}, doubles=doubles
        )
        found.requires_grad_(False)
        return found.to(device)

    held = {address: value for address, value in settings_tensors(settings).items() if address not in aim.addresses}
    peak = peak_of(graph.outputs[0].type, frames[0].metadata)
    return Ground({cfa: compiled(type_) for cfa, type_ in types.items()}, held, aim, float(peak), device)


def scene_of(frame: Frame, aim: Aim, settings: Settings) -> Scene:
    """A frame to learn from, whose settings begin at `settings`.

    Raises:
        SettingsError: a value that is predicted starts at metadata that the frame does not have.
    """
    image, metadata = frame_tensors(frame)
    return Scene(frame.cfa, image, metadata, aim.start(settings.resolved(frame.metadata)))
