"""Doubles in the places of calls: exactly what they give, refused where they do not fit, part of the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ispdsl.backends.composite import compile
from ispdsl.backends.doubles import cards, files, outside
from ispdsl.errors import CompileError, PlanError
from ispdsl.plan import plan
from ispdsl.proxies.double import make, save
from tests import doubled


@pytest.fixture(scope="module")
def graph():
    return doubled.photo_finish()


@pytest.fixture(scope="module")
def run(graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with doubles of a stage and of several nodes."""
    folder = tmp_path_factory.mktemp("run")
    for address, network in (("saturation", "pointwise"), ("demosaiced", "areawise")):
        save(
            doubled.double_of(graph, address, network, cfa="rggb"),
            folder / "doubles/default" / f"{address}.safetensors",
        )
    return folder


def implementations(composite) -> dict[str, str]:
    return {step.node: step.implementation for step in composite.plan.steps}


def test_an_identity_double_gives_the_pipeline_with_its_stage_at_identity(graph):
    double = doubled.double_of(graph, "saturation")
    settings = doubled.settings_of(graph, saturation__amount="130%")
    still = doubled.settings_of(graph, saturation__amount="100%")
    with torch.no_grad():
        plain = compile(graph, cfa="rggb")
        found = compile(graph, cfa="rggb", doubles={"saturation": double})(
            doubled.mosaic(), settings, doubled.metadata()
        )
        wanted = plain(doubled.mosaic(), still, doubled.metadata())
        other = plain(doubled.mosaic(), settings, doubled.metadata())
    assert torch.equal(found.image, wanted.image)
    assert all(torch.equal(found.taps[name], tap) for name, tap in wanted.taps.items())
    assert not torch.equal(found.image, other.image)


def test_a_run_fills_every_place_unless_told_otherwise(graph, run):
    every = implementations(compile(graph, cfa="rggb", doubles=run))
    assert every["demosaiced"] == "proxy areawise"
    assert every["saturation"] == "proxy pointwise"
    assert "black_white" not in every
    one = implementations(compile(graph, cfa="rggb", doubles=run, impl={"saturation": "proxy"}))
    assert "demosaiced" not in one
    assert one["saturation"] == "proxy pointwise"
    without = implementations(compile(graph, cfa="rggb", doubles=run, impl={"demosaic": "program"}))
    assert "demosaiced" not in without
    assert without["saturation"] == "proxy pointwise"
    none = implementations(compile(graph, cfa="rggb", doubles=run, impl={"*": "program"}))
    assert not any(way.startswith("proxy") for way in none.values())
    both = implementations(compile(graph, cfa="rggb", doubles=run, impl={"*": "proxy", "demosaiced": "program"}))
    assert "demosaiced" not in both
    with pytest.raises(PlanError, match=r"contrast has no double.*demosaiced, saturation"):
        compile(graph, cfa="rggb", doubles=run, impl={"contrast": "proxy"})


def test_the_plan_says_what_is_a_double(graph, run):
    text = str(plan(graph, cfa="rggb", doubles=cards(run)))
    assert "proxy pointwise" in text
    assert "proxy areawise" in text
    assert "proxy" not in str(plan(graph, cfa="rggb"))


def test_weights_are_part_of_the_module_and_do_not_move_unless_given(graph, run):
    frozen = compile(graph, cfa="rggb", doubles=run)
    assert {name.split(".")[1] for name, _ in frozen.named_parameters()} == {"saturation", "demosaiced"}
    assert not any(each.requires_grad for each in frozen.parameters())
    moved = frozen.to(torch.float64)
    assert {each.dtype for each in moved.parameters()} == {torch.float64}
    double = doubled.double_of(graph, "saturation")
    assert all(each.requires_grad for each in compile(graph, cfa="rggb", doubles={"saturation": double}).parameters())


