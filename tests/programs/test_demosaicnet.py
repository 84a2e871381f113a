"""Demosaicing by a network: without weights, with random ones, and with the published ones."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor

from ispdsl.errors import RunError
from ispdsl.programs import demosaic, demosaicnet_convert
from ispdsl.programs.demosaicnet import LOST, MARGIN, SHAPES, demosaic_learned, network
from tests.programs import mosaics
from tests.programs.checks import check_program

without = partial(demosaic_learned, weights="")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Random weights of a scale at which no layer dies."""
    random = np.random.default_rng(1)
    sizes = {name: max(1.0, float(np.prod(shape[1:]))) for name, shape in SHAPES}
    return {
        name: (random.standard_normal(shape) * (1.3 / sizes[name] ** 0.5 if name.endswith("weight") else 0.05)).astype(
            np.float32
        )
        for name, shape in SHAPES
    }


@pytest.fixture(scope="module")
def weights(arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(arrays, path)
    return str(path)


def test_without_weights_it_is_malvar(export: bool) -> None:
    check_program(demosaic_learned, [mosaics.noise()], static={"weights": "", "cfa": "rggb"}, radius=2, export=export)
    for cfa in (*mosaics.BAYER, "linear"):
        image = mosaics.noise(planes=3 if cfa == "linear" else 1)
        assert torch.equal(without(image, cfa=cfa), demosaic.malvar(image, cfa=cfa))


def test_with_weights_it_owes_the_same(weights: str, export: bool) -> None:
    learned = partial(demosaic_learned, weights=weights)
    check_program(
        demosaic_learned,
        [mosaics.noise(6, 7)],
        static={"weights": weights, "cfa": "grbg"},
        radius=MARGIN,
        gradients=False,  # a million operations for each of 42 samples; the test below takes one
        export=export,
    )
    mosaics.check_lossless(learned)
    mosaics.check_linear_frame(learned)
    mosaics.check_shift(learned, MARGIN + 1)


def test_the_gradient_is_that_of_finite_differences(weights: str) -> None:
    image, step = mosaics.noise(6, 6), 1e-6

    def total(mosaic: Tensor) -> Tensor:
        return demosaic_learned(mosaic, weights=weights, cfa="rggb").square().sum()

    direction = mosaics.noise(6, 6, seed=3)
    slope = torch.func.jvp(total, (image,), (direction,))[1]
    difference = (total(image + step * direction) - total(image - step * direction)) / (2 * step)
    assert float(slope) == pytest.approx(float(difference), rel=1e-5)


def test_reaches_as_far_as_it_says(weights: str) -> None:
    size = 2 * MARGIN + 7
    image = mosaics.noise(size, size)
    other = image.clone()
    other[0, MARGIN + 3, MARGIN + 2] += 0.5
    changed = (
        demosaic_learned(image, weights=weights, cfa="gbrg") != demosaic_learned(other, weights=weights, cfa="gbrg")
    ).any(0)
    rows, columns = changed.nonzero().T
    reach = max(
        int((rows - MARGIN - 3).abs().max()),
        int((columns - MARGIN - 2).abs().max()),
    )
    assert MARGIN - 1 <= reach <= MARGIN


def test_bands_of_rows_join_without_a_seam(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = mosaics.noise(45, 8)
    whole = demosaic_learned(image, weights=weights, cfa="bggr")
    monkeypatch.setattr("ispdsl.programs.demosaicnet.BAND", 16)
    torch.testing.assert_close(demosaic_learned(image, weights=weights, cfa="bggr"), whole, rtol=0, atol=1e-9)


def test_the_network_takes_off_what_it_says(arrays: dict[str, np.ndarray]) -> None:
    parameters = {name: torch.from_numpy(array) for name, array in arrays.items()}
    found = network(torch.rand(2, 3, 2 * LOST + 4, 2 * LOST + 6), parameters)
    assert found.shape == (2, 3, 4, 6)
    assert len(SHAPES) == 40


def test_a_pipeline_names_its_weights(weights: str, tmp_path: Path) -> None:
    import ispdsl

    def rendered(text: str) -> Tensor:
        (tmp_path / "learned.isp").write_text(
            "from demosaic import demosaic_learned\n"
            "pipeline learned(mosaic: raw<rggb, f32>) -> (image: rgb<camera, f32>) {\n"
            f'  image = mosaic -> demosaic_learned(weights = "{text}")\n}}\n'
        )
        isp = ispdsl.compile(ispdsl.build(ispdsl.load(tmp_path / "learned.isp")))
        return isp(image, {}, {}).image

    image = mosaics.noise(6, 8).float()
    torch.testing.assert_close(rendered(""), demosaic.malvar(image, cfa="rggb"))
    torch.testing.assert_close(rendered(weights), demosaic_learned(image, weights=weights, cfa="rggb"))
    with pytest.raises(ispdsl.RunError, match=r"weights nowhere\.safetensors: cannot be read.*current folder"):
        rendered("nowhere.safetensors")


def test_converts_a_state_dict(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    source, target = tmp_path / "bayer.pth", tmp_path / "bayer.safetensors"
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, source)
    assert demosaicnet_convert.main([str(source), str(target)]) == 0
    image = mosaics.noise(4, 4)
    assert torch.isfinite(demosaic_learned(image, weights=str(target), cfa="rggb")).all()


class Harmful:
    """What a pickle may carry: a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def test_converting_runs_nothing_and_says_what_is_wrong(
    arrays: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Harmful()}, "harmful.pth")
    torch.save([1, 2], "list.pth")
    torch.save({"main_processor.conv1.weight": torch.zeros(3)}, "other.pth")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, "good.pth")
    Path("text.pth").write_text("no archive")
    for arguments, status, message in (
        (["harmful.pth", "out"], 1, "no state dict of tensors"),
        (["list.pth", "out"], 1, "no state dict of tensors"),
        (["text.pth", "out"], 1, "no state dict of tensors"),
        (["other.pth", "out"], 1, "has no tensor 'fullres_processor.output.bias'"),
        (["nowhere.pth", "out"], 1, "nowhere.pth: cannot be read"),
        (["good.pth", "no/folder/out"], 1, "cannot be written"),
        (["good.pth"], 2, "usage"),
    ):
        assert demosaicnet_convert.main(arguments) == status
        assert message in capsys.readouterr().err
    assert not Path("harmed").exists()
    assert not Path("out").exists()
    with pytest.raises(RunError):
        demosaicnet_convert.convert(Path("harmful.pth"), Path("out"))


@pytest.mark.realdata
def test_the_published_weights_beat_malvar_on_kodak(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "bayer.safetensors"
    demosaicnet_convert.convert(data / "weights" / "demosaicnet" / "bayer.pth", target)
    for number, cfa in ((1, "rggb"), (5, "grbg"), (8, "gbrg"), (19, "bggr")):
        picture = mosaics.kodak(data, number, 96)
        mosaic = mosaics.sampled(picture, cfa)
        found = mosaics.psnr(demosaic_learned(mosaic, weights=str(target), cfa=cfa), picture)
        assert found > mosaics.psnr(demosaic.malvar(mosaic, cfa=cfa), picture) + 4


@pytest.mark.realdata
def test_weights_for_another_sensor_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not for this network"):
        demosaicnet_convert.convert(data / "weights" / "demosaicnet" / "xtrans.pth", tmp_path / "out")
