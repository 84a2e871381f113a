"""Small composites that the tests of the composite share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.graph import build
from tests import modules as m
from tests import stand_ins

TRUST = ("tests",)
SPACE = {"S": "linear_srgb"}


def image(*lead: int, planes: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(lead))
    return torch.rand(*lead, planes, 6, 7, generator=generator, dtype=dtype)


def finishing(**more: Any) -> Composite:
    return compile(build(m.finishing()), types=SPACE, trust=TRUST, **more)


def single(stage: m.Stage, **more: Any):
    """A pipeline of one node ``one``."""
    compiling: dict[str, Any] = {key: more.pop(key) for key in ("types", "cfa", "taps", "trust") if key in more}
    given = {port.name: "a" for port in stage.signature.inputs}
    ports = {"a": more.pop("input", "rgb<camera, f32>")}
    outputs = {port.name: str(port.type).replace("S", "camera") for port in stage.signature.outputs}
    metas = more.pop("top", ())
    types = more.pop("variables", {"S": "camera"})
    call = m.node("one", stage.signature.name, given, outputs, types=types, **more)
    results = {name: f"one.{name}" for name in outputs}
    main = m.pipeline("main", ports, outputs, [call], results, metas=metas)
    targets = [offered.target for offered in stage.signature.implementations]
    options: dict[str, Any] = {"trust": TRUST if any("tests." in target for target in targets) else ()} | compiling
    return compile(build(m.module(stage, main)), **options)


def spied(*parameters: Any, metas: Any = (), needs: Any = None, **more: Any) -> Composite:
    ports, program = ({"image": m.RGB}, {"out": m.RGB}), "tests.stand_ins:spy"
    stage = m.stage("spy", *ports, program, *parameters, metas=metas, needs=needs)
    return single(stage, **more)


def keywords(composite: Composite, *arguments: Any) -> dict[str, Any]:
    stand_ins.SEEN.clear()
    composite(*arguments)
    return stand_ins.SEEN[0]
