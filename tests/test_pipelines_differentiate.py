"""The shipped pipelines under torch's transforms: exact gradients, forward mode, vmap and export."""

from __future__ import annotations

import io
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ispdsl.backends.composite import Composite, Rendering
from ispdsl.runtime.frame import Frame
from ispdsl.synthetic import sample_photo
from tests.scenes import FREE, Leaves, composite, exact, moved, synthetic_frame, weighted

PROJECTIONS = 4
"""Random sums of the output that stand for its thousands of samples: a wrong derivative of any shows in all."""

pipelines = pytest.mark.parametrize("name", list(FREE))


class Case(NamedTuple):
    """A pipeline at settings that are away from the start, where identities, clips and other kinks are."""

    made: Composite
    image: Tensor
    settings: Leaves
    metadata: Leaves
    before: Leaves

    def render(self, settings: Leaves) -> Rendering:
        return self.made(self.image, settings, self.metadata, self.before)

    def project(self, *numbers: Tensor) -> Tensor:
        return weighted(self.render(dict(zip(self.settings, numbers, strict=True))).outputs, PROJECTIONS)

    def toward(self, seed: int) -> Leaves:
        generator = torch.Generator().manual_seed(seed)
        # Steps in proportion to the values: a kelvin is little, a whole stop is much.
        return {
            key: torch.randn(value.shape, generator=generator, dtype=value.dtype) * value.abs().clamp_min(0.1)
            for key, value in self.settings.items()
        }

    def along(self, step: Leaves, share: float) -> Leaves:
        return {key: value + share * step[key] for key, value in self.settings.items()}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    photo = 0.1 + 0.7 * sample_photo("astronaut", 72)
    whole = synthetic_frame(tmp_path_factory.mktemp("raw"), photo, cfa="grbg", noise=(1e-4, 1e-6))
    return whole.crop(8, 24, 12, 14)


def case(name: str, frame: Frame) -> Case:
    made = composite(name, "grbg")
    image, metadata = exact(frame)
    before = {key: value * 0.8 for key, value in made(image, None, metadata).statistics.items()}
    return Case(made, image, moved(name, frame), metadata, before)


@pipelines
def test_gradients_are_exact_for_every_free_number(name: str, frame: Frame):
    this = case(name, frame)
    assert sum(value.numel() for value in this.settings.values()) == FREE[name]
    leaves = [value.clone().requires_grad_() for value in this.settings.values()]
    assert torch.autograd.gradcheck(this.project, leaves, eps=1e-6, atol=1e-6, rtol=1e-4)


@pipelines
def test_forward_mode_agrees_with_reverse_mode_and_with_differences(name: str, frame: Frame):
    this = case(name, frame)
    step = this.toward(1)

    def outputs(settings: Leaves) -> dict[str, Tensor]:
        return this.render(settings).outputs

    values, tangent = torch.func.jvp(outputs, (this.settings,), (step,))[:2]
    nudge = 1e-6
    above, below = outputs(this.along(step, nudge)), outputs(this.along(step, -nudge))
    pull = torch.func.vjp(outputs, this.settings)[1]
    weight = {key: torch.rand_like(image) for key, image in values.items()}
    (back,) = pull(weight)
    for key, image in values.items():
        difference = (above[key] - below[key]) / (2 * nudge)
        # A sample that sits on a kink within the nudge has two slopes; hardly any may.
        close = torch.isclose(tangent[key], difference, rtol=1e-4, atol=1e-5)
        assert close.double().mean() > 0.999, key
        assert tangent[key].abs().max() > 1e-3, key
        assert image.isfinite().all()
    forward = sum((weight[key] * tangent[key]).sum() for key in values)
    reverse = sum((back[key] * step[key]).sum() for key in step)
    torch.testing.assert_close(forward, reverse, rtol=1e-9, atol=1e-9)


@pipelines
def test_vmap_over_settings_gives_what_a_loop_gives(name: str, frame: Frame):
    this = case(name, frame)
    each = [this.along(this.toward(seed), 0.02) for seed in range(3)]
    stacked = {key: torch.stack([settings[key] for settings in each]) for key in this.settings}
    mapped = torch.vmap(lambda settings: this.render(settings).outputs)(stacked)
    for index, settings in enumerate(each):
        for key, image in this.render(settings).outputs.items():
            torch.testing.assert_close(mapped[key][index], image, rtol=0, atol=1e-9)
    first, second = (next(iter(mapped.values()))[index] for index in (0, 1))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize(
    "name", [name if name == "learned_isp" else pytest.param(name, marks=pytest.mark.slow) for name in FREE]
)
def test_a_saved_export_takes_other_images_settings_and_metadata(name: str, frame: Frame):
    this = case(name, frame)
    given = {"settings": this.settings, "metadata": this.metadata, "previous": this.before}
    file = io.BytesIO()
    torch.export.save(torch.export.export(this.made, (this.image,), given, strict=False), file)
    file.seek(0)
    exported = torch.export.load(file).module()
    others = {
        "settings": this.along(this.toward(2), 0.05),
        "metadata": {**this.metadata, "as_shot_neutral": this.metadata["as_shot_neutral"] * 1.1},
        "previous": {key: value * 1.2 for key, value in this.before.items()},
    }
    for image, more in ((this.image, given), (this.image.flip(-1) * 0.9 + 20, others)):
        found, eager = exported(image, **more), this.made(image, **more)
        for key, value in eager.outputs.items():
            torch.testing.assert_close(found.outputs[key], value, rtol=0, atol=1e-12)


@pipelines
def test_forward_mode_works_in_single_precision_for_every_setting(name: str, frame: Frame):
    this = case(name, frame)
    image, before = this.image.float(), {key: value.float() for key, value in this.before.items()}
    settings = {key: value.float() for key, value in this.settings.items()}
    step = {key: value.float() for key, value in this.toward(1).items()}

    def outputs(settings: Leaves) -> dict[str, Tensor]:
        return this.made(image, settings, this.metadata, before).outputs

    tangent = torch.func.jvp(outputs, (settings,), (step,))[1]
    exact_tangent = torch.func.jvp(lambda free: this.render(free).outputs, (this.settings,), (this.toward(1),))[1]
    for key, value in exact_tangent.items():
        close = torch.isclose(tangent[key].double(), value, rtol=1e-2, atol=1e-3)
        assert close.double().mean() > 0.98, key
