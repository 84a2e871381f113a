"""Pipelines run by darktable: front end, taps, batches, edits saved by darktable, and what is refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from ispdsl.backends.blackbox import declared, declared_stage, request
from ispdsl.errors import CompileError
from ispdsl.executors.darktable import Darktable, findings, open_executor
from ispdsl.executors.darktable_history import read_history, write_history
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Answer, Declared, Limits, Request
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.runtime.values import Settings
from ispdsl.synthetic.samples import write_demo_raw
from tests.executors.darktable_by_hand import bare, needs_darktable, pfm

ROOT = Path(__file__).parents[2]
RGB = ("red", "green", "blue")
PIPELINE = ROOT / "pipelines" / "darktable.isp"

FRONT = """
from darktable.raw    import black_white, white_balance, highlights, demosaic
from darktable.colour import input_profile
from darktable.tone   import exposure

pipeline front(mosaic: raw<C, u16>) -> (scene: rgb<linear_rec2020, f32>) {
  meta black_level:     vector<4>
  meta white_level:     real
  meta as_shot_neutral: vector<3>

  executor darktable(LINE)

  scene = mosaic
    -> black_white(black_level = black_level, white_level = white_level)
    -> tap levelled
    -> white_balance(as_shot_neutral = as_shot_neutral)
    -> tap balanced
    -> highlights
    -> demosaic
    -> tap colour
    CHAIN
}
"""


def front(folder: Path, chain: str = "-> exposure -> input_profile", line: str = "") -> Graph:
    """A short pipeline; the standard library lies beside it."""
    if not (folder / "stdlib").exists():
        (folder / "stdlib").symlink_to(ROOT / "stdlib")
    path = folder / "front.isp"
    path.write_text(FRONT.replace("CHAIN", chain).replace("LINE", line), encoding="utf-8")
    module = load(path)
    return build(module, module.main)


def whole() -> Graph:
    """The pipeline of the repository."""
    module = load(PIPELINE)
    return build(module, module.main)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DNG of a synthetic camera."""
    path = tmp_path_factory.mktemp("raw") / "coffee.dng"
    write_demo_raw(path, "coffee", size=96)
    return path


def asked(graph: Graph, frame: Frame, settings: Mapping[str, object], taps: tuple[str, ...] | None = ()) -> Request:
    found = declared(graph, {"C": frame.cfa})
    return request(found, frame, Settings.of(graph).update(settings), taps)


def opened(graph: Graph, frame: Frame) -> closing[Darktable]:
    return closing(open_executor(declared(graph, {"C": frame.cfa}), Limits(), 0))


def run(graph: Graph, frame: Frame, taps: tuple[str, ...] | None = (), **settings: object) -> Answer:
    """One call; double underscores stand for dots."""
    with opened(graph, frame) as executor:
        return executor.run(asked(graph, frame, {k.replace("__", "."): v for k, v in settings.items()}, taps))


# ---- the front end ------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_darktable
def test_mosaics_at_taps_are_what_their_stages_say(tmp_path: Path, raw: Path) -> None:
    frame = read(raw)
    gains = {"white_balance__red": 1.25, "white_balance__blue": 0.8}
    taps = run(front(tmp_path), frame, ("levelled", "balanced"), **gains).taps
    black, white = np.asarray(frame.metadata["black_level"])[0], float(frame.metadata["white_level"])
    levelled = (frame.image[0].astype(np.float64) - black) / (white - black)
    neutral = np.asarray(frame.metadata["as_shot_neutral"])
    balanced = levelled.copy()
    for index, gain in enumerate((1.25 / neutral[0], 1 / neutral[1], 0.8 / neutral[2])):
        sites = {0: [(0, 0)], 1: [(0, 1), (1, 0)], 2: [(1, 1)]}[index]  # the synthetic camera is RGGB
        for row, column in sites:
            balanced[row::2, column::2] *= gain
    assert frame.cfa == "rggb"
    assert taps["levelled"].shape == (1, *frame.size)
    assert np.abs(taps["levelled"][0] - levelled).max() < 1e-4
    assert np.abs(taps["balanced"][0] - balanced).max() < 3e-4


