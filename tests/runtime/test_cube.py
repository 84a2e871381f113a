"""The Cube LUT reader: colour-science as the oracle, and every way in which a file can be wrong."""

from __future__ import annotations

from pathlib import Path

import colour
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.ir.cube import cube_numbers
from ispdsl.runtime.cube import CubeError, format_cube, parse_cube, read_cube

ROWS = "\n".join(["0 0 0", "1 0 0", "0 1 0", "1 1 0", "0 0 1", "1 0 1", "0 1 1", "1 1 1"])
GOOD = f'# a comment\nTITLE "two points"\nLUT_3D_SIZE 2\nDOMAIN_MIN 0.0 0.0 0.0\nDOMAIN_MAX 1 1 1\n\n{ROWS}\n'


def test_red_runs_fastest() -> None:
    table = parse_cube(GOOD, "good.cube")
    assert table.shape == (2, 2, 2, 3)
    for r, g, b in np.ndindex(2, 2, 2):
        assert table[r, g, b].tolist() == [r, g, b]


def test_a_written_table_reads_back_here_and_in_colour_science(tmp_path: Path) -> None:
    table = np.random.default_rng(0).random((5, 5, 5, 3))
    path = tmp_path / "random.cube"
    path.write_text(format_cube(table, "random", ["for a test"]), encoding="ascii")
    np.testing.assert_allclose(read_cube(path), table, atol=5.1e-7)
    oracle = colour.io.read_LUT_IridasCube(str(path))
    np.testing.assert_allclose(read_cube(path), np.asarray(oracle.table), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "LUT_3D_SIZE is missing"),
        ("0 0 0\n", "line 1: a row of numbers before LUT_3D_SIZE"),
        ("LUT_3D_SIZE 1\n", "line 1: LUT_3D_SIZE 1 is out of range"),
        ("LUT_3D_SIZE 130\n", "line 1: LUT_3D_SIZE 130 is out of range"),
        ("LUT_3D_SIZE 99999999999999\n", "line 1: LUT_3D_SIZE takes one whole number"),
        ("LUT_3D_SIZE two\n", "line 1: LUT_3D_SIZE takes one whole number"),
        ("LUT_3D_SIZE 2\nLUT_3D_SIZE 2\n", "line 2: LUT_3D_SIZE is given twice"),
        ("LUT_1D_SIZE 4\n", "line 1: a one-dimensional table"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 2 2 2\n", "line 2: DOMAIN_MAX is not 1 1 1"),
        ("LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.0 2.0\n", "line 2: LUT_3D_INPUT_RANGE is not 0 1"),
        ("COLOUR yes\n", "line 1: unknown keyword 'COLOUR'"),
        ("LUT_3D_SIZE 2\n0 0\n", "line 2: '0 0' is not 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0 0 nan\n", "line 2: '0 0 nan' is not 3 finite numbers"),
        ("LUT_3D_SIZE 2\nnan 0 0\n", "line 2: 'nan 0 0' is not 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0 0 1e999\n", "line 2: '0 0 1e999' is not 3 finite numbers"),
        ("LUT_3D_SIZE 2\n0,0 0 0\n", "line 2: '0,0 0 0' is not 3 finite numbers"),
        (f"LUT_3D_SIZE 2\n{ROWS}\n0 0 0\n", "line 10: more than 8 rows"),
        ("LUT_3D_SIZE 2\n0 0 0\n", "ends after 1 of 8 rows"),
        ("#" * 300, "line 1: longer than 250 characters"),
    ],
)
def test_wrong_files_are_told_where_and_how_to_mend(text: str, message: str) -> None:
    with pytest.raises(CubeError, match=r"wrong\.cube") as caught:
        parse_cube(text, "wrong.cube")
    assert message in caught.value.message
    assert caught.value.hint


def test_the_input_range_that_grading_programs_write_is_accepted() -> None:
    text = GOOD.replace("DOMAIN_MIN", "LUT_3D_INPUT_RANGE 0.0 1.0\nDOMAIN_MIN")
    np.testing.assert_array_equal(parse_cube(text, "range.cube"), parse_cube(GOOD, "good.cube"))


def test_rows_of_a_large_table_are_counted_and_not_read() -> None:
    large = "LUT_3D_SIZE 3\n" + "0 0 0\n" * 26
    assert cube_numbers(large + "0 x 0\n", "large.cube", most=2) == (3, [])
    for rest, message in (("", "ends after 26 of 27 rows"), ("0 0 0\n0 0 0\n", "line 29: more than 27 rows")):
        with pytest.raises(CubeError, match=message):
            cube_numbers(large + rest, "large.cube", most=2)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="cannot read"):
        read_cube(tmp_path / "missing.cube")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "noise.cube"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(CubeError):
        read_cube(path)


@given(
    st.lists(st.sampled_from(["LUT_3D_SIZE 2", *ROWS.splitlines(), "TITLE", "\x00", "0x10 0 0", "1_0 0 0", "-", "é"]))
)
def test_any_text_gives_a_table_or_a_cube_error(lines: list[str]) -> None:
    try:
        table = parse_cube("\n".join(lines), "fuzz.cube")
    except CubeError:
        return
    assert table.shape == (2, 2, 2, 3)
