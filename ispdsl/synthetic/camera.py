"""The synthetic camera: a lens, a colour filter array, a sensor with shot and read noise, a converter.

Noise model and the ranges of all random choices: Brooks et al. 2019, sections 3.1 to 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ispdsl.ir.types import BAYER
from ispdsl.runtime.spaces import Floats
from ispdsl.synthetic.unprocess import D65_WHITE, Tone, unprocess

MATRICES: Floats = (
    np.array(
        [
            [6446, -366, -864, -4436, 12204, 2513, -952, 2496, 6348],  # Canon EOS 5D Mark IV
            [10405, -3755, -1270, -5461, 13787, 1793, -1040, 2015, 6785],  # Nikon D850
            [9476, -3182, -765, -2613, 10958, 1893, -449, 1315, 5268],  # Olympus E-M10 Mark IV
            [4913, -541, -202, -6130, 13513, 2906, -1564, 2151, 7183],  # Sony A7R
        ]
    ).reshape(4, 3, 3)
    / 10000.0
)
"""XYZ under D65 to camera RGB: published DNG ColorMatrix values of four cameras, which are mixed as in section 3.5."""

Sites = tuple[int, int, int, int]
"""A number for each of the 2x2 sites in reading order."""

GAIN_MAP_SHAPE = (13, 17)


@dataclass(frozen=True, eq=False)
class SyntheticRaw:
    """What the camera wrote down, and what it should have seen.

    Attributes:
        mosaic: ``(1, H, W)`` uint16 sensor codes.
        truth: ``(3, H, W)`` camera RGB without noise, vignetting or mosaic, before white balance; 1.0 = white level.
        cfa: ``rggb``, ``bggr``, ``grbg`` or ``gbrg``.
        black: codes of no light at the 2x2 sites in reading order.
        white: code at which the sensor saturates.
        colour_matrix: ``(3, 3)``, XYZ under D65 to camera RGB (DNG ColorMatrix).
        as_shot_neutral: camera RGB of white, green = 1.
        baseline_exposure: ev that bring the picture to the brightness of the photograph.
        noise_profile: ``(s, o)``: at signal x in 0..1 the variance is ``s x + o``. None: the camera has no noise.
        gain_map: ``(4, rows, columns)`` gains that undo the vignetting, by site. None: there is no vignetting.
    """

    mosaic: NDArray[np.uint16]
    truth: NDArray[np.float32]
    cfa: str
    black: Sites
    white: int
    colour_matrix: Floats
    as_shot_neutral: Floats
    baseline_exposure: float
    noise_profile: tuple[float, float] | None
    gain_map: NDArray[np.float32] | None


def synthesise(
    photo: Floats,
    *,
    seed: int,
    cfa: str = "rggb",
    bits: int = 14,
    black: int | Sites | None = None,
    white: int | None = None,
    tone: Tone = "smoothstep",
    noise: bool | tuple[float, float] = True,
    gains: tuple[float, float] | None = None,
    matrix: Floats | None = None,
    brightness: float | None = None,
    vignetting: float = 0.0,
) -> SyntheticRaw:
    """Take a picture of a photograph. Equal arguments give equal bits; what is not given is drawn from `seed`.

    Args:
        photo: ``(3, H, W)`` sRGB codes in 0..1, at least 2x2.
        seed: of every random choice, the noise included; giving one argument changes no other choice.
        cfa: colours of the top-left 2x2 sites in reading order.
        bits: of the converter, 8 to 16.
        black: code of no light, at all or at the four sites; by default a 32nd of the range (512 at 14 bits).
        white: code at which the sensor saturates; by default the largest.
        tone: whether to undo a smoothstep tone curve, as the paper does. With ``none`` a plain conversion to sRGB
            gives the photograph back; with ``smoothstep`` it gives a flatter one, as raws are.
        noise: draw a noise level, have no noise (False), or use the profile ``(s, o)``.
        gains: white balance gains of red and blue; drawn from 1.9..2.4 and 1.5..1.9.
        matrix: XYZ under D65 to camera RGB ``(3, 3)``; drawn as a mixture of four real ones. Its rows are scaled such
            that D65 white asks for exactly `gains`.
        brightness: of the exposure against the photograph's; drawn from N(0.8, 0.1). The DNG says how to undo it.
        vignetting: share of the light that the outermost corner loses, below 1; the DNG carries the map to undo it.

    Raises:
        ValueError: an argument is out of its range.
    """
    sites, top = converter(bits, black, white)
    check_photo(photo)
    check_choices(cfa, tone, vignetting)
    settings, sensor = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2))
    drawn_matrix = np.tensordot(mixture(settings), MATRICES, axes=1)
    drawn_gains = settings.uniform(1.9, 2.4), settings.uniform(1.5, 1.9)
    drawn_brightness = float(np.clip(settings.normal(0.8, 0.1), 0.5, 1.0))
    drawn_profile = noise_level(settings)

    level = drawn_brightness if brightness is None else brightness
    profile = (drawn_profile if noise else None) if isinstance(noise, bool) else noise
    check_levels(gains or drawn_gains, level, profile)
    camera = camera_matrix(drawn_matrix if matrix is None else matrix, gains or drawn_gains)
    truth = unprocess(photo, camera, level, tone)
    gain_map = vignetting_map(vignetting) if vignetting else None

    light = mosaic(truth, cfa)
    if gain_map is not None:
        light = light / bilinear(gain_map[0], light.shape[0], light.shape[1])
    if profile is not None:
        light = light + sensor.standard_normal(light.shape) * np.sqrt(profile[0] * light + profile[1])
    return SyntheticRaw(
        mosaic=digitise(light, sites, top)[None],
        truth=truth,
        cfa=cfa,
        black=sites,
        white=top,
        colour_matrix=camera,
        as_shot_neutral=camera @ D65_WHITE,
        baseline_exposure=float(-np.log2(level)),
        noise_profile=profile,
        gain_map=gain_map,
    )


def check_photo(photo: Floats) -> None:
    """Refuse what is no photograph."""
    if photo.ndim != 3 or photo.shape[0] != 3 or min(photo.shape) < 2:
        raise ValueError(f"a photo is (3, H, W) and at least 2x2, not {photo.shape}")
    if not (photo.min() >= 0 and photo.max() <= 1):
        raise ValueError("a photo holds sRGB codes within 0..1")


def check_choices(cfa: str, tone: str, vignetting: float) -> None:
    """Refuse what no camera has."""
    if cfa not in BAYER:
        raise ValueError(f"the CFA is one of {', '.join(BAYER)}, not {cfa!r}")
    if tone not in ("smoothstep", "none"):
        raise ValueError(f"the tone curve is 'smoothstep' or 'none', not {tone!r}")
    if not 0 <= vignetting < 1:
        raise ValueError(f"vignetting is at least 0 and below 1, not {vignetting}")


def check_levels(gains: tuple[float, float], brightness: float, profile: tuple[float, float] | None) -> None:
    """Refuse what no exposure has."""
    if not (min(gains) > 0 and brightness > 0):
        raise ValueError(f"gains {gains} and brightness {brightness} are above 0")
    if profile is not None and not min(profile) >= 0:
        raise ValueError(f"a noise profile's two numbers are at least 0, not {profile}")


def converter(bits: int, black: int | Sites | None, white: int | None) -> tuple[Sites, int]:
    """Black levels of the four sites and the white level, checked against the bits."""
    if not 8 <= bits <= 16:
        raise ValueError(f"a converter has 8 to 16 bits, not {bits}")
    top = 2**bits - 1 if white is None else white
    level = 2 ** (bits - 5) if black is None else black
    sites = (level, level, level, level) if isinstance(level, int) else level
    if not 0 <= min(sites) <= max(sites) < top < 2**bits:
        raise ValueError(f"black {level} and white {top} must satisfy 0 <= black < white < {2**bits}")
    return sites, top


def mixture(rng: np.random.Generator) -> Floats:
    """Random convex weights, one for each of `MATRICES` (section 3.5)."""
    weights = rng.uniform(1e-8, 1.0, len(MATRICES))
    return weights / weights.sum()


def noise_level(rng: np.random.Generator) -> tuple[float, float]:
    """Shot and read noise of a random exposure: log-uniform, and log-linear in it with spread (section 3.1)."""
    log_shot = rng.uniform(np.log(0.0001), np.log(0.012))
    log_read = rng.normal(2.18 * log_shot + 1.20, 0.26)
    return float(np.exp(log_shot)), float(np.exp(log_read))


def camera_matrix(matrix: Floats, gains: tuple[float, float]) -> Floats:
    """`matrix`, its rows scaled such that D65 white is camera RGB ``(1 / red, 1, 1 / blue)`` for the two `gains`.

    Whatever adapts white, the as-shot neutral or the DNG's own arithmetic, then agrees on the same colours.
    """
    neutral = np.array([1 / gains[0], 1.0, 1 / gains[1]])
    return matrix * (neutral / (matrix @ D65_WHITE))[:, None]


def mosaic(image: NDArray[np.float32], cfa: str) -> NDArray[np.float32]:
    """The plane ``(H, W)`` that a sensor with colour filters `cfa` sees of ``(3, H, W)``."""
    seen = np.empty(image.shape[1:], image.dtype)
    for site, colour in enumerate(cfa):
        row, column = divmod(site, 2)
        seen[row::2, column::2] = image["rgb".index(colour), row::2, column::2]
    return seen


def vignetting_map(loss: float) -> NDArray[np.float32]:
    """Gains ``(4, rows, columns)`` over the frame, 1 in the centre, ``1 / (1 - loss)`` in the corners."""
    rows, columns = (np.linspace(-1, 1, count) for count in GAIN_MAP_SHAPE)
    radius2 = (rows[:, None] ** 2 + columns**2) / 2
    gains = 1 / (1 - loss * radius2)
    return np.broadcast_to(gains, (4, *GAIN_MAP_SHAPE)).astype(np.float32)


def bilinear(grid: NDArray[np.float32], height: int, width: int) -> Floats:
    """A map ``(rows, columns)`` that spans the frame, at the centres of its pixels (DNG 1.4, GainMap)."""
    rows, columns = (
        (np.arange(size) + 0.5) / size * (n - 1) for size, n in zip((height, width), grid.shape, strict=True)
    )
    across = np.stack([np.interp(columns, np.arange(grid.shape[1]), line) for line in grid])
    low = np.minimum(rows.astype(int), grid.shape[0] - 2)
    share = (rows - low)[:, None]
    return across[low] * (1 - share) + across[low + 1] * share


def digitise(light: Floats, black: Sites, white: int) -> NDArray[np.uint16]:
    """Codes of a plane ``(H, W)``: rounded to nearest, no lower than 0, no higher than saturation."""
    offset = np.empty(light.shape)
    for site, level in enumerate(black):
        offset[site // 2 :: 2, site % 2 :: 2] = level
    return np.rint(offset + light * (white - offset)).clip(0, white).astype(np.uint16)