FRONT_END: tuple[tuple[str, str, int, Mapping[Any, float]], ...] = (
    # parameter, operation, index in the struct, settings with their values there
    *((f"white_balance.{name}", "temperature", i, {g: g for g in (0.6, 1.3, 1.9)}) for i, name in enumerate(RGB)),
    ("highlights.method", "highlights", 0, {"lch": 1, "inpaint": 2, "opposed": 5}),
    ("highlights.threshold", "highlights", 4, {0.3: 0.3, 0.8: 0.8, 1.2: 1.2}),
    ("demosaic.method", "demosaic", 3, {"ppg": 0, "vng4": 2, "lmmse": 6}),
    ("demosaic.match_greens", "demosaic", 0, {"local": 1, "full": 2, "both": 3}),
    ("demosaic.colour_smoothing", "demosaic", 2, {"one": 1, "three": 3, "five": 5}),
    ("demosaic.edge_threshold", "demosaic", 1, {0.02: 0.02, 0.1: 0.1, 0.2: 0.2}),
    ("input_profile.profile", "colorin", 0, {"embedded_matrix": 10, "standard_matrix": 11}),
    ("input_profile.gamut", "colorin", 2, {"srgb": 1, "adobe_rgb": 2, "linear_rec2020": 4}),
    ("black_white.flat_field", "rawprepare", 9, {"off": 0, "embedded": 1}),
)
Move = tuple[str, Any, str, int, float]
MOVES: tuple[Move, ...] = tuple(
    (parameter, setting, operation, index, value)
    for parameter, operation, index, settings in FRONT_END
    for setting, value in settings.items()
)


def by_hand(frame: Frame, move: Move) -> list[tuple[str, int, str, int]]:
    """The front end's history, one value moved."""
    red, green, blue = np.asarray(frame.metadata["as_shot_neutral"])
    black, white = [int(b) for b in np.asarray(frame.metadata["black_level"])], int(frame.metadata["white_level"])
    modules: list[tuple[str, int, str, list[float]]] = [
        ("rawprepare", 2, "<4i4HH2xi", [0, 0, 0, 0, *black, white, 0]),
        ("temperature", 3, "<4f", [1 / red, 1 / green, 1 / blue, float("nan")]),
        ("highlights", 4, "<i5f2i2fif", [0, 1, 0, 0, 1, 0, 1, 5, 0.4, 2, 0, 0]),
        ("demosaic", 4, "<ifiiif", [0, 0, 0, 1, 1, 0.2]),
        ("exposure", 6, "<i4fi", [0, 0, 0, 50, -4, 0]),
        ("colorin", 7, "<i512x4i512x", [10, 0, 0, 0, 4]),
        ("colorout", 5, "<i512xi", [4, 0]),
        ("flip", 2, "<i", [0]),
    ]
    _, _, operation, index, value = move
    values = next(values for name, _, _, values in modules if name == operation)
    values[index] = value / (red, green, blue)[index] if operation == "temperature" else value
    return [(name, version, struct.pack(form, *values).hex(), 1) for name, version, form, values in modules]


def compare_by_hand(moves: tuple[Move, ...], folder: Path, raw: Path) -> None:
    frame, graph = read(raw), front(folder)
    with opened(graph, frame) as executor:
        answers = executor.run_many([asked(graph, frame, {move[0]: move[1]}) for move in moves])
    pictures = bare(raw, [by_hand(frame, move) for move in moves], folder)
    for move, answer, path in zip(moves, answers, pictures, strict=True):
        assert isinstance(answer, Answer), (move, answer)
        assert np.array_equal(answer.outputs["scene"], pfm(path)), move


@pytest.mark.slow
@needs_darktable
def test_settings_of_the_front_end_give_the_bits_of_a_history_packed_by_hand(tmp_path: Path, raw: Path) -> None:
    compare_by_hand(MOVES[::4], tmp_path, raw)


@needs_darktable
@pytest.mark.slow
def test_every_setting_of_the_front_end_gives_the_bits_of_a_history_packed_by_hand(tmp_path: Path, raw: Path) -> None:
    compare_by_hand(MOVES, tmp_path, raw)


