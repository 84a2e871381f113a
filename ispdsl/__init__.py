"""A language for camera image signal processors, and a compiler that makes them differentiable.

The public face; nothing is defined here, and nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ispdsl.backends.composite import Composite, Rendering, compile
    from ispdsl.darkroom import Development, develop, tensors
    from ispdsl.diagnostics import Diagnostic, IspError, Report
    from ispdsl.graph import Graph, build
    from ispdsl.lower.loader import load, load_report
    from ispdsl.runtime.frame import Frame, RawError
    from ispdsl.runtime.rawfile import read
    from ispdsl.runtime.values import Settings, SettingsError

_HOMES = {
    "Composite": "ispdsl.backends.composite",
    "Development": "ispdsl.darkroom",
    "Diagnostic": "ispdsl.diagnostics",
    "Frame": "ispdsl.runtime.frame",
    "Graph": "ispdsl.graph",
    "IspError": "ispdsl.diagnostics",
    "RawError": "ispdsl.runtime.frame",
    "Rendering": "ispdsl.backends.composite",
    "Report": "ispdsl.diagnostics",
    "Settings": "ispdsl.runtime.values",
    "SettingsError": "ispdsl.runtime.values",
    "build": "ispdsl.graph",
    "compile": "ispdsl.backends.composite",
    "develop": "ispdsl.darkroom",
    "load": "ispdsl.lower.loader",
    "load_report": "ispdsl.lower.loader",
    "read": "ispdsl.runtime.rawfile",
    "tensors": "ispdsl.darkroom",
}

__all__ = [
    "Composite",
    "Development",
    "Diagnostic",
    "Frame",
    "Graph",
    "IspError",
    "RawError",
    "Rendering",
    "Report",
    "Settings",
    "SettingsError",
    "build",
    "compile",
    "develop",
    "load",
    "load_report",
    "read",
    "tensors",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ispdsl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
