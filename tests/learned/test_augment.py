"""Mirrored and shifted images; a mosaic keeps every colour in its place."""

from __future__ import annotations

import pytest
import torch

from ispdsl.learned.augment import mirror_mosaic, mirrored, shifted


def colours(height: int = 6, width: int = 8) -> torch.Tensor:
    """A mosaic of four sites, each with a number of its own."""
    return torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat(height // 2, width // 2)[None, None]


def test_a_mirrored_mosaic_has_its_colours_in_place() -> None:
    assert torch.equal(mirror_mosaic(colours()), colours())
    ramp = torch.arange(8.0).expand(1, 1, 4, 8)
    assert mirror_mosaic(ramp)[0, 0, 0].tolist() == [6, 5, 4, 3, 2, 1, 0, 1]
    with pytest.raises(ValueError, match="7 columns"):
        mirror_mosaic(torch.zeros(1, 1, 4, 7))


def test_about_half_are_mirrored_and_the_rest_stay() -> None:
    images = torch.arange(4.0).expand(200, 1, 2, 4)
    seen = mirrored(images, torch.Generator().manual_seed(0))
    first = seen[:, 0, 0, 0]
    assert set(first.tolist()) == {0.0, 3.0}
    assert 70 < int((first == 3).sum()) < 130


def test_shifts_move_by_whole_tiles_and_mirror_the_border() -> None:
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(
        shifted(colours().expand(50, -1, -1, -1), 4, generator, tile=2), colours().expand(50, -1, -1, -1)
    )
    ramp = torch.arange(6.0).expand(100, 1, 6, 6)
    starts = {float(one[0, 0, 0]) for one in shifted(ramp, 2, generator)}
    assert starts == {0.0, 1.0, 2.0}
    assert torch.equal(shifted(ramp, 0, generator), ramp)
    with pytest.raises(ValueError, match="multiple"):
        shifted(ramp, 3, generator, tile=2)