@pytest.mark.slow
@needs_darktable
def test_a_crop_is_sent_as_a_dng(tmp_path: Path, raw: Path) -> None:
    frame = read(raw)
    part = frame.crop(8, 16, 32, 48)
    graph = front(tmp_path)
    cut = run(graph, part, ("levelled",)).taps["levelled"]
    all_of_it = run(graph, frame, ("levelled",)).taps["levelled"]
    assert cut.shape == (1, 32, 48)
    assert np.array_equal(cut, all_of_it[:, 8:40, 16:64])


@needs_darktable
def test_the_frame_itself_can_be_sent_instead_of_its_file(tmp_path: Path, raw: Path) -> None:
    frame = read(raw)
    by_file = run(front(tmp_path), frame).outputs["scene"]
    by_frame = run(front(tmp_path, line="input = frame"), frame).outputs["scene"]
    assert by_frame.shape == by_file.shape
    assert np.abs(by_frame - by_file).max() < 3e-3  # matrices in a DNG are rounded


@pytest.mark.slow
@needs_darktable
def test_orientation_is_left_to_whoever_writes_the_picture(tmp_path: Path) -> None:
    upright, turned = tmp_path / "upright.dng", tmp_path / "turned.dng"
    write_demo_raw(upright, "coffee", size=64)
    write_demo_raw(turned, "coffee", size=64, orientation=6)
    graph = front(tmp_path)
    first, second = (run(graph, read(path)).outputs["scene"] for path in (upright, turned))
    assert np.array_equal(first, second)


# ---- taps ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tapped(raw: Path) -> Iterator[tuple[Declared, Request, Answer]]:
    """All taps of the repository's pipeline."""
    frame, graph = read(raw), whole()
    with opened(graph, frame) as executor:
        wanted = asked(graph, frame, {}, None)
        yield executor.declared, wanted, executor.run(wanted)  # some 16 pictures in one start


FEW = ("structured",)
MORE = (
    "exposed",
    "graded",
    "equalised",
    "calibrated",
    "denoised",
    "sharpened",
    "compressed",
    "contrasted",
    "saturated",
    "vibrant",
)
"""Taps behind modules that take colour."""


@needs_darktable
@pytest.mark.parametrize("tap", [*FEW, *(pytest.param(tap, marks=pytest.mark.slow) for tap in MORE)])
def test_a_tap_is_the_module_alone_on_the_tap_before_it(tapped: tuple[Declared, Request, Answer], tap: str) -> None:
    whole_, wanted, answer = tapped
    names = list(whole_.taps)
    node = next(node for node in whole_.nodes if node.address == whole_.taps[tap].node)
    alone = declared_stage(node.signature, "", {"S": "camera"})
    with closing(open_executor(alone, Limits(), 0)) as executor:
        settings = {name: wanted.settings[address] for name, address in node.parameters.items()}
        image = answer.taps[names[names.index(tap) - 1]]
        found = executor.run(Request({"image": image}, settings)).outputs["out"]
    assert np.abs(found - answer.taps[tap]).max() <= 3e-4


@needs_darktable
def test_all_taps_are_there_and_the_display_is_within_its_range(tapped: tuple[Declared, Request, Answer]) -> None:
    whole_, _, answer = tapped
    assert list(answer.taps) == list(whole_.taps)
    display = answer.outputs["display"]
    assert 0 <= display.min() < 0.1 < 0.5 < display.max() <= 1
    assert answer.cost.starts == 1


@pytest.mark.slow
@needs_darktable
def test_two_runs_of_a_small_picture_give_the_same_bits(tapped: tuple[Declared, Request, Answer]) -> None:
    whole_, wanted, answer = tapped
    with closing(open_executor(whole_, Limits(), 1)) as executor:
        again = executor.run(replace(wanted, taps=("vibrant",)))
    assert np.array_equal(again.taps["vibrant"], answer.taps["vibrant"])
    assert np.array_equal(again.outputs["display"], answer.outputs["display"])


