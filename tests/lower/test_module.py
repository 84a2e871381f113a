"""The IR as it is printed: golden files, the same on every machine, and back again.

`ISPDSL_UPDATE_GOLDEN=1 pytest tests/lower` writes the golden files anew; read the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ispdsl.ir.model import Module
from ispdsl.ir.schema import json_schema
from ispdsl.lower.loader import load
from ispdsl.lower.search import installed_stdlib
from tests.lower.texts import GAIN, METER, SPLIT, lowered, pipeline, stage

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parent.parent.parent
PIPELINES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.isp"))

SMALL = {
    "gain": (GAIN, pipeline("out = image -> gain(amount = fixed 150%)")),
    "feedback": (
        METER,
        pipeline("stat levels = meter() of previous out", "out = image -> adapt(levels = levels) -> tap adapted"),
    ),
    "branches": (SPLIT, GAIN, pipeline("y, c = split(image)", "joined = join(y, c)", "out = joined -> gain")),
    "contract": (
        stage(
            "## What every kind of parameter looks like.",
            "slider amount in 0%..200% soft 50%..150% = 100%",
            "register gain @ 0x100[11:0] : u4.8 in 0.5..8 = 1.5",
            "choice method in {fast, good} = good",
            "toggle quick = off",
            "curve points[3] in 0..1 = [0, 0.5, 1]",
            "matrix mix[2, 2] = identity",
            "lut table[2, 2] = 0.5",
            "meta white: real<lsb> = 4095lsb",
            'meta camera: text = "any"',
            "needs level: real",
            'proxy unet(width = 32, "small", sizes = [1, 2])',
            'executor tcp("127.0.0.1:7171", word = 32bit)',
            "property identity when amount == 100% and method == good and quick == off and mix == identity",
            "property monotone in image, amount within 2lsb",
            "property range 0..1",
            "property commutes_with hflip, rot90",
            "property local within 3px",
        ),
    ),
}


def check_golden(module: Module, golden: Path) -> None:
    text = module.model_dump_json(indent=1) + "\n"
    if os.environ.get("ISPDSL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SMALL)
def test_ir_of_a_small_module(name: str) -> None:
    check_golden(lowered(*SMALL[name]), GOLDEN / f"{name}.json")


# The golden files of whole pipelines say what is connected to what; the declarations stand in the standard library.
@pytest.mark.parametrize("name", PIPELINES)
def test_graph_of_a_pipeline(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    module = load(ROOT / "pipelines" / f"{name}.isp")
    lines: list[str] = []
    for key, found in module.pipelines.items():
        lines += [f"{key}{' (main)' if key == module.main else ''}"]
        for node in found.nodes:
            kind = " previous" * node.previous + " statistic" * node.statistic
            types = ", ".join(f"{variable} = {argument}" for variable, argument in node.types.items())
            lines += [f"  {node.name}: {node.callee}{kind}{f' [{types}]' if types else ''}"]
            lines += [f"    {port} <- {value}" for port, value in (node.inputs | node.needs).items()]
            for parameter, binding in (node.parameters | node.metas).items():
                value = binding.name or getattr(binding.value, "path", binding.value)
                lines += [f"    {parameter} = {'fixed ' * binding.fixed}{binding.source} {value}"]
            lines += [f"    {port}: {type_}" for port, type_ in node.outputs.items()]
        lines += [f"  tap {tap}: {value}" for tap, value in found.taps.items()]
        lines += [f"  result {result}: {value}" for result, value in found.results.items()]
    text = "\n".join(lines) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ISPDSL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def modules() -> Mapping[str, Module]:
    files = [*sorted((ROOT / "pipelines").glob("*.isp")), *sorted(installed_stdlib().glob("*.isp"))]
    return {name: lowered(*parts) for name, parts in SMALL.items()} | {path.name: load(path) for path in files}


def test_the_printed_form_is_the_same_wherever_the_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    here = {name: load(ROOT / "pipelines" / f"{name}.isp").model_dump() for name in PIPELINES}
    copies = tmp_path / "elsewhere" / "pipelines"
    copies.mkdir(parents=True)
    for path in (ROOT / "pipelines").rglob("*"):
        if path.is_file():
            copy = copies / path.relative_to(ROOT / "pipelines")
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    monkeypatch.chdir(copies.parent)
    for name, printed in here.items():
        there = load(copies / f"{name}.isp")
        assert there.model_dump() == printed
        assert not re.search(r'"/|[A-Z]:\\\\', there.model_dump_json())


def test_the_ir_comes_back_from_its_printed_form() -> None:
    for name, module in modules().items():
        printed = module.model_dump_json()
        again = Module.model_validate_json(printed)
        assert again.model_dump_json() == printed, name
        assert again.pipelines.keys() == module.pipelines.keys()


def test_the_ir_conforms_to_its_schema() -> None:
    schema = json_schema()
    json.dumps(schema)
    for name, module in modules().items():
        assert problems(json.loads(module.model_dump_json()), schema, schema) == [], name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("main",), 3),
        (("stages", "test.isp:gain", "footprint", "kind"), "huge"),
        (("stages", "test.isp:gain", "signature", "inputs", 0, "name"), None),
        (("stages", "test.isp:gain", "signature", "more"), "of what nobody knows"),
    ],
)
def test_the_schema_refuses_what_is_no_ir(path: tuple[str | int, ...], value: object) -> None:
    printed = json.loads(lowered(*SMALL["gain"]).model_dump_json())
    part: Any = printed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    assert problems(printed, json_schema(), json_schema())


KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def problems(value: Any, schema: Any, root: Any, where: str = "$") -> list[str]:
    """What of a value does not conform to a JSON Schema, as far as pydantic's schemas go."""
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, where)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            outcomes = [problems(value, option, root, where) for option in schema[key]]
            return [] if any(not found for found in outcomes) else min(outcomes, key=len)
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where} is not {schema['const']}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where} is none of {schema['enum']}"]
    kind = schema.get("type")
    if kind and not is_a(value, kind):
        return [f"{where} is no {kind}"]
    if kind == "array":
        return items_problems(value, schema, root, where)
    return members_problems(value, schema, root, where) if kind == "object" else []


def is_a(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def items_problems(value: list[Any], schema: Any, root: Any, where: str) -> list[str]:
    first = schema.get("prefixItems", [])
    found: list[str] = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{where} holds {len(value)} items")
    for index, item in enumerate(value):
        item_schema = first[index] if index < len(first) else schema.get("items", {})
        found += problems(item, item_schema, root, f"{where}[{index}]")
    return found


def members_problems(value: dict[str, Any], schema: Any, root: Any, where: str) -> list[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        if name in known:
            found += problems(item, known[name], root, f"{where}.{name}")
        elif others is False:
            found.append(f"{where}.{name} is unknown")
        elif others is not True:
            found += problems(item, others, root, f"{where}.{name}")
    return found
