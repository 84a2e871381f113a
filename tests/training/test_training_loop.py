from __future__ import annotations

import csv
import math
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ispdsl.training import checkpoint, curves, data, loop
from ispdsl.training.checkpoint import CHECKPOINT
from ispdsl.training.data import Batch, TrainingError, seeded
from tests.training.stand_ins import Gain, l1, scenes, work


def weights(model) -> torch.Tensor:
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_training_learns_and_keeps_its_best_weights(tmp_path: Path) -> None:
    job = work(tmp_path, steps=400)
    before = loop.score(job.model, job.held_out, job.recipe)
    progress = loop.train(job)
    after = loop.score(job.model, job.held_out, job.recipe)
    assert progress.step == 400
    assert after > before + 10
    assert after == pytest.approx(progress.best[0], abs=1e-9)
    assert float(curves.read(tmp_path / curves.CURVE)[-1]["loss"]) < 0.05


def test_two_trainings_are_equal_to_the_bit_and_another_seed_is_not(tmp_path: Path) -> None:
    jobs = [work(tmp_path / name) for name in "abc"]
    jobs[2] = replace(jobs[2], recipe=replace(jobs[2].recipe, seed=4))
    for job in jobs:
        loop.train(job)
    first, again, other = (weights(job.model) for job in jobs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_training_that_was_interrupted_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = work(tmp_path / "whole")
    loop.train(whole)

    class StopError(Exception):
        pass

    def stop(told: loop.Told) -> None:
        if told.step >= 23:
            raise StopError

    folder = tmp_path / "stopped"
    torch.set_num_threads(1)
    part = work(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(loop, "TOLD_SECONDS", 0.0)
        with pytest.raises(StopError):
            loop.train(part, stop)
    rest = work(folder)
    progress = loop.train(rest, resume=True)
    assert progress.step == 60
    assert torch.equal(weights(whole.model), weights(rest.model))
    steps = [row["step"] for row in curves.read(folder / curves.CURVE)]
    assert steps == [row["step"] for row in curves.read(tmp_path / "whole" / curves.CURVE)]


def in_time(folder: Path, steps: int) -> None:
    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS = 0.0
    loop.train(work(folder, steps=steps, batch=16), resume=True)


def killed_often(tmp_path: Path, kills: int, steps: int) -> None:
    """SIGKILL in the midst of training, `kills` times; then once more to the end."""
    torch.set_num_threads(1)
    whole = work(tmp_path / "whole", steps=steps, batch=16)
    loop.train(whole)
    folder, context, died = tmp_path / "killed", multiprocessing.get_context("fork"), 0
    for number in range(kills):
        process = context.Process(target=in_time, args=(folder, steps))
        process.start()
        path = folder / CHECKPOINT
        begun, known = time.monotonic(), path.stat().st_mtime_ns if path.exists() else 0
        while process.is_alive() and time.monotonic() - begun < 20:
            if path.exists() and path.stat().st_mtime_ns != known and time.monotonic() - begun > 0.02 * (number % 7):
                break
            time.sleep(0.001)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        died += process.exitcode == -signal.SIGKILL
    assert died == kills, "the trainings ended before they were killed"
    rest = work(folder, steps=steps, batch=16)
    progress = loop.train(rest, resume=True)
    assert progress.step == steps
    assert torch.equal(weights(whole.model), weights(rest.model))


def test_killed_trainings_end_with_the_same_bits(tmp_path: Path) -> None:
    killed_often(tmp_path, 3, 1500)


@pytest.mark.slow
def test_ten_times_killed_trainings_end_with_the_same_bits(tmp_path: Path) -> None:
    killed_often(tmp_path, 10, 6000)


def test_minutes_are_kept_and_the_pace_is_recorded(tmp_path: Path) -> None:
    job = work(tmp_path, steps=None, seconds=2.0)
    begun = time.monotonic()
    progress = loop.train(job)
    assert 1.0 < time.monotonic() - begun < 10.0
    assert progress.step > 50
    assert progress.pace.at(progress.step) == 1.0
    assert len(progress.pace.pieces) >= 4
    again, _ = checkpoint.load(
        tmp_path / CHECKPOINT, job.recipe.identity, Gain(), torch.optim.Adam(Gain().parameters(), fused=True)
    )
    assert again.pace == progress.pace


def test_it_stops_when_the_held_out_raws_get_no_better(tmp_path: Path) -> None:
    job = work(tmp_path, steps=2400, patience=3)
    backwards = [Batch(each.images, (1 - each.targets[0],), each.condition) for each in job.held_out]
    progress = loop.train(replace(job, held_out=backwards))
    assert progress.finished
    assert progress.step < 2400
    assert progress.best[1] < progress.step


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss of gain is nan"):
        loop.train(replace(work(tmp_path), loss=lambda found, wanted: l1(found, wanted) * math.nan))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    loop.train(work(tmp_path, steps=5))
    with pytest.raises(TrainingError, match="batch 256, and now it is batch 64"):
        loop.train(work(tmp_path, steps=5, batch=64), resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    loop.train(work(tmp_path, steps=5))
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TrainingError, match="is no checkpoint of this training"):
        loop.train(work(tmp_path, steps=5), resume=True)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = work(tmp_path, steps=30)
    done = loop.train(first)
    again = work(tmp_path, steps=30)
    assert loop.train(again, resume=True).step == done.step
    assert torch.equal(weights(first.model), weights(again.model))


def test_two_trainings_into_one_folder_are_refused(tmp_path: Path) -> None:
    other = pytest.raises(TrainingError, match="being trained by another process")
    with checkpoint.locked(tmp_path), other, checkpoint.locked(tmp_path):
        pass
    with checkpoint.locked(tmp_path):
        pass


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    checkpoint.write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        checkpoint.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_bfloat16_learns_as_well_and_keeps_float32_weights(tmp_path: Path) -> None:
    job = work(tmp_path, steps=300, bf16=True)
    seen: list[torch.dtype] = []
    assert isinstance(job.model, Gain)
    job.model.layers.register_forward_hook(lambda _module, _given, out: seen.append(out.dtype))
    before = loop.score(job.model, job.held_out, job.recipe)
    assert set(seen) == {torch.float32}, "it is judged in float32, as it will run"
    seen.clear()
    progress = loop.train(job)
    assert seen.count(torch.bfloat16) == 300
    assert progress.best[0] > before + 5
    assert weights(job.model).dtype == torch.float32


def test_the_margin_of_patches_is_no_part_of_the_loss() -> None:
    source = data.patches(scenes(side=16), 4, 4)
    batch = source.draw(seeded(0, "x", 0), 4)
    assert batch.margin == 2, "the parts are too small for all of it"
    broken = batch.targets[0].clone()
    broken[..., 0, :] = 1e6
    recipe = loop.Recipe("gain", 4, 0.01, "l1", 0, 1)
    model = Gain()
    with torch.no_grad():
        clean = float(loop.loss_of(model, batch, l1, recipe))
        assert float(loop.loss_of(model, replace(batch, targets=(broken,)), l1, recipe)) == clean
        assert float(loop.loss_of(model, replace(batch, targets=(broken,), margin=0), l1, recipe)) > 1e3


def test_white_is_the_peak_of_the_error() -> None:
    batch = Batch((torch.full((1, 3, 4, 4), 100.0),), (torch.full((1, 3, 4, 4), 110.0),), torch.zeros(1, 1))

    class Same(Gain):
        def predict(self, images, condition, cfa=None, base=None):
            return images

    recipe = loop.Recipe("gain", 1, 0.01, "l1", 0, 1, peaks=(1000.0,))
    assert loop.score(Same(), [batch], recipe) == pytest.approx(40.0, abs=1e-4)
    assert float(loop.loss_of(Same(), batch, l1, recipe)) == pytest.approx(0.01, abs=1e-6)
    assert loop.psnr(0.0) == 120.0
    assert loop.psnr(math.nan) == -120.0


def test_the_curve_is_a_table_and_tensorboards_file(tmp_path: Path) -> None:
    loop.train(work(tmp_path, steps=24))
    with (tmp_path / curves.CURVE).open() as file:
        found = list(csv.DictReader(file))
    assert [int(row["step"]) for row in found] == list(range(1, 25))
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_sparklines() -> None:
    assert curves.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert curves.sparkline([5.0, 5.0, math.nan]) == "▁▁"
    assert curves.sparkline([]) == ""
    assert len(curves.sparkline([float(each) for each in range(99)], width=10)) == 10
