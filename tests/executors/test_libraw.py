"""LibRaw through a pipeline file gives what a bare rawpy call gives, to the bit, for every parameter."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray
from rawpy import ColorSpace, DemosaicAlgorithm, FBDDNoiseReductionMode, HighlightMode

from ispdsl.backends.blackbox import declared, request
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import open_executor
from ispdsl.executors.libraw_keywords import OWN, keywords
from ispdsl.executors.model import Answer, Executor, Limits
from ispdsl.graph import Graph, build
from ispdsl.ir.params import Choice, Slider, Toggle
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.raws import one_of_each

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "pipelines" / "libraw.isp"
BAYER_RAWS = (
    "containers/canon_eos_d30.crw",
    "containers/kodak_dc50_DC0011M.kdc",
    "containers/kodak_dc50_buildings.kdc",
    "containers/quicktake100_1.qtk",
    "containers/quicktake150_04.qtk",
    "containers/quicktake150_08.qtk",
    "gopro/crops/fusion_front_GPFR7066_y1300_x1000.dng",
    "gopro/crops/fusion_front_GPFR7066_y600_x300.dng",
    "gopro/crops/fusion_front_GPFR7066_y900_x1900.dng",
    "gopro/crops/hero6_GOPR0024_y1700_x400.dng",
    "gopro/crops/hero6_GOPR0024_y300_x2700.dng",
    "gopro/crops/hero6_GOPR0024_y900_x1500.dng",
    "gopro/dng/hero6_GOPR0024.dng",
)
"""Every Bayer raw of the data that LibRaw opens."""

TWELVE_MEGAPIXELS = ("gopro/dng/hero6_GOPR0024.dng",)
"""Its crops are of the same camera, and `test_pictures_of_raws` reads the file itself."""

Keywords = dict[str, Any]

START: Keywords = {"use_camera_wb": True, "gamma": (2.4, 12.92)}
"""What pipelines/libraw.isp asks for beyond LibRaw's own defaults."""


@cache
def graph() -> Graph:
    return build(load(PIPELINE))


def opened(
    frame: Frame, same: bool = True, made: Graph | None = None, limits: Limits | None = None
) -> closing[Executor]:
    """LibRaw for a frame: in this process, or in the one that the text asks for."""
    found = declared(made or graph(), {"C": frame.cfa})
    if same:
        line = found.implementation
        line = line.model_copy(update={"arguments": {**line.arguments, "process": "same"}})
        found = replace(found, implementation=line)
    return closing(open_executor(found, limits))


def run(
    executor: Executor, frame: Frame, taps: tuple[str, ...] = (), made: Graph | None = None, **values: Any
) -> Answer:
    settings = Settings.of(made or graph()).update({name.replace("__", "."): value for name, value in values.items()})
    return executor.run(request(executor.declared, frame, settings, taps))


def bare(path: Path | bytes, **asked: Any) -> NDArray[np.float32]:
    """What rawpy gives, as planes in 0..1."""
    with rawpy.imread(io.BytesIO(path) if isinstance(path, bytes) else str(path)) as raw:
        picture = raw.postprocess(**Keywords(output_bps=16, user_flip=0) | asked)
        white = np.float32(255 if picture.dtype == np.uint8 else 65535)
        return np.moveaxis(picture, -1, 0).astype(np.float32) / white


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw whose as-shot white balance is not daylight's, clipped below its white level; an odd number of rows."""
    path = tmp_path_factory.mktemp("libraw") / "photo.dng"
    raw = synthesise(sample_photo("coffee", 128), seed=2, gains=(0.6, 1.5), black=(500, 510, 520, 530))
    write_dng(path, replace(raw, mosaic=raw.mosaic.clip(max=14000)))
    return path


# Every parameter: where it stands in the text and what it is in rawpy. Written by hand: it is what the text is held to.

Case = tuple[Mapping[str, Any], Keywords]


def _sliders(address: str, keyword: str, values: tuple[float, ...], scale: float = 1.0, **more: Any) -> list[Case]:
    beside = dict(more.get("beside", {}))
    told = dict(more.get("told", {}))
    kind = more.get("kind", float)
    return [({**beside, address: value}, {**told, keyword: kind(value * scale)}) for value in values]


