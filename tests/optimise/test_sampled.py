"""A regression that begins with some pixels ends where one that looks at whole pictures ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.system import fused
from ispdsl.backends.vector import tensors
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.optimise import normal, parts
from ispdsl.optimise.blocks import Blocks
from ispdsl.optimise.model import Model
from ispdsl.optimise.normal import Normal
from ispdsl.optimise.regression import Regression, Search, regress
from ispdsl.optimise.sampled import Sampled, sampled
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.space import Numbers
from ispdsl.optimise.views import Scene, View
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector

TEXT = """
from tone       import exposure, contrast
from colour     import saturation, srgb
from detail     import unsharp_mask

pipeline look(image: rgb<linear_srgb, f32>) -> (display: rgb<srgb, unit>) {{
  display = image -> exposure(ev = 0.3ev) -> saturation(amount = 110%){more} -> contrast(amount = 20%) -> srgb
}}
"""
LOCAL = " -> unsharp_mask(amount = 50%, radius = fixed 1px)"
HIDDEN = {"exposure.ev": -0.2, "saturation.amount": 80.0, "contrast.amount": -10.0}


@cache
def look(folder: Path, more: str) -> Composite:
    path = folder / "look.isp"
    path.write_text(TEXT.format(more=more))
    return compile(build(load(path)), taps=())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("look"))


def view_of(composite: Composite, height: int, width: int) -> tuple[View, Vector]:
    settings = Settings.of(composite.plan.graph)
    vector = Vector.of(settings, "unit", list(HIDDEN))
    rough = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(0)) ** 2
    image = torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")[0] * 0.4 + 0.02

    def render(chosen: Settings) -> np.ndarray:
        with torch.no_grad():
            return composite(image, tensors(chosen)).image.numpy()

    target = render(settings.update(HIDDEN))
    return View(target, settings, render, Model(composite, vector, tensors(settings), image, {})), vector


def scene_of(view: View, vector: Vector) -> Scene:
    return Scene.of([view], Sharing.of(vector, [view.settings]), 0)


def taken(view: View, vector: Vector, count: int, robust: float | None = None) -> Sampled:
    found = sampled(scene_of(view, vector), count, 0, robust)
    assert found is not None
    return found


def found_by(view: View, vector: Vector, sample: int, said: list[str] | None = None) -> Regression:
    told = None if said is None else lambda what, done, total, psnr: said.append(what)
    search = Search(sample=sample, starts=2)
    assert view.model is not None
    return regress(view.target, view.settings, vector, view.render, view.model, search=search, exact=True, told=told)


@pytest.mark.parametrize("more", ["", LOCAL], ids=["pixels", "patches"])
def test_a_sample_leads_to_the_same_answer(folder: Path, more: str) -> None:
    view, vector = view_of(look(folder, more), 160, 200)
    said: list[str] = []
    with_sample, without = found_by(view, vector, 2000, said), found_by(view, vector, 0)
    assert with_sample.psnr >= min(without.psnr, 100)
    assert without.psnr > 90
    assert with_sample.calls <= without.calls
    for each in with_sample.estimates:
        assert each.found == pytest.approx(HIDDEN[each.name], abs=0.02)
    phases = list(dict.fromkeys(said))
    assert len(phases) == 3
    assert phases[0].startswith("starts on 2,")
    assert phases[1].endswith(" pixels")
    assert phases[2] == "the real thing"


@pytest.mark.parametrize("more", ["", LOCAL], ids=["pixels", "patches"])
@pytest.mark.parametrize("robust", [None, 0.05])
def test_normal_equations_in_tiles_are_those_of_the_jacobian(
    folder: Path, more: str, robust: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TILE", 64)
    view, vector = view_of(look(folder, more), 160, 200)
    looked_at = np.ones((160, 200), np.bool_)
    looked_at[:3, 30:] = False
    view = replace(view, looked_at=looked_at)
    apart = taken(view, vector, 300, robust)
    assert len(apart.sources[0].tiles) == 12
    z = np.array([0.4, 0.5, 0.6])
    check(apart, z, robust, 2e-6)


def check(apart: Sampled, z: Numbers, robust: float | None, near: float) -> None:
    scene, rows = apart.scene, apart.scene.all()
    residual = scene.seen(scene.believed(z), rows)
    weights = None if robust is None else 1 / np.sqrt(1 + np.square(residual / robust))
    whole = scene.derivatives(z, rows)
    equations = apart.normal(z)
    wanted, found = whole.system(residual, weights), equations.system(residual, weights)
    np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=near * np.abs(wanted[0]).max())
    np.testing.assert_allclose(found[1], wanted[1], rtol=0, atol=near * np.abs(wanted[1]).max())
    np.testing.assert_array_equal(equations.rows, whole.rows)


def test_a_program_takes_the_place_of_torch_where_there_are_many_pixels(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, vector = view_of(look(folder, ""), 100, 120)
    monkeypatch.setattr(fused, "is_compiled", lambda _: False)  # other tests may have compiled this one
    apart = taken(view, vector, 300, 0.05)
    assert apart.sources[0].program is None, "torch is faster than compiling"
    monkeypatch.setattr(normal, "FUSED", 10_000)
    apart = taken(view, vector, 300, 0.05)
    assert apart.sources[0].program is not None
    check(apart, np.array([0.4, 0.5, 0.6]), 0.05, 1e-5)


def test_a_program_that_does_not_agree_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "FUSED", 10_000)
    monkeypatch.setattr(normal.Source, "_of_part", lambda self, at, target: 1.01 * np.eye(at.size))
    view, vector = view_of(look(folder, ""), 100, 120)
    assert taken(view, vector, 300, 0.05).sources[0].program is None


def test_scores_of_all_tiles_are_those_of_the_jacobian(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "TILE", 32)
    view, vector = view_of(look(folder, ""), 64, 96)
    apart = taken(view, vector, 300)
    scene, z = apart.scene, np.array([0.4, 0.5, 0.6])
    rows = scene.all()
    pull = np.random.default_rng(0).normal(size=rows[0].size)
    whole, found = scene.derivatives(z, rows), apart.normal(z).scores(pull)
    assert isinstance(whole, Blocks)
    wanted = whole.scores(pull, scene.blocks(rows))
    np.testing.assert_allclose(found.T @ found, wanted.T @ wanted, rtol=1e-4)
    monkeypatch.setattr(normal, "SCORED", 3 * 32 * 32)
    some = apart.normal(z).scores(pull)
    assert len(some) == 4, "a tile of 4 blocks stands for all"
    np.testing.assert_allclose(np.trace(some.T @ some), np.trace(wanted.T @ wanted), rtol=0.5)


def placed(image: Tensor, **settings: Tensor) -> Tensor:
    """A stage that says it looks at the pixel alone, and looks at where it is."""
    return image * torch.linspace(0.5, 1, image.shape[-1])


@pytest.mark.parametrize("program", [placed, lambda image, **_: image - image.mean() + 0.2])
def test_a_stage_that_is_not_what_it_says_is_not_taken_apart(folder: Path, program: Callable[..., Tensor]) -> None:
    composite = look(folder, "")
    steps = [
        replace(each, program=replace(each.program, function=program)) if each.stage == "contrast" else each
        for each in composite.steps
    ]
    view, vector = view_of(composite.replaced(steps), 100, 120)
    assert sampled(scene_of(view, vector), 300, 0, None) is None


def test_small_pictures_and_what_looks_everywhere_are_looked_at_whole(folder: Path) -> None:
    view, vector = view_of(look(folder, ""), 20, 30)
    apart = taken(view, vector, 300)
    assert apart.few is None
    assert len(apart.sources[0].tiles) == 1
    assert isinstance(apart.normal(np.full(3, 0.5)), Normal)
    model = view.model
    assert isinstance(model, Model)
    lens = replace(model, lens=lambda picture: picture)
    assert sampled(scene_of(replace(view, model=lens), vector), 300, 0, None) is None
