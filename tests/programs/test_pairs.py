from __future__ import annotations

import torch

from ispdsl.programs.ops import pad_mirror, shift
from ispdsl.programs.pairs import compared, offsets, shared


def test_half_the_offsets_and_their_opposites_are_all_neighbours() -> None:
    half = offsets(2)
    both = {*half, *((-down, -right) for down, right in half)}
    assert len(half) == 12
    assert both == {(y, x) for y in range(-2, 3) for x in range(-2, 3)} - {(0, 0)}


def test_each_pixel_gets_what_it_and_its_partners_were_compared_to() -> None:
    """The difference to every neighbour, with its sign, against shifts of the image itself."""
    image = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    padded = pad_mirror(image, 3)
    for offset in offsets(3):
        pixels, partners = compared(padded, 3, offset)
        onward, backward = shared(partners - pixels, offset)
        for (down, right), found, sign in ((*onward, 1), (*backward, -1)):
            assert torch.equal(sign * found, shift(padded, 3, down, right) - image)
