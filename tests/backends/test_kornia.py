"""A function of kornia is a program like any other, once its package is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ispdsl
from ispdsl.errors import CompileError

FILE = """
stage grey_mix(image: rgb<S, f32>) -> rgb<S, f32> {
  slider factor in 0..2 = 1
  program "kornia.enhance:adjust_saturation_with_gray_subtraction"
  property pointwise
}

pipeline p(image: rgb<srgb, f32>) -> (out: rgb<srgb, f32>) {
  out = image -> grey_mix
}
"""


def graph(folder: Path) -> ispdsl.Graph:
    (folder / "p.isp").write_text(FILE)
    return ispdsl.build(ispdsl.load(folder / "p.isp"))


def test_a_kornia_function_runs_with_gradients(tmp_path: Path) -> None:
    isp = ispdsl.compile(graph(tmp_path), trust=("kornia",))
    image = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    factor = torch.tensor(0.5, requires_grad=True)
    out = isp(image, {"grey_mix.factor": factor}).image
    grey = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    torch.testing.assert_close(out, grey + 0.5 * (image - grey), rtol=0, atol=2e-3)
    (gradient,) = torch.autograd.grad((out * image).sum(), factor)
    assert gradient.abs() > 1e-3


def test_it_is_not_imported_untrusted(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="trust"):
        ispdsl.compile(graph(tmp_path))
