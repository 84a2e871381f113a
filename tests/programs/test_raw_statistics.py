"""Means and clipped shares of the colours of a mosaic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ispdsl.programs.cfa import COLOURS
from ispdsl.programs.raw_statistics import raw_mean, raw_saturated
from tests.programs.checks import check_program
from tests.programs.test_raw import PHASES, mosaic


@pytest.mark.parametrize("cfa", PHASES)
def test_raw_mean_generic(cfa: str) -> None:
    check_program(raw_mean, [mosaic(cfa)], static={"cfa": cfa})


@pytest.mark.parametrize("cfa", ["grbg", "linear"])
def test_raw_saturated_generic(cfa: str) -> None:
    check_program(raw_saturated, [mosaic(cfa)], static={"cfa": cfa}, free={"threshold": 0.6, "softness": 0.1})


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("size", [(2, 2), (5, 7), (8, 6)])
def test_raw_mean_is_the_mean_of_each_colours_samples(cfa: str, size: tuple[int, int]) -> None:
    image = mosaic(cfa, *size)
    found = raw_mean(image, cfa=cfa).tolist()
    if cfa == "linear":
        expected = image.mean((-2, -1)).tolist()
    else:
        sites = np.tile(np.array(COLOURS[cfa]).reshape(2, 2), (4, 4))[: size[0], : size[1]]
        expected = [float(image[0].numpy()[sites == colour].mean()) for colour in range(3)]
    assert found == pytest.approx(expected, abs=1e-14)


def test_raw_saturated_counts() -> None:
    image = torch.full((1, 10, 10), 0.5, dtype=torch.float64)
    image[:, ::2, ::2] = 1.2
    image[:, 1, 1:5:2] = 1.2
    found = raw_saturated(image, threshold=0.98, softness=0.005, cfa="rggb")
    assert found.tolist() == pytest.approx([1, 0, 2 / 25], abs=1e-9)


def test_sums_of_half_precision_do_not_drift() -> None:
    image = torch.full((1, 256, 256), 0.1, dtype=torch.bfloat16)
    assert float(raw_mean(image, cfa="rggb")[0]) == float(torch.tensor(0.1, dtype=torch.bfloat16))
