"""Counted work: what each kind of operation counts, and that shapes alone give what numbers give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.backends.composite import Composite, compile
from ispdsl.bench.counting import Work, _Counter, count, work_of
from ispdsl.graph import build
from ispdsl.lower.loader import load
from tests.doubled import written

CHAIN = """
from tone   import exposure, gamma
from colour import colour_matrix, srgb
from detail import sharpen

pipeline main(image: rgb<linear_srgb, f32>) -> (out: rgb<srgb, unit>) {
  out = image -> exposure(ev = 0.5ev) -> sharpen(amount = 50%, radius = fixed 1px) -> colour_matrix -> gamma -> srgb
}
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Composite:
    return compile(written(tmp_path_factory.mktemp("chain"), CHAIN), taps=())


def did(work: Any) -> Work:
    counter = _Counter()
    with counter:
        work()
    return counter.work


NUMBERS = torch.rand(4, 5)


@pytest.mark.parametrize(
    ("call", "operations", "functions"),
    [
        (lambda: NUMBERS + 1, 20, 0),
        (lambda: NUMBERS[:1] * NUMBERS, 20, 0),
        (lambda: NUMBERS.clone().add_(1), 20, 0),
        (lambda: NUMBERS.clamp(0, 1), 20, 0),
        (lambda: torch.where(NUMBERS > 0.5, NUMBERS, 0.0), 40, 0),
        (lambda: NUMBERS.exp(), 0, 20),
        (lambda: NUMBERS**2.2, 0, 40),
        (lambda: NUMBERS**2, 20, 0),
        (lambda: NUMBERS.sum(), 20, 0),
        (lambda: NUMBERS.mean(0), 20, 0),
        (lambda: NUMBERS.amax(1), 20, 0),
        (lambda: NUMBERS.cumsum(1), 20, 0),
        (lambda: NUMBERS @ NUMBERS.T, 2 * 4 * 5 * 4, 0),
        (lambda: torch.conv2d(torch.rand(1, 1, 8, 8), torch.rand(2, 1, 3, 3)), 2 * 2 * 6 * 6 * 9, 0),
        (lambda: torch.rand(2, 8).sort(1), 2 * 8 * 3, 0),
        (lambda: torch.rand(16).median(), 16 * 4, 0),
        (lambda: torch.rand(2, 8).topk(3, 1), 2 * 8 * 3, 0),
        (lambda: NUMBERS.T.reshape(-1), 0, 0),
        (lambda: torch.cat([NUMBERS, NUMBERS]), 0, 0),
        (lambda: NUMBERS.index_select(0, torch.tensor([0, 2])), 0, 0),
        (lambda: torch.zeros(3).scatter_add(0, torch.tensor([0, 0, 1, 2]), torch.ones(4)), 4, 0),
    ],
)
def test_what_an_operation_counts(call: Any, operations: int, functions: int) -> None:
    work = did(call)
    assert (work.operations, work.functions) == (operations, functions)
    assert not work.uncounted


def test_bytes_are_those_of_what_goes_in_and_comes_out() -> None:
    assert did(lambda: NUMBERS + NUMBERS).moved == 3 * 80
    assert did(lambda: NUMBERS[1:2].view(-1)).moved == 0
    assert did(lambda: torch.zeros(10)).moved == 40


def test_what_nobody_counts_is_named() -> None:
    work = did(lambda: torch.linalg.qr(NUMBERS))
    assert work.uncounted == ("linalg_qr",)
    assert work.operations == 0


def test_work_adds_up() -> None:
    assert Work(1, 2, 3, ("a",)) + Work(10, 20, 30, ("b", "a")) == Work(11, 22, 33, ("a", "b"))


def test_a_view_is_no_work() -> None:
    assert work_of(torch.ops.aten.view.default, (NUMBERS, [20]), {}, NUMBERS.view(20)) == Work()


def test_stages_count_what_their_formulas_say(chain: Composite) -> None:
    works, traffic = count(chain, (100, 200), {}, {})
    each = {node: (round(work.operations / 20000), round(work.functions / 20000)) for node, work in works.items()}
    assert each["exposure"] == (3, 0)  # one multiplication a plane; 2 ** ev once
    assert each["colour_matrix"] == (18, 0)  # nine multiplications and additions
    assert each["srgb"][1] == 6  # a logarithm and an exponential a plane
    assert each["sharpen"][0] >= 3 * (2 * 2 * 3)  # two axes, two pairs of taps, three operations
    assert traffic["srgb"].read == {"gamma.out": 3 * 20000 * 4}
    assert traffic["srgb"].written == {"srgb.out": 3 * 20000 * 4}


def test_shapes_alone_count_as_numbers_do(chain: Composite) -> None:
    works, _ = count(chain, (24, 36), {}, {})
    total = sum(works.values(), Work())
    with torch.no_grad():
        real = did(lambda: chain(torch.rand(3, 24, 36)))
    assert total.functions == pytest.approx(real.functions, abs=8)
    assert total.operations == pytest.approx(real.operations, rel=0.001)


def test_a_large_picture_needs_no_memory(chain: Composite) -> None:
    works, _ = count(chain, (20_000, 20_000), {}, {})
    assert works["exposure"].operations == pytest.approx(3 * 4e8)


@pytest.mark.parametrize("name", ["photo_finish", "learned_isp"])
def test_every_operation_of_the_shipped_pipelines_is_counted(name: str) -> None:
    from ispdsl.export.example import example_of

    root = Path(__file__).parents[2]
    composite = compile(build(load(root / "pipelines" / f"{name}.isp")), cfa="rggb", taps=())
    _, settings, metadata = example_of(composite, 2, 2)
    works, _ = count(composite, (64, 96), settings, metadata)
    assert {name for work in works.values() for name in work.uncounted} == set()
    assert set(works) == {step.node for step in composite.steps}
