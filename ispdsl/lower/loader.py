"""From a path to a checked module: read, parse, import, lower."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ispdsl.diagnostics import Diagnostic, IspError, Report, Severity
from ispdsl.ir.model import Module, Pipeline, Stage
from ispdsl.lower.body import lower_pipeline
from ispdsl.lower.contract import Subject, footprint_of, lower_property
from ispdsl.lower.imports import Library, Loaded, imported_names, lower_path
from ispdsl.lower.scope import ABSENCES, Declared, Scope, Sink, check_name
from ispdsl.lower.search import display_name, real, standard_folders
from ispdsl.lower.signature import Context, lower_signature
from ispdsl.lower.standard import standard_names
from ispdsl.lower.tables import Files
from ispdsl.lower.unused import report_unused_imports
from ispdsl.source import Source, Span
from ispdsl.syntax import tree as t
from ispdsl.syntax.limits import MAX_ERRORS
from ispdsl.syntax.parser import parse

__all__ = ["empty_library", "load", "load_report", "load_text"]


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


def load_report(path: str | Path, library: Library | None = None) -> tuple[Module | None, Report]:
    """As `load`, but errors and warnings come back; without errors there is a module.

    Args:
        path: the file.
        library: an `empty_library` for all the files of a run: what several of them import is read and lowered once.

    Raises:
        OSError: the file cannot be opened.
    """
    path = Path(path)
    loaded = lower_path(real(path), display_name(path, path), library or empty_library())
    if isinstance(loaded, OSError):
        raise loaded
    return (None, Report.of([loaded])) if isinstance(loaded, Diagnostic) else _checked(loaded)


def load_text(source: Source, library: Library | None = None) -> tuple[Module | None, Report]:
    """As `load_report`, from a text at hand, which itself is not kept in the library."""
    library = library or empty_library()
    library.open.append(real(source.path or Path(source.name)))
    try:
        return _checked(_lower_file(source, library))
    finally:
        library.open.pop()


def empty_library() -> Library:
    """A library that holds no file yet."""
    return Library(_lower_file)


def _checked(loaded: Loaded) -> tuple[Module | None, Report]:
    files = loaded.closure()
    report = Report.of(diagnostic for file in files for diagnostic in file.diagnostics)
    return (None if report.errors else _module(loaded, files)), report


def _module(loaded: Loaded, files: list[Loaded]) -> Module:
    name = loaded.source.name
    stages, pipelines = _reachable(loaded, files)
    own = list(loaded.pipelines)
    named = f"{name}:{Path(name).stem}"
    return Module(
        file=name,
        files={file.source.name: file.digest for file in sorted(files, key=lambda file: file.source.name)},
        stages=dict(sorted(stages.items())),
        pipelines=dict(sorted(pipelines.items())),
        main=named if named in own else own[-1] if own else None,
    )


def _reachable(loaded: Loaded, files: list[Loaded]) -> tuple[dict[str, Stage], dict[str, Pipeline]]:
    """What the file declares, and what that uses: imports bring whole files along."""
    stages = {key: stage for file in files for key, stage in file.stages.items()}
    pipelines = {key: pipeline for file in files for key, pipeline in file.pipelines.items()}
    wanted = [d.signature.key for d in loaded.callables.values()]
    seen: set[str] = set()
    while wanted:
        key = wanted.pop()
        if key in seen:
            continue
        seen.add(key)
        if key in pipelines:
            wanted += [node.callee for node in pipelines[key].nodes]
        callable_ = stages.get(key) or pipelines[key]
        wanted += [name for p in callable_.signature.properties for name in p.names if name in stages]
    return (
        {key: stage for key, stage in stages.items() if key in seen},
        {key: pipeline for key, pipeline in pipelines.items() if key in seen},
    )


# ---- one file --------------------------------------------------------------------------------------------


def _lower_file(source: Source, library: Library) -> Loaded:
    parsed = parse(source)
    tree = parsed.tree
    lost = [d.primary.span for d in parsed.diagnostics if d.severity is Severity.ERROR]
    inside = [d.span for d in tree.declarations if any(_holds(d.span, span) for span in lost)]
    whole = all(any(_holds(outer, span) for outer in inside) for span in lost)
    sink = Sink(source, list(parsed.diagnostics), _gaps(tree, inside, bool(lost), whole))
    standard = standard_folders(source.path)
    imported, files = imported_names(tree, source, standard, library, sink)
    folders = ((source.path.parent,) if source.path else ()) + standard
    context = Context(sink, Files(folders, library.tables))
    own = _declare(tree, imported, frozenset(inside), context)
    missing = frozenset(name.text for import_ in tree.imports for name in import_.names) - imported.keys()
    scope = Scope({**imported, **own}, missing, lambda: standard_names(standard))
    stages: dict[str, Stage] = {}
    pipelines: dict[str, Pipeline] = {}
    believed = _believed(tree)
    for declared in own.values():
        lowered = _lower_declaration(declared, scope, context, declared.tree.name.text in believed)
        if isinstance(lowered, Stage):
            stages[declared.signature.key] = lowered
        else:
            pipelines[declared.signature.key] = lowered
    _report_recursion(own, pipelines, sink)
    if not sink.errors:
        report_unused_imports(tree, imported, sink)
    digest = hashlib.sha256(source.text.encode("utf-8", "surrogatepass")).hexdigest()
    return Loaded(source, digest, own, stages, pipelines, files, tuple(sink.found), whole)


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start <= outer.end


def _gaps(tree: t.File, inside: list[Span], broken: bool, whole: bool) -> Mapping[str, tuple[Span, ...]]:
    """Where which codes would be guesses, since the parser could not read all of the text."""
    gaps = {code: tuple(inside) for code in ABSENCES} if broken else {}
    return gaps if whole else {**gaps, **dict.fromkeys(("E201", "E214", "W606"), (tree.span,))}


def _declare(
    tree: t.File, imported: Mapping[str, Declared], broken: frozenset[Span], context: Context
) -> dict[str, Declared]:
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
        check_name(name, f"a {declaration.kind}", sink)
        own[name.text] = Declared(sink.source, declaration, signature, declaration.span in broken)
    return own


def _believed(tree: t.File) -> set[str]:
    """Stages of pipelines that an executor runs as a whole: they say what it is believed to do, and need not run."""
    whole = [each for each in tree.declarations if any(isinstance(item, t.Executor) for item in each.items)]
    flows = [item for each in whole for item in each.items if isinstance(item, t.Flow)]
    return {call.name.text for flow in flows for call in (flow.head, *flow.steps) if isinstance(call, t.Call)}


def _lower_declaration(declared: Declared, scope: Scope, context: Context, believed: bool) -> Stage | Pipeline:
    tree, signature, sink = declared.tree, declared.signature, context.sink
    contract = [item for item in tree.items if isinstance(item, t.Property)]
    subject = Subject(
        signature.inputs, signature.outputs, signature.parameters, signature.metas, signature.needs, declared.broken
    )
    properties = tuple(p for item in contract if (p := lower_property(item, subject, scope, sink)))
    signature = signature.model_copy(update={"properties": properties})
    footprint = footprint_of(tuple(contract), sink)
    if tree.kind == "pipeline":
        return lower_pipeline(declared, signature, scope, context)
    runs = any(isinstance(item, t.Program | t.Proxy | t.Executor) for item in tree.items)
    if not runs and not believed:
        hint = 'write program "package.module:function", or a proxy or executor line'
        sink.add("W606", f"nothing runs stage {tree.name.text}", tree.name.span, hint=hint)
    return Stage(signature=signature, footprint=footprint)


def _report_recursion(own: Mapping[str, Declared], pipelines: Mapping[str, Pipeline], sink: Sink) -> None:
    """Report pipelines of this file that call themselves; other files cannot call back: imports have no circles."""
    calls = {key: {node.callee for node in pipeline.nodes} & pipelines.keys() for key, pipeline in pipelines.items()}
    callers: dict[str, list[str]] = {key: [] for key in calls}
    for key, called in calls.items():
        for callee in called:
            callers[callee].append(key)
    # What calls nothing that may recur does not recur itself.
    waiting = {key: len(called) for key, called in calls.items()}
    harmless = [key for key, count in waiting.items() if not count]
    for key in harmless:
        for caller in callers[key]:
            waiting[caller] -= 1
            if not waiting[caller]:
                harmless.append(caller)
    suspects = calls.keys() - set(harmless)
    for declared in [d for d in own.values() if d.signature.key in suspects][:MAX_ERRORS]:
        if _reaches_itself(declared.signature.key, calls):
            message = f"pipeline {declared.tree.name.text} calls itself, directly or through others"
            sink.add("E213", message, declared.tree.name.span, hint="a graph is finite: write out what repeats")


def _reaches_itself(key: str, calls: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    reach = list(calls[key])
    while reach:
        callee = reach.pop()
        if callee not in seen:
            seen.add(callee)
            reach += calls[callee]
    return key in seen
