"""Tasks: each number goes the way that its name says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.errors import CompileError, RunError
from ispdsl.optimise.tasks.indicators import indicator
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tasks.task import Picture, View, weighted
from ispdsl.optimise.tasks.user import TaskError, user_task
from ispdsl.vision.features import features_apart
from ispdsl.vision.resnet import ResNet

torch.manual_seed(0)
NETWORK = ResNet(8).eval().requires_grad_(False)

VIEWS = [View("one.dng", "srgb", {}), View("two.dng", "srgb", {})]


def pictures(seed: int = 0, size: int = 32) -> list[Picture]:
    """Two pictures: a smooth ramp and an edge, with a little colour."""
    ramp = np.linspace(0.2, 0.7, size, dtype=np.float32)
    tint = np.array([1.0, 0.9, 0.8], np.float32)[:, None, None]
    edge = np.where(np.arange(size) < size // 2, 0.2, 0.7).astype(np.float32)
    return [tint * np.broadcast_to(each, (size, size)) for each in (ramp, edge)]


def test_psnr_is_that_of_all_pictures_together() -> None:
    wanted = pictures()
    task = match(wanted, VIEWS)
    found = [wanted[0] + np.float32(0.1), wanted[1]]
    assert task.measure(found) == pytest.approx(10 * np.log10(0.01 / 2), abs=1e-4)
    assert task.shown(task.measure(found)) == "PSNR 23.01 dB"
    assert task.residual is not None
    assert np.mean(np.square(task.residual(found))) == pytest.approx(0.005, rel=1e-4)
    assert task.measure(wanted) == -200


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("l1", "L1"),
        ("charbonnier", "Charbonnier"),
        ("gradient", "gradient L1"),
        ("ssim", "SSIM"),
        ("ciede2000", "CIEDE2000"),
        ("features", "features"),
    ],
)
def test_every_metric_grows_with_the_difference(metric: str, words: str) -> None:
    wanted = pictures()
    noise = np.random.default_rng(0).normal(0, 1, wanted[0].shape).astype(np.float32)
    task = match(wanted, VIEWS, metric, network=NETWORK)
    found = [
        task.measure([(each + amount * noise).astype(np.float32) for each in wanted]) for amount in (0.0, 0.02, 0.1)
    ]
    assert found[0] == pytest.approx(0, abs=1e-5)
    assert found[0] < found[1] < found[2]
    assert task.shown(found[1]).startswith(words)


def test_a_border_is_not_looked_at() -> None:
    wanted = pictures()
    found = [each.copy() for each in wanted]
    found[0][:, :3] = 1
    assert match(wanted, VIEWS, border=3).measure(found) == -200
    assert match(wanted, VIEWS, border=2).measure(found) > -40
    with pytest.raises(ValueError, match="leaves nothing"):
        match(wanted, VIEWS, border=16)
    with pytest.raises(ValueError, match="its reference 32 x 32"):
        match(wanted, VIEWS).measure([each[:, 1:] for each in wanted])


def test_exposure_is_best_at_grey() -> None:
    task = indicator("exposure", VIEWS[:1])
    grey = 0.4613561  # 18 % in sRGB
    found = [task.measure([np.full((3, 8, 8), level, np.float32)]) for level in (0.2, grey, 0.8)]
    assert found[1] == pytest.approx(0, abs=1e-4)
    assert found[0] == pytest.approx(grey - 0.2, abs=1e-4)
    assert found[2] == pytest.approx(0.8 - grey, abs=1e-4)


def test_noise_is_its_standard_deviation_where_it_is_flat() -> None:
    rng = np.random.default_rng(0)
    scene = np.where(np.arange(128) % 64 < 8, 0.8, 0.4) * np.ones((128, 1))
    for sigma in (0.01, 0.03):
        picture = (scene + rng.normal(0, sigma, (128, 128))).astype(np.float32)
        picture[:, :48] += rng.normal(0, 0.2, (128, 48)).astype(np.float32)  # foliage
        grey = np.stack([picture] * 3)
        found = indicator("noise", VIEWS[:1]).measure([grey])
        assert found == pytest.approx(sigma, rel=0.25), "the flattest blocks are a little flatter than the mean"


def test_blur_is_less_sharp() -> None:
    task = indicator("sharpness", VIEWS[1:])
    edge = pictures()[1]
    soft = (edge + np.roll(edge, 1, 2) + np.roll(edge, -1, 2))[:, :, 2:-2] / np.float32(3)
    assert task.measure([edge]) < task.measure([soft]) < 0
    assert task.measure([edge / np.float32(2)]) == pytest.approx(task.measure([edge]), rel=1e-4), (
        "contrast is no sharpness"
    )


def test_a_cast_is_no_grey() -> None:
    task = indicator("colour-cast", VIEWS[:1])
    grey = np.full((3, 8, 8), 0.5, np.float32)
    warm = grey * np.array([1.2, 1.0, 0.8], np.float32)[:, None, None]
    assert task.measure([grey]) == pytest.approx(0, abs=0.01)
    assert task.measure([warm]) > 10
    night = np.array([0.01, 0.0, 0.0], np.float32)[:, None, None] * np.ones((3, 8, 80), np.float32)
    assert task.measure([np.concatenate([grey, night], axis=2)]) == pytest.approx(0, abs=0.01), "black has no colour"


def test_weights_add_up() -> None:
    views = VIEWS[:1]
    both = weighted([(indicator("exposure", views), 2.0), (indicator("noise", views), 10.0)])
    picture = [pictures()[0]]
    parts = [indicator(name, views).measure(picture) for name in ("exposure", "noise")]
    assert both.measure(picture) == pytest.approx(2 * parts[0] + 10 * parts[1])
    assert both.name == "2 exposure + 10 noise"
    with pytest.raises(ValueError, match="above 0"):
        weighted([(indicator("exposure", views), 0.0)])


def test_a_users_function_is_called_where_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judges.py").write_text(
        "def bright(pictures, names):\n    assert names == ['one.dng', 'two.dng']\n    return -pictures[0].mean()\n"
        "def wordy(pictures, names):\n    return 'good'\n"
        "def broken(pictures, names):\n    return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    task = user_task("judges:bright", VIEWS, ["judges"])
    assert task.measure(pictures()) == pytest.approx(-float(pictures()[0].mean()))
    with pytest.raises(CompileError, match="not trusted") as caught:
        user_task("judges:bright", VIEWS, [])
    assert caught.value.hint is not None
    assert "--trust judges" in caught.value.hint
    with pytest.raises(CompileError, match="no function dark"):
        user_task("judges:dark", VIEWS, ["judges"])
    with pytest.raises(CompileError, match="cannot import nowhere"):
        user_task("nowhere:dark", VIEWS, ["nowhere"])
    with pytest.raises(RunError, match="returns str"):
        user_task("judges:wordy", VIEWS, ["judges"]).measure(pictures())
    with pytest.raises(TaskError, match="ZeroDivisionError") as fault:
        user_task("judges:broken", VIEWS, ["judges"]).measure(pictures())
    assert f"{tmp_path / 'judges.py'}, line " in fault.value.message
    assert "in broken: return 1 / 0" in fault.value.message
    sys.modules.pop("judges", None)


def test_a_users_function_cannot_change_what_other_tasks_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blackens.py").write_text(
        "def black(pictures, names):\n    for each in pictures:\n        each *= 0\n    return 0.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = pictures()
    assert user_task("blackens:black", VIEWS, ["blackens"]).measure(shown) == 0
    np.testing.assert_array_equal(shown[0], pictures()[0])
    sys.modules.pop("blackens", None)


# ---- losses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["psnr", "l1", "charbonnier", "gradient", "ssim", "ciede2000", "features"])
@pytest.mark.parametrize("space", ["srgb", "linear_rec2020"])
def test_the_loss_of_a_metric_is_the_metric_and_has_its_slope(metric: str, space: str) -> None:
    views = [View("one.dng", space, {}), View("two.dng", space, {})]
    if metric == "features" and space != "srgb":
        with pytest.raises(ValueError, match="looks at pictures in srgb"):
            match(pictures(), views, metric, network=NETWORK)
        return
    rng = np.random.default_rng(1)
    wanted = [each + rng.normal(0, 0.02, each.shape).astype(np.float32) for each in pictures(size=20)]
    made = [each + rng.normal(0, 0.1, each.shape).astype(np.float32) for each in wanted]
    task = match(wanted, views, metric, border=2, network=NETWORK)
    assert task.loss is not None
    inputs = [torch.from_numpy(each).double().requires_grad_() for each in made]
    measured = task.measure(made)
    NETWORK.double()
    loss = task.loss(inputs)
    assert loss.item() == pytest.approx(10 ** (measured / 10) if metric == "psnr" else measured, rel=1e-4)
    slopes = torch.autograd.grad(loss, inputs)
    direction = [torch.from_numpy(rng.normal(size=each.shape)) for each in made]
    step = 1e-6
    apart = [
        task.loss([each + sign * step * way for each, way in zip(inputs, direction, strict=True)]).item()
        for sign in (1, -1)
    ]
    along = sum(float((slope * way).sum()) for slope, way in zip(slopes, direction, strict=True))
    assert along == pytest.approx((apart[0] - apart[1]) / (2 * step), rel=1e-3)
    NETWORK.float()


@pytest.mark.parametrize("metric", ["l1", "charbonnier", "gradient", "ssim", "ciede2000", "features"])
def test_slopes_of_equal_and_of_grey_pictures_are_finite(metric: str) -> None:
    grey = np.full((3, 16, 16), 0.4, np.float32)
    grey[:, :8] = 0
    task = match([grey], VIEWS[:1], metric, network=NETWORK)
    assert task.loss is not None
    x = torch.from_numpy(grey.copy()).requires_grad_()
    (slope,) = torch.autograd.grad(task.loss([x]), x)
    assert slope.isfinite().all()
    moved = (torch.from_numpy(grey) + 0.05).requires_grad_()
    (slope,) = torch.autograd.grad(task.loss([moved]), moved)
    assert slope.isfinite().all()
    assert metric == "gradient" or slope.abs().max() > 0


def test_colours_are_as_far_apart_as_the_standard_says() -> None:
    """Of all hues and chromas, near blue too, where the formula turns its ellipses."""
    rng = np.random.default_rng(0)
    one, two = rng.random((2, 3, 40, 40)).astype(np.float32)
    two[2, :20] = 1.0
    task = match([one], VIEWS[:1], "ciede2000")
    assert task.loss is not None
    assert float(task.loss([torch.from_numpy(two)])) == pytest.approx(task.measure([two]), rel=1e-5)


def test_features_are_compared_by_direction_in_every_layer() -> None:
    one, two = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = features_apart(NETWORK, one, two)
    layers: list[float] = []
    for a, b in zip(NETWORK.features(one), NETWORK.features(two), strict=True):
        layers.append(float((2 - 2 * torch.nn.functional.cosine_similarity(a, b, dim=1)).mean()))
    assert len(layers) == 4
    assert float(found) == pytest.approx(np.mean(layers), rel=1e-4)
    with pytest.raises(ValueError, match="Linear shows no features"):
        features_apart(torch.nn.Linear(1, 1), one, two)
    with pytest.raises(ValueError, match="no weights are given"):
        match(pictures(), VIEWS, "features")


def test_a_sum_of_tasks_has_a_loss_where_all_have_one() -> None:
    wanted = pictures()
    tasks = [(match(wanted, VIEWS, "l1"), 2.0), (match(wanted, VIEWS, "gradient"), 0.5)]
    both = weighted(tasks)
    made = [each * np.float32(0.9) for each in wanted]
    assert both.loss is not None
    assert float(both.loss([torch.from_numpy(each) for each in made])) == pytest.approx(both.measure(made), rel=1e-4)
    assert weighted([*tasks, (indicator("noise", VIEWS), 1.0)]).loss is None
