"""The card of a double: what it doubles, of which version of the real thing, from which data, and how far it is off."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ispdsl.ir.model import Frozen
from ispdsl.proxies.task import Task

FORMAT = 1


class Card(Frozen, frozen=True):
    """Kept as JSON in the metadata of the weights' safetensors file, and beside it to be read by people.

    Attributes:
        format: of this card.
        task: what the double does.
        nodes: addresses of the pipeline's nodes that it stands for, in order.
        watched: names of the values (inputs, taps, outputs of the pipeline) that it reads, and that it gives.
        stage: name of the stage, where it stands for one node.
        signature: hash of the stage's declaration without places and contract: a changed stage refuses its old double.
        constants: canonical values of the parameters and metadata that were the same in all samples, by keyword.
        network: kind of network, and its arguments.
        pipeline, pipeline_sha256: what was sampled, and the hash of its texts.
        real: name and version of the real thing, such as ``darktable 4.2.1`` or ``composite, ispdsl 0.1.0``.
        data: how many samples, from which raws (name and hash), which of them were held out.
        training: loss, steps, seconds, seed, versions, device.
        error: held-out error: ``psnr`` in dB and others, by name.
        trust: what the trust figure is computed from; empty until it was fitted.
    """

    format: int = FORMAT
    task: Task
    nodes: tuple[str, ...]
    watched: tuple[tuple[str, ...], tuple[str, ...]]
    stage: str | None = None
    signature: str = ""
    constants: dict[str, Any] = Field(default_factory=dict[str, Any])
    network: str
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    pipeline: str = ""
    pipeline_sha256: str = ""
    real: str = ""
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    training: dict[str, Any] = Field(default_factory=dict[str, Any])
    error: dict[str, float] = Field(default_factory=dict[str, float])
    trust: dict[str, Any] = Field(default_factory=dict[str, Any])
