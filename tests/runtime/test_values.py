from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispdsl.graph import build
from ispdsl.ir.params import Array, Choice, FileReference, Register, Slider, Table, Toggle
from ispdsl.passes.inline import inline
from ispdsl.runtime import faces
from ispdsl.runtime.reading import plain, read, text
from ispdsl.runtime.values import Settings, SettingsError, layered
from tests import modules as m

KINDS = m.stage(
    "kinds",
    {"image": m.RGB},
    {"out": m.RGB},
    "p:q",
    m.slider("amount", (-100.0, 100.0), 0.0, "%"),
    m.slider("temperature", (2000.0, 25000.0), 5500.0, "K", soft=(3000.0, 9000.0)),
    m.slider("strength", (0.0, 2.0), 1.0),
    m.slider("bins", (2.0, 64.0), 8.0, structural=True),
    m.slider("held", (0.0, 1.0), 0.5),
    m.register("gain", "u4.8", (0.5, 8.0), 1.0),
    m.choice("shape", "box", "cross"),
    m.toggle("on"),
    m.table("curve", "points", (3,), hard=(0.0, 1.0)),
    m.table("lut", "look", (2, 2, 2, 3)),
)


def kinds(**bindings) -> Settings:
    call = m.node("k", "kinds", {"image": "a"}, parameters={"held": (0.25,), **bindings})
    top = [m.meta("shot", "real<K>")]
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, [call], {"b": "k.out"}, metas=top)
    return Settings.of(build(m.module(KINDS, main)))


def refused(settings: Settings, address: str, value: object) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.set(address, value)
    return str(caught.value)


def test_everything_starts_where_the_text_says():
    settings = Settings.of(inline(build(m.finishing())))
    assert settings["exposure.ev"] == 0.3
    assert settings["denoise.strength"] == 0.35
    assert settings["denoise.soft.radius"] == 3.0
    assert settings["small.shape"] == "box"


@pytest.mark.parametrize(
    ("address", "given", "value"),
    [
        ("k.amount", 50, 50.0),
        ("k.amount", "0", 0.0),
        ("k.amount", "50%", 50.0),
        ("k.strength", "50%", 0.5),
        ("k.temperature", " 6500K ", 6500.0),
        ("k.temperature", "6.5e3", 6500.0),
        ("k.gain", "1.25", 1.25),
        ("k.shape", "cross", "cross"),
        ("k.on", "on", True),
        ("k.on", "False", False),
        ("k.on", True, True),
        ("k.points", "identity", "identity"),
        ("k.points", "[0, 0.25, 1]", m.array(0.0, 0.25, 1.0)),
        ("k.points", "[0, 25%, 1]", m.array(0.0, 0.25, 1.0)),
        ("k.points", [0, 0.25, 1], m.array(0.0, 0.25, 1.0)),
        ("k.points", "0.5", 0.5),
        ("k.look", "[[[[0, 1, 0]]]]", Array(shape=(1, 1, 1, 3), values=(0.0, 1.0, 0.0))),
    ],
)
def test_set_reads_numbers_units_names_switches_and_lists(address, given, value):
    before = kinds()
    after = before.set(address, given)
    assert after[address] == value
    assert address not in before.changed


@pytest.mark.parametrize(
    ("address", "given", "message"),
    [
        ("k.amont", 1, "did you mean k.amount"),
        ("amount", 1, "did you mean k.amount"),
        ("shape", 1, "did you mean k.shape"),
        ("zzz", 1, "`ispdsl plan FILE --parameters` lists its"),
        ("k.amount", 101, r"101% is outside the range -100%..100%"),
        ("k.amount", "-0.3", "in doubt: the parameter is a percentage; write -30% or -0.3%"),
        ("k.amount", "2", "write 2%"),
        ("k.amount", "1ev", "measures exposure"),
        ("k.amount", "1percent", "unknown unit percent"),
        ("k.temperature", "5500k", "did you mean K"),
        ("k.amount", "much", "is no number; a number in -100%..100%"),
        ("k.amount", "nan", "is no number"),
        ("k.amount", math.nan, "not finite"),
        ("k.amount", "1e999", "not finite"),
        ("k.amount", True, "is no number"),
        ("k.amount", None, "is no number"),
        ("k.amount", [1, 2], "is no number"),
        ("k.shape", "disc", "one of box, cross"),
        ("k.on", "maybe", "neither on nor off"),
        ("k.on", 1, "neither on nor off"),
        ("k.held", 0.5, "fixed in the pipeline"),
        ("k.bins", 16, "size of a type"),
        ("k.points", "[0, 1]", "a table of 2 does not fit 3"),
        ("k.points", "[0, [1, 2]]", "no number|differ"),
        ("k.points", "[[0, 1], 2]", "differ in length"),
        ("k.points", "[0, 1", "brackets do not match"),
        ("k.points", "0, 1]", "is no table"),
        ("k.points", "[]", "empty"),
        ("k.points", "[" * 10000, "nested too deeply"),
        ("k.points", [0, True, 1], "is no number"),
        ("k.points", [0, 2, 1], "2 is outside the range"),
        ("k.points", "ramp", "is no table"),
    ],
)
def test_set_says_what_is_wrong(address, given, message):
    found = refused(kinds(), address, given)
    assert any(part in found for part in message.split("|")), found