def _rows(
    stage: str,
    names: tuple[str, ...],
    keyword: str,
    rows: list[tuple[Any, ...]],
    beside: Mapping[str, Any],
    kind: type = list,
) -> list[Case]:
    return [
        ({**beside, **{f"{stage}.{name}": value for name, value in zip(names, row, strict=True)}}, {keyword: kind(row)})
        for row in rows
    ]


SITES = ("red", "green", "blue", "green_2")
DCB: Mapping[str, Any] = {
    "beside": {"interpolate.method": "dcb"},
    "told": {"demosaic_algorithm": DemosaicAlgorithm.DCB},
}
METHODS = {name: DemosaicAlgorithm[name.upper()] for name in ("linear", "vng", "ppg", "ahd", "dcb", "dht", "aahd")}
MODES = {"clip": HighlightMode.Clip, "ignore": HighlightMode.Ignore, "blend": HighlightMode.Blend}


def cases() -> Iterator[Case]:
    """Settings by address, and what a bare call is told for them."""
    black = {"subtract_black.replace_level": "on"}
    yield from _sliders("subtract_black.level", "user_black", (0, 64, 65535), beside=black, kind=int)
    sites = {"subtract_black.replace_sites": "on"}
    rows = [(0, 0, 0, 0), (10, -10, 20, 5), (-4096,) * 4, (4096,) * 4]
    yield from _rows("subtract_black", SITES, "user_cblack", rows, sites)
    white = {"scale_colours.replace_white": "on"}
    yield from _sliders("scale_colours.white", "user_sat", (1, 4000, 16383, 65535), beside=white, kind=int)
    yield from _sliders("scale_colours.lower", "adjust_maximum_thr", (0, 50, 75, 100), 0.01)
    yield {"scale_colours.balance": "daylight"}, {"use_camera_wb": False}
    yield {"scale_colours.balance": "camera"}, {"use_camera_wb": True}
    yield {"scale_colours.balance": "auto"}, {"use_camera_wb": False, "use_auto_wb": True}
    manual = {"scale_colours.balance": "manual"}
    for values, told in _rows(
        "scale_colours",
        SITES,
        "user_wb",
        [(1, 1, 1, 1), (2, 1, 1.5, 1), (16, 16, 16, 0), (0, 0, 0, 0), (1, 2, 3, 16), (0.5, 1, 4, 1.1)],
        manual,
    ):
        yield values, {"use_camera_wb": False, **told}
    yield {"scale_colours.scale": "off"}, {"no_auto_scale": True}
    sizes = [(0.9, 1.1), (1.001, 0.999), (1, 1), (1.1, 0.9)]
    yield from _rows("chromatic_aberration", ("red", "blue"), "chromatic_aberration", sizes, {}, tuple)
    yield from _sliders("expose.shift", "exp_shift", (0.25, 1, 1.7, 8))
    bright = {"beside": {"expose.shift": 4}, "told": {"exp_shift": 4.0}}
    yield from _sliders("expose.preserve", "exp_preserve_highlights", (0, 60, 100), 0.01, **bright)
    for mode in FBDDNoiseReductionMode:
        yield {"fbdd_denoise.mode": mode.name.lower()}, {"fbdd_noise_reduction": mode}
    for name, method in METHODS.items():
        yield {"interpolate.method": name}, {"demosaic_algorithm": method}
    yield {"interpolate.half_size": "on"}, {"half_size": True}
    yield {"interpolate.four_colours": "on"}, {"four_color_rgb": True}
    yield from _sliders("interpolate.dcb_iterations", "dcb_iterations", (0, 3, 10), kind=int, **DCB)
    yield {"interpolate.method": "dcb", "interpolate.dcb_enhance": "on"}, {**DCB["told"], "dcb_enhance": True}
    yield from _sliders("median.passes", "median_filter_passes", (0, 2, 10), kind=int)
    for name, mode in MODES.items():
        yield {"highlights.mode": name}, {"highlight_mode": mode}
    rebuilt = {"highlights.mode": "rebuild"}
    yield from _sliders("highlights.favour", "highlight_mode", (3, 5, 9), beside=rebuilt, kind=int)
    yield {"brighten.auto": "off"}, {"no_auto_bright": True}
    yield from _sliders("brighten.clipped", "auto_bright_thr", (0, 1, 20, 100), 0.01)
    yield from _sliders("brighten.bright", "bright", (0.125, 1, 1.3, 8))
    curves = [(1, 0), (1, 1), (2.222, 4.5), (2.4, 12.92), (4, 20), (4, 0)]
    yield from _rows("encode_srgb", ("power", "slope"), "gamma", curves, {}, tuple)


