"""Classifiers by name, with weights: those that come with ispdsl, and those of trusted packages."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from torch import nn

from ispdsl.errors import CompileError
from ispdsl.learned.weights import load, read_card
from ispdsl.optimise.tasks.user import trusted_function
from ispdsl.vision.resnet import CLASSES, ResNet
from ispdsl.vision.small_cnn import SmallCNN
from ispdsl.vision.state import load_state

NAMES = ("small-cnn", "resnet20")


def classifier(name: str, classes: int, weights: Path | None = None, trust: Collection[str] = ()) -> nn.Module:
    """A network from pictures ``(B, 3, H, W)``, sRGB in 0..1, to logits ``(B, classes)``.

    Args:
        name: one of `NAMES`, or ``package.module:function``, which is called with the number of classes.
        classes: that it tells apart.
        weights: a file that `ispdsl joint` or `ispdsl distil` wrote, or a state dict of PyTorch; None for random ones.
        trust: top-level packages whose code may be run.

    Raises:
        CompileError: there is no such network, its package is not trusted, or the weights are not for it.
        RunError: the file is no state dict of the network.
    """
    network = _made(name, classes, trust)
    if weights is not None:
        if weights.suffix == ".safetensors":
            found = read_card(weights, "classifier").arguments.get("network", name)
            if found != name:
                raise CompileError(f"{weights} holds the weights of {found}, not of {name}", f"--network {found}")
            load(weights, network, "classifier")
        else:
            load_state(network, weights)
    return network


def _made(name: str, classes: int, trust: Collection[str]) -> nn.Module:
    if name == "small-cnn":
        return SmallCNN(classes)
    if name == "resnet20":
        if classes > len(CLASSES):
            raise CompileError(f"resnet20 tells {len(CLASSES)} classes apart, and there are {classes}")
        return ResNet(20)
    if ":" not in name:
        raise CompileError(f"there is no network {name!r}", f"it is {', '.join(NAMES)}, or package.module:function")
    function = trusted_function(name, trust, "network")
    try:
        made = function(classes)
    except (Exception, SystemExit) as error:  # whatever the package does
        hint = "it is called with the number of classes, and gives a torch.nn.Module"
        raise CompileError(f"network {name}: {type(error).__name__}: {error}", hint) from error
    if not isinstance(made, nn.Module):
        raise CompileError(f"network {name}: it gave {type(made).__name__}", "it gives a torch.nn.Module")
    return made
