"""Linear steps in a row run as one matrix in tiles, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ispdsl
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.mixing import Mix, mixed
from ispdsl.backends.stretches import Part, parts_of
from ispdsl.backends.vector import tensors
from ispdsl.runtime.values import Settings

TEXT = """
from tone import exposure, gamma, contrast
from colour import colour_matrix, saturation, hsl_bands

pipeline p(image: rgb<linear_srgb, f32>) -> (out: rgb<linear_srgb, f32>) {{
  out = image -> {chain}
}}
"""

MATRIX = "colour_matrix(coefficients = [[1.2, -0.1, -0.1], [-0.2, 1.3, -0.1], [0.0, -0.3, 1.3]])"
LINEAR = f"exposure(ev = 0.7ev) -> {MATRIX} -> saturation(amount = 130%)"


def made(folder: Path, chain: str) -> tuple[Composite, dict[str, Any]]:
    file = folder / "p.isp"
    file.write_text(TEXT.format(chain=chain))
    graph = ispdsl.build(ispdsl.load(file))
    return compile(graph, taps=()), dict(tensors(Settings.of(graph)))


def units(
    folder: Path, chain: str, keeps: tuple[str, ...] = (), dtype: torch.dtype = torch.float32
) -> list[Part | Mix]:
    composite, settings = made(folder, chain)
    frame, _ = composite.inputs({"image": torch.zeros(3, 8, 8)}, settings, {}, None)
    parts = parts_of(composite)
    keywords = {part.step.node: composite.keywords(part.step, frame) for part in parts}
    return list(mixed(parts, keywords, keeps, dtype))


def test_linear_steps_become_the_matrix_that_they_are(tmp_path: Path) -> None:
    (mix,) = units(tmp_path, LINEAR)
    assert isinstance(mix, Mix)
    composite, settings = made(tmp_path, LINEAR)
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0)) * 3 - 1
    torch.testing.assert_close(mix.of(image), composite({"image": image}, settings, {}).image, rtol=0, atol=3e-6)


def test_what_is_no_matrix_parts_them(tmp_path: Path) -> None:
    more = f"exposure(ev = 1ev) as second -> {MATRIX} as third"
    found = units(tmp_path, f"{LINEAR} -> gamma(gamma = 0.8) -> {more}")
    assert [type(each) for each in found] == [Mix, Part, Mix]


def test_one_step_alone_stays_as_it_is(tmp_path: Path) -> None:
    assert [type(each) for each in units(tmp_path, "exposure(ev = 1ev) -> contrast(amount = 20%)")] == [Part, Part]


def test_an_image_that_is_wanted_is_made(tmp_path: Path) -> None:
    found = units(tmp_path, LINEAR, keeps=("colour_matrix.out",))
    (first, last) = (each for each in found)
    assert isinstance(first, Mix)
    assert (first.image, first.result) == ("image", "colour_matrix.out")
    assert isinstance(last, Part)


def test_a_nearly_linear_step_is_not_taken_for_one(tmp_path: Path) -> None:
    found = units(tmp_path, "exposure(ev = 1ev) -> contrast(amount = 0.001%)")
    assert Mix not in [type(each) for each in found]


def test_what_is_linear_for_most_colours_only_is_no_matrix(tmp_path: Path) -> None:
    chain = "exposure(ev = 0.3ev) -> hsl_bands(saturation = [0%, 100%, 0%, 0%, 0%, 0%, 0%, 0%])"
    assert [type(each) for each in units(tmp_path, chain)] == [Part, Part]


def test_a_contract_alone_makes_no_matrix(tmp_path: Path) -> None:
    composite, settings = made(tmp_path, "exposure(ev = 1ev) -> contrast(amount = 20%)")
    parts = [replace(part, linear=True) for part in parts_of(composite)]
    frame, _ = composite.inputs({"image": torch.zeros(3, 8, 8)}, settings, {}, None)
    keywords = {part.step.node: composite.keywords(part.step, frame) for part in parts}
    assert mixed(parts, keywords, (), torch.float32) == tuple(parts)


@pytest.mark.parametrize("keeps", [(), ("exposure.out",)])
def test_the_program_of_another_is_not_asked(tmp_path: Path, keeps: tuple[str, ...]) -> None:
    asked: list[object] = []
    composite, settings = made(tmp_path, LINEAR)

    def foreign(image: torch.Tensor, **_: object) -> torch.Tensor:
        asked.append(image)
        return image

    parts = [
        replace(part, step=replace(part.step, program=replace(part.step.program, function=foreign)))
        for part in parts_of(composite)
    ]
    frame, _ = composite.inputs({"image": torch.zeros(3, 8, 8)}, settings, {}, None)
    keywords = {part.step.node: composite.keywords(part.step, frame) for part in parts}
    assert mixed(parts, keywords, keeps, torch.float32) == tuple(parts)
    assert asked == []
