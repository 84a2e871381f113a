"""Tasks: each number goes the way that its name says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ispdsl.errors import CompileError, RunError
from ispdsl.optimise.tasks.indicators import indicator
from ispdsl.optimise.tasks.match import match
from ispdsl.optimise.tasks.task import Picture, View, weighted
from ispdsl.optimise.tasks.user import user_task

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


@pytest.mark.parametrize(("metric", "words"), [("l1", "L1"), ("ssim", "SSIM"), ("ciede2000", "CIEDE2000")])
def test_every_metric_grows_with_the_difference(metric: str, words: str) -> None:
    wanted = pictures()
    noise = np.random.default_rng(0).normal(0, 1, wanted[0].shape).astype(np.float32)
    task = match(wanted, VIEWS, metric)
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
    with pytest.raises(RunError, match="ZeroDivisionError"):
        user_task("judges:broken", VIEWS, ["judges"]).measure(pictures())
    sys.modules.pop("judges", None)
