"""A front end: a network that demosaics and denoises at once, trained through the finishing that follows.

Tseng et al., "Neural Photo-Finishing", ACM Transactions on Graphics 41(6), 2022, section 8: with the finishing frozen,
``L(f(N(long)), f(D(long))) + L(f(N(short)), f(D(long)))``, where N is the network, D the demosaic that it takes the
place of, and f what follows. Of photographs the truth in all colours is known and stands for ``D(long)``.

The network is a double (`ispdsl.proxies.double`) of the call that demosaics: a grey box, which corrects what the
program makes of the mosaic and begins as exactly that. So it is used like any double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.feeding import task_of
from ispdsl.backends.vector import tensors
from ispdsl.calls import Call
from ispdsl.errors import PlanError, RunError
from ispdsl.graph import Graph
from ispdsl.learned.fit import Fitted, Recipe, Told, drawing, fit
from ispdsl.learned.short_and_long import Patches, Profile, Scene, draw, exposed, mosaic_of
from ispdsl.passes.single import constants, declaration
from ispdsl.plan import flattened
from ispdsl.programs.demosaic import bilinear
from ispdsl.proxies.card import Card
from ispdsl.proxies.codec import is_mosaic
from ispdsl.proxies.double import Double, make
from ispdsl.proxies.losses import l1
from ispdsl.runtime.values import Settings

WIDTH, DEPTH = 24, 3
"""Channels of the U-Net at half size, and how many sizes it has."""

WARM = 50
"""Steps in which the rate rises."""

TOGETHER, SIDE = 8, 64
"""Patches of a step, and their side in px."""

JUDGED: tuple[Profile | None, ...] = ((1e-3, 1e-6), (6e-3, 5e-5), None)
"""Noise of the exposures that a held-out scene is judged by, the last a long one."""

JUDGED_SIDE = 192
"""Of the part of a held-out scene that is looked at while training."""

CEILING = 60.0
"""PSNR in dB that no more than counts: a clean picture of a flat scene must not outweigh all others."""


def demosaic_of(graph: Graph, address: str | None = None) -> Call:
    """The call that makes colour of a mosaic, of a flat graph: the one at the address, or the only one.

    Raises:
        PlanError: there is none, or more than one and no address, or it has no program.
    """
    found = [call for call in graph.calls if _makes_colour(graph, call)]
    if address is not None:
        found = [call for call in found if call.address == address]
    if len(found) != 1:
        names = ", ".join(call.address for call in found)
        what = (
            f"makes colour of a mosaic in {names}"
            if found
            else f"has no {address or 'call'} that makes colour of a mosaic"
        )
        raise PlanError(f"{graph.name} {what}", "name one with --stage" if found else None)
    if not any(item.kind == "program" for item in found[0].signature.implementations):
        raise PlanError(f"{found[0].address} has no program that a front end could begin as")
    return found[0]


def _makes_colour(graph: Graph, call: Call) -> bool:
    inputs = [graph.type_of(value) for value in call.inputs.values()]
    outputs = list(call.outputs.values())
    return len(inputs) == len(outputs) == 1 and is_mosaic(inputs[0]) and outputs[0].name == "rgb"


def untrained(
    graph: Graph, settings: Settings, address: str | None = None, width: int = WIDTH, depth: int = DEPTH, seed: int = 0
) -> Double:
    """A front end that does what the demosaic does.

    Args:
        graph: as built.
        settings: of the pipeline; those of the demosaic are constants of the front end.
        address: of the call that demosaics; None for the only one.
        width: channels of the U-Net at half size.
        depth: sizes of the U-Net.
        seed: of the weights.

    Raises:
        PlanError: as `demosaic_of`.
        CompileError: there is no network of such a size.
    """
    flat = flattened(graph)
    call = demosaic_of(flat, address)
    held = tensors(settings)
    given = {name: held[slot] for name, slot in call.parameters.items() if slot in held}
    plain = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in given.items()}
    double = make(
        Card(
            task=task_of(flat, call.address, {}),
            nodes=(call.address,),
            watched=(tuple(map(str, call.inputs.values())), (call.address,)),
            stage=call.signature.name,
            signature=declaration(call),
            constants={**plain, **constants(flat, call.address)},
            network="residual",
            arguments={"network": "kernels", "width": width, "depth": depth},
            pipeline=graph.name,
            pipeline_sha256=graph.sha256,
            real="noise-free colour, finished",
        ),
        seed=seed,
    )
    _scale(double, seed)
    return double


@torch.no_grad()
def _scale(double: Double, seed: int) -> None:
    """Give every convolution of 3x3 outputs of spread 1 on a noisy mosaic, or nothing comes through all of them.

    Layer-sequential unit variance (Mishkin and Matas, "All you need is a good init", ICLR 2016).
    """
    generator = torch.Generator().manual_seed(seed)
    mosaic = torch.rand(1, 1, 64, 64, generator=generator) ** 2
    double.bind(lambda given, cfa, **_: bilinear(given, cfa=cfa))
    layers: list[nn.Conv2d] = []
    spreads: list[Tensor] = []

    def ran(some: Iterable[nn.Conv2d], hook: Callable[..., None]) -> None:
        hooks = [layer.register_forward_hook(hook) for layer in some]
        double(mosaic, cfa="rggb", **double.card.constants)
        for each in hooks:
            each.remove()

    ran(
        [each for each in double.modules() if isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3)],
        lambda layer, *_: layers.append(layer),
    )
    for layer in layers:  # in the order in which they run
        ran([layer], lambda _, given, made: spreads.append(made.std((0, 2, 3)).mean()))
        layer.weight.div_(spreads[-1])


@dataclass(frozen=True, eq=False)
class Finishing:
    """A pipeline with a front end in it, and without, at the settings that are frozen.

    Attributes:
        learned: with the front end.
        plain: with the demosaic.
        colour: for frames that have all colours, which a demosaic passes through; None where there are only bursts.
        settings: canonical values by address.
    """

    learned: Composite
    plain: Composite
    colour: Composite | None
    settings: Mapping[str, Any]

    def wanted(self, image: Tensor, metadata: Mapping[str, Tensor]) -> Tensor:
        """What the scene looks like: of all colours ``(B, 3, H, W)``, or of a long exposure ``(B, 1, H, W)``."""
        composite = self.colour if image.shape[-3] == 3 else self.plain
        assert composite is not None, "photographs have a composite of their own"
        with torch.no_grad():
            return rendered(composite, image, self.settings, metadata)


def finishing(
    graph: Graph,
    settings: Settings,
    double: Double,
    scene: Scene,
    trust: Sequence[str] = (),
    device: str = "cpu",
) -> Finishing:
    """Compile what a front end is trained through; its own weights stay free.

    Args:
        graph: as built.
        settings: that are frozen; what waits for metadata takes it from each scene.
        double: the front end.
        scene: one of those that it is trained on: a photograph or a burst, and of which CFA.
        trust: packages besides ispdsl whose programs may run.
        device: where everything runs.

    Raises:
        PlanError, CompileError: the pipeline cannot be compiled for the CFA, or for frames with all colours.
    """
    address = double.card.task.name

    def made(layout: str, doubles: dict[str, Double] | None = None) -> Composite:
        return compile(graph, cfa=layout, taps=(), trust=trust, doubles=doubles).to(device)

    held = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in tensors(settings).items()}
    colour = made("linear") if scene.truth is not None else None
    return Finishing(made(scene.cfa, {address: double}), made(scene.cfa), colour, held)


def rendered(
    composite: Composite, image: Tensor, settings: Mapping[str, Any], metadata: Mapping[str, Tensor]
) -> Tensor:
    """The first output of images; a pipeline that reads statistics of the frame before runs twice."""
    made = composite(image, settings, metadata)
    if composite.feeds_back:
        made = composite(image, settings, metadata, made.statistics)
    return made.image


def train(
    double: Double,
    through: Finishing,
    scenes: Sequence[Scene],
    held_out: Sequence[Scene],
    recipe: Recipe,
    *,
    together: int = TOGETHER,
    side: int = SIDE,
    told: Callable[[Told], None] | None = None,
    kept: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Train a front end in place, and leave it at the weights that the held-out scenes like best.

    Args:
        double: the front end in `through`.
        through: the frozen finishing.
        scenes: to draw patches from, all photographs or all bursts, of one CFA.
        held_out: that judge; without any the last weights count.
        recipe: how.
        together: patches of a step.
        side: of a patch in px, even.
        told: called after each step.
        kept: file of a checkpoint.
        resume: go on from it, where it is there.

    Raises:
        RunError: a scene is smaller than a patch, or as `fit`.
    """
    small = next((scene for scene in scenes if min(scene.image.shape[-2:]) < side), None)
    if small is not None or side % 2:
        what = f"{small.name} has fewer than {side} px" if small else f"a patch of {side} px is no whole mosaic"
        raise RunError(what, "train on smaller patches with --side, an even number")
    device = next(double.parameters()).device

    def loss(step: int, generator: torch.Generator) -> Tensor:
        drawn = on(draw(scenes, generator, together, side), device)
        given = rendered(through.learned, drawn.mosaics, through.settings, drawn.metadata)
        return l1(given, through.wanted(drawn.wanted, drawn.metadata))

    def judge() -> float:
        parts = [cut(scene, JUDGED_SIDE) for scene in held_out]
        found = [score(through.learned, through, each, profile) for each in parts for profile in JUDGED]
        return sum(min(each, CEILING) for each in found) / len(found)

    return fit(double, loss, recipe, judge if held_out else None, told=told, kept=kept, resume=resume)


