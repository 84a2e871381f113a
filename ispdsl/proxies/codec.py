"""From images in the numbers of their types to what a network sees, and back.

A network sees *values*: scene-linear as they are, integer codes and mosaics as ``(code - black) / (white - black)``,
with the black and white level of the metadata where the double reads them, else of the storage. Values have no bounds
(exposure +4 EV is 16, and below 0 is legal), so the network sees them companded too. It changes a *start*, which is the
input itself where that has as many channels as the output.

There are two layouts. In ``sites`` every pixel is seen alone, one of a mosaic with its place in the 2x2 pattern as
one-hot. In ``planes`` mosaics are four planes R G G B at half size, and every other image is split likewise where there
is a mosaic among the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import asinh
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.errors import RunError
from ispdsl.ir.types import BAYER, INTEGER_STORAGE, Type, is_variable
from ispdsl.proxies.mosaic import PHASE, bilinear, pack, sites, unpack
from ispdsl.proxies.task import Task

Layout = Literal["sites", "planes"]

Finish = Literal["free", "bounded", "encoded"]
"""What comes out: values of any size, values of 0..1, or such values encoded for a display from linear ones."""

ENCODED = ("srgb", "prophoto", "rec709", "rec2020", "pq", "hlg")
"""Colour spaces with a transfer function."""

COMPANDING = 0.02
"""Below about this value companding is linear, above it logarithmic: it has 0 in the middle, and -1 and 1 kept."""


SLOPE = asinh(1 / COMPANDING)
"""What a companded value is multiplied by to be the hyperbolic angle ``asinh(x / COMPANDING)``."""


def compand(values: Tensor) -> Tensor:
    """``asinh(x / a) / asinh(1 / a)``: signed, smooth, without bounds; 0, 1 and -1 stay."""
    return torch.asinh(values / COMPANDING) / SLOPE


def bounded(values: Tensor) -> Tensor:
    """``x / (1 + |x|)``: nearly linear light in the dark, and never beyond -1 and 1 (a highlight of 200 is one)."""
    return values / (1 + values.abs())


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network is given of a call: ``(B, n, h, w)``, or ``(N, n)`` for pixels alone.

    Attributes:
        values: of all the inputs, in order.
        sites: one-hot places of a mosaic's pixels, in layout ``sites`` only.
        start: what the network changes; as many channels as it gives.
        origins: of each output the codes that the start is, where it is an input of the same type.
    """

    values: Tensor
    sites: Tensor | None
    start: Tensor
    origins: Sequence[Tensor | None]


@dataclass(frozen=True)
class Shape:
    """Sizes of what a network is given and gives: channels of values, sites and start, elements of the condition.

    A condition of 0 elements is given as one that is always 0. `mosaic` is whether planes are at half size, `finish`
    what comes out.
    """

    values: int
    sites: int
    start: int
    condition: int
    mosaic: bool
    finish: Finish = "free"

    @property
    def told(self) -> int:
        """Elements of the condition as it is given."""
        return max(self.condition, 1)

    def radius(self, margin: int) -> int:
        """In pixels, of a network that looks `margin` pixels of its planes far; a bilinear start adds one."""
        return 2 * margin + 2 if self.mosaic else margin

    @property
    def features(self) -> int:
        """Channels that `features` makes of it."""
        return 2 * self.start + self.sites + (self.values if self.values != self.start else 0)


def features(values: Tensor, start: Tensor, sites: Tensor | None, dimension: int) -> Tensor:
    """What a network looks at: the start companded and bounded, the values where they are more, and the sites."""
    parts = [compand(start), bounded(start)]
    if values.shape[dimension] != start.shape[dimension]:
        parts.append(compand(values))
    if sites is not None:
        shape = list(start.shape)
        shape[dimension] = sites.shape[dimension]
        parts.append(sites.expand(shape))
    return torch.cat(parts, dimension)


def is_mosaic(each: Type) -> bool:
    """Whether images of this type have one sample a site (a CFA variable stands for a Bayer one)."""
    return each.name == "raw" and (each.args[0] in BAYER or is_variable(each.args[0]))


def code_range(each: Type) -> int | None:
    """The largest code of an integer storage; None of a float."""
    found = INTEGER_STORAGE.fullmatch(str(each.args[1]))
    return 2 ** int(found[1]) - 1 if found else None


