"""Conditions on sizes: those that torch writes down when it traces, and texts that are none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from ispdsl.backends.conditions import binding, broken


class Pyramid(torch.nn.Module):
    """As many levels as the size allows."""

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        side, levels = min(images["picture"].shape[-2:]), 0
        while side > 8:
            side, levels = (side + 1) // 2, levels + 1
        return images["picture"] * levels


class Cut(torch.nn.Module):
    """An even number of rows and columns, cut to as many as there were: of an even one nothing is cut off."""

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        height, width = images["picture"].shape[-2:]
        longer = torch.nn.functional.pad(images["picture"], (0, width % 2, 0, height % 2))
        return longer[..., :height, :width]


def conditions_of(module: torch.nn.Module, *size: int) -> tuple[str, ...]:
    free = {"picture": {1: Dim.DYNAMIC, 2: Dim.DYNAMIC}}
    program = torch.export.export(module, ({"picture": torch.rand(1, *size)},), dynamic_shapes=(free,), strict=False)
    return binding(vars(program)["_guards_code"])


@pytest.mark.parametrize(("size", "fits"), [((33, 41), True), ((64, 40), True), ((32, 41), False), ((65, 99), False)])
def test_sizes_of_another_number_of_levels_break_a_condition(size: tuple[int, int], fits: bool):
    found = conditions_of(Pyramid(), 40, 50)
    assert (broken(found, {"images.picture": (1, *size)}) is None) is fits


def test_even_sizes_fit_what_was_traced_with_odd_ones():
    found = conditions_of(Cut(), 33, 41)
    assert [broken(found, {"images.picture": (1, *size)}) for size in ((64, 40), (35, 40), (7, 9))] == [None] * 3


def test_what_conditions_say():
    sizes = {"images.a": (1, 7, 8), "settings.tone.curve": (16,)}
    height = "L['images']['a'].size()[1]"
    true = f"not ({height} % 2 == 0) and (max(1, {height}, 3) == 7 or {height} < -1)"
    assert broken([true, "L['settings']['tone.curve'].size()[0] >= 16", f"3 <= {height} <= 7"], sizes) is None
    assert broken([true, f"{height} // 2 * 2 == {height}"], sizes) == f"{height} // 2 * 2 == {height}"
    assert binding([f"{height} != 1", f"{height} != 2*{height}", f"{height} != 1"]) == (f"{height} != 1",)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "L['images'].__class__",
        "(lambda: 1)() == 1",
        "open('x') == 1",
        "2 ** 99999 == 1",
        "L == 1",
        "1 == 1 if 1 else 2",
        "max() == 1",
        "1 // 0 == 1",
        "'a' == 'a'",
        "not " * 200 + "1",
        "1" * 5000,
        "1 ==",
    ],
)
def test_what_is_no_condition_is_refused_and_not_run(text: str):
    with pytest.raises(ValueError, match=r"."):
        binding([text])


def test_a_condition_on_what_does_not_go_in_is_refused():
    with pytest.raises(ValueError, match=r"images.b has no axis 1"):
        broken(["L['images']['b'].size()[1] == 3"], {"images.a": (1, 2, 3)})
