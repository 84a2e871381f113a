"""Every operation that Halide lowers gives what torch gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("halide")

from ispdsl.backends.halide.compiled import compiled
from ispdsl.backends.halide.schedule import FOLDED
from ispdsl.backends.halide.traced import Recorder, Trace
from ispdsl.errors import CompileError

HEIGHT, WIDTH = 10, 38


def traced(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Trace:
    recorder = Recorder()
    stand_in = recorder.image(shape)
    with torch.no_grad(), recorder:
        output = recorder.ref(function(stand_in))
    return Trace(tuple(recorder.nodes), {"out": output})


def image(planes: int = 3, low: float = -2.0, high: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(planes)
    return low + (high - low) * torch.rand(1, planes, HEIGHT, WIDTH, generator=generator)


def check(function: Callable[[Tensor], Tensor], given: Tensor, tolerance: float = 2e-6) -> None:
    made = compiled(traced(function, tuple(given.shape)), torch.float32)
    assert made.left == ()
    wanted = function(given)
    assert made(given).dtype == wanted.dtype
    torch.testing.assert_close(made(given), wanted, rtol=tolerance, atol=tolerance)


SIGNED: dict[str, Callable[[Tensor], Tensor]] = {
    "arithmetic": lambda x: (2 - x) * (x + 0.5) - -x / 3 + torch.rsub(x, 1.5),
    "divided": lambda x: x / (x.square() + 0.5) + (x.abs() + 1).reciprocal(),
    "limits": lambda x: x.clamp(-1, 1) + x.clamp(min=0.3) + x.clamp(max=0.2) + torch.minimum(x, 1 - x) + F.relu(x),
    "rounding": lambda x: x.floor() + 3 * x.ceil() + 7 * x.round() + 20 * x.trunc() + 50 * torch.remainder(x, 0.75),
    "choices": lambda x: torch.where((x > 0.5) | (x <= -1), x, -x) + torch.where(~(x < 0) & (x != 1), 2.0, 3.0),
    "comparisons": lambda x: torch.where(x >= 0, 1.0, x) * torch.where(x == x.floor(), 2.0, 1.0),
    "signs": lambda x: x.sign() * 0.5,
    "circular": lambda x: x.sin() + x.cos() + torch.atan2(x, x + 3),
    "saturating": lambda x: (
        torch.sigmoid(3 * x) + torch.tanh(x) + F.softplus(4 * x) + torch.expm1(x) + x.exp() + x.exp2()
    ),
    "whole powers": lambda x: x**2 + x**3 + x.pow(5) * 0.1,
    "casts": lambda x: (x * 10).floor().long().clamp(-5, 5).float() + (x > 0).float(),
    "blend": lambda x: torch.lerp(x, x * x, 0.3) + torch.addcmul(x, x, x, value=0.5),
}

POSITIVE: dict[str, Callable[[Tensor], Tensor]] = {
    "roots": lambda x: x.sqrt() + x.rsqrt() * 0.01 + x**0.5,
    "logarithms": lambda x: x.log() + x.log2() + x.log10() + x.log1p(),
    "powers": lambda x: x**0.45 + x**2.4 + 0.1 * x**-1.5,
    "hypot": lambda x: torch.hypot(x, 2 * x),
}

MOVED: dict[str, Callable[[Tensor], Tensor]] = {
    "slices": lambda x: x[:, 1:, 2:-1, ::2],
    "one plane": lambda x: x[:, 1][:, None].expand(-1, 3, -1, -1),
    "transposed": lambda x: x.transpose(-1, -2).flip(-1),
    "permuted": lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    "joined": lambda x: torch.cat([x, x[:, :1] * 2], -3) + torch.stack([x[:, 0]] * 4, 1),
    "joined rows": lambda x: torch.cat([x[..., :4, :], x[..., 2:9, :] + 1], -2),
    "split": lambda x: torch.cat([*x.split(1, -3)][::-1], -3) + torch.stack(x.unbind(-3)[::-1], -3),
    "index_select": lambda x: x.index_select(-1, torch.arange(WIDTH - 1, -1, -1)),
    "odd indices": lambda x: x.index_select(-2, torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])),
    "padded by reflection": lambda x: F.pad(x, (2, 2, 1, 3), mode="reflect"),
    "padded by edges": lambda x: F.pad(x, (2, 2, 1, 3), mode="replicate"),
    "padded by zero": lambda x: F.pad(x, (2, 1, 1, 3)) * 2,
    "rolled": lambda x: x.roll((1, -3), (-2, -1)),
    "windows": lambda x: x.unfold(-1, 3, 1).sum(-1) + x.unfold(-1, 3, 1)[..., 1],
    "unshuffled": lambda x: F.pixel_unshuffle(x, 2),
    "shuffled": lambda x: F.pixel_shuffle(torch.cat([x] * 4, -3) * torch.arange(12.0)[:, None, None], 2),
    "merged axes": lambda x: (torch.eye(3) * 2 @ x.flatten(-2)).unflatten(-1, (HEIGHT, WIDTH)),
    "alternating": lambda x: (
        x * torch.where(torch.arange(WIDTH) % 2 == 0, 1.0, 2.0)
        + torch.where(torch.arange(HEIGHT) % 2 == 0, 3.0, 4.0)[:, None]
    ),
    "a ramp": lambda x: x * torch.linspace(0, 1, WIDTH) + torch.rand(WIDTH, generator=torch.Generator().manual_seed(1)),
}

SUMMED: dict[str, Callable[[Tensor], Tensor]] = {
    "sums": lambda x: x.sum(-3, keepdim=True) + x.mean(1)[:, None] + x.amax(-3, keepdim=True) - x.amin(1)[:, None],
    "lengths": lambda x: torch.linalg.vector_norm(x, dim=-3, keepdim=True) * x,
    "matrix": lambda x: torch.einsum("ij,bjhw->bihw", torch.arange(9.0).reshape(3, 3), x),
    "stencil": lambda x: F.conv2d(x, torch.arange(54.0).reshape(2, 3, 3, 3) / 54, torch.ones(2), padding=1),
    "stencil by plane": lambda x: F.conv2d(x, torch.arange(27.0).reshape(3, 1, 3, 3) / 27, groups=3),
    "strided": lambda x: F.conv2d(x, torch.ones(3, 1, 2, 2), stride=2, groups=3) + F.avg_pool2d(x, 2),
    "blurred twice": lambda x: _blurred(_blurred(x * x)) - x,
    "looked up": lambda x: torch.linspace(0, 1, 17).square()[(x.abs() * 8).long()],
    "gathered": lambda x: torch.gather(
        torch.arange(9.0).square().expand(1, 9), -1, (x.abs() * 4).long().flatten(1)
    ).view(x.shape),
    "selected": lambda x: (
        torch.arange(18.0)
        .reshape(2, 9)
        .square()[:, 1:]
        .index_select(1, (x.abs() * 4).long().flatten())
        .unflatten(1, x.shape)
        .sum(0)
    ),
}


def _blurred(x: Tensor) -> Tensor:
    padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
    return (padded[..., :-4, 2:-2] + padded[..., 4:, 2:-2] + padded[..., 2:-2, :-4] + padded[..., 2:-2, 4:]) / 4


@pytest.mark.parametrize("name", SIGNED)
def test_of_each_sample(name: str):
    check(SIGNED[name], image())


@pytest.mark.parametrize("name", POSITIVE)
def test_of_each_positive_sample(name: str):
    check(POSITIVE[name], image(low=1e-3))


@pytest.mark.parametrize("name", MOVED)
def test_samples_moved(name: str):
    check(MOVED[name], image())


@pytest.mark.parametrize("name", SUMMED)
def test_of_several_samples(name: str):
    check(SUMMED[name], image())


def test_what_has_no_rule_is_left_to_torch_and_named():
    def function(x: Tensor) -> Tensor:
        return (x * 2).cumsum(-1) + x.median()

    made = compiled(traced(function, (1, 3, HEIGHT, WIDTH)), torch.float32)
    assert {left.target for left in made.left} >= {"aten.cumsum.default", "aten.median.default"}
    torch.testing.assert_close(made(image()), function(image()))


def test_a_program_that_looks_at_samples_is_refused():
    with pytest.raises(CompileError, match="looks at samples"):
        traced(lambda x: x * float(x.max()), (1, 1, 4, 4))


def test_a_program_that_writes_is_refused():
    with pytest.raises(CompileError, match="writes into"):
        traced(lambda x: x.add_(1), (1, 1, 4, 4))


def test_planes_part_before_a_dear_curve_and_the_result_stays():
    """The mixed planes are kept, so that each goes through the power alone; a cheap curve is computed where it is."""
    mixing = torch.tensor([[1.2, -0.1, -0.1], [-0.2, 1.3, -0.1], [0.0, -0.3, 1.3]])

    def mixed(x: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", mixing, x) - 0.1 * x.mean(1, keepdim=True)

    def dear(x: Tensor) -> Tensor:
        return (mixed(x).clamp(1e-3, 1) * 0.9) ** 0.45 + 0.1

    given = image(3, 0.0, 1.0)
    made = compiled(traced(dear, tuple(given.shape)), torch.float32)
    (program,) = made.programs
    assert program.parted
    assert [len(each.kept.planes) for each in program.stored] == [3]
    torch.testing.assert_close(made(given), dear(given), rtol=2e-6, atol=2e-6)
    (cheap,) = compiled(traced(lambda x: mixed(x) * 2, tuple(given.shape)), torch.float32).programs
    assert not cheap.parted
    assert not cheap.stored


def test_planes_do_not_part_where_a_curve_looks_at_another_plane():
    (program,) = compiled(traced(lambda x: x.abs() ** (0.4 + x[:, :1]), (1, 3, HEIGHT, WIDTH)), torch.float32).programs
    assert not program.parted


def test_even_powers_are_never_below_nothing():
    recorded = traced(lambda x: (x**2 + 1e-8).log2() + (x**3).exp2(), (1, 1, 4, 4))
    least = {node.target: node.least for node in recorded.nodes if node.target.startswith("aten.pow")}
    assert [node.least for node in recorded.nodes if node.args[1:] == (2,)] == [0.0]
    assert [node.least for node in recorded.nodes if node.args[1:] == (3,)] == [float("-inf")], least


def test_a_long_chain_of_stencils_becomes_several_programs():
    def chain(x: Tensor) -> Tensor:
        for _ in range(5):
            high = F.pad(x, (0, 0, 2, 2), mode="reflect")
            x = sum((high[..., at : at + HEIGHT, :] * (0.1 + 0.05 * at) for at in range(5)), x * 0.1)
        return x

    given = image(1)
    made = compiled(traced(chain, tuple(given.shape)), torch.float32)
    assert [len(each.stored) for each in made.programs] == [2, 1]
    torch.testing.assert_close(made(given), chain(given), rtol=2e-6, atol=2e-6)


def test_rows_are_kept_whole_where_a_stencil_reaches_beyond_the_folded_ones():
    def far(x: Tensor) -> Tensor:
        high = F.pad(x.square() * 0.5 + x, (0, 0, 12, 12), mode="reflect")
        return high[..., :40, :] + high[..., 24:, :] * 2 + high[..., 12:52, :]

    assert FOLDED < 2 * 12 + 1
    given = torch.rand(1, 1, 40, WIDTH, generator=torch.Generator().manual_seed(1))
    made = compiled(traced(far, tuple(given.shape)), torch.float32)
    assert [len(each.stored) for each in made.programs] == [1]
    torch.testing.assert_close(made(given), far(given), rtol=2e-6, atol=2e-6)
