"""Students of raws: the loss of the paper, levels, what is frozen, mixtures, shorter exposures, files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ispdsl.errors import CompileError, RunError
from ispdsl.learned.card import Card
from ispdsl.learned.distil import Lesson, agreement, distil, lesson_loss, mixtures
from ispdsl.learned.exposure import Shorter
from ispdsl.learned.fit import Recipe
from ispdsl.learned.labelled import Labelled, Seen
from ispdsl.learned.student import Levels, Student, levels_of_mosaics, levels_of_pictures
from ispdsl.learned.student_file import load_student, operations
from ispdsl.learned.weights import write
from ispdsl.vision.small_cnn import SmallCNN

PLAIN = Levels((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Colour(nn.Module):
    """Whether a picture is red, green or blue, by its means; after a layer that may turn colours round."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.last = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(3)[..., None, None])
            self.last.weight.copy_(10 * torch.eye(3))

    def forward(self, pictures: Tensor) -> Tensor:
        self.norm(pictures)
        return self.last(self.first(pictures).mean((-2, -1)))


def mosaics(count: int = 60) -> Labelled:
    """RGGB mosaics in which one colour is brightest."""
    torch.manual_seed(0)
    labels = torch.arange(count) % 3
    planes = 0.2 + 0.6 * nn.functional.one_hot(labels, 3) + 0.1 * torch.rand(count, 3)
    site = torch.tensor([[0, 1], [1, 2]]).repeat(4, 4)
    return Labelled(planes[:, site][:, None], labels, {})


def turned(images: Tensor, metadata: object = None) -> Tensor:
    """A teacher who calls every colour by the name of the next."""
    student = Student(Colour().eval(), "rggb", PLAIN, PLAIN)
    return student(images).roll(1, 1)


def test_the_loss_is_the_papers() -> None:
    student, teacher = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.0, 3.0]])
    labels = torch.tensor([1])
    ce = nn.functional.cross_entropy(student, labels)
    p, q = (teacher / 4).softmax(1), (student / 4).softmax(1)
    kd = 16 * (p * (p / q).log()).sum()
    found = lesson_loss(student, teacher, labels, Lesson(0.9, 4.0, "data"))
    assert float(found) == pytest.approx(float(0.9 * ce + 0.1 * kd), rel=1e-5)
    assert float(lesson_loss(teacher, teacher, labels, Lesson())) == pytest.approx(0, abs=1e-6)
    predicted = lesson_loss(student, teacher, labels, Lesson(1.0, hard="teacher"))
    assert float(predicted) == pytest.approx(float(nn.functional.cross_entropy(student, torch.tensor([2]))), rel=1e-5)


def test_without_a_label_the_teacher_counts_in_full() -> None:
    student, teacher = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.0, 3.0]])
    nobody = torch.tensor([-1])
    for hard in ("data", "teacher"):
        lesson = Lesson(1.0, 4.0, hard)  # type: ignore[arg-type]
        assert torch.equal(
            lesson_loss(student, teacher, nobody, lesson), lesson_loss(student, teacher, nobody, Lesson())
        )


@pytest.mark.parametrize("wrong", [{"alpha": 1.5}, {"temperature": 0.0}, {"mixed": -0.1}])
def test_a_lesson_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="alpha"):
        Lesson(**wrong)  # type: ignore[arg-type]


def test_levels_are_of_each_colours_own_sites() -> None:
    mosaic = torch.tensor([[1.0, 5.0], [7.0, 9.0]]).repeat(2, 2)[None, None]
    found = levels_of_mosaics(mosaic, "rggb")
    assert found.mean == (1.0, 6.0, 9.0)
    assert levels_of_mosaics(mosaic, "gbrg").mean == (7.0, 5.0, 5.0)
    student = Student(nn.Identity(), "rggb", found, Levels((0.5, 0.4, 0.3), (1.0, 1.0, 1.0)))
    assert student(mosaic).mean((0, 2, 3))[0].item() == pytest.approx(0.5, abs=1e-3)
    assert levels_of_pictures(torch.stack([torch.full((3, 4, 4), 0.25)])).mean == (0.25, 0.25, 0.25)


def test_a_student_comes_to_say_what_its_teacher_says() -> None:
    data = mosaics()
    student = Student(Colour(), "rggb", PLAIN, PLAIN)
    assert agreement(student, _Called(), data).mean() == 0
    found = distil(student, _Called(), data, Lesson(mixed=0.5), Recipe(80, 0.1), Seen(16, shift=0, tile=2))
    assert agreement(student, _Called(), data).mean() == 1
    assert found.losses[-1] < found.losses[0] / 10


class _Called(nn.Module):
    def forward(self, images: Tensor, metadata: object = None) -> Tensor:
        return turned(images)


def test_frozen_groups_stay_with_their_statistics() -> None:
    student = Student(Colour(), "rggb", PLAIN, PLAIN)
    assert list(student.groups) == ["first", "norm", "last"]
    student.freeze(first=2)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    distil(student, _Called(), mosaics(), Lesson(), Recipe(3, 0.05), Seen(8, tile=2))
    moved = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"network.last.weight"}
    with pytest.raises(RunError, match="3 groups"):
        student.freeze(first=2, last=1)


def test_mixtures_have_no_label_and_lie_between() -> None:
    images = torch.stack([torch.full((1, 2, 2), float(value)) for value in range(4)])
    mixed, labels = mixtures(images, torch.arange(4), 0.5, torch.Generator().manual_seed(0))
    assert labels.tolist() == [-1, -1, 2, 3]
    assert torch.equal(mixed[2:], images[2:])
    assert 0 <= float(mixed[1].mean()) <= 1


def test_a_shorter_exposure_has_the_noise_of_one() -> None:
    black, white, noise = 100.0, 16100.0, (4e-3, 1e-5)
    generator = torch.Generator().manual_seed(0)
    signal = 0.4
    long = signal + (noise[0] * signal + noise[1]) ** 0.5 * torch.randn(1, 1, 400, 400, generator=generator)
    short = (Shorter(2.0, noise, black, white)(black + (white - black) * long, generator) - black) / (white - black)
    assert float(short.mean()) == pytest.approx(signal / 4, rel=0.01)
    assert float(short.var()) == pytest.approx(noise[0] * signal / 4 + noise[1], rel=0.02)
    bright = Shorter(2.0, noise, black, white, brightened=True)(black + (white - black) * long, generator)
    assert float(bright.mean()) == pytest.approx(black + (white - black) * signal, rel=0.01)
    with pytest.raises(ValueError, match="stops"):
        Shorter(0.0, noise, black, white)


def test_only_bayer_mosaics() -> None:
    with pytest.raises(RunError, match="linear"):
        Student(Colour(), "linear", PLAIN, PLAIN)


def test_a_student_comes_back_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = Student(SmallCNN(3), "grbg", PLAIN, Levels((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)), side=16).eval()
    card = Card(kind="student", arguments={"network": "small-cnn", "classes": 3, "cfa": "grbg", "side": 16})
    write(tmp_path / "a.safetensors", student, card)
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(load_student(tmp_path / "a.safetensors")(images), student(images))
    write(tmp_path / "b.safetensors", student, Card(kind="student"))
    with pytest.raises(CompileError, match="card does not say"):
        load_student(tmp_path / "b.safetensors")


def test_operations_of_a_convolution() -> None:
    assert operations(nn.Conv2d(3, 8, 1, bias=False), torch.zeros(2, 3, 4, 4)) == 2 * 3 * 8 * 16
