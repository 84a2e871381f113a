"""Every stage of the standard library gives in tiles what it gives on the whole image, odd sizes and all CFA phases."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ispdsl
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.render import render
from ispdsl.backends.stretches import parts_of
from ispdsl.backends.tiles import Tiling
from ispdsl.contracts.settings import table
from ispdsl.contracts.strategies import legal
from ispdsl.ir.model import Module, Signature
from ispdsl.ir.params import Choice, Parameter, Register, Slider, Table, Toggle
from ispdsl.ir.types import BAYER, Type
from ispdsl.ir.units import canonical
from ispdsl.lower.loader import load_text
from ispdsl.source import Source

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "stdlib").glob("*.isp"))

STATISTICS = {
    "airlight": ("haze", "airlight()"),
    "white": ("awb", "grey_world()"),
    "log_average": ("statistics", "log_average(floor = 0.001)"),
    "mean": ("statistics", "mean()"),
    "hist": ("statistics", "histogram(bins = 256, low = fixed 0, high = fixed 1)"),
}
"""By what name a stage needs a statistic, where one is declared, and how it is called."""

METADATA: dict[str, Any] = {
    "black_level": torch.tensor([510.0, 514.0, 518.0, 522.0]),
    "white_level": torch.tensor(16000.0),
    "neutral": torch.tensor([0.5, 1.0, 0.7]),
}

TOLD = {*METADATA, "gain_map"}
"""Metadata that the frame has; of the rest the stages' own defaults are taken."""

WHOLE = {
    *("half", "guided_upsample", "chroma_subsample", "chroma_upsample", "resize", "crop_border", "jpeg", "raw_ca"),
    *("lens_distortion", "local_laplacian", "hdr_compress", "exposure_fusion", "clahe"),
    *("grey_world", "white_patch", "shades_of_grey", "grey_edge", "airlight", "noise_estimate", "quantiles"),
}
"""What needs the whole image."""


def stages() -> dict[str, tuple[Path, Signature]]:
    found: dict[str, tuple[Path, Signature]] = {}
    for file in FILES:
        for stage in ispdsl.load(file).stages.values():
            programs = any(each.kind == "program" for each in stage.signature.implementations)
            if programs and Path(stage.signature.location.file).name == file.name:
                found[f"{file.stem}.{stage.signature.name}"] = file, stage.signature
    return found


STAGES = stages()


def bound(type_: Type, cfa: str) -> Type:
    known = {"C": cfa, "S": "linear_srgb"}
    return Type(name=type_.name, args=tuple(known.get(str(each), each) for each in type_.args))


def pipeline(file: Path, signature: Signature, cfa: str) -> Module:
    """A pipeline of one stage, which takes and gives what the stage does."""
    inputs = ", ".join(f"{port.name}: {bound(port.type, cfa)}" for port in signature.inputs)
    kept = [(port.name, bound(port.type, cfa)) for port in signature.outputs if port.type.is_image]
    lines = [f"from {file.stem} import {signature.name}"]
    lines += [f"from {origin} import {call.partition('(')[0]}" for origin, call in needed(signature) if call]
    first = signature.inputs[0].name
    made = [f"  meta {meta.name}: {meta.type}" for meta in signature.metas if meta.name in TOLD]
    made += [f"  stat {need.name} = {STATISTICS[need.name][1]} of {first}" for need in signature.needs]
    given = [f"{meta.name} = {meta.name}" for meta in signature.metas if meta.name in TOLD]
    given += [f"{need.name} = {need.name}" for need in signature.needs]
    call = f"({', '.join(given)})" if given else ""
    if kept:
        names = ", ".join(name for name, _ in kept)
        images = ", ".join(port.name for port in signature.inputs)
        arguments = ", ".join([images, *given])
        made.append(f"  {names} = {signature.name}({arguments}) as node")
        outputs = ", ".join(f"{name}: {type_}" for name, type_ in kept)
    else:
        made.append(f"  stat found = {signature.name}{call or '()'} of {first}")
        made.append(f"  copy = {first}")
        outputs = f"copy: {bound(signature.inputs[0].type, cfa)}"
    text = "\n".join([*lines, f"pipeline whole({inputs}) -> ({outputs}) {{", *made, "}", ""])
    module, report = load_text(Source("test.isp", text))
    assert module is not None, f"{text}\n{report}"
    return module


def needed(signature: Signature) -> list[tuple[str, str]]:
    return [STATISTICS[need.name] for need in signature.needs]


