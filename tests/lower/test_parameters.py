"""Parameters: units, ranges, registers, tables, and what a call binds them to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.ir.params import Array, BitField, FileReference, FixedPoint, Register, Slider, Table
from ispdsl.ir.units import UNITS, canonical, convert
from tests.lower.texts import GAIN, codes, lowered, nodes, pipeline, stage, the_stage, told


def parameter(line: str) -> object:
    return the_stage(lowered(stage(line))).signature.parameters[0]


# ---- units -----------------------------------------------------------------------------------------------


def test_a_number_is_kept_in_the_declared_unit() -> None:
    found = parameter("slider t in 0ms..1s soft 1ms..500ms = 20000us")
    assert isinstance(found, Slider)
    assert (found.unit, found.hard, found.soft, found.default) == ("ms", (0, 1000), (1, 500), 20)


@given(st.floats(-1e6, 1e6), st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_conversion_keeps_the_canonical_value(value: float, given: str, wanted: str) -> None:
    if UNITS[given].dimension != UNITS[wanted].dimension:
        with pytest.raises(ValueError, match="measures"):
            convert(value, given, wanted)
    else:
        assert canonical(convert(value, given, wanted), wanted) == pytest.approx(canonical(value, given), rel=1e-12)


def test_zero_needs_no_unit_and_another_number_does() -> None:
    assert codes(stage("slider ev in -4ev..4ev = 0")) == []
    assert codes(stage("slider ev in -4ev..4ev = 1")) == ["E402"]
    assert codes(stage("slider ev in -4ev..4ev = 1K")) == ["E402"]
    assert codes(stage("slider plain in 0..4 = 50%")) == []


# ---- registers -------------------------------------------------------------------------------------------


def test_a_register_knows_its_field_and_range() -> None:
    found = parameter("register gain @ 0x104[27:16] : u4.8 in 0.5..8 = 1.625")
    assert isinstance(found, Register)
    twelve = FixedPoint(signed=False, integer_bits=4, fraction_bits=8)
    assert found.field == BitField(address=0x104, high=27, low=16, format=twelve)
    assert (found.hard, found.soft, found.default) == ((0.5, 8), (0.5, 8), 1.625)


def test_a_register_has_a_soft_range_within_its_range() -> None:
    found = parameter("register gain @ 0x104[27:16] : u4.8 in 0.5..8 soft 1..4 = 1.625")
    assert isinstance(found, Register)
    assert (found.hard, found.soft) == ((0.5, 8), (1, 4))
    assert codes(stage("register gain @ 0x104[27:16] : u4.8 in 0.5..8 soft 0.25..4 = 1.625")) == ["E404"]
    assert codes(stage("register gain @ 0x104[27:16] : u4.8 in 0.5..8 soft 4..1 = 1.625")) == ["E403"]


def test_a_register_without_a_range_takes_that_of_its_format() -> None:
    found = parameter("register coef @ 0x400[12:0] : s4.8 = -1")
    assert isinstance(found, Register)
    assert found.hard == (-16.0, 15.99609375)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("0x100[11:0]", "0x100[23:12]", False),
        ("0x100[11:0]", "0x100[22:11]", True),
        ("0x100[31:20]", "0x104[11:0]", False),
        ("0x100[31:20]", "0x103[11:0]", True),  # byte 3 of the word at 0x100
        ("0x100[31:20]", "0x102[11:0]", True),
        ("0x102[11:0]", "0x100[11:0]", False),
        ("0x101[11:0]", "0x100[11:0]", True),
    ],
)
def test_overlaps_of_bit_fields(first: str, second: str, overlap: bool) -> None:
    found = codes(stage(f"register a @ {first} : u12 = 0", f"register b @ {second} : u12 = 0"))
    assert found == (["E412"] if overlap else [])


def test_every_overlapping_register_is_reported_once() -> None:
    wide = "register wide @ 0x100[31:0] : u32 = 0"
    small = [f"register r{n} @ 0x100[{4 * n + 3}:{4 * n}] : u4 = 0" for n in range(4)]
    found = told(stage(wide, *small))
    assert [d.code for d in found] == ["E412"] * 4
    assert all("wide" in d.message for d in found)


@pytest.mark.parametrize("text", ["u8", "u4.8", "s4.8", "u32", "s3.28", "u0.8"])
def test_formats_print_as_written(text: str) -> None:
    found = FixedPoint.parse(text)
    assert found is not None
    assert str(found) == text


@pytest.mark.parametrize("text", ["u33", "s31.1", "u0", "u", "x8", "u8.", "8", "u100", "s16.16"])
def test_wrong_formats(text: str) -> None:
    assert FixedPoint.parse(text) is None


# ---- tables ----------------------------------------------------------------------------------------------


def test_tables_keep_what_is_written() -> None:
    curve, matrix, flat = (
        parameter(line)
        for line in (
            "curve points[4] in 0%..200% = [0, 50%, 1%, 2%]",
            "matrix m[2, 3] = [[1, 2, 3], [4, 5, 6]]",
            "lut table[6, 2, 2, 3] = [0, 1, 1]",
        )
    )
    assert isinstance(curve, Table)
    assert (curve.unit, curve.hard, curve.default) == ("%", (0, 200), Array(shape=(4,), values=(0, 50, 1, 2)))
    assert isinstance(matrix, Table)
    assert matrix.default == Array(shape=(2, 3), values=(1, 2, 3, 4, 5, 6))
    assert isinstance(flat, Table)
    assert flat.shape == (6, 2, 2, 3)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("matrix m[3, 3] = identity", []),
        ("matrix m[2, 3] = identity", ["E407"]),
        ("curve c[1] = identity", ["E407"]),
        ("lut t[3, 3, 3, 3] = identity", []),
        ("lut t[3, 3, 3, 2] = identity", ["E407"]),
        ("matrix m[3, 3] = 0", []),
        ("matrix m[3, 3] = 1", ["E416"]),
        ("matrix m[3, 3] = [1, 2, 3]", ["E416"]),
        ("matrix m[3, 3] = [[1], [2], [3]]", ["E416"]),
        ("lut t[3, 3] = [1, 2, 3]", []),
        ("lut t[3, 3] = [[1], [2], [3]]", []),
        ("lut t[3, 3] = 2", []),
        ("matrix m[3, 3] = [[[1]]]", ["E416"]),
        ("curve c[3] = [1, [2], 3]", ["E416"]),
        ("curve c[3] = [[], []]", ["E416"]),
    ],
)
def test_identity_and_broadcasting(line: str, found: list[str]) -> None:
    assert codes(stage(line)) == found


# ---- files of tables ---------------------------------------------------------------------------------------

CUBE = "LUT_3D_SIZE 2\n" + "0 0.5 1\n" * 8


def test_a_file_is_found_beside_the_text_and_named_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "warm.cube").write_text(CUBE)
    module = lowered(stage('lut look[2, 2, 2, 3] = "looks/warm.cube"'), path=tmp_path / "test.isp")
    table = the_stage(module).signature.parameters[0]
    assert isinstance(table, Table)
    assert isinstance(table.default, FileReference)
    assert table.default.path == "looks/warm.cube"
    assert table.default.found == str(tmp_path / "looks" / "warm.cube")
    assert len(table.default.sha256) == 64
    assert str(tmp_path) not in module.model_dump_json()


def test_a_file_of_the_standard_library_is_found_from_anywhere(tmp_path: Path) -> None:
    assert codes(stage('lut look[33, 33, 33, 3] = "looks/soft_film.cube"'), path=tmp_path / "test.isp") == []


@pytest.mark.parametrize(
    "name",
    ["../secret.cube", "looks/../../secret.cube", "/etc/secret.cube", "C:\\\\secret.cube", "..", "", "secret.png"],
)
def test_files_outside_are_refused_even_when_they_are_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.cube").write_text("LUT_3D_SIZE 2\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    found = told(stage(f'lut look[2, 2, 2, 3] = "{name}"'), path=inner / "test.isp")
    assert [d.code for d in found] == ["E417"]
    assert "no file" not in found[0].message  # it was not even looked for


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "look.cube: LUT_3D_SIZE is missing"),
        ("LUT_3D_SIZE 2\n0 0 0\n", "look.cube: ends after 1 of 8 rows"),
        (CUBE + "0 0 0\n", "look.cube, line 10: more than 8 rows"),
        (CUBE.replace("0 0.5 1", "0 x 1", 1), "look.cube, line 2: '0 x 1' is not 3 finite numbers"),
        (CUBE + "LUT_3D_INPUT_RANGE 0.0 1.0\n", None),
        (CUBE + "LUT_3D_INPUT_RANGE 0 2\n", "look.cube, line 10: LUT_3D_INPUT_RANGE is not 0 1"),
    ],
)
def test_a_file_that_is_named_is_read(text: str, reason: str | None, tmp_path: Path) -> None:
    (tmp_path / "look.cube").write_text(text)
    found = told(stage('lut look[2, 2, 2, 3] = "look.cube"'), path=tmp_path / "test.isp")
    assert [(d.code, d.message) for d in found] == ([("E417", reason)] if reason else [])


def test_a_file_is_read_once_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "look.cube").write_text(CUBE)
    opened: list[Path] = []

    def counting(path: Path) -> bytes:
        opened.append(path)
        return path.read_bytes()

    monkeypatch.setattr("ispdsl.lower.tables.cube_content", counting)
    lines = [f'lut look_{n}[2, 2, 2, 3] = "look.cube"' for n in range(3)]
    assert codes(stage(*lines), path=tmp_path / "test.isp") == []
    assert opened == [tmp_path / "look.cube"]


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "looks.cube").mkdir()
    assert codes(stage('lut look[2, 2, 2, 3] = "looks.cube"'), path=tmp_path / "test.isp") == ["E417"]


# ---- what a call binds -----------------------------------------------------------------------------------------


def bindings(*lines: str, argument: str) -> dict[str, tuple[str, object, str | None, bool]]:
    module = lowered(GAIN, pipeline(*lines, f"out = image -> gain({argument})"))
    found = nodes(module)["gain"].parameters
    return {name: (b.source, b.value, b.name, b.fixed) for name, b in found.items()}


def test_bindings() -> None:
    assert bindings(argument="") == {}
    assert bindings(argument="amount = 150%") == {"amount": ("literal", 150, None, False)}
    assert bindings(argument="amount = fixed 150%") == {"amount": ("literal", 150, None, True)}
    driven = ("parameter", None, "strength", False)
    assert bindings("slider strength in 0..2 = 1", argument="amount = strength") == {"amount": driven}
    started = ("meta", None, "boost", False)
    assert bindings("meta boost: real", argument="amount = boost") == {"amount": started}
    frozen = ("meta", None, "boost", True)
    assert bindings("meta boost: real = 1.1", argument="amount = fixed boost") == {"amount": frozen}


def test_metadata_is_bound_to_constants_or_metadata() -> None:
    lift = stage(
        "meta bias: real<ev>", "meta more: vector<2> = [1, 2]", signature="lift(image: rgb<S, f32>) -> rgb<S, f32>"
    )
    module = lowered(lift, pipeline("meta shift: real<ev>", "out = image -> lift(bias = shift, more = [3, 4])"))
    found = nodes(module)["lift"].metas
    assert (found["bias"].source, found["bias"].name) == ("meta", "shift")
    assert found["more"].value == Array(shape=(2,), values=(3, 4))
    module = lowered(lift, pipeline("out = image -> lift(bias = 0.5ev)"))
    assert set(nodes(module)["lift"].metas) == {"bias"}


@pytest.mark.parametrize(
    ("lines", "argument", "found"),
    [
        ((), "amount = 500%", ["E406"]),
        ((), "amount = 1.5", ["E402"]),
        ((), "amount = wrong", ["E202"]),
        ((), "property = 1", ["E203"]),
        (("slider wide in 0..5 = 1",), "amount = wide", ["E422"]),
        (("slider ev in -1ev..1ev = 0ev",), "amount = ev", ["E402"]),
        (("toggle bright = on",), "amount = bright", ["E423"]),
        (("meta boost: real<ev>",), "amount = boost", ["E423"]),
        (("needs level: real",), "amount = level", ["E202"]),
        (("stat level = gain() as measured of image",), "amount = level", ["E202"]),
        (("slider strength in 0..2 = 1",), "amount = fixed strength", ["E425"]),
        (("slider strength in 2..0 = 1",), "amount = strength", ["E403"]),  # of what is wrong there is talk once
    ],
)
def test_wrong_bindings(lines: tuple[str, ...], argument: str, found: list[str]) -> None:
    assert codes(GAIN, pipeline(*lines, f"out = image -> gain({argument})")) == found


def test_the_name_of_a_property_is_no_parameter() -> None:
    brighten = stage("slider amount in 0..1 = 0", "property linear", signature="b(image: rgb<S, f32>) -> rgb<S, f32>")
    assert codes(brighten, pipeline("out = image -> b(linear = 3)")) == ["E203"]
    assert codes(stage("property linear", "property monotone in linear")) == ["E211"]


def test_a_parameter_is_no_metadata() -> None:
    lift = stage("meta bias: real", signature="lift(image: rgb<S, f32>) -> rgb<S, f32>")
    text = pipeline("slider shift in 0..1 = 0", "out = image -> lift(bias = shift)")
    assert codes(lift, text) == ["E202"]


def test_a_mistyped_name_is_not_missed_besides() -> None:
    lift = stage("meta bias: real", "needs level: real", signature="lift(image: rgb<S, f32>) -> rgb<S, f32>")
    assert codes(lift, pipeline("out = image -> lift(biass = 1, levle = 2)")) == ["E203", "E203"]
