"""What this machine can do at most a second: memory bandwidth, arithmetic and functions, measured in 0.3 s.

Each is the best of as many tries as fit into a tenth of a second:

- bandwidth: a copy of 128 MiB with as many threads as torch uses, its bytes counted twice (read and written);
- arithmetic: a product of two square matrices of float32, a multiplication and an addition each;
- functions: `exp2` of float32 numbers that stay in the cache, the fastest of torch's vector library.

Arithmetic and functions are measured on one thread and taken times the threads: threads that wait for each other would
measure what else the machine does.

The answer is kept in the user's cache folder with what it holds for, and measured anew where the processor, the threads
or torch are others. The model is the roofline of Williams, Waterman and Patterson 2009, "Roofline: an insightful visual
performance model for multicore architectures", Communications of the ACM 52(4), with functions as a second roof.
"""

from __future__ import annotations

import platform
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from ispdsl import caches

SHARE = 0.1
"""Seconds for each of the three."""

COPIED = 128 << 20
"""Bytes of the copy: more than a cache holds."""

SIDE = 512
"""Of the matrices."""

BLOCK = 32768
"""Numbers in the measure of functions: 256 KiB with their results."""


class Roofs(BaseModel):
    """What a machine can do at most, a second."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bandwidth: PositiveFloat
    """Bytes to and from memory."""
    arithmetic: PositiveFloat
    """Additions and multiplications of float32."""
    functions: PositiveFloat
    """exp, log and the like, of float32."""

    def seconds(self, moved: float, operations: float, functions: float) -> float:
        """The least time for so many bytes, operations and functions: what takes longest hides the other."""
        return max(moved / self.bandwidth, self.computing(operations, functions))

    def computing(self, operations: float, functions: float) -> float:
        """The least time for arithmetic alone."""
        return operations / self.arithmetic + functions / self.functions


class Facts(BaseModel):
    """What the roofs of a machine hang on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    threads: PositiveInt
    torch: str


class Known(BaseModel):
    """Roofs that were measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: Facts
    roofs: Roofs


KEPT = TypeAdapter(tuple[Known, ...])


def facts() -> Facts:
    """Of this machine, with as many threads as torch would use now."""
    return Facts(processor=processor(), threads=torch.get_num_threads(), torch=torch.__version__)


def processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def store() -> Path:
    """The file of what was measured: ``ispdsl/machine.json`` below XDG_CACHE_HOME."""
    return caches.folder() / "machine.json"


def known_roofs(anew: bool = False, keep: bool = True) -> Roofs:
    """The roofs of this machine: those in the cache folder, or measured now and kept there.

    A damaged file is as good as none, and a folder that cannot be written keeps nothing.

    Args:
        anew: measure in any case.
        keep: write down what was measured; not wise while other programs work.
    """
    own, kept = facts(), _read()
    found = next((each.roofs for each in kept if each.facts == own), None)
    if found is not None and not anew:
        return found
    roofs = measure()
    if keep:
        _write((*(each for each in kept if each.facts != own), Known(facts=own, roofs=roofs)))
    return roofs


def measure(share: float = SHARE) -> Roofs:
    """Measure this machine; `share` seconds for each roof."""
    source = torch.ones(COPIED // 4)
    target = torch.ones(COPIED // 4)
    bandwidth = 2 * COPIED / _best(lambda: target.copy_(source), share)
    matrix, product = torch.ones(SIDE, SIDE), torch.empty(SIDE, SIDE)
    numbers = torch.linspace(-4.0, 4.0, BLOCK)
    powers = torch.empty_like(numbers)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        arithmetic = 2 * SIDE**3 / _best(lambda: torch.mm(matrix, matrix, out=product), share)
        functions = BLOCK / _best(lambda: torch.exp2(numbers, out=powers), share)
    finally:
        torch.set_num_threads(threads)
    return Roofs(bandwidth=bandwidth, arithmetic=threads * arithmetic, functions=threads * functions)


def _best(work: Callable[[], object], share: float) -> float:
    """Seconds of the fastest call of as many as fit, three at least after one that warms up."""
    work()
    fastest, begun, calls = float("inf"), time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - begun < share:
        before = time.perf_counter()
        work()
        fastest, calls = min(fastest, time.perf_counter() - before), calls + 1
    return fastest


def _read() -> tuple[Known, ...]:
    try:
        return KEPT.validate_json(store().read_bytes())
    except (OSError, ValidationError):
        return ()


def _write(known: tuple[Known, ...]) -> None:
    path = store()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(KEPT.dump_json(known, indent=1))
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
