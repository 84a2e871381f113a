from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from ispdsl.programs import bm3d as module
from ispdsl.programs.bm3d import bm3d, dct_matrix, haar_matrix
from ispdsl.programs.denoise import bilateral
from ispdsl.programs.nlm import nl_means
from ispdsl.synthetic.samples import sample_photo
from tests.programs.checks import check_program

CHOICES: dict[str, Any] = {
    "transform": "dct",
    "patch": "p4",
    "search": "s9",
    "stack": "k16",
    "step": "second",
    "weights": "sparsity",
    "wiener": True,
}
VALUES: dict[str, Any] = {"strength": 1.0, "noise": 0.05, "threshold": 2.7}


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_bm3d_of_colour_survives_what_every_program_must(export: bool) -> None:
    free = {"strength": 0.7, "noise": 0.1, "threshold": 2.1}
    check_program(bm3d, [uniform(3, 4, 5)], static=CHOICES, free=free, radius=22, export=export)


@pytest.mark.parametrize("changed", [{"step": "every"}, {"patch": "p8", "transform": "haar", "weights": "uniform"}])
def test_the_first_pass_of_bm3d_survives_what_every_program_must(changed: dict[str, str], export: bool) -> None:
    free = {"strength": 0.7, "noise": 0.1, "threshold": 2.1}
    static: dict[str, Any] = {**CHOICES, "stack": "k8", "wiener": False, **changed}
    check_program(bm3d, [uniform(1, 5, 6)], static=static, free=free, radius=15, export=export)


def reference(image: np.ndarray, noise: float, threshold: float, wiener: np.ndarray | None) -> np.ndarray:
    """One pass over one plane with blocks of 4 px, in loops: match, transform, shrink, aggregate."""
    guide_image = image if wiener is None else wiener
    margin, side, count = 7, 4, 8
    noisy, guide = (np.pad(plane, margin, mode="reflect") for plane in (image, guide_image))
    total, weight = np.zeros_like(noisy), np.zeros_like(noisy)
    taper = np.outer(np.kaiser(side, 2.0), np.kaiser(side, 2.0))
    near = sorted(((y, x) for y in range(-4, 5) for x in range(-4, 5)), key=lambda p: (p[0] ** 2 + p[1] ** 2, p))
    haar: Any = np.array(haar_matrix(count))
    for row in range(4, noisy.shape[0] - 4 - side + 1):
        for column in range(4, noisy.shape[1] - 4 - side + 1):
            here = guide[row : row + side, column : column + side]
            spots = [(row + y, column + x) for y, x in near]
            apart = [np.square(guide[y : y + side, x : x + side] - here).sum() for y, x in spots]
            ties = np.round(np.array(apart) / (module.TIE * side**2 * noise**2))
            best = [spots[index] for index in np.argsort(ties, kind="stable")[:count]]
            stacks = [np.stack([p[y : y + side, x : x + side] for y, x in best]) for p in (noisy, guide)]
            spectra: list[Any] = [dctn(stack, axes=(1, 2), norm="ortho") for stack in stacks]
            flat, known = (np.tensordot(haar, spectrum, 1) for spectrum in spectra)
            ratio = (flat / (threshold * noise)) ** 8
            gain = ratio / (1 + ratio) if wiener is None else known**2 / (known**2 + noise**2)
            gain[0, 0, 0] = 1
            estimate: Any = idctn(np.tensordot(haar.T, gain * flat, 1), axes=(1, 2), norm="ortho")
            for (y, x), block in zip(best, estimate, strict=True):
                total[y : y + side, x : x + side] += taper * block / np.square(gain).sum()
                weight[y : y + side, x : x + side] += taper / np.square(gain).sum()
    inner = slice(margin, -margin)
    return total[inner, inner] / weight[inner, inner]


def test_both_passes_are_the_published_ones_in_loops() -> None:
    image = uniform(1, 10, 11)
    first = reference(image[0].numpy(), 0.1, 2.7, None)
    second = reference(image[0].numpy(), 0.1, 2.7, first)
    static: dict[str, Any] = {**CHOICES, "stack": "k8", "step": "every"}
    del static["wiener"]
    for wiener, wanted in ((False, first), (True, second)):
        result = bm3d(image, strength=1.0, noise=0.1, threshold=2.7, wiener=wiener, **static)
        np.testing.assert_allclose(result[0].numpy(), wanted, atol=1e-9)


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("transform", ["dct", "haar"])
@pytest.mark.parametrize("patch", ["p4", "p8"])
def test_what_no_threshold_touches_comes_back(planes: int, transform: str, patch: str) -> None:
    """The transforms are orthonormal and the estimates agree, so that a vanishing threshold gives the image."""
    image = uniform(planes, 9, 10)
    static: dict[str, Any] = {**CHOICES, "transform": transform, "patch": patch, "step": "third", "wiener": False}
    result = bm3d(image, strength=1.0, noise=1e-6, threshold=0.1, **static)
    torch.testing.assert_close(result, image, rtol=0, atol=1e-5)


def test_the_transforms_are_those_of_the_textbooks() -> None:
    textbook: Any = dctn(np.eye(8), axes=(0,), norm="ortho")
    np.testing.assert_allclose(textbook, dct_matrix(8), atol=1e-12)
    root = 2**-0.5
    np.testing.assert_allclose(
        haar_matrix(4), [[0.5] * 4, [0.5, 0.5, -0.5, -0.5], [root, -root, 0, 0], [0, 0, root, -root]]
    )
    np.testing.assert_allclose(np.array(haar_matrix(32)) @ np.array(haar_matrix(32)).T, np.eye(32), atol=1e-12)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = uniform(3, 12, 11)
    whole = bm3d(image, **VALUES, **CHOICES)
    monkeypatch.setattr(module, "CHUNK", 1)
    torch.testing.assert_close(bm3d(image, **VALUES, **CHOICES), whole)


def test_a_crop_is_denoised_as_inside_the_whole() -> None:
    image = uniform(1, 30, 30)
    static: dict[str, Any] = {**CHOICES, "step": "every", "wiener": False}
    whole, part = (bm3d(i, **VALUES, **static) for i in (image, image[:, 3:, 1:]))
    torch.testing.assert_close(part[:, 11:, 11:], whole[:, 14:, 12:])


def test_noise_and_threshold_have_a_gradient() -> None:
    noise, threshold = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.1, 2.7))
    result = bm3d(uniform(1, 12, 12), strength=1.0, noise=noise, threshold=threshold, **CHOICES)
    gradients = torch.autograd.grad(result.var(), (noise, threshold))
    assert all(gradient.abs() > 1e-6 for gradient in gradients)


def psnr(found: Tensor, wanted: Tensor) -> float:
    return float(-10 * torch.log10((found - wanted).square().mean()))


def test_on_a_photograph_bm3d_beats_nl_means_and_nl_means_the_bilateral_filter() -> None:
    clean = torch.tensor(sample_photo("astronaut")[:, 60:220, 150:310].copy())
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    results = {
        "noisy": noisy,
        "bilateral": bilateral(noisy, strength=1.0, radius=3.0, contrast=0.15),
        "nl_means": nl_means(noisy, strength=1.0, noise=0.05, filtering=1.0, patch="p3", search="s15"),
        "bm3d": bm3d(noisy, **VALUES, **CHOICES),
    }
    found = {name: psnr(result, clean) for name, result in results.items()}
    assert found["bilateral"] > found["noisy"] + 5, found
    assert found["nl_means"] > found["bilateral"] + 0.2, found
    assert found["bm3d"] > found["nl_means"] + 0.8, found
