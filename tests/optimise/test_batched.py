"""Settings for many pictures at once."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.reproduce.tasks.play import Dark, pipeline
from benchmarks.reproduce.tasks.raws import mosaics
from ispdsl.backends.composite import Composite
from ispdsl.optimise.batched import rendered, tune_in_batches
from ispdsl.runtime.vector import Vector
from ispdsl.synthetic import sample_photo


@pytest.fixture(scope="module")
def dark() -> Dark:
    return pipeline()


@pytest.fixture(scope="module")
def codes() -> Tensor:
    return mosaics([sample_photo(name, 32)[:, :16, :16] for name in ("cat", "coffee", "rocket", "astronaut")], 0)


def test_what_pictures_want_is_found_and_the_rest_stays(dark: Dark, codes: Tensor) -> None:
    start = dark.settings.update({"colour": "120%"})
    wanted = rendered(dark.composite, start.update({"brightness": "3ev", "blue": 0.7}), codes, dark.metadata)
    vector = Vector.of(start, only=["brightness", "blue"])
    seen: Counter[int] = Counter()

    def look(pictures: Tensor, numbers: Any) -> Tensor:
        seen.update(numbers.tolist())
        assert pictures.shape == (2, 3, 16, 16)
        return (pictures - wanted[torch.from_numpy(numbers)]).square().mean()

    found = tune_in_batches(dark.composite, vector, start, codes, dark.metadata, look, steps=40, together=2, rate=0.05)
    assert found.settings["brightness"] == pytest.approx(3.0, abs=0.2)
    assert found.settings["blue"] == pytest.approx(0.7, abs=0.1)
    assert found.settings["colour"] == 120
    assert len(found.path) == 40
    assert np.mean(found.path[-10:]) < found.path[0] / 10
    assert set(seen.values()) == {20}, "each picture as often as the others"


def test_the_answer_is_the_mean_of_the_last_third(dark: Dark, codes: Tensor) -> None:
    seen: list[float] = []

    def composite(images: Tensor, values: dict[str, Tensor], _: object) -> SimpleNamespace:
        seen.append(float(values["brightness"].detach()))
        return SimpleNamespace(image=images * values["brightness"])

    start = dark.settings.update({"brightness": "4ev"})
    vector = Vector.of(start, only=["brightness"])
    found = tune_in_batches(
        cast("Composite", composite),
        vector,
        start,
        codes,
        {},
        lambda pictures, _: pictures.mean(),
        steps=12,
        together=4,
    )
    assert seen[0] == 4.0
    assert seen[-1] < seen[-4] < 4.0
    assert found.settings["brightness"] == pytest.approx(np.mean(seen[-4:]))


def test_batches_larger_than_the_pictures_are_refused(dark: Dark, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="batches of 5 of 4"):
        tune_in_batches(
            dark.composite,
            Vector.of(dark.settings),
            dark.settings,
            codes,
            dark.metadata,
            lambda pictures, _: pictures.mean(),
            together=5,
        )