CASES = list(cases())
FRAGILE = {"wavelet_denoise.threshold"}
"""Tried in tests/executors/test_libraw_process.py: it takes its process with it."""


def named(case: Case) -> str:
    return ",".join(f"{address.partition('.')[2]}={value}" for address, value in case[0].items())


def test_every_parameter_of_the_pipeline_is_tried() -> None:
    tried = {address for values, _ in CASES for address in values} | FRAGILE
    assert tried == {slot.address for slot in graph().slots}


def test_sliders_are_tried_at_both_ends_and_choices_at_every_option() -> None:
    tried: dict[str, set[Any]] = {}
    for values, _ in CASES:
        for address, value in values.items():
            tried.setdefault(address, set()).add(value)
    for slot in graph().slots:
        at = tried.get(slot.address, set())
        match slot.declaration:
            case Slider(hard=hard) if slot.address not in FRAGILE:
                assert set(hard) <= at, slot.address
                assert len(at) >= 3, slot.address
            case Choice(options=options):
                assert set(options) <= at | {slot.start} | ({"rebuild"} if "rebuild" in at else set()), slot.address
            case Toggle():
                assert at, slot.address
            case _:
                assert slot.address in FRAGILE


def test_every_keyword_of_rawpy_is_declared_or_answered_for() -> None:
    lines = (stage.signature.implementations for stage in load(PIPELINE).stages.values())
    texts = [text for found in lines for each in found for text in _texts(each.arguments.get("0", ()))]
    said = {text.partition("=")[0].strip() for text in texts}
    elsewhere = {
        "output_bps": "from the storage of the output",
        "user_flip": "the orientation is applied when the picture is written",
        "bad_pixels_path": "a file: it stands in the pipeline's own executor line",
    }
    assert set(OWN) < set(elsewhere)
    assert said | set(elsewhere) == set(keywords())
    assert not said & set(elsewhere)


def _texts(lines: object) -> tuple[str, ...]:
    return (lines,) if isinstance(lines, str) else tuple(lines)  # type: ignore[arg-type]


def test_the_stages_begin_where_rawpy_does() -> None:
    """But for the white balance of the pipeline and the curve of its colour space."""
    with open_it(graph()) as executor:
        told = executor.course.told(graph().results["display"], {slot.address: slot.start for slot in graph().slots})
    usual = {name: keyword.default for name, keyword in keywords().items()}
    usual |= {"exp_shift": 1.0, "noise_thr": 0.0, "chromatic_aberration": [1.0, 1.0], "auto_bright_thr": 0.01}
    usual |= {"demosaic_algorithm": DemosaicAlgorithm.AHD, "use_camera_wb": True, "gamma": [2.4, 12.92]}
    assert {name: getattr(value, "name", value) for name, value in usual.items() if name in told} == told


def open_it(made: Graph) -> closing[Any]:
    return closing(open_executor(declared(made, {"C": "rggb"})))


@pytest.fixture(scope="module")
def here(photo: Path) -> Iterator[tuple[Executor, Frame]]:
    frame = read(photo)
    with opened(frame) as executor:
        yield executor, frame


@pytest.fixture(scope="module")
def apart(photo: Path) -> Iterator[tuple[Executor, Frame]]:
    frame = read(photo)
    with opened(frame, same=False) as executor:
        yield executor, frame


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_parameter_does_what_it_does_in_rawpy(case: Case, photo: Path, here: Any, apart: Any) -> None:
    values, told = case
    expected = bare(photo, **{**START, **told})
    for executor, frame in (here, apart):
        settings = Settings.of(graph()).update(values)
        answer = executor.run(request(executor.declared, frame, settings, ()))
        assert np.array_equal(answer.outputs["display"], expected)


