"""Block matching and 3-D filtering (BM3D): alike blocks are stacked, and the stack is shrunk in a transform.

Written from the papers: Dabov, Foi, Katkovnik and Egiazarian, "Image denoising by sparse 3-D transform-domain
collaborative filtering" (IEEE TIP 16(8), 2007), and for colour their paper of ICIP 2007.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ispdsl.programs.nlm import box_sum
from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror

PATCHES = {"p4": 4, "p8": 8}
SEARCH_RADII = {"s9": 4, "s17": 8}
STACKS = {"k8": 8, "k16": 16, "k32": 32}
STEPS = {"every": 1, "second": 2, "third": 3}

KAISER_BETA = 2.0
"""Taper of a block's estimates towards its border: the paper's Kaiser window."""

SHARPNESS = 4
"""Half the power of the hard threshold's flank: smooth, so that the threshold and the noise have a gradient."""

TIE = 1e-3
"""Distances of blocks that agree to this share of the noise's power are ties; the nearest block wins."""

CHUNK = 1 << 24
"""Numbers that the stacks of one chunk of reference blocks may hold: what bounds the memory of large images."""

Shrink = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Gains of the coefficients of a stack, given those of the noisy image, of the guide, and the noise."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where blocks lie: side of a block, radius of the search, blocks of a stack, distance of reference blocks, px."""

    patch: int
    reach: int
    stack: int
    step: int
    transform: str

    @property
    def margin(self) -> int:
        """What the image is extended by: reference blocks overhang it by all but one pixel, and search from there."""
        return self.reach + self.patch - 1

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Places of the candidates relative to the reference block, the nearest first."""
        side = range(-self.reach, self.reach + 1)
        return sorted(((y, x) for y in side for x in side), key=lambda place: (place[0] ** 2 + place[1] ** 2, place))


def bm3d(
    image: Tensor,
    *,
    strength: Scalar,
    noise: Scalar,
    threshold: Scalar,
    transform: str,
    patch: str,
    search: str,
    stack: str,
    step: str,
    weights: str,
    wiener: bool,
) -> Tensor:
    """Block matching and 3-D filtering of one plane, or of colour in an opponent space (C-BM3D).

    Around each reference block the most alike blocks are stacked; the stack's coefficients (2-D transform of blocks,
    Haar along the stack) are thresholded, and all estimates of a pixel are averaged (section III-B). A second pass
    matches blocks in that result and filters by Wiener's gain (section III-C). Colour is matched in its luminance.

    Deviations: every stack holds the same number of blocks, whatever their distance; the stack's mean is never shrunk;
    the hard threshold has a smooth flank; blocks beyond the borders are taken from the mirror image.

    Args:
        image: ``(..., C, H, W)`` of one or three planes, any range.
        strength: 0 leaves the image as it is, 1 gives the filter in full.
        noise: standard deviation of white noise in each plane, above 0, of white.
        threshold: hard threshold in units of `noise`, above 0.
        transform: of blocks, "dct" or "haar".
        patch: side of blocks, a key of PATCHES.
        search: side of the window that is searched, a key of SEARCH_RADII.
        stack: blocks in a stack, a key of STACKS.
        step: which pixels reference blocks begin at in a row and a column, a key of STEPS.
        weights: of estimates, "sparsity" (one over the power of noise that is left in the stack) or "uniform".
        wiener: whether the second pass follows.
    """
    wide = at_least_single(image)
    batch, (planes, height, width) = wide.shape[:-3], wide.shape[-3:]
    blocks = Blocks(PATCHES[patch], SEARCH_RADII[search], STACKS[stack], STEPS[step], transform)
    sigma, limit = (_per_image(constant(value, wide), batch) for value in (noise, threshold))

    def keep(noisy: Tensor, _: Tensor, power: Tensor) -> Tensor:
        return _flank(noisy.square() / (power * limit**2))

    def attenuate(_: Tensor, guide: Tensor, power: Tensor) -> Tensor:
        return guide.square() / (guide.square() + power)

    flat = _opponent(wide.reshape(-1, planes, height, width))
    even = weights == "uniform"
    result = _collaborate(flat, flat, sigma**2, keep, blocks, even)
    if wiener:
        result = _collaborate(flat, result, sigma**2, attenuate, blocks, even)
    found = _back(result).reshape(wide.shape)
    return (wide + constant(strength, wide) * (found - wide)).to(image.dtype)


def _per_image(value: Tensor, batch: torch.Size) -> Tensor:
    """A parameter as ``(N, 1, 1, 1, 1, 1)`` for N images: room for planes, references, the stack and the block."""
    one = value.expand(*batch, 1, 1, 1) if value.dim() else value.expand(math.prod(batch))
    return one.reshape(-1, 1, 1, 1, 1, 1)


def _flank(ratio: Tensor) -> Tensor:
    """0 for squares well below the threshold's, 1/2 there, 1 well above."""
    return 1 - 1 / (1 + ratio.clamp(max=1e4) ** SHARPNESS)


