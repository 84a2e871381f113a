"""SARIF 2.1.0, held to the clauses of the standard that code hosts insist on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from ispdsl.catalogue import ENTRIES
from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.render import sarif
from ispdsl.source import Source, Span
from tests.render.reports import REPORTS, TONE, at


def run_of(report: Report) -> dict[str, Any]:
    log = json.loads(sarif.render(report, "1.2.3"))
    assert log["version"] == "2.1.0"  # 3.13.2
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return run


@pytest.mark.parametrize("name", REPORTS)
def test_every_required_member_is_there(name: str) -> None:
    run = run_of(REPORTS[name])
    driver = run["tool"]["driver"]  # 3.18.2
    assert (driver["name"], driver["version"]) == ("ispdsl", "1.2.3")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))  # 3.19.23
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")  # 3.14.17
    assert len(run["results"]) == len(REPORTS[name].diagnostics)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]  # 3.27.5
        assert result["level"] in ("none", "note", "warning", "error")  # 3.27.10
        assert result["message"]["text"]  # 3.11.8
        related = result.get("relatedLocations", [])
        assert [place["id"] for place in related] == list(range(len(related)))  # 3.28.2
        for place in [*result["locations"], *related]:
            physical = place["physicalLocation"]
            uri = urlsplit(physical["artifactLocation"]["uri"])  # 3.4.3
            assert uri.geturl().isascii()
            assert not set(uri.path) & set(" \x1b[]")
            region = physical["region"]  # 3.30: lines and columns count from 1, the end column is exclusive
            assert region["startLine"] >= 1
            assert region["startColumn"] >= 1
            assert (region["endLine"], region["endColumn"]) >= (region["startLine"], region["startColumn"])


def test_places_levels_and_hints() -> None:
    error, warning = (
        next(r for r in run_of(REPORTS["plain"])["results"] if r["level"] == level) for level in ("error", "warning")
    )
    assert error["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "stdlib/tone.isp"},
        "region": {"startLine": 4, "startColumn": 29, "endLine": 4, "endColumn": 33},
    }
    assert error["relatedLocations"][0]["message"]["text"] == "the range"
    assert warning["message"]["text"].endswith("\nremove it")


@pytest.mark.parametrize(
    ("name", "uri"),
    [("a b#1.isp", "a%20b%231.isp"), ("/tmp/é.isp", "file:///tmp/%C3%A9.isp"), ("x:y.isp", "x%3Ay.isp")],
)
def test_names_become_references(name: str, uri: str) -> None:
    report = Report.of([Diagnostic("E101", "bad", Label(Source(name, "abc"), Span(0, 1)))])
    place = run_of(report)["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == uri


def of_every_code() -> Report:
    return Report.of([Diagnostic(code, "x", at(TONE, "stage")) for code in (*ENTRIES, "E999")])


def test_the_codes_that_occur_are_the_rules() -> None:
    assert run_of(Report())["tool"]["driver"]["rules"] == []
    rules = {rule["id"]: rule for rule in run_of(of_every_code())["tool"]["driver"]["rules"]}
    assert set(rules) == {*ENTRIES, "E999"}
    for code, entry in ENTRIES.items():
        assert rules[code]["shortDescription"]["text"] == entry.title
        assert rules[code]["defaultConfiguration"]["level"] == ("error" if code.startswith("E") else "warning")


def test_rules_are_text_that_every_reader_takes() -> None:
    log = json.loads(sarif.render(of_every_code(), "1"))
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        rule.get("help", {"text": ""})["text"].encode("utf-8")
