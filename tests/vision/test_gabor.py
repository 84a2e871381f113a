"""The fixed bank: it sees edges of its own direction, and nothing where there are none."""

from __future__ import annotations

import torch

from ispdsl.vision.gabor import ORIENTATIONS, GaborBank


def test_flat_pictures_move_no_filter() -> None:
    for found in GaborBank().features(torch.full((1, 3, 24, 24), 0.4)):
        assert float(found[:, 3:].abs().max()) < 1e-5


def test_filters_answer_to_stripes_of_their_direction() -> None:
    stripes = (torch.arange(32) % 4 < 2).float().expand(1, 3, 32, 32)
    for picture, upright in ((stripes, True), (stripes.transpose(2, 3), False)):
        energy = GaborBank().features(picture)[0][0, 3:11].square().mean((1, 2)).reshape(ORIENTATIONS, 2).sum(1)
        assert int(energy.argmax()) == (0 if upright else ORIENTATIONS // 2)


def test_grey_moves_luma_alone_and_a_pixel_is_picture_enough() -> None:
    grey = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0)).expand(1, 3, 9, 9)
    found = GaborBank().features(grey)[0]
    assert float(found[:, 1:3].abs().max()) < 1e-5
    assert float(found[:, 11:].abs().max()) < 1e-5
    assert len(GaborBank().features(torch.rand(2, 3, 1, 1))) == 3
