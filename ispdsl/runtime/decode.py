"""What LibRaw decodes from a camera's raw file: samples, levels, white balance and what it knows of the camera."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import rawpy
from numpy.typing import NDArray

from ispdsl.ir.types import BAYER
from ispdsl.runtime.camera_colour import Array
from ispdsl.runtime.frame import RawError

DECODER = "LibRaw " + ".".join(map(str, rawpy.libraw_version))

MAX_SAMPLES = 1 << 29
"""Samples of a sensor beyond which a header is not believed."""

_EXIF_OF_FLIP = {0: 1, 1: 2, 3: 3, 2: 4, 4: 5, 6: 6, 7: 7, 5: 8, 90: 6, 180: 3, 270: 8}
"""LibRaw's flip (1 mirrors left-right, 2 up-down, 4 transposes; or degrees) as EXIF orientation."""


@dataclass(frozen=True)
class Decoded:
    """LibRaw's reading of a file. Codes are after the camera's linearisation table."""

    image: NDArray[np.uint16]
    """`(1, H, W)` mosaic or `(3, H, W)`, the visible area."""
    cfa: str
    origin: tuple[int, int]
    """Row and column of the sensor where the visible area begins."""
    bordered: bool
    """Whether the file holds samples around the visible area."""
    black: Array
    """`(4,)` codes for the 2x2 sites in reading order; R, G, B, G for three samples a site."""
    white: float
    gains: Array
    """`(3,)` as-shot white balance; zeros or worse where the file has none."""
    xyz_to_camera: Array | None
    """`(3, 3)` for daylight (D65), where LibRaw knows the camera and the file brings no matrix of its own."""
    balanced_to_srgb: Array | None
    """`(3, 3)` that LibRaw uses for a camera of which it knows no matrix from XYZ."""
    orientation: int
    exposure: dict[str, float]
    notes: tuple[str, ...]


def decode(data: bytes, path: str) -> Decoded:
    """Decode a raw file from its bytes.

    Raises:
        RawError: LibRaw cannot read it, or its sensor is not one of red, green and blue sites in a 2x2 pattern.
    """
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            rows, columns = int(raw.sizes.raw_height), int(raw.sizes.raw_width)
            if rows * columns > MAX_SAMPLES:
                raise RawError(f"{path}: claims a sensor of {columns} x {rows}", "the file is damaged")
            return _decoded(raw, path)
    except rawpy.LibRawFileUnsupportedError:
        raise RawError(
            f"{path}: no raw file that {DECODER} knows",
            "for a headerless mosaic, put a description beside it: FILE.json with width, height, cfa, dtype",
        ) from None
    except (rawpy.LibRawError, rawpy.NotSupportedError, NotImplementedError, OSError, MemoryError) as error:
        text = error.args[0] if error.args else error
        text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise RawError(f"{path}: {DECODER} cannot decode it: {text}", "the file is damaged or cut short") from None


def _decoded(raw: rawpy.RawPy, path: str) -> Decoded:
    colours = bytes(raw.color_desc).decode("ascii", "replace")
    if raw.num_colors == 1:
        raise RawError(f"{path}: a monochrome sensor", "only sensors with red, green and blue sites can be read")
    if raw.num_colors != 3 or colours != "RGBG":
        raise RawError(
            f"{path}: a sensor of {raw.num_colors} colours, {colours}",
            "only sensors with red, green and blue sites can be read; other colours would come out wrong",
        )
    visible = raw.raw_image_visible
    if visible.ndim == 3:
        cfa, sites, image = "linear", [0, 1, 2, 1], np.moveaxis(visible[..., :3], -1, 0)
    else:
        pattern = raw.raw_pattern
        sites = [] if pattern is None else [int(index) for index in np.ravel(pattern)]
        cfa = "".join(colours[index] for index in sites).lower() if len(sites) == 4 else ""
        if cfa not in BAYER:
            shape = "none" if pattern is None else " x ".join(map(str, np.shape(pattern)))
            raise RawError(
                f"{path}: no 2x2 pattern of red, green and blue sites (the pattern found: {shape})",
                "X-Trans, Foveon and rotated sensors are not demosaiced here: convert the file to a LinearRaw DNG, "
                "which holds three samples a site and is read",
            )
        image = visible[None]
    if image.dtype != np.uint16 or min(image.shape[1:]) < 2:
        raise RawError(f"{path}: {image.shape[2]} x {image.shape[1]} samples of {image.dtype} are no raw frame")
    aspect = float(raw.sizes.pixel_aspect)
    stretched = f"pixels are not square (aspect {aspect:.3f}): the picture is not stretched"
    xyz_to_camera = np.array(raw.rgb_xyz_matrix, dtype=np.float64)[:3]
    known = bool(xyz_to_camera.any())
    levels = np.array(raw.black_level_per_channel, dtype=np.float64)
    return Decoded(
        image=np.array(image),  # a copy: LibRaw's own buffer goes with it
        cfa=cfa,
        origin=(int(raw.sizes.top_margin), int(raw.sizes.left_margin)),
        bordered=(int(raw.sizes.raw_height), int(raw.sizes.raw_width)) != image.shape[1:],
        black=levels[sites],
        white=float(raw.white_level),
        gains=np.array(raw.camera_whitebalance, dtype=np.float64)[:3],
        xyz_to_camera=xyz_to_camera if known else None,
        balanced_to_srgb=None if known or np.any(raw.color_matrix) else _measured_matrix(raw),
        orientation=_EXIF_OF_FLIP.get(int(raw.sizes.flip) % 360, 1),
        exposure=_exposure(raw),
        notes=() if abs(aspect - 1.0) < 1e-3 else (stretched,),
    )


def _exposure(raw: rawpy.RawPy) -> dict[str, float]:
    """ISO, exposure time in seconds and f-number, as far as LibRaw found them."""
    other = raw.other
    found = {"iso": other.iso_speed, "exposure_time": other.shutter_speed, "f_number": other.aperture}
    return {name: float(value) for name, value in found.items() if math.isfinite(value) and value > 0.0}


def _measured_matrix(raw: rawpy.RawPy) -> Array | None:
    """The matrix from balanced camera colour to linear sRGB that LibRaw applies, found from what it makes of the file.

    rawpy does not hand out the matrices that LibRaw knows for a few old cameras without one from XYZ.
    """

    def render(space: rawpy.ColorSpace) -> Array:
        picture = raw.postprocess(
            user_wb=[1.0, 1.0, 1.0, 1.0],
            output_color=space,
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            output_bps=16,
            half_size=True,
            user_flip=0,
        )
        return picture.reshape(-1, 3).astype(np.float64)

    camera, srgb = render(rawpy.ColorSpace.raw), render(rawpy.ColorSpace.sRGB)
    inside = ((srgb > 0.0) & (srgb < 65535.0) & (camera < 65535.0)).all(axis=1)
    if np.count_nonzero(inside) < 100:
        return None
    solution, _, rank, _ = np.linalg.lstsq(camera[inside], srgb[inside], rcond=1e-6)
    error = np.sqrt(np.mean((camera[inside] @ solution - srgb[inside]) ** 2))
    matrix = solution.T / solution.T.sum(axis=1, keepdims=True)
    return matrix if rank == 3 and error < 2.0 and np.abs(matrix - np.eye(3)).max() > 1e-2 else None
