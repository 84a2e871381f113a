"""Files of pipelines that were built ahead of time: the record in them, which machine they fit, and whose they are.

A package is native code with a record of what it is. To load it is to run whatever it holds. Therefore only those
packages are loaded whose hash is on the user's own list, where `ispdsl build` puts them, or that the user trusts by
name each time. Nothing but the record, which is JSON, is read of others.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import time
import zipfile
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, Field, TypeAdapter

from ispdsl.errors import FileError
from ispdsl.runtime.slots import Slot, find

SUFFIX = ".pt2"
RECORD = "ispdsl.json"
EXPORTED = "models/model.json"
"""What a file of torch.export holds, and a package does not."""

LARGEST_RECORD = 64 << 20
LARGEST_PACKAGE = 4 << 30
PICTURE, BEFORE = "picture", "before"
"""The programs in a package: the pipeline, and the statistics of a grey frame before the first one."""

FEATURES = (
    "sse",
    "ssse",
    "avx",
    "fma",
    "f16c",
    "bmi",
    "adx",
    "popcnt",
    "movbe",
    "abm",
    "vaes",
    "vpclmul",
    "gfni",
    "amx",
)
"""How names of processor features begin that a compiler writes instructions for."""


class Machine(BaseModel, frozen=True, extra="forbid"):
    """What native code fits to."""

    system: str
    architecture: str
    torch: str
    isa: str
    """Vector instructions that torch uses: AVX2, AVX512, DEFAULT."""
    features: tuple[str, ...]
    """Of the processor, as far as Linux names them."""
    device: Literal["cpu", "cuda"]
    capability: str
    """Of the CUDA device; empty for a CPU."""


class Image(BaseModel, frozen=True, extra="forbid"):
    """An image that goes in or comes out: its name and type."""

    name: str
    type: str
    planes: int


class Number(BaseModel, frozen=True, extra="forbid"):
    """A tensor that goes in or comes out: name and shape; -1 is any size of 2 or more."""

    name: str
    shape: tuple[int, ...]
    default: float | None = None
    """Of metadata that a frame may leave out."""


class Record(BaseModel, frozen=True, extra="forbid"):
    """What a package holds, and what it was built from."""

    format: Literal[1] = 1
    ispdsl: str
    machine: Machine
    compiler: str
    pipeline: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the texts that define the pipeline."""
    doubles: dict[str, str] = {}
    """Networks in the places of stages, by address."""
    slots: tuple[Slot, ...]
    """Every parameter: those that are fixed, and choices, are part of the code."""
    images: tuple[Image, ...]
    size: tuple[int, int] | None
    """Height and width, where they are fixed."""
    smallest: int
    """Pixels that each side must have."""
    conditions: tuple[str, ...] = ()
    """What must hold of the sizes of what goes in; see `ispdsl.backends.conditions`."""
    settings: tuple[Number, ...]
    metadata: tuple[Number, ...]
    previous: tuple[Number, ...]
    outputs: tuple[Image, ...]
    taps: tuple[Image, ...]
    statistics: tuple[str, ...]
    errors: dict[str, float]
    """The largest difference to the composite that was seen when it was built, by name of an output, tap or statistic,
    in shares of the largest value and of 1."""
    seconds: float
    """That building took."""


class Known(BaseModel, frozen=True, extra="forbid"):
    """A package of one's own: its hash, where it was written, what it is, and since when (Unix time)."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    file: str
    pipeline: str
    since: float


KNOWN = TypeAdapter(list[Known])


# ---- the record ------------------------------------------------------------------------------------------


def record_of(path: Path | str) -> Record:
    """What a package says of itself; runs nothing of it.

    Raises:
        FileError: it is missing, damaged or no package.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"there is no package {path}", "`ispdsl build PIPELINE -o FILE.pt2` makes one")
    return read(path, path)


MAKE = "`ispdsl build PIPELINE -o FILE.pt2` makes one"


