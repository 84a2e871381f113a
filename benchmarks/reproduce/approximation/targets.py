"""What is doubled: each target's pipeline, the real thing behind it, and ranges within which pictures stay pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PIPELINES = ROOT / "pipelines"


@dataclass(frozen=True)
class Variant:
    """One way to double a target.

    Attributes:
        name: of the way.
        train: what `ispdsl train` is told.
        minutes: of training, each.
        wanted: the PSNR in dB that is wanted after so many minutes.
    """

    name: str
    train: tuple[str, ...] = ()
    minutes: tuple[float, ...] = (5.0,)
    wanted: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Target:
    """A pipeline to double, in the words of `ispdsl sample`.

    Attributes:
        name, title: of the target.
        pipeline: its file.
        backend: what runs it.
        variants: how it is doubled.
        only: what varies over its soft range, choices too; empty for all free numbers.
        vary: what varies over narrower ranges.
        programs: stages whose formulas are known: they are left programs, and are exact.
        one_matrix: whether the raws are written with one colour matrix.
        count: renders.
        charts: of the training raws, how many are charts of colours.
        served: arguments of the interpreter for what runs beside it.
    """

    name: str
    title: str
    pipeline: Path
    backend: str
    variants: tuple[Variant, ...]
    only: tuple[str, ...] = ()
    vary: Mapping[str, str] = field(default_factory=dict[str, str])
    programs: tuple[str, ...] = ()
    one_matrix: bool = False
    count: int = 500
    charts: int = 0
    served: tuple[str, ...] = ()

    @property
    def sample(self) -> list[str]:
        """What varies, as `ispdsl sample` is told it."""
        options = [("--only", address) for address in self.only]
        options += [("--vary", f"{address}={values}") for address, values in self.vary.items()]
        return [word for pair in options for word in pair]

    @property
    def trust(self) -> list[str]:
        """Whose programs may run."""
        return ["--trust", "benchmarks"] if self.programs else []

    @property
    def allowed(self) -> list[str]:
        """Whether programs and devices run that the pipeline's text names."""
        return ["--allow-exec"] if self.backend not in ("composite", "libraw") else []

    @property
    def skip(self) -> list[str]:
        """Which stages stay programs, as `ispdsl train` is told it."""
        return [word for name in self.programs for word in ("--skip", name)]


def target(name: str) -> Target:
    """The target of this name."""
    return next(each for each in TARGETS if each.name == name)


DEFINED = ("--skip", "demosaiced", "--skip", "colour_balance")
"""What the DNG specification defines stays a program, as in Tseng et al. 2022, section 4.1."""

TARGETS = (
    Target(
        "photo_finish",
        "Photo finishing: `pipelines/photo_finish.isp`, opaque but for its taps",
        PIPELINES / "photo_finish.isp",
        "composite",
        (
            Variant("stages", DEFINED, wanted=((5.0, 35.3),)),
            Variant("pairs", (*DEFINED, "--ensemble", "2"), (20.0,), ((20.0, 40.0),)),
            Variant("unet", ("--whole", "--network", "unet")),
            Variant("srcnn", (*DEFINED, "--network", "srcnn")),
        ),
        count=360,
        charts=2,
    ),
    Target(
        "darktable",
        "darktable: modules between their own taps",
        HERE / "darktable_five.isp",
        "darktable",
        (
            Variant(
                "stages",
                ("--network", "demosaic=areawise", "--network", "sharpen=bank"),
                wanted=((5.0, 33.0),),
            ),
        ),
        only=(
            "sharpen.radius",
            "sharpen.amount",
            "sharpen.threshold",
            "sigmoid.skew",
            "sigmoid.preserve_hue",
            "velvia.strength",
            "velvia.midtones_bias",
        ),
        vary={
            "exposure.ev": "-0.5ev..2ev",
            "sigmoid.contrast": "0.8..2.5",
            "sigmoid.target_black": "0%..0.5%",
            "colisa.contrast": "-60%..60%",
            "colisa.brightness": "-40%..40%",
            "colisa.saturation": "-60%..60%",
            "vibrance.amount": "0%..60%",
        },
        programs=("balanced", "exposure", "input_profile"),
        one_matrix=True,
    ),
    Target(
        "libraw",
        "LibRaw: steps between their own taps",
        HERE / "libraw_stages.isp",
        "libraw",
        (
            Variant(
                "stages",
                ("--network", "interpolated=camera", "--network", "brighten=pointwise"),
                wanted=((5.0, 33.0),),
            ),
        ),
        only=("interpolate.method",),
        vary={
            "scale_colours.red": "1.4..2.8",
            "scale_colours.blue": "1.2..2.4",
            "expose.shift": "0.5..2",
            "expose.preserve": "0%..100%",
            "median.passes": "0,1,2,3",
            "brighten.bright": "0.6..1.8",
            "encode_srgb.power": "1.8..2.8",
            "encode_srgb.slope": "4..16",
        },
        programs=("to_srgb",),
        one_matrix=True,
    ),
    Target(
        "registers",
        "Simulated register processor: opaque, raw in, 32 registers",
        PIPELINES / "hardware_isp.isp",
        "registers",
        (Variant("camera", ("--whole", "--network", "camera(width=8, levels=2)"), wanted=((5.0, 32.0),)),),
        count=2400,
        charts=2,
        served=("-m", "ispdsl.device", "--tcp", "7171", "--stay"),
    ),
    Target(
        "local_laplacian",
        "Local Laplacian filters, by darktable",
        HERE / "local_laplacian.isp",
        "darktable",
        (Variant("stages", ("--network", "demosaic=areawise", "--network", "local_contrast=bank(width=48)")),),
        only=("local_contrast.detail", "local_contrast.midtone_range"),
        vary={"local_contrast.highlights": "0%..150%", "local_contrast.shadows": "0%..150%"},
        count=240,
        programs=("balanced", "profiled"),
        one_matrix=True,
    ),
    Target(
        "block_matching",
        "Block-matching denoiser: BM3D, by ffmpeg",
        HERE / "block_matching.isp",
        "command",
        (Variant("stages", ("--network", "develop=camera", "--network", "bm3d=coring(width=48)")),),
        only=("bm3d.sigma", "bm3d.threshold", "bm3d.estimate", "bm3d.patch", "bm3d.group", "bm3d.step"),
        count=200,
    ),
)
"""In the order of the table that they end up in."""
