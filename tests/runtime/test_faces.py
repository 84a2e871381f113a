from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ispdsl.ir.params import Array
from ispdsl.runtime import faces
from ispdsl.runtime.reading import read
from tests import modules as m

EV = m.slider("ev", (-18.0, 18.0), unit="ev", soft=(-4.0, 4.0))
KELVIN = m.slider("temperature", (2000.0, 25000.0), 5500.0, "K")
PERCENT = m.slider("amount", (-100.0, 100.0), 0.0, "%")
GAIN = m.register("gain", "u4.8", (0.5, 8.0), 1.0)
SIGNED = m.register("coefficient", "s4.8", (-16.0, 15.99609375), 0.0)
CURVE = m.table("curve", "points", (4,), hard=(0.0, 1.0))
SHAPE = m.choice("shape", "box", "cross", "disc")

numbers = st.floats(allow_nan=False, allow_infinity=False)


def within(declaration):
    return st.floats(*declaration.hard)


# ---- unit face ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declaration", [EV, KELVIN, PERCENT, GAIN, SIGNED], ids=lambda d: d.name)
@given(data=st.data())
def test_every_float_in_range_comes_back_from_the_unit_interval(declaration, data):
    number = data.draw(within(declaration))
    place = faces.to_unit(declaration, number)
    assert isinstance(place, Fraction)
    assert 0 <= place <= 1
    assert faces.from_unit(declaration, place) == number


@given(numbers, numbers, st.data())
def test_any_range_works(low, high, data):
    assume(low < high)
    declaration = m.slider("x", (low, high), low)
    number = data.draw(st.floats(low, high))
    assert faces.from_unit(declaration, faces.to_unit(declaration, number)) == number


@pytest.mark.parametrize("declaration", [EV, KELVIN, GAIN], ids=lambda d: d.name)
def test_the_ends_of_a_range_are_0_and_1(declaration):
    low, high = declaration.hard
    assert faces.to_unit(declaration, low) == 0
    assert faces.to_unit(declaration, high) == 1
    assert faces.from_unit(declaration, 0.0) == low
    assert faces.from_unit(declaration, 1.0) == high


@given(within(KELVIN), within(KELVIN))
def test_kelvin_rises_and_is_even_in_mired(one, other):
    assume(one < other)
    places = [faces.to_unit(KELVIN, number) for number in (one, other)]
    assert isinstance(places[0], Fraction)
    assert isinstance(places[1], Fraction)
    assert places[0] < places[1]
    middle = faces.from_unit(KELVIN, Fraction(1, 2))
    assert isinstance(middle, float)
    assert 1e6 / middle == pytest.approx((1e6 / 2000 + 1e6 / 25000) / 2)


def test_a_plain_slider_is_even_in_its_own_unit():
    assert faces.to_unit(EV, 9.0) == Fraction(3, 4)
    assert faces.from_unit(PERCENT, 0.25) == -50.0


@pytest.mark.parametrize("place", [-1e-9, 1.0000001, math.nan, math.inf, -math.inf])
def test_places_outside_the_unit_interval_are_refused(place):
    with pytest.raises(ValueError, match=r"outside 0\.\.1|not finite"):
        faces.from_unit(EV, place)


# ---- physical face ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400])
def test_nan_and_infinity_are_refused(number):
    for declaration in (EV, GAIN, CURVE):
        with pytest.raises(ValueError, match="not finite"):
            faces.check(declaration, number)


def test_the_hard_range_is_legal_and_the_soft_one_does_not_limit():
    assert faces.check(EV, 18) == 18.0
    assert faces.check(EV, -4.5) == -4.5
    with pytest.raises(ValueError, match=r"18\.0001ev is outside the range -18ev\.\.18ev"):
        faces.check(EV, 18.0001)
    with pytest.raises(ValueError, match="outside the range"):
        faces.check(EV, math.nextafter(18.0, 19.0))


@pytest.mark.parametrize(
    ("declaration", "value"),
    [(EV, True), (EV, "0.5"), (SHAPE, "star"), (SHAPE, 1), (m.toggle("t"), 1), (CURVE, "ramp"), (CURVE, True)],
)
def test_other_kinds_are_refused(declaration, value):
    with pytest.raises(ValueError, match=r"is no |neither on nor off"):
        faces.check(declaration, value)


# ---- code face ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declaration", [GAIN, SIGNED], ids=lambda d: d.name)
@given(data=st.data())
def test_every_code_comes_back(declaration, data):
    code = data.draw(st.integers(*faces.codes(declaration)))
    assert faces.to_code(declaration, faces.from_code(declaration, code)) == code


@given(within(GAIN))
def test_a_number_takes_the_nearest_code(number):
    code = faces.to_code(GAIN, number)
    assert isinstance(code, int)
    assert abs(Fraction(number) - Fraction(code, 256)) <= Fraction(1, 512)


def test_halves_go_to_the_even_code():
    assert faces.to_code(GAIN, 256.5 / 256) == 256
    assert faces.to_code(GAIN, 257.5 / 256) == 258


def test_saturation_is_an_error_unless_the_nearest_is_asked_for():
    top = m.register("top", "u4.8", (0.0, 4095 / 256), 1.0)
    assert faces.to_code(top, 4095 / 256) == 4095
    for number, code in ((4096 / 256, 4095), (-1 / 256, 0), (1e9, 4095)):
        with pytest.raises(ValueError, match="outside the range"):
            faces.to_code(top, number)
        assert faces.to_code(top, number, nearest=True) == code
    assert faces.to_code(EV, 99.0, nearest=True) == faces.to_code(EV, 18.0)
    assert faces.codes(GAIN) == (128, 2048)
    for code in (127, 2049):
        with pytest.raises(ValueError, match=r"outside 128\.\.2048"):
            faces.from_code(GAIN, code)


