"""What a declaration promises without a line: types, batches, dtypes, export, implementations that agree."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ispdsl.contracts.case import Case
from ispdsl.contracts.checks.points import between
from ispdsl.contracts.implementations import Outputs
from ispdsl.contracts.strategies import storage, substitute, value_range
from ispdsl.contracts.trial import Trial, ViolationError
from ispdsl.ir.types import INTEGER_STORAGE, Type

SINGLE = 1e-3
"""How far float32 may be from float64, as a part of the largest value."""
FLIPPED, PIXELS = 0.1, 4
"""The part of the values, or the pixels, that may differ more: a decision can fall the other way."""


def types(trial: Trial) -> None:
    """Planes, size, dtype and range of every result are what its type says, and finite; inputs are not written to."""
    case = trial.call()
    before = {name: image.clone() for name, image in case.images.items()}
    results = trial.run(case)
    if len(results) != len(trial.subject.outputs):
        raise ViolationError(f"it gives {len(results)} results, not {len(trial.subject.outputs)}", case)
    for port, found in zip(trial.subject.outputs, results, strict=True):
        _typed(trial, found, substitute(port.type, case.types), port.name, case)
    for name, image in case.images.items():
        if not torch.equal(image, before[name]):
            raise ViolationError(f"it writes to its input {name}", case.showing(before), after=image)


def _typed(trial: Trial, found: Tensor, type_: Type, name: str, case: Case) -> None:
    if not bool(found.isfinite().all()):
        raise ViolationError(f"{name} holds numbers that are not finite", case, found=found)
    if trial.implementation.kind == "program" and found.dtype != case.first.dtype:
        raise ViolationError(f"{name} is {found.dtype}, the image {case.first.dtype}", case)
    if not type_.is_image:
        sizes = tuple(size for size in type_.args if isinstance(size, int))
        if sizes and tuple(found.shape[-len(sizes) :]) != sizes:
            raise ViolationError(f"{name} has the shape {tuple(found.shape)}, not that of {type_}", case)
        return
    if found.dim() != 3 or found.shape[0] != type_.planes:
        raise ViolationError(f"{name} has the shape {tuple(found.shape)}, {type_} has {type_.planes} planes", case)
    if trial.subject.footprint.kind != "global" and found.shape[-2:] != case.first.shape[-2:]:
        raise ViolationError(f"{name} is {tuple(found.shape[-2:])}, the image {tuple(case.first.shape[-2:])}", case)
    ends = value_range(type_)
    if ends is not None:
        between(trial, found, ends, f"{name}, which is {type_},", case)


# ---- programs ------------------------------------------------------------------------------------------------


def batches(trial: Trial) -> None:
    """A batch gives what its images give alone, with one setting for all and with a setting for each."""
    case = trial.call()
    darker = trial.draw(st.sampled_from((0.5, 1e-4)))  # so that its statistics are others
    twin = case.showing({name: darker * image.flip(-1) for name, image in case.images.items()})
    both = case.showing({name: torch.stack([image, twin.images[name]]) for name, image in case.images.items()})
    alone = [trial.run(case), trial.run(twin)]
    shared, each = trial.run(both), trial.run(both.with_arguments(_for_each(case.arguments)))
    for what, found in (("a batch", shared), ("a batch with a setting for each image", each)):
        for number, result in enumerate(found):
            for index, single in enumerate(alone):
                mine = result[index].reshape(single[number].shape) if single[number].dim() == 0 else result[index]
                trial.same(mine, single[number], f"image {index} of {what} differs from it alone", case)


def _for_each(arguments: Any) -> dict[str, Any]:
    """Numbers as ``(2, 1, 1, 1)``, tables and vectors as ``(2, *shape)``; static values as they are."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, Tensor):
            found[name] = torch.stack([value, value]) if value.dim() else value.reshape(1, 1, 1, 1).repeat(2, 1, 1, 1)
        elif isinstance(value, float):
            found[name] = torch.full((2, 1, 1, 1), value, dtype=torch.float64)
        else:
            found[name] = value
    return found


def precision(trial: Trial) -> None:
    """float32 stays float32 and is near float64; bfloat16, where its 8 bits hold the codes, runs and stays finite."""
    case = trial.call()
    single = _as(case, torch.float32)
    exact = trial.run(_as(single, torch.float64))  # of the same numbers: rounding them is not the program's doing
    for port, found, wanted in zip(trial.subject.outputs, trial.run(single), exact, strict=True):
        if found.dtype != torch.float32:
            raise ViolationError(f"float32 becomes {found.dtype}", case)
        gap = (found.double() - wanted).abs()
        codes = port.type.is_image and INTEGER_STORAGE.fullmatch(storage(port.type))
        step = 1.0 if codes else 0.0  # near a tie either code is right
        far = gap > max(step, SINGLE * max(1.0, float(wanted.abs().max())))
        few = max(FLIPPED * far.numel(), PIXELS * (far.shape[-3] if far.dim() >= 3 else 0))
        if int(far.sum()) > few or not bool(found.isfinite().all()):
            raise ViolationError(
                f"float32 is {float(gap.max()):.3g} away from float64", case, found=found, wanted=wanted
            )
    if any(INTEGER_STORAGE.fullmatch(storage(port.type)) for port in trial.subject.inputs):
        return
    for found in trial.run(_as(case, torch.bfloat16)):
        if found.dtype != torch.bfloat16:
            raise ViolationError(f"bfloat16 becomes {found.dtype}", case)
        if not bool(found.isfinite().all()):
            raise ViolationError("in bfloat16 the result is not finite", case, found=found)


def _as(case: Case, dtype: torch.dtype) -> Case:
    """The call in another precision; numbers stay Python numbers."""
    arguments = {name: value.to(dtype) for name, value in case.arguments.items() if isinstance(value, Tensor)}
    return case.showing({name: image.to(dtype) for name, image in case.images.items()}).with_arguments(arguments)


class _Module(torch.nn.Module):
    def __init__(self, trial: Trial, case: Case) -> None:
        super().__init__()
        self._trial, self._case = trial, case

    def forward(self, images: dict[str, Tensor], numbers: dict[str, Tensor]) -> Outputs:
        return self._trial.implementation.run(self._case.showing(images).with_arguments(numbers))


def exports(trial: Trial) -> None:
    """`torch.export` takes the program, and what it exports gives the same."""
    case = trial.call()
    static = {name for p in trial.subject.parameters if getattr(p, "structural", False) for name in (p.name,)}
    numbers = {
        name: torch.as_tensor(value, dtype=torch.float64)
        for name, value in case.arguments.items()
        if isinstance(value, Tensor | float) and name not in static
    }
    module, images = _Module(trial, case), dict(case.images)
    wanted = trial.run(case)
    try:
        found = torch.export.export(module, (images, numbers)).module()(images, numbers)
    except Exception as error:
        what = str(error).strip().partition("\n")[0]
        raise ViolationError(f"torch.export refuses it: {type(error).__name__}: {what}", case) from error
    for one, two in zip(found, wanted, strict=True):
        trial.same(one, two, "the exported program gives something else", case)


def agreement(trial: Trial) -> None:
    """Every other implementation of the stage gives the same."""
    case = trial.call()
    results = trial.run(case)
    for name in trial.others:
        for other, mine in zip(trial.run_other(name, case), results, strict=True):
            trial.same(mine, other, f"{trial.implementation} and {name} differ", case)
