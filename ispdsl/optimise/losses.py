"""How far two pictures are apart, as torch differentiates it: for descents along gradients.

Those that `ispdsl.optimise.tasks.match` also measures give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ispdsl.comparison.colour import CODED, Colorimetry, colorimetry
from ispdsl.comparison.metrics import WINDOW
from ispdsl.optimise.tasks.task import View
from ispdsl.proxies.losses import l1, l2
from ispdsl.runtime.spaces import LINEAR, SRGB_CURVE, Transfer
from ispdsl.vision.features import features_apart

Loss = Callable[[Tensor, Tensor], Tensor]
"""A number ``()`` of two pictures ``(C, H, W)``, 1 for white; gradients pass to both."""

SOFT = 1e-3
"""Differences below this part of white count by their square to the loss of Charbonnier."""

SIGMA, K1, K2 = 1.5, 0.01, 0.03
"""Of SSIM: the Gaussian window's width in px, and what keeps its fractions from 0 / 0."""

TINY = 1e-12
"""Below this a square root is taken of it: at 0 roots have no slope."""


def charbonnier(one: Tensor, two: Tensor) -> Tensor:
    """The mean of ``sqrt(d^2 + s^2) - s`` over all differences (Charbonnier et al., ICIP 1994)."""
    return ((one - two).square() + SOFT**2).sqrt().mean() - SOFT


def gradient(one: Tensor, two: Tensor) -> Tensor:
    """The mean absolute error of steps to the next pixel, both ways; what is the same everywhere does not count.

    Raises:
        ValueError: the picture has a single pixel.
    """
    apart = one - two
    steps = [apart.diff(dim=axis).reshape(-1) for axis in (-1, -2) if apart.shape[axis] > 1]
    if not steps:
        raise ValueError("a single pixel has no gradient")
    return torch.cat(steps).abs().mean()


def loss_of(name: str, view: View, network: nn.Module | None = None) -> Loss:
    """The loss of a name, between pictures of one space.

    Args:
        name: ``l1``, ``l2`` (of ``psnr`` too), ``charbonnier``, ``gradient``, ``ssim``, ``ciede2000``, ``features``.
        view: what is known of the pictures.
        network: whose features are compared, a `ispdsl.vision.resnet.ResNet`.

    Raises:
        ValueError: there is no such loss, or it is not defined for these pictures; there is no network.
    """
    if name in PLAIN:
        return PLAIN[name]
    if name == "ssim":
        return _ssim(view)
    if name == "ciede2000":
        return _ciede2000(view)
    if name == "features":
        return _features(view, network)
    raise ValueError(f"there is no loss {name}; it is one of {', '.join((*PLAIN, 'ssim', 'ciede2000', 'features'))}")


PLAIN: Mapping[str, Loss] = {"l1": l1, "l2": l2, "psnr": l2, "charbonnier": charbonnier, "gradient": gradient}


# ---- a network's features ------------------------------------------------------------------------------------------


def _features(view: View, network: nn.Module | None) -> Loss:
    if network is None:
        raise ValueError("features are those of a network, and no weights are given")
    if view.space != "srgb":
        raise ValueError(f"the network looks at pictures in srgb, and these are in {view.space}")
    return lambda one, two: features_apart(network, one[None], two[None])[0]


# ---- structure -----------------------------------------------------------------------------------------------------