def _opponent(image: Tensor) -> Tensor:
    """Three planes as luminance and two differences, orthonormal: the noise stays white and as strong."""
    if image.shape[1] != 3:
        return image
    red, green, blue = image.unbind(1)
    total, ends = (red + green + blue) / 3**0.5, (red - blue) / 2**0.5
    return torch.stack([total, ends, (red - 2 * green + blue) / 6**0.5], 1)


def _back(image: Tensor) -> Tensor:
    """The inverse of `_opponent`, its transpose."""
    if image.shape[1] != 3:
        return image
    total, ends, middle = image[:, 0] / 3**0.5, image[:, 1] / 2**0.5, image[:, 2] / 6**0.5
    return torch.stack([total + ends + middle, total - 2 * middle, total - ends + middle], 1)


def _collaborate(noisy: Tensor, guide: Tensor, power: Tensor, shrink: Shrink, blocks: Blocks, even: bool) -> Tensor:
    """One pass: match in `guide`, shrink the stacks of `noisy`, average all estimates. ``(N, C, H, W)``."""
    margin, side = blocks.margin, blocks.patch
    rows, columns = (size + 2 * margin for size in noisy.shape[-2:])
    sources = [pad_mirror(image, margin).flatten(-2) for image in (noisy, guide)]
    luminance = pad_mirror(guide[:, 0].detach(), margin)
    taper = torch.kaiser_window(side, False, KAISER_BETA, dtype=noisy.dtype, device=noisy.device)
    taper = taper * taper[:, None]
    total, weight = torch.zeros_like(sources[0]), torch.zeros_like(sources[0])
    for places in _match(luminance, power, blocks, noisy.shape[1]):
        spot = _pixels(places, side, columns)
        stacks = [_take(source, spot) for source in sources]
        flat, known = (_forward(stacked, blocks) for stacked in stacks)
        gain = _keep_mean(shrink(flat, known, power))
        left = gain.square().sum((-3, -2, -1), keepdim=True)
        share = taper * (torch.ones_like(left) if even else 1 / left)
        estimate = _inverse(gain * flat, blocks)
        index = spot.flatten(1)[:, None].expand(-1, noisy.shape[1], -1)
        total = total.scatter_add(-1, index, (share * estimate).flatten(2))
        weight = weight.scatter_add(-1, index, share.expand_as(estimate).flatten(2))
    total, weight = (image.unflatten(-1, (rows, columns)) for image in (total, weight))
    inner = slice(margin, -margin)
    return total[..., inner, inner] / weight[..., inner, inner]


