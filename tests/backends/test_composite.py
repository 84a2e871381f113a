"""The composite: what programs receive, what comes out, and what the module survives."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ispdsl.backends.composite import Composite, Rendering, compile
from ispdsl.errors import CompileError, PlanError, RunError, StageError
from ispdsl.graph import build
from ispdsl.ir.params import FileReference
from ispdsl.runtime.cube import format_cube
from tests import modules as m
from tests import stand_ins

TRUST = ("tests",)
SPACE = {"S": "linear_srgb"}


def image(*lead: int, planes: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(lead))
    return torch.rand(*lead, planes, 6, 7, generator=generator, dtype=dtype)


def finishing(**more: Any) -> Composite:
    return compile(build(m.finishing()), types=SPACE, trust=TRUST, **more)


def single(stage: m.Stage, **more: Any):
    """A pipeline of one node ``one``."""
    compiling: dict[str, Any] = {key: more.pop(key) for key in ("types", "cfa", "taps", "trust") if key in more}
    given = {port.name: "a" for port in stage.signature.inputs}
    ports = {"a": more.pop("input", "rgb<camera, f32>")}
    outputs = {port.name: str(port.type).replace("S", "camera") for port in stage.signature.outputs}
    metas = more.pop("top", ())
    types = more.pop("variables", {"S": "camera"})
    call = m.node("one", stage.signature.name, given, outputs, types=types, **more)
    results = {name: f"one.{name}" for name in outputs}
    main = m.pipeline("main", ports, outputs, [call], results, metas=metas)
    targets = [offered.target for offered in stage.signature.implementations]
    options: dict[str, Any] = {"trust": TRUST if any("tests." in target for target in targets) else ()} | compiling
    return compile(build(m.module(stage, main)), **options)


def spied(*parameters: Any, metas: Any = (), needs: Any = None, **more: Any) -> Composite:
    ports, program = ({"image": m.RGB}, {"out": m.RGB}), "tests.stand_ins:spy"
    stage = m.stage("spy", *ports, program, *parameters, metas=metas, needs=needs)
    return single(stage, **more)


def keywords(composite: Composite, *arguments: Any) -> dict[str, Any]:
    stand_ins.SEEN.clear()
    composite(*arguments)
    return stand_ins.SEEN[0]


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


# ---- what is refused ----------------------------------------------------------------------------------------


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


# ---- what it survives ---------------------------------------------------------------------------------------


def test_gradients_are_exact_for_every_free_parameter():
    composite = finishing()
    start = composite.start()
    free = {name: value for name, value in start.items() if isinstance(value, Tensor)}
    assert set(free) == {slot.address for slot in composite.slots if slot.free}

    def flat(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        return tuple(composite(x, dict(zip(free, values, strict=True))).outputs.values())

    points = [(value + 0.1).requires_grad_() for value in free.values()]
    assert torch.autograd.gradcheck(flat, (image().requires_grad_(), *points))


def test_it_exports_and_the_export_agrees():
    composite, x = finishing(), image()
    settings, metadata = composite.start(), {"baseline_exposure": torch.tensor(0.5, dtype=torch.float64)}
    program = torch.export.export(composite, (x,), {"settings": settings, "metadata": metadata}, strict=False)
    moved = {**settings, "exposure.ev": torch.tensor(0.9, dtype=torch.float64)}
    found = program.module()(x, settings=moved, metadata=metadata)
    wanted = composite(x, moved, metadata)
    torch.testing.assert_close(found.outputs, wanted.outputs)
    torch.testing.assert_close(found.taps, wanted.taps)


def test_an_error_while_exporting_is_the_programs_own():
    composite = single(m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:fails"))
    with pytest.raises(ValueError, match="this is too much"):
        torch.export.export(composite, (image(),), strict=False)


def test_forward_mode_agrees_with_reverse_mode():
    composite, x = finishing(), image()

    def flat(ev: Tensor) -> Tensor:
        return composite(x, {"exposure.ev": ev}).image

    ev = torch.tensor(0.4, dtype=torch.float64)
    tangent = torch.func.jvp(flat, (ev,), (torch.ones_like(ev),))[1]
    assert torch.allclose(tangent, torch.func.jacrev(flat)(ev))


def test_vmap_over_settings_gives_what_a_loop_gives():
    composite, x = finishing(), image()
    evs = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    mapped = torch.func.vmap(lambda ev: composite(x, {"exposure.ev": ev}).image)(evs)
    for index, ev in enumerate(evs):
        torch.testing.assert_close(mapped[index], composite(x, {"exposure.ev": ev}).image)


def test_a_rendering_is_a_tree_of_tensors():
    rendering = finishing()(image())
    leaves, shape = pytree.tree_flatten(rendering)
    again = pytree.tree_unflatten(leaves, shape)
    assert isinstance(again, Rendering)
    assert again.outputs.keys() == rendering.outputs.keys()


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


@pytest.mark.parametrize("lead", [(), (2,)])
def test_forward_mode_in_single_precision(lead: tuple[int, ...]):
    stage = m.stage("s", {"image": m.RGB}, {"out": m.RGB}, "tests.stand_ins:percent", m.slider("x", default=0.5))
    composite, x = single(stage), image(*lead, dtype=torch.float32)

    def flat(amount: Tensor) -> Tensor:
        return composite(x, {"one.x": amount}).image

    value, tangent = torch.func.jvp(flat, (torch.tensor(0.5),), (torch.tensor(1.0),))[:2]
    torch.testing.assert_close(value, flat(torch.tensor(0.5)))
    torch.testing.assert_close(tangent, x * (0.3 / 0.7))
    torch.testing.assert_close(torch.func.jacfwd(flat)(torch.tensor(0.5)), x * (0.3 / 0.7))


def test_metadata_of_a_batch_takes_one_image_many_times():
    several = {"baseline_exposure": torch.tensor([0.0, 1.0])}
    together = finishing()(image(), None, several).image
    assert together.shape == (2, 3, 6, 7)
    torch.testing.assert_close(together[1], finishing()(image(), None, {"baseline_exposure": 1.0}).image)


def test_everything_given_takes_the_dtype_of_the_image():
    metas = [m.meta("v", "vector<3>"), m.meta("n", "real")]
    composite = spied(m.slider("x"), m.table("curve", "points", (3,), hard=(0.0, 1.0)), metas=metas)
    for dtype, other in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        given = {"v": torch.ones(3, dtype=other), "n": torch.ones((), dtype=other)}
        found = keywords(composite, image(dtype=dtype), composite.start(dtype=other), given)
        assert {value.dtype for value in found.values()} == {dtype}


def test_a_saved_export_loads_and_agrees():
    composite, x = finishing(), image()
    program = torch.export.export(composite, (x,), {"settings": composite.start()}, strict=False)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    found = torch.export.load(file).module()(x, settings=composite.start())
    assert isinstance(found, Rendering)
    assert torch.equal(found.image, composite(x, composite.start()).image)