@dataclass(frozen=True, eq=False)
class Levels:
    """Of integer codes: value = (code - black) / span; each ``(B or 1, n)`` with n = 4 for R G G B, else channels."""

    black: Tensor
    span: Tensor


def levels(each: Type, look: Callable[[str], Tensor | None], like: Tensor) -> Levels | None:
    """The levels of a type: of a raw from metadata that `look` finds by name, else of the storage; None of floats."""
    top = code_range(each)
    if top is None:
        return None
    channels = 4 if is_mosaic(each) else each.planes
    black = look("black_level") if each.name == "raw" else None
    white = look("white_level") if each.name == "raw" else None
    low = torch.zeros(1, channels).to(like) if black is None else black[:, :channels].expand(-1, channels)
    high = torch.full((1, channels), float(top)).to(like) if white is None else white.expand(-1, channels)
    return Levels(low, high - low)


@dataclass(frozen=True, eq=False)
class Codec:
    """How the images of a task are laid out for a network.

    `program` says that a program's outputs stand among the inputs, behind the call's own, and are the start.
    """

    task: Task
    layout: Layout
    program: bool = False

    @property
    def inputs(self) -> tuple[Type, ...]:
        """Types of all the images that the network sees."""
        return (*self.task.inputs, *(self.task.outputs if self.program else ()))

    @property
    def mosaic(self) -> bool:
        """Whether planes are at half size."""
        return self.layout == "planes" and any(map(is_mosaic, (*self.task.inputs, *self.task.outputs)))

    @property
    def located(self) -> bool:
        """Whether pixels come with their place in the mosaic."""
        return self.layout == "sites" and any(map(is_mosaic, self.task.inputs))

    def shape(self, condition: int) -> Shape:
        """Sizes for the network."""
        factor = 4 if self.mosaic else 1
        values = sum(each.planes for each in self.inputs)
        start = sum(each.planes for each in self.task.outputs)
        return Shape(values * factor, 4 if self.located else 0, start * factor, condition, self.mosaic, self.finish)

    @property
    def finish(self) -> Finish:
        """What comes out, where it is the same of all outputs; a program has done it already."""
        if not all(each.name != "raw" and (each.args[1] == "unit" or code_range(each)) for each in self.task.outputs):
            return "free"
        encodes = all(each.args[0] in ENCODED for each in self.task.outputs)
        linear = not any(each.args[0] in ENCODED for each in self.inputs)
        return "encoded" if encodes and linear else "bounded"

    def cfa(self, given: str | None) -> str | None:
        """The CFA of the call's mosaics: the type's own, else the given one; None where there is no mosaic.

        Raises:
            RunError: the type leaves it open, and none, or none of a mosaic, is given.
        """
        mosaics = [each for each in (*self.task.inputs, *self.task.outputs) if is_mosaic(each)]
        if not mosaics:
            return None
        own = next((str(each.args[0]) for each in mosaics if not is_variable(each.args[0])), given)
        if own not in PHASE:
            found = f"was given the CFA {own}" if own else "was not told the CFA of its mosaic"
            raise RunError(f"the double of {self.task.name} {found}", f"cfa is one of {', '.join(BAYER)}")
        return own

    def encode(self, images: Sequence[Tensor], scales: Sequence[Levels | None], cfa: str | None) -> Seen:
        """Images ``(B, C, H, W)`` of all `inputs`, or their `pixels` ``(N, n)``, as the network sees them.

        `scales` are the levels of `inputs`.
        """
        located = self._places(images, cfa)
        images = [image[:, :1] if is_mosaic(each) else image for image, each in zip(images, self.inputs, strict=True)]
        packed = [pack(image, PHASE[cfa or ""]) if self.mosaic else image for image in images]
        values = [
            image
            if scale is None
            else (image - self._beside(scale.black, image, located)) / self._beside(scale.span, image, located)
            for image, scale in zip(packed, scales, strict=True)
        ]
        starts = [self._start(index, values, packed) for index in range(len(self.task.outputs))]
        return Seen(torch.cat(values, 1), located, torch.cat([each[0] for each in starts], 1), [e[1] for e in starts])

    def decode(
        self, given: Tensor, seen: Seen, scales: Sequence[Levels | None], cfa: str | None, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """What the network gave, as images of the outputs' types; `scales` are the levels of the outputs.

        Integer codes are the origin plus a change, so that a network that changes nothing changes no bit.
        """
        factor = 4 if self.mosaic else 1
        channels = [each.planes * factor for each in self.task.outputs]
        results: list[Tensor] = []
        parts = zip(given.split(channels, 1), seen.start.split(channels, 1), seen.origins, scales, strict=True)
        for part, start, origin, scale in parts:
            if scale is not None:
                span = self._beside(scale.span, part, seen.sites)
                low = self._beside(scale.black, part, seen.sites)
                part = part * span + low if origin is None else origin + (part - start) * span
            results.append(unpack(part, PHASE[cfa or ""], *size) if self.mosaic else part)
        return tuple(results)

    def pixels(self, images: Sequence[Tensor], cfa: str | None, *, outputs: bool = False) -> tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` of the inputs (or `outputs`) as rows ``(B H W, n)`` for layout ``sites``.

        A row of a mosaic that goes in is its value and its place, one-hot in the order R G G B: n is 5.
        """
        types = self.task.outputs if outputs else self.inputs
        rows: list[Tensor] = []
        for image, each in zip(images, types, strict=True):
            if is_mosaic(each) and not outputs:
                place = sites(image.shape[-2], image.shape[-1], cfa or "", image).expand(image.shape[0], -1, -1, -1)
                image = torch.cat([image, place], 1)
            rows.append(image.movedim(1, -1).flatten(0, -2))
        return tuple(rows)

    def _places(self, images: Sequence[Tensor], cfa: str | None) -> Tensor | None:
        if not self.located:
            return None
        image = next(image for image, each in zip(images, self.inputs, strict=True) if is_mosaic(each))
        return image[:, 1:5] if image.dim() == 2 else sites(image.shape[-2], image.shape[-1], cfa or "", image)

    def _beside(self, level: Tensor, image: Tensor, located: Tensor | None) -> Tensor:
        """A level ``(B, n)`` as it stands beside an image as laid out, or beside its rows."""
        tail = (1, 1) if image.dim() == 4 else ()
        channels = image.shape[1]
        if channels == 1 and level.shape[1] == 4:  # a mosaic, pixel by pixel
            assert located is not None
            return (level.reshape(-1, 4, *tail) * located).sum(1, keepdim=True)
        return level.repeat_interleave(channels // level.shape[1], 1).reshape(-1, channels, *tail)

    def _start(self, index: int, values: Sequence[Tensor], packed: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """What the network changes to get output `index`, and the very codes that it is, if it is an input's."""
        own = self.task.outputs[index]
        if self.program:
            place = len(self.task.inputs) + index
            return values[place], packed[place]
        alike = [place for place, each in enumerate(self.task.inputs) if (each.planes, is_mosaic(each)) == _kind(own)]
        if alike:
            place = alike[min(index, len(alike) - 1)]
            same = self.task.inputs[place].args[1] == own.args[1] and self.task.inputs[place].name == own.name
            factor = 4 if self.mosaic else 1  # behind a bank's image stand its features
            return values[place][:, : own.planes * factor], packed[place] if same else None
        return self._made(self.task.inputs[0], own, values[0]), None

    def _made(self, given: Type, wanted: Type, value: Tensor) -> Tensor:
        """A start of other channels: colour of a mosaic bilinearly, one channel as the mean, more as copies."""
        if self.mosaic:
            image = F.pixel_shuffle(value, 2)
            image = bilinear(image) if is_mosaic(given) else image
            return F.pixel_unshuffle(_channels(image, wanted.planes), 2)
        return _channels(value, wanted.planes)


def _kind(each: Type) -> tuple[int, bool]:
    return each.planes, is_mosaic(each)


def _channels(image: Tensor, wanted: int) -> Tensor:
    """Another number of channels: their mean for one, else the first, the last as often as it takes."""
    if wanted == 1:
        return image.mean(1, keepdim=True)
    last = image.shape[1] - 1
    return torch.cat([image[:, min(channel, last)].unsqueeze(1) for channel in range(wanted)], 1)
