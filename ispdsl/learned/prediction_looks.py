"""What a predictor is trained for: pictures like references, or the loss that a user's function gives."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.learned.prediction import Batch, Look
from ispdsl.optimise.gradients import upright
from ispdsl.optimise.losses import loss_of
from ispdsl.optimise.tasks.task import View
from ispdsl.optimise.tasks.user import TaskError, trusted_function

CALLED = (
    "it is called with a list of pictures, tensors (3, H, W) with 1 for white, and a list of the names of their raws"
)


def matching(
    references: Sequence[Tensor], views: Sequence[View], metric: str = "psnr", network: nn.Module | None = None
) -> Look:
    """The mean distance to references ``(C, H, W)``, 1 for white, which lie as the sensor did.

    Raises:
        ValueError: there is no such metric, or it is not defined for these pictures.
    """
    losses = [loss_of(metric, view, network) for view in views]

    def look(pictures: Tensor, batch: Batch) -> Tensor:
        found: list[Tensor] = []
        for picture, number, part in zip(pictures, batch.numbers.tolist(), batch.parts, strict=True):
            wanted = references[number]
            if part is not None:
                top, left, height, width = part
                wanted = wanted[:, top : top + height, left : left + width]
            if wanted.shape != picture.shape:
                sizes = f"{tuple(wanted.shape[1:])} px, and what is rendered {tuple(picture.shape[1:])}"
                raise RunError(f"the reference of {views[number].name} is {sizes}", "give one of the raw's size")
            found.append(losses[number](picture, wanted.to(picture)))
        return torch.stack(found).mean()

    return look


def of_user(target: str, names: Sequence[str], orientations: Sequence[int], trust: Collection[str]) -> Look:
    """The loss that a function of a trusted package gives.

    Args:
        target: ``package.module:function``. It is given a list of pictures (tensors ``(3, H, W)``, upright, 1 white)
            and a list of the names of their raws; it returns a tensor ``()`` that torch can differentiate, smaller is
            better.
        names: of the raws.
        orientations: of the raws, as EXIF has them.
        trust: top-level packages whose code may run.

    Raises:
        CompileError: it names no function, or one of a package that is not trusted.
    """
    function = trusted_function(target, trust)

    def look(pictures: Tensor, batch: Batch) -> Tensor:
        numbers = batch.numbers.tolist()
        given = [upright(each, orientations[number]) for each, number in zip(pictures, numbers, strict=True)]
        try:
            found = function(given, [names[number] for number in numbers])
        except (Exception, SystemExit) as error:  # whatever it does
            raise TaskError(f"task {target}: {type(error).__name__}: {error}", CALLED) from error
        if not isinstance(found, Tensor) or found.dim() > 0:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TaskError(f"task {target}: it returns {what}, which is no tensor of a single number", CALLED)
        if torch.is_grad_enabled() and not found.requires_grad:
            hint = "keep to torch from the pictures to what is returned, without detach() or float()"
            raise TaskError(f"task {target}: torch cannot differentiate what it returns", hint)
        return found

    return look
