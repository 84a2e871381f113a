"""Types of signatures, and values that fit or do not: variables, storage, sizes."""

from __future__ import annotations

import pytest

from ispdsl.ir.types import Type, storage_fits
from ispdsl.lower.types import match, substitute
from tests.lower.texts import GAIN, METER, SPLIT, codes, lowered, nodes, pipeline, stage, told


def fits(wanted: str, given: str, **bound: str | int) -> dict[str, str | int] | str:
    """What the variables stand for, or the code of what is wrong."""
    variables: dict[str, str | int] = dict(bound)
    mismatch = match(Type.parse(wanted), Type.parse(given), variables)
    return mismatch.code if mismatch else variables


@pytest.mark.parametrize(
    ("wanted", "given", "outcome"),
    [
        ("raw<rggb, u12>", "raw<rggb, u12>", {}),
        ("raw<C, u16>", "raw<gbrg, u12>", {"C": "gbrg"}),
        ("rgb<S, f32>", "rgb<srgb, unit>", {"S": "srgb"}),
        ("rgb<S, T>", "rgb<srgb, unit>", {"S": "srgb", "T": "unit"}),
        ("vector<N>", "vector<256>", {"N": 256}),
        ("rgb<S, f32>", "rgb<Q, f32>", {"S": "Q"}),  # the caller's own variable is handed on
        ("rgb<srgb, f32>", "rgb<Q, f32>", "E307"),  # and is not known to be anything
        ("raw<rggb, f32>", "raw<C, f32>", "E308"),
        ("raw<rggb, f32>", "raw<linear, f32>", "E308"),
        ("rgb<srgb, unit>", "rgb<srgb, f32>", "E309"),
        ("rgb<srgb, f32>", "rgb<srgb, u8>", "E309"),
        ("rgb<srgb, f32>", "rgb<linear_srgb, f32>", "E307"),
        ("rgb<srgb, f32>", "luma<srgb, f32>", "E306"),
        ("vector<4>", "vector<3>", "E306"),
        ("real", "real<ev>", {}),
        ("matrix<3, 3>", "matrix<3, 4>", "E306"),
    ],
)
def test_match(wanted: str, given: str, outcome: dict[str, str | int] | str) -> None:
    assert fits(wanted, given) == outcome


def test_a_variable_stands_for_one_thing_in_a_call() -> None:
    assert fits("luma<S, f32>", "luma<srgb, f32>", S="srgb") == {"S": "srgb"}
    assert fits("luma<S, f32>", "luma<xyz, f32>", S="srgb") == "E307"
    assert fits("vector<N>", "vector<3>", N=4) == "E306"


def test_a_storage_variable_widens() -> None:
    assert fits("rgb<S, T>", "rgb<srgb, f32>", T="unit") == {"S": "srgb", "T": "f32"}
    assert fits("rgb<S, T>", "rgb<srgb, unit>", T="f32") == {"S": "srgb", "T": "f32"}
    assert fits("rgb<S, T>", "rgb<srgb, u8>", T="f32") == "E309"


@pytest.mark.parametrize(
    ("given", "wanted", "outcome"),
    [
        ("unit", "f32", True),
        ("unit", "f16", True),
        ("f16", "f32", True),
        ("u12", "u16", True),
        ("u16", "u16", True),
        ("f32", "unit", False),
        ("f64", "f32", False),
        ("u16", "u12", False),
        ("u8", "f32", False),
        ("unit", "u8", False),
        ("u8", "unit", False),
    ],
)
def test_storage_widens_and_never_converts(given: str, wanted: str, outcome: bool) -> None:
    assert storage_fits(given, wanted) is outcome


def test_substitute_replaces_variables_and_sizes() -> None:
    assert str(substitute(Type.parse("rgb<S, f32>"), {"S": "srgb"})) == "rgb<srgb, f32>"
    assert str(substitute(Type.parse("vector<bins>"), {"bins": 64})) == "vector<64>"


def test_variables_are_bound_in_nodes() -> None:
    text = pipeline("out = image -> gain", signature="p(image: rgb<xyz, f32>) -> (out: rgb<xyz, f32>)")
    node = nodes(lowered(GAIN, text))["gain"]
    assert node.types == {"S": "xyz"}
    assert {name: str(type_) for name, type_ in node.outputs.items()} == {"out": "rgb<xyz, f32>"}