def _ssim(view: View) -> Loss:
    """``1 - SSIM`` of luma, as `ispdsl.comparison.metrics.ssim` has it (Wang et al. 2004, equation 13)."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights = weights / weights.sum()

    def smooth(plane: Tensor) -> Tensor:
        row = weights.to(plane)
        return F.conv2d(F.conv2d(plane[:, None], row[None, None, None, :]), row[None, None, :, None])

    def apart(one: Tensor, two: Tensor) -> Tensor:
        a, b = (_luma(each, view) for each in (one, two))
        if min(a.shape) < WINDOW:
            raise ValueError(f"pictures below {WINDOW} px a side have no SSIM")
        mean_a, mean_b, square_a, square_b, product = smooth(torch.stack([a, b, a * a, b * b, a * b]))
        var_a, var_b, both = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
        above = (2 * mean_a * mean_b + K1**2) * (2 * both + K2**2)
        return 1 - (above / ((mean_a**2 + mean_b**2 + K1**2) * (var_a + var_b + K2**2))).mean()

    return apart


def _luma(picture: Tensor, view: View) -> Tensor:
    """As `ispdsl.comparison.colour.luma`."""
    if len(picture) != 3:
        return picture[0]
    seen = colorimetry("rec2020" if view.space in CODED else view.space, view.metadata) or colorimetry(
        "linear_srgb", {}
    )
    assert seen is not None
    linear = view.space not in CODED and seen.transfer == LINEAR
    codes = _encoded(picture, SRGB_CURVE) if linear else picture
    return torch.tensordot(torch.from_numpy(seen.to_xyz[1]).to(codes), codes, dims=1)


def _encoded(light: Tensor, curve: Transfer) -> Tensor:
    """Light to codes, as `Transfer.encode`."""
    size, knee = light.abs(), (curve.a * curve.threshold + curve.b) ** curve.gamma
    code = (size.clamp(min=knee) ** (1 / curve.gamma) - curve.b) / curve.a
    return torch.where(size >= knee, torch.copysign(code, light), light / curve.slope)


def _decoded(code: Tensor, curve: Transfer) -> Tensor:
    """Codes to light, as `Transfer.decode`."""
    if curve == LINEAR:
        return code
    size = code.abs()
    light = (curve.a * size.clamp(min=max(curve.threshold, TINY)) + curve.b) ** curve.gamma
    return torch.where(size >= curve.threshold, torch.copysign(light, code), curve.slope * code)


# ---- colour --------------------------------------------------------------------------------------------------------


def _ciede2000(view: View) -> Loss:
    """The mean CIEDE2000 (Sharma, Wu and Dalal 2005, equations 2 to 22, all weights 1)."""
    seen = colorimetry(view.space, view.metadata)
    if seen is None:
        raise ValueError(f"no colour difference is defined in {view.space}")
    return lambda one, two: _delta_e(_lab(one, seen), _lab(two, seen)).mean()


def _lab(picture: Tensor, seen: Colorimetry) -> Tensor:
    """CIELAB ``(3, H, W)``, as `ispdsl.comparison.colour.lab`; in double precision."""
    matrix = torch.from_numpy(seen.to_xyz / seen.white[:, None]).to(picture.device)
    relative = torch.tensordot(matrix, _decoded(picture.double(), seen.transfer), dims=1)
    above = relative > (6 / 29) ** 3
    root = torch.where(above, relative.clamp(min=(6 / 29) ** 3) ** (1 / 3), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _delta_e(first: Tensor, second: Tensor) -> Tensor:
    """CIEDE2000 of colours in CIELAB ``(3, ...)``."""
    (l1_, a1, b1), (l2_, a2, b2) = first, second
    mean = 0.5 * (_length(a1, b1) + _length(a2, b2))
    stretch = 1.5 - 0.5 * _ratio(mean)
    (a1, a2), (c1, c2) = (a1 * stretch, a2 * stretch), (_length(a1 * stretch, b1), _length(a2 * stretch, b2))
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    grey = (c1 * c2) <= TINY
    turn = torch.remainder(h2 - h1 + math.pi, 2 * math.pi) - math.pi
    turn = torch.where(grey, torch.zeros_like(turn), turn)
    lightness, chroma = l2_ - l1_, c2 - c1
    hue = 2 * (c1 * c2).clamp(min=TINY**2).sqrt() * torch.sin(turn / 2)
    middle = torch.where(grey, h1 + h2, torch.remainder(h1 + turn / 2, 2 * math.pi))
    l_, c_ = 0.5 * (l1_ + l2_), 0.5 * (c1 + c2)
    t = 1 - 0.17 * torch.cos(middle - math.radians(30)) + 0.24 * torch.cos(2 * middle)
    t = t + 0.32 * torch.cos(3 * middle + math.radians(6)) - 0.20 * torch.cos(4 * middle - math.radians(63))
    bend = torch.exp(-(((torch.rad2deg(middle) - 275) / 25) ** 2))
    s_l = 1 + 0.015 * (l_ - 50) ** 2 / (20 + (l_ - 50) ** 2).sqrt()
    s_c, s_h = 1 + 0.045 * c_, 1 + 0.015 * c_ * t
    twist = -torch.sin(2 * math.radians(30) * bend) * 2 * _ratio(c_)
    parts = lightness / s_l, chroma / s_c, hue / s_h
    total = parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2 + twist * parts[1] * parts[2]
    return total.clamp(min=TINY).sqrt()


def _length(a: Tensor, b: Tensor) -> Tensor:
    return (a * a + b * b).clamp(min=TINY**2).sqrt()


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """In 0..2 pi; of grey some angle, with no slope."""
    grey = (a * a + b * b) <= TINY
    return torch.remainder(torch.atan2(torch.where(grey, 0 * b, b), torch.where(grey, 0 * a + 1, a)), 2 * math.pi)


def _ratio(chroma: Tensor) -> Tensor:
    power = chroma**7
    return (power / (power + 25.0**7)).clamp(min=TINY**2).sqrt()
