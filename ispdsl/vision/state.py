"""State dicts of PyTorch in files: nothing of a file is trusted before it is checked."""

from __future__ import annotations

import stat
from pathlib import Path

import torch
from torch import Tensor, nn

from ispdsl.errors import FileError

WRAPPED = "module."
"""What training on several GPUs writes before every name."""

COUNTER = "num_batches_tracked"
"""Batches that a normalisation has seen: of no use to who does not train, and absent from older files."""

ROOM = 1 << 20
"""Bytes that the archive may take beside the tensors."""


def load_state(model: nn.Module, path: Path, *, passed_over: str | None = None, beside: int = 0) -> None:
    """Give a model the weights of a published state dict, and set it to evaluate, without gradients of its own.

    The restricted unpickler of PyTorch reads the file, which makes tensors and nothing else. The state dict stands
    alone or under ``state_dict``; it has to hold exactly the tensors of the model, every number finite.

    Args:
        model: whose state dict has the names of the file.
        path: of the file.
        passed_over: tensors whose names begin so may be there too, and are of no use.
        beside: bytes that those may take.

    Raises:
        FileError: the file cannot be read, or holds no weights of this model; says which tensor is wrong, and how.
    """
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(COUNTER)}
    tensors = _tensors(path, 8 * sum(each.numel() for each in wanted.values()) + ROOM + beside)
    if passed_over is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(passed_over)}
    shown = f"weights {path}"
    for what, names in (("has no", wanted.keys() - tensors.keys()), ("has an unknown", tensors.keys() - wanted.keys())):
        if names:
            raise FileError(f"{shown}: the file {what} tensor {min(names)!r}", "it is not for this network")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise FileError(f"{shown}: {name} has the shape {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
        if not tensor.is_floating_point():
            raise FileError(f"{shown}: {name} is of {tensor.dtype}", "the network takes floating-point numbers")
        if not bool(tensor.isfinite().all()):
            raise FileError(f"{shown}: {name} has values that are not finite", "the file is damaged; copy it again")
    model.load_state_dict(tensors, strict=False)
    model.eval().requires_grad_(False)


def _tensors(path: Path, largest: int) -> dict[str, Tensor]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"weights {path}: no regular file", "name the file of a state dict")
        if status.st_size > largest:
            raise FileError(f"weights {path}: {status.st_size} bytes, where this network takes no more than {largest}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileError(f"weights {path}: {error.strerror or error}", "name the file of a state dict") from None
    except FileError:
        raise
    except Exception:  # the unpickler and the archive reader fail in many ways; their advice is to switch checks off
        raise FileError(f"weights {path}: no state dict of tensors", "copy or convert it again") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FileError(f"weights {path}: no state dict of tensors", "copy or convert it again")
    named = {str(name).removeprefix(WRAPPED): value.detach() for name, value in state.items()}
    return {name: value for name, value in named.items() if not name.endswith(COUNTER)}
