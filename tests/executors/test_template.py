"""Placeholders: what is one, what it becomes, and what is said of a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.executors import template
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.template import Placeholder, TemplateError, parse, placeholders, renderer
from ispdsl.ir.location import Location
from ispdsl.ir.params import (
    Array,
    BitField,
    Choice,
    FileReference,
    FixedPoint,
    Parameter,
    Register,
    Slider,
    Table,
    Toggle,
)
from ispdsl.runtime.slots import Slot

HERE = Location(file="t.isp", line=1, column=1, start=0, end=0)


def slider(unit: str = "") -> Slider:
    return Slider(name="p", unit=unit, hard=(-1e6, 1e6), soft=(0, 1), default=0, location=HERE)


def choice(*options: str) -> Choice:
    return Choice(name="p", options=options, default=options[0], location=HERE)


def table(*shape: int, unit: str = "") -> Table:
    kind = "curve" if len(shape) == 1 else "matrix"
    return Table(kind=kind, name="p", unit=unit, shape=shape, hard=None, default="identity", location=HERE)


TOGGLE = Toggle(name="p", default=True, location=HERE)
REGISTER = Register(
    name="p",
    field=BitField(address=256, high=11, low=0, format=FixedPoint(signed=False, integer_bits=4, fraction_bits=8)),
    hard=(0, 15),
    soft=(0, 15),
    default=1,
    location=HERE,
)


def written(text: str, declaration: Parameter, value: Any) -> str:
    (found,) = placeholders(parse(text))
    return renderer(found, Slot("p", declaration, 0.0))(value)


def refused(text: str, declaration: Parameter) -> TemplateError:
    with pytest.raises(TemplateError) as error:
        written(text, declaration, 1.0)
    return error.value


# ---- what is a placeholder


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{ev}", ["ev"]),
        ("--ev={exposure.ev:.3f}x{b}", ["exposure.ev", "b"]),
        ("{wb.temperature in K:d}", ["wb.temperature"]),
        ("{m[1, 2]:.2f}", ["m"]),
        ("{method:amaze=a|rcd=r c}", ["method"]),
        ("{beside/profiles/my camera.dcp}", ["beside/profiles/my camera.dcp"]),
        ('{"a": {"b": {ev}}}', ["ev"]),
        ("{{ev}}", []),
        ("{ ev }", []),
        ("{}", []),
        ("{1}", []),
        ("{ev", []),
        ("{a\nb}", []),
        ("a { color: red }", []),
    ],
)
def test_what_is_a_placeholder(text: str, names: list[str]) -> None:
    assert [found.name for found in placeholders(parse(text))] == names


def test_the_parts_of_a_placeholder() -> None:
    (found,) = placeholders(parse("first line\n  {m[1,2] in %:.2f|;}"))
    assert found == Placeholder("{m[1,2] in %:.2f|;}", "m", (1, 2), "%", ".2f|;", 2)


def test_doubled_braces_are_one_around_what_would_be_a_placeholder_and_stay_elsewhere() -> None:
    assert parse("{{color:red}} {{ }} }} {{") == ("{color:red} {{ }} }} {{",)


def test_a_template_may_have_marks_of_its_own() -> None:
    pieces = parse("a{color:red} <<ev:.1f>> <<<<ev>>>>", ("<<", ">>"))
    assert pieces == ("a{color:red} ", Placeholder("<<ev:.1f>>", "ev", (), None, ".1f", 1), " <<ev>>")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet='ab {:}\n\\"é', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="ab.", max_size=3), inner, max_size=3),
)


@given(JSON, st.sampled_from([None, 2]))
def test_json_needs_nothing_done_to_it_but_inside_its_texts(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    strings = [found.text for found in placeholders(parse(text))]
    assert all(any(each in json.dumps(string) for string in _strings(value)) for each in strings)
    if not strings and "{{" not in text:
        assert template.fill(parse(text), {}) == text


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *_strings(each))]
    return []


@given(st.text(alphabet="{}ab: .[1]\n", max_size=30))
def test_what_is_not_filled_in_comes_back_as_it_was(text: str) -> None:
    pieces = parse(text)
    again = template.fill(pieces, {each: each.text for each in placeholders(pieces)})
    assert again == text or "{{" in text


# ---- numbers


@pytest.mark.parametrize(
    ("text", "unit", "value", "expected"),
    [
        ("{p}", "ev", 0.5, "0.5"),
        ("{p}", "", 3.0, "3"),
        ("{p}", "", -0.0, "0"),
        ("{p}", "", 1e-7, "0.0000001"),
        ("{p}", "", 0.1 + 0.2, "0.30000000000000004"),
        ("{p:.3f}", "ev", 1 / 3, "0.333"),
        ("{p:.2f}", "", -0.001, "0.00"),
        ("{p:+.2f}", "", 0.5, "+0.50"),
        ("{p:d}", "", 5503.6, "5504"),
        ("{p:05d}", "", 42.0, "00042"),
        ("{p:.3e}", "", 1234.5, "1.234e+03"),
        ("{p}", "%", 110.0, "110"),
        ("{p in %:.1f}", "", 0.255, "25.5"),
        ("{p in one}", "%", 50.0, "0.5"),
        ("{p in s}", "ms", 250.0, "0.25"),
        ("{p in mired:d}", "K", 5000.0, "200"),
        ("{p in K:d}", "mired", 200.0, "5000"),
    ],
)
def test_numbers(text: str, unit: str, value: float, expected: str) -> None:
    assert written(text, slider(unit), value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_plain_number_reads_back_as_itself(value: float) -> None:
    text = template.digits(value)
    assert float(text) == value
    assert "e" not in text


def test_a_unit_of_something_else_is_refused() -> None:
    error = refused("{p in K}", slider("ev"))
    assert "p is declared in ev" in error.message
    assert "temperature" in error.message


def test_an_unknown_unit_names_the_nearest() -> None:
    assert refused("{p in mirek}", slider("K")).hint == "did you mean mired?"


@pytest.mark.parametrize("form", ["s", "x", ".f", "r", ">10", ".3d", "n", "%"])
def test_what_is_no_format_of_a_number_is_refused(form: str) -> None:
    assert "p" in refused(f"{{p:{form}}}", slider()).message


def test_the_code_of_a_register() -> None:
    assert written("{p:code}", REGISTER, 1.5) == "384"
    assert written("{p}", REGISTER, 1.5) == "1.5"
    assert "no code" in refused("{p:code}", slider()).message


# ---- texts


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [("{p}", True, "true"), ("{p}", False, "false"), ("{p:1|0}", True, "1"), ("{p:--clip|}", False, "")],
)
def test_toggles(text: str, value: bool, expected: str) -> None:
    assert written(text, TOGGLE, value) == expected


def test_a_toggle_has_two_texts() -> None:
    assert "on and for off" in str(refused("{p:a|b|c}", TOGGLE))


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{p}", "rcd", "rcd"),
        ("{p:rcd_vng4=rcd+vng4}", "rcd_vng4", "rcd+vng4"),
        ("{p:rcd_vng4=rcd+vng4}", "amaze", "amaze"),
        ("{p:0|1|2}", "rcd", "1"),
        ("{p:amaze=|rcd=-rf}", "amaze", ""),
        ("{p:amaze=|rcd=-rf}", "rcd", "-rf"),
        ("{p:amaze=x=y}", "amaze", "x=y"),
    ],
)
def test_choices(text: str, value: str, expected: str) -> None:
    assert written(text, choice("amaze", "rcd", "rcd_vng4"), value) == expected


def test_a_text_for_an_option_that_is_none_names_the_nearest() -> None:
    error = refused("{p:amase=a}", choice("amaze", "rcd"))
    assert error.message.endswith("p has no option amase")
    assert error.hint == "did you mean amaze?"


def test_too_few_texts_for_a_choice_are_refused() -> None:
    assert "3 options, not 2" in refused("{p:a|b}", choice("x", "y", "z")).message


@pytest.mark.parametrize(("text", "what"), [("{p in K}", "no unit"), ("{p[0]}", "no elements")])
def test_a_choice_has_neither_unit_nor_elements(text: str, what: str) -> None:
    assert what in refused(text, choice("a", "b")).message


# ---- tables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{p[3]:.2f}", "0.75"),
        ("{p}", "0,0.25,0.5,0.75,1"),
        ("{p:.1f|;}", "0.0;0.2;0.5;0.8;1.0"),
        ("{p in %:d| }", "0 25 50 75 100"),
    ],
)
def test_curves(text: str, expected: str) -> None:
    assert written(text, table(5), "identity") == expected


def test_matrices_by_rows() -> None:
    value = Array(shape=(2, 2), values=(1, 2, 3, 4))
    assert written("{p[1,0]}", table(2, 2), value) == "3"
    assert written("{p:.1f|, |; }", table(2, 2), value) == "1.0, 2.0; 3.0, 4.0"


@pytest.mark.parametrize("text", ["{p[5]}", "{p[0,0]}"])
def test_an_element_that_is_none_is_refused(text: str) -> None:
    assert "5 elements" in refused(text, table(5)).message


def test_a_table_that_is_kept_in_a_file_cannot_be_written_down() -> None:
    value = FileReference(path="warm.cube", sha256="0" * 64)
    with pytest.raises(ExecutorError, match=r"warm\.cube") as error:
        written("{p}", Table(kind="lut", name="p", shape=(2, 2, 2, 3), hard=None, default=0, location=HERE), value)
    assert error.value.fault is Fault.SETTINGS


# ---- names


@pytest.mark.parametrize(
    ("name", "hint"),
    [("exposure.EV", "{exposure.ev}"), ("ev", "{exposure.ev}"), ("imag", "{image}"), ("contrst", "{contrast}")],
)
def test_a_name_of_nothing_suggests_the_nearest(name: str, hint: str) -> None:
    slots = [Slot("exposure.ev", slider("ev"), 0.0), Slot("contrast", slider(), 0.0)]
    (found,) = placeholders(parse(f"{{{name}}}"))
    assert f"did you mean {hint}?" in str(template.unknown(found, ["image", "result"], slots))


def test_a_name_of_nothing_lists_what_there_is_and_how_to_write_it_plainly() -> None:
    (found,) = placeholders(parse("{color:red}"))
    error = template.unknown(found, ["image"], [Slot("ev", slider(), 0.0)])
    assert error.message == "{color:red} names nothing"
    assert error.hint == "known are {image}, {ev} (a text that is no placeholder is written {{color:red}})"
