"""What a call of a composite is made of, as tensors by name and as names that decide which program is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ispdsl.backends import values
from ispdsl.backends.composite import Composite, Rendering
from ispdsl.errors import RunError


@dataclass(frozen=True)
class Arguments:
    """One call. The tensors are of the dtype and on the device of the first image."""

    images: dict[str, Tensor]
    settings: dict[str, Tensor]
    """Canonical numbers by address: everything that is not fixed, at its start where nobody set it."""
    metadata: dict[str, Tensor]
    """What the pipeline reads of the frame; what the frame leaves out is a constant of the program."""
    previous: dict[str, Tensor]
    choices: dict[str, values.Static]
    """Options, switches and texts: other ones make another program."""
    texts: dict[str, str]

    @property
    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """The inputs of a compiled program, in their order."""
        return self.images, self.settings, self.metadata, self.previous


def arguments(
    composite: Composite,
    image: Tensor | Mapping[str, Tensor],
    settings: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    previous: Mapping[str, Tensor] | None = None,
) -> Arguments:
    """What `composite(image, settings, metadata, previous)` is made of. Settings are held to their ranges here.

    Raises:
        RunError: as the call itself, but for what only its programs can find out.
    """
    graph = composite.plan.graph
    images = dict(image) if isinstance(image, Mapping) else {graph.inputs[0].name: image}
    if not images:
        raise RunError(f"{composite.name} needs the input {graph.inputs[0].name}")
    like = next(iter(images.values()))
    given, frame = settings or {}, metadata or {}
    composite.check_addresses(given)
    slots = {slot.address: slot for slot in composite.slots if slot.drives}
    wanted = {**composite.start(frame, like.dtype, given), **given}
    found = {
        address: values.setting(slot, wanted[address], like) for address, slot in slots.items() if address in wanted
    }
    numbers = {address: value for address, value in found.items() if isinstance(value, Tensor)}
    read = {meta.name: meta for meta in graph.metas if meta.name in read_metadata(composite) and meta.name in frame}
    told = {name: values.metadata(meta, frame[name], like) for name, meta in read.items()}
    return Arguments(
        images=images,
        settings=numbers,
        metadata={name: value for name, value in told.items() if isinstance(value, Tensor)},
        previous=dict(previous or {}),
        choices={address: value for address, value in found.items() if not isinstance(value, Tensor)},
        texts={name: value for name, value in told.items() if isinstance(value, str)},
    )


def read_metadata(composite: Composite) -> set[str]:
    """Names of the metadata that its programs, or parameters that are fixed to them, read in each call."""
    graph = composite.plan.graph
    read = {given.meta for call in graph.calls for given in call.metas.values() if given.meta is not None}
    return read | {slot.start_meta for slot in graph.slots if slot.drives and slot.fixed and slot.start_meta}


Outcome = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]
"""Outputs, taps and statistics by name."""


class Call(torch.nn.Module):
    """A composite as a function of tensors alone, for some choices."""

    def __init__(self, composite: Composite, choices: Mapping[str, values.Static], texts: Mapping[str, str]) -> None:
        super().__init__()
        self.composite = composite
        self._choices, self._texts = dict(choices), dict(texts)

    def forward(
        self,
        images: dict[str, Tensor],
        settings: dict[str, Tensor],
        metadata: dict[str, Tensor],
        previous: dict[str, Tensor],
    ) -> Outcome:
        """Run the composite."""
        found = self.composite(images, {**settings, **self._choices}, {**metadata, **self._texts}, previous)
        return dict(found.outputs), dict(found.taps), dict(found.statistics)


def rendering(outcome: Outcome) -> Rendering:
    """What a compiled program gave, as the composite gives it."""
    return Rendering(*outcome)
