"""The kinds of networks by name, and the arguments that a line ``proxy pointwise(width = 32)`` may give each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ispdsl.errors import CompileError
from ispdsl.proxies import bank, residual
from ispdsl.proxies.areawise import Areawise
from ispdsl.proxies.bank import Bank
from ispdsl.proxies.camera import Camera
from ispdsl.proxies.codec import Codec, Layout, Shape, code_range, is_mosaic
from ispdsl.proxies.heads import HEADS
from ispdsl.proxies.pointwise import Pointwise
from ispdsl.proxies.srcnn import Srcnn
from ispdsl.proxies.task import Task
from ispdsl.proxies.unet import Unet


@dataclass(frozen=True)
class Whole:
    """An argument that is a whole number within a range."""

    default: int
    low: int
    high: int

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, given: Any) -> int | None:
        """The number, or None where `given` is none of these."""
        fits = isinstance(given, int | float) and not isinstance(given, bool) and given == int(given)
        return int(given) if fits and self.low <= given <= self.high else None


@dataclass(frozen=True)
class Name:
    """An argument that is one of several names."""

    default: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(self.options)

    def read(self, given: Any) -> str | None:
        """The name, or None where `given` is none of these; True and False count as ``on`` and ``off``."""
        name = {True: "on", False: "off"}.get(given, given) if isinstance(given, bool) else given
        return name if name in self.options else None


Argument = Whole | Name
Checked = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of network: how it lays images out, what it may be told, and how it is built of checked arguments."""

    layout: Callable[[Checked], Layout]
    arguments: Mapping[str, Argument]
    build: Callable[[Shape, Checked], nn.Module]
    program: bool = False
    prepared: Callable[[Tensor], Tensor] | None = None
    """What of an image its pixels are trained on, where that is more than themselves."""


def _pointwise(shape: Shape, given: Checked) -> nn.Module:
    return Pointwise(shape, given["width"], given["depth"], given["head"])


def _areawise(shape: Shape, given: Checked) -> nn.Module:
    return Areawise(shape, given["width"], given["depth"], given["head"])


def _bank(shape: Shape, given: Checked) -> nn.Module:
    return Bank(shape, given["width"], given["depth"], power=False)


def _coring(shape: Shape, given: Checked) -> nn.Module:
    return Bank(shape, given["width"], given["depth"], power=True)


def _unet(shape: Shape, given: Checked) -> nn.Module:
    return Unet(shape, given["width"], given["levels"], skip=given["skip"] == "on", film=given["film"] == "on")


def _camera(shape: Shape, given: Checked) -> nn.Module:
    return Camera(shape, given["width"], given["levels"])


def _srcnn(shape: Shape, given: Checked) -> nn.Module:
    return Srcnn(shape, given["width"])


WIDTH = Whole(32, 1, 4096)
SWITCH = ("off", "on")

POINTWISE: Mapping[str, Argument] = {"width": WIDTH, "depth": Whole(3, 1, 64), "head": Name("companded", HEADS)}
BANK: Mapping[str, Argument] = {"width": WIDTH, "depth": Whole(3, 1, 64)}
AREAWISE: Mapping[str, Argument] = {
    "width": WIDTH,
    "depth": Whole(5, 1, 64),
    "head": Name("companded", HEADS),
}
UNET: Mapping[str, Argument] = {
    "width": WIDTH,
    "levels": Whole(5, 1, 8),
    "skip": Name("off", SWITCH),
    "film": Name("off", SWITCH),
}
CAMERA: Mapping[str, Argument] = {"width": Whole(16, 1, 4096), "levels": Whole(4, 1, 8)}
RESIDUAL: Mapping[str, Argument] = {
    "network": Name("pointwise", residual.NETWORKS),
    "width": WIDTH,
    "depth": Whole(3, 1, 64),
    "head": Name("companded", HEADS),
}

KINDS: Mapping[str, Kind] = {
    "pointwise": Kind(lambda _: "sites", POINTWISE, _pointwise),
    "bank": Kind(lambda _: "sites", BANK, _bank, prepared=bank.prepared),
    "coring": Kind(lambda _: "sites", BANK, _coring, prepared=bank.prepared_with_power),
    "areawise": Kind(lambda _: "planes", AREAWISE, _areawise),
    "unet": Kind(lambda _: "planes", UNET, _unet),
    "camera": Kind(lambda _: "planes", CAMERA, _camera),
    "srcnn": Kind(lambda _: "planes", {"width": Whole(64, 2, 4096)}, _srcnn),
    "residual": Kind(residual.layout, RESIDUAL, residual.build, program=True),
}


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        CompileError: there is none.
    """
    if name not in KINDS:
        raise CompileError(f"there is no network {name}", f"choose one of {', '.join(KINDS)}")
    return KINDS[name]


def check(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a network with its defaults; whole numbers may come as floats.

    Raises:
        CompileError: the network is unknown, takes no such argument, or not this value.
    """
    known = kind(name).arguments
    takes = "; ".join(f"{key}: {each}, default {each.default}" for key, each in known.items())
    found: dict[str, Any] = {key: each.default for key, each in known.items()}
    for key, given in arguments.items():
        if key.isdigit():
            raise CompileError(f"the arguments of proxy {name} go by name", f"it takes {takes}")
        if key not in known:
            raise CompileError(f"proxy {name} takes no {key}", f"it takes {takes}")
        value = known[key].read(given)
        if value is None:
            raise CompileError(f"proxy {name}: {key} is {given}", f"it is {known[key]}")
        found[key] = value
    return found


def codec(name: str, task: Task, arguments: Checked) -> Codec:
    """How a network of this kind sees the images of `task`.

    Raises:
        CompileError: it cannot do this task.
    """
    layout = kind(name).layout(arguments)
    mixed = any(map(is_mosaic, task.inputs)) != any(map(is_mosaic, task.outputs))
    if layout == "sites" and mixed:
        hint = "choose areawise or unet"
        raise CompileError(f"proxy {name} of {task.name}: it makes no colour of a mosaic, nor a mosaic of colour", hint)
    if name == "camera" and (len(task.inputs), [each.name for each in task.outputs]) != (1, ["rgb"]):
        raise CompileError(f"proxy camera of {task.name}: it makes one colour image of one image", "choose unet")
    if name in ("bank", "coring") and not _single_colour(task):
        hint = "choose areawise"
        raise CompileError(f"proxy {name} of {task.name}: it makes one image of one of as many planes, in floats", hint)
    if arguments.get("network") == "kernels" and not _colour_of_mosaic(task):
        hint = "choose areawise"
        raise CompileError(f"proxy {name} of {task.name}: kernels are for what makes colour of one mosaic", hint)
    for each in (*task.inputs, *task.outputs):
        if not each.is_image:
            raise CompileError(f"proxy {name} of {task.name}: {each} is no image", "a statistic is always computed")
    return Codec(task, layout, kind(name).program)


def _colour_of_mosaic(task: Task) -> bool:
    """Whether one mosaic goes in and one picture comes out."""
    return [is_mosaic(each) for each in task.inputs] == [True] and [each.name for each in task.outputs] == ["rgb"]


def _single_colour(task: Task) -> bool:
    """Whether one image goes in, one of as many planes comes out, and neither holds codes or a mosaic."""
    every = (*task.inputs, *task.outputs)
    alike = len(task.inputs) == len(task.outputs) == 1 and every[0].planes == every[1].planes
    return alike and not any(is_mosaic(each) or code_range(each) for each in every)
