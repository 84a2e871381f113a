from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.backends.composite import compile
from ispdsl.backends.feeding import example
from ispdsl.proxies.double import load, read_card
from ispdsl.store.runs import Run, samples
from ispdsl.training import budget, examples
from ispdsl.training.command import jobs_of, train_run
from ispdsl.training.data import TrainingError
from ispdsl.training.examples import materials, roles_of
from ispdsl.training.options import Options, Outcome
from ispdsl.training.stage import ALLOTTED
from ispdsl.training.stages import Network, ground_of, network_of, read_network
from tests.training.made import STAGES, graph_of


def text_of(run: Run) -> Path:
    return run.path.parent / "small.isp"


def options(run: Run, **changes: Any) -> Options:
    return replace(Options(file=text_of(run), steps=6), **changes)


def trained(run: Run, **changes: Any) -> list[Outcome]:
    return list(train_run(run, options(run, **changes), lambda news: None).outcomes)


def test_the_segments_of_a_run_get_the_networks_that_suit_them(sampled: Run) -> None:
    ground = ground_of(sampled, text_of(sampled))
    found = {segment.address: network_of(ground, segment, {}).kind for segment in ground.segments}
    suited = {name: found[name] for name in ("demosaic", "exposure", "tone_map", "texture")}
    assert tuple(found) == STAGES
    assert suited == {"demosaic": "unet", "exposure": "pointwise", "tone_map": "pointwise", "texture": "bank"}


def test_what_is_wanted_wins_over_what_suits(sampled: Run) -> None:
    ground = ground_of(sampled, text_of(sampled))
    segment = ground.segment("texture")
    wanted = {"texture": Network("areawise", {"depth": 3}), "*": Network("srcnn", {})}
    assert network_of(ground, segment, wanted).arguments["depth"] == 3
    assert network_of(ground, ground.segment("exposure"), wanted).kind == "srcnn"


def test_networks_are_read_from_the_command_line() -> None:
    assert read_network("unet") == ("*", Network("unet", {}))
    assert read_network("a.tone = areawise(width=16, head=affine)") == (
        "a.tone",
        Network("areawise", {"width": 16, "head": "affine"}),
    )
    for wrong in ("tone=", "=unet", "areawise(16)", "Unet", "unet)"):
        with pytest.raises(TrainingError, match="is not of the form"):
            read_network(wrong)


def test_a_changed_text_is_refused(run: Run) -> None:
    text_of(run).write_text(text_of(run).read_text().replace("bilinear", "malvar"))
    with pytest.raises(TrainingError, match="has changed since"):
        ground_of(run, text_of(run))


def test_unknown_stages_and_raws_are_refused(sampled: Run) -> None:
    with pytest.raises(TrainingError, match="no stage exposur between") as found:
        jobs_of(ground_of(sampled, text_of(sampled)), options(sampled, stages=("exposur",)))
    assert found.value.hint == "did you mean exposure?"
    with pytest.raises(TrainingError, match="no stage is left"):
        jobs_of(ground_of(sampled, text_of(sampled)), options(sampled, skip=STAGES))
    with pytest.raises(TrainingError, match=r"has no raw dog"):
        roles_of(sampled, ["dog"])


def test_raws_have_the_roles_that_the_run_gives_or_the_command_says(sampled: Run) -> None:
    found = roles_of(sampled)
    assert (found.training, found.held_out) == ({"coffee.dng", "cat.dng"}, {"astronaut.dng"})
    assert roles_of(sampled, ["cat"]).held_out == {"cat.dng"}
    raws = tuple(raw.model_copy(update={"role": "training"}) for raw in sampled.head.raws)
    plain = replace(sampled, head=sampled.head.model_copy(update={"raws": raws}))
    assert roles_of(plain).held_out == {"astronaut.dng"}, "somebody has to be"
    tests = tuple(raw.model_copy(update={"role": "test"}) for raw in raws[:1])
    kept = roles_of(replace(sampled, head=sampled.head.model_copy(update={"raws": (*tests, *raws[1:])})))
    assert (kept.training, kept.held_out, kept.unused) == ({"cat.dng"}, {"astronaut.dng"}, {"coffee.dng"})


