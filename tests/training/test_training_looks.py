"""What of an error counts, and what of it is seen."""

from __future__ import annotations

import pytest
import torch

from ispdsl.ir.types import Type
from ispdsl.training.looks import look_of, shown, weighed


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("rgb<linear_srgb, f32>", "light"),
        ("rgb<camera, f32>", "light"),
        ("rgb<srgb, f32>", "free"),
        ("rgb<srgb, unit>", "limited"),
        ("rgb<srgb, u8>", "limited"),
        ("raw<C, u16>", "limited"),
        ("raw<C, f32>", "light"),
        ("chroma<srgb, f32>", "free"),
    ],
)
def test_types_say_what_they_are(text: str, look: str) -> None:
    assert look_of(Type.parse(text)) == look


def test_an_error_beyond_a_limit_that_is_reached_is_none() -> None:
    wanted = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.5])
    found = torch.tensor([1.7, 0.9, -0.4, 0.1, 1.2], requires_grad=True)
    one, other = weighed(found, wanted, "limited")
    torch.testing.assert_close(one - other, torch.tensor([0.0, -0.1, 0.0, 0.1, 0.7]))
    (one - other).square().sum().backward()
    assert found.grad is not None
    assert found.grad[[0, 2]].tolist() == [0, 0]


def test_a_stop_of_light_counts_alike_in_highlights_and_mid_tones() -> None:
    dim, bright = (weighed(torch.tensor(2 * x), torch.tensor(x), "light") for x in (0.2, 8.0))
    torch.testing.assert_close(dim[0] - dim[1], bright[0] - bright[1], rtol=0.01, atol=0)


def test_what_is_seen_is_clipped_and_light_is_coded() -> None:
    torch.testing.assert_close(
        shown(torch.tensor([-1.0, 0.001, 0.18, 4.0]), "light"), torch.tensor([0, 0.01292, 0.46136, 1])
    )
    assert shown(torch.tensor([-1.0, 0.18, 4.0]), "limited").tolist() == [0, pytest.approx(0.18), 1]
    assert shown(torch.tensor([-1.0, 4.0]), "free").tolist() == [-1, 4]
