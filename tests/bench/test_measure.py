"""Measuring: who takes part, what becomes of those that cannot, and how it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ispdsl.bench import cold
from ispdsl.bench.cold import Answer, Cold, Request
from ispdsl.bench.contender import Contender, ContenderError, Package
from ispdsl.bench.job import Job
from ispdsl.bench.measure import Measured, Wanted, measure
from ispdsl.bench.plot import plot_contenders, plot_sizes
from ispdsl.bench.registry import CONTENDERS
from ispdsl.bench.report import content, table
from ispdsl.runtime.pictures import PictureError
from ispdsl.synthetic.samples import write_demo_raw
from tests.bench.test_contenders import SMALL


def failing(job: Job):
    """Prepares nothing."""
    raise RuntimeError("it broke\nin several lines")


def refused(job: Job):
    raise ContenderError("it does not like this raw", "give it another")


def quick(job: Job):
    return lambda: None


FIELD = (
    Contender("absent", "what nobody has", quick, packages=(Package("no_such_module", "no-such"),)),
    Contender("quick", "nothing at all", quick, gradient=quick),
    Contender("broken", "breaks", failing),
    Contender("picky", "refuses", refused, gradient=quick),
    Contender("second", "nothing as well", quick),
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    raw = tmp_path_factory.mktemp("raw") / "small.dng"
    write_demo_raw(raw, size=48)
    return Job(file=str(SMALL), raw=str(raw), threads=torch.get_num_threads())


@pytest.fixture(scope="module")
def found(job: Job) -> Measured:
    return measure(job, FIELD, "small", "small.dng", Wanted(0.0, cold=False))


def test_those_that_can_take_turns_and_the_others_are_told(found: Measured) -> None:
    outcomes = {each.name: each for each in found.forward.outcomes}
    assert list(outcomes) == [each.name for each in FIELD]
    assert outcomes["absent"].missing == "pip install no-such"
    assert outcomes["broken"].failed == "RuntimeError: it broke"
    assert outcomes["picky"].failed == "it does not like this raw; give it another"
    assert [len(outcomes[name].seconds) for name in ("quick", "second")] == [3, 3]
    assert found.forward.reference is outcomes["quick"]
    assert found.gradient is not None
    assert [each.name for each in found.gradient.measured] == ["quick", "picky"]


def test_stages_are_timed_in_their_order(found: Measured) -> None:
    names = [each.node for each in found.stages]
    assert names[:4] == ["black_white", "white_balance", "malvar", "sharpen"]
    assert names[-1] == "srgb"
    assert all(each.forward.median > 0 and each.gradient.median > 0 for each in found.stages)


def test_the_table_says_everything(found: Measured) -> None:
    text = table(found, "a processor")
    assert "medians of 3 rounds by turns" in text
    for line in (
        "missing absent: pip install no-such",
        "failed broken: RuntimeError: it broke",
        "quick   nothing at all",
        "srgb            srgb",
    ):
        assert line in text
    assert "x quick" in text


def test_json_has_every_round(found: Measured) -> None:
    said = json.loads(json.dumps(content(found, "a processor")))
    assert said["machine"]["threads"] == found.job.threads
    assert said["versions"]["torch"]
    rows = {each["name"]: each for each in said["forward"]["contenders"]}
    assert said["forward"]["reference"] == "quick"
    assert len(rows["second"]["seconds"]) == 3
    assert rows["quick"]["times_reference"] == {"low": 1, "median": 1, "high": 1}
    assert rows["absent"] == {
        "name": "absent",
        "does": "what nobody has",
        "missing": "pip install no-such",
        "failed": None,
    }
    size = said["forward"]["size"]
    rate = size[0] * size[1] / 1e6 / rows["second"]["median"]
    assert rows["second"]["megapixels_a_second"] == pytest.approx(rate)
    assert {"node", "stage", "pixels", "forward", "gradient"} == set(said["stages"][0])


def test_nobody_is_a_result_too(job: Job) -> None:
    none = measure(job, FIELD[:1], "small", "small.dng", Wanted(0.0, stages=False, gradients=False, cold=False))
    assert "nobody took part" in table(none, "a processor")
    assert content(none, "a processor")["forward"]["reference"] is None
    with pytest.raises(ValueError, match="nobody"):
        plot_contenders(Path("none.png"), "none", none.forward, None)


def test_cold_starts_are_of_those_that_took_part(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def start(request: Request, environment: dict[str, str]) -> Cold:
        asked.append((request.contender, environment))
        if request.contender == "second":
            raise ContenderError("it failed from a cold start")
        return Cold(seconds=2.5, answer=Answer(prepare=1, first=0.5, before=2 << 20, peak=5 << 20))

    monkeypatch.setattr("ispdsl.bench.measure.start", start)
    wanted = Wanted(0.0, gradients=False, stages=False, environment={"A": "b"})
    found = measure(job, FIELD, "small", "small.dng", wanted)
    assert asked == [("quick", {"A": "b"}), ("second", {"A": "b"})]
    lines = table(found, "a processor").splitlines()
    row = next(line for line in lines if line.startswith("quick") and "2.5" in line)
    assert row.split()[-3:] == ["2.5", "5", "3"]
    assert "failed second: it failed from a cold start" in lines


def test_a_process_of_its_own_develops(job: Job) -> None:
    found = cold.start(Request(contender="libraw-linear", job=job))
    assert found.seconds > found.answer.prepare + found.answer.first
    assert found.answer.peak >= found.answer.before > 10 << 20
    with pytest.raises(ContenderError, match="failed from a cold start: there is no contender nobody"):
        cold.start(Request(contender="nobody", job=job))


@pytest.mark.slow
def test_the_plain_contender_runs_as_it_is_registered(job: Job) -> None:
    answer = cold.develop(Request(contender="eager", job=job))
    assert answer.peak > 0
    assert CONTENDERS[0].prepare(job)() is not None


def test_plots_are_pictures(tmp_path: Path, found: Measured) -> None:
    plot_contenders(tmp_path / "bars.png", "small", found.forward, found.gradient)
    plot_sizes(tmp_path / "sizes.png", "small", {"a": {0.25: 10.0, 100.0: 12.0}, "b": {1.0: 300.0}, "c": {}})
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("bars.png", "sizes.png"))
    with pytest.raises(ValueError, match="nobody"):
        plot_sizes(tmp_path / "none.png", "none", {"c": {}})
    with pytest.raises(PictureError):
        plot_contenders(tmp_path / "no" / "bars.png", "small", found.forward, None)
