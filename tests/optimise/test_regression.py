"""Regression: the settings behind a picture, what the picture cannot tell, and no figure that the real thing denies."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.graph import Graph
from ispdsl.optimise.least_squares import Numbers
from ispdsl.optimise.model import Model, Picture
from ispdsl.optimise.real import Render, renderer
from ispdsl.optimise.regression import Search, regress, regress_all
from ispdsl.optimise.sharing import Sharing
from ispdsl.optimise.together import batches, pictures_at
from ispdsl.optimise.views import RegressionError, Scene, View, decibels
from ispdsl.passes.select import match
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.values import Settings
from ispdsl.runtime.vector import Vector
from ispdsl.synthetic.samples import write_demo_raw
from tests.scenes import graph as shipped


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    path = Path(tmp_path_factory.mktemp("raw")) / "coffee.dng"
    write_demo_raw(path, "coffee", size=64)
    return ispdsl.read(path)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return shipped("photo_finish")


@pytest.fixture(scope="module")
def start(graph: Graph, frame: Frame) -> Settings:
    return Settings.of(graph).resolved(frame.metadata)


@pytest.fixture(scope="module")
def render(graph: Graph, frame: Frame) -> Generator[Render]:
    with renderer(graph, frame) as (found, version):
        assert version == ""
        yield found


def model(graph: Graph, frame: Frame, start: Settings, vector: Vector) -> Model:
    composite = compile(graph, types=match(graph, {mosaic_input(graph): frame.type}), taps=())
    return Model(composite, vector, settings_tensors(start), *tensors(frame))


def hidden(vector: Vector, seed: int) -> Settings:
    """Settings anywhere in the soft ranges."""
    low, high = np.array(vector.soft_bounds).T
    return vector.from_vector((low + np.random.default_rng(seed).random(low.size) * (high - low)).tolist())


def test_the_jacobian_is_that_of_finite_differences(graph: Graph, frame: Frame, start: Settings) -> None:
    vector = Vector.of(start, "unit")
    made = model(graph, frame, start, vector)
    doubled = replace(made, image=made.image.double(), metadata={n: v.double() for n, v in made.metadata.items()})
    at = np.array(vector.to_vector(start)) + 0.01
    rows = np.arange(0, frame.image.size * 3, 97)
    found = doubled.jacobian(at, rows)
    for place in range(at.size):
        step = np.zeros_like(at)
        step[place] = 1e-5
        apart = doubled.picture(at + step).reshape(-1)[rows] - doubled.picture(at - step).reshape(-1)[rows]
        near = np.isclose(found[:, place], apart / 2e-5, rtol=1e-4, atol=1e-4 * np.abs(found[:, place]).max())
        assert near.mean() > 0.95, "some pixels lie on a kink of a table"
        assert np.abs(found[:, place]).max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_sliders_behind_a_picture_are_found(
    graph: Graph, frame: Frame, start: Settings, render: Render, seed: int
) -> None:
    vector = Vector.of(start, "unit")
    target = render(hidden(vector, seed))
    found = regress(target, start, vector, render, model(graph, frame, start, vector), exact=True)
    assert found.psnr >= 65
    assert found.psnr == pytest.approx(decibels(render(found.settings) - target), abs=0.01)
    np.testing.assert_array_equal(found.picture, render(found.settings))
    assert found.calls == len(found.path) <= 30
    assert list(found.path) == sorted(found.path)
    assert found.believed is None


def test_what_is_not_free_stays(graph: Graph, frame: Frame, start: Settings, render: Render) -> None:
    only = ["contrast.amount", "saturation.amount"]
    vector = Vector.of(start, "unit", only)
    target = render(start.update({"contrast.amount": -22.0, "saturation.amount": 140.0}))
    found = regress(target, start, vector, render, model(graph, frame, start, vector), exact=True)
    assert [each.name for each in found.estimates] == only
    assert found.estimates[0].found == pytest.approx(-22, abs=0.01)
    assert found.estimates[1].found == pytest.approx(140, abs=0.01)
    assert set(found.settings.changed) == set(only)


class Askew:
    """A double that takes 1.3 times the slider for the slider, is a little darker, and mixes its sliders up."""

    def __init__(self, of: Model, middle: Numbers) -> None:
        self._of, self._middle = of, middle
        self.asked = 0

    def _elsewhere(self, point: Numbers) -> Numbers:
        return np.clip(self._middle + 1.3 * (point - self._middle), 0, 1)

    def picture(self, point: Numbers) -> Picture:
        self.asked += 1
        return self._of.picture(self._elsewhere(point)) * np.float32(0.97)

    def jacobian(self, point: Numbers, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        mixed = np.eye(point.size) + 0.7 * np.triu(np.ones((point.size, point.size)), 1)
        return (self._of.jacobian(self._elsewhere(point), rows) * 1.3 * 0.97 @ mixed).astype(np.float32)


@pytest.mark.slow
def test_a_wrong_double_shows_the_way_and_the_real_thing_has_the_last_word(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    addresses = ["colour_balance.temperature", "colour_balance.tint", "contrast.amount", "saturation.amount"]
    vector = Vector.of(start, "unit", addresses)
    double = Askew(model(graph, frame, start, vector), np.array(vector.to_vector(start)))
    target = render(hidden(vector, 5))
    count = [0]

    def counted(settings: Settings) -> Picture:
        count[0] += 1
        return render(settings)

    found = regress(target, start, vector, counted, double, search=Search(calls=13))
    assert count[0] == found.calls <= 13
    assert found.renders == double.asked
    assert found.psnr >= 100, "which takes 14 calls without learning from them"
    assert found.psnr == pytest.approx(decibels(render(found.settings) - target), abs=0.01)
    assert found.believed is not None
    assert found.believed < 45, "the double is that far off where the real thing is right"


def test_a_useless_double_is_not_believed(graph: Graph, frame: Frame, start: Settings, render: Render) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount"])
    target = render(start.update({"contrast.amount": -40.0}))

    class Flatterer:
        """Claims the very target wherever it is asked."""

        def picture(self, point: Numbers) -> Picture:
            return target

        def jacobian(self, point: Numbers, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.zeros((rows.size, 1), np.float32)

    found = regress(target, start, vector, render, Flatterer())
    assert found.believed == 200
    assert found.psnr == pytest.approx(decibels(render(found.settings) - target), abs=0.01)
    assert found.psnr < 40


def test_the_picture_cannot_tell_what_it_does_not_show(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    """Without light, no slider of colour changes anything."""
    black = int(np.asarray(frame.metadata["black_level"])[0])
    dark = replace(frame, image=np.full_like(frame.image, black))
    vector = Vector.of(start, "unit", ["saturation.amount", "colour_balance.tint"])
    with renderer(graph, dark) as (of_dark, _):
        target = of_dark(start)
        found = regress(target, start, vector, of_dark, model(graph, dark, start, vector), exact=True)
    named = {name for each in found.confusions for name, _ in each.parts}
    assert named == {"saturation.amount", "colour_balance.tint"}
    assert all(each.error is None for each in found.estimates)
    assert [each.found for each in found.estimates] == pytest.approx([each.start for each in found.estimates])
    with_light = regress(render(start), start, vector, render, model(graph, frame, start, vector), exact=True)
    assert not with_light.confusions


def test_standard_errors_are_those_of_noise(graph: Graph, frame: Frame, start: Settings, render: Render) -> None:
    """Over targets with noise, the estimate is off by its standard error, in the root mean square."""
    vector = Vector.of(start, "unit", ["contrast.amount"])
    clean, made = render(start.update({"contrast.amount": 5.0})), model(graph, frame, start, vector)
    score = list[float]()
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(0, 0.02, clean.shape).astype(np.float32)
        found = regress(clean + noise, start, vector, render, made, exact=True, search=Search(starts=1))
        (each,) = found.estimates
        assert each.error is not None
        score.append((each.found - 5.0) / each.error)
    assert 0.5 < np.sqrt(np.mean(np.square(score))) < 1.6


def test_what_does_not_fit_is_refused(graph: Graph, frame: Frame, start: Settings, render: Render) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount"])
    made = model(graph, frame, start, vector)
    target = render(start)
    with pytest.raises(RegressionError, match="the target is 64 x 22 px of 3 planes, and what is rendered 64 x 43 px"):
        regress(target[:, :22], start, vector, render, made)
    with pytest.raises(RegressionError, match="a border of 22 px leaves nothing of 64 x 43 px"):
        regress(target, start, vector, render, made, search=Search(border=22))
    with pytest.raises(RegressionError, match="nothing is free"):
        regress(target, start, Vector.of(start, "unit", []), render, made)


def test_the_search_begins_where_the_real_thing_is_nearer(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    """A double that leads far away costs one call, and not the settings that were good already."""
    addresses = ["contrast.amount", "saturation.amount"]
    vector = Vector.of(start, "unit", addresses)
    made = model(graph, frame, start, vector)
    target = render(start.update({"contrast.amount": 17.0}))

    class Elsewhere:
        """Right in its slopes, and of a picture with other settings."""

        def picture(self, point: Numbers) -> Picture:
            return made.picture(np.clip(point - 0.2, 0, 1))

        def jacobian(self, point: Numbers, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return made.jacobian(point, rows)

    found = regress(target, start, vector, render, Elsewhere(), search=Search(calls=3))
    assert found.psnr > found.psnr_before + 10
    assert found.path[0] < found.path[1] == found.psnr_before, "the double's favourite was the worse one"


def test_a_target_of_eight_bits_ends_the_search_where_it_can_tell_no_more(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount", "saturation.amount"])
    target = np.asarray(np.round(render(start.update({"contrast.amount": 30.0})) * 255) / 255, np.float32)
    found = regress(target, start, vector, render, model(graph, frame, start, vector), exact=True)
    assert found.calls <= 4
    assert found.why == "it does not get better"
    assert 55 < found.psnr < 65
    for each, truth in zip(found.estimates, (30.0, 105.0), strict=True):
        assert each.error is not None
        assert abs(each.found - truth) < 4 * each.error


def test_errors_are_larger_where_what_is_left_hangs_together(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount"])
    clean, made = render(start), model(graph, frame, start, vector)
    noise = np.random.default_rng(0).normal(0, 0.02, clean.shape).astype(np.float32)
    blocks = np.random.default_rng(0).normal(0, 0.02, (3, 4, 4))
    smooth = np.kron(blocks, np.ones((16, 16)))[:, : clean.shape[1], : clean.shape[2]]

    def error(added: NDArray[Any]) -> float:
        target = np.asarray(clean + added, np.float32)
        (each,) = regress(target, start, vector, render, made, exact=True, search=Search(starts=1)).estimates
        assert each.error is not None
        return each.error

    assert error(smooth) > 2.5 * error(noise)


def test_what_has_no_say_stays_where_it_was_whichever_start_is_best(start: Settings) -> None:
    """Flat where the search begins, so that a drawn start wins; it has another saturation, which nothing depends on."""
    vector = Vector.of(start, "unit", ["contrast.amount", "saturation.amount"])

    class Ramp:
        def picture(self, point: Numbers) -> Picture:
            return np.full((3, 16, 16), max(point[0] - 0.6, 0.0), np.float32)

        def jacobian(self, point: Numbers, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.tile(np.array([float(point[0] > 0.6), 0.0], np.float32), (rows.size, 1))

    def render(settings: Settings) -> Picture:
        return Ramp().picture(np.array(vector.to_vector(settings)))

    target = render(start.update({"contrast.amount": 46.0}))
    found = regress(target, start, vector, render, Ramp(), exact=True, search=Search(starts=40))
    contrast, saturation = found.estimates
    assert contrast.found == pytest.approx(46, abs=0.01)
    assert saturation.found == pytest.approx(saturation.start)


def test_pictures_that_share_their_settings_are_taken_together(
    graph: Graph, frame: Frame, start: Settings, render: Render, tmp_path: Path
) -> None:
    """The first view is black and tells nothing; the second has another as-shot white, which stays its own."""
    black = int(np.asarray(frame.metadata["black_level"])[0])
    dark = replace(frame, image=np.full_like(frame.image, black))
    warm = replace(frame, metadata={**frame.metadata, "as_shot_tint": np.float64(20.0)})
    only = ["contrast.amount", "saturation.amount"]
    wanted = {"contrast.amount": -22.0, "saturation.amount": 140.0}
    views = list[View]()
    with renderer(graph, dark) as (of_dark, _), renderer(graph, warm) as (of_warm, _):
        for each, made in ((dark, of_dark), (warm, of_warm)):
            begin = Settings.of(graph).resolved(each.metadata)
            vector = Vector.of(begin, "unit", only)
            target = made(begin.update(wanted))
            views.append(View(target, begin, made, model(graph, each, begin, vector)))
        found = regress_all(views, Vector.of(views[0].settings, "unit", only), exact=True)
        for view, rendered in zip(views, found.views, strict=True):
            np.testing.assert_array_equal(rendered.picture, view.render(rendered.settings))
            assert rendered.psnr == pytest.approx(decibels(rendered.picture - view.target), abs=0.01)
    assert [each.found for each in found.estimates] == pytest.approx(list(wanted.values()), abs=0.01)
    assert found.views[1].settings["colour_balance.tint"] == 20.0 != found.views[0].settings["colour_balance.tint"]
    assert found.views[0].psnr_before == 200 > found.views[1].psnr_before, "black is black with any settings"
    together = np.concatenate(
        [each.before.reshape(-1) - view.target.reshape(-1) for each, view in zip(found.views, views, strict=True)]
    )
    assert found.psnr_before == pytest.approx(decibels(together), abs=0.01)


def test_images_of_one_shape_go_together_and_give_what_they_give_alone(
    graph: Graph, frame: Frame, start: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other content and other white; the fourth is of another shape, the fifth has another choice."""
    vector = Vector.of(start, "unit", ["exposure.ev", "contrast.amount", "colour_balance.tint"])
    turned = replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1, ::-1]))
    warm = replace(turned, metadata={**frame.metadata, "as_shot_tint": np.float64(20.0)})
    small = replace(frame, image=frame.image[:, :24, :32])
    first = model(graph, frame, start, vector)
    settings = [start, start, start, start, start.set("demosaic.method", "malvar")]
    models = [
        replace(first, held=settings_tensors(mine), image=tensors(each)[0], metadata=tensors(each)[1])
        for each, mine in zip((frame, turned, warm, small, frame), settings, strict=True)
    ]
    ((places, batch),) = batches(models)
    assert places == [0, 1, 2]
    rng = np.random.default_rng(0)
    points = [np.array(vector.to_vector(start)) + 0.05 * rng.random(3) for _ in places]
    rows = [np.sort(rng.choice(3 * frame.image.size, 50 + place, replace=False)) for place in places]
    made, slopes = batch.pictures(points), batch.jacobians(points, rows)
    for place in places:
        np.testing.assert_allclose(made[place], models[place].picture(points[place]), atol=1e-5)
        alone = models[place].jacobian(points[place], rows[place])
        assert slopes[place].shape == (50 + place, 3)
        np.testing.assert_allclose(slopes[place], alone, atol=1e-4 * np.abs(alone).max())
    assert np.abs(made[1] - made[2]).max() > 0.01
    for picture, point in zip(pictures_at(first, points), points, strict=True):
        np.testing.assert_allclose(picture, first.picture(point), atol=1e-5)
    monkeypatch.setattr("ispdsl.optimise.together.PIXELS", 2 * frame.image.size)
    assert [places for places, _ in batches(models)] == [[0, 1]]