def value(parameter: Parameter, last: bool) -> Any:
    """A value that makes a stage do something; the last options where `last`."""
    match parameter:
        case Choice():
            return parameter.options[-1] if last else parameter.default
        case Toggle():
            return not parameter.default if last else parameter.default
        case Table():
            start = table(parameter, parameter.default)
            noise = 0.05 * torch.rand(start.shape, generator=torch.Generator().manual_seed(1), dtype=start.dtype)
            if parameter.hard is None:
                return start + noise
            low, high = (canonical(end, parameter.unit) for end in parameter.hard)
            return (start + (high - low) * noise).clamp(low, high)
        case Slider() | Register():
            low, high = (canonical(end, parameter.unit) for end in parameter.soft)
            return torch.tensor(low + 0.6 * (high - low), dtype=torch.float64)


def picture(type_: Type, height: int, width: int, seed: int) -> Tensor:
    """Waves, noise and a few specks, within what the type allows."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height) / 37, torch.arange(width) / 53, indexing="ij")
    waves = torch.stack([0.45 + 0.35 * torch.sin(x + 2 * y + k) for k in range(type_.planes)])
    noise = 0.1 * torch.rand(waves.shape, generator=generator)
    specks = (torch.rand(waves.shape[-2:], generator=generator) < 0.01).float()
    found = (waves + noise) * (1 - specks) + 1.3 * specks
    if type_.name == "chroma":
        found = found - 0.5
    if str(type_.args[-1]).startswith("u") and str(type_.args[-1]) != "unit":
        found = (found * 2 ** min(int(str(type_.args[-1])[1:]), 14)).round()
    return legal(found, type_).float()


def compiled(name: str, cfa: str, last: bool) -> tuple[Composite, dict[str, Any]]:
    file, signature = STAGES[name]
    taps = [] if any(port.type.is_image for port in signature.outputs) else ["found"]
    composite = compile(ispdsl.build(pipeline(file, signature, cfa)), taps=taps)
    settings = {
        f"{node}.{parameter.name}": value(parameter, last)
        for node in ("node", "found")
        for parameter in signature.parameters
    }
    free = {slot.address for slot in composite.slots if slot.drives and not slot.fixed and not slot.structural}
    return composite, {address: each for address, each in settings.items() if address in free}


LATER = ("denoise.bm3d",)
"""Stages that the slow tests run in tiles: `bm3d_luma` is the same program on one plane."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LATER else ()) for name in STAGES]
)
@pytest.mark.parametrize("last", [False, True], ids=["usual", "last"])
def test_in_tiles_as_whole(name: str, last: bool) -> None:
    _, signature = STAGES[name]
    mosaics = any(port.type.name == "raw" for port in signature.inputs)
    for cfa in (*BAYER, "linear") if mosaics else ("rggb",):
        composite, settings = compiled(name, cfa, last)
        assert signature.name in {step.stage for step in composite.steps}
        parts = {part.step.node: part for part in parts_of(composite)}
        assert all(part.whole == (part.step.stage in WHOLE) for part in parts.values())
        radius = max((part.radius for part in parts.values()), default=0)
        height, width = 2 * radius + 35, 2 * radius + 46
        metadata = {**METADATA, "gain_map": 1 + torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(2))}
        types = {port.name: bound(port.type, cfa) for port in signature.inputs}
        halved = len(types) > 1 and signature.name in ("guided_upsample", "chroma_upsample")
        images = {
            each: picture(type_, *((height + 1) // 2, (width + 1) // 2), 3)
            if halved and type_.name == "chroma"
            else picture(type_, height, width, seed)
            for seed, (each, type_) in enumerate(types.items())
        }
        same(composite, images, settings, metadata)


def same(composite: Composite, images: dict[str, Tensor], settings: dict[str, Any], metadata: dict[str, Any]) -> None:
    names = {port.name for port in composite.plan.graph.inputs}
    given = {name: image for name, image in images.items() if name in names}
    whole = render(composite, given, settings, metadata, Tiling(10_000))
    tiled = render(composite, given, settings, metadata, Tiling(24, workers=1))
    assert whole.outputs.keys() == tiled.outputs.keys()
    assert len(whole.statistics) == len(composite.statistics)
    for each in ("outputs", "statistics"):
        for name, wanted in getattr(whole, each).items():
            found = getattr(tiled, each)[name]
            scale = max(1.0, float(wanted.abs().max()))
            assert found.shape == wanted.shape
            assert math.isfinite(scale)
            error = float((found - wanted).abs().max())
            assert error <= 1e-5 * scale, f"{name} differs by {error:g} of {scale:g}"
