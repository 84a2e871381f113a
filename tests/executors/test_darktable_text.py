"""Fields of structs, sidecars and darktable's own words: all that needs no darktable."""

from __future__ import annotations

import base64
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.errors import CompileError
from ispdsl.executors.darktable_cli import check_modules, check_version, command_line, pictures
from ispdsl.executors.darktable_fields import Entry, Module, pack, read_module, unpack
from ispdsl.executors.darktable_xmp import MAX_FILE, decode_history, encode_history, read_sidecar
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.ir.params import Array
from ispdsl.lower.loader import load

STAGE = """
stage own(image: rgb<linear_rec2020, f32>) -> rgb<linear_rec2020, f32> {{
  toggle on_or_off = on
  slider amount in -100%..100% = 25%
  slider gain in 0..8 = 1
  choice method in {{slow, fast}} = fast
  matrix mix[2, 2] in -2..2 = identity
  meta   as_shot_neutral: vector<3>
  executor darktable("own", version = 3, enabled = on_or_off, fields = [{fields}])
  property pointwise
}}
"""
FIELDS = (
    "f32 amount = amount / 100",
    "f32[2] gap = 7",
    "f32 red = gain / as_shot_neutral[0]",
    "i32 method = method {slow: 4, fast: 9}",
    "u16[3] neutral = as_shot_neutral * 1000",
    "f32 a = mix[0, 0]",
    "f32 b = mix[0, 1]",
    "f32 c = mix[1, 0]",
    "f32 d = mix[1, 1]",
    "f32 empty = nan",
)
LAYOUT = "<f2ffi3H5f"
METADATA = {"as_shot_neutral": np.array([0.5, 1.0, 0.25])}


def module(folder: Path, *fields: str, text: str = STAGE) -> Module:
    path = folder / "own.isp"
    quoted = ", ".join(f'"{field}"' for field in fields)
    path.write_text(text.format(fields=quoted), encoding="utf-8")
    signature = next(iter(load(path).stages.values())).signature
    return read_module(signature, next(each for each in signature.implementations if each.kind == "executor"))


def settings(amount: float = 25.0, gain: float = 1.5, method: str = "fast") -> dict[str, object]:
    mix = Array(shape=(2, 2), values=(1.0, 0.25, -0.5, 2.0))
    return {"on_or_off": True, "amount": amount, "gain": gain, "method": method, "mix": mix}


# ---- fields -------------------------------------------------------------------------------------------------


def test_a_struct_is_packed_in_the_order_of_its_fields(tmp_path: Path) -> None:
    entry = pack(module(tmp_path, *FIELDS), settings(), METADATA)  # type: ignore[arg-type]
    values = struct.unpack(LAYOUT, entry.params)
    assert values[:5] == (0.25, 7.0, 7.0, 3.0, 9)
    assert values[5:8] == (500, 1000, 250)
    assert values[8:12] == (1.0, 0.25, -0.5, 2.0)
    assert np.isnan(values[12])
    assert (entry.operation, entry.version, entry.enabled) == ("own", 3, True)


def test_identity_of_a_matrix_is_the_unit_matrix(tmp_path: Path) -> None:
    entry = pack(module(tmp_path, *FIELDS), {**settings(), "mix": "identity"}, METADATA)  # type: ignore[arg-type]
    assert struct.unpack(LAYOUT, entry.params)[8:12] == (1.0, 0.0, 0.0, 1.0)