def _match(luminance: Tensor, power: Tensor, blocks: Blocks, planes: int) -> Iterator[Tensor]:
    """Places ``(N, references, K)`` of the blocks of each stack in the flattened image; some rows at a time."""
    images, rows, columns = luminance.shape
    reach, side = blocks.reach, blocks.patch
    last_row, last_column = rows - reach - side, columns - reach - side
    across = range(reach, last_column + 1, blocks.step)
    cost = images * len(across) * (len(blocks.offsets) + blocks.stack * side**2 * planes)
    height = blocks.step * max(1, CHUNK // cost)
    steps = torch.tensor([y * columns + x for y, x in blocks.offsets], device=luminance.device)
    quantum = (TIE * side**2 * power.detach()).reshape(-1, 1, 1, 1)
    for first in range(reach, last_row + 1, height):
        downwards = range(first, min(first + height, last_row + 1), blocks.step)
        apart = _distances(luminance, downwards, last_column, blocks)
        nearest = torch.sort(torch.round(apart / quantum), dim=-1, stable=True).indices[..., : blocks.stack]
        down, right = (torch.tensor(list(axis), device=luminance.device) for axis in (downwards, across))
        anchors = down[:, None] * columns + right
        yield (anchors[..., None] + steps[nearest]).flatten(1, 2)


def _distances(luminance: Tensor, downwards: range, last_column: int, blocks: Blocks) -> Tensor:
    """Squared distances ``(N, rows, columns, candidates)`` of the reference blocks of some rows to candidates."""
    reach, side = blocks.reach, blocks.patch
    top, bottom = downwards[0], downwards[-1] + side
    width = last_column + side - reach
    centre = luminance[:, None, top:bottom, reach : reach + width]
    found: list[Tensor] = []
    for down in range(-reach, reach + 1):
        band = luminance[:, top + down : bottom + down]
        moved = torch.stack([band[..., start : start + width] for start in range(2 * reach + 1)], 1)
        found.append(box_sum((moved - centre).square(), side)[..., :: blocks.step, :: blocks.step])
    order = [(y + reach) * (2 * reach + 1) + x + reach for y, x in blocks.offsets]
    return torch.cat(found, 1)[:, order].movedim(1, -1)


def _pixels(places: Tensor, side: int, columns: int) -> Tensor:
    """Flat indices ``(N, references, K, side, side)`` of the pixels of blocks that begin at `places`."""
    offset = torch.arange(side, device=places.device)
    return places[..., None, None] + offset[:, None] * columns + offset


def _take(source: Tensor, spot: Tensor) -> Tensor:
    """The stacks ``(N, C, references, K, side, side)`` out of images ``(N, C, pixels)``."""
    index = spot.flatten(1)[:, None].expand(-1, source.shape[1], -1)
    return source.gather(-1, index).unflatten(-1, spot.shape[1:])


def _keep_mean(gain: Tensor) -> Tensor:
    """Gain 1 for the mean of the stack, its first coefficient."""
    place = torch.arange(math.prod(gain.shape[-3:]), device=gain.device).reshape(gain.shape[-3:])
    return torch.where(place == 0, 1.0, gain)


def _forward(stacks: Tensor, blocks: Blocks) -> Tensor:
    """Coefficients of stacks: the transform of each block, then Haar along the stack."""
    plane, along = _bases(blocks, stacks)
    return torch.einsum("lk,...kpq->...lpq", along, plane @ stacks @ plane.mT)


def _inverse(coefficients: Tensor, blocks: Blocks) -> Tensor:
    """The inverse of `_forward`: its matrices are orthonormal."""
    plane, along = _bases(blocks, coefficients)
    return torch.einsum("lk,...lpq->...kpq", along, plane.mT @ coefficients @ plane)


def _bases(blocks: Blocks, like: Tensor) -> tuple[Tensor, Tensor]:
    plane = dct_matrix(blocks.patch) if blocks.transform == "dct" else haar_matrix(blocks.patch)
    return constant(plane, like), constant(haar_matrix(blocks.stack), like)


def dct_matrix(size: int) -> list[list[float]]:
    """The orthonormal DCT-II (Ahmed, Natarajan and Rao 1974): its rows are the basis, the constant first."""
    scales = [math.sqrt((1 if row == 0 else 2) / size) for row in range(size)]
    angles = [[math.pi * (2 * column + 1) * row / (2 * size) for column in range(size)] for row in range(size)]
    return [[scale * math.cos(angle) for angle in row] for scale, row in zip(scales, angles, strict=True)]


def haar_matrix(size: int) -> list[list[float]]:
    """The orthonormal Haar transform of a power of two (Haar 1910): the constant first, then from coarse to fine."""
    rows = [[1 / math.sqrt(size)] * size]
    length = size
    while length > 1:
        height = 1 / math.sqrt(length)
        for start in range(0, size, length):
            row = [0.0] * size
            row[start : start + length // 2] = [height] * (length // 2)
            row[start + length // 2 : start + length] = [-height] * (length // 2)
            rows.append(row)
        length //= 2
    return rows
