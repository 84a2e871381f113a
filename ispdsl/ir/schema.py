"""JSON Schema of the printed IR."""

from __future__ import annotations

from typing import Any

from ispdsl.ir.model import LANGUAGE_VERSION, Module


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that `ispdsl ir --json` conforms to."""
    schema = Module.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"ispdsl IR {LANGUAGE_VERSION}",
        **schema,
    }
