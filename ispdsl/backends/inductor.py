"""A composite compiled by torch's inductor: C++ on a CPU, Triton on CUDA; forward, and backward where it is asked for.

    fast = inductor(composite)
    picture = fast(mosaic, {"exposure.ev": 0.5}, metadata).image

Compiling takes from half a minute to minutes, once for each device, dtype, batch or none, and set of choices; sizes
stay free. What was compiled is kept in torch's cache on disk. `patient` compiles only once that pays.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
import torch._dynamo
from torch import Tensor
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

from ispdsl.backends import masks, powers
from ispdsl.backends.arguments import Arguments, Call, Outcome, arguments, rendering
from ispdsl.backends.composite import Composite, Rendering
from ispdsl.backends.masks import rewrite_mask_comparisons
from ispdsl.backends.powers import lower_powers
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.errors import CompileError, UserError

PROGRAMS = 256
"""How many programs torch may keep of one function: choices, dtypes and devices each make another."""

SECONDS_A_STEP = 6.0
"""What compiling is taken to cost, for each step of the plan; see docs/compiled.md for the measurement."""

Run = Callable[..., Outcome]


@cache
def options() -> dict[str, Any]:
    """What inductor is told besides its defaults."""
    return {"joint_custom_pre_pass": Passes()}


class Passes(CustomGraphPass):
    """What is rewritten before inductor lowers a graph, the way forward and the way back."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        """Rewrite the graph."""
        lower_powers(graph)
        rewrite_mask_comparisons(graph)

    def uuid(self) -> Any:
        """What torch's cache tells it by: the hash of the passes' texts."""
        return get_hash_for_files((powers.__file__, masks.__file__))


def check_compiler(device: torch.device) -> str:
    """The C++ compiler that inductor would start.

    Raises:
        CompileError: there is none.
    """
    name = os.environ.get("CXX", "g++")
    found = shutil.which(name)
    if found is None:
        what = "compiles C++" if device.type == "cpu" else "compiles the C++ around its CUDA kernels"
        hint = "install one (Debian: apt-get install g++), or name yours in CXX; the composite itself needs none"
        raise CompileError(f"there is no C++ compiler: inductor {what} by {name}, which is not in PATH", hint)
    return found


@dataclass(frozen=True, eq=False)
class Compiled:
    """A composite and the programs that inductor makes of it, one for each set of choices that it meets."""

    composite: Composite
    programs: dict[tuple[Any, ...], Run] = field(default_factory=dict[tuple[Any, ...], Run], repr=False)

    def __call__(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> Rendering:
        """As `Composite.forward`, but that tensors among settings are the only ones that are not held to their range.

        Equal to the composite to 1e-5 in float32; gradients pass to images, settings and doubles.

        Raises:
            RunError: wrong or missing images, settings or metadata.
            CompileError: there is no C++ compiler, or inductor cannot compile the pipeline.
        """
        given = arguments(self.composite, image, settings, metadata, previous)
        key = (*sorted(given.choices.items()), *sorted(given.texts.items()))
        if key not in self.programs:
            self.programs[key] = _program(self.composite, given)
        return rendering(self.programs[key](*_sized(given)))


def inductor(composite: Composite) -> Compiled:
    """The same pipeline, compiled by inductor when it is first called.

    Args:
        composite: as `ispdsl.compile` gives it, on the device that it is to run on.

    Raises:
        CompileError: there is no C++ compiler.
    """
    check_compiler(next((each.device for each in composite.buffers()), torch.device("cpu")))
    return Compiled(composite)


def _program(composite: Composite, given: Arguments) -> Run:
    """Compile for what was given."""
    whole = Call(composite.replaced(map(_opaque, composite.steps)), given.choices, given.texts)
    made = torch.compile(whole, fullgraph=True, dynamic=False, options=options())

    def run(*tensors: Any) -> Outcome:
        try:
            with torch._dynamo.config.patch(recompile_limit=PROGRAMS, accumulated_recompile_limit=PROGRAMS):
                return made(*tensors)
        except UserError:
            raise
        except Exception as error:  # of whatever part of torch: dynamo, autograd, inductor, the C++ compiler
            first = str(error).strip().partition("\n")[0]
            what = f"{composite.name} cannot be compiled by inductor: {type(error).__name__}: {first}"
            raise CompileError(what, "call the composite itself, which needs no compiling") from error

    return run


def _opaque(step: Step) -> Step:
    """A step whose program dynamo calls and does not read: it may compute tables with numpy, or anything else."""
    function = step.program.function
    if isinstance(function, torch.nn.Module):
        return step
    return replace(step, program=Program(torch._dynamo.nonstrict_trace(function), step.program.layout))


def _sized(given: Arguments) -> tuple[dict[str, Tensor], ...]:
    """The inputs of a program, with the height and width of images marked as what may change from call to call."""
    images = {name: _open(image) if image.dim() >= 3 else image for name, image in given.images.items()}
    return images, given.settings, given.metadata, given.previous


def _open(image: Tensor) -> Tensor:
    """A view of an image of which torch knows that its height and width may change."""
    view = image.view_as(image)
    for axis in (-2, -1):
        torch._dynamo.maybe_mark_dynamic(view, view.dim() + axis)
    return view


# ---- when it pays ------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Patient:
    """A composite that is compiled as soon as compiling would have paid.

    It runs uncompiled until that has taken as long as compiling is reckoned to take, and then compiles: whatever
    number of calls there will be, it never takes more than twice as long as the better of the two ways.
    """

    composite: Composite
    cost: float
    """Seconds that compiling is taken to cost."""
    spent: float = 0.0
    """Seconds of uncompiled calls."""
    compiled: Compiled | None = None

    def __call__(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> Rendering:
        """As `Composite.forward`. Results move by up to 1e-5 from one call to the next when it compiles.

        Raises:
            RunError: as `Composite.forward`.
        """
        if self.compiled is not None:
            return self.compiled(image, settings, metadata, previous)
        before = time.perf_counter()
        found = self.composite(image, settings, metadata, previous)
        first = found.image
        if first.is_cuda:
            torch.cuda.synchronize(first.device)
        # The way back through the uncompiled steps takes about twice as long as the way there.
        self.spent += (time.perf_counter() - before) * (3 if first.requires_grad else 1)
        if self.spent >= self.cost:
            self.compiled = inductor(self.composite)
        return found


def patient(composite: Composite, cost: float | None = None) -> Patient:
    """The same pipeline, uncompiled at first, and compiled by inductor once so much was spent as compiling costs.

    Args:
        composite: as `ispdsl.compile` gives it.
        cost: seconds that compiling costs on this machine; by default `SECONDS_A_STEP` for each step. Where there is
            no C++ compiler it never pays.
    """
    try:
        check_compiler(torch.device("cpu"))
    except CompileError:
        return Patient(composite, float("inf"))
    return Patient(composite, SECONDS_A_STEP * len(composite.steps) if cost is None else cost)
