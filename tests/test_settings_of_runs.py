"""Settings on the command line: they layer, they change the picture, and a sidecar gives the picture again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ispdsl.cli.app import app
from ispdsl.synthetic.samples import write_demo_raw
from tests.scenes import FREE, PIPELINES, graph

TURNED = {
    "photo_finish": {
        "exposure.ev": "0.7ev",
        "tone_map.shadows": "55%",
        "colour_balance.temperature": "4300K",
        "demosaic.method": "bilinear",
    },
    "camera": {
        "denoise.chroma": "0.9",
        "sharpen.amount": "120%",
        "white_balance.red": "1.2",
        "colour_matrix.coefficients": "[[1.2, -0.1, -0.1], [0, 1, 0], [0, -0.2, 1.2]]",
    },
    "low_light": {
        "denoise.luma_strength": "0.8",
        "auto_exposure.target": "0.3",
        "colour_balance.tint": "20",
        "denoise.chroma_nr.contrast": "15%",
    },
    "learned_isp": {
        "isp.desaturation.strength": "0.5",
        "isp.gamma.gamma": "1.3",
        "isp.sharpen_kernel.strength": "0.4",
        "isp.colour_matrix.coefficients": "[[1.2, -0.1, -0.1], [0, 1, 0], [0, -0.2, 1.2]]",
    },
}
"""Four settings of each pipeline, away from where they start."""

pipelines = pytest.mark.parametrize("name", list(FREE))


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "photo.dng"
    write_demo_raw(path, size=64)
    return path


def run(name: str, raw: Path, output: Path, *words: str | Path) -> Result:
    call = ["run", PIPELINES / f"{name}.isp", raw, "-o", output, *words]
    result = CliRunner().invoke(app, [str(word) for word in call])
    assert result.exit_code == 0, result.output
    return result


def preset(path: Path, name: str, settings: dict[str, str]) -> Path:
    path.write_text(json.dumps({"ispdsl": "1", "pipeline": name, "settings": settings}))
    return path


def given(settings: dict[str, str]) -> list[str]:
    return [word for address, value in settings.items() for word in ("--set", f"{address}={value}")]


@pipelines
def test_every_setting_changes_the_picture(name: str, photograph: Path, tmp_path: Path):
    plain = tmp_path / "plain.png"
    run(name, photograph, plain, "--no-sidecar")
    seen = {plain.read_bytes()}
    for address, value in TURNED[name].items():
        output = tmp_path / f"{address}.png"
        run(name, photograph, output, "--no-sidecar", *given({address: value}))
        seen.add(output.read_bytes())
    assert len(seen) == 1 + len(TURNED[name])


@pipelines
def test_presets_layer_under_the_command_line(name: str, photograph: Path, tmp_path: Path):
    (first, second, third, fourth), start = TURNED[name], graph(name)
    assert {first, second, third, fourth} <= {slot.address for slot in start.slots}
    wanted = TURNED[name]
    wrong = {slot.address: slot.start for slot in start.slots}
    low = preset(tmp_path / "low.json", name, {first: str(wanted[first]), second: str(wanted[second])})
    other = {"photo_finish": "-30%", "camera": "10%", "low_light": "0.05", "learned_isp": "0.8"}[name]
    high = preset(tmp_path / "high.json", name, {second: other, third: str(wanted[third])})
    assert wrong[second] != wanted[second]
    layered, at_once = tmp_path / "layered.png", tmp_path / "at_once.png"
    run(name, photograph, layered, "--no-sidecar", "--preset", low, "--preset", high, *given({fourth: wanted[fourth]}))
    run(name, photograph, at_once, "--no-sidecar", *given({**wanted, second: other}))
    assert layered.read_bytes() == at_once.read_bytes()
    run(name, photograph, layered, "--no-sidecar", "--preset", low, "--preset", high, *given(wanted))
    run(name, photograph, at_once, "--no-sidecar", *given(wanted))
    assert layered.read_bytes() == at_once.read_bytes(), "the command line wins"


@pipelines
def test_the_sidecar_of_a_picture_gives_the_picture_again(name: str, photograph: Path, tmp_path: Path):
    first, again, beside, plain = (tmp_path / f"{word}.png" for word in ("first", "again", "beside", "plain"))
    run(name, photograph, first, *given(TURNED[name]))
    kept = Path(f"{first}.isp.json")
    content = json.loads(kept.read_text())
    assert content["pipeline"] == name
    assert set(TURNED[name]) <= set(content["settings"])
    run(name, photograph, again, "--preset", kept, "--save-settings", tmp_path / "again.json")
    assert again.read_bytes() == first.read_bytes()
    saved = json.loads((tmp_path / "again.json").read_text())
    assert saved["settings"] == content["settings"]
    own = tmp_path / "own.dng"
    own.write_bytes(photograph.read_bytes())
    Path(f"{own}.isp.json").write_bytes(kept.read_bytes())
    run(name, own, beside)
    assert beside.read_bytes() == first.read_bytes()
    run(name, own, plain, "--no-sidecar")
    assert plain.read_bytes() != first.read_bytes()
