"""Reports as JSON, for editors and scripts.

A list with one object for each diagnostic, in the order of the text:

========= =========================================================================================
code      code of the catalogue, ``E201`` or ``W301``
severity  ``error`` or ``warning``
message   what is wrong
file      the name of the file as it was given
start     ``{"line": 12, "column": 7}``, counted from 1 in lines and Unicode code points
end       the place after the last character
label     words at the place itself, or ``""``
related   other places: a list of ``{"file", "start", "end", "message"}``
hint      how to mend it, or ``null``
========= =========================================================================================

Keys are only ever added.
"""

from __future__ import annotations

import json
from typing import Any

from ispdsl.diagnostics import Diagnostic, Label, Report


def render(report: Report) -> str:
    """The report as JSON in ASCII, so that nothing in it can steer a terminal."""
    return json.dumps([_object(diagnostic) for diagnostic in report.diagnostics], indent=2) + "\n"


def _object(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.primary),
        "label": diagnostic.primary.text,
        "related": [{**_place(label), "message": label.text} for label in diagnostic.related],
        "hint": diagnostic.hint,
    }


def _place(label: Label) -> dict[str, Any]:
    return {
        "file": label.source.name,
        "start": _position(label, label.span.start),
        "end": _position(label, max(label.span.start, label.span.end)),
    }


def _position(label: Label, offset: int) -> dict[str, int]:
    line, column = label.source.position(min(offset, len(label.source.text)))
    return {"line": line, "column": column}