# ---- batches ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_darktable
def test_each_of_a_batch_gets_its_own_picture(tmp_path: Path, raw: Path) -> None:
    frame, graph = read(raw), front(tmp_path)
    stops = [0.5, -1.0, 2.0, 0.0, 1.0]
    with opened(graph, frame) as executor:
        assert executor.batch >= 16
        answers = executor.run_many([asked(graph, frame, {"exposure.ev": ev}) for ev in stops])
    pictures = [answer.outputs["scene"] for answer in answers if isinstance(answer, Answer)]
    assert len(pictures) == len(stops)
    for ev, picture in zip(stops, pictures, strict=True):
        assert np.allclose(picture, pictures[3] * 2.0**ev, rtol=0, atol=1e-3)


@needs_darktable
def test_one_that_fails_in_a_batch_leaves_the_others_alone(tmp_path: Path, raw: Path) -> None:
    frame, graph = read(raw), front(tmp_path)
    broken = tmp_path / "broken.dng"
    broken.write_bytes(b"II*\0" + b"no picture" * 100)
    bad = replace(frame, source=replace(frame.source, path=str(broken)))
    with opened(graph, frame) as executor:
        answers = executor.run_many([asked(graph, each, {}) for each in (frame, bad, frame)])
    assert isinstance(answers[0], Answer)
    assert isinstance(answers[1], ExecutorError)
    assert answers[1].fault is Fault.CRASH
    assert "broken.dng" in answers[1].message
    assert "makes no picture of" in answers[1].message
    assert isinstance(answers[2], Answer)
    assert np.array_equal(answers[0].outputs["scene"], answers[2].outputs["scene"])


@needs_darktable
def test_two_lanes_work_side_by_side(tmp_path: Path, raw: Path) -> None:
    frame, graph = read(raw), front(tmp_path)
    found = declared(graph, {"C": frame.cfa})
    with closing(open_executor(found, Limits(), 0)) as first, closing(open_executor(found, Limits(), 1)) as second:
        folders = [first.session.configuration, second.session.configuration]
        wanted = [asked(graph, frame, {"exposure.ev": ev}) for ev in (0.0, 0.0)]
        with ThreadPoolExecutor(2) as threads:
            one, other = threads.map(lambda lane: lane[0].run(lane[1]), zip((first, second), wanted, strict=True))
    assert folders[0] != folders[1]
    assert np.array_equal(one.outputs["scene"], other.outputs["scene"])
    assert not any(folder.exists() for folder in folders)


# ---- edits saved by darktable -------------------------------------------------------------------------------


def saved_by_darktable(raw: Path, history: str, folder: Path) -> Path:
    """The history as darktable itself writes it: it puts its XMP into pictures that it exports."""
    (picture,) = bare(raw, [history], folder, ".tif", "--conf", "plugins/lighttable/export/metadata_flags=1ff")
    with tifffile.TiffFile(picture) as file:
        packet = file.pages.first.tags[700].value
    path = folder / "saved.xmp"
    path.write_bytes(packet if isinstance(packet, bytes) else bytes(packet))
    assert b'darktable:params="gz' in path.read_bytes()
    return path


EDIT = {
    "white_balance.red": 1.1,
    "highlights.method": "opposed",
    "demosaic.method": "lmmse",
    "exposure.ev": 0.35,
    "tone_equaliser.shadows": 0.7,
    "colour_calibration.temperature": 4200.0,
    "colour_calibration.illuminant": "daylight",
    "non_local_means.enabled": False,
    "sharpen.amount": 0.8,
    "colour_balance.shadows_hue": 217.0,
    "colour_balance.shadows_chroma": 7.0,
    "sigmoid.contrast": 1.7,
    "velvia.strength": 33.0,
}


