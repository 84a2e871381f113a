"""What one would write instead of a pipeline: a demosaic of a library, then the stages of `recipe` by hand.

Whichever pipeline is measured, these do the work of benchmarks/speed/small.isp.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ispdsl.bench.contender import Call, ContenderError
from ispdsl.bench.job import Job, frame_of
from ispdsl.bench.recipe import SHARPENING, TAPS, Recipe, finish, recipe_of

if TYPE_CHECKING:
    from ispdsl.runtime.frame import Frame

KORNIA = {"rggb": "BG", "grbg": "GB", "gbrg": "GR", "bggr": "RG"}
"""Its names of the patterns, after the second row and column."""


def opencv(job: Job) -> Call:
    """OpenCV's bilinear demosaic of the codes and its Gaussian blur; everything else in numpy."""
    import numpy as np

    cv2: Any = import_module("cv2")  # of an extra
    frame = mosaic(job)
    recipe, kernel = recipe_of(frame), np.array(TAPS, np.float32) / sum(TAPS)
    codes = np.ascontiguousarray(frame.image[0].astype(np.uint16))
    conversion = getattr(cv2, f"COLOR_Bayer{frame.cfa.upper()}2RGB")
    cv2.setNumThreads(job.threads)

    def call() -> object:
        image = cv2.cvtColor(codes, conversion).astype(np.float32)
        image = (image - np.float32(recipe.black[1])) / np.float32(recipe.white - recipe.black[1])
        image *= np.array(recipe.gains, np.float32)
        blurred = cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        image += SHARPENING * (image - blurred)
        return np.dstack(finish(np, cv2.split(image), recipe.matrix))

    return call


def colour_demosaicing(job: Job) -> Call:
    """The Malvar demosaic of colour-demosaicing; everything else in numpy and scipy."""
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it would draw with is not needed
        from colour_demosaicing import demosaicing_CFA_Bayer_Malvar2004 as malvar
    from scipy.ndimage import correlate1d

    frame = mosaic(job)
    recipe, kernel = recipe_of(frame), np.array(TAPS, np.float32) / sum(TAPS)
    codes, offset, scale = frame.image[0], *of_sites(frame, recipe)

    def call() -> object:
        balanced = (codes.astype(np.float32) - np.tile(offset, _halves(frame))) * np.tile(scale, _halves(frame))
        image = malvar(balanced, frame.cfa.upper()).astype(np.float32)
        blurred = correlate1d(correlate1d(image, kernel, 0, mode="mirror"), kernel, 1, mode="mirror")
        image += np.float32(SHARPENING) * (image - blurred)
        return np.dstack(finish(np, [image[..., place] for place in range(3)], recipe.matrix))

    return call


def kornia(job: Job) -> Call:
    """Kornia's demosaic, which is bilinear, and its separable filter; everything else in plain torch."""
    import torch
    from kornia.color import CFA, raw_to_rgb
    from kornia.filters import filter2d_separable

    torch.set_num_threads(job.threads)
    frame = mosaic(job)
    recipe, kernel = recipe_of(frame), torch.tensor(TAPS)[None] / sum(TAPS)
    offset, scale = (torch.from_numpy(each).tile(_halves(frame)) for each in of_sites(frame, recipe))
    codes, pattern = torch.from_numpy(frame.image.astype("float32"))[None], CFA[KORNIA[frame.cfa]]

    def call() -> object:
        with torch.no_grad():
            image = raw_to_rgb((codes - offset) * scale, pattern)
            image = image + SHARPENING * (image - filter2d_separable(image, kernel, kernel))
            return torch.stack(finish(torch, image[0].unbind(), recipe.matrix))

    return call


def mosaic(job: Job) -> Frame:
    """The raw, which is to be a Bayer mosaic of even sides.

    Raises:
        ContenderError: it is none.
    """
    frame = frame_of(job)
    if frame.cfa == "linear":
        raise ContenderError(f"{job.raw} has three samples a site: there is nothing to demosaic")
    if frame.size[0] % 2 or frame.size[1] % 2:
        raise ContenderError(f"{job.raw} has an odd side", "give --size, which cuts it to even ones")
    return frame


def _halves(frame: Frame) -> tuple[int, int]:
    return frame.size[0] // 2, frame.size[1] // 2


def of_sites(frame: Frame, recipe: Recipe) -> tuple[Any, Any]:
    """What is taken off and what is multiplied by, of the 2 x 2 sites in reading order, as float32."""
    import numpy as np

    black = np.asarray(frame.metadata["black_level"], np.float32).reshape(2, 2)
    gains = np.array([recipe.gains["rgb".index(colour)] for colour in frame.cfa], np.float32).reshape(2, 2)
    return black, gains / (np.float32(recipe.white) - black)