def test_update_reports_everything_at_once():
    with pytest.raises(SettingsError) as caught:
        kinds().update({"k.amount": 101, "k.ghost": 1, "k.strength": 1, "k.held": 0})
    assert [problem.address for problem in caught.value.problems] == ["k.amount", "k.ghost", "k.held"]
    assert "k.ghost" in str(caught.value)


def test_layers_apply_in_turn():
    settings = layered(kinds(), [{"k.amount": 1, "k.strength": 0.5}, {"k.amount": 2}])
    assert (settings["k.amount"], settings["k.strength"]) == (2.0, 0.5)
    with pytest.raises(SettingsError) as caught:
        layered(kinds(), [{"k.amount": 101}, {"k.ghost": 2}])
    assert len(caught.value.problems) == 2


def test_a_value_from_metadata_is_unset_until_resolved():
    settings = kinds(temperature="$shot")
    assert settings["k.temperature"] is None
    assert "k.temperature" not in settings.canonical()
    assert settings.resolved({"shot": 4321.0})["k.temperature"] == 4321.0
    assert settings.resolved({"shot": 99999.0})["k.temperature"] == 25000.0
    assert settings.set("k.temperature", 7000).resolved({"shot": 4321.0})["k.temperature"] == 7000.0
    assert settings.set("k.temperature", 7000).resolved({})["k.temperature"] == 7000.0
    with pytest.raises(SettingsError, match="the metadata shot, which the frame does not have"):
        settings.resolved({})
    with pytest.raises(SettingsError, match="not finite"):
        settings.resolved({"shot": math.nan})


def test_metadata_of_a_table_is_an_array():
    class Array3:
        def tolist(self):
            return [0.0, 0.5, 2.0]

    settings = kinds(points="$shot")
    assert settings.resolved({"shot": Array3()})["k.points"] == m.array(0.0, 0.5, 1.0)
    with pytest.raises(SettingsError, match="does not fit"):
        settings.resolved({"shot": [1.0, 2.0]})


def test_canonical_values_leave_out_what_is_fixed():
    canonical = kinds().set("k.amount", "50%").canonical()
    assert canonical["k.amount"] == 0.5
    assert canonical["k.points"] == m.array(0.0, 0.5, 1.0)
    assert canonical["k.shape"] == "box"
    assert canonical["k.on"] is False
    assert "k.held" not in canonical
    assert "k.bins" not in canonical


def test_a_file_is_read_only_where_a_folder_is_given(tmp_path: Path):
    (tmp_path / "warm.cube").write_text("LUT_3D_SIZE 2\n")
    look = kinds().set("k.look", "warm.cube", tmp_path)["k.look"]
    assert isinstance(look, FileReference)
    assert (look.path, look.found) == ("warm.cube", str(tmp_path / "warm.cube"))
    assert "is no table" in refused(kinds(), "k.look", "warm.cube")
    with pytest.raises(SettingsError, match=r"cannot read cold\.cube"):
        kinds().set("k.look", "cold.cube", tmp_path)
    with pytest.raises(SettingsError, match=r"is not read from a \.cube file"):
        kinds().set("k.points", "warm.cube", tmp_path)


@pytest.mark.parametrize("name", [p.name for p in KINDS.signature.parameters])
@given(data=st.data())
def test_what_is_written_reads_back_exactly(name, data):
    declaration = next(p for p in KINDS.signature.parameters if p.name == name)
    match declaration:
        case Slider() | Register():
            value = data.draw(st.floats(*declaration.hard))
        case Choice():
            value = data.draw(st.sampled_from(declaration.options))
        case Toggle():
            value = data.draw(st.booleans())
        case Table(shape=shape):
            numbers = data.draw(st.lists(st.floats(0, 1), min_size=math.prod(shape), max_size=math.prod(shape)))
            value = Array(shape=shape, values=tuple(numbers))
    assert read(declaration, plain(declaration, value)) == faces.check(declaration, value)


def test_values_for_people():
    slots = {slot.address: slot.declaration for slot in kinds().slots}
    assert text(slots["k.amount"], 50.0) == "50%"
    assert text(slots["k.on"], True) == "on"
    assert text(slots["k.points"], m.array(0.0, 1.0, 1.0)) == "3 numbers"
    assert text(slots["k.temperature"], None) == "unset"


def test_a_hint_repeats_nothing():
    for address, value in (("k.amount", 101), ("k.shape", "disc")):
        with pytest.raises(SettingsError) as caught:
            kinds().set(address, value)
        assert caught.value.hint is None
    assert "a number in -100%..100%" in refused(kinds(), "k.amount", "much")
