"""What torch computes for an image of one size, as a list of aten operations; all else is computed here, once.

The programs run as they are, in Python, on images that have a shape and no samples: stride 0 on every axis, so that
tracing 12 MP takes no memory. Operations that no image reaches are done at once, in the arithmetic of torch, which
leaves settings, metadata and the indices of borders as constants. `torch.export` gives the same operations, but takes
a minute where this takes a second, and folds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from ispdsl.backends.composite import Composite
from ispdsl.backends.halide.least import ANYTHING, least
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.errors import CompileError

FILLED = {
    "aten.zeros_like.default": 0.0,
    "aten.ones_like.default": 1.0,
    "aten.new_zeros.default": 0.0,
    "aten.new_ones.default": 1.0,
}
"""Operations that take the shape of an image, and none of its samples."""

LOOKING = (
    "aten._local_scalar_dense.default",
    "aten.nonzero.default",
    "aten.equal.default",
    "aten.masked_select.default",
)
"""Operations whose results are numbers for Python, or as large as the samples say."""

SCALED = ("aten.add.Tensor", "aten.sub.Tensor")
"""Operations that can multiply what they add; here that is an operation of its own."""

VIEWED = ("aten.view.default", "aten._unsafe_view.default")


@dataclass(frozen=True)
class Ref:
    """A value of the trace: the result of the node of that number."""

    node: int


@dataclass(frozen=True)
class Node:
    """One operation. Tensors among its arguments are constants; what depends on the image is a `Ref`."""

    number: int
    target: str
    """As ``aten.add.Tensor``; ``input`` for an image."""
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: torch.dtype
    where: str
    """The node of the pipeline and its stage."""
    least: float = ANYTHING
    """No sample is below."""

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes that it reads."""
        found: list[int] = []
        tree_map(lambda each: found.append(each.node) if isinstance(each, Ref) else None, (self.args, self.kwargs))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Trace:
    """Operations in the order in which they ran, and what each output of the pipeline is."""

    nodes: tuple[Node, ...]
    outputs: Mapping[str, Ref | Tensor]

    @cached_property
    def floors(self) -> tuple[float, ...]:
        """What no sample of each node is below."""
        return tuple(node.least for node in self.nodes)


def trace(
    composite: Composite, settings: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None, shape: tuple[int, ...]
) -> Trace:
    """Trace a composite of one input.

    Args:
        composite: its taps are not traced; leave them out when it is compiled.
        settings: of everything, as the composite takes them; they become constants.
        metadata: of the image, constants as well.
        shape: of the image, ``(1, C, H, W)``.

    Raises:
        CompileError: a program writes into an image, or looks at its samples to decide what to do.
        RunError: as the composite itself.
    """
    recorder = Recorder()
    tagged = composite.replaced([_tagged(step, recorder) for step in composite.steps])
    image = recorder.image(shape)
    with torch.no_grad(), recorder:
        rendering = tagged(image, settings, metadata)
        outputs = {name: recorder.ref(value) for name, value in rendering.outputs.items()}
    return Trace(tuple(recorder.nodes), outputs)


def _tagged(step: Step, recorder: Recorder) -> Step:
    """A step that tells the recorder its name."""
    function = step.program.function

    def named(*images: Tensor, **keywords: Any) -> Any:
        recorder.where = f"node {step.node}, stage {step.stage}"
        return function(*images, **keywords)

    return replace(step, program=Program(named, step.program.layout))


class Recorder(TorchDispatchMode):
    """Sees every operation of aten while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.where = "the input"
        self._known: dict[int, int] = {}
        self._metas: list[Tensor] = []
        self._alive: list[Tensor] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: else torch imports its compiler, which takes seconds, to keep it from looking in here."""
        return False

    def image(self, shape: tuple[int, ...]) -> Tensor:
        """The tensor that stands for the image; to be had before the mode is entered."""
        return self._added("input", None, (), {}, torch.empty(shape, dtype=torch.float32, device="meta"))

    def ref(self, value: Tensor) -> Ref | Tensor:
        """What a tensor is in the trace; itself where it is a constant."""
        number = self._known.get(id(value))
        return value if number is None else Ref(number)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        target = str(func)
        if target in SCALED and kwargs.get("alpha", 1) != 1:
            scaled = self.__torch_dispatch__(torch.ops.aten.mul.Tensor, types, (args[1], kwargs["alpha"]))
            return self.__torch_dispatch__(func, types, (args[0], scaled))
        live = False

        def seen(value: Any) -> Any:
            nonlocal live
            if not isinstance(value, Tensor):
                return value
            found = self.ref(value)
            live = live or isinstance(found, Ref)
            return found

        refs, named = tree_map(seen, args), tree_map(seen, kwargs)
        if not live:
            return func(*args, **kwargs)
        if target == "aten.as_strided.default":
            raise CompileError(f"{self.where}: {target} depends on how samples lie in memory")
        if target in LOOKING:
            raise CompileError(f"{self.where}: {target} looks at samples of the image")
        if target in VIEWED:  # the real strides are others than those of the stand-in, and may ask for a copy
            func = torch.ops.aten.reshape.default
        if func._schema.is_mutable:
            raise CompileError(f"{self.where}: {target} writes into what depends on the image")
        found = func(*tree_map(self._meta, args), **tree_map(self._meta, {**kwargs, **_on_meta(kwargs)}))
        if target in FILLED:
            return torch.full((), FILLED[target], dtype=found.dtype).expand(found.shape)
        if isinstance(found, Tensor):
            return self._added(target, func, refs, named, found)
        if not isinstance(found, tuple | list) or not all(isinstance(each, Tensor) for each in found):
            raise CompileError(f"{self.where}: {target} looks at samples of the image")
        whole = len(self.nodes)
        self.nodes.append(Node(whole, target, func, tuple(refs), named, (), found[0].dtype, self.where))
        self._metas.append(found[0])
        parts = [self._added("getitem", None, (Ref(whole), part), {}, each) for part, each in enumerate(found)]
        return type(found)(parts) if isinstance(found, list) else tuple(parts)

    def _meta(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        number = self._known.get(id(value))
        return value.to("meta") if number is None else self._metas[number]

    def _added(self, target: str, func: Any, args: Any, kwargs: Any, meta: Tensor) -> Tensor:
        number = len(self.nodes)
        floor = least(target, tuple(args), kwargs, self.nodes)
        node = Node(number, target, func, tuple(args), kwargs, tuple(meta.shape), meta.dtype, self.where, floor)
        self.nodes.append(node)
        self._metas.append(meta)
        stand_in = torch.zeros((), dtype=meta.dtype).expand(meta.shape)
        self._alive.append(stand_in)  # or its id might be given to another
        self._known[id(stand_in)] = number
        return stand_in


def _on_meta(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {"device": torch.device("meta")} if kwargs.get("device") is not None else {}
