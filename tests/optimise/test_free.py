"""What is free, as a space: ranges, codes, names, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from ispdsl.ir.params import Register, Slider
from ispdsl.optimise.free import Free
from ispdsl.runtime import faces
from ispdsl.runtime.values import Settings, SettingsError
from tests.scenes import graph


@pytest.fixture(scope="module")
def hardware() -> Settings:
    return Settings.of(graph("hardware_isp"))


@pytest.fixture(scope="module")
def finish() -> Settings:
    metadata = {"as_shot_temperature": 5000.0, "as_shot_tint": 3.0, "baseline_exposure": 0.3}
    return Settings.of(graph("photo_finish")).resolved(metadata)


def test_registers_are_axes_of_codes(hardware: Settings) -> None:
    free = Free.of(hardware)
    assert free.space.size == 32
    assert free.space.discrete.all()
    assert all(axis.ordered for axis in free.space.axes)
    by_name = {axis.name: axis for axis in free.space.axes}
    assert by_name["isp.np_offset"].levels == 17
    assert by_name["isp.gain_00"].levels == 256 * 1.5 + 1


@pytest.mark.parametrize("seed", range(20))
def test_every_legal_point_is_legal_codes_within_the_soft_ranges(hardware: Settings, seed: int) -> None:
    free = Free.of(hardware)
    point = free.space.snap(np.random.default_rng(seed).random(free.space.size))
    settings = free.at(point)
    for part in free.parts:
        declaration, value = part.slot.declaration, settings[part.slot.address]
        assert isinstance(declaration, Register)
        assert isinstance(value, float)
        assert faces.from_code(declaration, faces.to_code(declaration, value)) == value
        assert declaration.soft[0] <= value <= declaration.soft[1]
    np.testing.assert_allclose(free.point(settings), point, atol=1e-12)


def test_both_ends_of_a_register_are_reached(hardware: Settings) -> None:
    free = Free.of(hardware, ["isp.coef_a_12"])
    assert free.at(np.zeros(1))["isp.coef_a_12"] == -0.84375
    assert free.at(np.ones(1))["isp.coef_a_12"] == -0.09375


def test_a_start_beyond_the_soft_range_widens_it(hardware: Settings) -> None:
    free = Free.of(hardware.update({"isp.np_offset": 40}), ["isp.np_offset"])
    assert free.space.axes[0].levels == 41
    assert free.at(free.point(free.settings))["isp.np_offset"] == 40


def test_sliders_and_tables_come_back(finish: Settings) -> None:
    free = Free.of(finish)
    assert not free.space.discrete.any()
    np.testing.assert_allclose(free.point(free.at(free.point(finish))), free.point(finish), atol=1e-9)
    for end in (0.0, 1.0):
        settings = free.at(np.full(free.space.size, end))
        for part in free.parts:
            assert isinstance(part.slot.declaration, Slider)
            assert settings[part.slot.address] == pytest.approx(part.slot.declaration.soft[int(end)], rel=1e-9)
    learned = Settings.of(graph("learned_isp"))
    tables = Free.of(learned)
    assert tables.space.size == 37
    point = np.random.default_rng(0).random(37)
    np.testing.assert_allclose(tables.point(tables.at(point)), point, atol=1e-9)


def test_choices_are_free_where_asked(finish: Settings) -> None:
    assert "demosaic.method" not in Free.of(finish).addresses
    assert "demosaic.method" in Free.of(finish, choices=True).addresses
    free = Free.of(finish, ["contrast.amount", "demosaic.method"])
    (_, axis) = free.space.axes
    assert not axis.ordered
    declared = finish.slot("demosaic.method").declaration
    options = getattr(declared, "options", ())
    assert axis.levels == len(options)
    found = [free.at(np.array([0.5, index / (len(options) - 1)]))["demosaic.method"] for index in range(len(options))]
    assert found == list(options)


def test_a_pattern_stands_for_what_can_be_free(hardware: Settings, finish: Settings) -> None:
    assert Free.of(hardware, ["isp.gain_*", "isp.gain_00"]).addresses == ("isp.gain_00", "isp.gain_01", "isp.gain_11")
    assert "demosaic.method" in Free.of(finish, ["demosaic.*", "contrast.amount"]).addresses
    with pytest.raises(SettingsError, match="no parameter of this name"):
        Free.of(hardware, ["isp.gian_*"])


def test_what_is_not_free_stays(finish: Settings) -> None:
    free = Free.of(finish.update({"exposure.ev": 0.5}), ["contrast.amount"])
    settings = free.at(np.array([1.0]))
    assert settings["exposure.ev"] == 0.5
    assert set(settings.changed) == {"exposure.ev", "contrast.amount"}


def test_what_cannot_be_free_is_refused(finish: Settings) -> None:
    with pytest.raises(SettingsError, match=r"did you mean contrast\.amount"):
        Free.of(finish, ["contrast.amont"])
    waiting = Settings.of(graph("photo_finish"))
    with pytest.raises(SettingsError, match="no value yet"):
        Free.of(waiting, ["colour_balance.temperature"])


def test_some_settings_are_each_images_own(finish: Settings) -> None:
    others = [("a.dng", finish), ("b.dng", finish.update({"exposure.ev": 0.5, "contrast.amount": 30.0}))]
    free = Free.of(finish, ["contrast.amount"], own=["exposure.*"], images=others)
    names = ["contrast.amount", "exposure.ev (a.dng)", "exposure.ev (b.dng)"]
    assert [axis.name for axis in free.space.axes] == [part.name for part in free.parts] == names
    assert (free.addresses, free.own) == (("contrast.amount", "exposure.ev"), ("exposure.ev",))
    one, two = free.all_at(free.start)
    assert one["exposure.ev"] == pytest.approx(finish["exposure.ev"])
    assert two["exposure.ev"] == pytest.approx(0.5)
    assert one["contrast.amount"] == two["contrast.amount"] == pytest.approx(15.0), "what is shared is the first's"
    point = np.array([0.25, 0.5, 1.0])
    np.testing.assert_allclose(free.point(*free.all_at(point)), point)
    assert free.at(point) == free.all_at(point)[0] != free.all_at(point)[1]
    alone = Free.of(finish, own=["exposure.ev"], images=others[:1])
    assert (alone.own, len(alone.all_at(alone.start))) == ((), 1), "of one image everything is shared"
    with pytest.raises(SettingsError, match=r"demosaic\.fixed|has no parameter"):
        Free.of(finish, own=["demosaic.nothing"], images=others)