def test_material_is_what_the_stage_is_given_and_gives(sampled: Run) -> None:
    """Scenes that were reduced are parts of the very images; nothing held out is among what is trained on."""
    ground = ground_of(sampled, text_of(sampled))
    network = network_of(ground, ground.segment("exposure"), {})
    found = materials(ground, {"exposure": network}, roles_of(sampled), 0)["exposure"]
    assert isinstance(found, examples.Material)
    assert {scene.raw for scene in found.training if not scene.chart} == {"coffee.dng", "cat.dng"}
    assert {scene.raw for scene in found.held_out} == {"astronaut.dng"}
    assert any(scene.chart for scene in found.training)
    assert not any(scene.chart for scene in found.held_out)
    knob = found.card.task.knobs[0]
    assert (knob.name, knob.low < knob.high) == ("ev", True)
    for scene, keywords in zip(found.training, found.keywords, strict=False):
        gain = torch.exp2(torch.as_tensor(keywords["ev"]))
        torch.testing.assert_close(scene.targets[0], scene.images[0] * gain, rtol=1e-4, atol=1e-6)


def test_the_number_of_samples_is_bounded_reproducibly(sampled: Run) -> None:
    ground = ground_of(sampled, text_of(sampled))
    network = {"exposure": network_of(ground, ground.segment("exposure"), {})}
    found = [materials(ground, network, roles_of(sampled), seed, most=8)["exposure"] for seed in (0, 0, 1)]
    numbers = []
    for each in found:
        assert isinstance(each, examples.Material)
        numbers.append([scene.number for scene in (*each.training, *each.held_out)])
    assert len(numbers[0]) <= 8
    assert numbers[0] == numbers[1] != numbers[2]


@pytest.mark.slow
def test_every_stage_is_trained_and_runs_in_its_place(run: Run) -> None:
    """Mosaics of two phases, a statistic, colour from a mosaic: each double is called as its program would be."""
    found = trained(run, networks={"demosaic": Network("unet", {"width": 4, "levels": 2})})
    assert [(outcome.name, outcome.error) for outcome in found] == [(name, None) for name in STAGES]
    for sample in list(samples(run))[:6]:
        if sample.extra.get("chart"):
            continue
        ground = ground_of(run, text_of(run))
        for outcome in found:
            assert outcome.path is not None
            call = example(ground.collapsed, outcome.name, sample)
            made = load(outcome.path)(*call.images, **call.keywords)
            assert made.shape == call.targets[0].shape
    composite = compile(graph_of(run.path.parent), cfa="grbg", doubles=run.path)
    assert {step.implementation.split()[0] for step in composite.plan.steps} >= {"proxy"}


def test_a_double_of_an_exposure_learns_it_and_its_card_says_how_well(run: Run) -> None:
    (outcome,) = trained(run, stages=("exposure",), steps=400, batch=128)
    assert outcome.path is not None
    assert outcome.psnr is not None
    assert outcome.psnr > 30
    card = read_card(outcome.path)
    assert card == load(outcome.path).card
    assert json.loads(outcome.path.with_suffix(".json").read_text())["error"] == card.error
    assert card.error["psnr"] == pytest.approx(outcome.psnr)
    assert (card.real, card.pipeline_sha256) == ("composite 1", run.head.pipeline.sha256)
    assert card.watched == (("linear",), ("exposed",))
    assert card.stage == "exposure"
    assert card.data["held_out"] == ["astronaut.dng"]
    assert [raw["name"] for raw in card.data["raws"]] == ["coffee.dng", "cat.dng"]
    assert (card.training["steps"], card.training["seed"], card.training["loss"]) == (400, 0, "l2")
    assert "torch" in card.training["versions"]


