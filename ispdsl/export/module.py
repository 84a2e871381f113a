"""A composite as a module of its own, for tracing: settings and metadata are held inside, or given with each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.fx.traceback import annotate
from torch.overrides import TorchFunctionMode

from ispdsl.backends.composite import Composite
from ispdsl.backends.programs import Program
from ispdsl.backends.steps import Step
from ispdsl.export.source import Call, Source, fixed_to_metadata, following

NODE = "ispdsl_node"
"""The key under which operations of a trace say which node and stage of the pipeline they come from."""


@dataclass
class Seen:
    """Where a trace is: the node and stage that run, and torch's last function."""

    node: str = ""
    stage: str = ""
    operation: str = ""


@dataclass(frozen=True)
class Inputs:
    """What an export is given besides the image, with the values that it is tried at."""

    settings: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    metadata: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def keywords(self) -> dict[str, dict[str, Tensor]]:
        """As `Whole.forward` takes them: what is empty is left out."""
        given = {"settings": self.settings, "metadata": self.metadata}
        return {name: value for name, value in given.items() if value}


class Whole(nn.Module):
    """A pipeline from image to outputs by name. A program of torch.export of it needs torch alone.

    A pipeline that reads statistics of the frame before runs twice, as `ispdsl run` has it: of the first run only
    what makes the statistics is left in a trace.
    """

    def __init__(self, composite: Composite, settings: Mapping[str, Any], metadata: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.seen = Seen()
        self._composite = composite.replaced(_marked(step, self.seen) for step in composite.steps)
        self._twice = composite.feeds_back
        self._static = {name: value for name, value in settings.items() if not isinstance(value, Tensor)}
        self._settings = {name: f"setting/{name.replace('.', '/')}" for name in settings if name not in self._static}
        self._metadata = {name: f"metadata/{name}" for name in metadata}
        for name, place in self._settings.items():
            self.register_buffer(place, settings[name])
        for name, place in self._metadata.items():
            self.register_buffer(place, metadata[name])

    def forward(
        self, image: Any, settings: dict[str, Tensor] | None = None, metadata: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The outputs ``(C, H, W)`` by name, of an image ``(C, H, W)`` or several by name."""
        held = {name: self.get_buffer(place) for name, place in self._settings.items()}
        known = {name: self.get_buffer(place) for name, place in self._metadata.items()}
        values, given = {**held, **self._static, **(settings or {})}, {**known, **(metadata or {})}
        rendering = self._composite(image, values, given)
        if self._twice:
            rendering = self._composite(image, values, given, rendering.statistics)
        return rendering.outputs


def whole_of(source: Source, composite: Composite, call: Call, free: bool, free_metadata: bool) -> tuple[Whole, Inputs]:
    """The module of a source, and what it is to be given.

    Args:
        source: what is exported.
        composite: of the source, without taps.
        call: of the source.
        free: numbers and tables of the settings are inputs; choices and switches are held all the same.
        free_metadata: so is what programs read of the frame, and settings that nobody set go where it says.
    """
    numbers = {name: value for name, value in call.settings.items() if isinstance(value, Tensor)}
    waiting = {} if free or not free_metadata else following(source, composite)
    settings = {name: value for name, value in call.settings.items() if name not in waiting}
    if free:
        settings = {name: value for name, value in settings.items() if name not in numbers}
    asked = (fixed_to_metadata(composite) | set(waiting.values())) if free_metadata else set[str]()
    given = {name: value for name, value in call.metadata.items() if name in asked}
    metadata = {name: value for name, value in call.metadata.items() if not free_metadata}
    return Whole(composite, settings, metadata), Inputs(numbers if free else {}, given)


class _Watching(TorchFunctionMode):
    """Notes the last of torch's functions that was called."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__qualname__", None) or getattr(func, "__name__", "")
        self._seen.operation = str(name)
        return func(*args, **(kwargs or {}))


def _marked(step: Step, seen: Seen) -> Step:
    """A step whose operations bear its node's address in a trace."""
    function = step.program.function

    def call(*images: Tensor, **keywords: Any) -> Any:
        seen.node, seen.stage, seen.operation = step.node, step.stage, ""
        with annotate({NODE: f"{step.node} (stage {step.stage})"}), _Watching(seen):
            return function(*images, **keywords)

    return replace(step, program=Program(call, step.program.layout))
