"""The losses by the names of the command line."""

from __future__ import annotations

from ispdsl.proxies import losses
from ispdsl.training.loop import Loss

DEFAULTS = {"unet": "l1", "camera": "l1"}
"""What suits a kind of network; for all others it is `DEFAULT`."""
DEFAULT = "l2"
STRUCTURE = ("l1+gradient", "perceptual")
"""Losses that compare neighbours: of pixels alone they are the first of their parts."""


def suited(wanted: str | None, kind: str, pixelwise: bool) -> str:
    """The loss for a kind of network: the one that is wanted, or what of it makes sense of pixels alone."""
    if wanted is None:
        return DEFAULTS.get(kind, DEFAULT)
    return "l1" if pixelwise and wanted in STRUCTURE else wanted


def named(name: str) -> Loss:
    """The loss of this name.

    Raises:
        CompileError: there is none.
    """
    return losses.loss(name.replace("+", "_"))