def check_archive(file: Path, path: Path) -> None:
    """Refuse what cannot be a package, without loading any of it; `path` is what the user calls it.

    Raises:
        FileError: it is another kind of file, or what `ispdsl export` makes.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = [each.filename for each in archive.infolist()]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise FileError(f"{path} is no package, or a damaged one", MAKE) from None
    if any(name.endswith(EXPORTED) for name in names):
        hint = "torch runs it, without ispdsl: torch.export.load(FILE).module()(image); " + MAKE
        raise FileError(f"{path} is a pipeline that was exported, and no package", hint)


def read(file: Path, path: Path) -> Record:
    """The record in a package; `path` is what the user calls it."""
    try:
        with zipfile.ZipFile(file) as archive:
            entry = next((each for each in archive.infolist() if each.filename.endswith(f"/{RECORD}")), None)
            if entry is None:
                raise FileError(f"{path} is no package of ispdsl", MAKE)
            if entry.file_size > LARGEST_RECORD:
                raise FileError(f"{path} is damaged: its record has {entry.file_size} bytes")
            content = archive.read(entry)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise FileError(f"{path} is damaged, or no package: {error}", "build it again") from error
    try:
        if json.loads(content).get("format") != 1:
            raise FileError(f"{path} was built by another version of ispdsl", "build it again with this one")
        record = Record.model_validate_json(content)
    except (ValueError, AttributeError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise FileError(f"{path} is damaged: its record is not well formed: {first}", "build it again") from error
    unknown = [number.name for number in record.settings if find(record.slots, number.name) is None]
    if unknown:
        raise FileError(f"{path} is damaged: it has no parameter {unknown[0]}", "build it again")
    return record


def this_machine(device: str = "cpu") -> Machine:
    """What native code on this machine fits to."""
    cuda = torch.cuda.get_device_capability() if device == "cuda" else ()
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        torch=torch.__version__,
        isa=torch.backends.cpu.get_cpu_capability(),
        features=_features(),
        device="cuda" if device == "cuda" else "cpu",
        capability=".".join(map(str, cuda)),
    )


def _features() -> tuple[str, ...]:
    """Features of the processor that a compiler writes instructions for; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ()
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return tuple(sorted({flag for flag in flags.split() if flag.startswith(FEATURES)}))


def check_machine(built: Machine, path: Path | str) -> None:
    """Refuse native code of another machine.

    Raises:
        FileError: what differs, and what is here.
    """
    if built.device == "cuda" and not torch.cuda.is_available():
        raise FileError(f"{path} was built for CUDA, and there is no CUDA device", "build it again with --device cpu")
    here = this_machine(built.device)
    for name in ("system", "architecture", "torch", "isa", "capability"):
        there, own = getattr(built, name), getattr(here, name)
        if there != own:
            raise FileError(f"{path} was built for {name} {there}, and this is {own}", "build it again here")
    lacking = sorted(set(built.features) - set(here.features))
    if lacking:
        shown = " ".join(lacking[:6])
        raise FileError(f"{path} was built for a processor with {shown}, which this one lacks", "build it again here")


# ---- whose it is -----------------------------------------------------------------------------------------


def store() -> Path:
    """The list of packages that this user built: ``ispdsl/built.json`` below XDG_STATE_HOME."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local/state"
    return base / "ispdsl/built.json"


def known() -> list[Known]:
    """The packages that this user built.

    Raises:
        FileError: the list is damaged, or somebody else may write to it.
    """
    path = store()
    try:
        stat = path.stat()
        if os.name == "posix" and (stat.st_uid != os.getuid() or stat.st_mode & 0o022):
            raise FileError(f"others may write to {path}, the list of packages that you built", f"chmod go-w {path}")
        return KNOWN.validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise FileError(f"the list of packages that you built, {path}, is damaged", f"remove {path}") from error


def remember(path: Path, pipeline: str) -> str:
    """Put a package on the user's list, in the place of what that file was before; its hash."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    own = str(path.resolve())
    others = [each for each in known() if each.file != own]
    target = store()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(
                KNOWN.dump_json(
                    [*others, Known(sha256=digest, file=own, pipeline=pipeline, since=time.time())], indent=1
                )
            )
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return digest
