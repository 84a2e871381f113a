"""Short and long exposures of the same scenes, to train a front end on: made of photographs, or bursts of raws.

Of a photograph the synthetic camera (Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019) makes
what the sensor should have seen; noise of any level is then drawn anew for every patch. Of a burst the mean of all
frames is the long exposure and each frame a short one (Tseng et al., "Neural Photo-Finishing", 2022, section 8, after
the smartphone pairs of Abdelhamed et al. 2018).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ispdsl.darkroom import tensors
from ispdsl.errors import RunError
from ispdsl.proxies.mosaic import PHASE, sites
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import SyntheticRaw, synthesise, write_dng

SHOT = (3e-4, 2.4e-2)
"""Range of the shot noise of a short exposure, log-uniform; the read noise follows it (Brooks et al., section 3.1, who
end at half of that: their exposures are not the shortest)."""

READ_SLOPE, READ_OFFSET, READ_SPREAD = 2.18, 1.20, 0.26

LONG = 1 / 6
"""Share of the patches that are long exposures."""

Profile = tuple[float, float]
"""Shot and read noise ``(s, o)``: at signal x of white the variance is ``s x + o``."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What a camera saw.

    Attributes:
        name: of the file or folder.
        cfa: of its mosaics.
        metadata: of the camera, as a composite takes it.
        truth: ``(3, H, W)`` codes of all colours without noise; None of a burst.
        long: ``(1, H, W)`` codes of the long exposure; None of a photograph.
        short: ``(N, 1, H, W)`` codes of short exposures; none of a photograph, whose noise is drawn.
    """

    name: str
    cfa: str
    metadata: Mapping[str, Tensor]
    truth: Tensor | None = None
    long: Tensor | None = None
    short: Tensor | None = None

    @property
    def image(self) -> Tensor:
        """What a rendering of the scene should be made of."""
        found = self.truth if self.truth is not None else self.long
        assert found is not None, "a scene has one of both"
        return found


@dataclass(frozen=True, eq=False)
class Patches:
    """Mosaics ``(B, 1, s, s)`` and what they should have been: ``(B, 3, s, s)``, or ``(B, 1, s, s)`` of bursts.

    `metadata` is that of each.
    """

    mosaics: Tensor
    wanted: Tensor
    metadata: Mapping[str, Tensor]


def photographed(photo: NDArray[np.float32], name: str, seed: int, cfa: str = "rggb") -> Scene:
    """The scene of a photograph ``(3, H, W)``, sRGB in 0..1: a random camera's exact view, in codes of 14 bits."""
    raw = synthesise(photo, seed=seed, cfa=cfa, tone="none", noise=False)
    span = raw.white - raw.black[0]
    return Scene(name, cfa, _metadata(raw), truth=torch.from_numpy(raw.truth * np.float32(span) + raw.black[0]))


def _metadata(raw: SyntheticRaw) -> Mapping[str, Tensor]:
    """What a file of the camera says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.dng"
        write_dng(path, replace(raw, mosaic=np.full((1, 32, 32), raw.white, np.uint16)))
        return tensors(read(path))[1]


def burst(frames: Sequence[Frame], name: str) -> Scene:
    """The scene of raws that were taken one after the other, alike in everything but noise.

    Raises:
        RunError: they are fewer than two, no Bayer mosaics, or not alike in size and kind.
    """
    if len(frames) < 2:
        raise RunError(f"{name}: a burst has two frames at least", "name a folder of raws of one scene")
    first = frames[0]
    if first.cfa not in PHASE:
        raise RunError(f"{name}: {first.source.path} is no Bayer mosaic")
    for frame in frames:
        if (frame.size, str(frame.type)) != (first.size, str(first.type)):
            raise RunError(f"{name}: {frame.source.path} and {first.source.path} are not alike", "keep bursts apart")
    short = torch.stack([tensors(frame)[0] for frame in frames])
    return Scene(name, first.cfa, tensors(first)[1], long=short.mean(0), short=short)


def mosaic_of(truth: Tensor, cfa: str) -> Tensor:
    """The mosaics ``(B, 1, H, W)`` that a sensor sees of ``(B, 3, H, W)``."""
    red, first, second, blue = sites(truth.shape[-2], truth.shape[-1], cfa, truth)[0]
    return (truth * torch.stack([red, first + second, blue])).sum(1, keepdim=True)


def noise_profile(generator: Generator, shot: tuple[float, float] = SHOT) -> Profile:
    """Shot and read noise of a random short exposure."""
    place, spread = torch.rand((), generator=generator), torch.randn((), generator=generator)
    log_shot = log(shot[0]) + float(place) * log(shot[1] / shot[0])
    log_read = READ_SLOPE * log_shot + READ_OFFSET + READ_SPREAD * float(spread)
    return float(np.exp(log_shot)), float(np.exp(log_read))


def exposed(mosaic: Tensor, black: Tensor, white: Tensor, profile: Profile | None, generator: Generator) -> Tensor:
    """Whole codes of a mosaic ``(1, H, W)`` with the noise of an exposure; None for a long one.

    `black` and `white` are the codes of no light and of white.
    """
    if profile is None:
        return mosaic.round()
    span = white - black
    light = ((mosaic - black) / span).clamp(min=0)
    grain = torch.randn(mosaic.shape, generator=generator) * (profile[0] * light + profile[1]).sqrt()
    return (mosaic + grain * span).round().clamp(min=0).minimum(white)


def draw(scenes: Sequence[Scene], generator: Generator, count: int, side: int) -> Patches:
    """Patches of scenes of one kind and CFA, a share of `LONG` of them long exposures.

    Args:
        scenes: at least `side` px high and wide.
        generator: of everything that is drawn.
        count: patches.
        side: of each in px, even.
    """
    mosaics, wanted = [], []
    chosen = [scenes[int(each)] for each in torch.randint(len(scenes), (count,), generator=generator)]
    for scene in chosen:
        height, width = scene.image.shape[-2:]
        places = torch.rand(2, generator=generator)
        top, left = (
            int(place * ((size - side) // 2 + 1)) * 2 for place, size in zip(places, (height, width), strict=True)
        )
        part = (..., slice(top, top + side), slice(left, left + side))
        is_long = bool(torch.rand((), generator=generator) < LONG)
        image = scene.image[part]
        if scene.short is not None:
            number = int(torch.randint(len(scene.short), (), generator=generator))
            mosaics.append(image if is_long else scene.short[number][part])
        else:
            mirrored = torch.rand(2, generator=generator) < 0.5
            image = image.flip([axis for axis, turn in zip((-2, -1), mirrored, strict=True) if turn])
            profile = None if is_long else noise_profile(generator)
            black, white = scene.metadata["black_level"][0], scene.metadata["white_level"]
            mosaics.append(exposed(mosaic_of(image[None], scene.cfa)[0], black, white, profile, generator))
        wanted.append(image)
    names = chosen[0].metadata.keys()
    metadata = {name: torch.stack([scene.metadata[name] for scene in chosen]) for name in names}
    return Patches(torch.stack(mosaics), torch.stack(wanted), metadata)