@pytest.mark.slow
@needs_darktable
def test_an_edit_saved_by_darktable_gives_the_settings_and_the_picture(tmp_path: Path, raw: Path) -> None:
    frame, graph = read(raw), whole()
    found = declared(graph, {"C": frame.cfa})
    wanted = asked(graph, frame, EDIT)
    write_history(tmp_path / "ours.xmp", found, wanted.settings, frame)
    text = (tmp_path / "ours.xmp").read_text(encoding="utf-8")
    saved = saved_by_darktable(raw, text, tmp_path / "export")
    read_back = read_history(saved, found, frame)
    assert set(read_back) == {slot.address for slot in found.slots if slot.drives}
    for address, value in read_back.items():
        if isinstance(value, float):
            assert value == pytest.approx(wanted.settings[address], rel=1e-6, abs=1e-9), address
        elif isinstance(value, str | bool):
            assert value == wanted.settings[address], address
    with opened(graph, frame) as executor:
        ours, theirs = executor.run_many([wanted, replace(wanted, settings={**wanted.settings, **read_back})])
    assert isinstance(ours, Answer)
    assert isinstance(theirs, Answer)
    (by_darktable,) = bare(raw, [saved.read_text(encoding="utf-8")], tmp_path / "again")
    assert np.array_equal(ours.outputs["display"], theirs.outputs["display"])
    assert np.array_equal(ours.outputs["display"], np.clip(pfm(by_darktable), 0, 1))


# ---- what is refused ----------------------------------------------------------------------------------------


def stage(folder: Path, line: str, parameters: str = "slider amount in 0..100 = 25", types: str = "") -> Declared:
    """A stage of its own with an executor line."""
    types = types or "image: rgb<linear_rec2020, f32>) -> rgb<linear_rec2020, f32>"
    path = folder / "own.isp"
    path.write_text(
        f"stage own({types} {{\n {parameters}\n executor {line}\n property pointwise\n}}\n", encoding="utf-8"
    )
    return declared_stage(next(iter(load(path).stages.values())).signature, "")


GREY = np.full((3, 16, 16), 0.25, np.float32)


@needs_darktable
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('darktable("vibrance", version = 7, fields = ["f32 amount"])', "version mismatch: history is 7"),
        pytest.param(
            'darktable("vibrance", version = 2, fields = ["f32 amount", "f32 more = 1"])',
            "left out vibrance",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'darktable("vibrenze", version = 2, fields = ["f32 amount"])', "left out vibrenze", marks=pytest.mark.slow
        ),
    ],
)
def test_a_module_that_darktable_leaves_out_is_a_fault_of_version(tmp_path: Path, line: str, word: str) -> None:
    with closing(open_executor(stage(tmp_path, line), Limits(), 0)) as executor, pytest.raises(ExecutorError) as error:
        executor.run(Request({"image": GREY}, {"amount": 25.0}))
    assert error.value.fault is Fault.VERSION
    assert word in error.value.message


@needs_darktable
def test_an_order_that_is_not_darktables_is_refused_with_the_right_one(tmp_path: Path, raw: Path) -> None:
    with pytest.raises(ExecutorError) as error:
        run(front(tmp_path, "-> input_profile -> exposure"), read(raw))
    assert error.value.fault is Fault.SETTINGS
    assert error.value.hint is not None
    assert error.value.hint.endswith("demosaic -> exposure -> colorin")


@needs_darktable
def test_a_module_that_darktable_adds_by_itself_is_refused(tmp_path: Path, raw: Path) -> None:
    graph = front(tmp_path)
    text = (tmp_path / "front.isp").read_text(encoding="utf-8").replace("-> highlights\n", "")
    (tmp_path / "front.isp").write_text(text, encoding="utf-8")
    module = load(tmp_path / "front.isp")
    graph = build(module, module.main)
    with pytest.raises(ExecutorError, match="also runs highlights") as error:
        run(graph, read(raw))
    assert error.value.fault is Fault.SETTINGS


