"""Block matching and 3-D filtering (BM3D): alike blocks are stacked, and the stack is shrunk in a transform.

Written from the papers: Dabov, Foi, Katkovnik and Egiazarian, "Image denoising by sparse 3-D transform-domain
collaborative filtering" (IEEE TIP 16(8), 2007), and for colour their paper of ICIP 2007.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import fold, pad, unfold

from ispdsl.programs.nlm import box_sum
from ispdsl.programs.ops import Scalar, at_least_single, constant, pad_mirror
from ispdsl.programs.tiling import repeats

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
"""Numbers that the stacks of one band of reference blocks may hold: what bounds the memory of large images."""

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


@repeats(math.lcm(*STEPS.values()))
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
    Haar along the stack) are thresholded, and all estimates of a pixel are averaged. A second pass matches blocks in
    that result and filters by Wiener's gain (section III of the first paper). Colour is matched in its luminance.

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
    """A parameter as ``(N, 1, 1, 1, 1)`` for N images: room for references, the stack, planes and the block."""
    one = value.expand(*batch, 1, 1, 1) if value.dim() else value.expand(math.prod(batch))
    return one.reshape(-1, 1, 1, 1, 1)


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
    noisy, guide = pad_mirror(noisy, blocks.margin), pad_mirror(guide, blocks.margin)
    reach, side, height = blocks.reach, blocks.patch, noisy.shape[-2]
    total, weight = torch.zeros_like(noisy), torch.zeros_like(noisy)
    for anchors in _bands(noisy.shape, blocks):
        top, bottom = anchors[0] - reach, anchors[-1] + reach + side
        apart = _distances(guide[:, 0].detach(), anchors, blocks)
        places = _places(apart, power, noisy.shape[-1] - side + 1, blocks)
        band, known = (image[..., top:bottom, :] for image in (noisy, guide))
        parts = _aggregate(band, known, places, power, shrink, blocks, even)
        more, share = (pad(part, (0, 0, top, height - bottom)) for part in parts)
        total, weight = total + more, weight + share
    inner = slice(blocks.margin, -blocks.margin)
    return total[..., inner, inner] / weight[..., inner, inner]


def _bands(shape: torch.Size, blocks: Blocks) -> list[range]:
    """The rows at which reference blocks begin in the padded image, in bands that bound the memory."""
    images, planes, height, width = shape
    across = width - 2 * blocks.reach - blocks.patch + 1
    numbers = images * across * (len(blocks.offsets) + planes * blocks.stack * blocks.patch**2)
    rows = range(blocks.reach, height - blocks.reach - blocks.patch + 1, blocks.step)
    count = max(1, CHUNK * blocks.step // numbers)
    return [rows[first : first + count] for first in range(0, len(rows), count)]


def _distances(luminance: Tensor, anchors: range, blocks: Blocks) -> Tensor:
    """Squared distances ``(N, rows, columns, candidates)`` of the reference blocks of some rows to candidates."""
    reach, side = blocks.reach, blocks.patch
    top, bottom = anchors[0], anchors[-1] + side
    width = luminance.shape[-1] - 2 * reach
    centre = luminance[:, None, top:bottom, reach : reach + width]
    found: list[Tensor] = []
    for down in range(-reach, reach + 1):
        band = luminance[:, top + down : bottom + down]
        moved = torch.stack([band[..., start : start + width] for start in range(2 * reach + 1)], 1)
        found.append(box_sum((moved - centre).square(), side)[..., :: blocks.step, :: blocks.step])
    order = [(y + reach) * (2 * reach + 1) + x + reach for y, x in blocks.offsets]
    return torch.cat(found, 1)[:, order].movedim(1, -1)


def _places(apart: Tensor, power: Tensor, columns: int, blocks: Blocks) -> Tensor:
    """Which blocks of a band, counted along its rows of `columns`, each stack holds: ``(N, references, K)``."""
    quantum = (TIE * blocks.patch**2 * power.detach()).reshape(-1, 1, 1, 1)
    nearest = torch.sort(torch.round(apart / quantum), dim=-1, stable=True).indices[..., : blocks.stack]
    steps = torch.tensor([y * columns + x for y, x in blocks.offsets], device=apart.device)
    down, right = (blocks.reach + blocks.step * torch.arange(size, device=apart.device) for size in apart.shape[1:3])
    anchors = down[:, None] * columns + right
    return (anchors[..., None] + steps[nearest]).flatten(1, 2)


def _aggregate(
    noisy: Tensor, guide: Tensor, places: Tensor, power: Tensor, shrink: Shrink, blocks: Blocks, even: bool
) -> tuple[Tensor, Tensor]:
    """Sums of the weighted estimates of a band's pixels, and of their weights.

    Every block is transformed once, before stacks are taken and after their estimates are summed: both are linear.
    """
    side, size = blocks.patch, noisy.shape[-2:]
    basis, along = _bases(blocks, noisy)
    spectra = (_blocks_of(image, side) @ basis.mT for image in (noisy, guide))
    stacked, known = (_transform(along, _take(spectrum, places)) for spectrum in spectra)
    gain = _keep_mean(shrink(stacked, known, power))
    left = gain.square().sum((-3, -1), keepdim=True)
    share = torch.ones_like(left) if even else 1 / left
    estimate = share * _transform(along.mT, gain * stacked)
    count = (size[0] - side + 1) * (size[1] - side + 1)
    total, weight = (_give(part, places, count) for part in (estimate, share.expand(*estimate.shape[:-1], 1)))
    taper = torch.kaiser_window(side, False, KAISER_BETA, dtype=noisy.dtype, device=noisy.device)
    taper = (taper * taper[:, None]).flatten()
    return _image_of(total @ basis * taper, size, side), _image_of(weight * taper, size, side)


def _blocks_of(image: Tensor, side: int) -> Tensor:
    """All blocks of ``(N, C, H, W)``, row by row: ``(N, blocks, C, side * side)``."""
    return unfold(image, side).mT.unflatten(-1, (image.shape[1], side * side))


def _image_of(blocks: Tensor, size: torch.Size, side: int) -> Tensor:
    """The sum of all blocks at their places: the adjoint of `_blocks_of`."""
    return fold(blocks.flatten(2).mT, (size[0], size[1]), side)


def _take(blocks: Tensor, places: Tensor) -> Tensor:
    """The stacks ``(N, references, K, C, P)`` out of blocks ``(N, blocks, C, P)``."""
    rows = _rows(places, blocks.shape[1])
    return blocks.flatten(0, 1).index_select(0, rows).unflatten(0, places.shape)


def _give(stacks: Tensor, places: Tensor, count: int) -> Tensor:
    """The sums of stacks at their blocks' places among `count`: the adjoint of `_take`."""
    empty = stacks.new_zeros(len(stacks) * count, *stacks.shape[-2:])
    return empty.index_add(0, _rows(places, count), stacks.flatten(0, 2)).unflatten(0, (len(stacks), count))


def _rows(places: Tensor, count: int) -> Tensor:
    """Places in the blocks of all images, one after the other."""
    first = count * torch.arange(len(places), device=places.device)
    return (places + first[:, None, None]).flatten()


def _transform(matrix: Tensor, stacks: Tensor) -> Tensor:
    """A matrix along the stacks."""
    return (matrix @ stacks.flatten(-2)).unflatten(-1, stacks.shape[-2:])


def _keep_mean(gain: Tensor) -> Tensor:
    """Gain 1 for the mean of the stack, its first coefficient."""
    along, within = (torch.arange(size, device=gain.device) for size in (gain.shape[-3], gain.shape[-1]))
    return torch.where(along[:, None, None] + within == 0, 1.0, gain)


def _bases(blocks: Blocks, like: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal matrices: of the 2-D transform of a block's pixels in a row, and of the transform along a stack."""
    plane = constant(dct_matrix(blocks.patch) if blocks.transform == "dct" else haar_matrix(blocks.patch), like)
    return torch.kron(plane, plane), constant(haar_matrix(blocks.stack), like)


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
