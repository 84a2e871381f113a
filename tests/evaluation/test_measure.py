"""Doubles that leave images as they are: their errors are known, alone and in a row."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ispdsl.evaluation.chains import chain_of, domain, held_out, knob_of, note_of, weights
from ispdsl.evaluation.evaluate import Job, evaluated, measured, tasks
from ispdsl.evaluation.measure import Chain, measure, render, settings_of
from ispdsl.evaluation.report import markdown, sentence, table, values
from ispdsl.evaluation.scores import score
from ispdsl.evaluation.trust import Calibration
from ispdsl.graph import Graph
from ispdsl.ir.types import Type
from ispdsl.proxies.double import save
from ispdsl.runtime.values import Settings
from ispdsl.store.runs import Run, rows, samples
from tests import doubled
from tests.evaluation.stand_ins import small_graph


@pytest.fixture(scope="module")
def graph(run: Run) -> Graph:
    return small_graph(run.path.parent)


@pytest.fixture(scope="module")
def chain(run: Run, graph: Graph) -> Chain:
    return chain_of(graph, run.path / "doubles" / "default", Type.parse(run.head.types["mosaic"]))


def test_a_chain_knows_its_values(chain: Chain) -> None:
    assert chain.inputs == ("mosaic",)
    assert chain.values == ("light", "lit", "out")
    assert chain.main == "out"
    assert set(weights(chain)) == {"exposure", "contrast"}
    assert all(count > 0 for count in weights(chain).values())


def test_each_double_is_measured_on_what_the_real_stage_before_it_gave(run: Run, chain: Chain) -> None:
    sample = next(samples(run))
    found = measure(chain, sample, 7)
    assert found.number == 7
    assert set(found.own) == {"lit", "out"}
    type_ = chain.types["lit"]
    assert found.own["lit"] == score(sample.images["lit"], sample.images["light"], type_, sample.metadata)
    assert found.own["out"] == score(sample.images["out"], sample.images["lit"], type_, sample.metadata)


def test_the_chain_is_measured_on_its_own_outputs(run: Run, chain: Chain) -> None:
    sample = next(samples(run))
    found = measure(chain, sample, 0)
    type_ = chain.types["out"]
    assert found.chain["light"].psnr > 90, "the programs are the real thing"
    through = score(sample.images["out"], sample.images["light"], type_, sample.metadata, detailed=True)
    assert found.chain["out"].psnr == pytest.approx(through.psnr, abs=1e-3), "both doubles leave it as it is"
    assert found.chain["out"].ssim == pytest.approx(through.ssim, abs=1e-4), "the output is measured in detail"
    assert found.chain["lit"].ssim is None
    assert measure(chain, sample, 0, detailed=True).chain["lit"].ssim is not None


def test_a_chain_runs_with_the_settings_of_the_sample(run: Run, graph: Graph) -> None:
    """With the double of one stage alone, the other's program has to see the sample's own exposure."""
    chain = chain_of(graph, run.path / "doubles" / "contrast", Type.parse(run.head.types["mosaic"]))
    some = list(samples(run))[:3]
    assert len({str(sample.settings["exposure.ev"]) for sample in some}) == 3
    for sample in some:
        made = render(chain, sample, settings_of(chain.graph, sample))
        np.testing.assert_allclose(made["lit"], sample.images["lit"], rtol=1e-5, atol=1e-6)


def test_held_out_samples_are_of_the_raws_that_the_cards_name(run: Run, chain: Chain) -> None:
    second = run.head.raws[1].name
    assert held_out(run, [chain]) == (second,)
    wanted = tasks(run, (second,))
    raws = {row.number: note_of(run, row)["raw"] for row in rows(run)}
    assert [task.number for task in wanted] == [number for number, raw in raws.items() if raw == second]
    assert 0 < len(wanted) < len(raws)


def test_the_domain_is_what_was_sampled(run: Run, graph: Graph, chain: Chain) -> None:
    trained = [note_of(run, row)["settings"] for row in rows(run)]
    found = domain(run, graph, chain, trained)
    knobs = {knob.address: (knob.low, knob.high) for knob in found.knobs}
    assert knobs == {"exposure.ev": (-4.0, 4.0), "contrast.amount": (-0.5, 0.5)}, "canonical, as the design has them"
    assert found.points.shape == (len(trained), 2)
    assert found.points.min() >= 0
    assert found.points.max() <= 1
    assert found.constants == {"demosaic.method": "bilinear"}
    assert list(found.types) == ["", "light", "lit", "out"]


def test_a_design_says_its_ranges_in_declared_units(graph: Graph) -> None:
    settings = Settings.of(graph)
    percent = knob_of(settings.slot("contrast.amount"), {"low": -20.0, "high": 60.0, "unit": "%"})
    assert percent is not None
    assert (percent.low, percent.high) == pytest.approx((-0.2, 0.6))
    method = knob_of(settings.slot("demosaic.method"), {"values": ["menon", "malvar"]})
    assert method is not None
    assert method.options == ("menon", "malvar")
    assert knob_of(settings.slot("exposure.ev"), {}) is None


def test_an_evaluation_finds_the_parameter_that_an_identity_is_bad_at(run: Run, graph: Graph, chain: Chain) -> None:
    job = Job(run, graph, run.path / "doubles" / "default")
    queries = measured(job, run, tasks(run), 1)
    found, figure = evaluated(job, chain, queries)
    assert figure is not None
    assert found.sensitivities[0].address == "exposure.ev"
    assert [one.address for one in found.own["out"]] == ["contrast.amount"]
    stages = {stage.value: stage for stage in found.stages}
    assert stages["light"].own is None
    assert stages["lit"].own is not None
    assert stages["lit"].own.mean == pytest.approx(np.mean([query.own["lit"].psnr for query in queries]))
    head = {"run": "r", "pipeline": "small", "real thing": "composite"}
    text = markdown(head, [found], {found.name: {"stages": "s.png"}}, ["ispdsl run again"])
    for words in ("`exposure.ev` says most about the error", "| `lit` | pointwise |", "![Stages](s.png)", "run again"):
        assert words in text
    assert "exposure" not in table([found])
    assert f"mean {found.chain.mean:.2f} dB" in table([found])
    weak = replace(found, calibration={"blind": Calibration(40, 0.12, 0.9, 2.0)})
    assert "rank correlation 0.12, too little to go by" in sentence(weak)
    assert "too little" not in sentence(replace(found, calibration={"blind": Calibration(40, 0.8, 0.9, 2.0)}))
    few = replace(found, calibration={}, queries=found.queries[:5])
    assert "no trust figure fitted, which takes 12 queries" in sentence(few)
    told = values(head, [found])
    assert told["variants"][0]["chain"]["mean"] == found.chain.mean
    assert len(told["variants"][0]["queries"]) == len(queries)


@pytest.mark.slow
def test_several_processes_measure_the_same(run: Run, graph: Graph) -> None:
    job = Job(run, graph, run.path / "doubles" / "default")
    some = tasks(run)[:3]
    told: list[int] = []
    alone = measured(job, run, some, 1)
    beside = measured(job, run, some, 2, lambda done, total, name: told.append(done))
    assert [query.number for query in beside] == [query.number for query in alone]
    assert [query.chain["out"].psnr for query in beside] == pytest.approx([query.chain["out"].psnr for query in alone])
    assert told == [1, 2, 3]


def test_the_members_of_an_ensemble_are_run_beside_it(run: Run, graph: Graph, tmp_path: Path) -> None:
    for name in ("default", "default.1"):
        shutil.copytree(run.path / "doubles" / "default", tmp_path / name)
    other = doubled.double_of(graph, "exposure")
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.05
    save(other, tmp_path / "default.1" / "exposure.safetensors")
    found = chain_of(graph, tmp_path / "default", Type.parse(run.head.types["mosaic"]))
    assert len(found.members) == 1
    assert set(found.hashes) == {"exposure", "contrast", "1/exposure", "1/contrast"}
    spread = measure(found, next(samples(run)), 0).spread
    assert spread["light"] == -16, "before the doubles"
    assert spread["lit"] > -12
    assert set(spread) == {"light", "lit", "out"}
    (tmp_path / "default.1" / "contrast.safetensors").unlink()
    assert chain_of(graph, tmp_path / "default", Type.parse(run.head.types["mosaic"])).members == ()