def test_gradients_go_through_a_double_to_settings_and_weights(graph):
    double = doubled.double_of(graph, "contrast")
    for each in double.parameters():
        torch.nn.init.normal_(each, std=0.3, generator=torch.Generator().manual_seed(3))
    composite = compile(graph, cfa="rggb", doubles={"contrast": double})
    free = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in {"contrast.amount": 0.1, "exposure.ev": 0.2}.items()
    }
    settings = {**doubled.settings_of(graph), **free}
    composite(doubled.mosaic(), settings, doubled.metadata()).image.square().mean().backward()
    assert all(each.grad is not None and each.grad.abs() > 0 for each in free.values())
    assert any(each.grad is not None and each.grad.abs().max() > 0 for each in double.parameters())

    def rendered(ev: torch.Tensor) -> torch.Tensor:
        return composite(doubled.mosaic(), {"exposure.ev": ev}, doubled.metadata()).image

    tangent = torch.func.jvp(rendered, (torch.tensor(0.2),), (torch.tensor(1.0),))[1]
    assert tangent.abs().max() > 0


def test_a_double_that_does_not_fit_is_refused_with_how_to_mend_it(graph):
    def refused(address: str, match: str, network: str = "pointwise", **more: Any) -> None:
        double = make(doubled.card_of(graph, address, network, **more))
        with pytest.raises(PlanError, match=match) as error:
            compile(graph, cfa="rggb", doubles={address: double})
        assert f"--impl {address}=program" in str(error.value.hint)

    refused("saturation", "declaration of saturation has changed", signature="0" * 64)
    refused("contrast", "made with pivot = 0.5, and the pipeline fixes 0.18", constants={"pivot": 0.5})
    refused("demosaiced", "takes raw<bggr, u16>, and in its place stand raw<rggb, u16>", "areawise", cfa="bggr")
    refused("demosaiced", "stands for demosaic; between its values lie", "areawise", nodes=("demosaic",), stage="x")
    refused("demosaiced", "no sensor to watch", "areawise", watched=(("sensor",), ("demosaiced",)))


def test_taps_inside_a_double_are_gone_and_asking_for_one_says_why(graph):
    double = make(doubled.card_of(graph, "display", "areawise", whole=True))
    composite = compile(graph, cfa="rggb", doubles={"display": double})
    assert [step.node for step in composite.plan.steps] == ["display"]
    assert not composite(doubled.mosaic(), {}, doubled.metadata()).taps
    with pytest.raises(PlanError, match="toned lies inside a double") as error:
        compile(graph, cfa="rggb", doubles={"display": double}, taps=["toned"])
    assert "--impl display=program" in str(error.value.hint)
    saturation = {"saturation": doubled.double_of(graph, "saturation")}
    assert list(compile(graph, cfa="rggb", doubles=saturation, taps=["toned"]).plan.graph.taps) == ["toned"]


def test_queries_outside_of_what_was_sampled_are_told(graph):
    composite = compile(graph, cfa="rggb", doubles={"saturation": doubled.double_of(graph, "saturation")})

    def told(value: float, **more: object) -> list[str]:
        found = {"saturation": composite.cards["saturation"].model_copy(update=more)}
        return outside(composite.plan.graph, found, {"saturation.amount": value}, {})

    assert told(2.0) == []
    (text,) = told(2.1)
    assert "saturation.amount 210%" in text
    assert "-200%..200%" in text
    card = doubled.card_of(graph, "saturation", ranges={})
    (text,) = told(1.5, task=card.task, constants={"amount": 1.05})
    assert "105% alone" in text


def test_doubles_are_found_in_runs_folders_and_files(run, tmp_path: Path):
    assert set(files(run)) == set(files(run / "doubles")) == set(files(run / "doubles/default"))
    one = run / "doubles/default/saturation.safetensors"
    assert files(one) == {"saturation": one}
    with pytest.raises(CompileError, match="has no doubles"):
        files(tmp_path)
    (tmp_path / "exposure.safetensors").write_bytes(one.read_bytes())
    with pytest.raises(CompileError, match="is the double of saturation, and not what it is called"):
        files(tmp_path)