def test_a_stage_that_cannot_be_trained_does_not_keep_the_others_from_it(run: Run) -> None:
    found = {outcome.name: outcome for outcome in trained(run, networks={"demosaic": Network("pointwise", {})})}
    assert "it makes no colour of a mosaic" in (found["demosaic"].error or "")
    assert found["exposure"].error is None


def test_several_doubles_of_a_stage_differ_and_have_folders_of_their_own(run: Run) -> None:
    found = trained(run, stages=("exposure",), ensemble=2)
    paths = [outcome.path for outcome in found]
    assert paths == [run.path / f"doubles/default{end}/exposure.safetensors" for end in ("", ".1")]
    first, second = (load(path).state_dict() for path in paths if path is not None)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_grey_box_is_given_its_program(run: Run) -> None:
    (outcome,) = trained(run, stages=("texture",), networks={"*": Network("residual", {"network": "areawise"})})
    assert outcome.error is None
    assert outcome.psnr is not None
    assert outcome.psnr > 60, "it begins as the program itself"


def test_one_double_of_everything(run: Run) -> None:
    small = {"*": Network("unet", {"width": 4, "levels": 2})}
    (outcome,) = trained(run, whole=True, variant="whole", networks=small)
    assert outcome.error is None
    assert outcome.path is not None
    card = read_card(outcome.path)
    assert len(card.nodes) >= 5
    assert card.watched == (("mosaic",), ("out",))


@pytest.mark.slow
def test_processes_side_by_side_train_the_same_bits_as_one(run: Run) -> None:
    names = ("exposure", "tone_map")
    alone = trained(run, stages=names, variant="alone")
    several = trained(run, stages=names, variant="several", jobs=2)
    for one, other in zip(alone, several, strict=True):
        assert one.path is not None
        assert other.path is not None
        mine, theirs = load(one.path).state_dict(), load(other.path).state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_minutes_are_for_everything(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, float, float]] = []
    share_out = budget.seconds_of

    def noted(lane: budget.Lane, index: int, left: float) -> float:
        seconds = share_out(lane, index, left)
        given.append((lane.names[index], left, seconds))
        return seconds

    monkeypatch.setattr(budget, "seconds_of", noted)
    minutes = 0.05
    wanted = options(
        run,
        steps=None,
        minutes=minutes,
        stages=("exposure", "texture"),
        networks={"texture": Network("areawise", {"width": 4, "depth": 2})},
    )
    made = train_run(run, wanted, lambda news: None)
    assert all(outcome.error is None for outcome in made.outcomes)
    (first, whole, least), (last, left, rest) = given
    assert (first, last) == ("exposure", "texture"), "who takes longest comes last"
    assert left < whole < 60 * minutes, "what is left of all the time, not of one double's"
    pointwise, areawise = budget.share("pointwise"), budget.share("areawise")
    assert least == pytest.approx(whole * pointwise / (pointwise + areawise))
    assert rest == max(left, 0.0), "the last one gets all that is left"
    for name, _, seconds in given:
        (kept,) = run.path.glob(f"training/*/{name}/{ALLOTTED}")
        assert json.loads(kept.read_text(encoding="utf-8")) == {"seconds": seconds}


@pytest.mark.slow
def test_a_chain_is_tuned_and_never_made_worse(run: Run) -> None:
    kept = options(run, steps=24, fine_tune=0.05, skip=("black_white", "demosaic"), batch=64)
    made = train_run(run, kept, lambda news: None)
    assert made.tuned is not None
    assert made.tuned.steps >= 5
    assert made.tuned.after >= made.tuned.before
    assert not math.isnan(made.tuned.before)
    path = made.outcomes[0].path
    assert path is not None
    assert read_card(path).training["fine_tuned"]["steps"] == made.tuned.steps