def test_signed_codes():
    assert faces.to_code(SIGNED, -1.0) == -256
    assert faces.from_code(SIGNED, -4096) == -16.0
    assert faces.codes(SIGNED) == (-4096, 4095)


def test_a_code_stays_inside_the_hard_range():
    narrow = m.register("narrow", "u0.8", (0.3, 0.7), 0.5)
    assert faces.to_code(narrow, 0.7) == 179
    assert faces.to_code(narrow, 0.3) == 77
    with pytest.raises(ValueError, match="has no code in"):
        faces.to_code(m.register("none", "u4", (0.3, 0.7), 0.5), 0.5)


@given(within(EV))
def test_a_slider_is_coded_as_its_binary64(number):
    back = faces.from_code(EV, faces.to_code(EV, number))
    assert back == number
    assert isinstance(back, float)
    assert math.copysign(1.0, back) == math.copysign(1.0, number)


def test_codes_that_mean_no_legal_number_are_refused():
    for code in (faces.to_code(m.slider("x", (0.0, 99.0)), 50.0), 0x7FF8 << 48, -1, 2**64):
        with pytest.raises(ValueError, match=r"outside|not finite"):
            faces.from_code(EV, code)


# ---- choices, toggles, tables -------------------------------------------------------------------------------


def test_choices_and_toggles_have_all_faces():
    for index, option in enumerate(SHAPE.options):
        assert faces.to_code(SHAPE, option) == index
        assert faces.from_code(SHAPE, index) == option
        assert faces.to_unit(SHAPE, option) == Fraction(2 * index + 1, 6)
        assert faces.from_unit(SHAPE, faces.to_unit(SHAPE, option)) == option
    assert [faces.from_unit(SHAPE, place) for place in (0.0, 0.34, 1.0)] == ["box", "cross", "disc"]
    for value in (False, True):
        assert faces.from_code(m.toggle("t"), faces.to_code(m.toggle("t"), value)) is value
        assert faces.from_unit(m.toggle("t"), faces.to_unit(m.toggle("t"), value)) is value
    for declaration, code in ((SHAPE, 3), (SHAPE, -1), (m.toggle("t"), 2)):
        with pytest.raises(ValueError, match="code"):
            faces.from_code(declaration, code)


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_a_table_has_its_faces_element_by_element(values):
    array = m.array(*values)
    assert faces.from_unit(CURVE, faces.to_unit(CURVE, array)) == array
    assert faces.from_code(CURVE, faces.to_code(CURVE, array)) == array


def test_a_table_without_a_range_has_no_unit_face():
    with pytest.raises(ValueError, match="has no range"):
        faces.to_unit(m.table("curve", "free", (4,)), 0.5)


def test_identities():
    assert faces.elements(CURVE, "identity") == (0.0, 1 / 3, 2 / 3, 1.0)
    assert faces.elements(m.table("matrix", "x", (2, 2)), "identity") == (1.0, 0.0, 0.0, 1.0)
    grid = faces.elements(m.table("lut", "x", (2, 3, 2, 3)), "identity")
    assert grid[:9] == (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0)
    assert grid[-3:] == (1.0, 1.0, 1.0)
    for shape in ((2, 3), (6, 2, 2, 4)):
        kind = "matrix" if len(shape) == 2 else "lut"
        with pytest.raises(ValueError, match="has no identity"):
            faces.check(m.table(kind, "x", shape), "identity")


def test_tables_broadcast_from_the_last_axis():
    table = m.table("lut", "x", (2, 2, 3))
    assert faces.elements(table, m.array(0.0, 1.0, 2.0)) == (0.0, 1.0, 2.0) * 4
    column = Array(shape=(2, 1, 1), values=(5.0, 6.0))
    assert faces.elements(table, column) == (5.0,) * 6 + (6.0,) * 6
    assert faces.elements(table, 7.0) == (7.0,) * 12
    with pytest.raises(ValueError, match="a table of 2 does not fit 2 x 2 x 3"):
        faces.check(table, m.array(1.0, 2.0))


@pytest.mark.parametrize("given", ["[1, 2]", "2", "[[1, 2]]", "[[1], [2]]", [1, 2], [[1, 2]], 0.5, 1])
def test_a_matrix_is_not_broadcast(given: object):
    with pytest.raises(ValueError, match="no matrix of 2 x 2"):
        read(m.table("matrix", "x", (2, 2)), given)


@pytest.mark.parametrize(
    ("given", "value"),
    [("0", 0.0), (0, 0.0), ("identity", "identity"), ("[[1, 2], [3, 4]]", Array(shape=(2, 2), values=(1, 2, 3, 4)))],
)
def test_a_matrix_is_all_its_numbers_or_identity_or_nothing(given: object, value: object):
    assert read(m.table("matrix", "x", (2, 2)), given) == value


def test_programs_receive_canonical_values():
    assert faces.canonical(m.slider("x", (0.0, 200.0), unit="%"), 110.0) == 1.1
    assert faces.canonical(KELVIN, 5500.0) == 5500.0
    assert faces.canonical(SHAPE, "box") == "box"
    percent = m.Table.model_validate({**CURVE.model_dump(), "unit": "%", "hard": (0.0, 100.0)})
    assert faces.canonical(percent, 50.0) == m.array(0.5, 0.5, 0.5, 0.5)
