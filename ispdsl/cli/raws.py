"""Raws as commands take them: read in silence, and cut."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ispdsl.cli.boundary import CommandError
from ispdsl.cli.console import note

if TYPE_CHECKING:
    from ispdsl.runtime.frame import Frame


def read_quietly(raw: Path, description: Path | None = None) -> Frame:
    """Read a raw; tifffile keeps to itself what is noted of the frame or refused with it."""
    from ispdsl.runtime.rawfile import read

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    return read(raw, description)


def cropped(frame: Frame, part: tuple[int, int, int, int]) -> Frame:
    """A part of a frame, counted before the picture is turned upright.

    Raises:
        CommandError: it reaches beyond the frame.
    """
    from ispdsl.runtime.frame import RawError

    try:
        found = frame.crop(*part)
    except RawError as error:
        raise CommandError(error.message, "--crop Y,X,H,W counts sensor pixels, before turning") from error
    if frame.orientation != 1:
        note("note: --crop counts sensor pixels, before the picture is turned upright")
    return found


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """Top, left, height, width from ``Y,X,H,W``.

    Raises:
        CommandError: the text is no four whole numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(word.isascii() and word.isdigit() and len(word) < 8 for word in words):
        raise CommandError(f"--crop {text} is no Y,X,H,W", "write for example --crop 512,256,1024,1024")
    top, left, height, width = map(int, words)
    return top, left, height, width
