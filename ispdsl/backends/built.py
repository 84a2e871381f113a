"""Pipelines that `ispdsl build` made: native code, loaded and run without ispdsl's compiler.

    isp = load_built("finish.pt2")
    picture = isp(mosaic, {"exposure.ev": 0.5}, metadata).image

`ispdsl.backends.package` says which packages are loaded, and why no others.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._C._aoti import AOTIModelPackageLoader

from ispdsl.backends import values
from ispdsl.backends.composite import Rendering
from ispdsl.backends.conditions import broken
from ispdsl.backends.package import (
    BEFORE,
    LARGEST_PACKAGE,
    PICTURE,
    SUFFIX,
    Number,
    Record,
    check_archive,
    check_machine,
    known,
    read,
)
from ispdsl.errors import FileError, RunError
from ispdsl.runtime.slots import Slot, find, is_table
from ispdsl.runtime.values import Settings, SettingsError


@dataclass(frozen=True, eq=False)
class Built:
    """A package that is loaded. It is called like a composite, without batches."""

    record: Record
    programs: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.record.pipeline

    @property
    def sha256(self) -> str:
        """Hash of the texts that define it."""
        return self.record.sha256

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The address table."""
        return self.record.slots

    @property
    def feeds_back(self) -> bool:
        """Whether it reads a statistic of the frame before."""
        return bool(self.record.previous)

    def __call__(
        self,
        image: Tensor | Mapping[str, Tensor],
        settings: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        previous: Mapping[str, Tensor] | None = None,
    ) -> Rendering:
        """Run the pipeline, without gradients.

        Args:
            image: ``(C, H, W)``; a mapping by name where there are several.
            settings: as `Composite.forward` takes them, all held to the hard range. What is fixed and what is a choice
                is part of the code and cannot be given.
            metadata: canonical values by name.
            previous: the `statistics` of the frame before; without them, those of a flat grey of 18 %.

        Raises:
            RunError: wrong or missing images, settings or metadata.
        """
        record, given = self.record, metadata or {}
        images = self._images(image)
        like = images[0]
        numbers = [self._setting(number, settings or {}, given, like) for number in record.settings]
        self._known(settings or {})
        frame = [_metadata(number, given, like, record.pipeline) for number in record.metadata]
        flat = [*images, *numbers, *frame]
        if self._broken(tuple(value.shape) for value in flat) is not None:
            size = "x".join(map(str, like.shape[-2:]))
            what = f"images of {size} px take another way through {record.pipeline} than this package was built for"
            raise RunError(what, f"build one with --size {size}")
        if record.previous:
            flat += self._previous(previous, flat, like)
        found = iter(self.programs[PICTURE].boxed_run(flat))
        return Rendering(
            outputs={port.name: next(found) for port in record.outputs},
            taps={tap.name: next(found) for tap in record.taps},
            statistics={name: next(found) for name in record.statistics},
        )

    def takes(self, size: tuple[int, int], grid: int = 3) -> bool:
        """Whether images of this height and width fit, with `grid` rows and columns of grids of metadata."""
        shapes = [(port.planes, *size) for port in self.record.images]
        shapes += [number.shape for number in self.record.settings]
        shapes += [tuple(grid if n == -1 else n for n in number.shape) for number in self.record.metadata]
        fits = self.record.size in (None, size) and min(size) >= self.record.smallest
        return fits and self._broken(shapes) is None

    def _broken(self, shapes: Iterable[tuple[int, ...]]) -> str | None:
        """The first condition that images, settings and metadata of these shapes break."""
        record = self.record
        kinds = {"images": record.images, "settings": record.settings, "metadata": record.metadata}
        names = [f"{kind}.{each.name}" for kind, group in kinds.items() for each in group]
        sizes = dict(zip(names, shapes, strict=True))
        sizes |= {f"previous.{number.name}": number.shape for number in record.previous}
        return broken(record.conditions, sizes)

    def _images(self, image: Tensor | Mapping[str, Tensor]) -> list[Tensor]:
        record = self.record
        names = [port.name for port in record.images]
        given = {names[0]: image} if isinstance(image, Tensor) else dict(image)
        if given.keys() != set(names):
            raise RunError(f"{record.pipeline} takes the images {', '.join(names)}", "give a mapping by these names")
        sizes = {tuple(each.shape[1:]) for each in given.values()}
        for port in record.images:
            found = given[port.name]
            right = found.dim() == 3 and found.shape[0] == port.planes and found.dtype == torch.float32
            if not right or found.device.type != record.machine.device:
                what = f"{port.name} is {tuple(found.shape)} of {found.dtype} on {found.device.type}"
                wanted = f"({port.planes}, H, W) of torch.float32 on {record.machine.device}"
                raise RunError(what, f"this package takes {wanted}")
        size = min(sizes)
        if len(sizes) > 1 or min(size) < record.smallest or record.size not in (None, size):
            fixed = record.size or (f"{record.smallest} or more", f"{record.smallest} or more")
            raise RunError(
                f"images of {' x '.join(map(str, size))} px do not fit",
                f"this package was built for {fixed[0]} x {fixed[1]}",
            )
        return [given[name].contiguous() for name in names]

    def _setting(
        self, number: Number, settings: Mapping[str, Any], metadata: Mapping[str, Any], like: Tensor
    ) -> Tensor:
        slot = find(self.slots, number.name)
        assert slot is not None, "the record was checked"
        if number.name in settings:
            value = values.setting(slot, settings[number.name], like, checked=True)
        elif slot.start_meta is not None and slot.start_meta in metadata:
            value = values.limited(slot, metadata[slot.start_meta], like)
        elif slot.start is None:
            hint = f"give the frame {slot.start_meta}, or set {slot.address}"
            raise RunError(f"{slot.address} starts at the metadata {slot.start_meta}, which is not given", hint)
        else:
            start = values.table_tensor(slot) if is_table(slot) else torch.tensor(float(values.constant(slot)))
            value = start.to(like)
        assert isinstance(value, Tensor), "choices are no inputs"
        return _shaped(number, value, "setting")

    def _known(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings that the package does not take."""
        taken = {number.name for number in self.record.settings}
        for address, value in settings.items():
            if address in taken:
                continue
            try:
                slot = Settings.of(self).slot(address)
            except SettingsError as error:
                raise RunError(error.message, error.hint) from error
            if slot.drives and not (slot.static and not slot.fixed and values.static(slot, value) == slot.start):
                raise RunError(f"{address} is part of this package's code", f"build it again with --set {address}=...")

    def _previous(self, previous: Mapping[str, Tensor] | None, flat: list[Tensor], like: Tensor) -> list[Tensor]:
        wanted = self.record.previous
        missing = [number for number in wanted if number.name not in (previous or {})]
        found = dict(previous or {})
        if missing:
            grey = self.programs[BEFORE].boxed_run(list(flat))
            found = {**{number.name: value for number, value in zip(wanted, grey, strict=True)}, **found}
        return [_shaped(number, values.tensor(number.name, found[number.name], like), "statistic") for number in wanted]


def _metadata(number: Number, given: Mapping[str, Any], like: Tensor, pipeline: str) -> Tensor:
    """A value of the frame, or its default."""
    if number.name in given:
        value = values.tensor(number.name, given[number.name], like)
    elif number.default is not None:
        value = torch.tensor(number.default).to(like)
    else:
        raise RunError(
            f"{pipeline} needs the metadata {number.name}, which the frame does not have",
            f"give metadata[{number.name!r}]",
        )
    if -1 in number.shape:
        return _grid(number, value)
    return _shaped(number, value.expand(number.shape) if value.dim() == 0 else value, "metadata")


def _grid(number: Number, value: Tensor) -> Tensor:
    """A grid ``(planes, rows, columns)`` of at least 2 x 2 knots; what is constant along an axis is repeated."""
    value = value.reshape(1, 1, 1) if value.dim() == 0 else value
    if value.dim() != 3 or value.shape[0] not in (1, number.shape[0]):
        raise RunError(f"{number.name} has the shape {tuple(value.shape)}", "a grid is planes x rows x columns")
    sizes = (number.shape[0], *(max(size, 2) for size in value.shape[1:]))
    return value.expand(sizes).contiguous()


def _shaped(number: Number, value: Tensor, what: str) -> Tensor:
    """A value of the shape that the code was compiled for.

    Raises:
        RunError: another shape.
    """
    if tuple(value.shape) != number.shape:
        wanted = " x ".join(map(str, number.shape)) or "one number"
        raise RunError(f"the {what} {number.name} has the shape {tuple(value.shape)}", f"this package takes {wanted}")
    return value.contiguous()


# ---- loading ---------------------------------------------------------------------------------------------


def load_built(path: Path | str, *, trust: bool = False) -> Built:
    """Load a package.

    Args:
        path: a file that `ispdsl build` wrote.
        trust: run the native code in it although it is not on this user's list of packages built here.

    Raises:
        FileError: missing, damaged, no package, not trusted, or of another machine, processor or version of torch.
    """
    path = Path(path)
    folder = Path(tempfile.mkdtemp(prefix="ispdsl-"))  # 0700: nobody can change what was hashed before it is loaded
    try:
        copy = folder / f"package{SUFFIX}"
        digest = _copied(path, copy)
        check_archive(copy, path)
        if not trust and digest not in {each.sha256 for each in known()}:
            message = f"{path} holds native code, and is no package that you have built on this machine"
            raise FileError(message, "where you know who built it: --trust-package, or load_built(path, trust=True)")
        record = read(copy, path)
        check_machine(record.machine, path)
        names = (PICTURE, BEFORE) if record.previous else (PICTURE,)
        try:
            loaders = {name: AOTIModelPackageLoader(str(copy), name, False, 1, -1) for name in names}
        except RuntimeError as error:
            first = str(error).partition("\n")[0]
            raise FileError(f"{path} cannot be loaded: {first}", "build it again") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Built(record, loaders)


def _copied(path: Path, copy: Path) -> str:
    """Copy a package, and give the hash of the copy."""
    digest = hashlib.sha256()
    try:
        if path.stat().st_size > LARGEST_PACKAGE or not path.is_file():
            raise FileError(f"{path} is no package", "`ispdsl build PIPELINE -o FILE.pt2` makes one")
        with path.open("rb") as source, copy.open("xb") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
