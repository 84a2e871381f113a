"""Front ends: they begin as the demosaic, learn through what follows, and are used as doubles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ispdsl
from ispdsl.backends.composite import compile
from ispdsl.errors import PlanError, RunError
from ispdsl.learned.fit import Recipe, drawing
from ispdsl.learned.frontend import cut, demosaic_of, exposure, finishing, rendered, score, train, untrained
from ispdsl.learned.short_and_long import Scene, burst, draw, exposed, mosaic_of, noise_profile, photographed
from ispdsl.plan import flattened
from ispdsl.proxies.double import Double, load, save
from ispdsl.synthetic import sample_photo
from tests.scenes import graph, synthetic_frame


@pytest.fixture(scope="module")
def scene() -> Scene:
    return photographed(sample_photo("coffee", 64)[:, :40], "coffee", 3)


def small(seed: int = 0) -> Double:
    return untrained(graph("photo_finish"), ispdsl.Settings.of(graph("photo_finish")), width=8, depth=2, seed=seed)


def test_it_begins_as_the_demosaic_and_none_of_its_layers_is_silent(scene: Scene) -> None:
    double = small()
    through = finishing(graph("photo_finish"), ispdsl.Settings.of(graph("photo_finish")), double, scene)
    mosaic = exposure(scene, (3e-3, 1e-5))
    given, plain = (
        rendered(made, mosaic, through.settings, scene.metadata) for made in (through.learned, through.plain)
    )
    assert torch.equal(given, plain)
    seen: list[torch.Tensor] = []
    double.get_submodule("network.hourglass.last").register_forward_pre_hook(lambda *given: seen.append(given[1][0]))
    rendered(through.learned, mosaic, through.settings, scene.metadata)
    assert seen[0].std((0, 2, 3)).mean() > 0.05


def test_training_through_the_finishing_denoises_and_the_file_is_a_double(scene: Scene, tmp_path: Path) -> None:
    double, settings = small(), ispdsl.Settings.of(graph("photo_finish"))
    through = finishing(graph("photo_finish"), settings, double, scene)
    noise = (1.2e-2, 2e-4)
    before = score(through.learned, through, scene, noise)
    found = train(double, through, [scene], [scene], Recipe(16, 5e-3, judged=2), together=2, side=32)
    after = score(through.learned, through, scene, noise)
    assert after > before + 0.2
    assert [steps for steps, _ in found.scores] == [0, 8, 16]
    save(double, tmp_path / "any_name.safetensors")
    made = compile(graph("photo_finish"), cfa="rggb", taps=(), doubles=tmp_path / "any_name.safetensors")
    mosaic = exposure(scene, noise)
    with torch.no_grad():
        again = rendered(made, mosaic, through.settings, scene.metadata)
        assert torch.equal(again, rendered(through.learned, mosaic, through.settings, scene.metadata))
    assert load(tmp_path / "any_name.safetensors").card.constants["method"] == "menon"


def test_the_truth_is_what_a_long_exposure_samples(scene: Scene) -> None:
    mosaic = exposure(scene, None)[0]
    assert torch.equal(mosaic, mosaic_of(scene.image[None], "rggb")[0].round())
    assert mosaic[0, 0, 0] == scene.image[0, 0, 0].round()
    assert mosaic[0, 0, 1] == scene.image[1, 0, 1].round()
    assert mosaic[0, 1, 1] == scene.image[2, 1, 1].round()
    blue_first = mosaic_of(scene.image[None], "bggr")[0]
    assert blue_first[0, 0, 0] == scene.image[2, 0, 0]


def test_noise_has_the_variance_of_its_profile() -> None:
    black, white = torch.tensor(512.0), torch.tensor(16383.0)
    flat = torch.full((1, 200, 200), 512 + 0.25 * (16383 - 512))
    codes = exposed(flat, black, white, (4e-3, 1e-5), drawing(0, 0))
    assert torch.equal(codes, codes.round())
    variance = float(((codes - flat) / (white - black)).var())
    assert variance == pytest.approx(4e-3 * 0.25 + 1e-5, rel=0.05)
    assert (exposed(flat * 0, black, white, (1e-2, 1e-2), drawing(0, 0)) >= 0).all()
    shots = [noise_profile(drawing(0, step))[0] for step in range(50)]
    assert 3e-4 <= min(shots) < 1e-3 < 1e-2 < max(shots) <= 2.4e-2


def test_patches_are_drawn_alike_from_the_same_seed_and_keep_the_pattern(scene: Scene) -> None:
    one, same, other = (draw([scene], drawing(seed, 0), 24, 16) for seed in (0, 0, 1))
    assert torch.equal(one.mosaics, same.mosaics)
    assert not torch.equal(one.mosaics, other.mosaics)
    assert one.wanted.shape == (24, 3, 16, 16)
    assert one.metadata["black_level"].shape == (24, 4)
    error = (one.mosaics - mosaic_of(one.wanted, "rggb")).abs().flatten(1).amax(1)
    assert (error <= 0.5).any(), "some are long exposures"
    assert (error > 50).any(), "others have noise"
    assert ((one.mosaics - mosaic_of(one.wanted, "bggr")).abs().flatten(1).amax(1) > 0.5).all()


def test_a_burst_has_its_mean_as_long_exposure(tmp_path: Path) -> None:
    photo = sample_photo("coffee", 48)[:, :, :32]
    frames = [
        synthetic_frame(tmp_path, photo, seed=seed, noise=(1e-3, 1e-6), gains=(2.0, 1.6), brightness=0.8)
        for seed in range(3)
    ]
    found = burst(frames, "three")
    assert found.short is not None
    assert torch.equal(found.image, found.short.mean(0))
    patches = draw([found], drawing(0, 0), 5, 16)
    assert patches.wanted.shape == (5, 1, 16, 16)
    double, settings = small(), ispdsl.Settings.of(graph("photo_finish"))
    through = finishing(graph("photo_finish"), settings, double, found)
    assert through.colour is None
    assert score(through.plain, through, found, None) == float("inf")
    with pytest.raises(RunError, match="two frames"):
        burst(frames[:1], "one")
    with pytest.raises(RunError, match="not alike"):
        burst([frames[0], frames[1].crop(0, 0, 8, 8)], "two")


def test_what_cannot_be_trained_is_refused(scene: Scene) -> None:
    flat = flattened(graph("photo_finish"))
    assert demosaic_of(flat).address == "demosaic"
    with pytest.raises(PlanError, match="has no srgb that makes colour of a mosaic"):
        demosaic_of(flat, "srgb")
    double, settings = small(), ispdsl.Settings.of(graph("photo_finish"))
    through = finishing(graph("photo_finish"), settings, double, scene)
    with pytest.raises(RunError, match="coffee has fewer than 128 px"):
        train(double, through, [scene], [], Recipe(1, 1e-3), side=128)
    with pytest.raises(RunError, match="no whole mosaic"):
        train(double, through, [scene], [], Recipe(1, 1e-3), side=15)
    assert cut(scene, 10).image.shape == (3, 10, 10)
