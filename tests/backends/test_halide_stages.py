"""Every stage of the standard library that Halide computes, in full or with torch between, gives what torch gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ispdsl.backends.halide.compiled import lower
from ispdsl.errors import CompileError
from tests.backends.test_tiles_stages import METADATA, STAGES, bound, compiled, picture

SIZE = (37, 44)

ALONE = {
    name
    for name, (_, signature) in STAGES.items()
    if len(signature.inputs) == 1 and len([port for port in signature.outputs if port.type.is_image]) == 1
}
"""Stages of one image and one output."""

WIDE = {
    *("demosaic.ahd", "denoise.bilateral", "denoise.bilateral_chroma", "denoise.bilateral_rgb", "denoise.bm3d"),
    *("denoise.bm3d_luma", "denoise.denoise", "denoise.nl_means", "denoise.nl_means_luma", "denoise.total_variation"),
    *("haze.dehaze", "local_tone.exposure_fusion", "local_tone.local_laplacian", "noise.raw_denoise", "output.jpeg"),
    "tone.tone_equaliser",
}
"""What would take minutes to compile."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALONE))
def test_by_halide_as_by_torch(name: str) -> None:
    composite, settings = compiled(name, "rggb", False)
    type_ = bound(STAGES[name][1].inputs[0].type, "rggb")
    image = picture(type_, *SIZE, seed=1)[None]
    metadata: dict[str, Any] = {**METADATA, "gain_map": torch.ones(4, 3, 5)}
    given = {**composite.start(metadata, torch.float32), **settings}
    if name in WIDE:
        with pytest.raises(CompileError, match="minutes"):
            lower(composite, given, metadata, tuple(image.shape))
        return
    program = lower(composite, given, metadata, tuple(image.shape))
    wanted = composite(image, given, metadata).image
    scale = max(1.0, float(wanted.abs().max()))
    assert program(image).shape == wanted.shape
    assert float((program(image) - wanted).abs().max()) <= 1e-5 * scale
