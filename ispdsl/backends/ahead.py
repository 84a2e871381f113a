"""Build a pipeline ahead of time: by torch.export and AOTInductor into a package of native code (`ispdsl build`).

What is built gives outputs, taps and statistics from images, settings, metadata and the statistics of the frame before.
It is run beside the composite before anybody gets it, and refused where the two differ by more than 1e-5.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import torch
import torch._inductor
from torch import Tensor
from torch.export import Dim
from torch.export.pt2_archive._package import package_pt2

from ispdsl.backends.arguments import Arguments, Call
from ispdsl.backends.built import Built, load_built
from ispdsl.backends.composite import Composite
from ispdsl.backends.conditions import binding
from ispdsl.backends.examples import difference, example, moved
from ispdsl.backends.inductor import check_compiler, options
from ispdsl.backends.package import (
    BEFORE,
    LARGEST_PACKAGE,
    PICTURE,
    RECORD,
    SUFFIX,
    Image,
    Number,
    Record,
    remember,
    this_machine,
)
from ispdsl.calls import canonical_meta
from ispdsl.errors import CompileError, RunError, UserError
from ispdsl.graph import Graph
from ispdsl.ir.model import Meta
from ispdsl.ir.types import Type
from ispdsl.runtime.values import Settings

TOLERANCE = 1e-5
"""How far a package may be from its composite, in shares of 1 or of the largest value if that is more."""

TRACED = (97, 131)
"""Height and width of the images that a program of any size is traced with; odd, see `conditions`."""

TRIED = (TRACED, (98, 132), (98, 131), (161, 120))
"""Those that it is tried with, of which those count that it takes."""


@dataclass(frozen=True)
class Package:
    """What was built: the file, its hash, and the record in it."""

    path: Path
    sha256: str
    record: Record


def settled(graph: Graph, settings: Settings, fixed: Collection[str] = ()) -> Graph:
    """A graph that starts where settings are, some of them for good.

    Args:
        graph: as built.
        settings: of that graph.
        fixed: addresses or patterns (``tone.*``) of what nobody is to change any more.

    Raises:
        RunError: a pattern that no parameter has, or one that waits for metadata and cannot be fixed yet.
    """
    known = [slot.address for slot in graph.slots]
    for pattern in fixed:
        if not any(fnmatchcase(address, pattern) for address in known):
            raise RunError(f"{graph.name} has no parameter {pattern}", f"it has {', '.join(known[:8])}")
    slots = [
        replace(slot, start=settings.changed[slot.address], start_meta=None)
        if slot.address in settings.changed
        else slot
        for slot in graph.slots
    ]
    chosen = {slot.address for slot in slots if any(fnmatchcase(slot.address, pattern) for pattern in fixed)}
    return replace(graph, slots=tuple(replace(slot, fixed=True) if slot.address in chosen else slot for slot in slots))


def build(
    composite: Composite,
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    device: str = "cpu",
) -> Package:
    """Build a package, hold it to its composite, and put it on the user's list of packages.

    Args:
        composite: as `ispdsl.compile` gives it, of a graph that is `settled`; it is moved to the device. Its choices
            and what is fixed become part of the code.
        path: where it goes, a ``.pt2`` file.
        size: height and width of the images in pixels, where they are always the same: it builds and runs faster.
        device: ``cpu`` or ``cuda``.

    Raises:
        CompileError: there is no C++ compiler, a stage cannot be exported or compiled, or the package differs from
            the composite.
        OSError: the file cannot be written.
    """
    path, before = Path(path), time.perf_counter()
    if path.suffix != SUFFIX:
        raise CompileError(f"{path} is no {SUFFIX} file", f"call it {path.with_suffix(SUFFIX)}")
    compiler = check_compiler(torch.device(device))
    composite = composite.to(device)
    given = example(composite, size or TRACED, device)
    with torch.no_grad():
        exported = {PICTURE: _exported(Call(composite, given.choices, given.texts), given.tensors, size, composite)}
        if composite.feeds_back:
            exported[BEFORE] = _exported(_Before(composite, given), given.tensors[:3], size, composite)
        files = {name: _compiled(program, composite.name) for name, program in exported.items()}
    conditions = _conditions(exported.values(), composite.name)
    record = _record(composite, given, size, device, compiler, _smallest(exported.values(), size), conditions)
    draft = path.with_name(f".{path.stem}.building{SUFFIX}")
    try:
        _write(draft, files, record)
        errors = _differences(composite, load_built(draft, trust=True), size, device)
        _check(errors, composite.name)
        record = record.model_copy(update={"errors": errors, "seconds": round(time.perf_counter() - before, 1)})
        _write(draft, files, record)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Package(path, remember(path, composite.name), record)


class _Before(torch.nn.Module):
    """The statistics that stand for the frame before the first one, in their order."""

    def __init__(self, composite: Composite, given: Arguments) -> None:
        super().__init__()
        self.composite = composite
        self._choices, self._texts = given.choices, given.texts

    def forward(
        self, images: dict[str, Tensor], settings: dict[str, Tensor], metadata: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        return self.composite.grey_before(images, {**settings, **self._choices}, {**metadata, **self._texts})


# ---- tracing and compiling -------------------------------------------------------------------------------


def _exported(
    module: torch.nn.Module, given: tuple[dict[str, Tensor], ...], size: tuple[int, int] | None, composite: Composite
) -> torch.export.ExportedProgram:
    grids = {meta.name for meta in composite.plan.graph.metas if meta.type.name == "grid"}

    def axes(kind: int, name: str, value: Tensor) -> dict[int, Any] | None:
        free = (kind == 0 and size is None and value.dim() == 3) or (kind == 2 and name in grids)
        return {1: Dim.DYNAMIC, 2: Dim.DYNAMIC} if free else None

    shapes = tuple({name: axes(kind, name, value) for name, value in each.items()} for kind, each in enumerate(given))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, given, dynamic_shapes=shapes, strict=False)
    except UserError:
        raise
    except Exception as error:  # whatever tracing raises
        first = str(error).strip().partition("\n")[0]
        hint = "a stage run by an executor cannot be exported; with --size a program need not fit every size"
        raise CompileError(f"{composite.name} cannot be exported: {type(error).__name__}: {first}", hint) from error


def _compiled(program: torch.export.ExportedProgram, name: str) -> Any:
    """The files that AOTInductor makes of a program."""
    assert program.example_inputs is not None, "export keeps them"
    arguments_, keywords = program.example_inputs
    told = {**options(), "aot_inductor.package": True, "cpp.dynamic_threads": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch._inductor.aot_compile(program.module(), arguments_, keywords, options=told)
    except Exception as error:  # of inductor, or the C++ compiler
        first = str(error).strip().partition("\n")[0]
        hint = "the composite itself needs no compiling; with --size a program need not fit every size"
        raise CompileError(f"{name} cannot be compiled: {type(error).__name__}: {first}", hint) from error


def _conditions(programs: Iterable[torch.export.ExportedProgram], name: str) -> tuple[str, ...]:
    """What tracing decided by the sizes of what goes in.

    Raises:
        CompileError: this version of torch does not say, or in a way that is not known.
    """
    try:
        # torch has no public name for them; `_guards_code` is what `ExportedProgram.module` checks.
        return binding(text for program in programs for text in vars(program)["_guards_code"] or ())
    except (KeyError, ValueError) as error:
        what = f"{name} cannot be built for every size: which sizes its program fits is not known ({error})"
        raise CompileError(what, "build it with --size") from error


def _smallest(programs: Iterable[torch.export.ExportedProgram], size: tuple[int, int] | None) -> int:
    """Pixels that each side must have, by what tracing found."""
    if size is not None:
        return min(size)
    ranges = [found for program in programs for found in program.range_constraints.values()]
    return max([2, *(int(found.lower) for found in ranges)])


def _write(path: Path, files: Mapping[str, Any], record: Record) -> None:
    package_pt2(str(path), aoti_files=dict(files), extra_files={RECORD: record.model_dump_json(indent=1)})
    if path.stat().st_size > LARGEST_PACKAGE:
        raise CompileError(f"{path} is larger than {LARGEST_PACKAGE >> 30} GiB", "leave out doubles, or --fix less")


def _record(
    composite: Composite,
    given: Arguments,
    size: tuple[int, int] | None,
    device: str,
    compiler: str,
    smallest: int,
    conditions: tuple[str, ...],
) -> Record:
    graph = composite.plan.graph
    metas = {meta.name: meta for meta in graph.metas}
    outcome = composite(given.images, {**given.settings, **given.choices}, {**given.metadata, **given.texts})
    proxies = {step.node: step.implementation for step in composite.plan.steps if not _is_program(step.implementation)}
    return Record(
        ispdsl=distributions.version("ispdsl"),
        machine=this_machine(device),
        compiler=compiler,
        pipeline=composite.name,
        sha256=composite.sha256,
        doubles=proxies,
        slots=graph.slots,
        images=tuple(_image(port.name, port.type) for port in graph.inputs if port.type.is_image),
        size=size,
        smallest=smallest,
        conditions=conditions,
        settings=tuple(Number(name=name, shape=tuple(value.shape)) for name, value in given.settings.items()),
        metadata=tuple(_told(metas[name], value) for name, value in given.metadata.items()),
        previous=tuple(Number(name=name, shape=tuple(value.shape)) for name, value in given.previous.items()),
        outputs=tuple(_image(port.name, port.type) for port in graph.outputs),
        taps=tuple(_image(name, graph.type_of(value)) for name, value in graph.taps.items()),
        statistics=tuple(outcome.statistics),
        errors={},
        seconds=0.0,
    )


def _is_program(implementation: str) -> bool:
    return implementation.startswith("program ")


def _image(name: str, type_: Type) -> Image:
    return Image(name=name, type=str(type_), planes=type_.planes)


def _told(meta: Meta, value: Tensor) -> Number:
    """Metadata with its shape, and the number that stands for it where a frame has none."""
    start = canonical_meta(meta, meta.default) if meta.default is not None else None
    shape = (value.shape[0], -1, -1) if meta.type.name == "grid" else tuple(value.shape)
    return Number(name=meta.name, shape=shape, default=start if isinstance(start, float) else None)


# ---- the look at what was built --------------------------------------------------------------------------


def _differences(composite: Composite, built: Built, size: tuple[int, int] | None, device: str) -> dict[str, float]:
    """The largest difference of a package to its composite by name, over some scenes and settings."""
    found: dict[str, float] = {}
    for seed, sides in enumerate((size, size) if size else TRIED):
        if sides != TRACED and not built.takes(sides):
            continue
        given = example(composite, sides, device, seed)
        numbers = given.settings if seed == 0 else moved(composite, given)
        previous = given.previous if seed else {}
        wanted = composite(given.images, {**numbers, **given.choices}, given.metadata, previous)
        seen = built(given.images, numbers, given.metadata, previous)
        for kind in ("outputs", "taps", "statistics"):
            for name, value in getattr(wanted, kind).items():
                apart = difference(getattr(seen, kind)[name], value)
                found[name] = max(apart, found.get(name, 0.0))
    return found


def _check(errors: Mapping[str, float], name: str) -> None:
    worst = max(errors, key=errors.__getitem__)
    if errors[worst] > TOLERANCE:
        what = f"{name} was built, but its {worst} differs from the composite's by {errors[worst]:.1e}"
        raise CompileError(f"{what}; more than {TOLERANCE:g} is no package", "a stage with a hard decision may do that")
