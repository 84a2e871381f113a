"""Raws in batches, the encoder, its training through the pipeline, and the direct way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.darkroom import develop
from ispdsl.errors import CompileError
from ispdsl.learned import weights
from ispdsl.learned.card import Card
from ispdsl.learned.fit import Recipe
from ispdsl.learned.scenes import SEEN, Means, Scene, scene, seen, shoots, shrunk
from ispdsl.learned.style import Encoder, Style, fitted, moved, opened, target_of
from ispdsl.learned.style_training import Job, chosen_by, learn, ready, rendered, sequence
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.pictures import orient
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import sample_photo
from ispdsl.vision.gabor import GaborBank
from tests.scenes import graph, synthetic_frame

GRAPH = graph("photo_finish")
ONLY = ("exposure.ev", "colour_balance.temperature", "saturation.amount")
WANTED = {"exposure.ev": 1.0, "saturation.amount": 40.0}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    folder = Path(tmp_path_factory.mktemp("frames"))
    photos = [sample_photo("astronaut", 48), sample_photo("coffee", 48), sample_photo("cat", 48)]
    return [
        synthetic_frame(folder, photo[:, :28, :32], orientation=turn, seed=seed, noise=(1e-4, 1e-7))
        for seed, (photo, turn) in enumerate(zip(photos, (1, 6, 1), strict=True))
    ]


@pytest.fixture(scope="module")
def scenes(frames: list[Frame]) -> list[Scene]:
    return [scene(f"{number}", each, Settings.of(GRAPH), ONLY) for number, each in enumerate(frames)]


@pytest.fixture(scope="module")
def style(scenes: list[Scene]) -> Style:
    """Pictures of the scenes themselves at other settings."""
    made = rendered(GRAPH, scenes, [each.settings.update(WANTED) for each in scenes], Means())
    return Style(target_of(made, GaborBank()), GaborBank())


def at_start(encoder: Encoder, some: Sequence[Scene]) -> bool:
    return all(
        found[address] == pytest.approx(each.settings[address], rel=1e-4)
        for each, found in zip(some, chosen_by(encoder, some), strict=True)
        for address in ONLY
    )


def test_a_small_mosaic_is_the_mean_of_sites_of_one_colour(frames: list[Frame]) -> None:
    codes = np.arange(64, dtype=np.uint16).reshape(1, 8, 8)
    small = shrunk(replace(frames[0], image=codes), 4)
    assert small.image.shape == (1, 4, 4)
    assert small.image[0, 0, 0] == np.mean([codes[0, 0, 0], codes[0, 0, 2], codes[0, 2, 0], codes[0, 2, 2]])
    assert small.image[0, 3, 2] == np.mean([codes[0, y, x] for y in (5, 7) for x in (4, 6)])
    assert shrunk(small, 16) is small


def test_grey_is_seen_as_grey_and_white_as_one(frames: list[Frame]) -> None:
    neutral = np.asarray(frames[0].metadata["as_shot_neutral"])
    black, white = float(np.mean(frames[0].metadata["black_level"])), float(frames[0].metadata["white_level"])
    light = np.empty((1, 8, 8), np.float32)
    for place, colour in enumerate("rggb"):
        light[0, place // 2 :: 2, place % 2 :: 2] = black + 0.3 * neutral["rgb".index(colour)] * (white - black)
    found = seen(replace(frames[0], image=light))
    assert found.shape == (3, SEEN, SEEN)
    assert np.allclose(found, 0.3, atol=2e-3)
    assert float(seen(replace(frames[0], image=np.full((1, 8, 8), white, np.float32))).min()) == 1


def test_batches_render_what_the_darkroom_develops(frames: list[Frame], scenes: list[Scene]) -> None:
    settings = [each.settings.update(WANTED) for each in scenes]
    found = rendered(GRAPH, scenes, settings, Means())
    for frame, mine, picture in zip(frames, settings, found, strict=True):
        made = develop(GRAPH, frame, mine)
        assert np.abs(picture - orient(made.outputs["display"].image, frame.orientation)).max() < 2e-4
    assert [len(each) for each in shoots(GRAPH, scenes, Means())] == [2, 1]


def test_gain_is_light_and_never_more_than_white(scenes: list[Scene]) -> None:
    (shoot, _) = shoots(GRAPH, scenes, Means())
    one = torch.tensor([0])
    plain, brighter, white = (
        float(shoot.pictures(shoot.start[:1], one, torch.tensor([gain])).mean()) for gain in (1.0, 2.0, 1e9)
    )
    assert plain == pytest.approx(float(shoot.pictures(shoot.start[:1], one).mean()), abs=1e-6)
    assert plain < brighter <= white
    assert white > 0.9


def test_a_move_is_none_at_nothing_and_stays_inside() -> None:
    start = torch.tensor([0.0, 0.3, 1.0])
    assert torch.equal(moved(start, torch.zeros(3)), start)
    assert torch.allclose(moved(start, torch.tensor([9.0, -9.0, -9.0])), torch.tensor([1.0, 0.0, 0.0]), atol=1e-3)
    by = torch.full((1,), 1e-3)
    assert float(moved(torch.tensor([0.4]), by)) == pytest.approx(0.401, abs=1e-5)


def test_an_encoder_begins_at_each_raws_own_start_and_sees_the_raw(scenes: list[Scene]) -> None:
    torch.manual_seed(0)
    encoder = Encoder(len(ONLY), 4)
    assert at_start(encoder, scenes)
    torch.nn.init.normal_(encoder.last.weight)
    one, two = (found["exposure.ev"] for found in chosen_by(encoder, scenes[::2]))
    assert one != pytest.approx(two, abs=1e-3)


def test_the_direct_way_finds_the_settings_behind_a_style(scenes: list[Scene]) -> None:
    some = [scenes[0], scenes[2]]
    made = rendered(GRAPH, some, [each.settings.update(WANTED) for each in some], Means())
    for number, each in enumerate(some):
        style = Style(target_of([made[number]], GaborBank()), GaborBank(), pull=0.0)
        answer = fitted(style, shoots(GRAPH, [each], Means())[0], steps=40, rate=0.05, tried=4)
        assert answer.after[0] < 0.1 * answer.before[0]
        found = each.box.settings(answer.points[0], each.settings)
        assert found["exposure.ev"] == pytest.approx(1.0, abs=0.2)
        assert found["saturation.amount"] == pytest.approx(40, abs=12)


def test_scenes_that_are_fitted_together_go_as_each_alone(scenes: list[Scene], style: Style) -> None:
    some = [scenes[0], scenes[2]]
    together = fitted(style, shoots(GRAPH, some, Means())[0], steps=3, tried=2)
    for number, each in enumerate(some):
        alone = fitted(style, shoots(GRAPH, [each], Means())[0], steps=3, tried=2)
        assert np.allclose(alone.points[0], together.points[number], atol=1e-4)
        assert together.after[number] <= together.before[number]


def test_training_brings_raws_nearer_and_is_kept(scenes: list[Scene], style: Style, tmp_path: Path) -> None:
    shot, path = shoots(GRAPH, scenes, Means()), tmp_path / "style.safetensors"
    chosen = Settings.of(GRAPH).update({"contrast.amount": 5.0, "saturation.amount": 90.0})
    job = Job(GRAPH, chosen, style, shot, (), Recipe(30, 4e-3, clip=1.0, judged=5, seed=1), together=2, stops=0.2)
    kept = path.with_suffix(".checkpoint")
    card = learn(job, path, kept, about={"raws": 3}, wanted={"side": 48})
    assert card.scores["after"] < 0.7 * card.scores["before"]
    assert not kept.exists()
    asked = ready(GRAPH, path, Settings.of(GRAPH))
    assert asked.free == ONLY
    assert asked.side == 48
    assert asked.chosen["contrast.amount"] == 5  # held in training; what is free is not
    assert asked.chosen["saturation.amount"] == Settings.of(GRAPH)["saturation.amount"]
    assert ready(GRAPH, path, Settings.of(GRAPH).update({"contrast.amount": 7.0})).chosen["contrast.amount"] == 7
    after = chosen_by(asked.encoder, scenes)
    faded = [float(found["saturation.amount"]) for found in after]  # type: ignore[arg-type]
    assert np.mean(faded) < 95  # it was 105 %, and the style has 40 %


def test_only_key_frames_decide_a_sequence(scenes: list[Scene]) -> None:
    frames = [scenes[0], scenes[2], scenes[0], scenes[2], scenes[0]]
    found = [
        each.settings.update({"exposure.ev": value}) for each, value in zip(frames, (0, 3, 0.4, 3, 0), strict=True)
    ]
    between, measured = sequence(GRAPH, frames, found, Means(), "cpu", 2, "linear")
    assert [round(float(each["exposure.ev"]), 4) for each in between] == [0, 0.2, 0.4, 0.2, 0]  # type: ignore[arg-type]
    every, blinking = sequence(GRAPH, frames, found, Means(), "cpu", 1, "linear")
    assert [each["exposure.ev"] for each in every] == pytest.approx([0, 3, 0.4, 3, 0], abs=1e-6)
    assert blinking.settings > 3 * measured.settings
    assert blinking.own_luma == pytest.approx(measured.own_luma)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"pipeline": "camera"}, "is of the pipeline camera"),
        ({"addresses": ("exposure.gone",)}, "does not fit photo_finish any more"),
        ({"addresses": ONLY}, "gives 1 numbers, and there are 3"),
        ({"arguments": {"count": 0}}, "does not say what network"),
        ({"arguments": {"count": 2}}, "do not fit its card"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(card: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    good = {"kind": "style", "arguments": {"count": 1}, "pipeline": "photo_finish", "addresses": ("exposure.ev",)}
    weights.write(path, Encoder(1), Card.model_validate({**good, **card}))
    with pytest.raises(CompileError, match=said):
        ready(GRAPH, path, Settings.of(GRAPH))


def test_an_opened_encoder_is_for_use_alone(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    card = Card(kind="style", arguments={"count": 1}, pipeline="photo_finish", addresses=("exposure.ev",))
    weights.write(path, Encoder(1), card)
    assert not any(each.requires_grad for each in opened(path)[0].parameters())
