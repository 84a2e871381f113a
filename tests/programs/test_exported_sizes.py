"""Programs that ask where their image lies are exported for images of any size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ispdsl.programs.geometry import lens_distortion, vignette
from ispdsl.programs.grain import grain
from ispdsl.programs.raw import lens_shading

GAINS = torch.linspace(1, 2, 48).reshape(4, 3, 4)


def shaded(image: Tensor) -> Tensor:
    return lens_shading(image[:1], gain_map=GAINS, strength=1.0, cfa="rggb")


def grained(image: Tensor) -> Tensor:
    return grain(image, amount=0.1, size=0.5, colour=False, space="srgb")


def darkened(image: Tensor) -> Tensor:
    return vignette(image, amount=0.5, midpoint=0.5, feather=0.5)


def straightened(image: Tensor) -> Tensor:
    return lens_distortion(image, k1=0.1, k2=0.0, p1=0.0, p2=0.0, interpolation="bilinear")


class Module(torch.nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image)


@pytest.mark.parametrize("function", [shaded, grained, darkened, straightened])
def test_a_program_is_exported_for_any_size(function: Callable[[Tensor], Tensor]) -> None:
    free = {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    image = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0))
    exported = torch.export.export(Module(function), (image,), dynamic_shapes=(free,), strict=False).module()
    for rows, columns in ((24, 32), (18, 40)):
        other = torch.rand(3, rows, columns, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(exported(other), function(other), atol=1e-6)