def test_parameters_matter(photo: Path) -> None:
    """A raw on which a parameter does nothing would not tell whether it arrives."""
    start = bare(photo, **START)
    still = [named(case) for case in CASES if np.array_equal(bare(photo, **{**START, **case[1]}), start)]
    moved = {address for values, told in CASES if named((values, told)) not in still for address in values}
    assert {slot.address for slot in graph().slots} - moved - FRAGILE == set()


def test_two_runs_are_equal_to_the_bit(here: Any) -> None:
    executor, frame = here
    one, two = run(executor, frame), run(executor, frame)
    assert one.outputs["display"].tobytes() == two.outputs["display"].tobytes()
    assert one.cost.starts == 1
    assert one.outputs["display"].dtype == np.float32


def test_settings_of_a_call_do_not_stay(here: Any) -> None:
    executor, frame = here
    before = run(executor, frame).outputs["display"]
    run(executor, frame, subtract_black__replace_sites="on", subtract_black__red=300)
    assert np.array_equal(run(executor, frame).outputs["display"], before)


@pytest.mark.parametrize("mode", ["clip", "ignore", "blend", "rebuild"])
def test_taps_are_what_rawpy_gives_with_the_rest_switched_off(photo: Path, apart: Any, mode: str) -> None:
    executor, frame = apart
    taps = ("interpolated", "camera", "linear")
    answer = run(executor, frame, taps, highlights__mode=mode, median__passes=2, brighten__bright=1.4)
    off: Keywords = {"use_camera_wb": True, "no_auto_bright": True, "gamma": (1, 1)}
    level = {"clip": 0, "ignore": 1, "blend": 2, "rebuild": 5}[mode]
    kept = HighlightMode.Clip if mode == "clip" else HighlightMode.Ignore
    camera: Keywords = {**off, "output_color": ColorSpace.raw}
    both: Keywords = {"highlight_mode": level, "median_filter_passes": 2}
    assert np.array_equal(answer.taps["interpolated"], bare(photo, **camera, highlight_mode=kept))
    assert np.array_equal(answer.taps["camera"], bare(photo, **camera, **both))
    assert np.array_equal(answer.taps["linear"], bare(photo, **off, **both))
    assert answer.cost.starts == 4
    assert answer.cost.own < answer.cost.seconds


def test_values_that_are_the_same_cost_one_start(here: Any) -> None:
    executor, frame = here
    answer = run(executor, frame, ("interpolated", "camera"))
    assert np.array_equal(answer.taps["interpolated"], answer.taps["camera"])
    assert answer.cost.starts == 2


