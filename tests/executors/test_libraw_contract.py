"""The contracts of LibRaw's stages hold of LibRaw. They cannot be run alone, so each is watched at the next tap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ispdsl.backends.blackbox import request
from ispdsl.executors.model import Executor
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.executors.test_libraw import graph, opened

LOCAL = {"fbdd_denoise": 32, "interpolate": 64, "median": 10}
CODES = np.float32(65535)
STILL: dict[str, Any] = {
    "scale_colours.lower": 0,
    "scale_colours.replace_white": "on",
    "scale_colours.white": 16383,
    "brighten.auto": "off",
}
"""Nothing depends on the picture as a whole."""

Develop = Callable[..., NDArray[np.float32]]


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    path = tmp_path_factory.mktemp("libraw") / "photo.dng"
    write_dng(path, synthesise(sample_photo("coffee", 192), seed=2, gains=(0.6, 1.5)))
    return read(path)


@pytest.fixture(scope="module")
def executor(frame: Frame) -> Iterator[Executor]:
    with opened(frame) as found:
        yield found


@pytest.fixture
def develop(executor: Executor, frame: Frame) -> Develop:
    """A mosaic, or the frame's own, at some settings and a tap of pipelines/libraw.isp (or its output)."""

    def run(tap: str | None = None, mosaic: NDArray[Any] | None = None, **values: Any) -> NDArray[np.float32]:
        settings = Settings.of(graph()).update({**STILL, **{name.replace("__", "."): v for name, v in values.items()}})
        asked = request(executor.declared, frame, settings, (tap,) if tap else ())
        if mosaic is not None:
            asked = replace(asked, images={"mosaic": mosaic.astype(np.float32)})
        answer = executor.run(asked)
        return answer.taps[tap] if tap else answer.outputs["display"]

    return run


def test_the_radii_are_those_of_the_text() -> None:
    stages = {stage.signature.name: stage for stage in graph().module.stages.values()}
    assert {name: stages[name].footprint.radius for name in LOCAL} == LOCAL


REACHES = {
    **{
        f"interpolate {method}": {"interpolate__method": method}
        for method in ("linear", "vng", "ppg", "ahd", "dht", "aahd")
    },
    "interpolate dcb": {
        "interpolate__method": "dcb",
        "interpolate__dcb_iterations": 10,
        "interpolate__dcb_enhance": "on",
    },
    "interpolate four_colours": {"interpolate__four_colours": "on"},
    "fbdd_denoise light": {"interpolate__method": "linear", "fbdd_denoise__mode": "light"},
    "fbdd_denoise full": {"interpolate__method": "linear", "fbdd_denoise__mode": "full"},
    "median passes": {"interpolate__method": "linear", "median__passes": 10},
}


@pytest.mark.parametrize("name", REACHES)
def test_how_far_a_site_is_seen(develop: Develop, frame: Frame, name: str) -> None:
    radius = LOCAL[name.partition(" ")[0]] + (name.partition(" ")[0] != "interpolate")
    start, rng, farthest = develop("camera", **REACHES[name]), np.random.default_rng(0), 0
    for code in (512, 3000, 16000):
        row, column = int(rng.integers(30, 90)), int(rng.integers(40, 150))
        mosaic = frame.image.copy()
        mosaic[0, row, column] = code
        rows, columns = np.nonzero((develop("camera", mosaic, **REACHES[name]) != start).any(axis=0))
        farthest = max(farthest, int(abs(rows - row).max()), int(abs(columns - column).max()))
    assert 0 < farthest <= radius


REST = {
    "wavelet_denoise": {"wavelet_denoise__threshold": 0},
    "chromatic_aberration": {"chromatic_aberration__red": 1, "chromatic_aberration__blue": 1},
    "expose": {"expose__shift": 1, "expose__preserve": 80},
    "fbdd_denoise": {"fbdd_denoise__mode": "off"},
    "median": {"median__passes": 0},
    "highlights": {"highlights__mode": "clip", "highlights__favour": 9},
    "brighten": {"brighten__auto": "off", "brighten__bright": 1, "brighten__clipped": 60},
}


