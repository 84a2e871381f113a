"""The losses by the names of the command line."""

from __future__ import annotations

from ispdsl.proxies import losses
from ispdsl.training.loop import Loss

DEFAULT = "l1"
STRUCTURE = ("l1+gradient", "perceptual")
"""Losses that compare neighbours: of pixels alone they are the first of their parts, `DEFAULT`."""


def suited(wanted: str | None, pixelwise: bool) -> str:
    """The loss for a network: the one that is wanted, or what of it makes sense of pixels alone."""
    if wanted is None or (pixelwise and wanted in STRUCTURE):
        return DEFAULT
    return wanted


def named(name: str) -> Loss:
    """The loss of this name.

    Raises:
        CompileError: there is none.
    """
    return losses.loss(name.replace("+", "_"))
