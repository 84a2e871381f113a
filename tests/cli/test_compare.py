"""`ispdsl compare`: one file, one raw, two backends, and figures for what lies between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ispdsl.darkroom import develop
from ispdsl.executors import kinds
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.kinds import Found
from ispdsl.executors.model import Answer, Cost, Declared, Executor, Limits, Request, one_by_one
from ispdsl.graph import build
from ispdsl.lower.loader import load
from ispdsl.runtime.pictures import read_picture
from ispdsl.synthetic.samples import write_demo_raw
from tests.cli.conftest import Invoke

PIPELINE = """
from raw      import black_white, white_balance
from demosaic import bilinear
from tone     import exposure
from colour   import camera_matrix, srgb

pipeline shot(mosaic: raw<C, u16>) -> (out: rgb<srgb, f32>) {
  executor command("twin")

  meta black_level:     vector<4>
  meta white_level:     real
  meta as_shot_neutral: vector<3>

  out = mosaic
    -> black_white(black_level = black_level, white_level = white_level)
    -> tap light
    -> white_balance(neutral = as_shot_neutral)
    -> bilinear
    -> exposure(ev = 0ev)
    -> tap colour
    -> camera_matrix
    -> srgb
}
"""

# A family of executors that gives what the composite gives, but for what `ODD` says.
ODD: dict[str, float] = {}


@dataclass(frozen=True)
class Twin:
    declared: Declared
    version: str = "twin 1.0"
    batch: int = 1

    def run(self, request: Request) -> Answer:
        if ODD.get("crash"):
            raise ExecutorError(Fault.CRASH, "the twin fell over", "start it again")
        assert request.frame is not None
        graph = build(load(self.declared.folder / "shot.isp"))
        made = develop(graph, request.frame, taps=request.taps)
        outputs = {name: picture.image.copy() for name, picture in made.outputs.items()}
        taps = {name: picture.image.copy() for name, picture in made.taps.items()}
        outputs["out"][1, 12, 9] += np.float32(ODD.get("spot", 0))
        cut = int(ODD.get("border", 0))
        if cut:
            outputs["out"] = outputs["out"][:, cut:-cut, cut:-cut]
        return Answer(outputs, taps, Cost(0.0, 0.0), ("it is a twin",))

    def run_many(self, requests: Sequence[Request]) -> list[Answer | ExecutorError]:
        return one_by_one(self, requests)

    def close(self) -> None:
        pass


def open_executor(declared: Declared, limits: Limits, lane: int) -> Executor:
    return Twin(declared)


def reaches(declared: Declared) -> tuple[str, ...]:
    return ("twin",)


def findings() -> tuple[Found, ...]:
    return ()


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.FAMILIES, "command", __name__)
    monkeypatch.setattr(f"{__name__}.ODD", {})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "small.dng"
    write_demo_raw(path, size=48)
    return path


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    (tmp_path / "shot.isp").write_text(PIPELINE)
    return tmp_path / "shot.isp"


def test_two_ways_to_the_same_picture_are_equal(invoke: Invoke, shot: Path, raw: Path) -> None:
    result = invoke("compare", "composite", "command", shot, raw, "--allow-exec", "--within", "0")
    assert result.exit_code == 0, result.stderr
    header, *rows, last = result.stdout.splitlines()
    assert header.split()[:2] == ["type", "PSNR"]
    assert [row.split()[0] for row in rows] == ["light", "colour", "out"]
    assert all(" equal " in row for row in rows)
    assert last == "first: composite, second: command; peak: 1"
    assert "note: command: it is a twin" in result.stderr


def test_what_differs_is_measured_placed_and_drawn(
    invoke: Invoke, shot: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ODD["spot"] = 0.25
    picture = shot.with_name("differences.png")
    words = ["--allow-exec", "--taps", "colour", "-o", str(picture), "--json", "--within"]
    result = invoke("compare", "command", "composite", shot, raw, *words, "0.26")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    colour, out = found["results"]
    assert (colour["name"], colour["kind"], colour["equal"]) == ("colour", "tap", True)
    assert (out["kind"], out["equal"], out["type"]) == ("output", False, "rgb<srgb, f32>")
    place = out["largest"]
    assert (place["plane"], place["row"], place["column"]) == (1, 12, 9)
    assert place["difference"] == pytest.approx(0.25, abs=1e-6)
    height, width = out["size"]
    assert out["psnr"] == pytest.approx(10 * np.log10(3 * height * width / 0.25**2), abs=1e-3)
    assert out["ciede2000"]["largest"] > 1 > out["ciede2000"]["percentile_95"] == 0
    assert found["beyond"] == []
    assert [side["by"] for side in found["backends"]] == ["twin 1.0", "composite"]
    assert found["picture"] == str(picture)
    assert read_picture(picture)[0].std() > 0.05
    beyond = invoke("compare", "command", "composite", shot, raw, *words, "0.24")
    assert beyond.exit_code == 1
    assert json.loads(beyond.stdout)["beyond"] == ["out"]


def test_a_backend_against_itself_shows_how_it_repeats(invoke: Invoke, shot: Path, raw: Path) -> None:
    result = invoke("compare", "command", "command", shot, raw, "--allow-exec", "--taps", "none")
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["type", "out", "first:"]
    assert "first: command (1), second: command (2)" in result.stdout


def test_settings_crops_and_borders_count_for_both(invoke: Invoke, shot: Path, raw: Path) -> None:
    words = ["--allow-exec", "--crop", "2,2,24,26", "--border", "3", "--set", "exposure.ev=1ev", "--json"]
    result = invoke("compare", "composite", "composite", shot, raw, *words)
    assert result.exit_code == 0, result.stderr
    assert {tuple(each["size"]) for each in json.loads(result.stdout)["results"]} == {(18, 20)}
    # the twin runs with the settings of the text: what --set says must reach the composite
    differs = invoke("compare", "composite", "command", shot, raw, *words)
    colour = json.loads(differs.stdout)["results"][1]
    assert colour["largest"]["first"] == pytest.approx(2 * colour["largest"]["second"], rel=1e-5)


def test_a_border_that_was_cut_off_is_said(invoke: Invoke, shot: Path, raw: Path) -> None:
    ODD["border"] = 2
    result = invoke("compare", "composite", "command", shot, raw, "--allow-exec", "--within", "0")
    assert result.exit_code == 0, result.stderr
    assert "sizes differ, 48 x 32 and 44 x 28 px: compared the centred 44 x 28 px" in result.stdout


def test_sizes_that_are_too_different_are_refused(
    invoke: Invoke, shot: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ispdsl.comparison.overlap.WIDEST_BORDER", 1)
    ODD["border"] = 8
    result = invoke("compare", "composite", "command", shot, raw, "--allow-exec")
    assert result.exit_code == 1
    assert "not compared: sizes differ: 48 x 32 and 32 x 16 px" in result.stdout


def test_what_a_backend_does_wrong_ends_the_comparison(invoke: Invoke, shot: Path, raw: Path) -> None:
    ODD["crash"] = True
    result = invoke("compare", "composite", "command", shot, raw, "--allow-exec")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "the twin fell over" in result.stderr
    assert "start it again" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["composite", "command"], 4, "--allow-exec"),
        (["composite", "darktable", "--allow-exec"], 2, "its executor is command"),
        (["composite", "gimp"], 2, "gimp"),
        (["composite", "composite", "--taps", "colours"], 2, "did you mean colour?"),
        (["composite", "composite", "--set", "exposure.evv=1"], 2, "did you mean exposure.ev?"),
        (["composite", "composite", "--crop", "0,0,9"], 2, "is no Y,X,H,W"),
        (["composite", "composite", "-o", "differences.gif"], 2, "no picture format"),
        (["composite", "composite", "--within", "-1"], 2, "--within"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    invoke: Invoke,
    shot: Path,
    raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("ispdsl.darkroom.develop", lambda *_, **__: pytest.fail("it began to work"))
    result = invoke("compare", *words[:2], shot, raw, *words[2:])
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr


def test_the_picture_overwrites_no_input(invoke: Invoke, shot: Path, raw: Path) -> None:
    copy = shot.with_name("copy.png")
    copy.write_bytes(raw.read_bytes())
    result = invoke("compare", "composite", "composite", shot, copy, "-o", copy)
    assert result.exit_code == 2
    assert "is the raw" in result.stderr
    assert copy.read_bytes() == raw.read_bytes()
