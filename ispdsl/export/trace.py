"""A pipeline traced by torch.export: of any height and width where the trace allows it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx.traceback import preserve_node_meta

from ispdsl.export.faults import ExportError
from ispdsl.export.module import Inputs, Whole

SIDES = ("height", "width")


@dataclass(frozen=True)
class Traced:
    """A traced pipeline.

    Attributes:
        program: image, and where they are inputs settings and metadata, to outputs by name.
        inputs: what it takes besides the image, at the values that it was traced at.
        sides: height and width that it takes: a number, or a range such as ``2..``.
        why: why it takes no other height or width, where it does not.
    """

    program: ExportedProgram = field(repr=False)
    inputs: Inputs = field(repr=False)
    sides: Mapping[str, str]
    why: str | None = None

    @property
    def flexible(self) -> bool:
        """Whether both sides may change."""
        return not any(side.isdigit() for side in self.sides.values())


def traced(whole: Whole, image: Any, inputs: Inputs, name: str) -> Traced:
    """Trace, with height and width open; where that fails, with those of `image`.

    Args:
        whole: the module.
        image: ``(C, H, W)``, or several by name. Only their sizes matter.
        inputs: what it takes besides.
        name: of the pipeline, for messages.

    Raises:
        ExportError: it cannot be traced at all; the message names the node, stage and operation.
    """
    try:
        return _traced(whole, _oblong(image), inputs, True)
    except Exception as error:  # whatever the trace meets; of one size it may not
        why = _first_line(error)
    return traced_at(whole, image, inputs, name, why)


def traced_at(whole: Whole, image: Any, inputs: Inputs, name: str, why: str) -> Traced:
    """Trace for the height and width of `image` alone; `why` says why no other will do.

    Raises:
        ExportError: it cannot be traced; the message names the node, stage and operation.
    """
    try:
        found = _traced(whole, image, inputs, False)
    except Exception as error:
        seen = whole.seen
        at = f"{seen.node} (stage {seen.stage})" if seen.node else "its outputs"
        operation = f", operation {seen.operation}" if seen.operation else ""
        hint = "choose another option of the stage, a double of it (--doubles), or leave it out"
        raise ExportError(f"{name} cannot be exported: {at}{operation}: {_first_line(error)}", hint) from error
    return Traced(found.program, inputs, found.sides, why)


def _traced(whole: Whole, image: Any, inputs: Inputs, flexible: bool) -> Traced:
    spec = {1: Dim.AUTO, 2: Dim.AUTO} if flexible else None
    shapes: dict[str, Any] = {"image": dict.fromkeys(image, spec) if isinstance(image, dict) else spec}
    shapes |= {name: dict.fromkeys(values) for name, values in inputs.keywords.items()}
    with torch.no_grad(), warnings.catch_warnings(), preserve_node_meta():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            whole, (image,), inputs.keywords, strict=False, dynamic_shapes=shapes if flexible else None
        )
    sides = _sides(program)
    fixed = flexible and any(side.isdigit() for side in sides.values())
    return Traced(program, inputs, sides, "a stage does what hangs on the size of its image" if fixed else None)


def _sides(program: ExportedProgram) -> dict[str, str]:
    """What the trace takes for height and width."""
    names = iter(program.graph_signature.user_inputs)
    first = next(names)
    node = next(node for node in program.graph.nodes if node.name == first)
    found: dict[str, str] = {}
    for side, size in zip(SIDES, node.meta["val"].shape[-2:], strict=True):
        if isinstance(size, int):
            found[side] = str(size)
            continue
        expression = size.node.expr
        known = program.range_constraints.get(expression)
        if known is None:
            found[side] = str(expression)
        else:
            upper = str(known.upper)
            found[side] = f"{known.lower}..{upper if upper.isdigit() and int(upper) < 2**31 else ''}"
    return found


def _oblong(image: Any) -> Any:
    """Images of which none is a square: a trace would take its two sides for one."""
    if isinstance(image, Mapping):
        return {name: _oblong(each) for name, each in image.items()}
    assert isinstance(image, Tensor), "an image"
    planes, height, width = image.shape
    return image.new_zeros(planes, height, width + 2) if height == width else image


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
