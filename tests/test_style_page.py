"""The page of `make reproduce-style`, and the looks that it measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.reproduce.style.looks import LOOKS, afterwards
from benchmarks.reproduce.style.page import SAID, fallen, page, verdict
from benchmarks.reproduce.style.play import distances, photo_finish
from benchmarks.reproduce.style.sequences import FRAMES, view
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import sample_photo
from ispdsl.vision.gabor import GaborBank

FLICKER = {"settings": 0.001, "luma": 1.0, "chroma": 0.5, "own_luma": 0.9, "own_chroma": 0.4}


def look(seed: int, run: float, fit: float) -> dict[str, Any]:
    def scores(distance: float) -> dict[str, Any]:
        return {term: {"of_each": [distance, distance], "of_all": distance} for term in SAID}

    sequences = {
        name: {**dict.fromkeys(("every frame", "linear", "monotone"), FLICKER), "between": 0.01}
        for name in ("burst", "pan")
    }
    return {
        "title": "A look", "hard": ["contrast.amount"], "seed": seed, "style": 9, "train": 8,
        "test": ["a", "b"], "sequences": sequences,
        "scores": {"default": scores(1.0), "run": scores(run), "fit": scores(fit)}, "floor": scores(0.2),
        "settings": {way: {"exposure.ev": 0.5} for way in ("default", "run", "fit")},
        "seconds": {"training": 5.0, "fit_of_one": 1.0},
    }  # fmt: skip


def result(*seeds: dict[str, Any]) -> dict[str, Any]:
    known = {
        "pipeline": "photo_finish",
        "steps": 5,
        "together": 4,
        "side": 64,
        "tried": 3,
        "descent": 6,
    }
    machine = {"cores": 2, "device": "a cpu", "torch": "2", "ispdsl": "1"}
    return {**known, "machine": machine, "seconds": 9.0, "seeds": list(seeds)}


def test_the_page_says_by_how_much_distances_fall() -> None:
    seeds = [{"one": look(0, 0.4, 0.2)}, {"one": look(1, 0.6, 0.2)}]
    assert fallen([seed["one"] for seed in seeds], "run", "luma", "of_all").value == pytest.approx(0.5)
    text = page(result(*seeds))
    assert "Searched in all that is legal: `contrast.amount`." in text
    assert "| luma histogram, of the set | 1.000 | 0.500 | 0.200 | 0.200 | **50 %** (40 to 60) |" in text
    assert "| burst | key frames, linear | 0.00100 (0.00100 to 0.00100) | 1.000" in text


def test_the_verdict_names_what_fell_by_less() -> None:
    text = verdict([{"one": look(0, 0.7, 0.2)}])
    assert "`run`, distances of the set: 0 of 4 fell by half or more; less: luma histogram of `one` (30 %)" in text
    assert "`fit`, distances of the set: 4 of 4 fell by half or more." in text


def test_looks_are_settings_of_the_pipeline_and_something_else() -> None:
    known = {slot.address for slot in Settings.of(photo_finish()).slots}
    grey = np.full((3, 9, 9), 0.5, np.float32)
    for each in LOOKS.values():
        assert {*each.moves, *each.values} <= known
        Settings.of(photo_finish()).update(each.values)
        made = afterwards(each, grey)
        assert made[0, 4, 4] > 1.1 * made[0, 0, 0]  # the corners are darker
        assert 0 <= made.min() < made.max() <= 1


def test_distances_of_a_style_from_itself_are_none() -> None:
    pictures = [sample_photo(name, 40) for name in ("astronaut", "coffee")]
    networks = {"gabor": GaborBank(), "resnet": GaborBank()}
    same = distances(pictures, pictures, networks)
    assert set(same) == set(SAID)
    assert max(each["of_all"] for each in same.values()) < 1e-5
    darker = distances([0.3 * each for each in pictures], pictures, networks)
    assert min(each["of_all"] for each in darker.values()) > 0.3
    assert len(darker["luma"]["of_each"]) == 2


def test_the_pan_moves_evenly_and_its_light_comes_back() -> None:
    photo = sample_photo("astronaut", 400)
    means = [float(view(photo, number).mean()) for number in (0, FRAMES // 2, FRAMES - 1)]
    assert means[1] < 0.7 * min(means[0], means[2])
