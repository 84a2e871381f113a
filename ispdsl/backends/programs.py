"""Find the Python function behind a ``program`` line, and hold it to the stage's declaration."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ispdsl.calls import Call, substitute
from ispdsl.diagnostics import nearest
from ispdsl.errors import CompileError
from ispdsl.ir.model import Module
from ispdsl.ir.types import is_variable

OWN = "ispdsl.programs"
"""The package whose programs always run."""

LAYOUT_KEYWORDS = ("cfa", "space")
"""Keywords that a program may ask for besides those that its stage declares."""

PLACE = "place"
"""A further one, with a default: where the image lies in the whole one, an `ispdsl.programs.tiling.Place`."""

_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


@dataclass(frozen=True)
class Program:
    """A function, and the CFA and colour space that it asked for."""

    function: Callable[..., Any] = field(repr=False)
    layout: dict[str, str]
    placed: bool = False
    """Whether it can be told where its image lies in a larger one."""


def bind(call: Call, trust: Collection[str] = ()) -> Program:
    """The program of a call.

    Args:
        call: with its implementation chosen.
        trust: top-level packages whose code may be run, besides ispdsl's own programs.

    Raises:
        CompileError: the package is not trusted, the function does not exist, or it does not take what the stage gives.
    """
    assert call.implementation is not None, "select chose one"
    target = call.implementation.target
    where = f"node {call.address}, stage {call.signature.name}, program {target} ({call.implementation.location})"
    function = _find(target, where, trust)
    wanted = _agree(function, call, where)
    declared = {item.name for item in (*call.signature.parameters, *call.signature.metas, *call.signature.needs)}
    placed = PLACE in inspect.signature(function).parameters and PLACE not in declared
    return Program(function, {name: _layout(name, call, where) for name in wanted}, placed)


def check_trust(trust: Collection[str], module: Module) -> None:
    """Refuse trust that does nothing: a mistyped name would otherwise look like permission.

    Raises:
        CompileError: an entry is no plain name of a package, or no program of the module is in that package.
    """
    if isinstance(trust, str):
        raise CompileError(f"trust is the text {trust!r}, not a collection of names", f'write trust=("{trust}",)')
    targets = [
        implementation.target
        for stage in module.stages.values()
        for implementation in stage.signature.implementations
        if implementation.kind == "program"
    ]
    used = {target.partition(":")[0].partition(".")[0] for target in targets}
    for entry in trust:
        package = entry.partition(":")[0].partition(".")[0]
        if not entry.isidentifier():
            hint = f"trust {package}, the package as a whole" if package.isidentifier() else None
            raise CompileError(f"cannot trust {entry!r}: it is no name of a top-level package", hint)
        if entry not in used:
            near = nearest(entry, used - {OWN.partition(".")[0]})
            raise CompileError(f"trusted {entry}, which no program uses", f"did you mean {near}?" if near else None)


def _find(target: str, where: str, trust: Collection[str]) -> Callable[..., Any]:
    match = _TARGET.fullmatch(target)
    if not match:
        raise CompileError(f"{where}: {target!r} names no function", 'write "package.module:function"')
    module, name = match[1], match[2]
    package = module.partition(".")[0]
    if not (module == OWN or module.startswith(f"{OWN}.")) and package not in trust:
        hint = (
            f'allow it by --trust {package} on the command line, compile(..., trust=("{package}",)) in Python; '
            "running a program runs its code"
        )
        raise CompileError(f"{where}: the package {package} is not trusted", hint)
    function = getattr(_import(module, where), name, None)
    if not callable(function):
        raise CompileError(f"{where}: {module} has no function {name}")
    return function


def _import(module: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}.")
        hint = "install the package, or set PYTHONPATH to the folder that holds it" if missing else None
        raise CompileError(f"{where}: cannot import {module}: {type(error).__name__}: {error}", hint) from error


def _agree(function: Callable[..., Any], call: Call, where: str) -> tuple[str, ...]:
    """Check that a function takes the images and keywords of its stage; which layout keywords it asks for."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    images = len(call.signature.inputs)
    if images > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise CompileError(f"{where}: it takes {len(positional)} images, the stage gives it {images}")
    named = [
        p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p not in positional[:images]
    ]
    declared = call.signature
    given = [item.name for item in (*declared.parameters, *declared.metas, *declared.needs)]
    taken = {p.name for p in named}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    refused = [name for name in given if name not in taken and not open_ended]
    layout = [p.name for p in named if p.name in LAYOUT_KEYWORDS and p.name not in given]
    unmet = [p.name for p in named if p.default is p.empty and p.name not in given and p.name not in layout]
    if refused or unmet:
        parts = [f"the program takes no {', '.join(refused)}"] if refused else []
        parts += [f"the stage declares no {', '.join(unmet)}"] if unmet else []
        gives, takes = ", ".join(given) or "nothing", ", ".join(sorted(taken)) or "nothing"
        raise CompileError(f"{where}: {' and '.join(parts)}", f"the stage gives {gives}, the program takes {takes}")
    return tuple(layout)


def _layout(name: str, call: Call, where: str) -> str:
    """The CFA of a call's first mosaic, or the colour space of its first colour image."""
    layouts = ("raw",) if name == "cfa" else ("rgb", "luma", "chroma")
    for port in call.signature.inputs:
        if port.type.name in layouts:
            argument = substitute(port.type, call.types).args[0]
            if is_variable(argument):
                known = f'compile(..., types={{"{argument}": "linear_srgb"}})'
                hint = 'say which: compile(..., cfa="rggb") in Python, --cfa rggb in a command'
                raise CompileError(f"{where}: the {name} of {port.name} is not known", hint if name == "cfa" else known)
            return str(argument)
    raise CompileError(f"{where}: it asks for {name}, and the stage takes no {' or '.join(layouts)} image")
