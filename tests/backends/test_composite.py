"""The composite: what programs receive, and what comes out."""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree as pytree

from ispdsl.backends.composite import Composite, compile
from ispdsl.errors import CompileError, PlanError, RunError
from ispdsl.graph import build
from ispdsl.ir.params import FileReference
from ispdsl.runtime.cube import format_cube
from tests import modules as m
from tests import stand_ins
from tests.backends.composites import SPACE, TRUST, finishing, image, keywords, single, spied

# ---- the whole ----------------------------------------------------------------------------------------------


def test_it_computes_what_the_programs_compute_by_hand():
    x = image()
    rendering = finishing()(x, {"exposure.ev": 1.0, "adaptation": 0.5}, {"baseline_exposure": 0.5})
    exposed = x * 2**1.5
    soft = stand_ins.blur(exposed, strength=0.35, radius=3.0, shape="box")
    display = stand_ins.adapt(soft, level=exposed.mean((-1, -2)), amount=0.5)
    torch.testing.assert_close(rendering.outputs["display"], display, rtol=1e-12, atol=0)
    small = stand_ins.blur(x, strength=1.0, radius=1.0, shape="box")
    torch.testing.assert_close(rendering.outputs["preview"], small, rtol=1e-12, atol=0)
    torch.testing.assert_close(rendering.taps["exposed"], exposed, rtol=1e-12, atol=0)
    torch.testing.assert_close(rendering.taps["denoise.softened"], soft, rtol=1e-12, atol=0)
    torch.testing.assert_close(rendering.statistics["level"], exposed.mean((-1, -2)), rtol=1e-12, atol=0)
    assert rendering.image is rendering.outputs["display"]


def test_the_same_input_gives_the_same_bits():
    x = image()
    first, second = finishing()(x), finishing()(x)
    for one, two in zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=True):
        assert torch.equal(one, two)


def test_starting_values_given_explicitly_change_nothing():
    composite, x = finishing(), image()
    start = composite.start({"baseline_exposure": 0.25})
    assert start["small.strength"] == torch.tensor(1.0)
    assert start["small.shape"] == "box"
    assert "nothing.ev" not in start
    given = composite(x, start, {"baseline_exposure": 0.25}).image
    assert torch.equal(given, composite(x, None, {"baseline_exposure": 0.25}).image)