@given(
    st.floats(-100, 100, width=32),
    st.floats(0.001953125, 8, width=32),
    st.sampled_from(["slow", "fast"]),
    st.booleans(),
)
def test_what_is_packed_is_read_back_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, amount: float, gain: float, method: str, on: bool
) -> None:
    own = module(tmp_path_factory.mktemp("own"), *FIELDS)
    entry = pack(own, {**settings(amount, gain, method), "on_or_off": on}, METADATA)  # type: ignore[arg-type]
    found = unpack(own, entry, METADATA)
    assert found["method"] == method
    assert found["on_or_off"] is on
    assert found["amount"] == pytest.approx(amount, rel=1e-6, abs=1e-30)
    assert pack(own, found, METADATA) == entry


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("f32 red = gain / 2 extra", "is no field"),
        ("f99 red = gain", "unknown type"),
        ("f32 red = gaim", "did you mean gain"),
        ("f32 red = gain[0]", "does not name an element"),
        ("f32 red = mix[0]", "does not name an element"),
        ("f32 red = mix[0, 2]", "does not name an element"),
        ("f32 red = 1 / gain", "cannot be undone"),
        ("f32 red = gain * amount", "cannot be undone"),
        ("i32 method = method {slow: 4}", "a code of its own"),
        ("i32 method = method {slow: 4, fast: 4}", "a code of its own"),
        ("i32 method = method {slow: 4, quick: 5}", "a code of its own"),
        ("i32 method = method", "a code of its own"),
        ("f32 red = gain {slow: 1}", "no choice"),
        ("u8[9000000] gap = 0", "repeats"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(tmp_path: Path, field: str, word: str) -> None:
    with pytest.raises(CompileError, match=word):
        module(tmp_path, *FIELDS, field)


def test_a_parameter_that_reaches_no_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="mix of the stage reaches no field"):
        module(tmp_path, *FIELDS[:-2])


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('"own", version', "version", "does not name darktable's operation"),
        ("version = 3", "version = 3.5", "whole number"),
        ("version = 3, ", "", "whole number"),
        ("enabled = on_or_off", "enabled = gain", "names no toggle"),
        ("enabled = on_or_off", "enable = on_or_off", "enable means nothing"),
    ],
)
def test_a_wrong_line_is_refused(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(CompileError, match=word):
        module(tmp_path, *FIELDS, text=STAGE.replace(old, new))


def test_metadata_must_be_there_and_whole_numbers_must_fit(tmp_path: Path) -> None:
    own = module(tmp_path, *FIELDS)
    with pytest.raises(ExecutorError, match="needs as_shot_neutral") as error:
        pack(own, settings(), {})  # type: ignore[arg-type]
    assert error.value.fault is Fault.SETTINGS
    with pytest.raises(ExecutorError, match="does not fit"):
        pack(own, settings(), {"as_shot_neutral": np.array([0.5, 100.0, 0.25])})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "value", "word"),
    [(1, 8.0, "gap is 8, and the text holds it at 7"), (4, 5, "no option of that code"), (12, 1.0, "empty is 1")],
)
def test_what_no_setting_can_say_is_refused(tmp_path: Path, index: int, value: float, word: str) -> None:
    own = module(tmp_path, *FIELDS)
    values = list(struct.unpack(LAYOUT, pack(own, settings(), METADATA).params))  # type: ignore[arg-type]
    values[index] = value
    with pytest.raises(ExecutorError, match=word) as error:
        unpack(own, Entry("own", 3, struct.pack(LAYOUT, *values)), METADATA)
    assert error.value.fault is Fault.SETTINGS


@pytest.mark.parametrize(("version", "more"), [(4, b""), (3, b"\0")])
def test_another_version_or_size_is_refused(tmp_path: Path, version: int, more: bytes) -> None:
    own = module(tmp_path, *FIELDS)
    params = pack(own, settings(), METADATA).params + more  # type: ignore[arg-type]
    with pytest.raises(ExecutorError, match="the text states version 3") as error:
        unpack(own, Entry("own", version, params), METADATA)
    assert error.value.fault is Fault.VERSION


# ---- sidecars -----------------------------------------------------------------------------------------------

ENTRIES = (Entry("exposure", 6, bytes(range(24))), Entry("vibrance", 2, b"\0\0\xc8A", enabled=False))


def test_a_history_survives_the_way_there_and_back() -> None:
    assert decode_history(encode_history(ENTRIES), "own.xmp") == {each.operation: each for each in ENTRIES}


def gz(data: bytes) -> str:
    return "gz09" + base64.b64encode(zlib.compress(data)).decode()


def test_deflated_parameters_are_read() -> None:
    text = encode_history(ENTRIES).replace(bytes(range(24)).hex().encode(), gz(b"much" * 500).encode())
    assert decode_history(text, "own.xmp")["exposure"].params == b"much" * 500


def test_later_entries_replace_earlier_ones_and_those_beyond_the_end_do_not_count() -> None:
    entries = (Entry("sharpen", 1, b"\1" * 12), Entry("sharpen", 1, b"\2" * 12), Entry("sharpen", 1, b"\3" * 12))
    text = encode_history(entries).replace(b'history_end="3"', b'history_end="2"')
    assert decode_history(text, "own.xmp")["sharpen"].params == b"\2" * 12


BOMB = base64.b64encode(zlib.compress(bytes(2**24), 9)).decode()
VIBRANCE = b'params="0000c841"'


