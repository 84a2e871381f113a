"""Mosaics to demosaic, and what every method of demosaicing owes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS
from ispdsl.runtime.pictures import read_picture
from ispdsl.synthetic import sample_photo

BAYER = ("rggb", "bggr", "grbg", "gbrg")

Method = Callable[..., Tensor]


def noise(height: int = 9, width: int = 10, planes: int = 1, seed: int = 0) -> Tensor:
    """A mosaic of independent values in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(planes, height, width, generator=generator, dtype=torch.float64)


def sampled(picture: Tensor, cfa: str = "rggb") -> Tensor:
    """The mosaic ``(1, H, W)`` that a sensor takes of a picture ``(3, H, W)``."""
    mosaic = torch.zeros_like(picture[:1])
    for site, colour in enumerate(COLOURS[cfa]):
        row, column = divmod(site, 2)
        mosaic[0, row::2, column::2] = picture[colour, row::2, column::2]
    return mosaic


def photograph(name: str = "cat", size: int = 180) -> Tensor:
    """A crop of a sample photograph in sRGB codes, reduced so that it is as sharp as a sensor's picture may be."""
    return torch.from_numpy(sample_photo(name, 300)).double()[:, :size, 60 : 60 + size]


def kodak(data: Path, number: int, size: int = 160) -> Tensor:
    """The middle of a Kodak picture in sRGB codes."""
    picture, _ = read_picture(data / "images" / "kodak" / f"kodim{number:02}.png")
    top, left = ((length - size) // 2 for length in picture.shape[1:])
    return torch.from_numpy(picture[:, top : top + size, left : left + size].copy())


def psnr(found: Tensor, wanted: Tensor) -> float:
    """Peak signal to noise ratio in dB, 4 px of the border left out."""
    return float(-10 * torch.log10((found - wanted)[:, 4:-4, 4:-4].square().mean()))


def check_lossless(method: Method) -> None:
    """Sampled sites keep their values to the bit, in single, double and half precision."""
    for cfa in BAYER:
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            image = (noise(7, 8) * 3 - 0.5).to(dtype)
            found = method(image, cfa=cfa)
            assert found.dtype == dtype
            for site, colour in enumerate(COLOURS[cfa]):
                row, column = divmod(site, 2)
                assert torch.equal(found[colour, row::2, column::2], image[0, row::2, column::2])


def check_linear_frame(method: Method) -> None:
    """A frame that has three samples at every site passes through."""
    frame = noise(planes=3)
    assert torch.equal(method(frame, cfa="linear"), frame)


def check_flat(method: Method) -> None:
    """A flat colour stays flat up to the border, at any size."""
    colour = torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64)[:, None, None]
    for cfa in BAYER:
        for height, width in ((2, 2), (3, 3), (8, 11)):
            flat = colour.expand(3, height, width)
            torch.testing.assert_close(method(sampled(flat, cfa), cfa=cfa), flat, rtol=0, atol=1e-12)


def check_shift(method: Method, radius: int) -> None:
    """A shift of mosaic and phase shifts the result."""
    image = noise(2 * radius + 8, 2 * radius + 10)
    whole = method(image, cfa="rggb")
    for cfa, row, column in (("grbg", 0, 1), ("gbrg", 1, 0), ("bggr", 1, 1)):
        moved = method(image[..., row:, column:], cfa=cfa)
        inside = (slice(None), slice(radius, radius + 5), slice(radius, radius + 7))
        torch.testing.assert_close(moved[inside], whole[:, row:, column:][inside], rtol=0, atol=1e-10)


def check_turns(method: Method, turns: int = 1) -> None:
    """Flips, and quarter turns, of mosaic and phase do the same to the result; on ties too: stripes and a checker."""
    image = torch.cat([noise(13, 14)[0], checker(13, 14), stripes(13, 14)])[None]
    for cfa in BAYER:
        found = method(image, cfa=cfa)
        for axes in ([-1], [-2]):
            mirrored = method(image.flip(axes), cfa=renamed(cfa, image, lambda plane, axes=axes: plane.flip(axes)))
            torch.testing.assert_close(mirrored, found.flip(axes), rtol=0, atol=1e-10)
        if turns:
            turned = method(image.rot90(1, (-2, -1)), cfa=renamed(cfa, image, lambda plane: plane.rot90(1, (-2, -1))))
            torch.testing.assert_close(turned, found.rot90(1, (-2, -1)), rtol=0, atol=1e-10)


def renamed(cfa: str, like: Tensor, turn: Callable[[Tensor], Tensor]) -> str:
    """The CFA of a mosaic of the size of `like` after it is turned."""
    height, width = like.shape[-2:]
    cell = torch.tensor(COLOURS[cfa]).reshape(2, 2)
    colours = turn(cell.repeat(height, width)[:height, :width])[:2, :2].flatten().tolist()
    return next(name for name in BAYER if list(COLOURS[name]) == colours)


def checker(height: int, width: int) -> Tensor:
    """Squares of 3 px, one tenth and three tenths."""
    rows, columns = torch.arange(height)[:, None] // 3, torch.arange(width) // 3
    return torch.where((rows + columns) % 2 == 0, 0.1, 0.3).double()


def stripes(height: int, width: int) -> Tensor:
    """Diagonal stripes of 4 px."""
    return ((torch.arange(height)[:, None] + torch.arange(width)) % 8 < 4).double() * 0.7 + 0.1


def check_exposure(method: Method) -> None:
    """Twice the light gives twice the picture, a hundredth of it a hundredth."""
    image = noise(20, 22)
    found = method(image, cfa="gbrg")
    for factor in (2.0, 0.01):
        torch.testing.assert_close(method(factor * image, cfa="gbrg"), factor * found, rtol=1e-9, atol=0)
