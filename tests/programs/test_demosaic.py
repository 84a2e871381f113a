"""Bilinear, Malvar and Menon demosaicing of all four Bayer phases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import colour_demosaicing
import numpy as np
import pytest
import torch

from ispdsl.programs import demosaic
from ispdsl.programs.menon import STEPS
from tests.programs import mosaics
from tests.programs.checks import check_program
from tests.programs.mosaics import BAYER
from tests.programs.mosaics import noise as mosaic

METHODS = ("bilinear", "malvar", "menon")
RADIUS = {"bilinear": 1, "malvar": 2, "menon": 8}
ORACLES: dict[str, Callable[..., np.ndarray]] = {
    "bilinear": colour_demosaicing.demosaicing_CFA_Bayer_bilinear,
    "malvar": colour_demosaicing.demosaicing_CFA_Bayer_Malvar2004,
    "menon": colour_demosaicing.demosaicing_CFA_Bayer_Menon2007,
}


@pytest.mark.parametrize("cfa", ["rggb", "gbrg", "linear"])
@pytest.mark.parametrize("method", METHODS)
def test_generic(method: str, cfa: str, export: bool) -> None:
    image = mosaic(19, 22, planes=3 if cfa == "linear" else 1)
    check_program(
        demosaic.demosaic, [image], static={"method": method, "cfa": cfa}, radius=RADIUS[method], export=export
    )


@pytest.mark.parametrize("method", demosaic.METHODS)
def test_the_method_of_choice_is_the_method_by_name(method: str) -> None:
    image = mosaic()
    assert torch.equal(
        demosaic.demosaic(image, method=method, cfa="grbg"), getattr(demosaic, method)(image, cfa="grbg")
    )


@pytest.mark.parametrize("size", [(40, 42), (41, 37)])
@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_colour_demosaicing(method: str, cfa: str, size: tuple[int, int]) -> None:
    """Away from the border, where the oracle repeats the edge (or, for Menon's decision, continues with zeros)."""
    image = mosaic(*size) * 2 - 0.5
    expected = ORACLES[method](image[0].numpy(), cfa.upper())
    found = getattr(demosaic, method)(image, cfa=cfa).numpy().transpose(1, 2, 0)
    border = {"bilinear": 1, "malvar": 2, "menon": 10}[method]
    inside = slice(border, -border)
    np.testing.assert_allclose(found[inside, inside], expected[inside, inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_colour_demosaicing_up_to_the_border(method: str, cfa: str) -> None:
    """The border rule: as if the mosaic went on as its mirror image about the outermost samples."""
    image = mosaic(21, 24, seed=5)[0].numpy() * 2 - 0.5
    expected = ORACLES[method](np.pad(image, 12, mode="reflect"), cfa.upper())[12:-12, 12:-12]
    found = getattr(demosaic, method)(torch.from_numpy(image)[None], cfa=cfa).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("method", "name"),
    [("bilinear", "Bilinear_RGGB"), ("malvar", "Malvar2004_RGGB"), ("menon", "Menon2007_RGGB")],
)
def test_agrees_with_the_references_of_the_lighthouse(data: Path, method: str, name: str) -> None:
    reference = np.load(data / "images" / "lighthouse_demosaic_refs" / "split" / "dev_rggb_crop.npz")
    top, bottom, left, right = reference["crop"]
    image = torch.from_numpy(reference["CFA_RGGB"].astype(np.float32))[None]
    found = getattr(demosaic, method)(image, cfa="rggb")[:, top:bottom, left:right].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(found, reference[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_every_method_owes(method: str) -> None:
    run = getattr(demosaic, method)
    mosaics.check_lossless(run)
    mosaics.check_linear_frame(run)
    mosaics.check_flat(run)
    mosaics.check_shift(run, RADIUS[method])
    mosaics.check_exposure(run)


@pytest.mark.parametrize("method", METHODS)
def test_mirrors_the_border(method: str) -> None:
    """A mosaic that is continued by its own mirror image gives the same result inside."""
    image = mosaic(12, 13)
    rows = [*range(10, 0, -1), *range(12), *range(10, 0, -1)]
    columns = [*range(10, 0, -1), *range(13), *range(11, 1, -1)]
    extended = image[:, rows][:, :, columns]
    found = getattr(demosaic, method)(extended, cfa="gbrg")[:, 10:22, 10:23]
    torch.testing.assert_close(found, getattr(demosaic, method)(image, cfa="gbrg"), rtol=0, atol=1e-12)


def test_menon_reaches_no_farther_than_its_margin() -> None:
    assert RADIUS["menon"] <= 2 * STEPS


@pytest.mark.parametrize(("method", "turns"), [("bilinear", 1), ("malvar", 1), ("menon", 0)])
def test_flips_and_turns(method: str, turns: int) -> None:
    """Menon's decision falls to rows where both directions are alike: a quarter turn would have to fall to columns."""
    mosaics.check_turns(getattr(demosaic, method), turns)


@pytest.mark.parametrize(("method", "bound"), [("bilinear", 1.0), ("malvar", 2.5)])
def test_differences_grow_by_no_more_than_the_contract_says(method: str, bound: float) -> None:
    """The greatest sum of absolute weights, from the Jacobian, is the bound and is reached."""
    jacobian = torch.func.jacrev(lambda image: getattr(demosaic, method)(image, cfa="rggb"))(mosaic(8, 8))
    assert float(jacobian.abs().sum((-3, -2, -1)).max()) == pytest.approx(bound)


def test_half_precision_comes_back_as_it_went_in() -> None:
    image = mosaic().bfloat16()
    for method in demosaic.METHODS:
        assert demosaic.demosaic(image, method=method, cfa="rggb").dtype == torch.bfloat16


@pytest.mark.parametrize("method", ["bilinear", "malvar"])
def test_linear_methods_are_linear(method: str) -> None:
    one, other = mosaic(seed=1), mosaic(seed=2)
    run = getattr(demosaic, method)
    combined = run(2 * one - 3 * other, cfa="bggr")
    torch.testing.assert_close(combined, 2 * run(one, cfa="bggr") - 3 * run(other, cfa="bggr"), rtol=0, atol=1e-12)


def test_menon_beats_malvar_beats_bilinear_on_a_photograph() -> None:
    photograph = mosaics.photograph("astronaut", 160)
    raw = mosaics.sampled(photograph)
    scores = [mosaics.psnr(getattr(demosaic, method)(raw, cfa="rggb"), photograph) for method in METHODS]
    assert scores == sorted(scores)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("method", ["bilinear", "malvar"])
def test_one_convolution_gives_what_sums_give(
    method: str, lead: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = torch.rand(*lead, 1, 7, 10, generator=torch.Generator().manual_seed(3))
    at_once = demosaic.demosaic(taken, method=method, cfa="grbg")
    with torch.autocast("cpu", torch.bfloat16):
        exact = demosaic.demosaic(taken, method=method, cfa="grbg")
    monkeypatch.setattr("ispdsl.programs.demosaic._convolves", lambda _: False)
    wanted = demosaic.demosaic(taken, method=method, cfa="grbg")
    assert at_once.shape == (*lead, 3, 7, 10)
    torch.testing.assert_close(at_once, wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(exact, wanted, rtol=0, atol=1e-6)