def test_a_pipelines_variable_goes_through_its_nodes() -> None:
    node = nodes(lowered(GAIN, pipeline("out = image -> gain")))["gain"]
    assert node.types == {"S": "S"}
    assert str(node.outputs["out"]) == "rgb<S, f32>"


def test_a_pipelines_variables_are_rigid() -> None:
    to_srgb = stage(signature="encode(image: rgb<linear_srgb, f32>) -> rgb<srgb, unit>")
    assert codes(to_srgb, pipeline("out = image -> encode")) == ["E307", "E307"]  # neither in nor out
    two = "p(image: rgb<S, f32>, other: rgb<T, f32>) -> (out: rgb<S, f32>)"
    join = stage(signature="mix(a: rgb<S, f32>, b: rgb<S, f32>) -> rgb<S, f32>")
    assert codes(join, pipeline("out = mix(image, other)", signature=two)) == ["E307"]


def test_sizes_come_from_parameters() -> None:
    text = pipeline("stat few = meter(bins = 8) as few_bins of image", "stat levels = meter() of image", "out = image")
    found = nodes(lowered(METER, text))
    assert str(found["few_bins"].outputs["out"]) == "vector<8>"
    assert str(found["levels"].outputs["out"]) == "vector<16>"
    assert found["few_bins"].types == {"S": "S"}  # the size is a parameter, and stands there


def test_a_size_that_a_parameter_decides_must_fit() -> None:
    text = pipeline("stat few = meter(bins = 8) of image", "out = image -> adapt(levels = few)")
    assert codes(METER, text) == ["E314"]


@pytest.mark.parametrize("bins", ["2.5", "300", "50%", "size", "identity"])
def test_a_size_is_a_whole_number_in_range(bins: str) -> None:
    text = pipeline("slider size in 2..16 = 2", f"stat few = meter(bins = {bins}) of image", "out = image")
    found = codes(METER, text)
    assert {"E418", "E406"} & set(found)
    assert "W601" not in found


def test_structural_parameters_are_marked() -> None:
    parameters = lowered(METER).stages["test.isp:meter"].signature.parameters
    assert [(p.name, getattr(p, "structural", None)) for p in parameters] == [("bins", True)]


def test_a_result_may_be_narrower_than_promised_but_not_wider() -> None:
    unit = stage(signature="clip(image: rgb<S, f32>) -> rgb<S, unit>")
    assert codes(unit, pipeline("out = image -> clip")) == []
    narrow = "p(image: rgb<S, f32>) -> (out: rgb<S, unit>)"
    assert codes(GAIN, pipeline("out = image -> gain", signature=narrow)) == ["E309"]


def test_an_image_of_an_unknown_type_is_still_known() -> None:
    """One error where the type is written, and none where the value is used, its results included."""
    bad = pipeline("out = image -> gain", signature="p(image: rgb<nowhere, f32>) -> (out: rgb<srgb, f32>)")
    assert codes(GAIN, bad) == ["E303"]
    named = pipeline("hue, rest = image -> odd", "out = rest -> gain", "seen = hue -> gain as second -> tap kept")
    odd = stage(signature="odd(image: rgb<S, f32>) -> (hue: rgb<nowhere, f32>, rest: rgb<S, f32>)")
    assert codes(GAIN, odd, named) == ["E303"]


def test_the_types_of_a_failed_call_that_no_input_decides_stay_known() -> None:
    encode = stage(signature="encode(image: rgb<linear_srgb, f32>) -> rgb<srgb, unit>")
    found = told(encode, pipeline("out = image -> encode -> encode as second"))
    assert [d.code for d in found] == ["E307", "E307", "E307"]
    assert {d.primary.text for d in found} == {"this is rgb<S, f32>", "this is rgb<srgb, unit>", "promised here"}


def test_results_by_name_and_order() -> None:
    module = lowered(SPLIT, pipeline("y, c = split(image)", "out = join(y, c)"))
    assert {port: str(value) for port, value in nodes(module)["join"].inputs.items()} == {
        "luma": "split.luma",
        "chroma": "split.chroma",
    }
