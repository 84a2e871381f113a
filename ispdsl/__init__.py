"""A language for camera image signal processors, and a compiler that makes them differentiable.

The public face; nothing is defined here, and nothing heavy is imported before it is used.

    graph = ispdsl.build(ispdsl.load("pipelines/photo_finish.isp"))
    frame = ispdsl.read("photo.dng")
    isp = ispdsl.compile(graph, cfa=frame.cfa)
    mosaic, metadata = ispdsl.tensors(frame)
    picture = isp(mosaic, {"exposure.ev": 0.5}, metadata).image

All free parameters are one vector of numbers in 0..1, which any optimiser can move:

    start = ispdsl.Settings.of(graph).resolved(frame.metadata)
    vector = ispdsl.Vector.of(start)
    x = torch.tensor(vector.to_vector(start), requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=0.02)
    for _ in range(20):
        optimiser.zero_grad()
        rendering = isp(mosaic, ispdsl.unit_to_settings(vector, x), metadata)
        (rendering.image - target).square().mean().backward()
        optimiser.step()
        x.data.clamp_(0, 1)
    found = vector.from_vector(x.tolist())  # settings again: checked, in declared units
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ispdsl.backends.built import load_built
    from ispdsl.backends.composite import Composite, Rendering, compile
    from ispdsl.backends.inductor import inductor, patient
    from ispdsl.backends.vector import unit_to_settings
    from ispdsl.darkroom import Development, develop, tensors
    from ispdsl.diagnostics import Diagnostic, IspError, Report
    from ispdsl.errors import CompileError, PlanError, RunError, StageError
    from ispdsl.graph import Graph, build
    from ispdsl.lower.loader import load, load_report
    from ispdsl.runtime.frame import Frame, RawError
    from ispdsl.runtime.rawfile import read
    from ispdsl.runtime.values import Settings, SettingsError
    from ispdsl.runtime.vector import Vector

_HOMES = {
    "CompileError": "ispdsl.errors",
    "Composite": "ispdsl.backends.composite",
    "Development": "ispdsl.darkroom",
    "Diagnostic": "ispdsl.diagnostics",
    "Frame": "ispdsl.runtime.frame",
    "Graph": "ispdsl.graph",
    "IspError": "ispdsl.diagnostics",
    "PlanError": "ispdsl.errors",
    "RawError": "ispdsl.runtime.frame",
    "Rendering": "ispdsl.backends.composite",
    "Report": "ispdsl.diagnostics",
    "RunError": "ispdsl.errors",
    "Settings": "ispdsl.runtime.values",
    "SettingsError": "ispdsl.runtime.values",
    "StageError": "ispdsl.errors",
    "Vector": "ispdsl.runtime.vector",
    "build": "ispdsl.graph",
    "compile": "ispdsl.backends.composite",
    "develop": "ispdsl.darkroom",
    "inductor": "ispdsl.backends.inductor",
    "load": "ispdsl.lower.loader",
    "load_built": "ispdsl.backends.built",
    "load_report": "ispdsl.lower.loader",
    "patient": "ispdsl.backends.inductor",
    "read": "ispdsl.runtime.rawfile",
    "tensors": "ispdsl.darkroom",
    "unit_to_settings": "ispdsl.backends.vector",
}

__all__ = [
    "CompileError",
    "Composite",
    "Development",
    "Diagnostic",
    "Frame",
    "Graph",
    "IspError",
    "PlanError",
    "RawError",
    "Rendering",
    "Report",
    "RunError",
    "Settings",
    "SettingsError",
    "StageError",
    "Vector",
    "build",
    "compile",
    "develop",
    "inductor",
    "load",
    "load_built",
    "load_report",
    "patient",
    "read",
    "tensors",
    "unit_to_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ispdsl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
