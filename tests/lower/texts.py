"""Small texts for tests of lowering, and how they are lowered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ispdsl.diagnostics import Diagnostic
from ispdsl.ir.model import Module, Node, Pipeline, Stage
from ispdsl.lower.loader import load_text
from ispdsl.source import Source

GAIN = """
stage gain(image: rgb<S, f32>) -> rgb<S, f32> {
  slider amount in 0%..400% = 100%
  program "my_isp.tone:gain"
}
"""

METER = """
stage meter(image: rgb<S, f32>) -> vector<bins> {
  slider bins in 2..256 = 16
  program "my_isp.statistics:meter"
}

stage adapt(image: rgb<S, f32>) -> rgb<S, f32> {
  needs levels: vector<16>
  program "my_isp.tone:adapt"
}
"""

SPLIT = """
stage split(image: rgb<S, f32>) -> (luma: luma<S, f32>, chroma: chroma<S, f32>) {
  program "my_isp.colour:split"
}

stage join(luma: luma<S, f32>, chroma: chroma<S, f32>) -> rgb<S, f32> {
  program "my_isp.colour:join"
}
"""


def stage(*lines: str, signature: str = "s(image: rgb<S, f32>) -> rgb<S, f32>") -> str:
    return "\n".join([f"stage {signature} {{", *(f"  {line}" for line in lines), '  program "my_isp.some:s"', "}", ""])


def pipeline(*lines: str, signature: str = "p(image: rgb<S, f32>) -> (out: rgb<S, f32>)") -> str:
    return "\n".join([f"pipeline {signature} {{", *(f"  {line}" for line in lines), "}", ""])


def lowered(*parts: str, path: Path | None = None) -> Module:
    """The module of a text without errors."""
    module, report = load_text(Source(path.name if path else "test.isp", "\n".join(parts), path))
    assert module is not None, [d.message for d in report.diagnostics]
    return module


def told(*parts: str, path: Path | None = None) -> Sequence[Diagnostic]:
    """What is said about a text."""
    return load_text(Source(path.name if path else "test.isp", "\n".join(parts), path))[1].diagnostics


def codes(*parts: str, path: Path | None = None) -> list[str]:
    return [diagnostic.code for diagnostic in told(*parts, path=path)]


def the_stage(module: Module, name: str = "s") -> Stage:
    return module.stages[f"{module.file}:{name}"]


def the_pipeline(module: Module, name: str = "p") -> Pipeline:
    return module.pipelines[f"{module.file}:{name}"]


def nodes(module: Module, name: str = "p") -> dict[str, Node]:
    return {node.name: node for node in the_pipeline(module, name).nodes}