@needs_darktable
def test_a_version_that_nobody_vouches_for_is_refused(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ispdsl.executors.darktable_cli.version_of", lambda _: "9.9.9")
    frame = read(raw)
    with pytest.raises(ExecutorError, match=r"darktable 9\.9\.9 is not known") as error, opened(front(tmp_path), frame):
        pass
    assert error.value.fault is Fault.VERSION
    with opened(front(tmp_path, line='versions = ["9.9.9"]'), frame) as executor:
        assert executor.version == "darktable 9.9.9"


def test_without_darktable_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.executors.darktable_cli.PROGRAM", "no-such-darktable")
    found = stage(tmp_path, 'darktable("vibrance", version = 2, fields = ["f32 amount"])')
    with pytest.raises(ExecutorError, match="apt install darktable") as error:
        open_executor(found, Limits(), 0)
    assert error.value.fault is Fault.ABSENT
    assert not findings()[0].here


def test_a_mosaic_needs_its_raw_file(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ispdsl.executors.darktable_cli.version_of", lambda _: "4.2.1")
    frame, graph = read(raw), front(tmp_path)
    with opened(graph, frame) as executor, pytest.raises(ExecutorError, match="without its raw file"):
        executor.run(replace(asked(graph, frame, {}), frame=None))


@pytest.mark.parametrize(
    ("chain", "word"),
    [
        ("-> exposure -> exposure as more -> input_profile", "exposure stands there twice"),
        (
            "-> exposure -> input_profile\n side = mosaic"
            " -> black_white(black_level = black_level, white_level = white_level) as again",
            "is not fed by",
        ),
    ],
)
def test_what_is_no_chain_of_modules_is_refused(tmp_path: Path, chain: str, word: str) -> None:
    with pytest.raises(CompileError, match=word):
        open_executor(declared(front(tmp_path, chain), {"C": "rggb"}), Limits(), 0)


@pytest.mark.parametrize("line", ["wrong = 1", "input = nothing", "threads = 1.5", "versions = 4"])
def test_a_wrong_line_of_the_pipeline_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(CompileError, match=line.partition(" ")[0]):
        open_executor(declared(front(tmp_path, line=line), {"C": "rggb"}), Limits(), 0)


# ---- real raws ----------------------------------------------------------------------------------------------

OPENS = (
    *(f"gopro/crops/{name}.dng" for name in ("fusion_front_GPFR7066_y600_x300", "hero6_GOPR0024_y900_x1500")),
    "frames/dsc1339_rose_768x512_grbg_u16le14.raw",
    "frames/hector_desk_1280x800_bggr_mipi10.raw",
)
NOT = ("containers/kodak_dc50_DC0011M.kdc", "containers/quicktake100_1.qtk", "gopro/dng/hero6_GOPR0024.dng")


@needs_darktable
@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", OPENS)
def test_real_raws_that_darktable_opens(data: Path, name: str) -> None:
    frame = read(data / "raw" / name)
    display = run(whole(), frame).outputs["display"]
    assert display.shape == (3, *frame.size)
    assert display.std() > 0.02


@needs_darktable
@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", OPENS[1:2])
def test_two_starts_give_the_same_bits_of_a_real_raw(data: Path, tmp_path: Path, name: str) -> None:
    frame, graph = read(data / "raw" / name), front(tmp_path)
    first, second = (run(graph, frame).outputs["scene"] for _ in range(2))
    assert np.array_equal(first, second)


@needs_darktable
@pytest.mark.slow
@pytest.mark.realdata
def test_masked_pixels_are_kept_from_darktable(data: Path, tmp_path: Path) -> None:
    frame = read(data / "raw" / "containers" / "canon_eos_d30.crw")
    assert frame.source.bordered
    assert run(whole(), frame).outputs["display"].shape == (3, *frame.size)
    path = tmp_path / "darktable.isp"
    path.write_text(
        PIPELINE.read_text(encoding="utf-8").replace("executor darktable()", "executor darktable(input = file)")
    )
    by_file = run(build(load(path)), frame)
    assert by_file.outputs["display"].shape == (3, 1456, 2224)
    assert any("input = frame" in note for note in by_file.notes)


@needs_darktable
@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", NOT)
def test_real_raws_that_darktable_does_not_open_end_in_its_own_words(data: Path, name: str) -> None:
    with pytest.raises(ExecutorError, match=r"makes no picture of .*; it said:") as error:
        run(whole(), read(data / "raw" / name))
    assert error.value.fault is Fault.CRASH
    assert "[rawspeed]" in error.value.tail
    assert error.value.hint is not None
    assert "input = frame" in error.value.hint
