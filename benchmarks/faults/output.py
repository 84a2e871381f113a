"""Faults of output: stages of ``output.isp``."""

from __future__ import annotations

from benchmarks.faults.fault import Fault

RESAMPLE = "ispdsl.programs.resample"
QUANTISATION = "ispdsl.programs.quantisation"
JPEG = "ispdsl.programs.jpeg"

FAULTS = (
    Fault(
        "resize-corner-at-zero",
        "off-by-one shift",
        "output.resize",
        RESAMPLE,
        "centre = (index + 0.5) * size / count - 0.5",
        "centre = index * size / count",
    ),
    Fault(
        "resize-weights-not-normalised",
        "missing normalisation",
        "output.resize",
        RESAMPLE,
        "return first, [weight / total for weight in weights]",
        "return first, [weight / stretch for weight in weights]",
    ),
    Fault(
        "crop-bottom-kept",
        "off-by-one radius",
        "output.crop_border",
        RESAMPLE,
        "image[..., top : image.shape[-2] - top, left :",
        "image[..., top : image.shape[-2] - top + (1 if top else 0), left :",
    ),
    Fault(
        "dither-not-centred",
        "missing normalisation",
        "output.dither",
        "ispdsl.programs.dither",
        "offsets = (ranks[rows][:, columns] + 0.5) / size**2 - 0.5",
        "offsets = (ranks[rows][:, columns] + 0.5) / size**2",
    ),
    Fault(
        "quantise-steps",
        "wrong constant or unit",
        "output.quantise",
        QUANTISATION,
        "steps = torch.floor(torch.exp2(constant(bits, work).detach()) + 0.5) - 1",
        "steps = torch.floor(torch.exp2(constant(bits, work).detach()) + 0.5)",
    ),
    Fault(
        "quantise-unclipped",
        "missing clip",
        "output.quantise",
        QUANTISATION,
        "round_straight(work.clamp(0, 1) * steps + TIE)",
        "round_straight(work * steps + TIE)",
    ),
    Fault(
        "codes-cut-off",
        "wrong constant or unit",
        "output.to_u8",
        QUANTISATION,
        "return x + (torch.floor(x + 0.5) - x).detach()",
        "return x + (torch.floor(x) - x).detach()",
    ),
    Fault(
        "codes-of-1024",
        "wrong constant or unit",
        "output.from_u10",
        QUANTISATION,
        "return codes / 1023.0",
        "return codes / 1024.0",
    ),
    Fault(
        "jpeg-red-for-blue",
        "swapped channels",
        "output.jpeg",
        JPEG,
        "FROM_YCC = [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]]",
        "FROM_YCC = [[1.0, 1.772, 0.0], [1.0, -0.344136286, -0.714136286], [1.0, 0.0, 1.402]]",
    ),
    Fault(
        "jpeg-unclipped",
        "missing clip",
        "output.jpeg",
        JPEG,
        "ycc)) / 255).clamp(0, 1)",
        "ycc)) / 255)",
    ),
    Fault(
        "jpeg-quality-branch",
        "dead branch",
        "output.jpeg",
        JPEG,
        "torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)",
        "torch.where(quality < 101, 5000 / quality, 200 - 2 * quality)",
    ),
)
