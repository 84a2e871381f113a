"""Predictors at work: training through a pipeline, choices, files, and the predictor line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ispdsl
from ispdsl.darkroom import develop
from ispdsl.errors import CompileError, RunError
from ispdsl.graph import Graph
from ispdsl.learned.aim import Aim, with_ranges
from ispdsl.learned.applying import told
from ispdsl.learned.ground import Ground, Scene, ground_of, scene_of
from ispdsl.learned.prediction import (
    Batch,
    Lesson,
    as_begun,
    averaged,
    by_network,
    loss_of,
    points_of,
    predict,
    recipe,
    the_same,
    train,
)
from ispdsl.learned.prediction_file import departures, identity, open_predictor, save
from ispdsl.learned.prediction_looks import matching, of_user
from ispdsl.learned.predictor import Predictor
from ispdsl.learned.refining import refined
from ispdsl.optimise.tasks.task import View
from ispdsl.runtime.values import Settings, SettingsError
from tests.learned.small import frame, graph, text
from tests.scenes import graph as shipped

LIGHTS = (0.02, 0.05, 0.12, 0.3)
WANTED = 0.4


@pytest.fixture
def made(tmp_path: Path) -> tuple[Graph, Settings]:
    built = graph(tmp_path)
    return built, Settings.of(built)


def ready(made: tuple[Graph, Settings], *only: str, choices: bool = False) -> tuple[Ground, list[Scene]]:
    frames = [frame(light, seed=seed) for seed, light in enumerate(LIGHTS)]
    begun = [made[1].resolved(each.metadata) for each in frames]
    aim = Aim.of(begun, only or None, choices)
    return ground_of(made[0], made[1], aim, frames), [scene_of(each, aim, made[1]) for each in frames]


def grey(pictures: Tensor, _: Batch) -> Tensor:
    return (pictures.mean((1, 2, 3)).clamp_min(1e-4).log2() - np.log2(WANTED)).square().mean()


def test_each_picture_gets_its_own_exposure(made: tuple[Graph, Settings]) -> None:
    ground, scenes = ready(made, "exposure.ev")
    torch.manual_seed(0)
    network = Predictor(1, width=4, levels=3)
    lesson = Lesson(scenes, grey)
    begun = loss_of(as_begun, ground, lesson)
    fitted = train(network, ground, lesson, recipe(40, 0.01), lesson, together=4, side=12)
    own = by_network(network)
    mean = ground.aim.averaged(points_of(own, lesson))
    assert loss_of(own, ground, lesson) < 0.2 * loss_of(the_same(mean), ground, lesson) < begun
    assert fitted.best is not None
    assert fitted.best[0] == pytest.approx(-loss_of(own, ground, lesson, side=12), rel=1e-3)
    values = [predict(network, ground.aim, scene, made[1]).settings["exposure.ev"] for scene in scenes]
    assert values == sorted(values, key=float, reverse=True), "the darker, the more"  # type: ignore[arg-type]
    assert all(not each.requires_grad for each in ground.composites["rggb"].parameters())


def test_a_prediction_begins_at_what_the_file_says(made: tuple[Graph, Settings]) -> None:
    frames = [frame(baseline=1.5), frame(baseline=-0.5)]
    aim = Aim.of([made[1].resolved(each.metadata) for each in frames], ["exposure.ev"])
    network = Predictor(aim.size, width=2, levels=2)
    for each in frames:
        found = predict(network, aim, scene_of(each, aim, made[1]), made[1].resolved(each.metadata))
        assert found.settings["exposure.ev"] == pytest.approx(each.metadata["baseline_exposure"], abs=1e-5)


def test_choices_are_relaxed_and_then_made(made: tuple[Graph, Settings]) -> None:
    ground, scenes = ready(made, "demosaic.method")
    wanted = ground.rendered(
        scenes, torch.stack([ground.aim.start(made[1].update({"demosaic.method": "bilinear"}))] * 4)
    )

    def look(pictures: Tensor, batch: Batch) -> Tensor:
        return 1e4 * (pictures - wanted[torch.from_numpy(batch.numbers)]).square().mean()

    assert ground.aim.names[0] == "demosaic.method=bilinear"
    network = Predictor(ground.aim.size, width=2, levels=2)
    begun = predict(network, ground.aim, scenes[0], made[1])
    assert begun.settings["demosaic.method"] == "malvar"
    lesson = Lesson(scenes, look)
    train(network, ground, lesson, recipe(30, 0.05), together=2)
    assert predict(network, ground.aim, scenes[0], made[1]).settings["demosaic.method"] == "bilinear"
    assert loss_of(by_network(network), ground, lesson) == pytest.approx(0, abs=1e-6)


def test_each_picture_of_a_batch_has_its_own_choice(made: tuple[Graph, Settings]) -> None:
    ground, scenes = ready(made, choices=True)
    points = [
        ground.aim.start(made[1].update({"demosaic.method": method, "exposure.ev": ev}))
        for method, ev in (("bilinear", 0.5), ("malvar", -1.0))
    ]
    together = ground.rendered(scenes[:2], torch.stack(points))
    for place, point in enumerate(points):
        alone = ground.rendered([scenes[place]], point[None])
        torch.testing.assert_close(together[place], alone[0])
    assert not torch.equal(ground.rendered([scenes[1]], points[0][None])[0], together[1])


def test_registers_are_rounded_to_codes_and_slopes_pass() -> None:
    settings = Settings.of(shipped("hardware_isp"))
    address = next(slot.address for slot in settings.slots if slot.address.endswith("gain_00"))
    aim = Aim.of([settings], [address])
    x = torch.tensor([[0.37], [0.8]], dtype=torch.float64, requires_grad=True)
    values, choices = aim.canonical(x, 0.0)
    assert not choices
    codes = values[address].detach() * 256
    torch.testing.assert_close(codes, codes.round())
    values[address].sum().backward()
    assert x.grad is not None
    assert float(x.grad.min()) == pytest.approx(1.5), "the soft range is 1.5..3"
    made = aim.settings_at(np.array([0.37]), settings)
    assert float(made[address]) == pytest.approx(float(values[address][0].detach()))  # type: ignore[arg-type]


def test_the_mean_of_predictions_takes_what_most_choose(made: tuple[Graph, Settings]) -> None:
    ground, scenes = ready(made, choices=True)
    network = Predictor(ground.aim.size, width=2, levels=2)
    found = predict(network, ground.aim, scenes[0], made[1])
    wanted = [("ahd", 0.0), ("menon", 0.6), ("menon", 0.9)]
    points = [
        ground.aim.start(made[1].update({"demosaic.method": method, "exposure.ev": ev})).numpy()
        for method, ev in wanted
    ]
    mean = averaged(ground.aim, [replace(found, point=point) for point in points], made[1])
    assert mean["demosaic.method"] == "menon"
    assert mean["exposure.ev"] == pytest.approx(0.5)


def test_a_part_of_a_raw_has_its_part_of_what_lies_over_it(made: tuple[Graph, Settings]) -> None:
    gains = np.linspace(1, 2, 5)[None, None].repeat(4, 0)
    whole = frame()
    whole = replace(whole, metadata={**whole.metadata, "gain_map": gains})
    aim = Aim.of([made[1].resolved(whole.metadata)], ["exposure.ev"])
    part = scene_of(whole, aim, made[1]).part(4, 8, 6, 8)
    expected = scene_of(whole.crop(4, 8, 6, 8), aim, made[1])
    torch.testing.assert_close(part.image, expected.image)
    torch.testing.assert_close(part.metadata["gain_map"], expected.metadata["gain_map"])


def test_least_squares_go_on_from_a_prediction(made: tuple[Graph, Settings]) -> None:
    ground, scenes = ready(made, "exposure.ev")
    target = ground.rendered(scenes[:1], ground.aim.start(made[1].update({"exposure.ev": 1.25}))[None])[0]
    found = refined(ground, scenes[0], made[1].resolved(frame().metadata), target.numpy())
    assert found.settings["exposure.ev"] == pytest.approx(1.25, abs=1e-3)
    assert found.psnr > 60 > found.psnr_before
    only_choice, _ = ready(made, "demosaic.method")
    with pytest.raises(RunError, match="nothing but choices"):
        refined(only_choice, scenes[0], made[1], target.numpy())


# ---- losses ------------------------------------------------------------------------------------------------------


def test_references_are_cut_as_the_raw_is() -> None:
    references = [torch.rand(3, 8, 8), torch.rand(3, 8, 8)]
    look = matching(references, [View("a", "camera", {}), View("b", "camera", {})])
    batch = Batch(np.array([1]), ((2, 4, 4, 4),))
    assert float(look(references[1][None, :, 2:6, 4:8], batch)) == 0
    assert float(look(references[0][None, :, 2:6, 4:8], batch)) > 0
    with pytest.raises(RunError, match="the reference of b is"):
        look(torch.zeros(1, 3, 9, 9), Batch(np.array([1]), (None,)))


def my_loss(pictures: list[Tensor], names: list[str]) -> Any:
    assert names == ["b"]
    return pictures[0].mean() if pictures[0].shape[1] == 2 else pictures[0].detach().mean()


def test_a_users_function_sees_upright_pictures_and_must_be_differentiable() -> None:
    target = f"{__name__}:my_loss"
    with pytest.raises(CompileError, match="not trusted"):
        of_user(target, ["a", "b"], [1, 6], ())
    look = of_user(target, ["a", "b"], [1, 6], ("tests",))
    batch = Batch(np.array([1]), (None,))
    lying = torch.rand(1, 3, 4, 2, requires_grad=True)  # upright it is 2 px high
    torch.testing.assert_close(look(lying, batch), lying.mean())
    with pytest.raises(RunError, match="cannot differentiate"):
        look(torch.rand(1, 3, 2, 4, requires_grad=True), batch)
    with pytest.raises(CompileError, match="names no function"):
        of_user("nothing", [], [], ())


# ---- files -------------------------------------------------------------------------------------------------------


def written(made: tuple[Graph, Settings], path: Path, settings: Settings | None = None) -> Predictor:
    """A predictor that adds 0.25 of the range to the exposure, whatever it sees."""
    settings = settings or made[1]
    aim = Aim.of([settings.resolved(frame().metadata)], ["exposure.ev"])
    network = Predictor(1, width=2, levels=2)
    layer = network.local[-1]
    assert isinstance(layer, nn.Conv2d)
    bias = layer.bias
    assert bias is not None
    with torch.no_grad():
        bias.fill_(0.25)
    save(path, network, aim, made[0], settings, data={}, training={}, scores={"held out": 1.0})
    return network


def test_what_is_written_predicts_the_same(made: tuple[Graph, Settings], tmp_path: Path) -> None:
    written(made, tmp_path / "p.safetensors")
    opened = open_predictor(tmp_path / "p.safetensors", made[0])
    assert opened.card.addresses == ("exposure.ev",)
    assert opened.card.held["demosaic.method"] == "malvar"
    low, high = opened.aim.ranges["exposure.ev"]
    slot = made[1].slot("exposure.ev")
    width = (high[0] - low[0]) * (slot.declaration.hard[1] - slot.declaration.hard[0])  # type: ignore[union-attr]
    found, notes = told(opened, frame(baseline=0.5), made[1])
    assert found.settings["exposure.ev"] == pytest.approx(0.5 + 0.25 * width, abs=1e-4)
    assert not notes
    by_hand, notes = told(opened, frame(), made[1].update({"exposure.ev": -1, "demosaic.method": "menon"}))
    assert by_hand.settings["exposure.ev"] == -1
    assert notes == ("demosaic.method was malvar while the predictor was trained, and is menon",)
    assert departures(opened.card, made[1]) == []


def test_what_it_was_given_to_begin_at_stays_its_beginning(made: tuple[Graph, Settings], tmp_path: Path) -> None:
    written(made, tmp_path / "p.safetensors", made[1].update({"exposure.ev": 1.0}))
    opened = open_predictor(tmp_path / "p.safetensors", made[0])
    assert opened.begun(made[1])["exposure.ev"] == 1
    assert opened.begun(made[1].update({"exposure.ev": 2}))["exposure.ev"] == 2


def test_of_another_pipeline_it_is_refused(made: tuple[Graph, Settings], tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    written(made, path)
    other = graph(tmp_path, content=text().replace("method = malvar", "method = menon"))
    with pytest.raises(CompileError, match="another version of small"):
        open_predictor(path, other)
    with pytest.raises(CompileError, match="was trained through small, not through this photo_finish"):
        open_predictor(path, shipped("photo_finish"))


def test_comments_and_the_line_itself_do_not_make_another_pipeline(
    made: tuple[Graph, Settings], tmp_path: Path
) -> None:
    commented = graph(tmp_path, content="# the same\n" + text("p.safetensors"))
    assert commented.sha256 != made[0].sha256
    assert identity(commented) == identity(made[0])
    assert identity(graph(tmp_path, content=text().replace("0ev\n", "1ev\n"))) != identity(made[0])


def test_ranges_of_a_card_are_not_believed(made: tuple[Graph, Settings]) -> None:
    aim = Aim.of([made[1].resolved(frame().metadata)], ["exposure.ev"])
    assert with_ranges(aim, aim.ranges, "x").parts == aim.parts
    for wrong in (
        None,
        {},
        {"exposure.ev": [[0.0], [7.0]]},
        {"exposure.ev": [[0.0, 0.0], [1.0, 1.0]]},
        {"exposure.ev": 3},
    ):
        with pytest.raises(CompileError, match="card in it is damaged"):
            with_ranges(aim, wrong, "x")


# ---- the predictor line -------------------------------------------------------------------------------------------


def test_developing_takes_what_nobody_set_from_the_predictor(made: tuple[Graph, Settings], tmp_path: Path) -> None:
    written(made, tmp_path / "p.safetensors")
    built = graph(tmp_path, "p.safetensors")
    expected = told(open_predictor(tmp_path / "p.safetensors", made[0]), frame(), made[1])[0].settings["exposure.ev"]
    found = develop(built, frame())
    assert found.settings["exposure.ev"] == expected
    plain = develop(made[0], frame(), made[1].update({"exposure.ev": expected}))
    np.testing.assert_array_equal(found.outputs["out"].image, plain.outputs["out"].image)
    by_hand = develop(built, frame(), Settings.of(built).update({"exposure.ev": 0.0}))
    assert by_hand.settings["exposure.ev"] == 0
    noted = develop(built, frame(), Settings.of(built).update({"demosaic.method": "menon"}))
    assert any("while the predictor was trained" in text for text in noted.notes)


def test_a_predictor_that_is_not_there_is_told(tmp_path: Path) -> None:
    built = graph(tmp_path, "none.safetensors")
    with pytest.raises(CompileError, match=r"none\.safetensors") as caught:
        develop(built, frame())
    assert "ispdsl predict train" in str(caught.value.hint)
    assert built.predictor is not None
    assert built.predictor.path == "none.safetensors"


def test_metadata_that_is_missing_is_told(made: tuple[Graph, Settings], tmp_path: Path) -> None:
    content = text().replace(" = 0ev", "")
    built = graph(tmp_path, content=content)
    lacking = frame()
    lacking = replace(lacking, metadata={k: v for k, v in lacking.metadata.items() if k != "baseline_exposure"})
    with pytest.raises(SettingsError, match="baseline_exposure"):
        Aim.of([Settings.of(built).resolved(lacking.metadata)])


def test_load_report_warns_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "small.isp"
    for name, codes in (("none.safetensors", {"W608"}), ("../up.safetensors", {"E508"}), ("a.pt", {"E508"})):
        path.write_text(text(name))
        _, report = ispdsl.load_report(path)
        assert {each.code for each in report.diagnostics} == codes
    path.write_text(text("a.safetensors").replace("  out =", '  predictor "b.safetensors"\n  out ='))
    assert "E504" in {each.code for each in ispdsl.load_report(path)[1].diagnostics}
    (tmp_path / "a.safetensors").write_bytes(b"nobody opens it")
    path.write_text(text("a.safetensors"))
    assert not ispdsl.load_report(path)[1].diagnostics