@pytest.mark.parametrize("name", REST)
def test_at_rest_a_stage_is_as_if_it_were_not_there(
    tmp_path: Path, develop: Develop, executor: Executor, frame: Frame, name: str
) -> None:
    text = (Path(__file__).parents[2] / "pipelines" / "libraw.isp").read_text(encoding="utf-8")
    without = text.replace(f"-> {name}", "", 1)
    assert without != text
    if name == "brighten":  # without it nothing brightens, while LibRaw would by itself
        without = without.replace("process = worker", "process = same, no_auto_bright = on")
    (tmp_path / "libraw.isp").write_text(without.replace("process = worker", "process = same"))
    made: Graph = build(load(tmp_path / "libraw.isp"))
    kept = {address: value for address, value in STILL.items() if not address.startswith(name)}
    with opened(frame, made=made) as other:
        settings = Settings.of(made).update(kept)
        picture = other.run(request(other.declared, frame, settings, ())).outputs["display"]
    assert np.array_equal(picture, develop(**REST[name]))


def test_no_black_leaves_the_codes(develop: Develop, frame: Frame) -> None:
    """What comes out at half size without scaling is the codes, the greens' mean."""
    nothing = {"subtract_black__replace_level": "on", "subtract_black__replace_sites": "on"}
    picture = develop("camera", **nothing, scale_colours__scale="off", interpolate__half_size="on") * CODES
    mosaic = frame.image[0].astype(np.float32)
    red, green, blue = mosaic[0::2, 0::2], (mosaic[0::2, 1::2] + mosaic[1::2, 0::2]) / 2, mosaic[1::2, 1::2]
    assert frame.cfa == "rggb"
    assert np.abs(picture - np.stack([red, green, blue])).max() <= 1


def test_black_is_taken_from_each_site_alone(develop: Develop, frame: Frame) -> None:
    told = {"subtract_black__replace_level": "on", "subtract_black__level": 700}
    picture = develop("camera", **told, scale_colours__scale="off", interpolate__half_size="on")[0] * CODES
    assert np.abs(picture - np.maximum(frame.image[0, 0::2, 0::2].astype(np.float32) - 700, 0)).max() <= 1


@pytest.mark.parametrize("values", [{}, {"expose__shift": 4, "expose__preserve": 70}, {"expose__shift": 0.4}])
def test_more_light_is_never_darker(develop: Develop, frame: Frame, values: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    more = np.minimum(frame.image + rng.integers(0, 900, frame.image.shape), 16383)
    half = {"interpolate__half_size": "on", "scale_colours__balance": "daylight", **values}
    dark, bright = develop("camera", **half), develop("camera", more, **half)
    assert (bright >= dark).all()
    assert (bright > dark).mean() > 0.5


def rise(pictures: list[NDArray[np.float32]]) -> bool:
    pairs = list(pairwise(pictures))
    return all((bright >= dark).all() and bright.mean() > dark.mean() for dark, bright in pairs)


@pytest.mark.parametrize("auto", ["on", "off"])
def test_brighten_never_darkens(develop: Develop, auto: str) -> None:
    assert rise([develop(brighten__bright=bright, brighten__auto=auto) for bright in (0.2, 1, 1.3, 8)])


def test_expose_never_darkens(develop: Develop) -> None:
    shifts = (0.25, 0.6, 1, 1.2, 3, 8)
    assert rise([develop("camera", expose__shift=shift, interpolate__half_size="on") for shift in shifts])


@pytest.mark.parametrize("power", [1, 2.4, 4])
@pytest.mark.parametrize("slope", [0, 4.5, 20])
def test_curves_rise(develop: Develop, frame: Frame, power: float, slope: float) -> None:
    linear, display = develop("linear"), develop(encode_srgb__power=power, encode_srgb__slope=slope)
    order = np.lexsort((display.ravel(), linear.ravel()))
    assert (np.diff(display.ravel()[order]) >= 0).all()


@pytest.mark.parametrize("space", ["srgb", "prophoto", "rec2020"])
def test_grey_stays_grey(tmp_path: Path, frame: Frame, space: str) -> None:
    (tmp_path / "grey.isp").write_text(
        f"""from libraw.mosaic import scale_colours
from libraw.picture import interpolate, to_{space}
pipeline grey(mosaic: raw<C, u16>) -> (out: rgb<linear_{space}, unit>) {{
  executor libraw(process = same)
  out = mosaic -> scale_colours(balance = manual, lower = 0%) -> interpolate -> to_{space}
}}
"""
    )
    made = build(load(tmp_path / "grey.isp"))
    with opened(frame, made=made) as executor:
        asked = request(executor.declared, frame, Settings.of(made), ())
        flat = replace(asked, images={"mosaic": np.full_like(asked.images["mosaic"], 7000)})
        picture = executor.run(flat).outputs["out"][:, 8:-8, 8:-8]
    assert 0.2 < picture.mean() < 0.6
    assert np.ptp(picture, axis=0).max() < 1e-3
