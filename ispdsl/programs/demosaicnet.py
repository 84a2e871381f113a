"""Demosaicing by the convolutional network of Gharbi, Chaurasia, Paris and Durand.

"Deep joint demosaicking and denoising", ACM Transactions on Graphics 35(6), 2016, in the form for Bayer mosaics whose
weights its authors published later: the four sites of a cell become four planes of half the size; fifteen convolutions
of 3x3 follow, the last to twice as many planes, of which one half masks the other; twelve planes go up to the full
size, and beside the mosaic through one more convolution there.

Here the mosaic is mirrored at its borders by what the convolutions take off, other phases than `grbg` are aligned to
it, and sampled values stay. Without weights the result is that of `malvar`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ispdsl.programs.cfa import LINEAR, red_site
from ispdsl.programs.demosaic import malvar
from ispdsl.programs.ops import at_least_single, mirror
from ispdsl.programs.weights import Arrays, Shapes, read_weights

Parameters = dict[str, Tensor]

DEPTH = 15
WIDTH = 64

LOST = 2 * DEPTH + 1
"""Rows and columns that the convolutions take off each side: two for each at half the size, one at the full size."""

MARGIN = LOST + 1
"""Sites that a result depends on at most in each direction."""

BAND = 256
"""Rows that go through the network at once, so that large frames need little more memory than small ones."""


def _convolution(name: str, inputs: int, outputs: int, size: int) -> Shapes:
    return ((f"{name}.weight", (outputs, inputs, size, size)), (f"{name}.bias", (outputs,)))


PACK, RESIDUAL, UPSAMPLER = "main_processor.pack_mosaic", "residual_predictor", "upsampler"
LAYERS = tuple(f"main_processor.conv{layer + 1}" for layer in range(DEPTH))
POST, OUTPUT = "fullres_processor.post_conv", "fullres_processor.output"

SHAPES: Shapes = (
    *_convolution(PACK, 3, 4, 2),
    *_convolution(LAYERS[0], 4, WIDTH, 3),
    *(item for name in LAYERS[1:-1] for item in _convolution(name, WIDTH, WIDTH, 3)),
    *_convolution(LAYERS[-1], WIDTH, 2 * WIDTH, 3),
    *_convolution(RESIDUAL, WIDTH, 12, 1),
    (f"{UPSAMPLER}.weight", (12, 1, 2, 2)),
    (f"{UPSAMPLER}.bias", (3,)),
    *_convolution(POST, 6, WIDTH, 3),
    *_convolution(OUTPUT, WIDTH, 3, 1),
)
"""Name, as in the published state dict, and shape of every tensor; a convolution is ``(out, in, rows, columns)``."""


def demosaic_learned(mosaic: Tensor, *, weights: str, cfa: str) -> Tensor:
    """Demosaic by the network whose weights are in the safetensors file `weights`; by `malvar` where it is empty.

    A `linear` frame passes through. Values go into the network as they are: weights that were trained on encoded
    photographs want an encoded mosaic.

    Args:
        mosaic: ``(..., 1, H, W)``, any range.
        weights: path of the file, from the current folder if relative; everything in it is checked before it is used.
        cfa: of the mosaic.

    Returns:
        ``(..., 3, H, W)``; sampled values stay.

    Raises:
        RunError: the file cannot be read, or does not hold weights of this network.
    """
    if cfa == LINEAR:
        return mosaic
    if not weights:
        return malvar(mosaic, cfa=cfa)
    return run(mosaic, read_weights(weights, SHAPES), cfa)


def run(mosaic: Tensor, arrays: Arrays, cfa: str) -> Tensor:
    """Align, extend and run the network band by band; sampled values stay."""
    working = at_least_single(mosaic)
    parameters = {name: torch.tensor(array).to(working) for name, array in arrays.items()}
    height, width = mosaic.shape[-2:]
    red_row, red_column = red_site(cfa)
    rows, top = aligned(height, red_row, working.device)
    columns, left = aligned(width, 1 - red_column, working.device)
    plane = working.index_select(-2, rows).index_select(-1, columns)
    masks = sampled(len(rows), len(columns), working.device)
    planes = torch.where(masks, plane, 0.0)
    flat = planes.reshape(-1, *planes.shape[-3:])
    size = len(rows) - 2 * LOST
    bands = [network(flat[..., start : start + BAND + 2 * LOST, :], parameters) for start in range(0, size, BAND)]
    image = torch.cat(bands, -2)[..., top - LOST : top - LOST + height, left - LOST : left - LOST + width]
    image = image.reshape(*mosaic.shape[:-3], *image.shape[-3:])
    here = (..., slice(top, top + height), slice(left, left + width))
    return torch.where(masks[here], plane[here], image).to(mosaic.dtype)


def aligned(size: int, offset: int, device: torch.device) -> tuple[Tensor, int]:
    """Indices that mirror an axis at both ends, an even number, and where its first sample is among them."""
    before = MARGIN + offset
    return mirror(size, before, MARGIN + (before + size) % 2, device), before


def sampled(height: int, width: int, device: torch.device) -> Tensor:
    """Masks ``(3, h, w)`` of the red, green and blue sites of a `grbg` mosaic."""
    rows, columns = (torch.arange(size, device=device) % 2 == 0 for size in (height, width))
    rows = rows[:, None]
    red, blue = rows & ~columns, ~rows & columns
    return torch.stack([red, ~(red | blue), blue])


def network(planes: Tensor, parameters: Parameters) -> Tensor:
    """The network itself: ``(B, 3, h, w)`` of a `grbg` mosaic, each plane 0 where another colour is sampled.

    Returns:
        ``(B, 3, h - 62, w - 62)``: the convolutions have no padding.
    """

    def layer(name: str) -> tuple[Tensor, Tensor]:
        return parameters[f"{name}.weight"], parameters[f"{name}.bias"]

    features = F.conv2d(planes, *layer(PACK), stride=2)
    for name in LAYERS:
        features = F.relu(F.conv2d(features, *layer(name)))
    residual = F.conv2d(features[:, :WIDTH] * features[:, WIDTH:], *layer(RESIDUAL))
    upsampled = F.conv_transpose2d(residual, *layer(UPSAMPLER), stride=2, groups=3)
    margin = 2 * DEPTH
    both = torch.cat([planes[..., margin:-margin, margin:-margin], upsampled], 1)
    return F.conv2d(F.relu(F.conv2d(both, *layer(POST))), *layer(OUTPUT))
