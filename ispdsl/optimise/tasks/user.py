"""Tasks of a user: ``package.module:function``, called with the pictures and their names."""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ispdsl.errors import CompileError, RunError
from ispdsl.optimise.tasks.task import Picture, Task, View

CALLED = "it is called with a list of pictures, float32 (3, H, W), 1 for white, and a list of the names of their raws"

TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


class TaskError(RunError):
    """The function of a task failed, or gave no number."""


def user_task(target: str, views: Sequence[View], trust: Collection[str]) -> Task:
    """The task that a function of a trusted package is.

    Args:
        target: ``package.module:function``. The function is given a list of pictures ``(C, H, W)``, float32, upright, 1
            for white, and a list of the names of their raws; what it returns is a number, smaller is better.
        views: what is known of each picture.
        trust: top-level packages whose code may be run.

    Raises:
        CompileError: it names no function, or one of a package that is not trusted.

    What the function raises becomes a `TaskError` that says where in its own code that was.
    """
    function = trusted_function(target, trust)
    package, name = target.partition(".")[0].partition(":")[0], target.partition(":")[2]
    names = [view.name for view in views]

    def measure(pictures: Sequence[Picture]) -> float:
        try:
            found = function([each.copy() for each in pictures], list(names))  # other tasks see them too
        except (Exception, SystemExit) as error:  # whatever it does
            raise TaskError(
                f"task {target}: {type(error).__name__}: {error}{_where(error, package)}", CALLED
            ) from error
        try:
            return float(found)
        except (TypeError, ValueError) as error:
            what = f"task {target}: it returns {type(found).__name__}, which is no number{_begin(function)}"
            raise TaskError(what, "return a float; smaller is better") from error

    return Task(target, measure, lambda value: f"{name} {value:.6g}" if math.isfinite(value) else f"{name} failed")


def trusted_function(target: str, trust: Collection[str], what: str = "task") -> Callable[..., Any]:
    """The function ``package.module:function`` of a trusted package; `what` it is for stands in the errors.

    Raises:
        CompileError: it names no function, or one of a package that is not trusted.
    """
    matched = TARGET.fullmatch(target)
    if not matched:
        raise CompileError(f"{target!r} names no function", "write package.module:function")
    module, name = matched[1], matched[2]
    package = module.partition(".")[0]
    if package not in trust:
        hint = f"allow it by --trust {package}; to call a function is to run its code"
        raise CompileError(f"{what} {target}: the package {package} is not trusted", hint)
    try:
        function = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}.")
        hint = "install the package, or set PYTHONPATH to the folder that holds it" if missing else None
        where = "" if missing else _where(error, package)
        message = f"{what} {target}: cannot import {module}: {type(error).__name__}: {error}{where}"
        raise CompileError(message, hint) from error
    if not callable(function):
        raise CompileError(f"{what} {target}: {module} has no function {name}")
    return function


def _where(error: BaseException, package: str) -> str:
    """The last line of the package's own code on the way to an error, as a line of the message."""
    if isinstance(error, SyntaxError):  # it names its place itself
        return ""
    folders = _folders(package)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).resolve().is_relative_to(folder) for folder in folders)
    ]
    return f"\n{own[-1].filename}, line {own[-1].lineno}, in {own[-1].name}: {own[-1].line}" if own else ""


def _begin(function: Callable[..., Any]) -> str:
    """Where a function is written, as a line of the message."""
    code = getattr(function, "__code__", None)
    return f"\n{code.co_filename}, line {code.co_firstlineno}, in {code.co_name}" if code is not None else ""


def _folders(package: str) -> list[Path]:
    """The folders of a package, or the file of a module."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(each).resolve() for each in spec.submodule_search_locations]
    return [Path(spec.origin).resolve()] if spec.origin else []
