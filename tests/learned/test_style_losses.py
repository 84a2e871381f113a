"""Statistics of a style: soft histograms, Gram matrices, distances with slopes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ispdsl.learned.style_losses import apart, gram, histogram, joint_histogram, mean_of, statistics
from ispdsl.vision.gabor import GaborBank

BANK = GaborBank()


def pictures(count: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 16, 20, generator=torch.Generator().manual_seed(seed))


def test_histogram_of_values_at_places_is_numpys() -> None:
    places = torch.randint(0, 9, (1, 200), generator=torch.Generator().manual_seed(1))
    found = histogram(places / 8, 9, 0.0, 1.0)[0]
    assert np.allclose(found.numpy(), np.bincount(places[0].numpy(), minlength=9) / 200, atol=1e-6)


def test_histogram_shares_a_value_between_its_two_places() -> None:
    found = histogram(torch.tensor([[0.3]]), 5, 0.0, 1.0)[0]
    assert found.tolist() == pytest.approx([0.0, 0.8, 0.2, 0.0, 0.0], abs=1e-6)


def test_histogram_counts_what_lies_outside_at_its_ends() -> None:
    found = histogram(torch.tensor([[-3.0, 7.0, 1.0, 0.0]]), 3, 0.0, 1.0)[0]
    assert found.tolist() == [0.5, 0.0, 0.5]


def test_histogram_has_slopes() -> None:
    values = torch.rand(1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: histogram(x, 7, 0.0, 1.0), (values,))
    other = torch.rand(1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(lambda x: joint_histogram(x, other, 4, 0.0, 1.0), (values,))


def test_joint_histogram_has_both_histograms_at_its_sides() -> None:
    one, two = pictures()[:, 0].flatten(1), pictures(seed=1)[:, 1].flatten(1)
    found = joint_histogram(one, two, 6, 0.0, 1.0)
    assert torch.allclose(found.sum(2), histogram(one, 6, 0.0, 1.0), atol=1e-6)
    assert torch.allclose(found.sum(1), histogram(two, 6, 0.0, 1.0), atol=1e-6)


def test_gram_knows_no_places() -> None:
    planes = torch.rand(1, 4, 5, 6, generator=torch.Generator().manual_seed(4))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(5))
    turned = planes.flatten(2)[..., order].reshape(planes.shape)
    assert torch.allclose(gram(planes), gram(turned), atol=1e-6)
    assert gram(planes)[0, 1, 2] == pytest.approx(float((planes[0, 1] * planes[0, 2]).sum()) / (4 * 30), rel=1e-5)


def test_a_picture_is_at_no_distance_from_itself_and_black_is_far() -> None:
    found = statistics(pictures(), BANK)
    same = apart(found, found)
    assert float(same.total().abs().max()) == 0
    black = apart(statistics(torch.zeros(2, 3, 16, 20), BANK), found)
    assert float(black.gram.min()) > 0.9
    assert float(black.luma.min()) > 0.9


def test_coarse_bins_have_slopes_where_fine_ones_have_none() -> None:
    """Two greys that share no bin: only wider bins say in which direction the other lies."""
    target = statistics(torch.full((1, 3, 8, 8), 0.6), BANK)
    grey = torch.full((1, 3, 8, 8), 0.497, requires_grad=True)
    slopes = [
        float(torch.autograd.grad(apart(statistics(grey, BANK), target, coarser=wide).luma.sum(), grey)[0].sum())
        for wide in (True, False)
    ]
    assert slopes[0] < -0.5  # brighter is nearer
    before, after = (
        float(apart(statistics(torch.full((1, 3, 8, 8), level), BANK), target).luma) for level in (0.3, 0.5)
    )
    assert after < before - 0.1


def test_the_mean_of_a_set_is_the_best_single_target_of_all_pairs() -> None:
    """The mean squared distance to all of a set differs from that to its mean by what no picture changes."""
    style = [statistics(pictures(1, seed), BANK) for seed in range(5, 9)]
    target = mean_of(style)
    one, two = (statistics(pictures(1, seed), BANK) for seed in (20, 21))

    def to_all(found: Tensor) -> float:
        return float(torch.stack([(found - each.luma).square().sum() for each in style]).mean())

    def to_mean(found: Tensor) -> float:
        return float((found - target.luma).square().sum())

    assert to_all(one.luma) - to_mean(one.luma) == pytest.approx(to_all(two.luma) - to_mean(two.luma), abs=1e-6)


def test_mean_counts_pictures_and_not_batches() -> None:
    every = [statistics(pictures(1, 1), BANK), statistics(pictures(3, 2), BANK)]
    assert torch.allclose(mean_of(every).luma[0], torch.cat([each.luma for each in every]).mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="one picture"):
        mean_of([])


def test_weights_of_the_histograms_count() -> None:
    terms = apart(statistics(pictures(), BANK), mean_of([statistics(pictures(2, 9), BANK)]))
    assert torch.allclose(terms.total(2.0, 3.0), terms.gram + 2 * terms.luma + 3 * terms.chroma)


def test_a_network_without_features_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear shows no features"):
        statistics(pictures(), nn.Linear(2, 2))
