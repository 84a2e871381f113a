"""What a composite refuses: programs, images, settings, and what programs do wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.backends.composite import Composite, compile
from ispdsl.errors import CompileError, RunError, StageError
from ispdsl.graph import build
from ispdsl.runtime.values import Settings
from tests import modules as m
from tests import stand_ins
from tests.backends.composites import SPACE, TRUST, finishing, image, keywords, single, spied


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os:system", r'the package os is not trusted; allow it by --trust os .* compile\(..., trust=\("os",\)\)'),
        ("ispdsl.programs_evil:run", "the package ispdsl is not trusted"),
        ("ispdsl.errors:UserError", "the package ispdsl is not trusted"),
        ("tests.stand_ins:ghost", "has no function ghost"),
        ("tests.stand_ins:NUMBER", "has no function NUMBER"),
        ("tests.ghost:blur", "cannot import tests.ghost: ModuleNotFoundError"),
        ("ispdsl.programs.tone", "names no function"),
        ("tests.stand_ins:blur.__globals__", "names no function"),
        ("tests.stand_ins:blur", "the stage declares no strength, radius, shape"),
        ("tests.stand_ins:no_pixels", "takes 0 images"),
    ],
)
def test_programs_are_trusted_found_and_agree(target, message):
    with pytest.raises(CompileError, match=message):
        single(m.stage("s", {"image": m.RGB}, {"out": m.RGB}, target))


def test_a_program_must_take_what_the_stage_declares():
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "ispdsl.programs.tone:exposure", m.slider("eV"))
    with pytest.raises(CompileError, match="takes no eV and the stage declares no ev; the stage gives eV"):
        single(stage)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"one .stage s.: ValueError: this is too much, at .*tests/stand_ins\.py:\d+"),
        ("leaves", r"one .stage s.: SystemExit: 3, at .*tests/stand_ins\.py:\d+"),
        ("writes", "the program changed its image in place"),
        ("codes", "one.out is of torch.uint8, and the image that went in of torch.float64"),
        ("narrow", "one.out is of torch.float16"),
        ("crops", r"has the shape \(3, 5, 7\), not the height and width 6 x 7 that went in"),
        ("adds_batch", r"has the shape \(1, 3, 6, 7\), and the batch that went in is \(\)"),
        ("one_plane", "has 3 planes"),
        ("nothing", "is NoneType, not a tensor"),
        ("split", "gave 2 results, the stage has 1"),
    ],
)
def test_a_program_that_fails_is_named(name, message):
    composite = single(m.stage("s", {"image": m.RGB}, {"out": m.RGB}, f"tests.stand_ins:{name}"))
    with pytest.raises(StageError, match=message) as caught:
        composite(image())
    assert (caught.value.node, caught.value.stage) == ("one", "s")


def test_a_vector_of_another_size_is_refused():
    with pytest.raises(StageError, match="not that of vector<4>"):
        single(m.stage("s", {"image": m.RGB}, {"out": "vector<4>"}, "tests.stand_ins:mean"))(image())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.rand(1, 6, 7), r"linear has the shape \(1, 6, 7\); rgb<linear_srgb, f32> is \(3, H, W\)"),
        (torch.rand(3, 6), "has the shape"),
        (torch.rand(1, 1, 3, 6, 7), "has the shape"),
        (torch.zeros(3, 6, 7, dtype=torch.int32), "is of torch.int32"),
    ],
)
def test_images_are_checked(given, message):
    with pytest.raises(RunError, match=message):
        finishing()(given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exposure.eV": 1.0}, r"did you mean exposure\.ev"),
        ({"denoise.soft.radius": 2.0}, "is fixed in the pipeline"),
        ({"exposure.ev": torch.rand(2, 2)}, r"has the shape \(2, 2\)"),
        ({"exposure.ev": "much"}, "'much' is no number; a number in -18ev..18ev"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(RunError, match=message):
        finishing()(image(), settings)


def test_a_setting_of_what_does_not_run_is_ignored():
    side = m.pipeline(
        "side",
        {"a": "rgb<camera, f32>"},
        {"b": "rgb<camera, f32>"},
        [m.node("main", "exposure", {"image": "a"}), m.node("aside", "exposure", {"image": "a"})],
        {"b": "main.out"},
    )
    composite = compile(build(m.module(m.EXPOSURE, side)))
    x = image()
    assert torch.equal(composite(x, {"aside.ev": 3.0}).image, x)


def failing(name: str, **more: Any) -> Composite:
    return single(m.stage("s", {"image": m.RGB}, {"out": m.RGB}, f"tests.stand_ins:{name}", **more))


def test_the_place_of_a_failure_is_the_innermost_line_of_the_users_own_code():
    lines = Path(stand_ins.__file__).read_text().splitlines()
    for name, text in (("fails_below", 'raise ValueError("this is too much")'), ("fails_in_torch", '"wide"')):
        with pytest.raises(StageError) as caught:
            failing(name)(image())
        place = caught.value.message.rpartition(", at ")[2]
        assert text in lines[int(place.rpartition(":")[2]) - 1]


def test_an_interruption_passes():
    with pytest.raises(KeyboardInterrupt):
        failing("is_interrupted")(image())


def test_a_result_has_the_batch_of_its_image_and_its_size_unless_global():
    with pytest.raises(StageError, match=r"the batch that went in is \(2,\)"):
        failing("first_of_batch")(image(2))
    assert failing("crops", radius=None)(image()).image.shape == (3, 5, 7)
    with pytest.raises(StageError, match="height and width"):
        failing("crops", radius=2)(image())


def test_a_statistic_that_a_program_writes_to_is_noticed():
    stage = m.stage(
        "adapt",
        {"image": m.RGB},
        {"out": m.RGB},
        "tests.stand_ins:writes_level",
        m.slider("amount"),
        needs={"level": "vector<3>"},
    )
    rgb = "rgb<camera, f32>"
    nodes = [
        m.node("level", "mean", {"image": "a"}, {"out": "vector<3>"}, statistic=True),
        m.node("adapt", "adapt", {"image": "a"}, needs={"level": "level.out"}),
    ]
    main = m.pipeline("main", {"a": rgb}, {"b": rgb}, nodes, {"b": "adapt.out"})
    with pytest.raises(StageError, match="changed its level in place"):
        compile(build(m.module(stage, m.MEAN, main)), trust=TRUST)(image())


def test_the_first_node_that_is_not_finite_is_named():
    stage = m.stage("log", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:logarithm")
    nodes = [m.node(f"n{i}", "log", {"image": f"n{i - 1}.out" if i else "a"}) for i in range(3)]
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, nodes, {"b": "n2.out"})
    composite = compile(build(m.module(stage, main)), types=SPACE, trust=TRUST)
    good = torch.full((3, 2, 2), 32.0)
    composite.inspect(good)
    dark = good.clone()
    dark[0, 0] = 1.0
    with pytest.raises(StageError, match="2 of 12 values are not finite") as caught:
        composite.inspect(dark)
    assert caught.value.node == "n1"
    assert not composite(dark).image.isfinite().all()
    with pytest.raises(RunError, match="input a: 2 of 12 values are not finite"):
        composite.inspect(good.where(dark > 1, torch.nan))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3.0, r"one\.x: 300% is outside the range; a number in 0%..200%"),
        (float("nan"), "nan is not finite"),
        (float("inf"), "inf is not finite"),
        (10**400, "not numbers"),
        (True, "True is no number"),
        ("300%", "300% is outside the range"),
        ("2ev", "measures exposure"),
        (None, "not numbers"),
        ([0.5, 2.5], "250% is outside the range"),
    ],
)
def test_plain_numbers_and_text_are_held_to_the_hard_range(given: Any, message: str):
    with pytest.raises(RunError, match=message):
        spied(m.slider("x", (0.0, 200.0), 110.0, "%"))(image(), {"one.x": given})


def test_legal_numbers_and_text_arrive_canonical():
    composite = spied(m.slider("x", (0.0, 35.3), 10.0, "%"), m.toggle("t"))
    for given, wanted in ((0.353, 0.353), ("35.3%", 0.353), ("12", 0.12), (0, 0.0)):
        assert keywords(composite, image(), {"one.x": given})["x"].item() == wanted
    assert keywords(composite, image(), {"one.t": "on"})["t"] is True


def test_tables_from_lists_and_text_are_checked():
    composite = spied(m.table("curve", "points", (3,), hard=(0.0, 1.0)))
    assert keywords(composite, image(), {"one.points": "[0, 0.25, 1]"})["points"].tolist() == [0.0, 0.25, 1.0]
    for wrong in ([0.0, 2.0, 1.0], "[0, 2, 1]", 7):
        with pytest.raises(RunError, match=r"outside the range"):
            composite(image(), {"one.points": wrong})


def test_tensors_are_checked_only_when_asked_for():
    graph = build(m.finishing())
    beyond = {"exposure.ev": torch.tensor(99.0)}
    compile(graph, types=SPACE, trust=TRUST)(image(), beyond)
    checked = compile(graph, types=SPACE, trust=TRUST, checked=True)
    with pytest.raises(RunError, match="99ev is outside the range; a number in -18ev"):
        checked(image(), beyond)
    with pytest.raises(RunError, match="nan is not finite"):
        checked(image(), {"exposure.ev": torch.tensor([0.0, torch.nan])})
    ev = torch.tensor(0.5, requires_grad=True)
    checked(image(), {"exposure.ev": ev}).image.sum().backward()
    assert ev.grad is not None


@pytest.mark.parametrize(
    ("trust", "message"),
    [
        (("tests.stand_ins",), "cannot trust 'tests.stand_ins'.*trust tests, the package as a whole"),
        (("tests", "numpyy"), "trusted numpyy, which no program uses"),
        (("tests", "test"), "trusted test, which no program uses; did you mean tests"),
        (("tests", ""), "cannot trust ''"),
        ("tests", r'is the text .tests.*trust=\("tests",\)'),
    ],
)
def test_trust_that_does_nothing_is_refused(trust: Any, message: str):
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:remembered")
    with pytest.raises(CompileError, match=message):
        single(stage, trust=trust)


def test_a_trusted_package_that_is_not_there_says_how_to_bring_it():
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "my_isp.programs:gain")
    with pytest.raises(CompileError, match="my_isp is not trusted; allow it by --trust my_isp on the command line"):
        single(stage, trust=())
    with pytest.raises(CompileError, match="No module named 'my_isp'; install the package, or set PYTHONPATH"):
        single(stage, trust=("my_isp",))


def test_settings_that_are_no_mapping_are_refused_with_the_way_to_make_one():
    composite = finishing()
    settings = Settings.of(composite.plan.graph)
    with pytest.raises(RunError, match="are `Settings`, not values by address") as refused:
        composite(image(), settings, {})
    assert refused.value.hint == "ispdsl.backends.vector.tensors(settings)"
