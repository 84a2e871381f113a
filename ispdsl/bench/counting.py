"""How much arithmetic the programs of a pipeline do, by counting what torch is asked for at the size in question.

The composite runs on tensors that have a shape and no numbers (torch's fake tensors), so that nothing is scaled up from
a small image and a picture of any size is counted in seconds. Every operation that reaches torch's dispatcher counts:

- pointwise ones as one operation an element of their result; exp, log, sin and the like, and powers, which torch does
  not compute by a few instructions, are counted apart as *functions*, a power as two (a logarithm and an exponential);
- sums, means, extremes, cumulated sums and scattered additions as one an element of what goes in;
- sorting n elements as n log2 n comparisons;
- products of matrices and convolutions as torch's own flop counter counts them: a multiplication and an addition each;
- copies, gathering and making constants as none: they move bytes and compute nothing.

Whatever is none of these is named in `Work.uncounted`, and counts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ispdsl.backends.composite import Composite
from ispdsl.backends.steps import Step
from ispdsl.bench.watching import Results, results_of, watched

FUNCTIONS: Mapping[str, int] = {
    **dict.fromkeys("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh".split(), 1),
    **dict.fromkeys("tanh sigmoid silu gelu elu mish erf erfc erfinv lgamma digamma _softmax".split(), 1),
    **dict.fromkeys("softplus log_sigmoid log_sigmoid_forward".split(), 1),
    **dict.fromkeys("pow float_power logaddexp".split(), 2),
}
"""How many functions an element of the result of an operation takes, by its name in torch."""

CHEAP_POWERS = (0.0, 0.5, 1.0, 2.0, 3.0, -0.5, -1.0, -2.0)
"""Exponents with which torch multiplies, divides or takes a root instead."""

ADDING = (
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "scatter_add",
    "index_add",
    "scatter_reduce",
    "col2im",
    "linalg_cross",
    "norm",
)
"""One operation an element of what goes in, without torch's tag of a reduction."""

SORTING = ("sort", "argsort", "msort", "median", "nanmedian", "kthvalue", "topk")

MOVING = (
    *"_to_copy _unsafe_view clone copy contiguous cat stack gather index index_select index_put scatter take".split(),
    *"take_along_dim repeat repeat_interleave roll flip tile masked_scatter nonzero one_hot pad".split(),
    *"constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d pixel_shuffle".split(),
    *"pixel_unshuffle select_scatter slice_scatter im2col unfold_copy resize set fill lift lift_fresh".split(),
    *"rot90 tril triu channel_shuffle as_strided_copy expand_copy".split(),
)
"""Operations that move or choose numbers and compute none."""

MAKING = (
    *"arange linspace logspace full full_like zeros zeros_like ones ones_like empty empty_like eye".split(),
    *"empty_strided new_zeros new_ones new_full new_empty new_empty_strided scalar_tensor".split(),
    *"kaiser_window hann_window hamming_window rand rand_like randn randn_like randint randint_like".split(),
    *"randperm bernoulli uniform normal".split(),
)
"""Operations that make numbers of nothing; what a generator of random numbers does inside is not counted."""


@dataclass(frozen=True)
class Work:
    """What was done, in numbers that add up."""

    operations: int = 0
    functions: int = 0
    moved: int = 0
    """Bytes that torch's operations read and write, one operation after the other."""
    uncounted: tuple[str, ...] = ()
    """Names of operations that are counted nowhere."""

    def __add__(self, other: Work) -> Work:
        return Work(
            self.operations + other.operations,
            self.functions + other.functions,
            self.moved + other.moved,
            tuple(dict.fromkeys((*self.uncounted, *other.uncounted))),
        )


@dataclass(frozen=True)
class Traffic:
    """Bytes of one step: what its program takes and what it gives, each once, by the value's name."""

    read: Mapping[str, int]
    written: Mapping[str, int]


