"""Transfer curves against colour-science and the standards' landmarks."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from ispdsl.programs import encoding
from tests.programs.checks import check_program

F64 = torch.float64
BITS = {"ten": False, "twelve": True}


def picture(low: float = 0.05, high: float = 0.95) -> Tensor:
    return low + (high - low) * torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(5), dtype=F64)


@pytest.mark.parametrize(
    ("program", "static", "free"),
    [
        (encoding.rec709, {}, {}),
        (encoding.rec709_decode, {}, {}),
        (encoding.rec2020, {"bits": "twelve"}, {}),
        (encoding.rec2020_decode, {"bits": "ten"}, {}),
        (encoding.prophoto, {}, {}),
        (encoding.prophoto_decode, {}, {}),
        (encoding.pq, {}, {"white": 203.0}),
        (encoding.pq_decode, {}, {"white": 4000.0}),
        (encoding.hlg, {}, {}),
        (encoding.hlg_decode, {}, {}),
    ],
)
def test_every_program_keeps_its_contract(program, static, free) -> None:
    check_program(program, [picture(0.09, 0.7)], static=static, free=free, radius=0)


ORACLES = {
    "rec709": (encoding.rec709, colour.models.oetf_BT709),
    "rec709_decode": (encoding.rec709_decode, colour.models.oetf_inverse_BT709),
    **{
        f"rec2020_{bits}": (
            lambda x, bits=bits: encoding.rec2020(x, bits=bits),
            lambda x, twelve=twelve: colour.models.oetf_BT2020(x, is_12_bits_system=twelve),
        )
        for bits, twelve in BITS.items()
    },
    **{
        f"rec2020_decode_{bits}": (
            lambda x, bits=bits: encoding.rec2020_decode(x, bits=bits),
            lambda x, twelve=twelve: colour.models.oetf_inverse_BT2020(x, is_12_bits_system=twelve),
        )
        for bits, twelve in BITS.items()
    },
    "prophoto": (encoding.prophoto, colour.models.cctf_encoding_ROMMRGB),
    "prophoto_decode": (encoding.prophoto_decode, colour.models.cctf_decoding_ROMMRGB),
    "hlg": (encoding.hlg, colour.models.oetf_BT2100_HLG),
    "hlg_decode": (encoding.hlg_decode, colour.models.oetf_inverse_BT2100_HLG),
    "pq": (
        lambda x: encoding.pq(x, white=5000.0),
        lambda x: colour.models.eotf_inverse_ST2084(np.minimum(5000.0 * x, 10000.0)),
    ),
    "pq_decode": (
        lambda x: encoding.pq_decode(x, white=10000.0),
        lambda x: colour.models.eotf_ST2084(x) / 10000.0,
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("name", ORACLES)
def test_curves_agree_with_colour_science(name: str, dtype: torch.dtype) -> None:
    found, wanted = ORACLES[name]
    random = torch.rand(4000, generator=torch.Generator().manual_seed(1), dtype=F64)
    # 997 steps: no point falls on a knee, where the rounded constants of BT.709 and BT.2020 leave a jump.
    x = torch.cat([torch.linspace(0, 1, 998, dtype=F64), random, random**8]).to(dtype)
    with np.errstate(invalid="ignore"):
        expected = wanted(x.double().numpy())
    np.testing.assert_allclose(found(x).double().numpy(), expected, rtol=0, atol=1e-5)


def test_landmarks_of_the_standards() -> None:
    def pq(nit: float) -> float:
        return float(encoding.pq(torch.tensor(nit / 203, dtype=F64), white=203.0))

    assert pq(100) == pytest.approx(0.508, abs=1e-3)  # BT.2408: 100 nit is 50.8 % of PQ, 203 nit 58.1 %
    assert pq(203) == pytest.approx(0.581, abs=1e-3)
    assert pq(10000) == pytest.approx(1, abs=1e-12)
    assert pq(20000) == 1
    hlg = encoding.hlg(torch.tensor([0.0, 1 / 12, 0.265, 1.0], dtype=F64))  # BT.2408: 0.265 is 75 % of HLG
    np.testing.assert_allclose(hlg.numpy(), [0, 0.5, 0.75, 1], atol=1e-3)
    grey = encoding.rec709(torch.tensor(0.18, dtype=F64))
    assert float(grey) == pytest.approx(0.409, abs=1e-3)


PAIRS = {
    "rec709": (encoding.rec709, encoding.rec709_decode, 3e-4),
    "rec2020": (
        lambda x: encoding.rec2020(x, bits="ten"),
        lambda x: encoding.rec2020_decode(x, bits="ten"),
        3e-4,
    ),
    "prophoto": (encoding.prophoto, encoding.prophoto_decode, 1e-12),
    "pq": (lambda x: encoding.pq(x, white=10000.0), lambda x: encoding.pq_decode(x, white=10000.0), 1e-5),
    "hlg": (encoding.hlg, encoding.hlg_decode, 1e-6),
}


@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back(name: str) -> None:
    encode, decode, tolerance = PAIRS[name]
    x = torch.linspace(0, 1, 4001, dtype=F64)
    torch.testing.assert_close(decode(encode(x)), x, rtol=0, atol=1e-8)
    torch.testing.assert_close(encode(decode(x)), x, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", PAIRS)
def test_curves_rise_and_end_at_both_ends(name: str) -> None:
    encode, decode, _ = PAIRS[name]
    x = torch.linspace(-0.5, 2, 5001, dtype=F64)
    code = encode(x)
    assert code.min() >= 0
    assert code.max() <= 1
    assert (code.diff() >= 0).all()
    assert (decode(torch.linspace(0, 1, 5001, dtype=F64)).diff() >= -1e-4).all()
    assert float(encode(torch.tensor(1.0, dtype=F64))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_finite_everywhere_and_alive_at_black(name: str, dtype: torch.dtype) -> None:
    for program in PAIRS[name][:2]:
        x = torch.tensor([0.0, 1e-37, 1e-20, 1e-13, 1e-9, 0.018, 0.081, 0.5, 1.0], dtype=dtype, requires_grad=True)
        (gradient,) = torch.autograd.grad(program(x).sum(), x)
        assert torch.isfinite(gradient).all()
        assert (gradient[4:] > 0).all()
        assert gradient[0] >= 0


@pytest.mark.parametrize("name", PAIRS)
def test_half_precision_is_rounded_once(name: str) -> None:
    x = picture().to(torch.bfloat16)
    for program in PAIRS[name][:2]:
        low = program(x)
        assert low.dtype == torch.bfloat16
        torch.testing.assert_close(low, program(x.double()).to(torch.bfloat16), rtol=1e-2, atol=1e-6)
