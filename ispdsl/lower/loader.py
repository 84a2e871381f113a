"""From a path to a checked module: read, parse, import, lower."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ispdsl.diagnostics import Diagnostic, IspError, Report
from ispdsl.ir.model import Module, Pipeline, Stage
from ispdsl.lower.body import lower_pipeline
from ispdsl.lower.contract import Subject, footprint_of, lower_property
from ispdsl.lower.scope import Declared, Scope, Sink, listed, meant
from ispdsl.lower.search import candidates, display_name, standard_folders
from ispdsl.lower.signature import Context, lower_signature
from ispdsl.lower.tables import Files
from ispdsl.source import Source, Span
from ispdsl.syntax import tree as t
from ispdsl.syntax.parser import load_source, parse


@dataclass(frozen=True)
class Loaded:
    """A lowered file: what it declares, and everything behind it."""

    source: Source
    callables: Mapping[str, Declared]
    """What the file itself declares, by name."""
    stages: Mapping[str, Stage]
    pipelines: Mapping[str, Pipeline]
    """By key, with those of all files that it imports."""
    files: Mapping[str, str]


@dataclass
class Library:
    """The files of one load, each read once; `open` are those being read, to find circles."""

    main: Path | None
    loaded: dict[Path, Loaded | None] = field(default_factory=dict[Path, "Loaded | None"])
    open: list[Path] = field(default_factory=list[Path])
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])


def load(path: str | Path) -> Module:
    """Read and check a `.isp` file with all that it imports.

    Raises:
        IspError: the file has errors; the report holds them all.
        OSError: the file cannot be opened.
    """
    module, report = load_report(path)
    if module is None:
        raise IspError(report)
    return module


def load_report(path: str | Path) -> tuple[Module | None, Report]:
    """As `load`, but errors and warnings come back; without errors there is a module."""
    path = Path(path)
    source = load_source(path, display_name(path, path))
    if isinstance(source, Diagnostic):
        return None, Report.of([source])
    return load_text(source)


def load_text(source: Source) -> tuple[Module | None, Report]:
    """As `load_report`, from a text at hand."""
    library = Library(source.path)
    loaded = _lower_file(source, library)
    report = Report.of(library.found)
    return (None if report.errors else _module(loaded)), report


def _module(loaded: Loaded) -> Module:
    stages, pipelines = _reachable(loaded)
    own = [key for d in loaded.callables.values() if (key := d.signature.key) in loaded.pipelines]
    stem = Path(loaded.source.name).stem
    named = f"{loaded.source.name}:{stem}"
    return Module(
        file=loaded.source.name,
        files=dict(sorted(loaded.files.items())),
        stages=dict(sorted(stages.items())),
        pipelines=dict(sorted(pipelines.items())),
        main=named if named in own else own[-1] if own else None,
    )


def _reachable(loaded: Loaded) -> tuple[dict[str, Stage], dict[str, Pipeline]]:
    """What the file declares, and what that uses: imports bring whole files along."""
    wanted = [d.signature.key for d in loaded.callables.values()]
    seen: set[str] = set()
    while wanted:
        key = wanted.pop()
        if key in seen:
            continue
        seen.add(key)
        if key in loaded.pipelines:
            wanted += [node.callee for node in loaded.pipelines[key].nodes]
        callable_ = loaded.stages.get(key) or loaded.pipelines[key]
        wanted += [name for p in callable_.signature.properties for name in p.names if name in loaded.stages]
    stages = {key: stage for key, stage in loaded.stages.items() if key in seen}
    return stages, {key: pipeline for key, pipeline in loaded.pipelines.items() if key in seen}


# ---- one file --------------------------------------------------------------------------------------------


def _lower_file(source: Source, library: Library) -> Loaded:
    parsed = parse(source)
    sink = Sink(source)
    tree = parsed.tree
    imported, others = _imports(tree, source, library, sink)
    folders = ((source.path.parent,) if source.path else ()) + standard_folders(source.path or library.main)
    context = Context(sink, Files(folders))
    own = _declare(tree, imported, context)
    standard = standard_folders(source.path or library.main)
    missing = frozenset(name.text for import_ in tree.imports for name in import_.names) - imported.keys()
    scope = Scope({**imported, **own}, missing, lambda: standard_names(standard))
    stages = {key: stage for other in others for key, stage in other.stages.items()}
    pipelines = {key: pipeline for other in others for key, pipeline in other.pipelines.items()}
    for declared in own.values():
        lowered = _lower_declaration(declared, scope, context)
        if isinstance(lowered, Stage):
            stages[declared.signature.key] = lowered
        else:
            pipelines[declared.signature.key] = lowered
    _report_recursion(own, pipelines, sink)
    _report_unused_imports(tree, imported, sink)
    library.found += [*parsed.diagnostics, *sink.found]
    files = {name: digest for other in others for name, digest in other.files.items()}
    files[source.name] = hashlib.sha256(source.text.encode("utf-8", "surrogatepass")).hexdigest()
    return Loaded(source, own, stages, pipelines, files)


def _declare(tree: t.File, imported: Mapping[str, Declared], context: Context) -> dict[str, Declared]:
    """Lower the signatures of a file; a name that is taken is reported, and its first declaration stays."""
    sink = context.sink
    own: dict[str, Declared] = {}
    for declaration in tree.declarations:
        name = declaration.name
        signature = lower_signature(declaration, context)
        taken = own.get(name.text) or imported.get(name.text)
        if taken:
            related = [taken.label(taken.signature.location, "first here")]
            sink.add("E204", f"{name.text} is declared twice", name.span, related=related, hint="rename one of them")
            if name.text in own:
                continue
        if "." in name.text:
            sink.add(
                "E212", f"the name {name.text} may not hold a point", name.span, hint="points join names into addresses"
            )
        own[name.text] = Declared(sink.source, declaration, signature)
    return own


def _lower_declaration(declared: Declared, scope: Scope, context: Context) -> Stage | Pipeline:
    tree, signature, sink = declared.tree, declared.signature, context.sink
    contract = [item for item in tree.items if isinstance(item, t.Property)]
    subject = Subject(signature.inputs, signature.parameters, signature.metas, declared.written)
    properties = tuple(p for item in contract if (p := lower_property(item, subject, scope, sink)))
    signature = signature.model_copy(update={"properties": properties})
    footprint = footprint_of(tuple(contract), sink)
    if tree.kind == "pipeline":
        return lower_pipeline(declared, signature, scope, context)
    if not any(isinstance(item, t.Program | t.Proxy | t.Executor) for item in tree.items):
        hint = 'write program "package.module:function", or a proxy or executor line'
        sink.add("W606", f"nothing runs stage {tree.name.text}", tree.name.span, hint=hint)
    return Stage(signature=signature, footprint=footprint)


# ---- imports ---------------------------------------------------------------------------------------------


def _imports(tree: t.File, source: Source, library: Library, sink: Sink) -> tuple[dict[str, Declared], list[Loaded]]:
    """The imported declarations by name, and the files that they come from."""
    names: dict[str, Declared] = {}
    first: dict[str, Span] = {}
    files: list[Loaded] = []
    for import_ in tree.imports:
        loaded = _open(import_, source, library, sink)
        for name in import_.names:
            if name.text in first:
                related = [sink.label(first[name.text], "first here")]
                sink.add("E204", f"{name.text} is imported twice", name.span, related=related)
                continue
            first[name.text] = name.span
            if loaded is None:
                continue
            found = loaded.callables.get(name.text)
            if found is None:
                hint = meant(name.text, loaded.callables, f"it has {listed(sorted(loaded.callables))}")
                sink.add("E208", f"{loaded.source.name} has no {name.text}", name.span, hint=hint)
                continue
            names[name.text] = found
        if loaded:
            files.append(loaded)
    return names, files


def _open(import_: t.Import, source: Source, library: Library, sink: Sink) -> Loaded | None:
    """The file behind an import, lowered once; reported when it cannot be had."""
    span = import_.origin.span
    if isinstance(import_.origin, t.String) and (
        not import_.origin.text.endswith(".isp") or import_.origin.text.startswith("/")
    ):
        sink.add(
            "E207",
            "an import in quotes is the path of a .isp file beside this one",
            span,
            hint='such as "common/raw.isp"',
        )
        return None
    paths = [path.resolve() for path in candidates(import_, source.path or library.main) if "\0" not in str(path)]
    here = source.path.resolve() if source.path else None
    # A file that bears the name of a standard one may import it: it never means itself.
    path = next((p for p in paths if p != here and p.is_file()), here if here in paths else None)
    if path is None:
        known = standard_files(standard_folders(source.path or library.main))
        looked = ", ".join(str(p.parent) for p in paths)
        sink.add(
            "E207",
            f"no file for import {import_.origin.text}",
            span,
            hint=meant(import_.origin.text, known, f"looked in {looked}"),
        )
        return None
    if path == here or path in library.open:
        sink.add(
            "E209",
            f"{path.name} imports itself, directly or through others",
            span,
            hint="move what both need into a third file",
        )
        return None
    if path not in library.loaded:
        library.loaded[path] = _load_import(path, here, import_, library, sink)
    return library.loaded[path]


def _load_import(path: Path, here: Path | None, import_: t.Import, library: Library, sink: Sink) -> Loaded | None:
    if len(library.open) > 32:
        sink.add("E209", "imports are nested more than 32 deep", import_.span)
        return None
    try:
        read = load_source(path, display_name(path, library.main))
    except OSError as error:
        sink.add("E207", f"{path.name} cannot be read: {error.strerror}", import_.origin.span)
        return None
    if isinstance(read, Diagnostic):
        library.found.append(read)
        return None
    library.open.append(here or Path())
    try:
        return _lower_file(read, library)
    finally:
        library.open.pop()


def _report_unused_imports(tree: t.File, imported: Mapping[str, Declared], sink: Sink) -> None:
    used: set[str] = set()
    for declaration in tree.declarations:
        for item in declaration.items:
            match item:
                case t.Flow():
                    used |= {step.name.text for step in (item.head, *item.steps) if isinstance(step, t.Call)}
                case t.Stat():
                    used.add(item.call.name.text)
                case t.Property():
                    used |= {name.text for name in item.names}
                case _:
                    pass
    for import_ in tree.imports:
        for name in import_.names:
            if name.text in imported and name.text not in used:
                sink.add("W601", f"{name.text} is imported and never used", name.span, hint="remove it")


def _report_recursion(own: Mapping[str, Declared], pipelines: Mapping[str, Pipeline], sink: Sink) -> None:
    """Report pipelines of this file that call themselves; other files cannot call back: imports have no circles."""
    calls = {
        d.signature.key: {node.callee for node in pipelines[d.signature.key].nodes}
        for d in own.values()
        if d.signature.key in pipelines
    }
    for declared in own.values():
        key = declared.signature.key
        seen: set[str] = set()
        reach = list(calls.get(key, ()))
        while reach:
            callee = reach.pop()
            if callee not in seen:
                seen.add(callee)
                reach += calls.get(callee, ())
        if key in seen:
            message = f"pipeline {declared.tree.name.text} calls itself, directly or through others"
            sink.add("E213", message, declared.tree.name.span, hint="a graph is finite: write out what repeats")


# ---- what the standard library offers, for hints -----------------------------------------------------------


@cache
def standard_files(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Names under which the standard files are imported."""
    found = [
        path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
        for folder in folders
        for path in sorted(folder.rglob("*.isp"))
    ]
    return tuple(dict.fromkeys(found))


@cache
def standard_names(folders: tuple[Path, ...]) -> Mapping[str, str]:
    """The standard stages and pipelines by name, with the file of each."""
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.isp")):
            source = load_source(path, path.name)
            if isinstance(source, Source):
                origin = path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
                for declaration in parse(source).tree.declarations:
                    found.setdefault(declaration.name.text, origin)
    return found
