"""How the labelled photographs of benchmarks are split."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reproduce.cifar import splits


def test_few_pictures_are_tested_in_folds() -> None:
    found = list(splits(2500, 2000, seed=3))
    assert len(found) == 5
    for train, test in found:
        assert (len(train), len(test)) == (2000, 500)
        assert not set(train) & set(test)
    assert sorted(np.concatenate([test for _, test in found])) == list(range(2500))


def test_many_pictures_are_tested_at_once() -> None:
    ((train, test),) = splits(7000, 2000, seed=3)
    assert (len(train), len(test)) == (2000, 5000)
    assert not set(train) & set(test)
    with pytest.raises(ValueError, match="none to test"):
        next(splits(2000, 2000, seed=0))
