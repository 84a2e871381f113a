from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ispdsl.training import data
from ispdsl.training.data import Scene, TrainingError, seeded
from tests.training.stand_ins import scenes


def test_a_raw_is_held_out_with_all_its_parts_and_settings() -> None:
    train, held = data.split(scenes(9, raws=3), frozenset({"raw1"}))
    assert {scene.raw for scene in train} == {"raw0", "raw2"}
    assert [scene.number for scene in held] == [1, 4, 7]


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(TrainingError, match="all samples are held out"):
        data.split(scenes(3), frozenset({"raw0", "raw1", "raw2"}))


def test_rows_keep_pixels_targets_and_conditions_together() -> None:
    found = data.rows(scenes()).draw(seeded(0, "x", 0), 512)
    torch.testing.assert_close(found.targets[0], found.images[0] * (0.5 + found.condition[..., None, None]))
    assert found.images[0].shape == (32, 3, 16, 1)


def test_rows_that_carry_their_place_stay_rows() -> None:
    def flat(scene: Scene, outputs: bool) -> tuple[torch.Tensor, ...]:
        rows = (scene.targets if outputs else scene.images)[0].flatten(1).T
        return (rows if outputs else torch.cat([rows, rows], 1),)

    found = data.rows(scenes(), flat).draw(seeded(0, "x", 0), 512)
    torch.testing.assert_close(found.targets[0], found.images[0][:, :3] * (0.5 + found.condition))
    assert found.images[0].shape == (512, 6)


def test_half_of_a_batch_is_even_over_the_colours() -> None:
    """One pixel of a thousand is bright: it is drawn far more often than it occurs."""
    image = torch.full((1, 10, 100), 0.01)
    image[0, 0, 0] = 1.0
    scene = Scene((image,), (image,), torch.zeros(1), "a")
    drawn = data.rows([scene]).draw(seeded(0, "x", 0), 4000).images[0]
    assert 0.2 < float((drawn > 0.5).float().mean()) < 0.3
    natural = drawn[:, :, :8]
    assert float((natural > 0.5).float().mean()) < 0.01


def test_many_pixels_are_subsampled_the_same_way_each_time_and_a_mosaic_stays_one() -> None:
    image = torch.arange(400.0).reshape(1, 20, 20)
    scene = Scene((image,), (image * 2,), torch.zeros(1), "a", number=3)
    first, again, other = (data.quads(scene, 40, seed) for seed in (1, 1, 2))
    assert first.images[0].shape == (1, 2, 20)
    assert torch.equal(first.images[0], again.images[0])
    assert not torch.equal(first.images[0], other.images[0])
    assert torch.equal(first.targets[0], first.images[0] * 2)
    rows, columns = first.images[0][0] // 20, first.images[0][0] % 20
    assert torch.equal(rows % 2, torch.tensor([[0.0], [1.0]]).expand(2, 20))
    assert torch.equal(columns % 2, torch.tensor([0.0, 1.0]).repeat(10).expand(2, 20))
    assert data.quads(scene, 400, 1) is scene


def test_pixels_of_another_size_are_refused() -> None:
    scene = Scene((torch.rand(3, 4, 4),), (torch.rand(3, 2, 2),), torch.zeros(0), "a")
    with pytest.raises(TrainingError, match="change the size"):
        data.rows([scene])


def places(side: int = 40) -> Scene:
    """An image whose numbers are their own places."""
    image = torch.arange(float(side * side)).reshape(1, side, side)
    return Scene((image,), (image * 2,), torch.zeros(1), "a")


def test_patches_stay_inside_a_part_at_even_places() -> None:
    source = data.patches([places()], 8, 3)
    assert source.size == 14
    batch = source.draw(seeded(0, "x", 0), 200)
    corners = batch.images[0][:, 0, 0, 0].long()
    tops, lefts = corners // 40, corners % 40
    assert set((tops % 2).tolist()) | set((lefts % 2).tolist()) == {0}
    assert int(tops.min()) == 0
    assert int(tops.max()) == 40 - 14
    rows = batch.images[0][:, 0, :, 0]
    assert torch.equal(rows[:, 1:] - rows[:, :-1], torch.full((200, 13), 40.0))
    assert torch.equal(batch.targets[0], batch.images[0] * 2)


