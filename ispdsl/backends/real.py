"""A node of the composite that a real thing runs: tensors in, tensors out, and no gradient."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ispdsl.backends.blackbox import declared_stage
from ispdsl.backends.programs import Program
from ispdsl.calls import Call
from ispdsl.errors import CompileError, RunError
from ispdsl.executors.faults import ExecutorError
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.model import Declared, Executor, Image, Request
from ispdsl.executors.trust import check_allowed
from ispdsl.ir.model import Module
from ispdsl.ir.params import Array, Choice, Register, Slider, Table, Toggle
from ispdsl.ir.units import UNITS
from ispdsl.runtime import faces
from ispdsl.runtime.slots import PhysicalValue, Slot


def bind(call: Call, module: Module, allow_exec: bool) -> Program:
    """The executor of a call as a function of tensors, opened when it is first called.

    Raises:
        CompileError: the stage reads statistics or metadata, which a real thing is not told.
        ExecutorError: the text names a program that nobody has allowed.
    """
    texts = hashlib.sha256("\n".join(sorted(module.files.values())).encode()).hexdigest()
    found = declared_stage(call.signature, texts, call.types)
    check_allowed(found, allow_exec)
    extra = [item.name for item in (*call.signature.needs, *call.signature.metas)]
    if extra:
        hint = "let a parameter carry it"
        raise CompileError(f"{found.where}: the stage reads {extra[0]}, which an executor is not told", hint)
    return Program(run_by(found, call.address), {})


def run_by(found: Declared, address: str) -> Callable[..., Any]:
    """A function of images and keywords, as a program is, that sends each image of a batch through the real thing."""
    opened = _Opened()

    def function(*images: Tensor, **keywords: Any) -> tuple[Tensor, ...]:
        if torch.compiler.is_compiling():
            raise RunError(f"{address} is run by executor {found.implementation.target}, which cannot be traced")
        if not opened:
            opened.append(open_executor(found))
            weakref.finalize(opened, opened[0].close)
        names, values = list(keywords), list(keywords.values())
        return _Real.apply(opened[0], found, address, tuple(names), len(images), *images, *values)

    return function


class _Opened(list[Executor]):
    """The executor once it is open; unlike a plain list it can be watched, so that it is closed when it is dropped."""


class _Real(torch.autograd.Function):
    """The real thing as an operation whose gradient, when somebody asks for it, is refused rather than zero."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        executor, found, address, names, count, *rest = given
        ctx.address, ctx.kind = address, found.implementation.target
        return _called(executor, found, rest[:count], dict(zip(names, rest[count:], strict=True)))

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise _without_gradient(ctx)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise _without_gradient(ctx)


def _without_gradient(ctx: Any) -> RunError:
    hint = f"choose --impl {ctx.address}=program, or a proxy of it"
    return RunError(f"{ctx.address} is run by executor {ctx.kind}, which has no gradient", hint)


def _called(
    executor: Executor, found: Declared, images: list[Tensor], keywords: Mapping[str, Any]
) -> tuple[Tensor, ...]:
    """Run every image of the batch, and stack what comes back."""
    like = images[0]
    batch = like.shape[0] if like.dim() == 4 else None
    requests: list[Request] = []
    for index in range(batch or 1):
        own = [image if batch is None else image[index] for image in images]
        arrays = {
            port.name: np.ascontiguousarray(image.detach().to("cpu", torch.float32).numpy())
            for port, image in zip(found.inputs, own, strict=True)
        }
        settings = {slot.address: _declared(slot, keywords[slot.address], index) for slot in found.slots}
        requests.append(Request(arrays, settings))
    outputs: list[Mapping[str, Image]] = []
    for answer in executor.run_many(requests):
        if isinstance(answer, ExecutorError):
            raise answer
        outputs.append(answer.outputs)
    stacked = [torch.stack([torch.from_numpy(each[port.name]) for each in outputs]) for port in found.outputs]
    return tuple((each if batch is not None else each[0]).to(like.device, like.dtype) for each in stacked)


def _declared(slot: Slot, value: Any, index: int) -> PhysicalValue:
    """A program's keyword (canonical, perhaps one for each image) as the value in the declared unit."""
    declaration = slot.declaration
    if isinstance(declaration, Choice | Toggle):
        return value
    scale = UNITS[declaration.unit].scale
    ratio = scale.denominator / scale.numerator
    array = value.detach().double().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype=np.float64)
    if isinstance(declaration, Table):
        array = array[min(index, len(array) - 1)] if array.ndim > len(declaration.shape) else array
        numbers = tuple(float(number) * ratio for number in array.reshape(-1))
        return Array(shape=tuple(array.shape), values=numbers)
    assert isinstance(declaration, Slider | Register)
    flat = array.reshape(-1)
    number = float(flat[min(index, flat.size - 1)]) * ratio
    low, high = declaration.hard
    # float32 carries a value such as 0.7 a little beyond what the text wrote
    near = 1e-6 * max(abs(low), abs(high), 1.0)
    if low - near <= number <= high + near:
        number = min(max(number, low), high)
    return faces.check(declaration, number)
