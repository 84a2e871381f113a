"""From the keywords of a program to one vector of numbers of about -1..1: what a network is conditioned on.

Numbers go linearly from their sampled range to -1..1 (temperatures as reciprocals), and on beyond it: nothing is
clipped. Choices are one-hot. Metadata and statistics are standardised by the mean and spread that `measure` found in
the training data. A long statistic without negative values (a histogram) is taken for a distribution, and seen as its
quantiles in stops: nine numbers in which a shift of the image is a small change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ispdsl.errors import RunError
from ispdsl.proxies.mosaic import in_order
from ispdsl.proxies.task import Knob, Reading, Task

LONG = 16
"""From so many elements on a statistic without negative values is taken for a distribution."""

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Of the quantiles."""

SOFTNESS = 0.02
"""In shares of the whole, of the sigmoid that counts bins below a quantile: gradients pass through all bins."""

STOPS = 10
"""Quantiles are told as logarithm of ``q + 2^-10``: darker than ten stops below the top of the histogram is dark."""

WIDE = 32
"""Items of more elements than this are compressed to `NARROW` by a linear layer before the network sees them."""

NARROW = 16


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the training data looks like: of every reading as encoded its mean, its spread, and whether it is positive.

    Readings that are absent count as of mean 0 and spread 1.
    """

    mean: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    spread: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    positive: Mapping[str, bool] = field(default_factory=dict[str, bool])


def measure(task: Task, examples: Iterable[Mapping[str, Any]]) -> Statistics:
    """The statistics of the readings of `task` over the keywords of `examples` (none of them: the defaults)."""
    like = torch.zeros((), dtype=torch.float64)
    kept = list(examples)
    if not kept:
        return Statistics()
    mean, spread, positive = {}, {}, {}
    for reading in task.readings:
        rows = torch.cat([in_order(reading.name, _rows(reading, each, like), each.get("cfa")) for each in kept])
        positive[reading.name] = bool((rows >= 0).all())
        encoded = _encode(reading, rows, positive[reading.name])
        mean[reading.name] = encoded.mean(0)
        spread[reading.name] = _spread(encoded)
    return Statistics(mean, spread, positive)


def _spread(encoded: Tensor) -> Tensor:
    """Standard deviations. What never changed has its own size as spread: it must not blow up what is new."""
    deviation, size = encoded.std(0, correction=0), encoded.mean(0).abs()
    constant = deviation <= 1e-6 * size.clamp(min=1e-6)
    return torch.where(constant, torch.where(size > 0, size, 1.0), deviation)


def _is_distribution(reading: Reading, positive: bool) -> bool:
    return positive and reading.kind == "statistic" and prod(reading.shape) >= LONG


def _encode(reading: Reading, rows: Tensor, positive: bool) -> Tensor:
    """``(B, n)`` of a reading; a distribution as soft quantiles of its index in 0..1, in stops."""
    if not _is_distribution(reading, positive):
        return rows
    shares = rows / (rows.sum(1, keepdim=True) + 1e-12)
    below = shares.cumsum(1) - shares / 2
    level = torch.tensor(LEVELS, dtype=rows.dtype, device=rows.device)
    quantiles = torch.sigmoid((level[:, None] - below[:, None]) / SOFTNESS).mean(2)
    return torch.log2(quantiles + 2.0**-STOPS)


def _size(each: Knob | Reading, statistics: Statistics) -> int:
    """How many elements of the vector a knob or reading takes."""
    if isinstance(each, Knob) and each.kind == "choice":
        return len(each.options)
    if isinstance(each, Reading) and _is_distribution(each, statistics.positive.get(each.name, True)):
        return len(LEVELS)
    return prod(each.shape)


class Conditioning(nn.Module):
    """Keywords to ``(B, K)``; B is 1 where no keyword has a batch dimension. Without knobs and readings K is 1: a 0."""

    def __init__(self, task: Task, statistics: Statistics) -> None:
        super().__init__()
        self.task = task
        self.sizes = [_size(each, statistics) for each in (*task.knobs, *task.readings)]
        self.positive = [statistics.positive.get(each.name, True) for each in task.readings]
        for index, (reading, size) in enumerate(zip(task.readings, self.sizes[len(task.knobs) :], strict=True)):
            mean = statistics.mean.get(reading.name, torch.zeros(size))
            spread = statistics.spread.get(reading.name, torch.ones(size))
            self.register_buffer(f"mean_{index}", mean.float().clone())
            self.register_buffer(f"spread_{index}", spread.float().clone())
            self.register_buffer(f"positive_{index}", torch.tensor(self.positive[index]))

    @property
    def size(self) -> int:
        """K: elements of the vector."""
        return max(1, sum(self.sizes))

    def forward(self, keywords: Mapping[str, Any], like: Tensor) -> Tensor:
        """The vector of `keywords`, in the dtype and on the device of `like`.

        Raises:
            RunError: a keyword is missing, has another shape, or is no option of its choice.
        """
        parts = [_knob(knob, _given(self.task, keywords, knob.name), like) for knob in self.task.knobs]
        for index, reading in enumerate(self.task.readings):
            rows = in_order(reading.name, _rows(reading, keywords, like, self.task), keywords.get("cfa"))
            encoded = _encode(reading, rows, self.positive[index])
            mean, spread = (self.get_buffer(f"{name}_{index}").to(like) for name in ("mean", "spread"))
            parts.append((encoded - mean) / spread)
        if not parts:
            return torch.zeros(1, 1, dtype=like.dtype, device=like.device)
        batch = next((part.shape[0] for part in parts if part.shape[0] != 1), 1)
        return torch.cat([part.expand(batch, -1) for part in parts], 1)

    def reading(self, condition: Tensor, ending: str) -> Tensor | None:
        """Back from the vector: the numbers ``(B, n)`` of the first metadata whose name ends so; None without one."""
        offset = sum(self.sizes[: len(self.task.knobs)])
        for index, reading in enumerate(self.task.readings):
            size = self.sizes[len(self.task.knobs) + index]
            if reading.kind == "metadata" and reading.name.endswith(ending):
                mean, spread = (self.get_buffer(f"{name}_{index}").to(condition) for name in ("mean", "spread"))
                return condition[:, offset : offset + size] * spread + mean
            offset += size
        return None


def positive(task: Task, weights: Mapping[str, Tensor]) -> dict[str, bool]:
    """Which readings are positive, from the buffers of a `Conditioning`."""
    found = {each.name: weights.get(f"positive_{index}") for index, each in enumerate(task.readings)}
    return {name: bool(each.any()) for name, each in found.items() if each is not None}


class Compression(nn.Module):
    """What of a condition the network is shown: long items as `NARROW` numbers each by a linear layer, others as such.

    Items in `hidden` are left out: levels, by which images are scaled before the network sees them. It would take them
    for the name of a camera.
    """

    def __init__(self, sizes: Sequence[int], hidden: Collection[int] = ()) -> None:
        super().__init__()
        self.sizes, self.hidden = list(sizes), frozenset(hidden)
        shown = [size for index, size in enumerate(sizes) if index not in self.hidden]
        self.size = sum(NARROW if size > WIDE else size for size in shown)
        self.layers = nn.ModuleList(nn.Linear(size, NARROW) for size in shown if size > WIDE)

    def forward(self, condition: Tensor) -> Tensor:
        """``(..., K)`` to ``(..., k)``, or to a 0 where nothing is left."""
        if not self.size:
            return torch.zeros_like(condition[..., :1])
        if not self.layers and not self.hidden:
            return condition
        layers = iter(self.layers)
        parts = [part for index, part in enumerate(condition.split(self.sizes, -1)) if index not in self.hidden]
        return torch.cat([next(layers)(part) if part.shape[-1] > WIDE else part for part in parts], -1)


def _given(task: Task, keywords: Mapping[str, Any], name: str) -> Any:
    if name not in keywords:
        wanted = ", ".join([*(each.name for each in task.knobs), *(each.name for each in task.readings)])
        raise RunError(f"the double of {task.name} was not given {name}", f"it reads {wanted}")
    return keywords[name]


def _knob(knob: Knob, value: Any, like: Tensor) -> Tensor:
    """One parameter as ``(B or 1, n)``."""
    if knob.kind == "choice":
        return _one_hot(knob, value, like)
    rows = _flat(knob.name, value, knob.shape if knob.kind == "table" else (), like)
    if knob.kind == "toggle":
        return 2 * rows - 1
    low, high = (1 / knob.low, 1 / knob.high) if knob.reciprocal else (knob.low, knob.high)
    rows = 1 / rows if knob.reciprocal else rows
    return (rows - low) * (2 / ((high - low) or 1.0)) - 1


def _one_hot(knob: Knob, value: Any, like: Tensor) -> Tensor:
    names = [value] if isinstance(value, str) else list(value)
    for name in names:
        if name not in knob.options:
            raise RunError(f"{knob.name}: the double knows no {name!r}", f"it knows {', '.join(knob.options)}")
    rows = [[1.0 if name == option else 0.0 for option in knob.options] for name in names]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _rows(reading: Reading, keywords: Mapping[str, Any], like: Tensor, task: Task | None = None) -> Tensor:
    value = _given(task, keywords, reading.name) if task else keywords[reading.name]
    return _flat(reading.name, value, reading.shape, like)


def _flat(name: str, value: Any, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A number, table or tensor as ``(B or 1, n)``: `shape` alone, or with a batch dimension in front.

    A scalar of a batch may come as ``(B, 1, 1, 1)`` or ``(B,)``.
    """
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if not shape:
        return tensor.reshape(-1, 1)
    if tensor.dim() == 0:
        return tensor.expand(1, prod(shape))
    if tuple(tensor.shape[tensor.dim() - len(shape) :]) != shape:
        raise RunError(f"{name} has shape {tuple(tensor.shape)}", f"the double reads {shape}, or (B, ...) of a batch")
    return tensor.reshape(-1, prod(shape))