@pytest.mark.parametrize(
    ("old", "new", "fault", "word"),
    [
        (b"<x:xmpmeta", b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta', Fault.GARBAGE, "DOCTYPE"),
        (b"<x:xmpmeta", b"<x:xmpmeta <", Fault.GARBAGE, "no XML"),
        (VIBRANCE, b'params="gz99' + BOMB.encode() + b'"', Fault.GARBAGE, "longer than|characters"),
        (VIBRANCE, b'params="gz09!!"', Fault.GARBAGE, "cannot be decoded"),
        (VIBRANCE, b'params="0000c8"', Fault.GARBAGE, None),
        (VIBRANCE, b'params="0000c84"', Fault.GARBAGE, "cannot be decoded"),
        (VIBRANCE, b'params="' + b"00" * 200_000 + b'"', Fault.GARBAGE, "characters"),
        (b'history_end="2"', b'history_end="many"', Fault.GARBAGE, "no number"),
        (b'modversion="2"', b'modversion="-2"', Fault.GARBAGE, "no number"),
        (b'operation="vibrance"', b'operation="../vibrance"', Fault.GARBAGE, "no operation"),
        (b"darktable:history_end", b"darktable:something", Fault.GARBAGE, "no history"),
        (b'iop_order_version="2"', b'iop_order_version="1"', Fault.SETTINGS, "module order"),
        (b'num="1"', b'num="1" darktable:blendop_params="01000000"', Fault.SETTINGS, "blends vibrance"),
        (b'vibrance" darktable:enabled="0"', b'vibrance" darktable:multi_priority="1" x="0"', Fault.GARBAGE, None),
    ],
)
def test_a_sidecar_from_a_stranger_claims_what_it_likes(old: bytes, new: bytes, fault: Fault, word: str | None) -> None:
    text = encode_history(ENTRIES)
    assert old in text
    changed = text.replace(old, new, 1)
    if word is None and old == VIBRANCE:  # a shorter struct is for the module to refuse
        assert decode_history(changed, "own.xmp")["vibrance"].params == b"\0\0\xc8"
        return
    with pytest.raises(ExecutorError, match=word) as error:
        decode_history(changed, "own.xmp")
    assert error.value.fault is fault


def test_a_second_instance_is_refused() -> None:
    head, _, tail = encode_history(ENTRIES).rpartition(b'multi_priority="0"')
    with pytest.raises(ExecutorError, match="several instances of vibrance"):
        decode_history(head + b'multi_priority="1"' + tail, "own.xmp")


def test_a_file_too_large_or_missing_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.xmp"
    large.write_bytes(b" " * (MAX_FILE + 1))
    with pytest.raises(ExecutorError, match="larger than") as error:
        read_sidecar(large)
    assert error.value.fault is Fault.GARBAGE
    with pytest.raises(ExecutorError, match="cannot be read") as error:
        read_sidecar(tmp_path / "none.xmp")
    assert error.value.fault is Fault.MISSING


# ---- darktable's words --------------------------------------------------------------------------------------

WORDS = """
[dev_read_history] module `vibrance' version mismatch: history is 7, darktable is 2.
[dt_imageio_export_with_flags]\x20
 colorin colorout finalscale gamma (4)
[export_job] exported to `out/s0000_00.pfm'
[dt_imageio_export_with_flags]\x20
 colorin vibrance colorout finalscale gamma (5)
[export_job] exported to `out/s0001_00.pfm'
"""


def test_modules_are_told_of_each_picture() -> None:
    said = pictures(WORDS)
    assert list(said) == ["s0000_00", "s0001_00"]
    assert said["s0001_00"].modules == ("colorin", "vibrance", "colorout", "finalscale", "gamma")
    ends = ("colorin", "colorout", "finalscale", "gamma")
    check_modules(said["s0001_00"], ["vibrance"], ends, "4.2.1")
    with pytest.raises(ExecutorError, match="version mismatch: history is 7") as error:
        check_modules(said["s0000_00"], ["vibrance"], ends, "4.2.1")
    assert error.value.fault is Fault.VERSION
    assert "version mismatch" not in said["s0001_00"].words


def test_a_darktable_that_does_not_tell_is_not_believed() -> None:
    for text in (WORDS.replace("(5)", "(7)"), WORDS.replace(" colorin vibrance", " COLORIN vibrance")):
        with pytest.raises(ExecutorError, match="does not say which modules") as error:
            check_modules(pictures(text)["s0001_00"], ["vibrance"], ("colorin",), "4.2.1")
        assert error.value.fault is Fault.VERSION


def test_nothing_of_the_users_takes_part(tmp_path: Path) -> None:
    command = command_line(tmp_path, 1)
    pairs = dict(pairwise(command))
    assert pairs["--apply-custom-presets"] == "false"
    assert pairs["--library"] == ":memory:"
    assert pairs["--configdir"] == str(tmp_path)
    assert pairs["--conf"] == "plugins/darkroom/workflow=none"
    assert pairs["-t"] == "1"
    assert "-t" not in command_line(tmp_path, None)


def test_versions_are_known_or_vouched_for() -> None:
    check_version("4.2.1", ())
    check_version("4.8.0", ("4.8.0",))
    with pytest.raises(ExecutorError, match="not known here"):
        check_version("4.8.0", ())
