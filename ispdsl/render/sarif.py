"""Reports in the Static Analysis Results Interchange Format (OASIS SARIF 2.1.0), which code hosts show."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from ispdsl.catalogue import ENTRIES
from ispdsl.diagnostics import Diagnostic, Label, Report
from ispdsl.render.characters import with_bytes_shown

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report, version: str) -> str:
    """The report as one run of the tool `ispdsl` of this version, with the codes that occur as its rules."""
    codes = sorted({diagnostic.code for diagnostic in report.diagnostics})
    rules = {code: index for index, code in enumerate(codes)}
    run = {
        "tool": {"driver": {"name": "ispdsl", "version": version, "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, rules[diagnostic.code]) for diagnostic in report.diagnostics],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    level = "error" if code.startswith("E") else "warning"
    rule: dict[str, Any] = {"id": code, "defaultConfiguration": {"level": level}}
    if entry := ENTRIES.get(code):
        rule["shortDescription"] = {"text": entry.title}
        rule["fullDescription"] = {"text": entry.why}
        text = f"{entry.why}\n\nWrong:\n\n{entry.wrong}\n\nRight:\n\n{entry.right}"
        rule["help"] = {"text": with_bytes_shown(text)}
    return rule


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    text = diagnostic.message + (f"\n{diagnostic.hint}" if diagnostic.hint else "")
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity.value,
        "message": {"text": text},
        "locations": [_location(diagnostic.primary)],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, **_location(label), "message": {"text": label.text or "related"}}
            for number, label in enumerate(diagnostic.related)
        ]
    return result


def _location(label: Label) -> dict[str, Any]:
    size = len(label.source.text)
    start_line, start_column = label.source.position(min(label.span.start, size))
    end_line, end_column = label.source.position(min(max(label.span.start, label.span.end), size))
    region = {"startLine": start_line, "startColumn": start_column, "endLine": end_line, "endColumn": end_column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(label.source.name)}, "region": region}}


def _uri(name: str) -> str:
    """A relative reference for a relative path, a file URI for an absolute one (RFC 3986)."""
    path = PurePath(name)
    quoted = quote(path.as_posix().encode("utf-8", "surrogateescape"), safe="/")
    return f"file://{quoted}" if path.is_absolute() else quoted
