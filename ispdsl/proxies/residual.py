"""The grey box: a program of the stage does what is known, a network that begins as nothing adds what is not.

`Double.bind` gives it the program. What the program makes of the images is the start of the network, which sees it
beside the images themselves; so an untrained grey box is the program, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from ispdsl.proxies.areawise import Areawise
from ispdsl.proxies.codec import Layout, Shape
from ispdsl.proxies.pointwise import Pointwise

NETWORKS = ("pointwise", "areawise")


def layout(arguments: Mapping[str, Any]) -> Layout:
    """How its network sees images."""
    return "sites" if arguments["network"] == "pointwise" else "planes"


def build(shape: Shape, arguments: Mapping[str, Any]) -> nn.Module:
    """The network behind the program."""
    head: Literal["companded", "affine", "residual"] = arguments["head"]
    if arguments["network"] == "pointwise":
        return Pointwise(shape, arguments["width"], arguments["depth"], head)
    return Areawise(shape, arguments["width"], arguments["depth"], head)
