"""Contact sheets: labelled thumbnails of a pipeline's taps on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ispdsl.runtime.pictures import write_picture
from ispdsl.runtime.spaces import D50, D65_XY, RGB_SPACES, SRGB_CURVE, Floats, adaptation, rgb_to_d50, white_xyz

Tile = tuple[str, Floats, str]
"""Title, image ``(3 or 1, H, W)`` and colour space; ``raw`` for a mosaic."""

THUMBNAIL = 420
MARGIN = 24
LABEL = 34
TEXT_SIZE = 17
PAPER, INK, FAINT = (28, 28, 30), (232, 232, 235), (142, 142, 148)
SHOWN_AS_IS = ("srgb", "rec709", "pq", "hlg")
NOT_FINITE = np.array([1.0, 0.0, 1.0], np.float32)


def contact_sheet(path: str | Path, tiles: Sequence[Tile], columns: int | None = None) -> None:
    """Write a page of thumbnails, row by row, each with its title and colour space beneath.

    Args:
        path: the picture to write; any format that `write_picture` knows.
        tiles: title, image ``(3 or 1, H, W)`` of any range, and colour space of each. Sizes may differ.
        columns: thumbnails a row; by default about as many as rows, at most four.

    Raises:
        ValueError: there is nothing to show.
        PictureError: the file cannot be written.
    """
    if not tiles:
        raise ValueError("a contact sheet shows at least one image")
    columns = columns or min(4, int(np.ceil(np.sqrt(len(tiles)))))
    thumbnails = [to_display(shrink(without_mosaic(image, space), THUMBNAIL), space) for _, image, space in tiles]
    lines = [range(first, min(first + columns, len(tiles))) for first in range(0, len(tiles), columns)]
    heights = [max(thumbnails[index].shape[1] for index in line) for line in lines]
    width = min(columns, len(tiles)) * (THUMBNAIL + MARGIN) + MARGIN
    page = Image.new("RGB", (width, sum(heights) + len(lines) * (LABEL + MARGIN) + MARGIN), PAPER)
    top = MARGIN
    for line, height in zip(lines, heights, strict=True):
        for column, index in enumerate(line):
            title, _, space = tiles[index]
            left = MARGIN + column * (THUMBNAIL + MARGIN)
            paste(page, thumbnails[index], left + THUMBNAIL // 2, top + height // 2)
            label(page, title, space, left, top + height + LABEL - 10)
        top += height + LABEL + MARGIN
    write_picture(path, np.asarray(page, np.float32).transpose(2, 0, 1) / 255)


def paste(page: Image.Image, picture: NDArray[np.float32], x: int, y: int) -> None:
    """Put `picture` ``(3, H, W)`` on the page, its centre at `x`, `y`."""
    codes = np.rint(picture * 255).astype(np.uint8).transpose(1, 2, 0)
    page.paste(Image.fromarray(codes), (x - codes.shape[1] // 2, y - codes.shape[0] // 2))


def label(page: Image.Image, title: str, space: str, left: int, baseline: int) -> None:
    """Write `title` to the left and, fainter, `space` to the right below a thumbnail."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=TEXT_SIZE)
    room = THUMBNAIL - draw.textlength(space, font) - MARGIN
    draw.text((left, baseline), shorten(title, font, room), INK, font, anchor="ls")
    draw.text((left + THUMBNAIL, baseline), space, FAINT, font, anchor="rs")


def without_mosaic(image: Floats, space: str) -> Floats:
    """A mosaic averaged over its 2x2 sites, which would show as moire in a thumbnail; any other image as it is."""
    height, width = (size // 2 * 2 for size in image.shape[-2:])
    if not space.startswith("raw") or 0 in (height, width):
        return image
    return image[:, :height, :width].reshape(len(image), height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """`text`, its end replaced by dots where it is wider than `room` px."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text + "..."


def shrink(image: Floats, side: int) -> NDArray[np.float32]:
    """``(C, H, W)`` scaled to fit in `side` x `side` px; averages over the area of a pixel, nearest where enlarged."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    planes = [Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize(size, method) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes])


def to_display(image: Floats, space: str, white: float | None = None) -> NDArray[np.float32]:
    """Any image ``(3 or 1, H, W)`` as sRGB ``(3, H, W)`` within 0..1, to be looked at and nothing else.

    Spaces that are known are converted; ``camera`` is shown as if its primaries were sRGB's, a mosaic (``raw``) as
    grey; ``pq`` and ``hlg`` as they are. What is not finite is magenta.

    Args:
        image: values of any range; what lies outside of 0..1 after scaling is clipped.
        space: the colour space's name, or ``raw``.
        white: the value shown as white; by default 1, for a mosaic of codes its largest.
    """
    finite = np.isfinite(image).all(axis=0)
    values = np.where(finite, image, 0).astype(np.float32)
    if white is None:
        white = max(1.0, float(values.max())) if space.startswith("raw") else 1.0
    light = np.broadcast_to(values, (3, *values.shape[1:])) / np.float32(white)
    codes = light if space in SHOWN_AS_IS else SRGB_CURVE.encode(to_linear_srgb(light, space))
    return np.where(finite, codes.clip(0, 1), NOT_FINITE[:, None, None]).astype(np.float32)


def to_linear_srgb(image: NDArray[np.float32], space: str) -> NDArray[np.float32]:
    """``(3, H, W)`` in `space` as linear sRGB; unchanged where the space has no fixed primaries."""
    from_d50 = np.linalg.inv(rgb_to_d50(RGB_SPACES["srgb"]))
    if space == "xyz":
        matrix = from_d50 @ adaptation(white_xyz(D65_XY), D50)
    elif space in RGB_SPACES:
        image = RGB_SPACES[space].transfer.decode(image)
        matrix = from_d50 @ rgb_to_d50(RGB_SPACES[space])
    else:
        return image
    return np.tensordot(matrix.astype(np.float32), image, axes=1)