def test_patches_keep_away_from_the_border_as_far_as_the_real_thing_looks() -> None:
    for border, rim in ((3, 0), (7, 4), (30, 12)):  # a patch must fit
        source = data.patches([places()], 8, 3, border)
        assert (source.size, source.rim) == (14, rim)
        corners = source.draw(seeded(0, "x", 0), 300).images[0][:, 0, 0, 0].long()
        for places_ in (corners // 40, corners % 40):
            assert (int(places_.min()), int(places_.max())) == (rim, 40 - 14 - rim)


def test_the_margin_is_left_out() -> None:
    image = torch.zeros(1, 1, 10, 10)
    image[..., 2:-2, 2:-2] = 1
    assert data.inside(image, 2).mean() == 1
    assert data.inside(image, 4, 0.5).mean() == 1
    assert data.inside(image, 0) is image


def test_patches_of_an_image_that_comes_out_at_half_the_size() -> None:
    scene = places()
    half = scene.images[0][:, ::2, ::2]
    batch = data.patches([Scene(scene.images, (half,), scene.condition, "a")], 8, 2).draw(seeded(0, "x", 1), 50)
    assert torch.equal(batch.targets[0], batch.images[0][..., ::2, ::2])


def test_sizes_that_do_not_match_are_refused() -> None:
    scene = Scene((torch.rand(1, 12, 12),), (torch.rand(1, 9, 12),), torch.zeros(0), "a")
    with pytest.raises(TrainingError, match="patches of them do not match"):
        data.patches([scene], 4, 0).draw(seeded(0, "x", 0), 1)


def test_of_a_large_scene_a_window_is_kept() -> None:
    scene = places()
    kept = data.window(scene, 10, seed=0)
    assert kept.images[0].shape == (1, 10, 10)
    assert torch.equal(kept.targets[0], kept.images[0] * 2)
    assert int(kept.images[0][0, 0, 0]) % 2 == 0
    assert torch.equal(kept.images[0], data.window(scene, 10, seed=0).images[0])
    assert data.window(scene, 40, seed=0) is scene


def test_a_batch_is_of_one_mosaic() -> None:
    some = [replace(scene, cfa="rggb" if scene.number % 3 else "gbrg") for scene in scenes(9)]
    source = data.patches(some, 4, 0)
    found = [source.draw(seeded(0, "x", step), 4) for step in range(30)]
    assert {batch.cfa for batch in found} == {"rggb", "gbrg"}
    gains = {cfa: {float(scene.condition) for scene in some if scene.cfa == cfa} for cfa in ("rggb", "gbrg")}
    for batch in found:
        assert set(batch.condition.flatten().tolist()) <= gains[str(batch.cfa)]


@pytest.mark.parametrize("kind", ["rows", "patches"])
def test_processes_share_the_batch_of_one(kind: str) -> None:
    """Each takes its own part, and together they have the very batch that one process would have drawn."""
    source = data.rows(scenes()) if kind == "rows" else data.patches(scenes(), 4, 0)
    whole = source.draw(seeded(0, "x", 5), 128).images[0]
    parts = [source.draw(seeded(0, "x", 5), 64, rank, 2).images[0] for rank in (0, 1)]
    assert torch.equal(whole[0::2], parts[0])
    assert torch.equal(whole[1::2], parts[1])


def test_draws_depend_on_seed_name_and_step_alone() -> None:
    numbers = {
        (seed, name, step): float(torch.rand((), generator=seeded(seed, name, step)))
        for seed in (0, 1)
        for name in ("a", "b")
        for step in (0, 1)
    }
    assert len(set(numbers.values())) == 8
    assert numbers[0, "a", 1] == float(torch.rand((), generator=seeded(0, "a", 1)))
