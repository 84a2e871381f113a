"""Highlights that are clipped in one or two colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs.cfa import COLOURS
from ispdsl.programs.highlights import colour_masks, highlight_recovery, local_means, smoothstep
from tests.programs.checks import bind, check_footprint, check_program
from tests.programs.test_raw import PHASES, mosaic, vector

NEUTRAL = vector(0.5, 1.0, 0.7)


@pytest.mark.parametrize("cfa", ["gbrg", "linear"])
def test_highlight_recovery_generic(cfa: str, export: bool) -> None:
    free = {"neutral": NEUTRAL, "level": 0.9, "strength": 0.7}
    check_program(
        highlight_recovery, [mosaic(cfa, 4, 5)], static={"cfa": cfa}, free=free, sizes=((2, 2),), export=export
    )


@pytest.mark.parametrize("cfa", ["gbrg", "linear"])
def test_highlight_recovery_is_local(cfa: str) -> None:
    call = bind(highlight_recovery, {"cfa": cfa, "neutral": NEUTRAL, "level": 0.9, "strength": 1.0})
    check_footprint(call, [mosaic(cfa, 27, 28)], {}, 10)


def lamp(cfa: str, colour: tuple[float, float, float], size: int = 40) -> Tensor:
    """A bright spot of one colour on a darker ground of the same: its unclipped mosaic."""
    y, x = np.mgrid[:size, :size] - size / 2
    spot = 0.3 + 1.2 * np.exp(-(x * x + y * y) / 60)
    planes = np.stack([spot * value for value in colour])
    if cfa == "linear":
        return torch.from_numpy(planes)
    sites = np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (size // 2, size // 2))
    return torch.from_numpy(np.take_along_axis(planes, sites[None], 0))


def recovered(image: Tensor, cfa: str, **settings: float) -> Tensor:
    values = {"level": 1.0, "strength": 1.0} | settings
    return highlight_recovery(image, neutral=NEUTRAL, cfa=cfa, **values)


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("colour", [(0.5, 1.0, 0.7), (0.9, 1.0, 0.3), (0.3, 0.5, 1.0)])
def test_a_clipped_colour_comes_back_from_the_others(cfa: str, colour: tuple[float, float, float]) -> None:
    """One or two colours reach 1.5 and 1.35 and are clipped at 1; at least one is not."""
    true = lamp(cfa, colour)
    clipped = true.clamp(max=1)
    found = recovered(clipped, cfa)
    lost = true > 1
    assert lost.any()
    assert (found - true)[lost].abs().mean() < 0.25 * (clipped - true)[lost].abs().mean()
    assert (found - true).abs().max() < 0.12


@pytest.mark.parametrize("cfa", PHASES)
def test_samples_only_rise_and_only_where_they_are_clipped(cfa: str) -> None:
    image = 4 * mosaic(cfa, 20, 21) - 0.1
    found = recovered(image, cfa, level=0.95)
    assert (found >= image).all()
    assert torch.equal(found[image < 0.85], image[image < 0.85])
    assert (found > image).any()
    assert found.max() <= 4
    assert torch.equal(recovered(image, cfa, strength=0.0), image)


def test_strength_blends() -> None:
    image = lamp("rggb", (0.9, 1.0, 0.3)).clamp(max=1)
    whole = recovered(image, "rggb") - image
    assert torch.allclose(recovered(image, "rggb", strength=0.4) - image, 0.4 * whole)
    assert whole.max() > 0.2


@pytest.mark.parametrize("cfa", PHASES)
def test_deep_inside_a_clipped_area_colours_return_to_the_neutral(cfa: str) -> None:
    """Green is clipped everywhere: blue and red are a neutral of 1.2 by the metadata."""
    size = 40
    planes = np.broadcast_to(np.array([0.6, 1.0, 0.84])[:, None, None], (3, size, size))
    sites = np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (20, 20)) if cfa != "linear" else None
    image = torch.from_numpy(planes.copy() if sites is None else np.take_along_axis(planes, sites[None], 0))
    found = recovered(image, cfa)
    green = found[1] if sites is None else found[0][sites == 1]
    assert torch.allclose(green, torch.full_like(green, 1.2), rtol=1e-3)


def test_what_is_clipped_in_every_colour_stays() -> None:
    image = torch.ones(1, 12, 12, dtype=torch.float64)
    assert torch.equal(recovered(image, "rggb"), image)


def test_local_means_are_of_one_colour() -> None:
    colours = vector(0.2, 0.5, 0.9)
    for cfa in PHASES:
        if cfa == "linear":
            image = colours[:, None, None].expand(3, 5, 6)
        else:
            image = colours[np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (4, 4))][None, :5, :6]
        for mean, value in zip(local_means(image, colour_masks(image, cfa)), colours, strict=True):
            assert mean.shape == (1, 5, 6)
            assert torch.allclose(mean, value)


def test_smoothstep() -> None:
    assert smoothstep(vector(-1, 0, 0.25, 0.5, 1, 2)).tolist() == [0, 0, 0.15625, 0.5, 1, 1]


def test_a_small_signal_of_a_hidden_neutral_has_finite_gradients() -> None:
    neutral = vector(0, 1, 0).requires_grad_()
    image = torch.zeros(1, 6, 6, dtype=torch.float64).requires_grad_()
    result = highlight_recovery(image, neutral=neutral, level=1.0, strength=1.0, cfa="rggb")
    gradients = torch.autograd.grad(result.sum(), (image, neutral), allow_unused=True)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays(dtype: torch.dtype) -> None:
    result = recovered((2 * mosaic("rggb")).to(dtype), "rggb")
    assert result.dtype == dtype
    assert result.isfinite().all()