def test_what_is_each_pictures_own_is_found_for_each(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    """Exposures of their own, and one contrast: neither is found by settings that all pictures share."""
    only = ["exposure.ev", "contrast.amount"]
    vector = Vector.of(start, "unit", only)
    made = model(graph, frame, start, vector)
    wanted = [{"exposure.ev": 0.4, "contrast.amount": -22.0}, {"exposure.ev": -0.3, "contrast.amount": -22.0}]
    begin = [start, start.set("exposure.ev", 0.1)]
    views = [
        View(render(start.update(each)), mine, render, made, name=name)
        for each, mine, name in zip(wanted, begin, ("a.dng", "b.dng"), strict=True)
    ]
    found = regress_all(views, vector, own=["exposure.ev"], exact=True, search=Search(starts=2))
    assert found.psnr > 80
    told = {each.name: each for each in found.estimates}
    assert list(told) == ["exposure.ev (a.dng)", "exposure.ev (b.dng)", "contrast.amount"]
    assert [each.start for each in found.estimates] == pytest.approx([0.181262, 0.1, 15.0])
    assert [each.found for each in found.estimates] == pytest.approx([0.4, -0.3, -22], abs=0.01)
    assert [each.unit for each in found.estimates] == ["ev", "ev", "%"]
    for mine, each in zip(found.views, wanted, strict=True):
        assert {address: mine.settings[address] for address in only} == pytest.approx(each, abs=0.01)
    shared = regress_all(views, vector, exact=True, search=Search(starts=2))
    assert shared.psnr < 40
    with pytest.raises(ValueError, match=r"saturation\.amount cannot be"):
        regress_all(views, vector, own=["saturation.amount"])


def test_slopes_of_what_is_a_pictures_own_are_taken_of_it_alone(start: Settings) -> None:
    """Ten pictures with two numbers of their own: each is asked for three slopes, and not for 21."""
    vector = Vector.of(start, "unit", ["contrast.amount", "exposure.ev", "saturation.amount"])
    basis = np.random.default_rng(0).normal(size=(3, 3 * 64)).astype(np.float32)
    basis[1] *= 0.08  # told by its own picture, and not by all ten together

    class Straight:
        def picture(self, point: Numbers) -> Picture:
            return (point.astype(np.float32) @ basis).reshape(3, 8, 8)

        def jacobian(self, point: Numbers, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return basis[:, rows].T

    def made(settings: Settings) -> Picture:
        return Straight().picture(np.array(vector.to_vector(settings)))

    own = ["exposure.ev", "saturation.amount"]
    each = [
        start.update({"contrast.amount": 20.0, "exposure.ev": 0.04 * n, "saturation.amount": 90.0 + n})
        for n in range(10)
    ]
    views = [View(made(one), start, made, Straight()) for one in each]
    scene = Scene.of(views, Sharing.of(vector, [start] * 10, own), 0)
    slopes = scene.derivatives(np.full(21, 0.5), scene.some(1000, 0))
    assert [part.slopes.shape[1] for part in slopes.parts] == [3] * 10
    found = regress_all(views, vector, own=own, exact=True, search=Search(starts=1))
    assert found.psnr > 90
    assert not found.confusions
    for mine, one in zip(found.views, each, strict=True):
        for address in own:
            assert mine.settings[address] == pytest.approx(one[address], abs=0.01)


def test_what_one_picture_cannot_tell_is_named_with_it(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    """Without light nothing is told of a picture's own colours; the other picture tells of its own."""
    black = int(np.asarray(frame.metadata["black_level"])[0])
    dark = replace(frame, image=np.full_like(frame.image, black))
    vector = Vector.of(start, "unit", ["saturation.amount"])
    with renderer(graph, dark) as (of_dark, _):
        views = [
            View(render(start), start, render, model(graph, frame, start, vector), name="light"),
            View(of_dark(start), start, of_dark, model(graph, dark, start, vector), name="dark"),
        ]
        found = regress_all(views, vector, own=["saturation.amount"], exact=True, search=Search(starts=1))
    assert [each.parts for each in found.confusions] == [(("saturation.amount (dark)", 1.0),)]
    assert [each.error is None for each in found.estimates] == [False, True]


def test_only_what_is_looked_at_counts(graph: Graph, frame: Frame, start: Settings, render: Render) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount"])
    target = render(start.update({"contrast.amount": -20.0}))
    target[:, :20] = 0.5
    looked_at = np.ones(target.shape[1:], np.bool_)
    looked_at[:20] = False
    view = View(target, start, render, model(graph, frame, start, vector), looked_at=looked_at)
    found = regress_all([view], vector, exact=True)
    assert found.estimates[0].found == pytest.approx(-20, abs=0.01)
    assert found.psnr > 90, "of what is looked at"
    with pytest.raises(RegressionError, match="nothing of the target is left"):
        regress_all([replace(view, looked_at=~looked_at & looked_at)], vector)


def test_a_search_that_is_halted_gives_the_best_so_far(
    graph: Graph, frame: Frame, start: Settings, render: Render
) -> None:
    vector = Vector.of(start, "unit", ["contrast.amount", "saturation.amount"])
    target = render(start.update({"contrast.amount": -40.0, "saturation.amount": 60.0}))
    real = list[float]()

    def told(what: str, done: int, total: int, psnr: float) -> None:
        real.extend([psnr] * (what == "the real thing"))

    found = regress(
        target, start, vector, render, Askew(model(graph, frame, start, vector), np.array(vector.to_vector(start))),
        told=told, halt=lambda: len(real) >= 2,
    )  # fmt: skip
    assert found.calls == len(real) == 2
    assert found.why == "it was told to stop"
    assert found.psnr == max(real)
    at_once = regress(target, start, vector, render, model(graph, frame, start, vector), halt=lambda: True)
    assert at_once.calls == 1
    assert at_once.settings.changed == start.changed
