"""Convert the published weights of DemosaicNet, a PyTorch state dict, to the safetensors file that the stage takes.

    python -m ispdsl.programs.demosaicnet_convert bayer.pth bayer.safetensors

The state dict is the file ``demosaicnet/data/bayer.pth`` of https://github.com/mgharbi/demosaicnet. It is read by
PyTorch's restricted unpickler, which makes tensors and nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ispdsl.errors import RunError
from ispdsl.programs.demosaicnet import SHAPES
from ispdsl.programs.weights import check_weights

LARGEST = 1 << 26
"""Bytes of a state dict that are read; the published one has 2.3 million."""


def convert(source: Path, target: Path) -> None:
    """Write the state dict `source` as the safetensors file `target`.

    Raises:
        RunError: the source is no state dict of the network, or a file cannot be read or written.
    """
    try:
        if source.stat().st_size > LARGEST:
            raise RunError(f"{source}: {source.stat().st_size} bytes are too many for this network")
        state = torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RunError(f"{source}: cannot be read: {error.strerror}") from None
    except RunError:
        raise
    except Exception:  # the unpickler and the archive reader fail in many ways; their advice is to switch checks off
        raise RunError(f"{source}: no state dict of tensors") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RunError(f"{source}: no state dict of tensors")
    tensors = {str(name): value.float().contiguous() for name, value in state.items()}
    check_weights({name: value.numpy() for name, value in tensors.items()}, SHAPES, str(source))
    try:
        save_file(tensors, target)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{target}: cannot be written: {error}") from None


def main(arguments: list[str]) -> int:
    """The command: two paths, what to read and what to write. Gives the exit status."""
    if len(arguments) != 2:
        print("usage: python -m ispdsl.programs.demosaicnet_convert STATE_DICT SAFETENSORS", file=sys.stderr)
        return 2
    try:
        convert(Path(arguments[0]), Path(arguments[1]))
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
