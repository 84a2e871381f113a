"""Settings from an edit that was saved by darktable, and a sidecar that gives darktable our settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ispdsl.executors.darktable_chain import UPRIGHT, chain_of, recipe
from ispdsl.executors.darktable_cli import ALWAYS
from ispdsl.executors.darktable_fields import unpack
from ispdsl.executors.darktable_xmp import encode_history, read_sidecar
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Declared
from ispdsl.runtime.frame import Frame, Metadata
from ispdsl.runtime.slots import PhysicalValue

IGNORED = (UPRIGHT, *ALWAYS)
"""Operations of a history that change no value: how the picture lies, and the screen's encoding."""


def read_history(path: Path, declared: Declared, frame: Frame | None = None) -> dict[str, PhysicalValue]:
    """The settings, by address and in declared units, at which a pipeline or stage does what a sidecar says.

    A module that is off turns its stage's toggle off; where the file has none of it, its sliders are not told.

    Args:
        path: an ``.xmp`` of darktable.
        declared: what the text says of the pipeline.
        frame: the raw file of the sidecar; needed where fields depend on its metadata.

    Raises:
        CompileError: the pipeline's text is wrong.
        ExecutorError: `GARBAGE` or `MISSING` where the file is no sidecar; `VERSION` where a module is of another
            version; `SETTINGS` where the file says what the pipeline has no setting for.
    """
    chain, entries = chain_of(declared), read_sidecar(path)
    metadata: Metadata = frame.metadata if frame is not None else {}
    found: dict[str, PhysicalValue] = {}
    for link in chain.links:
        module, addresses = link.module, link.node.parameters
        entry = entries.get(module.operation)
        if (entry is None or not entry.enabled) and module.enabled is None:
            message = f"{path} does not run {module.operation}, and {link.node.address} always does"
            raise ExecutorError(Fault.SETTINGS, message, "give its stage a toggle: executor darktable(enabled = ...)")
        if entry is None:
            found[addresses[str(module.enabled)]] = False
            continue
        found |= {addresses[name]: value for name, value in unpack(module, entry, metadata).items()}
    known = {link.module.operation for link in chain.links}
    stranger = next((name for name, each in entries.items() if each.enabled and name not in (*known, *IGNORED)), None)
    if stranger is not None:
        message = f"{path} runs {stranger}, and {declared.name} does not"
        raise ExecutorError(Fault.SETTINGS, message, f"add a stage for {stranger}, or switch it off in darktable")
    return found


def write_history(
    path: Path, declared: Declared, settings: Mapping[str, PhysicalValue], frame: Frame | None = None
) -> None:
    """Write a sidecar with which darktable makes the pipeline's last picture, to open it there and go on.

    Args:
        path: the new ``.xmp``, beside the raw file and named after it.
        declared: what the text says of the pipeline.
        settings: by address, in declared units.
        frame: the raw file.

    Raises:
        CompileError: the pipeline's text is wrong.
        ExecutorError: `SETTINGS` where a setting cannot be told.
    """
    chain = chain_of(declared)
    found = recipe(chain, len(chain.links) - 1, settings, frame.metadata if frame is not None else {})
    path.write_bytes(encode_history(found.entries))