def on(patches: Patches, device: torch.device) -> Patches:
    """Patches on another device."""
    metadata = {name: value.to(device) for name, value in patches.metadata.items()}
    return Patches(patches.mosaics.to(device), patches.wanted.to(device), metadata)


def cut(scene: Scene, side: int) -> Scene:
    """The middle of a scene, at even places."""
    top, left = ((max(size - side, 0) // 4) * 2 for size in scene.image.shape[-2:])

    def part(image: Tensor | None) -> Tensor | None:
        return None if image is None else image[..., top : top + side, left : left + side]

    return Scene(scene.name, scene.cfa, scene.metadata, part(scene.truth), part(scene.long), part(scene.short))


def exposure(scene: Scene, profile: Profile | None, seed: int = 0) -> Tensor:
    """A mosaic ``(1, 1, H, W)`` of a scene: with noise of this level, or long; of a burst its first frame, or long."""
    if scene.short is not None:
        assert scene.long is not None, "a burst has both"
        return (scene.long if profile is None else scene.short[0])[None]
    mosaic = mosaic_of(scene.image[None], scene.cfa)[0]
    black, white = scene.metadata["black_level"][0], scene.metadata["white_level"]
    return exposed(mosaic, black, white, profile, drawing(seed, 0))[None]


@torch.no_grad()
def finished(
    composite: Composite, through: Finishing, scene: Scene, profile: Profile | None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The finished picture ``(B, C, H, W)`` that a composite makes of an exposure of a scene, and the one wanted."""
    device = next(through.learned.parameters()).device
    whole = on(Patches(exposure(scene, profile, seed), scene.image[None], scene.metadata), device)
    given = rendered(composite, whole.mosaics, through.settings, whole.metadata)
    return given, through.wanted(whole.wanted, whole.metadata)


def score(composite: Composite, through: Finishing, scene: Scene, profile: Profile | None, seed: int = 0) -> float:
    """PSNR in dB after finishing of what a composite makes of an exposure of a scene; infinite where it is the same."""
    return psnr(*finished(composite, through, scene, profile, seed))


def psnr(given: Tensor, wanted: Tensor) -> float:
    """In dB, of pictures whose white is 1; infinite where they are the same."""
    return float(-10 * (given - wanted).square().mean().log10())