def test_only_the_taps_that_are_asked_for_are_given():
    assert set(finishing()(image()).taps) == {"exposed", "adapted", "denoise.softened"}
    assert set(finishing(taps=["exposed"])(image()).taps) == {"exposed"}
    assert finishing(taps=[])(image()).taps == {}
    with pytest.raises(PlanError, match="did you mean exposed"):
        finishing(taps=["expsed"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_works_in_the_dtype_of_the_image(dtype: torch.dtype):
    rendering = finishing()(image(dtype=dtype), {"exposure.ev": torch.tensor(1.0, dtype=torch.float16)})
    assert {value.dtype for value in rendering.outputs.values()} == {dtype}


def test_a_batch_gives_what_its_images_give_alone():
    composite, batch = finishing(), image(2)
    ev, strength = torch.tensor([0.1, 0.9]), torch.tensor([0.2, 0.6])
    together = composite(batch, {"exposure.ev": ev, "denoise.strength": strength})
    for index in range(2):
        alone = composite(batch[index], {"exposure.ev": ev[index], "denoise.strength": strength[index]})
        torch.testing.assert_close(together.image[index], alone.image, rtol=1e-12, atol=1e-12)


def test_settings_of_a_batch_take_one_image_many_times():
    composite, x = finishing(), image()
    ev = torch.tensor([0.1, 0.9, 1.7])
    together = composite(x, {"exposure.ev": ev}).image
    assert together.shape == (3, 3, 6, 7)
    for index in range(3):
        torch.testing.assert_close(together[index], composite(x, {"exposure.ev": ev[index]}).image, rtol=1e-12, atol=0)


def test_progress_is_told_before_each_step():
    composite, seen = finishing(), []
    composite.on_step(lambda index, count, node: seen.append((index, count, node)))
    composite(image())
    assert seen[0] == (0, 6, "exposure")
    assert [node for _, _, node in seen] == [step.node for step in composite.plan.steps]
    composite.on_step(None)
    composite(image())
    assert len(seen) == 6


def test_values_that_nothing_reads_any_more_are_let_go():
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:remembered")
    nodes = [m.node(f"n{i}", "s", {"image": f"n{i - 1}.out" if i else "a"}) for i in range(4)]
    main = m.pipeline("main", {"a": m.RGB}, {"b": m.RGB}, nodes, {"b": "n3.out"}, taps={"second": "n1.out"})
    alive: list[list[bool]] = []

    def look(*_: object) -> None:
        alive.append([made() is not None for made in stand_ins.MADE])

    for taps, last in (([], [False, False, True]), (None, [False, True, True])):
        stand_ins.MADE.clear()
        composite = compile(build(m.module(stage, main)), types=SPACE, trust=TRUST, taps=taps)
        composite.on_step(look)
        composite(image())
        assert alive[-1] == last


# ---- what programs receive ----------------------------------------------------------------------------------


def test_free_parameters_are_tensors_and_fixed_ones_floats():
    percent = m.slider("x", (0.0, 200.0), 110.0, "%")
    found = keywords(spied(percent, m.slider("y"), parameters={"y": (0.25,)}), image())
    assert torch.equal(found["x"], torch.tensor(1.1, dtype=torch.float64))
    assert type(found["y"]) is float
    assert found["y"] == 0.25
    found = keywords(spied(percent), image(2), {"one.x": torch.tensor([0.1, 0.2])})
    assert found["x"].shape == (2, 1, 1, 1)


def test_static_values_are_python_values():
    bins = m.slider("bins", (2.0, 64.0), 8.0, structural=True)
    composite = spied(m.choice("c", "box", "cross"), m.toggle("t"), bins)
    assert keywords(composite, image()) == {"c": "box", "t": False, "bins": 8}
    assert keywords(composite, image(), {"one.c": "cross", "one.t": True}) == {"c": "cross", "t": True, "bins": 8}
    for setting, message in (
        ({"one.c": "disc"}, "one of box, cross"),
        ({"one.t": torch.tensor(True)}, "neither on nor off"),
        ({"one.bins": 16}, "size of a type"),
    ):
        with pytest.raises(RunError, match=message):
            composite(image(), setting)


def test_tables_are_buffers_that_settings_replace():
    curve = m.table("curve", "points", (3,), hard=(0.0, 1.0))
    composite = spied(curve)
    assert list(composite.state_dict()) == ["one/points"]
    assert keywords(composite, image())["points"].tolist() == [0.0, 0.5, 1.0]
    assert keywords(composite, image(), {"one.points": torch.tensor(0.25)})["points"].tolist() == [0.25] * 3
    assert keywords(composite, image(2), {"one.points": torch.rand(2, 3)})["points"].shape == (2, 3)
    assert composite.to(torch.float32).state_dict()["one/points"].dtype == torch.float32
    with pytest.raises(RunError, match="it is 3, or B x 3"):
        composite(image(), {"one.points": torch.rand(4)})


def test_a_cube_file_is_loaded_once_and_may_have_another_size(tmp_path):
    grid = torch.rand(3, 3, 3, 3, dtype=torch.float64).numpy()
    path = tmp_path / "look.cube"
    path.write_text(format_cube(grid, "look"))
    lut = m.table("lut", "look", (2, 2, 2, 3))
    file = FileReference(path="look.cube", sha256="0", found=str(path))
    composite = spied(lut, parameters={"look": file})
    path.unlink()
    found = keywords(composite, image())["look"]
    assert found.shape == (3, 3, 3, 3)
    torch.testing.assert_close(found, torch.from_numpy(grid), rtol=0, atol=1e-5)
    assert keywords(composite, image(), {"one.look": torch.rand(4, 4, 4, 3)})["look"].shape == (4, 4, 4, 3)
    with pytest.raises(CompileError, match=r"one\.look: cannot read"):
        spied(lut, parameters={"look": file})


def test_metadata_arrives_in_the_shape_of_its_type():
    metas = [
        m.meta("n", "real"),
        m.meta("v", "vector<3>"),
        m.meta("c", "matrix<2, 2>"),
        m.meta("g", "grid"),
        m.meta("t", "text"),
    ]
    composite = spied(metas=metas)
    frame = {"n": 2, "v": [1.0, 2.0, 3.0], "c": torch.eye(2), "g": torch.rand(4, 2, 3), "t": "model"}
    found = keywords(composite, image(), None, frame)
    assert {name: getattr(value, "shape", value) for name, value in found.items()} == {
        "n": (),
        "v": (3,),
        "c": (2, 2),
        "g": (4, 2, 3),
        "t": "model",
    }
    assert found["v"].dtype == torch.float64
    batch = {**frame, "n": torch.rand(2), "v": torch.rand(2, 3)}
    found = keywords(composite, image(2), None, batch)
    assert (found["n"].shape, found["v"].shape) == ((2, 1, 1, 1), (2, 3))
    for name, wrong in (("v", torch.rand(4)), ("c", torch.rand(3, 3)), ("g", torch.rand(2)), ("n", torch.rand(2, 2))):
        with pytest.raises(RunError, match=f"{name} has the shape"):
            composite(image(), None, {**frame, name: wrong})
    with pytest.raises(RunError, match="not numbers"):
        composite(image(), None, {**frame, "v": "grey"})


def test_metadata_has_defaults_or_is_asked_for_by_name():
    composite = spied(metas=[m.meta("n", "real", 0.5), m.meta("v", "vector<3>", m.array(1.0, 2.0, 3.0))])
    found = keywords(composite, image(), None, {"n": 9.0})
    assert found["n"] == 0.5
    assert found["v"].tolist() == [1.0, 2.0, 3.0]
    composite = spied(metas=[m.meta("white_level", "real")])
    with pytest.raises(RunError, match="needs the metadata white_level: real"):
        composite(image())


def test_metadata_with_a_unit_arrives_canonical():
    assert keywords(spied(metas=[m.meta("time", "real<ms>", 20.0)]), image())["time"] == 0.02


def test_a_parameter_that_starts_at_metadata():
    ev = m.slider("x", (-2.0, 2.0), 0.0, "ev")
    top = [m.meta("shot", "real<ev>")]
    composite = spied(ev, parameters={"x": "$shot"}, top=top)
    assert keywords(composite, image(), None, {"shot": 1.5})["x"] == 1.5
    assert keywords(composite, image(), None, {"shot": 9.0})["x"] == 2.0
    assert keywords(composite, image(), {"one.x": 0.5})["x"] == 0.5
    assert composite.start({"shot": 1.0})["one.x"] == 1.0
    with pytest.raises(RunError, match=r"one\.x starts at the metadata shot"):
        composite(image())


def test_cfa_and_space_are_given_to_programs_that_ask():
    stage = m.stage("develop", {"mosaic": "raw<C, u12>"}, {"out": "rgb<camera, f32>"}, "tests.stand_ins:develop")
    mosaic = {"input": "raw<C, u12>", "variables": {"C": "C"}}
    with pytest.raises(CompileError, match="asks for space"):
        single(stage, cfa="gbrg", **mosaic)
    stage = m.stage("recolour", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:recolour")
    assert keywords(single(stage), image()) == {"space": "camera"}
    with pytest.raises(CompileError, match=r'the space of image is not known; compile\(..., types=\{"S"'):
        single(stage, variables={"S": "S"}, input="rgb<S, f32>")


def test_cfa_comes_from_the_frame():
    stage = m.stage("develop", {"mosaic": "raw<C, u12>"}, {"out": m.RGB}, "ispdsl.programs.demosaic:bilinear")
    mosaic = {"input": "raw<C, u12>", "variables": {"C": "C"}}
    assert single(stage, cfa="gbrg", **mosaic)(image(planes=1)).image.shape == (3, 6, 7)
    with pytest.raises(CompileError, match=r'the cfa of mosaic is not known.*cfa="rggb"'):
        single(stage, **mosaic)


# ---- several images, several results ------------------------------------------------------------------------


def test_several_inputs_and_outputs():
    split = m.stage("split", {"image": m.RGB}, {"y": "luma<S, f32>", "c": "chroma<S, f32>"}, "tests.stand_ins:split")
    add = m.stage("add", {"image": m.RGB, "other": m.RGB}, {"out": m.RGB}, "tests.stand_ins:add")
    rgb = "rgb<camera, f32>"
    nodes = [
        m.node("add", "add", {"image": "a", "other": "b"}),
        m.node("split", "split", {"image": "add.out"}, {"y": "luma<camera, f32>", "c": "chroma<camera, f32>"}),
    ]
    outputs = {"y": "luma<camera, f32>", "c": "chroma<camera, f32>"}
    main = m.pipeline("main", {"a": rgb, "b": rgb}, outputs, nodes, {"y": "split.y", "c": "split.c"})
    composite = compile(build(m.module(split, add, main)), trust=TRUST)
    a, b = image(), image(1)[0]
    rendering = composite({"a": a, "b": b})
    assert torch.equal(rendering.outputs["c"], (a + b)[1:])
    assert composite({"a": a.float(), "b": b}).outputs["c"].dtype == torch.float32
    wrong = [(a, "takes 2 images"), ({"a": a}, "needs the input b"), ({"a": a, "b": b, "x": a}, "no input x")]
    for given, message in wrong:
        with pytest.raises(RunError, match=message):
            composite(given)


def feedback() -> Composite:
    nodes = [
        m.node("level", "mean", {"image": "adapt.out"}, {"out": "vector<3>"}, statistic=True, previous=True),
        m.node("adapt", "adapt", {"image": "a"}, needs={"level": "level.out"}),
    ]
    rgb = "rgb<camera, f32>"
    main = m.pipeline("main", {"a": rgb}, {"b": rgb}, nodes, {"b": "adapt.out"})
    return compile(build(m.module(m.ADAPT, m.MEAN, main)), trust=TRUST)


@pytest.mark.parametrize("lead", [(), (2,)])
def test_a_statistic_of_the_frame_before(lead):
    composite, x = feedback(), image(*lead)
    first = composite(x)
    torch.testing.assert_close(first.image, x * (1 + 0.5 * 0.18))
    second = composite(x, None, None, first.statistics)
    torch.testing.assert_close(second.image, x * (1 + 0.5 * first.image.mean((-1, -2), keepdim=True)))


def test_grey_is_in_the_codes_of_the_image():
    raw, flat = "raw<C, u12>", {"out": "vector<1>"}
    level = m.stage("mean", {"image": raw}, flat, "tests.stand_ins:mean", radius=None)
    amount = m.slider("amount", default=1.0)
    needs = {"level": "vector<1>"}
    adapt = m.stage("adapt", {"image": raw}, {"out": "raw<C, f32>"}, "tests.stand_ins:adapt", amount, needs=needs)
    out, types = {"out": "raw<rggb, f32>"}, {"C": "rggb"}
    nodes = [
        m.node("level", "mean", {"image": "a"}, flat, statistic=True, previous=True),
        m.node("adapt", "adapt", {"image": "a"}, out, needs={"level": "level.out"}, types=types),
    ]
    main = m.pipeline("main", {"a": "raw<rggb, u12>"}, {"b": "raw<rggb, f32>"}, nodes, {"b": "adapt.out"})
    composite = compile(build(m.module(level, adapt, main)), trust=TRUST)
    x = image(planes=1)
    torch.testing.assert_close(composite(x).image, x * (1 + 0.18 * 4095))


def test_metadata_of_a_batch_takes_one_image_many_times():
    several = {"baseline_exposure": torch.tensor([0.0, 1.0])}
    together = finishing()(image(), None, several).image
    assert together.shape == (2, 3, 6, 7)
    torch.testing.assert_close(together[1], finishing()(image(), None, {"baseline_exposure": 1.0}).image)
