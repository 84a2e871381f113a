"""darktable's parameter structs packed by hand, and a bare darktable-cli: the oracle for what the text states.

Nothing here knows of ispdsl: the structs are written down a second time, and the command line too.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

PROGRAM = "darktable-cli"
needs_darktable = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason="darktable-cli is not installed: apt install darktable"
)

Codes = Mapping[Any, float]
Rule = Callable[[Any], float] | Codes


def same(value: Any) -> float:
    """The number as it is."""
    return float(value)


def share(value: Any) -> float:
    """Per cent in the text, a share in the struct."""
    return float(value) / 100


ON_OFF: Codes = {True: 1, False: 0}


@dataclass(frozen=True)
class Hand:
    """A module: operation, version, struct format, values at the stage's defaults.

    `moves` says of each parameter which value of the struct it is, three settings, and how a setting becomes the value.
    """

    operation: str
    version: int
    format: str
    defaults: tuple[float, ...]
    moves: Mapping[str, tuple[int, tuple[Any, Any, Any], Rule]] = field(default_factory=dict)

    def entry(self, **settings: Any) -> tuple[str, int, str, int]:
        """Operation, version, parameters in hexadecimal, enabled."""
        values: list[float] = list(self.defaults)
        for name, value in settings.items():
            index, _, rule = self.moves[name]
            values[index] = rule(value) if callable(rule) else rule[value]
        letters = "".join(letter * int(count or 1) for count, letter in re.findall(r"(\d*)([fiH])", self.format))
        packed = [value if letter == "f" else int(value) for letter, value in zip(letters, values, strict=True)]
        return self.operation, self.version, struct.pack(self.format, *packed).hex(), 1


def bands(*names: str, of: tuple[float, float, float], rule: Rule = same, start: int = 0) -> dict[str, Any]:
    """Neighbours in the struct with the same three settings."""
    return {name: (start + i, of, rule) for i, name in enumerate(names)}


HANDS = {
    "tone:exposure": Hand("exposure", 6, "<i4fi", (0, 0, 0, 50, -4, 0), {"ev": (2, (-3.0, 0.25, 2.0), same)}),
    "tone:tone_equaliser": Hand(
        "toneequal",
        2,
        "<15f3i",
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1.414213562, 1, 0, 0, 0, 4, 4, 1),
        {
            **bands("blacks", "deep_shadows", "shadows", "light_shadows", "mid_tones", of=(-1.5, 0.5, 1.0)),
            **bands("dark_highlights", "highlights", "whites", "speculars", of=(-1.0, 0.3, 2.0), start=5),
            "smoothing_diameter": (9, (1.0, 10.0, 20.0), same),
            "feathering": (11, (0.5, 2.0, 20.0), same),
            "mask_quantisation": (12, (0.0, 0.5, 2.0), same),
            "mask_contrast": (13, (-1.0, 0.5, 2.0), same),
            "mask_exposure": (14, (-1.0, 0.5, 2.0), same),
            "preserve_details": (15, ("none", "guided", "averaged_eigf"), {"none": 0, "guided": 2, "averaged_eigf": 3}),
            "estimator": (16, ("mean", "sum", "geometric_mean"), {"mean": 0, "sum": 3, "geometric_mean": 6}),
        },
    ),
    "tone:sigmoid": Hand(
        "sigmoid",
        1,
        "<4fif",
        (1.5, 0, 100, 0.0152, 0, 100),
        {
            "contrast": (0, (0.7, 1.8, 3.0), same),
            "skew": (1, (-0.6, 0.2, 0.6), same),
            "target_white": (2, (50.0, 90.0, 200.0), same),
            "target_black": (3, (0.0, 0.1, 1.0), same),
            "colour_processing": (4, ("per_channel", "rgb_ratio", "rgb_ratio"), {"per_channel": 0, "rgb_ratio": 1}),
            "preserve_hue": (5, (0.0, 40.0, 80.0), same),
        },
    ),
    "tone:filmic": Hand(
        "filmicrgb",
        6,
        "<18f11i",
        (
            18.45,
            -8,
            4,
            0,
            3,
            100,
            100,
            0,
            0,
            18.45,
            0.01517634,
            100,
            4,
            0.01,
            1,
            0,
            0,
            0,
            3,
            3,
            1,
            0,
            1,
            1,
            0,
            0,
            0,
            2,
            0,
        ),
        {
            "black": (1, (-12.0, -6.0, -4.0), same),
            "white": (2, (2.0, 3.3, 6.0), same),
            "target_black": (10, (0.0, 0.1, 0.5), same),
            "target_white": (11, (80.0, 90.0, 120.0), same),
            "hardness": (12, (2.0, 3.0, 6.0), same),
            "latitude": (13, (5.0, 20.0, 50.0), same),
            "contrast": (14, (0.8, 1.2, 1.6), same),
            "saturation": (15, (-50.0, 10.0, 40.0), same),
            "balance": (16, (-20.0, 5.0, 25.0), same),
            "preserve_chrominance": (18, ("none", "max_rgb", "euclidean"), {"none": 0, "max_rgb": 1, "euclidean": 5}),
            "science": (19, ("v3", "v4", "v5"), {"v3": 0, "v4": 1, "v5": 2}),
            "auto_hardness": (20, (True, False, True), ON_OFF),
            "shadows_contrast": (24, ("hard", "soft", "safe"), {"hard": 0, "soft": 1, "safe": 2}),
            "highlights_contrast": (25, ("hard", "soft", "safe"), {"hard": 0, "soft": 1, "safe": 2}),
        },
    ),
    "tone:colisa": Hand(
        "colisa", 1, "<3f", (0, 0, 0), bands("contrast", "brightness", "saturation", of=(-60.0, 7.0, 80.0), rule=share)
    ),
    "colour:colour_calibration": Hand(
        "channelmixerrgb",
        3,
        "<24f6i4i4f2i",
        (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, *12 * (0,), *6 * (0,), 0, 2, 4, 1, 0.333, 0.333, 5003, 0, 0, 2),
        {
            "illuminant": (30, ("pipeline", "daylight", "black_body"), {"pipeline": 0, "daylight": 2, "black_body": 6}),
            "temperature": (36, (2500.0, 4000.0, 9000.0), same),
            "adaptation": (33, ("linear_bradford", "xyz", "none"), {"linear_bradford": 0, "xyz": 3, "none": 4}),
            "gamut_compression": (37, (0.5, 1.0, 4.0), same),
            "clip": (38, (True, False, True), ON_OFF),
        },
    ),
    "colour:colour_balance": Hand(
        "colorbalancergb",
        5,
        "<32fi",
        (*12 * (0,), 1, 0, 1, *13 * (0,), 0.1845, 0, 0.1845, 0, 1),
        {
            **bands("shadows_luminance", of=(-20.0, 5.0, 20.0), rule=share),
            **bands("shadows_chroma", of=(5.0, 20.0, 50.0), rule=share, start=1),
            **bands("shadows_hue", of=(30.0, 120.0, 300.0), start=2),
            **bands("midtones_luminance", of=(-20.0, 5.0, 20.0), rule=share, start=3),
            **bands("midtones_chroma", of=(1.0, 5.0, 10.0), rule=share, start=4),
            **bands("midtones_hue", of=(30.0, 120.0, 300.0), start=5),
            **bands("highlights_luminance", of=(-20.0, 5.0, 20.0), rule=share, start=6),
            **bands("highlights_chroma", of=(1.0, 5.0, 20.0), rule=share, start=7),
            **bands("highlights_hue", of=(30.0, 120.0, 300.0), start=8),
            **bands("offset_luminance", of=(-2.0, 0.5, 2.0), rule=share, start=9),
            **bands("offset_chroma", of=(0.1, 0.5, 1.0), rule=share, start=10),
            **bands("offset_hue", of=(30.0, 120.0, 300.0), start=11),
            **bands("shadows_falloff", of=(50.0, 120.0, 200.0), rule=share, start=12),
            **bands("white_fulcrum", of=(-2.0, 0.5, 2.0), start=13),
            **bands("highlights_falloff", of=(50.0, 120.0, 200.0), rule=share, start=14),
            **bands(
                "shadows_purity",
                "highlights_purity",
                "purity",
                "midtones_purity",
                of=(-50.0, 10.0, 60.0),
                rule=share,
                start=15,
            ),
            **bands("saturation", "highlights_saturation", of=(-40.0, 10.0, 70.0), rule=share, start=19),
            **bands("midtones_saturation", "shadows_saturation", of=(-30.0, 15.0, 60.0), rule=share, start=21),
            **bands("hue_shift", of=(-90.0, 10.0, 120.0), start=23),
            **bands("brilliance", "highlights_brilliance", of=(-20.0, 5.0, 30.0), rule=share, start=24),
            **bands("midtones_brilliance", "shadows_brilliance", of=(-20.0, 5.0, 30.0), rule=share, start=26),
            **bands("mask_grey", of=(5.0, 30.0, 50.0), rule=share, start=28),
            **bands("vibrance", of=(-50.0, 10.0, 50.0), rule=share, start=29),
            **bands("contrast_grey", of=(5.0, 30.0, 50.0), rule=share, start=30),
            **bands("contrast", of=(-40.0, 10.0, 50.0), rule=share, start=31),
            "formula": (32, ("jzazbz", "dtucs", "jzazbz"), {"jzazbz": 0, "dtucs": 1}),
        },
    ),
    "colour:velvia": Hand(
        "velvia",
        2,
        "<2f",
        (25, 1),
        {"strength": (0, (5.0, 40.0, 100.0), same), "midtones_bias": (1, (0.0, 30.0, 70.0), share)},
    ),
    "colour:vibrance": Hand("vibrance", 2, "<f", (25,), {"amount": (0, (0.0, 33.3, 100.0), same)}),
    "colour:colour_contrast": Hand(
        "colorcontrast",
        2,
        "<4fi",
        (1, 0, 1, 0, 1),
        {"green_magenta": (0, (0.3, 1.2, 3.0), same), "blue_yellow": (2, (0.0, 0.9, 2.0), same)},
    ),
    "detail:local_contrast": Hand(
        "bilat",
        3,
        "<i4f",
        (1, 0.5, 0.5, 0.25, 0.5),
        {
            "highlights": (1, (0.0, 30.0, 150.0), share),
            "shadows": (2, (10.0, 80.0, 200.0), share),
            "detail": (3, (-50.0, 80.0, 200.0), share),
            "midtone_range": (4, (0.1, 0.3, 0.9), same),
        },
    ),
    "detail:sharpen": Hand(
        "sharpen",
        1,
        "<3f",
        (2, 0.5, 0.5),
        {
            "radius": (0, (0.5, 3.3, 8.0), same),
            "amount": (1, (0.1, 1.0, 2.0), same),
            "threshold": (2, (0.0, 3.0, 10.0), same),
        },
    ),
    "detail:non_local_means": Hand(
        "nlmeans",
        2,
        "<4f",
        (2, 50, 0.5, 1),
        {
            "patch": (0, (1.0, 3.0, 4.0), same),
            "strength": (1, (10.0, 80.0, 200.0), same),
            "luma": (2, (0.0, 33.0, 100.0), share),
            "chroma": (3, (0.0, 40.0, 90.0), share),
        },
    ),
    "detail:surface_blur": Hand(
        "bilateral",
        1,
        "<5f",
        (15, 15, 0.005, 0.005, 0.005),
        {
            "radius": (0, (2.0, 7.0, 20.0), same),
            "red": (2, (0.001, 0.03, 0.1), same),
            "green": (3, (0.002, 0.05, 0.2), same),
            "blue": (4, (0.004, 0.02, 0.3), same),
        },
    ),
}
"""By file and name of the stage: those that take colour and can run alone."""

COLOUR_IN = ("colorin", 7, (struct.pack("<i", 4) + bytes(512) + struct.pack("<4i", 0, 0, 0, 4) + bytes(512)).hex(), 1)
COLOUR_OUT = ("colorout", 5, (struct.pack("<i", 4) + bytes(512) + struct.pack("<i", 0)).hex(), 1)

Mod = tuple[str, int, str, int]


def sidecar(modules: Sequence[Mod]) -> str:
    """A sidecar with these modules."""
    lines = "".join(
        f'<rdf:li darktable:num="{i}" darktable:operation="{name}" darktable:enabled="{on}" '
        f'darktable:modversion="{version}" darktable:params="{params}" darktable:multi_name="" '
        f'darktable:multi_priority="0"/>'
        for i, (name, version, params, on) in enumerate(modules)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5" darktable:raw_params="0" '
        f'darktable:auto_presets_applied="1" darktable:history_end="{len(modules)}" '
        f'darktable:iop_order_version="2"><darktable:history><rdf:Seq>{lines}</rdf:Seq></darktable:history>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def bare(
    image: Path, histories: Sequence[Sequence[Mod] | str], folder: Path, suffix: str = ".pfm", *options: str
) -> list[Path]:
    """The pictures that darktable-cli makes of one image by each history, in one start."""
    source, target = folder / "hand_in", folder / "hand_out"
    source.mkdir(parents=True)
    target.mkdir()
    for number, history in enumerate(histories):
        copy = source / f"h{number:04d}{image.suffix}"
        shutil.copyfile(image, copy)
        text = history if isinstance(history, str) else sidecar(history)
        copy.with_name(f"{copy.name}.xmp").write_text(text, encoding="utf-8")
    command = [PROGRAM, str(source), f"{target}/$(FILE_NAME){suffix}", "--apply-custom-presets", "false", "--core"]
    command += ["--disable-opencl", "--library", ":memory:", "--configdir", str(folder / "configuration")]
    command += ["--conf", "plugins/darkroom/workflow=none", *options]
    sleeping = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # threads that spin would starve a busy machine
    subprocess.run(command, check=True, capture_output=True, timeout=600, env=sleeping)
    return [target / f"h{number:04d}{suffix}" for number in range(len(histories))]


def pfm(path: Path) -> NDArray[np.float32]:
    """`(3, H, W)`."""
    with path.open("rb") as file:
        assert file.readline().strip() == b"PF"
        width, height = map(int, file.readline().split())
        order = "<f4" if float(file.readline()) < 0 else ">f4"
        rows = np.frombuffer(file.read(), order).reshape(height, width, 3)[::-1]
    return np.ascontiguousarray(np.moveaxis(rows, -1, 0), dtype=np.float32)


def float_tiff(path: Path, image: NDArray[np.float32]) -> Path:
    """Write `(3, H, W)`."""
    tifffile.imwrite(path, np.ascontiguousarray(np.moveaxis(image, 0, -1)), photometric="rgb")
    return path