def work_of(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Work:
    """What one call of an operation of torch's dispatcher does.

    Args:
        function: the overload, such as ``torch.ops.aten.add.Tensor``.
        args: what it is called with by position.
        kwargs: and by name.
        result: what it gave.
    """
    name = function.name().partition("::")[2].partition(".")[0].removesuffix("_")
    if function.is_view or function.namespace == "prim" or name == "alias":
        return Work()
    given, made = _tensors((args, dict(kwargs))), _tensors(result)
    moved = sum(map(bytes_of, (*given, *made)))
    elements = sum(each.numel() for each in made)
    if name in MOVING:
        # What is chosen of a tensor is read, not all of it; every number that is written was read from somewhere.
        return Work(moved=2 * sum(map(bytes_of, made)))
    if name in MAKING:
        return Work(moved=sum(map(bytes_of, made)))
    if function._overloadpacket in flop_registry:
        count = flop_registry[function._overloadpacket](*args, **kwargs, out_val=result)
        return Work(operations=count, moved=moved)
    if name in FUNCTIONS and not _cheap(name, args):
        return Work(functions=FUNCTIONS[name] * elements, moved=moved)
    if name in SORTING:
        return Work(operations=given[0].numel() * math.ceil(math.log2(max(_length(name, args), 2))), moved=moved)
    if torch.Tag.pointwise in function.tags or name == "floor_divide" or name in FUNCTIONS:
        return Work(operations=elements, moved=moved)
    if torch.Tag.reduction in function.tags or name in ADDING:
        return Work(operations=max((each.numel() for each in given), default=0), moved=moved)
    return Work(moved=moved, uncounted=(name,))


def bytes_of(tensor: Tensor) -> int:
    """Of its numbers, whether or not they lie in memory more than once."""
    return tensor.numel() * tensor.element_size()


def _length(name: str, args: tuple[Any, ...]) -> int:
    """How many numbers are sorted together: all along an axis, or the whole tensor where none is named."""
    image, numbers = args[0], [each for each in args[1:] if isinstance(each, int) and not isinstance(each, bool)]
    if name in ("kthvalue", "topk"):
        numbers = numbers[1:] or [-1]
    if not numbers and name not in ("median", "nanmedian"):
        numbers = [-1]
    return image.shape[numbers[0]] if numbers and image.dim() else image.numel()


def _cheap(name: str, args: tuple[Any, ...]) -> bool:
    """Whether it is a power that torch computes without logarithms."""
    exponent = args[1] if name == "pow" and len(args) > 1 else None
    return isinstance(exponent, int | float) and float(exponent) in CHEAP_POWERS


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class _Counter(TorchDispatchMode):
    """Adds up what every operation does."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.work += work_of(func, args, kwargs or {}, result)
        return result


def count(
    composite: Composite,
    size: tuple[int, int],
    settings: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> tuple[dict[str, Work], dict[str, Traffic]]:
    """What each step of a composite computes and moves, on images of float32 of a size.

    Args:
        composite: of programs and doubles alone; a real thing cannot be counted.
        size: height and width in px.
        settings: as the composite takes them.
        metadata: as well.

    Returns:
        By node, the work of its program, and the bytes that it takes and gives.

    Raises:
        StageError: a program looks at numbers, and there are none.
    """
    works: dict[str, Work] = {}
    traffic: dict[str, Traffic] = {}

    def around(step: Step, program: Any, images: tuple[Tensor, ...], keywords: dict[str, Any]) -> Results:
        counter = _Counter()
        with counter:
            results = program(*images, **keywords)
        # A statistic of the frame before is computed of a grey one as well: of the same size, so the same work.
        works[step.node] = counter.work
        needs = {value: keywords[name] for name, value in step.needs}
        taken = {**dict(zip(step.images, images, strict=True)), **needs}
        names = (name for name, _ in step.outputs)
        given = zip(names, results_of(results), strict=True)
        traffic[step.node] = Traffic(
            {name: bytes_of(each) for name, each in taken.items()}, {name: bytes_of(each) for name, each in given}
        )
        return results

    ports = composite.plan.graph.inputs
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        images = {port.name: torch.empty(port.type.planes, *size) for port in ports if port.type.is_image}
        watched(composite, around)(images, settings, metadata)
    return works, traffic
