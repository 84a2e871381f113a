from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor

from ispdsl.programs.edges import edge_enhance
from ispdsl.programs.ops import luma
from tests.programs.checks import check_program

SPACE = "linear_srgb"
USUAL = {"amount": 1.5, "threshold": 0.03, "coring": 0.004, "overshoot": 0.3}


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 0.8 + 0.1


def ramp(*values: float) -> Tensor:
    """A vertical edge of grey through the values given."""
    row = torch.tensor([values[0]] * 6 + list(values) + [values[-1]] * 6, dtype=torch.float64)
    return row.expand(3, 12, -1).clone()


def test_edge_enhance_survives_what_every_program_must() -> None:
    check_program(edge_enhance, [noise(3, 8, 9)], static={"space": SPACE}, free=USUAL, radius=1)


def test_edge_enhance_has_hand_computed_values_on_a_step() -> None:
    """First differences 0 and 1 give e = 1/2 along rows, 1/4 on a diagonal; the second differences are 1/2 and 1/4."""
    result = edge_enhance(ramp(0.0, 1.0), amount=1.0, threshold=0.1, coring=0.0, overshoot=1.0, space=SPACE)
    gated = (0.5 * 0.5 + 2 * 0.25 * 0.25) / (0.5 + 2 * 0.25 + 0.01)
    row = result[0, 6]
    np.testing.assert_allclose(row[5:9], [0.0, -gated, 1 + gated, 1.0], atol=1e-12)
    cored = edge_enhance(ramp(0.0, 1.0), amount=2.0, threshold=0.1, coring=0.05, overshoot=1.0, space=SPACE)
    np.testing.assert_allclose(cored[1, 6, 6], -2 * (gated - 0.05), atol=1e-12)


def test_edge_enhance_works_across_an_edge_and_not_along_it() -> None:
    """A faint ripple along a strong edge, at right angles to it, is raised far less than the same ripple alone."""
    ripple = 0.01 * torch.sin(torch.arange(24, dtype=torch.float64) * 2.0)[:, None]
    edge = torch.linspace(0, 1, 24, dtype=torch.float64).expand(24, 24)
    settings: dict[str, Any] = {"amount": 1.0, "threshold": 0.001, "coring": 0.0, "overshoot": 1.0, "space": SPACE}
    both = (edge + ripple).expand(3, -1, -1)
    alone = (0.5 + ripple).expand(24, 24).expand(3, -1, -1)
    raised = [(edge_enhance(image, **settings) - image)[:, 4:-4, 4:-4].abs().mean() for image in (both, alone)]
    assert raised[0] < 0.5 * raised[1]


def test_without_overshoot_nothing_leaves_the_range_of_the_neighbours() -> None:
    image = noise(3, 16, 16)
    settings: dict[str, Any] = {**USUAL, "amount": 4.0, "overshoot": 0.0}
    light, sharp = (luma(each, SPACE)[0].numpy() for each in (image, edge_enhance(image, **settings, space=SPACE)))
    assert (sharp <= scipy.ndimage.maximum_filter(light, 3, mode="mirror") + 1e-12).all()
    assert (sharp >= scipy.ndimage.minimum_filter(light, 3, mode="mirror") - 1e-12).all()
    assert np.abs(sharp - light).max() > 0.05


def test_a_soft_edge_becomes_steeper() -> None:
    soft = ramp(0.2, 0.25, 0.4, 0.6, 0.75, 0.8)
    result = edge_enhance(soft, **USUAL, space=SPACE)
    assert (result[0, 6].diff().max()) > 1.1 * soft[0, 6].diff().max()


def test_noise_below_the_coring_stays() -> None:
    faint = 0.5 + 0.002 * noise(3, 12, 12)
    assert torch.equal(edge_enhance(faint, **USUAL, space=SPACE), faint)


def test_edge_enhance_keeps_colour_differences_and_zero_is_the_identity() -> None:
    image = noise(3, 9, 9) - 0.2
    result = edge_enhance(image, **USUAL, space=SPACE)
    torch.testing.assert_close(result[0] - result[1], image[0] - image[1])
    assert torch.equal(edge_enhance(image, **{**USUAL, "amount": 0.0}, space=SPACE), image)
    assert edge_enhance(image.bfloat16(), **USUAL, space=SPACE).dtype == torch.bfloat16
