"""The grey box: a program of the stage does what is known, a network that begins as nothing adds what is not.

`Double.bind` gives it the program. What the program makes of the images is the start of the network, which sees it
beside the images themselves; so an untrained grey box is the program, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ispdsl.errors import CompileError
from ispdsl.proxies.areawise import Areawise
from ispdsl.proxies.codec import Layout, Shape
from ispdsl.proxies.kernels import Kernels
from ispdsl.proxies.pointwise import Pointwise

NETWORKS = ("pointwise", "areawise", "kernels")

SIZES = 8
"""The most that a U-Net has."""


def layout(arguments: Mapping[str, Any]) -> Layout:
    """How its network sees images."""
    return "sites" if arguments["network"] == "pointwise" else "planes"


def build(shape: Shape, arguments: Mapping[str, Any]) -> nn.Module:
    """The network behind the program; the depth of ``kernels`` are the sizes of its U-Net.

    Raises:
        CompileError: there is no U-Net of so many sizes.
    """
    width, depth, head = arguments["width"], arguments["depth"], arguments["head"]
    match arguments["network"]:
        case "pointwise":
            return Pointwise(shape, width, depth, head)
        case "kernels":
            if depth > SIZES:
                raise CompileError(f"proxy residual(network = kernels): depth is {depth}", f"at most {SIZES}")
            return Kernels(shape, width, depth, head)
        case _:
            return Areawise(shape, width, depth, head)
