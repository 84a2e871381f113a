"""Tasks of a user: ``package.module:function``, called with the pictures and their names."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ispdsl.errors import CompileError, RunError
from ispdsl.optimise.tasks.task import Picture, Task, View

TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def user_task(target: str, views: Sequence[View], trust: Collection[str]) -> Task:
    """The task that a function of a trusted package is.

    Args:
        target: ``package.module:function``. The function is given a list of pictures ``(C, H, W)``, float32, upright, 1
            for white, and a list of the names of their raws; what it returns is a number, smaller is better.
        views: what is known of each picture.
        trust: top-level packages whose code may be run.

    Raises:
        CompileError: it names no function, or one of a package that is not trusted.
    """
    matched = TARGET.fullmatch(target)
    if not matched:
        raise CompileError(f"{target!r} names no function", "write package.module:function")
    module, name = matched[1], matched[2]
    package = module.partition(".")[0]
    if package not in trust:
        hint = f"allow it by --trust {package}; measuring with a function runs its code"
        raise CompileError(f"task {target}: the package {package} is not trusted", hint)
    function = _found(module, name, target)
    names = [view.name for view in views]

    def measure(pictures: Sequence[Picture]) -> float:
        try:
            found = function(list(pictures), list(names))
        except Exception as error:  # whatever it does
            raise RunError(f"task {target}: {type(error).__name__}: {error}") from error
        try:
            return float(found)
        except (TypeError, ValueError) as error:
            raise RunError(f"task {target}: it returns {type(found).__name__}, which is no number") from error

    return Task(target, measure, lambda value: f"{name} {value:.6g}" if math.isfinite(value) else f"{name} failed")


def _found(module: str, name: str, target: str) -> Callable[..., Any]:
    try:
        function = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}.")
        hint = "install the package, or set PYTHONPATH to the folder that holds it" if missing else None
        raise CompileError(f"task {target}: cannot import {module}: {type(error).__name__}: {error}", hint) from error
    if not callable(function):
        raise CompileError(f"task {target}: {module} has no function {name}")
    return function
