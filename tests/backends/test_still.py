"""A composite whose still steps are done gives what the whole one gives, and runs the others alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ispdsl
from ispdsl.backends.composite import Composite, compile
from ispdsl.backends.still import with_still_steps
from ispdsl.backends.vector import tensors as settings_tensors
from ispdsl.darkroom import mosaic_input, tensors
from ispdsl.passes.select import match
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw
from tests.scenes import graph

ROUNDING = 2e-6
"""Of light in 0..1: within torch.func some processors multiply matrices by another routine, which rounds otherwise."""

Whole = tuple[Composite, Tensor, dict[str, Any], dict[str, Tensor]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path = Path(tmp_path_factory.mktemp("raw")) / "coffee.dng"
    write_demo_raw(path, "coffee", size=48)
    frame = ispdsl.read(path)
    shipped = graph("photo_finish")
    composite = compile(shipped, types=match(shipped, {mosaic_input(shipped): frame.type}), taps=["balanced"])
    settings = settings_tensors(Settings.of(shipped).resolved(frame.metadata))
    return composite, tensors(frame)[0], settings, tensors(frame)[1]


def ran(composite: Composite) -> list[str]:
    """Nodes whose own programs run."""
    return [step.node for step in composite.steps if step.program.function.__module__ != "ispdsl.backends.still"]


def _several(function: Any, value: Tensor, directions: Tensor) -> Tensor:
    return torch.func.vmap(lambda along: torch.func.jvp(function, (value,), (along,))[1])(directions)


@pytest.mark.parametrize(
    ("moving", "first"), [("contrast.amount", "contrast"), ("exposure.ev", "exposure"), ("texture.amount", "texture")]
)
def test_the_picture_and_its_derivatives_stay(whole: Whole, moving: str, first: str) -> None:
    composite, image, settings, metadata = whole
    part = with_still_steps(composite, image, settings, metadata, [moving])
    assert ran(part)[0] == first
    assert len(ran(composite)) > len(ran(part))

    def of(each: Composite, value: Tensor) -> Tensor:
        return each(image, {**settings, moving: value}, metadata).image

    value = settings[moving] + 0.1
    torch.testing.assert_close(of(part, value), of(composite, value), rtol=0, atol=0)
    one = torch.ones_like(value)
    slopes = [torch.func.jvp(lambda x, each=each: of(each, x), (value,), (one,))[1] for each in (part, composite)]
    torch.testing.assert_close(*slopes, rtol=0, atol=ROUNDING)
    assert slopes[0].abs().max() > 0
    directions = torch.stack([one, 2 * one])
    both = [_several(lambda x, each=each: of(each, x), value, directions) for each in (part, composite)]
    torch.testing.assert_close(*both, rtol=0, atol=ROUNDING)


def test_taps_among_what_is_still_are_there(whole: Whole) -> None:
    composite, image, settings, metadata = whole
    part = with_still_steps(composite, image, settings, metadata, ["contrast.amount"])
    taps = part(image, settings, metadata).taps
    torch.testing.assert_close(taps["balanced"], composite(image, settings, metadata).taps["balanced"], rtol=0, atol=0)


def test_what_the_frame_before_says_varies(whole: Whole) -> None:
    """A pipeline that reads a statistic of the frame before: with it and without it, the picture is another."""
    shipped = graph("low_light")
    _, image, _, metadata = whole
    assert any(call.previous for call in shipped.calls)
    composite = compile(shipped, cfa="rggb", taps=())
    names = {meta.name for meta in composite.plan.graph.metas}
    given = {name: value for name, value in metadata.items() if name in names}
    settings = composite.start(given)
    moving = [slot.address for slot in composite.slots if slot.free][-1:]
    part = with_still_steps(composite, image, settings, given, moving)
    first, whole_first = part(image, settings, given), composite(image, settings, given)
    torch.testing.assert_close(first.image, whole_first.image)
    second = part(image, settings, given, first.statistics).image
    torch.testing.assert_close(second, composite(image, settings, given, whole_first.statistics).image)
    assert not torch.allclose(first.image, second)
