"""Wrong files and what is said about them: every `NAME.isp` here has its report beside it, in `NAME.err`.

The reports are as `ispdsl check` prints them, 100 columns wide and without colour. After a change of a message
`ISPDSL_UPDATE_GOLDEN=1 pytest tests/errors` writes them anew; read the difference as a user would. The folders `stdlib`
and `common` hold what these files import, `made` the reports of files that are made here, too large or odd to be kept.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.diagnostics import Report
from ispdsl.lower.loader import load_report
from ispdsl.render.human import render

HERE = Path(__file__).parent
FILES = sorted(p.relative_to(HERE).as_posix() for folder in (HERE, HERE / "syntax") for p in folder.glob("*.isp"))

GAIN = 'stage gain(image: rgb<S, f32>) -> rgb<S, f32> {\n%s  program "my_isp.tone:gain"\n}\n'

MADE = {
    "not_utf8": (GAIN % "  # für das Bild\n").encode("latin-1"),
    "too_large": b"# a comment\n" * 100_000,
    "too_deep": (GAIN % f"  lut table[2] = {'[' * 70}1{']' * 70}\n").encode(),
    "too_many_nodes": (GAIN % f"  curve points[4096] = [{', '.join(['0.5'] * 12_000)}]\n").encode(),
    "too_long_name": (GAIN % f"  slider {'amount' * 50} in 0..1 = 0\n").encode(),
    "too_many_errors": "".join(GAIN.replace("gain", f"gain_{n}") % "  meta iso: int\n" for n in range(60)).encode(),
    "too_many_syntax_errors": (GAIN % "  slider amount in 0..1\n" * 60).encode(),
}


def check_golden(report: Report, golden: Path) -> None:
    text = render(report, width=100).replace(str(HERE.parent.parent), "REPOSITORY")
    if os.environ.get("ISPDSL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_report_of_a_wrong_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)  # files are named as seen from where the user stands
    module, report = load_report(Path(name))
    assert (module is None) == bool(report.errors)
    assert report.diagnostics
    check_golden(report, (HERE / name).with_suffix(".err"))


@pytest.mark.parametrize("name", MADE)
def test_report_of_a_made_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.isp")
    path.write_bytes(MADE[name])
    module, report = load_report(path)
    assert module is None
    check_golden(report, HERE / "made" / f"{name}.err")


def test_every_code_is_earned_by_a_wrong_file() -> None:
    goldens = [*HERE.glob("*.err"), *HERE.glob("*/*.err")]
    told = {code for path in goldens for code in re.findall(r"^(?:error|warning)\[(\w+)\]", path.read_text(), re.M)}
    assert told == set(ENTRIES)


def test_every_golden_has_its_file() -> None:
    goldens = {p.relative_to(HERE).with_suffix("").as_posix() for p in (*HERE.glob("*.err"), *HERE.glob("*/*.err"))}
    assert goldens == {name.removesuffix(".isp") for name in FILES} | {f"made/{name}" for name in MADE}
