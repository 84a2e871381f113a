"""The trust figure: it ranks true errors, its intervals hold, it flags what was not sampled, it claims nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ispdsl.evaluation.trust import FEWEST, Trust, TrustError, check, fingerprint, fit_trust
from ispdsl.evaluation.trust_file import NAME, hashes, members, save, trust
from tests.evaluation.stand_ins import KNOBS, domain, drawn, spread

SETTINGS = {knob.address: 1.0 for knob in KNOBS}
IMAGE = np.full((1, 16, 16), 9000, np.float32)
METADATA = {"black_level": np.full(4, 512.0), "white_level": 16383.0}
SHOWN = {"toned": np.full((3, 16, 16), 0.4, np.float32)}


@pytest.fixture(scope="module")
def fitted() -> Trust:
    return fit_trust(drawn(70), domain(constants={"grain.seed": 3.0}))


def test_it_ranks_errors_on_settings_that_it_has_not_seen(fitted: Trust) -> None:
    found = check(fitted, drawn(150, seed=5))
    assert found["blind"].rank > 0.7
    assert found["seen"].rank > found["blind"].rank + 0.05, "what the doubles made says more"
    assert 0.8 <= found["seen"].coverage <= 1
    for name, stated in fitted.calibration.items():
        assert abs(stated.rank - found[name].rank) < 0.15, "what it states of itself is what it is"
        assert abs(stated.coverage - found[name].coverage) < 0.12
        assert stated.off == pytest.approx(found[name].off, rel=0.5)


def test_where_nothing_can_be_foretold_it_says_so() -> None:
    rng = np.random.default_rng(0)
    guessed = [replace(each, psnr=float(40 + 3 * rng.normal())) for each in drawn(60)]
    stated = fit_trust(guessed, domain()).calibration["blind"]
    assert stated.rank < 0.4
    assert stated.coverage > 0.75


def test_queries_of_one_setting_are_never_on_both_sides() -> None:
    rng = np.random.default_rng(1)
    few = drawn(12)
    twins = [replace(each, psnr=float(psnr)) for each in few for psnr in [40 + 4 * rng.normal()] for _ in range(5)]
    assert fit_trust(twins, domain()).calibration["blind"].rank < 0.6, "it would know the twin of each query by heart"


def test_a_belief_has_an_interval_about_it(fitted: Trust) -> None:
    blind = fitted.of(SETTINGS, IMAGE, METADATA)
    assert blind.low < blind.psnr < blind.high
    assert blind.outside == ()
    seen = fitted.of(SETTINGS, IMAGE, METADATA, SHOWN)
    assert seen.psnr != blind.psnr
    assert "dB expected" in str(seen)
    assert fitted.of(SETTINGS, IMAGE, METADATA, {"other": SHOWN["toned"]}) == blind


def test_worse_settings_are_believed_less(fitted: Trust) -> None:
    good, bad = (fitted.of({**SETTINGS, "tone.a": value}, IMAGE, METADATA).psnr for value in (-1.0, 3.0))
    assert 5 < good - bad < 13


def test_settings_outside_of_what_was_sampled_are_flagged(fitted: Trust) -> None:
    found = fitted.of({**SETTINGS, "tone.b": 5.0, "grain.seed": 4.0}, IMAGE, METADATA)
    assert [each.address for each in found.outside] == ["grain.seed", "tone.b"]
    assert found.outside[1].by == pytest.approx(0.5)
    assert "a guess" in str(found)
    assert "tone.b is 5, but sampled were -1..3" in str(found)


def test_a_setting_that_was_varied_must_be_given(fitted: Trust) -> None:
    with pytest.raises(TrustError, match=r"asks for tone\.d"):
        fitted.of({"tone.a": 0.0, "tone.b": 0.0, "tone.c": 0.0}, IMAGE, METADATA)


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(TrustError, match=f"{FEWEST - 1} queries are too few"):
        fit_trust(drawn(FEWEST - 1), domain())


def test_the_file_gives_the_same_beliefs(fitted: Trust, tmp_path: Path) -> None:
    assert save(fitted, tmp_path).name == NAME
    again = trust(tmp_path)
    for watched in (None, SHOWN):
        one, two = (each.of(SETTINGS, IMAGE, METADATA, watched) for each in (fitted, again))
        assert two.psnr == pytest.approx(one.psnr, abs=1e-3)
        assert two.high == pytest.approx(one.high, abs=1e-3)
    assert again.calibration == fitted.calibration
    assert again.fitted == fitted.fitted
    assert fingerprint(KNOBS, drawn(70)[0].settings) in again.fitted
    assert again.of({**SETTINGS, "grain.seed": 4.0}, IMAGE, METADATA).outside[0].address == "grain.seed"


def test_a_run_means_its_default_doubles(fitted: Trust, tmp_path: Path) -> None:
    folder = tmp_path / "doubles" / "default"
    folder.mkdir(parents=True)
    save(fitted, folder)
    assert trust(tmp_path).calibration == fitted.calibration


def test_a_missing_or_damaged_file_is_told(fitted: Trust, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="have no trust figure"):
        trust(tmp_path)
    path = save(fitted, tmp_path)
    content = json.loads(path.read_text())
    damages = [
        "{",
        "[]",
        json.dumps({**content, "format": 99}),
        json.dumps({**content, "types": {}}),
        json.dumps({**content, "figures": {"seen": content["figures"]["seen"]}}),
        json.dumps({**content, "more": 1}),
        path.read_text().replace('"groups":[0', '"groups":[0,0', 1),
    ]
    for damaged in damages:
        path.write_text(damaged)
        with pytest.raises(TrustError, match="is no trust figure"):
            trust(tmp_path)


# ---- doubles that change ----------------------------------------------------------------------------------


def placed(fitted: Trust, run: Path) -> Path:
    """The figure beside two doubles and those of a further member."""
    folder, member = run / "doubles" / "default", run / "doubles" / "default.1"
    for each in (folder, member):
        each.mkdir(parents=True)
        for name in ("exposure", "contrast"):
            (each / f"{name}.safetensors").write_bytes(f"{each.name} {name}".encode())
    save(replace(fitted, doubles=hashes(folder, members(folder))), folder)
    return folder


def test_a_figure_of_doubles_that_were_trained_since_is_refused(fitted: Trust, tmp_path: Path) -> None:
    folder = placed(fitted, tmp_path)
    assert set(trust(tmp_path).doubles) == {"exposure", "contrast", "1/exposure", "1/contrast"}
    (folder / "contrast.safetensors").write_bytes(b"trained again")
    with pytest.raises(TrustError, match="of other doubles: contrast changed") as refused:
        trust(tmp_path)
    assert "ispdsl evaluate" in str(refused.value.hint)


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_figure_of_more_or_fewer_doubles_is_refused(fitted: Trust, tmp_path: Path, change: str) -> None:
    folder = placed(fitted, tmp_path)
    if change == "added":
        (folder / "toned.safetensors").write_bytes(b"new")
    else:
        (folder / "contrast.safetensors").unlink()
    with pytest.raises(TrustError, match="of other doubles"):
        trust(folder)


# ---- ensembles --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ensemble() -> Trust:
    return fit_trust(spread(drawn(70)), domain())


@pytest.mark.slow
def test_members_that_disagree_say_more(ensemble: Trust) -> None:
    found = check(ensemble, spread(drawn(150, seed=5)))
    assert found["ensemble"].rank > found["seen"].rank + 0.02
    assert set(ensemble.calibration) == {"blind", "seen", "ensemble"}


def test_the_further_the_members_are_apart_the_less_they_are_believed(ensemble: Trust) -> None:
    near, far = ([{"toned": SHOWN["toned"] + np.float32(by)}] for by in (2.0**-9, 2.0**-6))
    seen, agreed, quarrelled = (ensemble.of(SETTINGS, IMAGE, METADATA, SHOWN, each).psnr for each in ([], near, far))
    assert quarrelled < agreed - 1
    assert seen not in (agreed, quarrelled)
    assert ensemble.of(SETTINGS, IMAGE, METADATA, SHOWN, [{"other": IMAGE}]).psnr == seen


def test_a_member_that_changed_is_no_longer_listened_to(ensemble: Trust, tmp_path: Path) -> None:
    folder = placed(ensemble, tmp_path)
    assert trust(folder).ensemble is not None
    (tmp_path / "doubles" / "default.1" / "exposure.safetensors").write_bytes(b"trained again")
    again = trust(folder)
    assert again.ensemble is None
    assert again.seen is not None


def test_members_are_counted_without_gaps(tmp_path: Path) -> None:
    for name in ("default", "default.1", "default.2", "default.4", "default.x", "unet.3"):
        (tmp_path / name).mkdir()
    assert [each.name for each in members(tmp_path / "default")] == ["default.1", "default.2"]
    assert members(tmp_path / "unet") == ()
