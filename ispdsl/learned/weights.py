"""The file of a trained network: safetensors with its card as JSON in the metadata. Nothing in it is ever executed."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ispdsl.errors import FileError
from ispdsl.learned.card import FORMAT, Card, Kind
from ispdsl.proxies.weights import header, write_whole

MARK = "ispdsl network"
"""Says in the metadata what the file is."""

COMMANDS: dict[str, str] = {
    "predictor": "ispdsl predict train",
    "style": "ispdsl style train",
    "student": "ispdsl distil",
    "classifier": "ispdsl joint",
}
"""What writes such a file."""


def write(path: Path, model: nn.Module, card: Card) -> None:
    """Write a network's weights and its card, whole or not at all.

    Raises:
        FileError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_whole(path, to_bytes(tensors, metadata={"what": MARK, "card": card.model_dump_json()}))


def read_card(path: Path, kind: Kind) -> Card:
    """The card of a network's file.

    Raises:
        FileError: the file is missing, damaged, of something else or another version; says what makes one.
    """
    hint = _hint(kind)
    metadata = header(Path(path), "network", hint).get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("what") != MARK:
        raise FileError(f"{path} is no file of a {kind}: these are other weights", hint)
    try:
        content = json.loads(metadata["card"])
        if content["format"] != FORMAT:
            version = f"{path} is of format {content['format']}, this ispdsl reads format {FORMAT}"
            raise FileError(version, f"train it again: `{COMMANDS[kind]}`")
        card = Card.model_validate(content)
    except (KeyError, TypeError, ValueError, RecursionError, ValidationError):
        raise FileError(f"{path}: the card in it is damaged", hint) from None
    if card.kind != kind:
        raise FileError(f"{path} is a {card.kind}, not a {kind}", hint)
    return card


def _hint(kind: Kind) -> str:
    more = ", or a state dict of PyTorch (.pt, .th)" if kind == "classifier" else ""
    return f"name a file that `{COMMANDS[kind]}` wrote{more}"


def load(path: Path, model: nn.Module, kind: Kind) -> None:
    """Give a network the weights of a file, ready to be used: evaluating, without gradients of its own.

    Raises:
        FileError: as `read_card`, or the tensors are not those of the network, or not finite.
    """
    hint = _hint(kind)
    read_card(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            found: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not all(bool(each.isfinite().all()) for each in found.values()):
            raise FileError(f"{path}: it holds numbers that are not finite", "train it again")
        model.load_state_dict(found)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise FileError(f"{path}: its weights do not fit its card: {str(error).splitlines()[0]}", hint) from None
    model.eval().requires_grad_(False)
