"""What a composite survives: gradients, export, forward mode, vmap, every dtype."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ispdsl.backends.composite import Rendering
from tests import modules as m
from tests.backends.composites import finishing, image, keywords, single, spied


def test_gradients_are_exact_for_every_free_parameter():
    composite = finishing()
    start = composite.start()
    free = {name: value for name, value in start.items() if isinstance(value, Tensor)}
    assert set(free) == {slot.address for slot in composite.slots if slot.free}

    def flat(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        return tuple(composite(x, dict(zip(free, values, strict=True))).outputs.values())

    points = [(value + 0.1).requires_grad_() for value in free.values()]
    assert torch.autograd.gradcheck(flat, (image().requires_grad_(), *points))


def test_it_exports_and_the_export_agrees():
    composite, x = finishing(), image()
    settings, metadata = composite.start(), {"baseline_exposure": torch.tensor(0.5, dtype=torch.float64)}
    program = torch.export.export(composite, (x,), {"settings": settings, "metadata": metadata}, strict=False)
    moved = {**settings, "exposure.ev": torch.tensor(0.9, dtype=torch.float64)}
    found = program.module()(x, settings=moved, metadata=metadata)
    wanted = composite(x, moved, metadata)
    torch.testing.assert_close(found.outputs, wanted.outputs)
    torch.testing.assert_close(found.taps, wanted.taps)


def test_an_error_while_exporting_is_the_programs_own():
    composite = single(m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:fails"))
    with pytest.raises(ValueError, match="this is too much"):
        torch.export.export(composite, (image(),), strict=False)


def test_forward_mode_agrees_with_reverse_mode():
    composite, x = finishing(), image()

    def flat(ev: Tensor) -> Tensor:
        return composite(x, {"exposure.ev": ev}).image

    ev = torch.tensor(0.4, dtype=torch.float64)
    tangent = torch.func.jvp(flat, (ev,), (torch.ones_like(ev),))[1]
    assert torch.allclose(tangent, torch.func.jacrev(flat)(ev))


def test_vmap_over_settings_gives_what_a_loop_gives():
    composite, x = finishing(), image()
    evs = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    mapped = torch.func.vmap(lambda ev: composite(x, {"exposure.ev": ev}).image)(evs)
    for index, ev in enumerate(evs):
        torch.testing.assert_close(mapped[index], composite(x, {"exposure.ev": ev}).image)


def test_a_rendering_is_a_tree_of_tensors():
    rendering = finishing()(image())
    leaves, shape = pytree.tree_flatten(rendering)
    again = pytree.tree_unflatten(leaves, shape)
    assert isinstance(again, Rendering)
    assert again.outputs.keys() == rendering.outputs.keys()


@pytest.mark.parametrize("lead", [(), (2,)])
def test_forward_mode_in_single_precision(lead: tuple[int, ...]):
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:percent", m.slider("x", default=0.5))
    composite, x = single(stage), image(*lead, dtype=torch.float32)

    def flat(amount: Tensor) -> Tensor:
        return composite(x, {"one.x": amount}).image

    value, tangent = torch.func.jvp(flat, (torch.tensor(0.5),), (torch.tensor(1.0),))[:2]
    torch.testing.assert_close(value, flat(torch.tensor(0.5)))
    torch.testing.assert_close(tangent, x * (0.3 / 0.7))
    torch.testing.assert_close(torch.func.jacfwd(flat)(torch.tensor(0.5)), x * (0.3 / 0.7))


def test_everything_given_takes_the_dtype_of_the_image():
    metas = [m.meta("v", "vector<3>"), m.meta("n", "real")]
    composite = spied(m.slider("x"), m.table("curve", "points", (3,), hard=(0.0, 1.0)), metas=metas)
    for dtype, other in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        given = {"v": torch.ones(3, dtype=other), "n": torch.ones((), dtype=other)}
        found = keywords(composite, image(dtype=dtype), composite.start(dtype=other), given)
        assert {value.dtype for value in found.values()} == {dtype}


def test_a_saved_export_loads_and_agrees():
    composite, x = finishing(), image()
    program = torch.export.export(composite, (x,), {"settings": composite.start()}, strict=False)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    found = torch.export.load(file).module()(x, settings=composite.start())
    assert isinstance(found, Rendering)
    assert torch.equal(found.image, composite(x, composite.start()).image)