@pytest.mark.parametrize("rows", [64, 65, 66, 67])
def test_half_size_rounds_up(tmp_path: Path, rows: int) -> None:
    raw = synthesise(sample_photo("coffee", 128), seed=2)
    write_dng(tmp_path / "a.dng", replace(raw, mosaic=raw.mosaic[:, :rows, : rows + 31]))
    frame = read(tmp_path / "a.dng")
    with opened(frame) as executor:
        picture = run(executor, frame, interpolate__half_size="on").outputs["display"]
    assert picture.shape == (3, (rows + 1) // 2, (rows + 32) // 2)
    assert np.array_equal(picture, bare(tmp_path / "a.dng", **START, half_size=True))


@pytest.mark.parametrize("cfa", ["rggb", "bggr", "grbg", "gbrg"])
def test_every_phase_and_the_orientation_is_left_alone(tmp_path: Path, cfa: str) -> None:
    write_dng(tmp_path / "a.dng", synthesise(sample_photo("coffee", 64), seed=2, cfa=cfa), orientation=6)
    frame = read(tmp_path / "a.dng")
    with opened(frame) as executor:
        picture = run(executor, frame).outputs["display"]
    assert picture.shape[1:] == frame.size
    assert np.array_equal(picture, bare(tmp_path / "a.dng", **START))


def test_a_crop_is_developed_from_a_file_that_is_written(photo: Path) -> None:
    frame = read(photo)
    part = frame.crop(9, 13, 60, 80)
    with opened(part) as executor:
        answer = run(executor, part)
        again = run(executor, part)
    with opened(frame) as executor:
        whole = run(executor, frame).outputs["display"]
    picture = answer.outputs["display"]
    assert picture.shape == (3, 60, 80)
    assert answer.notes
    assert np.array_equal(picture, again.outputs["display"])
    assert abs(picture - whole[:, 9:69, 13:93])[:, 10:-10, 10:-10].mean() < 0.02


def test_another_mosaic_than_the_files_is_what_is_developed(here: Any) -> None:
    executor, frame = here
    asked = request(executor.declared, frame, Settings.of(graph()), ())
    flat = replace(asked, images={"mosaic": np.full_like(asked.images["mosaic"], 4000)})
    picture = executor.run(flat).outputs["display"]
    assert picture[:, 10:-10, 10:-10].std(axis=(1, 2)).max() < 1e-3
    assert executor.run(asked).outputs["display"].std() > 0.1


def test_a_file_that_changed_is_stale(tmp_path: Path, photo: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(photo.read_bytes())
    frame = read(path)
    with opened(frame) as executor:
        run(executor, frame)
        write_dng(path, synthesise(sample_photo("astronaut", 128), seed=2))
        with pytest.raises(ExecutorError) as caught:
            run(executor, frame)
        assert caught.value.fault is Fault.STALE
        path.write_bytes(photo.read_bytes())
        run(executor, frame)
        path.unlink()
        with pytest.raises(ExecutorError):
            run(executor, frame)


def test_without_a_frame_there_is_nothing_to_develop(here: Any) -> None:
    executor, frame = here
    asked = replace(request(executor.declared, frame, Settings.of(graph()), ()), frame=None)
    with pytest.raises(ExecutorError, match="no frame") as caught:
        executor.run(asked)
    assert caught.value.fault is Fault.SETTINGS


def test_a_call_that_fails_leaves_its_error_in_its_place(here: Any) -> None:
    executor, frame = here
    good = request(executor.declared, frame, Settings.of(graph()), ())
    answers = executor.run_many([good, replace(good, frame=None), good])
    assert [type(answer) for answer in answers] == [Answer, ExecutorError, Answer]


# Real raws


@pytest.mark.realdata
@pytest.mark.parametrize("name", one_of_each(BAYER_RAWS, later=TWELVE_MEGAPIXELS))
def test_real_raws(data: Path, name: str) -> None:
    path = data / "raw" / name
    frame = read(path)
    with opened(frame, same=False) as executor:
        one, two = run(executor, frame, ("camera",)), run(executor, frame, ("camera",))
    expected = bare(path, **START)
    assert np.array_equal(one.outputs["display"], expected)
    assert np.array_equal(two.outputs["display"], expected)
    assert np.array_equal(one.taps["camera"], two.taps["camera"])


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", ["containers/kodak_dc50_DC0011M.kdc", "gopro/crops/hero6_GOPR0024_y300_x2700.dng"])
def test_every_parameter_on_real_raws(data: Path, name: str) -> None:
    path = data / "raw" / name
    frame = read(path)
    with opened(frame, same=False) as executor:
        for values, told in CASES:
            settings = Settings.of(graph()).update(values)
            answer = executor.run(request(executor.declared, frame, settings, ()))
            assert np.array_equal(answer.outputs["display"], bare(path, **{**START, **told})), values


@pytest.mark.realdata
def test_three_samples_a_site(data: Path) -> None:
    path = data / "raw" / "containers" / "lg_h815_linear_sample_1mp.dng"
    frame = read(path)
    assert frame.cfa == "linear"
    with opened(frame) as executor:
        picture = run(executor, frame).outputs["display"]
        half = run(executor, frame, interpolate__half_size="on").outputs["display"]
    assert np.array_equal(picture, bare(path, **START))
    assert half.shape == picture.shape


def test_a_picture_that_somebody_holds_is_never_overwritten(photo: Path) -> None:
    frame = read(photo)
    with opened(frame, same=True) as executor:
        first = run(executor, frame).outputs["display"]
        view = first[:, ::2]
        copies, ends = first.copy(), id(first)
        del first
        again = [run(executor, frame, brighten__bright=bright).outputs["display"] for bright in (2.0, 3.0, 4.0)]
        assert np.array_equal(view, copies[:, ::2])
        assert len({id(each) for each in again} | {ends}) == 4
        places = {id(each) for each in again} | {ends}
        del again, view
        assert id(run(executor, frame).outputs["display"]) in places
