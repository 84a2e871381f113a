"""The card of a trained network: what it is, for which pipeline, of which data, how good, and how to make it again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ispdsl.ir.model import Frozen

FORMAT = 1

Kind = Literal["predictor", "style", "student", "classifier"]


class Card(Frozen, frozen=True):
    """Kept as JSON in the metadata of the weights' safetensors file.

    Attributes:
        format: of this card.
        kind: what the network is for.
        arguments: of the network's constructor.
        pipeline, pipeline_sha256: name of the pipeline that it was trained through, and the hash of its texts.
        addresses: settings that it gives, in the order of its numbers; none for a student or a classifier.
        held: physical values of every other setting, as text, while it was trained.
        data: how many images, from which files (name and hash), which of them were held out.
        training: task, recipe, seconds, versions, device.
        scores: on held-out images, by name.
    """

    format: int = FORMAT
    kind: Kind
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    pipeline: str = ""
    pipeline_sha256: str = ""
    addresses: tuple[str, ...] = ()
    held: dict[str, str] = Field(default_factory=dict[str, str])
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    training: dict[str, Any] = Field(default_factory=dict[str, Any])
    scores: dict[str, float] = Field(default_factory=dict[str, float])
