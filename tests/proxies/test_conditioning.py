"""From keywords to numbers: the ends of ranges, what lies beyond them, batches, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ispdsl.errors import RunError
from ispdsl.proxies.conditioning import LEVELS, NARROW, Compression, Conditioning, Statistics, measure
from ispdsl.proxies.double import make
from ispdsl.proxies.task import Knob, Reading
from tests.proxies.cards import EV, HIST, MODE, card

KELVIN = Knob(name="kelvin", address="x.kelvin", kind="number", low=2000, high=10000, reciprocal=True)
ON = Knob(name="on", address="x.on", kind="toggle")
CURVE = Knob(name="curve", address="x.curve", kind="table", low=0, high=2, shape=(2, 2))
LEVEL = Reading(name="black_level", kind="metadata", shape=(4,))
LIKE = torch.zeros((), dtype=torch.float64)


def conditioning(*of: Knob | Reading, examples: list[dict[str, Any]] | None = None) -> Conditioning:
    knobs = [each for each in of if isinstance(each, Knob)]
    readings = [each for each in of if isinstance(each, Reading)]
    task = card("pointwise", knobs=knobs, readings=readings).task
    return Conditioning(task, measure(task, examples or []))


@pytest.mark.parametrize(("value", "expected"), [(-4, -1.0), (0.0, 0.0), (4, 1.0), (8, 2.0), (-12, -3.0)])
def test_a_number_is_linear_in_its_range_and_beyond(value: float, expected: float) -> None:
    assert conditioning(EV)({"ev": value}, LIKE).tolist() == [[expected]]


def test_a_temperature_is_linear_in_its_reciprocal() -> None:
    found = [
        conditioning(KELVIN)({"kelvin": value}, LIKE).item() for value in (2000, 10000, 1 / (0.5 / 2e3 + 0.5 / 1e4))
    ]
    assert found == pytest.approx([-1, 1, 0], abs=1e-12)


def test_choices_toggles_and_tables() -> None:
    found = conditioning(MODE, ON, CURVE)({"mode": "hard", "on": False, "curve": [[0, 1], [2, 4]]}, LIKE)
    assert found.tolist() == [[0, 1, -1, -1, 0, 1, 3]]


def test_every_form_of_a_batch_gives_the_same() -> None:
    both = conditioning(EV, CURVE, MODE)
    values, curves = torch.tensor([-1.0, 3.0]).double(), torch.rand(2, 2, 2).double()
    alone = torch.cat(
        [both({"ev": v.item(), "curve": c, "mode": "soft"}, LIKE) for v, c in zip(values, curves, strict=True)]
    )
    for shape in ((2,), (2, 1, 1, 1)):
        assert torch.equal(both({"ev": values.reshape(shape), "curve": curves, "mode": "soft"}, LIKE), alone)
    apart = both({"ev": values, "curve": curves[0], "mode": ["soft", "hard"]}, LIKE)
    assert apart.shape == (2, 7)
    assert apart[1, -2:].tolist() == [0, 1]


def test_metadata_is_standardised_by_the_training_data() -> None:
    level = Reading(name="iso", kind="metadata", shape=(2,))
    examples = [{"iso": [100.0, 7.0]}, {"iso": [300.0, 7.0]}]
    made = conditioning(level, examples=examples)
    assert made({"iso": [100.0, 7.0]}, LIKE).tolist() == [[-1, 0]]
    assert made({"iso": [500.0, 14.0]}, LIKE).tolist() == [[3, 1]], "what never changed has its own size as spread"


def test_metadata_comes_back_from_the_vector() -> None:
    iso = Reading(name="meta_white_level", kind="metadata")
    made = conditioning(EV, iso, examples=[{"meta_white_level": 4095.0}, {"meta_white_level": 16383.0}])
    back = made.reading(made({"ev": 1, "meta_white_level": 1000.0}, LIKE), "white_level")
    assert back is not None
    assert back.item() == pytest.approx(1000)
    assert made.reading(torch.zeros(1, 2), "black_level") is None


def test_levels_of_sites_come_in_the_order_of_colours() -> None:
    made = conditioning(LEVEL)
    reading_order = {"rggb": [1, 2, 3, 4], "bggr": [4, 3, 2, 1], "grbg": [2, 1, 4, 3], "gbrg": [3, 4, 1, 2]}
    for cfa, values in reading_order.items():
        assert made({"black_level": values, "cfa": cfa}, LIKE).tolist() == [[1, 2, 3, 4]], cfa


def test_a_histogram_is_seen_as_quantiles_whatever_it_counts() -> None:
    made = conditioning(HIST)
    dark, bright = torch.zeros(64).double(), torch.zeros(64).double()
    dark[4], bright[60] = 1, 1
    low, high = made({"hist": dark}, LIKE), made({"hist": bright}, LIKE)
    assert low.shape == (1, len(LEVELS))
    assert (high > low + 1).all()
    torch.testing.assert_close(made({"hist": 1000 * dark}, LIKE), low)


def test_a_long_statistic_with_negative_values_stays_as_it_is() -> None:
    values = torch.linspace(-1, 1, 64)
    made = conditioning(HIST, examples=[{"hist": values}, {"hist": 3 * values}])
    assert made.size == 64
    assert made({"hist": values}, LIKE).shape == (1, 64)


def test_without_anything_there_is_one_zero() -> None:
    assert conditioning()({}, LIKE).tolist() == [[0]]


def test_long_items_are_compressed_and_short_ones_are_not() -> None:
    made = Compression([3, 100])
    found = made(torch.rand(2, 103))
    assert found.shape == (2, 3 + NARROW)
    given = torch.rand(2, 103)
    assert torch.equal(made(given)[:, :3], given[:, :3])


def test_gradients_derivatives_and_vmap_pass() -> None:
    made = conditioning(EV, KELVIN, HIST)
    hist = torch.rand(64, dtype=torch.float64) + 0.1

    def call(ev: Tensor, kelvin: Tensor, hist: Tensor) -> Tensor:
        return made({"ev": ev, "kelvin": kelvin, "hist": hist}, LIKE)

    given = (torch.tensor(1.0).double(), torch.tensor(5000.0).double(), hist)
    assert torch.autograd.gradcheck(call, tuple(each.clone().requires_grad_() for each in given))
    along = torch.ones((), dtype=torch.float64)
    slope = torch.func.jvp(lambda ev: call(ev, *given[1:]), (given[0],), (along,))[1]
    assert slope[0, 0].item() == 0.25
    many = torch.func.vmap(call, in_dims=(0, None, None))(torch.tensor([0.0, 4.0]).double(), *given[1:])
    assert many[:, 0, 0].tolist() == [0, 1]


def test_wrong_keywords_are_refused() -> None:
    made = conditioning(EV, MODE, CURVE)
    right: dict[str, Any] = {"ev": 0, "mode": "soft", "curve": [[0, 1], [2, 4]]}
    with pytest.raises(RunError, match="was not given ev; it reads ev, mode, curve"):
        made({"mode": "soft"}, LIKE)
    with pytest.raises(RunError, match="knows no 'loud'; it knows soft, hard"):
        made({**right, "mode": "loud"}, LIKE)
    with pytest.raises(RunError, match="curve has shape"):
        made({**right, "curve": torch.zeros(3)}, LIKE)


def test_no_examples_are_the_defaults() -> None:
    task = card("pointwise", readings=[HIST]).task
    assert measure(task, []).mean == Statistics().mean == {}


def test_a_network_is_not_shown_the_levels_that_its_image_is_scaled_by() -> None:
    levels = [Reading(name="black_level", kind="metadata", shape=(4,)), Reading(name="white_level", kind="metadata")]
    codes = make(card("unet", ["raw<C, u16>"], ["rgb<camera, f32>"], readings=levels, knobs=[EV], width=4, levels=2))
    told = codes.condition({"ev": 1.0, "black_level": [1.0, 2, 3, 4], "white_level": 9.0}, torch.zeros(1))
    assert told.shape == (1, 6)
    assert torch.equal(codes.compression(told), told[:, :1])
    light = make(
        card("unet", ["rgb<camera, f32>"], ["rgb<camera, f32>"], readings=levels, knobs=[EV], width=4, levels=2)
    )
    assert light.compression(told).shape == (1, 6)


def test_a_double_without_settings_is_told_nothing() -> None:
    alone = make(card("pointwise", knobs=[]))
    assert alone.condition({}, torch.zeros(1)).tolist() == [[0.0]]
    assert not [name for name, _ in alone.network.named_parameters() if "weighing" in name]
