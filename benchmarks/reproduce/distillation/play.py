"""One fold of one seed of a case: a teacher, its pipeline tuned for what the student sees, and ways to do without."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reproduce.cifar import Numbers
from benchmarks.reproduce.distillation.cases import Case, Isp, Scene
from benchmarks.reproduce.folds import told
from benchmarks.reproduce.joint.tables import SIDE, clean_pictures
from ispdsl.learned.distil import Lesson, Teacher, begun, distil, logits_of, seen_by
from ispdsl.learned.fit import Recipe
from ispdsl.learned.free_settings import Bounds, Shared
from ispdsl.learned.joint import Joint, Phase, train
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.learned.student import Student
from ispdsl.learned.student_file import operations, seconds
from ispdsl.runtime.vector import Vector
from ispdsl.vision.resnet import load_resnet
from ispdsl.vision.small_cnn import SmallCNN

PUBLISHED, OWN = "published", "own"

LESSONS = {
    "labels": Lesson(1.0, hard="data"),
    "predicted labels": Lesson(1.0, hard="teacher"),
    "paper": Lesson(0.9, 4.0, "teacher"),
    "distilled": Lesson(0.0, 4.0),
    "distilled, mixed": Lesson(0.0, 4.0, mixed=0.5),
    "distilled, layers": Lesson(0.0, 4.0, mixed=0.5, features=20.0),
}

STEPS = {"teacher": 800, "isp": 60, "student": 480}
RATES = {"teacher": 3e-3, "isp": 0.05, PUBLISHED: 1e-3, OWN: 2e-3}
TOGETHER = 64
TIMED = 16


@dataclass(frozen=True, eq=False)
class Table:
    """A fold of a scene on a device."""

    scene: Scene
    training: Labelled
    testing: Labelled
    seed: int

    @property
    def device(self) -> str:
        """Where it is."""
        return str(self.training.images.device)

    def seen(self) -> Seen:
        """How images are seen in training."""
        return Seen(TOGETHER, True, 2 * self.scene.tile, self.scene.tile)

    def drawn(self, data: Labelled) -> Labelled:
        """What students see of images, drawn once."""
        sensed, images = self.scene.sensed, data.images
        shown = images if sensed is None else sensed(images, torch.Generator().manual_seed(1000 + self.seed))
        return Labelled(shown, data.labels, self.scene.discarded.metadata)


def play(case: Case, data: Path, who: str, photographs: Tensor, labels: Tensor, fold: tuple[Numbers, Numbers],
         seed: int, device: str) -> dict[str, Any]:  # fmt: skip
    """Every way on one fold, as the answer keeps it."""
    torch.manual_seed(seed)
    scene = case.made(photographs, seed)
    metadata = {} if scene.teacher is None else scene.teacher.metadata
    everything = Labelled(scene.images, labels, metadata or scene.discarded.metadata)
    training, testing = (everything.take(torch.from_numpy(numbers)).to(device) for numbers in fold)
    table = Table(scene, training, testing, seed)
    network = teacher_network(data, who, photographs, labels, fold, seed, device)
    spent: dict[str, float] = {}
    begun_at = time.perf_counter()
    isp = tuned(table, network)
    spent["isp and network"] = time.perf_counter() - begun_at
    teacher = isp if scene.teacher is None else _teacher(scene.teacher, network, device)
    wanted = logits_of(teacher, testing).argmax(1)
    found = {"teacher": wanted, "isp and network": logits_of(isp, table.drawn(testing)).argmax(1)}
    student = begun(teacher, training, "rggb", SIDE, scene.sensed)
    found["untouched"] = _says(student, table)
    for name, lesson in LESSONS.items():
        student = begun(teacher, training, "rggb", SIDE, scene.sensed)
        begun_at = time.perf_counter()
        distil(student, teacher, training, lesson, Recipe(STEPS["student"], RATES[who], seed=seed), table.seen(),
               scene.sensed)  # fmt: skip
        spent[name] = time.perf_counter() - begun_at
        found[name] = _says(student, table)
    truth = testing.labels.cpu()
    return {
        "seed": seed,
        "train": len(training.labels),
        "test": fold[1].tolist(),
        "told": {way: told((said == truth).tolist()) for way, said in found.items()},
        "agreed": {way: told((said == wanted).tolist()) for way, said in found.items()},
        "seconds": {way: round(each, 1) for way, each in spent.items()},
        "compute": compute(isp, student, table),
    }


def teacher_network(data: Path, who: str, photographs: Tensor, labels: Tensor, fold: tuple[Numbers, Numbers],
                    seed: int, device: str) -> nn.Module:  # fmt: skip
    """The published ResNet-20, or the small classifier that has learned the fold's training photographs alone."""
    if who == PUBLISHED:
        return load_resnet(data / "weights" / "cifar_resnet" / "resnet20-12fca82f.th").to(device)
    network, clean = SmallCNN(), clean_pictures(photographs)
    shared = Shared(Bounds(clean.vector, clean.settings))
    model = Joint(clean.composite, clean.settings, shared, network).to(device)
    known = Labelled(photographs, labels, {}).take(torch.from_numpy(fold[0])).to(device)
    train(model, known, [Phase("network", Recipe(STEPS["teacher"], RATES["teacher"], "adamw", seed=seed))])
    return network.eval().requires_grad_(False)


def tuned(table: Table, network: nn.Module) -> Teacher:
    """The discarded pipeline, all its sliders tuned for the network's loss on what students see, before the network."""
    isp, data = table.scene.discarded, table.drawn(table.training)
    start = isp.settings.update(dict(isp.start))
    shared = Shared(Bounds(Vector.of(start), start))
    model = Joint(isp.composite, start, shared, deepcopy(network), SIDE).to(table.device)
    recipe = Recipe(STEPS["isp"], RATES["isp"], seed=table.seed)
    mosaic = Seen(TOGETHER // 2, True, 4, 2)
    train(model, data, [Phase("settings", recipe)], mosaic)
    return Teacher(isp.composite, shared.settings(start), network, SIDE).to(table.device)


def _teacher(isp: Isp, network: nn.Module, device: str) -> Teacher:
    return Teacher(isp.composite, isp.settings, network, SIDE).to(device)


def _says(student: Student, table: Table) -> Tensor:
    """Classes of the test images: of the same draw as for the tuned pipeline."""
    return logits_of(seen_by(student, None), table.drawn(table.testing)).argmax(1)


def compute(isp: Teacher, student: Student, table: Table) -> dict[str, float]:
    """What an image costs: with the pipeline, and by the student alone."""
    few = table.drawn(table.testing.take(torch.arange(min(TIMED, len(table.testing.labels)))))
    return {
        "isp_and_network_seconds": seconds(lambda images: isp(images, few.metadata), few.images),
        "student_seconds": seconds(student, few.images),
        "network_flops": operations(isp.network, isp.pictures(few.images, few.metadata)),
        "student_flops": operations(student, few.images),
    }
